"""Sentences on what calibration did."""

from __future__ import annotations

from dubio.reliability.verdict import judge


def cell(model: str, domain: str, ece: float, nll: float) -> dict:
    return {"model": model, "domain": domain, "metrics": {"ece": ece, "nll": nll}}


def test_best_in_the_source_and_best_under_shift_may_differ():
    cells = [
        cell("net", "day", 0.05, 0.50), cell("net", "fog", 0.20, 1.0), cell("net", "night", 0.30, 2.0),
        cell("a", "day", 0.01, 0.40), cell("a", "fog", 0.19, 0.9), cell("a", "night", 0.29, 1.9),
        cell("b", "day", 0.02, 0.45), cell("b", "fog", 0.05, 0.7), cell("b", "night", 0.06, 1.4),
    ]  # fmt: skip
    (first,) = judge(cells, "net", ["a", "b"], ["day", "fog", "night"])
    assert first == (
        "By NLL a is best in day: ECE 0.050 to 0.010, NLL 0.500 to 0.400. "
        "Under shift (mean of 2 domains) b is best: ECE 0.250 to 0.055, NLL 1.500 to 1.050."
    )


def test_no_gain_is_said():
    cells = [cell("net", "day", 0.01, 0.2), cell("a", "day", 0.05, 0.3)]
    first, worse = judge(cells, "net", ["a"], ["day"])
    assert first == "By NLL no calibrator is better in day than the model as it is (ECE 0.010, NLL 0.200)."
    assert worse == "a makes calibration worse in day (ECE 0.010 to 0.050, NLL 0.200 to 0.300)."


def test_a_method_of_one_label_space_is_not_best_where_it_was_not_judged():
    cells = [
        cell("net", "day", 0.05, 0.5), cell("net", "other", 0.2, 1.0), cell("a", "day", 0.01, 0.3),
        cell("b", "day", 0.02, 0.4), cell("b", "other", 0.1, 0.8),
    ]  # fmt: skip
    (first,) = judge(cells, "net", ["a", "b"], ["day", "other"])
    assert "a is best in day" in first
    assert "Under shift (other) b is best" in first


def test_nothing_judged():
    nan = float("nan")
    cells = [cell("net", "day", nan, nan), cell("a", "day", nan, nan)]
    assert judge(cells, "net", ["a"], ["day"]) == [
        "No calibrator could be judged in day: no pixel has a label and a prediction."
    ]
