"""Non-maximum suppression with all that boxes carry, and fusion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio.core.boxes import DetPrediction
from dubio.core.errors import InputError
from dubio.uncertainty.boxes.suppress import Suppression, suppress

N_CLASSES = 4
METHODS = ("hard", "linear", "gaussian")


def detections(seed, n=60, spread=60.0, variances=True, n_classes=N_CLASSES):
    """Boxes that overlap much, no two scores equal; every column tells which box a row is of."""
    rng = np.random.default_rng(seed)
    centre, half = rng.uniform(0, spread, (n, 2)), rng.uniform(2, 15, (n, 2))
    scores = rng.permutation(np.linspace(0.02, 0.99, n))
    class_scores = rng.uniform(0, 1, (n, n_classes))
    return DetPrediction(
        np.hstack([centre - half, centre + half]),
        scores,
        rng.integers(0, n_classes, n),
        n_classes,
        class_scores=class_scores,
        kind="sigmoid",
        box_aleatoric=rng.uniform(0.1, 9, (n, 4)) if variances else None,
        box_epistemic=rng.uniform(0.1, 9, (n, 4)) if variances else None,
        class_variance=rng.uniform(0, 1, (n, n_classes)),
        expected_entropy=rng.uniform(0, 1, n),
        image_id="picture",
    )


def ious(boxes):
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    inter = np.clip(high - low, 0, None).prod(2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return inter / (area[:, None] + area[None] - inter)


@pytest.mark.parametrize(("method", "key"), [("hard", "0.0"), ("gaussian", "0.25")])
def test_reference_suppression(shared, method, key):
    """TensorFlow's soft_nms_sigma 0.25 is the published sigma 0.5."""
    with np.load(shared / "oracle/2_detection/o7_misc.npz", allow_pickle=False) as data:
        boxes, scores = data["n_boxes"], data["n_scores"]
        index, want = data[f"n_idx_{key}"], data[f"n_sc_{key}"]
    # the IoU of boxes doesn't care which axis is called x
    seen = DetPrediction(boxes, scores, np.zeros(len(boxes), int), 1)
    found = suppress(seen, method=method, iou=0.5, sigma=0.5, score=0.001, limit=30)
    np.testing.assert_array_equal(found.boxes, boxes[index])
    np.testing.assert_allclose(found.scores, want, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_hard_is_torchvisions(seed):
    torch = pytest.importorskip("torch")
    ops = pytest.importorskip("torchvision.ops")
    seen = detections(seed, n=300)
    kept = ops.batched_nms(*map(torch.from_numpy, (seen.boxes, seen.scores, seen.classes)), 0.4)
    found = suppress(seen, iou=0.4, score=0, limit=None)
    np.testing.assert_array_equal(found.boxes, seen.boxes[kept.numpy()])
    agnostic = ops.nms(torch.from_numpy(seen.boxes), torch.from_numpy(seen.scores), 0.4).numpy()
    found = suppress(seen, iou=0.4, score=0, limit=None, classwise=False)
    np.testing.assert_array_equal(found.boxes, seen.boxes[agnostic])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fuse", [False, True])
@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), classwise=st.booleans())
def test_order_of_the_input_plays_no_part(method, fuse, seed, classwise):
    seen = detections(seed)
    order = np.random.default_rng(seed).permutation(len(seen))
    ours, theirs = (
        suppress(p, method=method, fuse=fuse, classwise=classwise) for p in (seen, seen.take(order))
    )
    np.testing.assert_array_equal(ours.scores, theirs.scores)
    np.testing.assert_allclose(ours.boxes, theirs.boxes, rtol=1e-12)
    np.testing.assert_array_equal(ours.class_scores, theirs.class_scores)


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=15)
def test_a_limit_takes_the_first(method, seed):
    seen = detections(seed)
    whole, part = suppress(seen, method=method, limit=None), suppress(seen, method=method, limit=5)
    np.testing.assert_array_equal(part.boxes, whole.boxes[:5])
    assert (np.diff(whole.scores) <= 0).all()


@given(seed=st.integers(0, 10**6), iou=st.floats(0.1, 0.9))
@settings(max_examples=25)
def test_hard_leaves_no_doubles_and_nothing_to_do(seed, iou):
    found = suppress(detections(seed), iou=iou, limit=None)
    same = found.classes[:, None] == found.classes[None]
    assert (ious(found.boxes)[same & ~np.eye(len(found), dtype=bool)] <= iou + 1e-12).all()
    again = suppress(found, iou=iou, limit=None)
    np.testing.assert_array_equal(again.boxes, found.boxes)


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=15)
def test_classes_are_suppressed_as_if_alone(method, seed):
    seen = detections(seed)
    found = suppress(seen, method=method, limit=None)
    for c in range(N_CLASSES):
        alone = suppress(seen.take(seen.classes == c), method=method, limit=None)
        np.testing.assert_array_equal(found.boxes[found.classes == c], alone.boxes)
        np.testing.assert_array_equal(found.scores[found.classes == c], alone.scores)


@pytest.mark.parametrize("fuse", [False, True])
@given(seed=st.integers(0, 10**6), scale=st.floats(0.1, 50), shift=st.floats(-500, 500))
@settings(max_examples=15)
def test_scale_and_place_of_the_image_play_no_part(fuse, seed, scale, shift):
    seen = detections(seed)
    moved = DetPrediction(
        seen.boxes * scale + shift,
        seen.scores,
        seen.classes,
        N_CLASSES,
        box_aleatoric=seen.box_aleatoric * scale**2,
        box_epistemic=seen.box_epistemic * scale**2,
    )
    want, found = suppress(seen, fuse=fuse), suppress(moved, fuse=fuse)
    np.testing.assert_allclose(found.boxes, want.boxes * scale + shift, rtol=1e-7, atol=1e-6)
    np.testing.assert_allclose(found.box_aleatoric, want.box_aleatoric * scale**2, rtol=1e-7)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("classwise", [True, False])
