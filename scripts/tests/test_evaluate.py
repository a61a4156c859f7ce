"""Figures of an evaluation."""

from seamnet.check import evaluate


def test_average_precision():
    assert evaluate.average_precision([0.9, 0.8, 0.7], [True, False, True], 2) == 0.5 + 0.5 * 2 / 3


def test_confusion_has_the_shares_of_each_predicted_class():
    classified = [(1, 1), (1, 1), (1, 1), (1, 2), (2, 2)]
    assert evaluate.confusion(classified, ("shirt", "vest")) == {"shirt": {"shirt": 0.75, "vest": 0.25}, "vest": {"vest": 1.0}}


def test_open_set_threshold_lies_between_own_and_others():
    found = evaluate.open_set([3.0, 4.0, 5.0, 6.0], [-2.0, -1.0, 0.0, 3.5])
    assert 0.0 < found["logit"] <= 4.0
    assert found["wrong_rejections"] <= 0.25 and found["wrong_acceptances"] <= 0.25
    rejected = [row[1] for row in found["curve"]]
    assert rejected == sorted(rejected)
