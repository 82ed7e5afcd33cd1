"""The sentence at the top of the page."""

from __future__ import annotations

import pytest

from dubio.jobs.measure import headline

from .helpers import domain, write_domain, write_space


def cell(place, ece, stated):
    return {
        "model": "net", "domain": place, "metrics": {"ece": ece}, "stated": {"0.9": stated},
        "sentence": f"About {place}.",
    }  # fmt: skip


@pytest.fixture(scope="module")
def domains(tmp_path_factory):
    root = write_domain(tmp_path_factory.mktemp("headline") / "a", 2)
    write_space(root / "colours.json")
    return [domain(root, name) for name in ("day", "fog", "night")]


def test_it_names_the_domain_where_a_stated_number_is_worth_least(domains):
    # the largest calibration error is elsewhere: the sentence is about the stated 0.9
    cells = [cell("day", 0.05, 0.71), cell("fog", 0.12, 0.65), cell("night", 0.13, 0.70)]
    assert headline(cells, domains) == (
        "A stated 0.9 of net is right 0.71 of the time in day, and 0.65 in fog, where it is worth least."
    )


def test_no_domain_is_blamed_that_is_no_worse(domains):
    cells = [cell("day", 0.05, 0.71), cell("fog", 0.04, 0.80), cell("night", 0.05, 0.71)]
    assert headline(cells, domains) == (
        "A stated 0.9 of net is right 0.71 of the time in day, and no less often elsewhere."
    )


def test_too_few_pixels_of_about_0_9(domains):
    cells = [cell("day", 0.05, None), cell("fog", 0.2, 0.65), cell("night", None, None)]
    assert headline(cells, domains) == (
        "The calibration error of net is 0.050 in day and 0.200 in fog, where it is largest."
    )
