"""Detections of other libraries become records."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import special

from dubio.core.errors import InputError
from dubio.models.det.adapters import from_torchvision, from_transformers, from_ultralytics


def as_is(values):
    return np.asarray(values)


def tensor(values):
    torch = pytest.importorskip("torch")
    return torch.tensor(np.asarray(values, np.float32), requires_grad=True)


def test_torchvision_counts_classes_from_one():
    torch = pytest.importorskip("torch")
    found = {
        "boxes": torch.tensor([[0.0, 0, 4, 4], [1, 1, 5, 5]], requires_grad=True),
        "scores": torch.tensor([0.9, 0.4]),
        "labels": torch.tensor([3, 1]),
    }
    seen = from_torchvision(found, 3, image_id="a")
    assert (seen.classes.tolist(), seen.class_scores, seen.image_id) == ([2, 0], None, "a")
    with pytest.raises(InputError, match="labels go from 1 to 3, not from 1 to 2"):
        from_torchvision(found, 2)
    assert from_torchvision(found, 4, first=0).classes.tolist() == [3, 1]
    nothing = {
        "boxes": torch.zeros(0, 4),
        "scores": torch.zeros(0),
        "labels": torch.zeros(0, dtype=torch.long),
    }
    assert len(from_torchvision(nothing, 3)) == 0
    with pytest.raises(InputError, match="no 'labels'"):
        from_torchvision({"boxes": 0, "scores": 0}, 3)


def test_what_else_torchvision_says_is_taken_over():
    found = {
        "boxes": np.array([[0, 0, 4, 4]]),
        "scores": np.array([0.9]),
        "labels": np.array([1]),
        "class_scores": np.array([[0.9, 0.3]]),
        "box_aleatoric": np.ones((1, 4)),
    }
    seen = from_torchvision(found, 2)
    assert (seen.kind, seen.class_scores.tolist()) == ("sigmoid", [[0.9, 0.3]])
    assert seen.box_aleatoric.tolist() == [[1, 1, 1, 1]]


@pytest.mark.parametrize("make", [as_is, tensor])
def test_transformers_softmax_and_sigmoid(make):
    rng = np.random.default_rng(0)
    logits, boxes = rng.normal(size=(2, 5, 4)).astype(np.float32), rng.uniform(0.3, 0.6, (2, 5, 4))
    out = SimpleNamespace(logits=make(logits), pred_boxes=make(boxes))
    sizes = [(100, 200), (50, 60)]
    detr = from_transformers(out, sizes, 3, ids=["a", "b"])
    np.testing.assert_allclose(detr[1].class_scores, special.softmax(logits[1], 1)[:, :3], rtol=1e-5)
    assert [p.image_id for p in detr] == ["a", "b"]
    rt = from_transformers(out, sizes, 4)
    np.testing.assert_allclose(rt[0].class_scores, special.expit(logits[0]), rtol=1e-5)
    x, y, w, h = boxes[0].T
    want = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1) * [200, 100, 200, 100]
    np.testing.assert_allclose(rt[0].boxes, np.clip(want, 0, [200, 100, 200, 100]), rtol=1e-5)
    assert (rt[0].kind, detr[0].kind) == ("sigmoid", "softmax")
    few = from_transformers(out, sizes, 4, score=0.8)
    assert all((p.scores >= 0.8).all() for p in few)
    noisy = from_transformers(out, sizes, 4, aleatoric=make(np.full((2, 5, 4), 0.01)))
    np.testing.assert_allclose(noisy[0].box_aleatoric[0], [400, 100, 400, 100], rtol=1e-5)


def test_transformers_shapes_that_do_not_fit():
    out = SimpleNamespace(logits=np.zeros((1, 5, 4)), pred_boxes=np.zeros((1, 5, 4)))
    for sizes, n, words in (([(1, 1)] * 2, 4, "2 images"), ([(1, 1)], 9, "4 classes, not of 9")):
        with pytest.raises(InputError, match=words):
            from_transformers(out, sizes, n)
    with pytest.raises(InputError, match="variances"):
        from_transformers(out, [(1, 1)], 4, aleatoric=np.zeros((1, 5, 2)))


@pytest.mark.parametrize("make", [as_is, tensor])
def test_ultralytics_keeps_all_class_scores(make):
    """A letterbox of 640: the image 320 x 160 lies 160 pixels from the left, doubled."""
    raw = np.array([[320, 10], [320, 10], [64, 4], [32, 4], [0.2, 0.01], [0.7, 0.02], [0.1, 0.03]])
    seen = from_ultralytics(
        make(raw[None]), 3, input_size=(640, 640), image_size=(320, 160), score=0.05, image_id="a"
    )
    np.testing.assert_allclose(seen.boxes, [[64, 152, 96, 168]], rtol=1e-6)
    np.testing.assert_allclose(seen.class_scores, [[0.2, 0.7, 0.1]], rtol=1e-6)
    assert (seen.classes.tolist(), seen.kind, seen.image_id) == ([1], "sigmoid", "a")


def test_ultralytics_results_know_the_best_class_only():
    inner = SimpleNamespace(xyxy=np.array([[0, 0, 4, 4.0]]), conf=np.array([0.5]), cls=np.array([1.0]))
    seen = from_ultralytics(SimpleNamespace(boxes=inner, names={0: "a", 1: "b"}))
    assert (seen.n_classes, seen.classes.tolist(), seen.class_scores) == (2, [1], None)
    with pytest.raises(InputError, match="how many classes"):
        from_ultralytics(SimpleNamespace(boxes=inner))


@pytest.mark.parametrize(
    ("raw", "options", "words"),
    [
        (np.zeros((3, 9)), {}, "shape"),
        (np.zeros((84, 9)), {"n_classes": 7}, "not 4 \\+ 7"),
        (np.zeros((6, 9)), {}, "input_size"),
    ],
)
def test_ultralytics_shapes_that_do_not_fit(raw, options, words):
    with pytest.raises(InputError, match=words):
        from_ultralytics(raw, **options)
