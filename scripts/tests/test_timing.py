"""Runtimes beside one another."""

from seamnet.check import timing


def test_runtimes_take_turns_and_the_median_of_the_rounds_stands():
    order = []

    def measure(name, times):
        def once():
            order.append(name)
            return {name: {"trunk": times.pop(0)}}

        return once

    seen = timing.in_turns([measure("a", [5.0, 1.0, 2.0]), measure("b", [9.0, 8.0, 7.0])], 3)
    assert order == ["a", "b"] * 3
    assert seen == {"a": {"trunk": [5.0, 1.0, 2.0]}, "b": {"trunk": [9.0, 8.0, 7.0]}}
    rows = timing.side_by_side(seen, "b").splitlines()
    # Ratios of each round: 5/9, 1/8, 2/7.
    assert rows[1].split() == ["trunk", "2.00", "(0.29)", "8.00"]


def test_a_table_has_a_dash_where_a_runtime_lacks_a_stage():
    lines = timing.side_by_side({"a": {"trunk": [1.5]}, "b": {"trunk": [2.0], "nms": [0.25]}}).splitlines()
    assert [line.split() for line in lines[1:]] == [["trunk", "1.50", "2.00"], ["nms", "-", "0.25"]]
