"""What a format can hold comes back as it was written."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, DetPrediction
from dubio.data.boxes import (
    open_boxes,
    open_detections,
    write_boxes,
    write_coco_results,
    write_yolo_results,
)
from dubio.data.boxes.table import space_of

# format -> path below the folder, what it holds beside boxes and classes
FORMATS = {
    "coco": ("a.json", {"ids", "crowd", "difficult", "occlusion", "truncation", "distance", "area"}),
    "voc": ("voc", {"difficult", "flags"}),
    "yolo": ("yolo", set()),
    "kitti": ("kitti", {"occlusion", "truncation", "ignore"}),
    "bdd100k": ("b.json", {"ids", "crowd", "flags", "ignore"}),
    "cvat": ("c.xml", {"crowd", "difficult", "flags"}),
    "label-studio": ("l.json", {"ids"}),
    "csv": ("d.csv", {"ids", "crowd", "difficult", "occlusion", "truncation", "distance"}),
}
NAMES = ("Car", "Pedestrian", "Cyclist")
EIGHTHS = st.integers(-80, 400).map(lambda k: k / 8)
GRADE = st.one_of(st.just(np.nan), st.sampled_from([0.0, 1.0]))


@st.composite
def boxes(draw, n):
    corner = np.array(draw(st.lists(st.tuples(EIGHTHS, EIGHTHS), min_size=n, max_size=n))).reshape(n, 2)
    extent = draw(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), min_size=n, max_size=n))
    return np.hstack([corner, corner + np.array(extent, float).reshape(n, 2) / 2])


@st.composite
def labels(draw, first):
    n = draw(st.integers(0, 4))
    column = {k: np.array(draw(st.lists(GRADE, min_size=n, max_size=n))) for k in ("occlusion", "truncation")}
    flags = {
        k: np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
        for k in ("crowd", "difficult")
    }
    return BoxLabels(
        draw(boxes(n)),
        np.array(draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)), int),
        ids=np.array([str(first + k) for k in range(n)], np.str_),
        distance=np.array(draw(st.lists(st.sampled_from([np.nan, 12.5]), min_size=n, max_size=n))),
        ignore=draw(boxes(draw(st.integers(0, 2)))),
        area=np.array(draw(st.lists(st.sampled_from([np.nan, 17.25]), min_size=n, max_size=n))),
        **column,
        **flags,
    )


@st.composite
def datasets(draw):
    n = draw(st.integers(1, 3))
    sizes = [(draw(st.integers(8, 64)), draw(st.integers(8, 64))) for _ in range(n)]
    found = {f"im_{k}.x": draw(labels(10 * k + 1)) for k in range(n)}
    samples = tuple(
        BoxSample(name, width=w, height=h, file_name=f"{name}.png")
        for name, (w, h) in zip(found, sizes, strict=True)
    )
    return BoxDataset("drawn", space_of("drawn", NAMES, (1, 4, 6)), samples, found)


def put_pictures(dataset, folder):
    folder.mkdir(parents=True)
    for s in dataset:
        Image.new("L", (s.width, s.height)).save(folder / s.file_name)


def same_column(ours, theirs, n):
    blank = np.full(n, np.nan)
    return np.testing.assert_array_equal(blank if theirs is None else theirs, blank if ours is None else ours)


@pytest.mark.parametrize("layout", FORMATS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(dataset=datasets())
def test_a_data_set_comes_back(layout, dataset):
    place, holds = FORMATS[layout]
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        put_pictures(dataset, root / "images")
        write_boxes(dataset, root / place, layout)
        back = open_boxes(root / place, layout, root / "images", space=dataset.space, strict=True)
    assert [s.image_id for s in back] == [s.image_id for s in dataset]
    for s in dataset:
        want, got = dataset.labels[s.image_id], back.labels[s.image_id]
        np.testing.assert_allclose(got.boxes, want.boxes, atol=1e-9, rtol=0)
        np.testing.assert_array_equal(got.classes, want.classes)
        for key in {"crowd", "difficult"} & holds:
            np.testing.assert_array_equal(getattr(got, key), getattr(want, key))
        graded = holds | ({"occlusion", "truncation"} if "flags" in holds else set())
        for key in {"occlusion", "truncation", "distance"} & graded:
            same_column(getattr(want, key), getattr(got, key), len(want))
        if "area" in holds:
            np.testing.assert_allclose(got.object_areas, want.object_areas, atol=1e-9)
        if "ids" in holds and len(want):
            assert got.ids.tolist() == want.ids.tolist()
        if "ignore" in holds:
            np.testing.assert_array_equal(got.ignore, want.ignore)


@pytest.mark.parametrize("layout", FORMATS)
def test_what_a_format_cannot_hold_is_said(layout, tmp_path):
    one = BoxLabels(
        np.array([[1.0, 1, 5, 5]]), np.array([0]), ids=np.array(["x7"]), ignore=np.ones((1, 4)),
        distance=np.array([3.0]), crowd=np.array([True]), difficult=np.array([True]),
    )  # fmt: skip
    sample = BoxSample("a", width=9, height=9, domain={"weather": "rain"})
    dataset = BoxDataset("d", space_of("d", NAMES, (1, 4, 6)), (sample,), {"a": one})
    place, holds = FORMATS[layout]
    said = " ".join(write_boxes(dataset, tmp_path / place, layout))
    words = {"ids": "names of boxes", "crowd": "crowd flags", "distance": "distances", "ignore": "ignored"}
    for key, word in words.items():
        assert (word in said) == (key not in holds or (layout == "coco" and key == "ids"))
    assert ("domain tags" in said) == (layout != "bdd100k")


@settings(max_examples=25, deadline=None)
@given(dataset=datasets(), seed=st.integers(0, 99))
def test_detections_come_back_with_all_they_carry(dataset, seed):
    rng = np.random.default_rng(seed)
    seen = {}
    for s in dataset:
        want = dataset.labels[s.image_id]
        n = len(want)
        raw = rng.normal(size=(n, 3))
        seen[s.image_id] = DetPrediction(
            want.boxes, rng.random(n), want.classes, 3, raw, "logits", rng.random((n, 4)),
            rng.random((n, 4)), rng.random((n, 3)), s.image_id,
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_coco_results(dataset, seen, root / "r.json")
        write_yolo_results(dataset, seen, root / "yolo")
        # numbers of images are those of the file that goes with the results
        write_boxes(dataset, root / "a.json", "coco")
        from_coco = open_detections(open_boxes(root / "a.json", space=dataset.space), root / "r.json")
        from_yolo = open_detections(dataset, root / "yolo", strict=True)
    for s in dataset:
        want = seen[s.image_id]
        got = from_coco.predictions[s.image_id]
        np.testing.assert_allclose(got.boxes, want.boxes, atol=1e-9)
        for key in ("scores", "classes", "class_scores", "box_aleatoric", "box_epistemic", "class_variance"):
            if len(want):
                np.testing.assert_array_equal(getattr(got, key), getattr(want, key))
                assert got.kind == "logits"
        bare = from_yolo.predictions[s.image_id]
        np.testing.assert_allclose(bare.boxes, want.boxes, atol=1e-9)
        np.testing.assert_array_equal(bare.scores, want.scores)
