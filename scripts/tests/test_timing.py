"""Runtimes beside one another."""

from seamnet.check import timing


def test_runtimes_take_turns_and_the_median_of_the_rounds_stands():
    order = []

    def measure(name, times):
        def once():
            order.append(name)
            return {"trunk": times.pop(0)}

        return once

    columns = timing.in_turns({"a": measure("a", [5.0, 1.0, 2.0]), "b": measure("b", [9.0, 8.0, 7.0])}, 3)
    assert order == ["a", "b"] * 3
    assert columns == {"a": {"trunk": 2.0}, "b": {"trunk": 8.0}}


def test_a_table_has_a_dash_where_a_runtime_lacks_a_stage():
    lines = timing.side_by_side({"a": {"trunk": 1.5}, "b": {"trunk": 2.0, "nms": 0.25}}).splitlines()
    assert [line.split() for line in lines[1:]] == [["trunk", "1.50", "2.00"], ["nms", "-", "0.25"]]
