"""Spoilt pictures: boxes and variances follow the picture, colours leave them alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubio.core.errors import InputError
from dubio.data.boxes import open_boxes
from dubio.data.corrupt.boxes import PUBLISHED_LEVELS, box_corruption_names, parse_box_corruptions
from dubio.data.corrupt.moves import BoxMove
from dubio.jobs.validate import ValidateOptions, validate
from dubio.jobs.validate_detect import Detecting
from dubio.models.det.load import load_detector
from dubio.models.det.source import DetectionSource
from dubio.uncertainty.boxes.suppress import Suppression

from .validate_world import labels, seen, squares, squares_detector

MOVES = ["flip-h", "flip-v", "rotate-90", "rotate-180", "rotate-270", "scale:2", "shift:0.1", "shift:-0.2"]


def apply(spec, image):
    return parse_box_corruptions(spec)[0].apply(image, seed=0, image_id="a")


@pytest.mark.parametrize("spec", [*MOVES, "crop:0.8", "scale:0.5"])
def test_boxes_go_where_the_picture_goes(spec):
    image = np.zeros((60, 100, 3), np.uint8)
    image[20:32, 30:50] = 255
    moved, move = apply(spec, image)
    box = move.labels(labels([[30, 20, 50, 32]], [0])).boxes[0]
    assert move.after == moved.shape[:2]
    rows, columns = np.nonzero(moved[..., 0] > 100)
    painted = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(box, painted, atol=0.01)


@pytest.mark.parametrize(
    ("spec", "want"),
    [
        ("flip-h", [3, 2, 1, 4]),
        ("flip-v", [1, 4, 3, 2]),
        ("rotate-90", [2, 3, 4, 1]),
        ("rotate-180", [3, 4, 1, 2]),
        ("rotate-270", [4, 1, 2, 3]),
        ("scale:2", [4, 8, 12, 16]),
        ("shift:0.1", [1, 2, 3, 4]),
        ("crop:0.9", [1, 2, 3, 4]),
        ("fog:1", [1, 2, 3, 4]),
    ],
)
def test_variances_follow_their_corner(spec, want):
    _, move = apply(spec, np.zeros((60, 100, 3), np.uint8))
    found = move.prediction(seen([[30, 20, 50, 32]], [0.9], [0], box_aleatoric=[[1, 2, 3, 4]]))
    np.testing.assert_allclose(found.box_aleatoric, [want])
    assert found.box_epistemic is None


corner = st.tuples(st.floats(0, 80), st.floats(0, 40), st.floats(1, 20), st.floats(1, 20))


@given(st.lists(corner, min_size=1, max_size=6))
def test_moves_that_undo_each_other(values):
    a = np.array(values)
    boxes, variances = np.hstack([a[:, :2], a[:, :2] + a[:, 2:]]), np.abs(a) + 1
    image = np.zeros((60, 100, 3), np.uint8)
    for one, other in (("flip-h", "flip-h"), ("flip-v", "flip-v"), ("rotate-90", "rotate-270")):
        turned, there = apply(one, image)
        _, back = apply(other, turned)
        np.testing.assert_allclose(back.boxes(there.boxes(boxes)), boxes, atol=1e-9)
        np.testing.assert_allclose(back.variances(there.variances(variances)), variances)
    assert (there.boxes(boxes)[:, 2:] >= there.boxes(boxes)[:, :2]).all()


def test_areas_of_objects_go_with_their_boxes():
    image = np.zeros((100, 100, 3), np.uint8)
    truth = labels([[10, 10, 30, 30], [40, 40, 90, 60]], [0, 0], area=np.array([100.0, np.nan]))
    for spec, want in (("scale:2", 400.0), ("rotate-90", 100.0), ("crop:0.6", 25.0)):
        np.testing.assert_allclose(apply(spec, image)[1].labels(truth).area, [want, np.nan])
    assert apply("scale:2", image)[1].labels(labels([[10, 10, 30, 30]], [0])).area is None


def test_boxes_that_leave_the_picture():
    image = np.zeros((100, 100, 3), np.uint8)
    truth = labels(
        [[0, 40, 10, 60], [20, 40, 35, 60], [24, 40, 44, 60], [50, 40, 60, 60], [20, 0, 25.5, 99]], [0] * 5,
        ids=np.array(list("abcde")), ignore=np.array([[0, 0, 5, 5], [0, 0, 50, 50.0]]),
    )  # fmt: skip
    _, move = apply("crop:0.5", image)
    cut = move.labels(truth)
    assert cut.ids.tolist() == ["b", "c", "d", "e"]  # the first is out of sight
    np.testing.assert_allclose(cut.boxes[0], [0, 15, 10, 35])
    np.testing.assert_allclose(cut.truncation[:2], [1 / 3, 0.05])
    assert np.isnan(cut.truncation[2])  # untouched, and nobody knows
    assert cut.difficult.tolist() == [False, False, False, True]
    np.testing.assert_allclose(cut.ignore, [[0, 0, 25, 25]])
    assert len(move.prediction(seen(truth.boxes, [0.5] * 5, [0] * 5))) == 4


def test_what_had_left_the_picture_before_is_no_loss():
    _, move = apply("flip-h", np.zeros((100, 100, 3), np.uint8))
    cut = move.labels(labels([[-30, 40, 10, 60]], [0]))
    assert cut.truncation is None
    assert not cut.difficult.any()


@pytest.mark.parametrize("name", list(PUBLISHED_LEVELS))
def test_defect_levels_of_colour_never_move_boxes(name):
    """The published code takes levels 1 and 2 of some for the way to flip the labels."""
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    truth = labels([[1, 2, 30, 20]], [0])
    for corruption in parse_box_corruptions(name):
        spoilt, move = corruption.apply(image, seed=0, image_id="a")
        assert move.is_still
        assert move.labels(truth) is truth
        assert (spoilt.shape, spoilt.dtype) == (image.shape, np.uint8)
    np.testing.assert_array_equal(apply(f"{name}:0", image)[0], image)
    assert (apply(f"{name}:9", image)[0] != image).any()


def test_defect_noise_neither_brightens_nor_wraps():
    """There, noise was stretched to 255, and values near white turned dark."""
    dark, bright = np.full((90, 90, 3), 31, np.uint8), np.full((90, 90, 3), 250, np.uint8)
    assert abs(apply("ns:5", dark)[0].mean() - 31) < 2
    np.testing.assert_array_equal(apply("ns:0", dark)[0], dark)
    assert apply("ns:1", bright)[0].min() > 180
    assert apply("br:9", bright)[0].min() == 255
    assert apply("ct:9", bright)[0].max() == 0


def test_patch_of_noise_lies_in_the_middle():
    image = np.full((300, 400, 3), 100, np.uint8)
    changed = (apply("nsp:9", image)[0] != image).any(-1)
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (50, 249, 100, 299)


def test_motion_blur_is_horizontal_and_keeps_the_mean():
    image = np.zeros((31, 61, 3), np.uint8)
    image[15, 30] = 255
    spoilt = apply("mb:2", image)[0]
    assert np.nonzero(spoilt[..., 0].any(1))[0].tolist() == [15]
    assert spoilt[15].any(-1).sum() == 11


def test_randomness_is_the_images_own():
    image = np.full((20, 20, 3), 100, np.uint8)
    noise = parse_box_corruptions("ns:4")[0]
    one, again, other = (noise.apply(image, seed=s, image_id=i)[0] for s, i in ((0, "a"), (0, "a"), (0, "b")))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


@pytest.mark.parametrize(
    "spec", ["", "flip-h:1", "ns:10", "ns:x", "scale:0", "shift:nan", "crop:x", "elastic_transform:1",
             "published-rotate:3", "nothing"],
)  # fmt: skip
def test_texts_that_mean_nothing(spec):
    with pytest.raises(InputError):
        parse_box_corruptions(spec)


def test_names_are_known():
    for name in box_corruption_names():
        assert all(c.name == name for c in parse_box_corruptions(name))
    titles = [c.title for c in parse_box_corruptions("scale:0.5,2;imagenet-c:3")]
    assert (titles[:2], len(titles)) == (["scale:0.5", "scale:2"], 2 + 14)
    with pytest.raises(InputError, match="RGB"):
        parse_box_corruptions("flip-h")[0].apply(np.zeros((3, 3), np.uint8), seed=0, image_id="a")


def test_still_is_still():
    assert BoxMove((3, 4), (3, 4)).is_still
    assert not BoxMove((3, 4), (4, 3)).is_still


def test_detector_on_spoilt_pictures(tmp_path):
    yard = squares(tmp_path / "yard")
    path = squares_detector(tmp_path / "net.onnx")
    data = open_boxes(yard / "labels.json", None, yard / "images")
    source = DetectionSource(load_detector(path, suppression=Suppression(score=0.3)), data.space)
    spoil = parse_box_corruptions("flip-h;rotate-90;ct:9;scale:2;crop:0.75")
    options = ValidateOptions(min_score=0.3, replicates=0, cross_fit=False, pictures=0)
    result = validate(data, Detecting(source), tmp_path / "run", options, corruptions=spoil)
    rows = {r["name"]: r for r in result.summary["corruptions"]}
    assert list(rows) == ["as it is", "flip-h", "rotate-90", "ct:9", "scale:2", "crop:0.75"]
    for name in ("as it is", "flip-h", "rotate-90", "scale:2"):
        assert (rows[name]["precision"], rows[name]["recall"]) == (1.0, 1.0), name
    for name in ("flip-h", "rotate-90"):
        assert rows[name]["agreement"] == pytest.approx(1)
        assert rows[name]["sharpness"] == pytest.approx(rows["as it is"]["sharpness"], rel=1e-5)
        assert rows[name]["rmse"] == pytest.approx(rows["as it is"]["rmse"])
    assert rows["scale:2"]["sharpness"] == pytest.approx(2 * rows["as it is"]["sharpness"], rel=1e-5)
    assert (rows["ct:9"]["recall"], rows["ct:9"]["agreement"]) == (0.0, 0.0)
    assert rows["crop:0.75"]["labels"] < rows["as it is"]["labels"]
    assert "ct:9 costs most" in result.summary["sentences"][-1]
    time = result.summary["run_time"]
    assert time["images"] == 11
    assert time["median_ms"] > 0
    # finished corruptions are found again
    parts = sorted((tmp_path / "run/parts").iterdir())
    stamps = [(p / "figures.json").stat().st_mtime_ns for p in parts]
    again = validate(data, Detecting(source), tmp_path / "run", options, corruptions=spoil)
    assert [(p / "figures.json").stat().st_mtime_ns for p in parts] == stamps
    assert again.summary["corruptions"] == result.summary["corruptions"]


def test_corruptions_take_a_detector(tmp_path):
    data = open_boxes(squares(tmp_path / "yard") / "labels.json")
    with pytest.raises(InputError, match="take a detector"):
        validate(data, {}, tmp_path / "run", corruptions=parse_box_corruptions("flip-h"))