def test_defect_22_values_belong_to_their_boxes(method, classwise):
    """The reference gathers values by places in another list; ours come out beside their own box."""
    seen = detections(3)
    found = suppress(seen, method=method, classwise=classwise, score=0.3)
    assert 3 < len(found) < len(seen)
    rows = [int(np.flatnonzero((seen.boxes == box).all(1))[0]) for box in found.boxes]
    for name in ("class_scores", "box_aleatoric", "box_epistemic", "class_variance", "expected_entropy"):
        np.testing.assert_array_equal(getattr(found, name), getattr(seen, name)[rows])
    assert (found.kind, found.image_id) == ("sigmoid", "picture")


def test_soft_methods_lower_scores_and_leave_class_scores():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5], [100, 0, 110, 10.0]])
    seen = DetPrediction(boxes, np.array([0.9, 0.8, 0.5]), np.zeros(3, int), 1, np.ones((3, 1)), "sigmoid")
    linear, gaussian = (suppress(seen, method=m, iou=0.4) for m in ("linear", "gaussian"))
    np.testing.assert_allclose(linear.scores, [0.9, 0.5, 0.8 * 0.5])
    np.testing.assert_allclose(gaussian.scores, [0.9, 0.5, 0.8 * np.exp(-(0.5**2) / 0.5)][: len(gaussian)])
    assert (linear.class_scores == 1).all()
    # below the threshold a linear score isn't lowered
    np.testing.assert_allclose(suppress(seen, method="linear", iou=0.5).scores, [0.9, 0.8, 0.5])


def fused_pair(variance, iou=0.3):
    boxes = np.array([[0, 0, 10, 10], [2, 0, 12, 10.0]])
    seen = DetPrediction(
        boxes, np.array([0.9, 0.8]), np.zeros(2, int), 1, box_aleatoric=np.array(variance) * np.ones((2, 4))
    )
    return suppress(seen, iou=iou, fuse=True)


def test_fusion_weighs_by_inverse_variance_and_nearness():
    overlap = 8 / 12
    near = np.exp(-((1 - overlap) ** 2) / 0.02)
    found = fused_pair([[4.0], [1.0]])
    weights = np.array([1 / 4, near / 1])
    weights /= weights.sum()
    np.testing.assert_allclose(found.boxes, [[2 * weights[1], 0, 10 + 2 * weights[1], 10]])
    np.testing.assert_allclose(found.box_aleatoric, np.full((1, 4), weights @ [4.0, 1.0]))
    # a neighbour that knows nothing says nothing
    np.testing.assert_allclose(fused_pair([[1.0], [1e12]]).boxes, [[0, 0, 10, 10]], atol=1e-9)
    # nor does one that is too far, or doesn't know that it doubts
    assert fused_pair([[4.0], [1.0]], iou=0.9).boxes.shape == (2, 4)
    assert np.isfinite(fused_pair([[0.0], [0.0]]).boxes).all()


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20)
def test_fused_boxes_are_boxes_and_keep_scores(seed):
    seen = detections(seed)
    plain, found = suppress(seen, iou=0.1), suppress(seen, iou=0.1, fuse=True)
    np.testing.assert_array_equal(found.scores, plain.scores)
    assert (found.boxes[:, 2:] >= found.boxes[:, :2]).all()
    low, high = seen.box_aleatoric.min(), seen.box_aleatoric.max()
    assert ((found.box_aleatoric >= low - 1e-9) & (found.box_aleatoric <= high + 1e-9)).all()


def test_fusion_needs_variances():
    with pytest.raises(InputError, match="without variances"):
        suppress(detections(0, variances=False), fuse=True)


@pytest.mark.parametrize("method", METHODS)
def test_no_boxes_and_boxes_without_area(method):
    nothing = detections(0).take(np.zeros(0, int))
    found = suppress(nothing, method=method, fuse=True)
    assert len(found) == 0
    assert found.class_scores.shape == (0, N_CLASSES)
    line = DetPrediction(np.array([[3, 3, 3, 9], [3, 3, 3, 9.0]]), np.array([0.5, 0.5]), np.zeros(2, int), 1)
    assert len(suppress(line, method=method)) == 2


def test_equal_scores_keep_the_earlier_box():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10.0]])
    seen = DetPrediction(boxes, np.array([0.5, 0.5]), np.zeros(2, int), 1)
    assert suppress(seen).boxes.tolist() == [[0, 0, 10, 10]]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"method": "none"}, "no suppression 'none'"),
        ({"iou": 1.5}, "IoU"),
        ({"score": float("nan")}, "score"),
        ({"sigma": 0}, "width"),
        ({"limit": 0}, "at most 0"),
    ],
)
def test_impossible_options_are_named(option, words):
    with pytest.raises(InputError, match=words):
        Suppression(**option)
    with pytest.raises(InputError, match=words):
        suppress(detections(0), **option)


def test_the_choice_in_words():
    assert (
        "soft (gaussian) NMS across classes, sigma 0.5" in Suppression("gaussian", classwise=False).describe()
    )
    assert "fused" in Suppression(fuse=True).describe()
