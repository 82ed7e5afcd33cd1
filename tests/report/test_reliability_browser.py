"""The page of models over domains in a browser: what a reader can do with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory, made: Any) -> Path:
    data = made.summary(("plain", "local", "temperature"), "calibrate")
    for cell in data["cells"]:
        cell["metrics"]["ece"] = {"plain": 0.1, "local": 0.02, "temperature": 0.3}[cell["model"]]
        if cell["domain"] == "city":
            cell["metrics"]["ece"] *= 2
        cell["metrics"]["nll"] = {"plain": 0.5, "local": 0.2, "temperature": 0.9}[cell["model"]]
    data["cells"] = [c for c in data["cells"] if (c["model"], c["domain"]) != ("local", "night")]
    data["guarantees"] = ["temperature makes calibration worse in city (ECE).", "fitted on part: 9 images"]
    return made.write(tmp_path_factory.mktemp("calibrated"), data)


def words(page: Any, selector: str) -> str:
    return str(page.locator(selector).inner_text()).replace("\u00a0", " ")


def tip(page: Any) -> str:
    """The explanation that is shown."""
    page.locator("#tip").wait_for()
    return words(page, "#tip")


def test_sentences_come_worst_first_and_follow_the_model(visit: Open, usual: Path) -> None:
    page = visit(usual)
    assert words(page, "h1") == "It holds."
    assert "31 Jan 2026 · 2 models · 5 domains · 18 images" in words(page, "#meta")
    rows = page.locator(".lead-row")
    assert "alpha is off by 0.100" in rows.first.inner_text()
    assert "too sure" in rows.first.inner_text()
    assert "alpha is off by 0.020" in rows.last.inner_text()
    page.locator("#lead-model").select_option(label="beta")
    assert "beta is off by 0.130" in rows.first.inner_text()
    page.get_by_role("radio", name="0.99").check()
    assert words(page, "#lead-title") == "What a stated 0.99 is worth"
    none = rows.first.locator(".none").first
    none.focus()
    assert "too few pixels" in tip(page)


def test_table_sorts_and_switches_groups(visit: Open, usual: Path) -> None:
    page = visit(usual)
    table = page.locator("table.domains")
    assert table.locator("tbody tr").count() == 10
    assert table.locator("tbody th[rowspan='2']").count() == 5
    head = table.locator("thead th", has_text="ECE")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    first = table.locator("tbody tr").first.inner_text()
    assert "city" in first
    assert "alpha" in first
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert "beta" in table.locator("tbody tr").first.inner_text()
    assert "snow 3" in table.locator("tbody tr").first.inner_text()
    page.get_by_role("radio", name="Finding errors").check()
    assert "kept at" not in table.locator("thead").inner_text()  # no cell defines it
    assert "PRR" in table.locator("thead").inner_text()
    page.get_by_role("radio", name="3 corrupted").check()
    assert table.locator("tbody tr").count() == 6


def test_table_shows_intervals_ratios_and_the_best(visit: Open, usual: Path) -> None:
    page = visit(usual)
    row = page.locator("table.domains tbody tr", has_text="night").first
    assert "0.039 – 0.041" in row.inner_text()
    ratio = row.locator(".ratio.worse", has_text="2.5").first
    ratio.hover()
    assert "share of wrong pixels is 2.5 times that in city" in tip(page)
    assert row.locator("td.best.clear").count() == 1  # ECE: no other interval reaches it
    assert row.locator("td.best").count() > 1
    page.locator("table.domains thead button", has_text="KS error").focus()
    assert "Low is good." in tip(page)
    page.keyboard.press("Escape")
    assert not page.locator("#tip").is_visible()


def test_undefined_figures_say_why(visit: Open, usual: Path) -> None:
    page = visit(usual)
    none = page.locator("table.domains tbody tr").first.locator("td .none").first
    assert none.inner_text().startswith("–")
    none.hover()
    assert "the source is what other domains are told from" in tip(page)


def test_score_of_the_whole_page(visit: Open, usual: Path) -> None:
    page = visit(usual)
    night = page.locator("table.domains tbody tr", has_text="night").first
    assert "0.640" in night.inner_text()
    page.locator("#table-score").select_option("entropy")
    assert "0.990" in night.inner_text()
    assert page.locator("#risk-score").input_value() == "entropy"
    page.locator("#scores-metric").select_option("ood_images.auroc")
    assert page.locator("table.scores tbody tr").count() == 8  # not the source
    assert "☆0.990" in page.locator("table.scores tbody tr").first.inner_text().replace("\n", "")


def test_models_can_be_left_out_but_not_all(visit: Open, usual: Path) -> None:
    page = visit(usual)
    alpha, beta = (page.locator(".model-switch", has_text=m) for m in ("alpha", "beta"))
    beta.click()
    assert beta.get_attribute("aria-pressed") == "false"
    assert page.locator("table.domains tbody tr").count() == 5
    assert page.locator("#diagrams .chart").first.locator(".line").count() == 1
    alpha.click()
    assert alpha.get_attribute("aria-pressed") == "true"
    beta.click()
    assert page.locator("#diagrams .chart").first.locator(".line").count() == 2


def test_corruptions_are_a_table_of_kinds_and_severities(visit: Open, usual: Path) -> None:
    page = visit(usual)
    assert page.locator(".heat-table").count() == 2
    table = page.locator(".heat-table").first
    assert [t.strip() for t in table.locator("thead th").all_inner_texts()] == ["severity", "1", "3"]
    assert table.locator("td.heat").all_inner_texts() == ["0.100", "0.060", "0.080"]
    assert table.locator("td.blank").count() == 1
    page.locator("#heat-metric").select_option("accuracy")
    assert "80.0" in table.inner_text()
    table.locator("td.heat button").first.click()
    assert page.locator("#worst-domain option:checked").inner_text() == "snow 3"


def test_diagrams_tell_what_is_under_the_pointer(visit: Open, usual: Path) -> None:
    page = visit(usual)
    chart = page.locator("#diagrams .chart").first
    assert "alpha ECE 0.020" in (chart.get_attribute("aria-label") or "")
    chart.scroll_into_view_if_needed()
    chart.hover()
    assert "confidence about 0.44" in tip(page)
    assert "alpha: states 0.440" in tip(page)
    # the first bin has too few pixels for a line, but it is there as a point
    assert chart.locator("g").first.locator(".point").count() == 6
    assert (chart.locator("g").first.locator(".line").get_attribute("d") or "").count("L") == 4
    risk = page.locator("#risk .chart").first
    assert "alpha keeps 70" in (risk.get_attribute("aria-label") or "")


def test_worst_classes_and_images(visit: Open, usual: Path, made: Any) -> None:
    page = visit(usual)
    assert page.locator("#worst-domain option:checked").inner_text() == "snow 3"
    rows = page.locator("table.classes tbody tr")
    assert "car" in rows.first.inner_text()
    assert made.evil in rows.last.inner_text()
    page.locator("table.classes thead button", has_text="Pixels").click()
    assert "0 %" in rows.last.inner_text().replace("\u00a0", " ")
    page.locator("table.domains tbody button", has_text="night").first.click()
    assert page.locator("#worst-domain option:checked").inner_text() == "night"
    assert "night/0" in words(page, ".worst-image >> nth=0")
    page.locator(".worst-image .strip").click()
    assert page.locator("#viewer .big-tile img").count() == 3
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()


def test_before_and_after(visit: Open, calibrated: Path) -> None:
    page = visit(calibrated)
    assert page.locator(".said .warning").count() == 1
    assert "Fitted on 1 set of images" in words(page, "#before-body details")
    overall = page.locator("table.overall tbody tr")
    assert "0 of 4 domains" in overall.first.inner_text()
    assert "5 of 5 domains" in overall.last.inner_text()
    # the source apart from the others
    assert "0.200 → 0.600" in overall.last.locator("td").first.inner_text()
    assert "0.100 → 0.300" in overall.last.locator("td").nth(1).inner_text()
    assert "0.20 ×" in overall.first.inner_text().replace("\u00a0", " ")
    night = page.locator(".dumbbell-group", has_text="night")
    assert "–" in night.locator(".dumbbell", has_text="local").inner_text()
    assert "0.100 → 0.300▲ worse" in night.locator(".dumbbell-value").last.inner_text().replace("\n", "")
    page.locator("#before-metric").select_option("accuracy")
    assert "High is good" in words(page, "#before-body")
    assert page.locator("#lead-model option:checked").inner_text() == "local"  # the best by NLL
    page.locator("#worst-domain").select_option(label="night")
    assert "not examined" in words(page, "#worst-body")


@pytest.mark.parametrize("part", ["models", "domains", "cells", "scores"])
def test_empty_lists(visit: Open, tmp_path: Path, part: str, made: Any) -> None:
    data = made.summary()
    data[part] = []
    if part in {"models", "domains"}:
        data["cells"] = []
    page = visit(made.write(tmp_path, data))
    assert words(page, "h1") == "It holds."
    assert "undefined" not in words(page, "body")
    assert "NaN" not in words(page, "body")
    assert page.locator("#nav a").count() == page.locator("main section[data-nav]:visible").count()


def test_nothing_but_undefined_figures(visit: Open, tmp_path: Path, made: Any) -> None:
    data = made.summary()
    names = ("reliability", "classes", "worst")
    empty = {name: [] for name in names} | {"misclassification": {}, "risk_coverage": {}, "intervals": {}}
    for cell in data["cells"]:
        why = "no image could be examined"
        cell.update(empty | {"ood_images": None, "relative": None, "sentence": "", "stated": {"0.9": None}})
        cell["reasons"] = dict.fromkeys(cell["metrics"], why)
        cell["metrics"] = dict.fromkeys(cell["metrics"])
    data["cells"][0] = made.cell("alpha", made.domains[0], 0.02)
    page = visit(made.write(tmp_path, data))
    page.locator("table.domains tbody tr").nth(1).locator(".none").first.hover()
    assert "no image could be examined" in tip(page)
    assert "Nothing could be judged here." in words(page, "#lead-body")
    for word in ("NaN", "Infinity", "null"):
        assert word not in words(page, "body")


def test_hostile_names_stay_text(visit: Open, tmp_path: Path, made: Any) -> None:
    data = made.summary((made.evil, "b"))
    data["title"] = data["headline"] = made.evil
    page = visit(made.write(tmp_path, data))
    assert words(page, "h1") == made.evil
    assert made.evil in words(page, "#models")
    assert page.locator("img[src=x]").count() == 0


def test_many_domains_are_folded(visit: Open, tmp_path: Path, made: Any) -> None:
    data = made.summary(("alpha",))
    more = [
        made.domain(f"city {c} {s}", of="city", corruption=c, severity=s) for c in "abcdef" for s in (1, 2, 3)
    ]
    data["domains"] += more
    data["cells"] += [made.cell("alpha", d, 0.05) for d in more]
    page = visit(made.write(tmp_path, data))
    assert page.locator("table.domains tbody tr").count() == 2  # the corrupted ones have their own table
    assert page.locator(".heat-table td.heat").count() == 21
    assert page.locator("#diagrams .panel").count() == 8
    page.get_by_role("button", name="Show all 23 domains").last.click()
    assert page.locator("#risk .panel").count() == 23
    assert not page.locator("#models").is_visible()


def test_pooled_row_is_no_domain_of_its_own(visit: Open, tmp_path: Path, made: Any) -> None:
    data = made.summary(("alpha",))
    pooled = made.domain("all together", images=18)
    data["domains"].append(pooled)
    data["cells"].append(made.cell("alpha", pooled, 0.5))
    page = visit(made.write(tmp_path, data))
    assert page.locator(".lead-row").count() == 5
    assert "5 domains · 18 images" in words(page, "#meta")
    assert "pooled" in page.locator("table.domains tbody tr").last.inner_text()


def test_narrow_window_and_themes(visit: Open, usual: Path, calibrated: Path) -> None:
    for path in (usual, calibrated):
        page = visit(path, color_scheme="dark")
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        colour = "Number(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0])"
        assert page.evaluate(colour) < 60
        page.locator("#theme").click()
        assert page.evaluate(colour) > 200


def test_end_says_how_the_page_was_made(visit: Open, usual: Path) -> None:
    page = visit(usual)
    page.locator("#detected summary").click()
    assert words(page, "#detected").count("layout found") == 1
    assert "alpha: ONNX" in words(page, "#detected")
    assert "1 image left out" in words(page, "#left-out")
