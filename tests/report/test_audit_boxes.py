"""The page of an audit of boxes: pictures, words, and the page in a browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dubio.core.boxes import BoxDataset, BoxLabels, DetPrediction
from dubio.errors.findings import BOX_KINDS, Finding
from dubio.report.audit_page import headline, write_audit_report
from dubio.report.box_pens import AMBER, SKY, View
from dubio.report.box_strips import strip_of, whole_of
from dubio.report.pictures import GAP, TILE, save_strip

Open = Callable[..., Any]
H, W = 90, 120
GIVEN, SEEN = (30.0, 20.0, 60.0, 50.0), (36.5, 24.0, 66.0, 55.0)


def finding(fake: Any, n: int, kind: str, **values: Any) -> Finding:
    space = fake.make_space()
    given = None if kind == "missing" else GIVEN
    proposed = None if kind in ("spurious", "duplicate") else SEEN
    classes = {"missing": (-1, 2), "spurious": (1, -1), "wrong_class": (1, 2)}.get(kind, (1, 1))
    names = [space.name_of(c) if c >= 0 else "" for c in classes]
    row: dict[str, Any] = {
        "kind": kind, "given_index": classes[0], "proposed_index": classes[1], "given": names[0],
        "proposed": names[1], "given_box": given, "proposed_box": proposed,
        "label": -1 if given is None else 0,
        "runs": np.zeros(0, np.int32), "x0": 30, "y0": 20, "x1": 66, "y1": 55, "size": 900,
        "p_given": float("nan"), "p_proposed": float("nan") if kind == "spurious" else 0.8,
        "reason": f"This one is {kind}.",
    }  # fmt: skip
    found: Finding = fake.make_finding(n, space, **{**row, **values})
    return found


def labels() -> BoxLabels:
    return BoxLabels(np.array([GIVEN, (31, 21, 61, 50), (80, 10, 100, 40)]), np.array([1, 1, 2]))


def seen(variance: float | None = 9.0) -> DetPrediction:
    boxes = np.array([SEEN, (80, 10, 100, 41), (2, 2, 12, 12)])
    spread = None if variance is None else np.full((3, 4), variance)
    return DetPrediction(
        boxes, np.array([0.8, 0.7, 0.1]), np.array([2, 2, 0]), 6, box_aleatoric=spread, box_epistemic=spread
    )


def has(picture: Image.Image, tile: int, color: tuple[int, int, int]) -> int:
    """How many pixels of a tile have a colour."""
    left = tile * (TILE[0] + GAP)
    part = np.asarray(picture)[:, left : left + TILE[0]]
    return int((part == color).all(2).sum())


GREY = np.full((H, W, 3), 128, np.uint8)


def test_each_tile_shows_its_own(fake: Any) -> None:
    space = fake.make_space()
    for kind in BOX_KINDS:
        found = finding(fake, 1, kind)
        picture = strip_of(found, space, GREY, labels(), seen())
        assert picture.size == (3 * TILE[0] + 2 * GAP, TILE[1])
        assert has(picture, 0, AMBER) == has(picture, 0, SKY) == 0
        assert has(picture, 0, (255, 255, 255)) > 0  # the place is marked
        assert (has(picture, 1, AMBER) > 0) == (kind != "missing")
        assert has(picture, 1, SKY) == 0
        assert (has(picture, 2, SKY) > 0) == (kind in ("missing", "wrong_class", "location"))
        assert (has(picture, 2, AMBER) > 0) == (kind in ("spurious", "location", "duplicate"))


def test_spread_is_drawn_where_it_is_known(fake: Any) -> None:
    space, found = fake.make_space(), finding(fake, 1, "location")
    with_it = strip_of(found, space, GREY, labels(), seen())
    without = strip_of(found, space, GREY, labels(), seen(None))
    tiny = strip_of(found, space, GREY, labels(), seen(1e-6))
    assert has(with_it, 2, SKY) > has(without, 2, SKY)
    assert np.array_equal(np.asarray(tiny), np.asarray(without))


def test_without_a_picture_two_tiles_remain(fake: Any) -> None:
    space = fake.make_space()
    assert strip_of(finding(fake, 1, "missing"), space, None, labels(), None).width == 2 * TILE[0] + GAP
    assert whole_of(space, None, (H, W), labels(), seen()).width == 2 * TILE[0] + GAP
    assert whole_of(space, GREY, (H, W), labels(), seen()).width == 3 * TILE[0] + 2 * GAP


def test_the_cut_takes_in_both_boxes(fake: Any) -> None:
    far = finding(fake, 1, "location", proposed_box=(400.0, 300.0, 460.0, 380.0), width=640, height=480)
    picture = strip_of(far, fake.make_space(), np.full((480, 640, 3), 128, np.uint8), labels(), None)
    assert has(picture, 1, AMBER) > 0
    assert has(picture, 2, SKY) > 0


corner = st.floats(-500, 3000, allow_nan=False)


@given(st.tuples(corner, corner, corner, corner), st.sampled_from(BOX_KINDS))
def test_any_box_can_be_drawn(fake: Any, box: tuple[float, ...], kind: str) -> None:
    """Beyond the picture, without extent, or inside out."""
    x0, x1 = sorted(box[::2])
    y0, y1 = sorted(box[1::2])
    changes = {"given_box": (x0, y0, x1, y1)} if kind != "missing" else {"proposed_box": (x0, y0, x1, y1)}
    picture = strip_of(finding(fake, 1, kind, **changes), fake.make_space(), GREY, labels(), seen())
    assert picture.size == (3 * TILE[0] + 2 * GAP, TILE[1])


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_view_fits_its_tile(wide: int, high: int) -> None:
    view = View.of((5, 7, 5 + wide, 7 + high), TILE)
    assert view.size[0] <= TILE[0] + 1
    assert view.size[1] <= TILE[1] + 1
    corners = view.place((5, 7, 5 + wide, 7 + high))
    np.testing.assert_allclose(corners, (0, 0, *view.size), atol=1)


def write(folder: Path, fake: Any, findings: list[Finding], **summary: Any) -> Path:
    space = fake.make_space()
    values = {"kinds": {k: sum(f.kind == k for f in findings) for k in BOX_KINDS}, **summary}
    dataset = BoxDataset("fake pets", space, (), {})
    folder.mkdir(exist_ok=True)
    write_audit_report(
        folder, findings, fake.make_summary(space, findings, **values), dataset, {"p7": "broken"}
    )
    return folder / "report.html"


@pytest.fixture(scope="module")
def page_of(tmp_path_factory: pytest.TempPathFactory, fake: Any) -> Path:
    """Two findings of each kind, the first five with pictures, and an image that looks unlabelled."""
    folder, space = tmp_path_factory.mktemp("boxes"), fake.make_space()
    findings = []
    for n, kind in enumerate((*BOX_KINDS, *BOX_KINDS), start=1):
        name = f"pictures/{n:05d}.jpg" if n <= 5 else None
        made = finding(fake, n, kind, picture=name)
        if name is not None:
            save_strip(strip_of(made, space, GREY, labels(), seen()), folder / name)
        findings.append(made)
    save_strip(whole_of(space, GREY, (H, W), labels(), seen()), folder / "pictures/image-001.jpg")
    row = {
        "image_id": "scene_0000", "score": 0.9, "fault": 0.8, "fault_kind": "unlabelled", "findings": 2,
        "reason": "Most look unlabelled; 2 boxes, about 12 unlabelled objects seen. 11 of them are car.",
        "picture": "pictures/image-001.jpg",
    }  # fmt: skip
    pq.write_table(pa.Table.from_pylist([row]), folder / "images.parquet")
    return write(folder, fake, findings)


def test_headline_counts_boxes(fake: Any) -> None:
    space = fake.make_space()
    kinds = dict.fromkeys(BOX_KINDS, 0)
    many = headline(fake.make_summary(space, [], kinds=kinds)).replace("\u00a0", " ")
    assert many.startswith("About 27 label errors expected among 3,140 labelled boxes (90 %: 19 to 36).")
    assert "among 1 labelled box (" in headline(fake.make_summary(space, [], kinds=kinds, regions=1))


def test_page_speaks_of_boxes(visit: Open, page_of: Path) -> None:
    page = visit(page_of)
    text = page.locator("main").inner_text().lower()
    for words in ("label region", "pixel", "void", "outline", "undefined", "nan"):
        assert words not in text, words
    for words in (
        "labelled boxes", "boxes confirmed", "boxes moved or drawn twice", "the labels of 1 image look wrong",
        "about 12 unlabelled objects seen", "1 picture can't be read",
    ):  # fmt: skip
        assert words in text, words
    heads = page.locator("table.classes thead th").all_inner_texts()
    assert [w.split("\n")[0].strip("↓ ") for w in heads][1:4] == ["Boxes", "Share", "Confirmed"]


def test_cards_say_what_label_and_model_say(visit: Open, page_of: Path) -> None:
    page = visit(page_of)
    said = {
        kind: page.locator(f"#f{n} .captions").inner_text().replace("\n", " ")
        for n, kind in enumerate(BOX_KINDS, start=1)
    }
    assert "label says nothing" in said["missing"]
    assert "model says car" in said["missing"]
    assert "model says nothing" in said["spurious"]
    assert "label says sidewalk" in said["wrong_class"]
    assert "model says car" in said["wrong_class"]
    assert "model sees it elsewhere" in said["location"]
    assert "model sees one object" in said["duplicate"]
    assert "36 × 35 px" in page.locator("#f1 .facts").inner_text()
    hues = page.evaluate(
        "[...document.querySelectorAll('button.kind')]"
        ".map(b => getComputedStyle(b, '::before').backgroundColor)"
    )
    assert len(set(hues)) == 5
    assert "rgba(0, 0, 0, 0)" not in hues


def shown(page: Any) -> list[int]:
    return [
        int(v)
        for v in page.evaluate("[...document.querySelectorAll('article.card')].map(c => c.id.slice(1))")
    ]


def test_filter_by_each_kind(visit: Open, page_of: Path) -> None:
    page = visit(page_of)
    for n, kind in enumerate(BOX_KINDS, start=1):
        page.locator(f"[data-kind={kind}]").click()
        assert shown(page) == [n, n + 5]
        page.locator("#reset").click()
    page.locator("#class-filter").select_option(label="nothing (4)")
    assert len(shown(page)) == 4  # nothing labelled, or nothing seen


def test_verdicts_by_keys_are_saved(visit: Open, page_of: Path, tmp_path: Path) -> None:
    page = visit(page_of)
    page.locator("#f1").focus()
    for pressed in ("a", "r", "a"):
        page.keyboard.press(pressed)
    assert "3 of 10" in page.locator("#progress").inner_text()
    with page.expect_download() as caught:
        page.locator("#save").click()
    caught.value.save_as(tmp_path / "verdicts.json")
    rows = json.loads((tmp_path / "verdicts.json").read_text())["verdicts"]
    assert [(r["finding"], r["kind"], r["verdict"]) for r in rows] == [
        (1, "missing", "accepted"), (2, "spurious", "rejected"), (3, "wrong_class", "accepted"),
    ]  # fmt: skip


def test_large_view_has_three_tiles(visit: Open, page_of: Path) -> None:
    page = visit(page_of)
    page.locator("#f4 .strip").click()
    captions = page.locator("#viewer figcaption").all_inner_texts()
    assert [c.replace("\n", " ") for c in captions] == [
        "picture",
        "label says sidewalk",
        "model sees it elsewhere",
    ]


@pytest.mark.parametrize("wide", [390, 1440])
def test_nothing_sticks_out(browser: Any, visit: Open, page_of: Path, wide: int) -> None:
    context = browser.new_context(viewport={"width": wide, "height": 844})
    page = visit(page_of, context)
    assert page.evaluate("document.documentElement.scrollWidth") <= wide
    context.close()


def test_page_without_findings_or_boxes(visit: Open, fake: Any, tmp_path: Path) -> None:
    none = dict.fromkeys(("expected", "low", "high", "error_rate", "quality", "met_share"))
    values = {"regions": 0, "pixel_agreement": float("nan"), "note": "there is nothing to learn from", **none}
    nothing = write(tmp_path / "run", fake, [], **values)
    page = visit(nothing)
    assert "nothing to review" in page.locator("#cards").inner_text()
    assert "Boxes confirmed" in page.locator("#figures").inner_text()


def test_boxes_far_from_a_tile_are_not_drawn_one_by_one():
    view = View.of((100, 100, 200, 200), (400, 400))
    boxes = np.array(
        [[0.0, 0, 50, 50], [90, 90, 110, 110], [0, 0, 900, 900], [205, 100, 300, 200], [120, 10, 130, 96]]
    )
    assert view.near(boxes).tolist() == [False, True, True, False, False]
    assert view.near(np.zeros((0, 4))).shape == (0,)
