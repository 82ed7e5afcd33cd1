"""The pages on detections in a browser: what a reader can do with them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.jobs.validate_world import crowd_of, draw, tiny

from dubio.core.boxes import BoxDataset
from dubio.core.labelspace import LabelClass, LabelSpace
from dubio.jobs.calibrate_boxes import BoxCalibrateOptions, calibrate_boxes
from dubio.jobs.validate import ValidateOptions, validate

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crowd")
    data, found = crowd_of(40, seed=2)
    images = draw(folder / "images", sorted(data.labels), (1000, 1000))
    samples = tuple(replace(s, image=images / f"{s.image_id}.png") for s in data.samples)
    names = LabelSpace("farm", (LabelClass(0, "cow", (200, 0, 0)), LabelClass(1, EVIL, (0, 0, 200))))
    shown = BoxDataset(EVIL, names, samples, data.labels)
    found[data.samples[0].image_id] = found[data.samples[0].image_id].take([0, 1])
    options = ValidateOptions(min_score=0.0, replicates=50, pictures=20)
    result = validate(shown, found, folder / "run", options)
    return result


def words(page, selector):
    return str(page.locator(selector).first.inner_text()).replace("\u00a0", " ")


def tip(page):
    page.locator("#tip").wait_for()
    return words(page, "#tip")


def test_headline_figures_and_sections(visit, crowd):
    page = visit(crowd.report)
    assert words(page, "h1") == crowd.summary["headline"]
    assert "40 images · 240 labelled boxes" in words(page, "#meta")
    assert page.locator("#nav a").all_inner_texts() == [
        "Pictures", "Precision", "Classes", "Uncertainty", "Worth", "Causes", "Corner cases",
    ]  # fmt: skip
    assert "corners off by" in words(page, ".facts")
    for word in ("undefined", "NaN", "null"):
        assert word not in words(page, "body").replace("undefined here", "")
    assert page.locator("img[src=x]").count() == 0
    assert EVIL in words(page, "#classes")


def test_wall_orders_colours_and_bands(visit, crowd):
    page = visit(crowd.report)
    cards = page.locator("#wall .scene-card")
    assert cards.count() == 12
    first = cards.first.inner_text()
    page.locator("#wall-order").select_option("missed")
    assert "missed" in cards.first.inner_text()
    assert cards.first.locator(".label.missed").count() >= 1
    page.locator("#wall-order").select_option("uncertain")
    assert cards.first.inner_text() == first
    before = cards.first.locator(".detection").first.get_attribute("stroke")
    strokes = cards.first.locator(".detection").evaluate_all("all => all.map(e => e.getAttribute('stroke'))")
    assert len(set(strokes)) > 1  # each box has its own colour
    page.locator("#wall-doubt").select_option("score")
    assert cards.first.locator(".detection").first.get_attribute("stroke") != before
    assert page.locator("#wall-doubt option").count() == 10
    bands = cards.first.locator(".band")
    assert bands.count() == cards.first.locator(".detection").count()
    path = bands.first.get_attribute("d")
    page.locator("#wall-band").select_option("interval")
    assert bands.first.get_attribute("d") != path
    page.locator("#wall-band").select_option("none")
    assert bands.count() == 0
    page.locator("#wall-labels").uncheck()
    assert page.locator("#wall .label:not(.missed)").count() == 0


def test_bands_are_as_wide_as_sigma(visit, tmp_path):
    data, found = tiny()
    options = ValidateOptions(min_score=0.0, cross_fit=False, replicates=0)
    page = visit(validate(data, found, tmp_path / "run", options).report)
    page.locator("#wall-order").select_option("false")
    paths = page.locator("#wall .scene-card").first.locator(".band")
    drawn = paths.evaluate_all("all => all.map(e => e.getAttribute('d'))")
    # corners 10 10 30 28 with sigma 1 2 3 4: outer box 9 8 33 32, inner 11 12 27 24
    assert "M9 8H33V32H9ZM11 12H27V24H11Z" in drawn


def test_large_view_tells_of_every_box(visit, crowd):
    page = visit(crowd.report)
    page.locator("#wall .scene-open").first.click()
    dialog = page.locator("#viewer")
    assert dialog.is_visible()
    rows = dialog.locator("tbody tr")
    assert rows.count() == dialog.locator(".touch").count()
    dialog.locator(".touch").first.hover()
    assert "sigma x0 y0 x1 y1" in page.locator("#viewer g[data-tip]").first.get_attribute("data-tip")
    dialog.locator("thead button", has_text="IoU").click()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_charts_tell_what_is_under_the_pointer(visit, crowd):
    page = visit(crowd.report)
    chart = page.locator("#stated .chart").first
    chart.scroll_into_view_if_needed()
    chart.hover()
    assert "stated share within" in tip(page)
    assert "calibrated" in words(page, "#tip")
    page.locator("#curve-class").select_option("cow")
    assert page.locator("#curves .chart").nth(1).locator(".line").count() == 2
    page.locator("#along").select_option("sigma_rel")
    assert "total spread" in (page.locator("#worth .chart").first.get_attribute("aria-label") or "")


def test_kinds_and_corner_cases(visit, crowd):
    page = visit(crowd.report)
    assert page.locator("#stated tbody tr").count() == 6  # three kinds, raw and calibrated
    assert page.locator("#high_aleatoric .scene").count() >= 3
    crop = page.locator("#high_epistemic .scene").first
    assert float((crop.get_attribute("viewBox") or "").split()[2]) < 400
    assert crop.locator(".detection").count() == 1


def test_a_detector_without_variances(visit, tmp_path):
    data, found = tiny()
    bare = {k: replace(v, box_aleatoric=None, box_epistemic=None) for k, v in found.items()}
    options = ValidateOptions(min_score=0.0, replicates=0)
    page = visit(validate(data, bare, tmp_path / "run", options).report)
    assert "the detections state no variances" in words(page, "#stated")
    assert "too few to calibrate on" in words(page, "#stated")
    assert "Nothing to show" in words(page, "#corners")
    assert page.locator("#wall-band").count() == 0


def test_corruptions_and_run_time(visit, tmp_path):
    data, found = tiny()
    result = validate(data, found, tmp_path / "run", ValidateOptions(min_score=0.0, replicates=0))
    from dubio.report.validate_page import write_validate_page

    row = {"name": "as it is", "ap": 0.5, "precision": 0.5, "agreement": None, "moves": False}
    summary = {
        **result.summary,
        "corruptions": [row, {**row, "name": "flip-h", "ap": 0.25, "moves": True, "agreement": 0.75}],
        "run_time": {"images": 9, "mean_ms": 12.0, "std_ms": 1.0, "median_ms": 11.5},
        "quarantine": [["x", "is damaged"]],
    }
    wall = {"images": [], "also": {}, "quantiles": {}, "palette": []}
    page = visit(write_validate_page(result.path, summary, wall))
    assert "boxes moved" in words(page, "#corruptions tbody tr >> nth=1")
    assert "0.75" in words(page, "#corruptions tbody tr >> nth=1")
    assert "11.5 ms" in words(page, ".facts")
    assert "1 image left out" in words(page, "#left-out")
    assert not page.locator("#wall").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_window_and_themes(visit, crowd, tmp_path, scheme):
    data, found = crowd_of(30, seed=6)
    options = BoxCalibrateOptions(compare=False, replicates=20)
    other = calibrate_boxes(data, found, tmp_path / "cal", options).report
    for path in (crowd.report, other):
        page = visit(path, color_scheme=scheme)
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        colour = "Number(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0])"
        assert (page.evaluate(colour) < 60) == (scheme == "dark")


def test_calibration_page(visit, tmp_path):
    data, found = crowd_of(30, seed=6, sigma_factor=3)
    result = calibrate_boxes(data, found, tmp_path / "cal", BoxCalibrateOptions(replicates=20))
    page = visit(result.report)
    assert words(page, "h1").startswith("Corners (")
    assert page.locator("#corners .chart").count() == 2
    table = page.locator("#corners tbody")
    assert "as it is" in table.inner_text()
    assert "chosen" in table.inner_text()
    page.locator("#corners thead button", has_text="published ECE").click()
    assert page.locator("#corners th[aria-sort='ascending']").count() == 1
    chart = page.locator("#corners .chart").nth(1)
    chart.hover()
    assert "states" in tip(page)
    page.locator("#said summary").click()
    assert "temperature" in words(page, "#said")
