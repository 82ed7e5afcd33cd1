"""Confident learning on pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio import ConfidentLearning, InputError, SegPrediction, pixel_issues


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(0))
    return (e / e.sum(0)).astype(np.float32)


def images(seed: int, n: int = 4, classes: int = 5, void: bool = True):
    """Images of unequal sizes whose labels are right but for a block each."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(n):
        h, w = 20 + 3 * i, 31 - 2 * i
        truth = np.repeat(np.arange(w)[None] * classes // w, h, 0).astype(np.uint8)
        z = rng.normal(size=(classes, h, w))
        z[truth, np.arange(h)[:, None], np.arange(w)] += 4
        label = truth.copy()
        label[2:7, 3:9] = (label[2:7, 3:9] + 1) % classes
        if void:
            label[-4:] = classes
        out.append((label, z.astype(np.float32)))
    return out


def by_definition(pairs: list, classes: int) -> list[np.ndarray]:
    """The rule written out over all pixels at once."""
    label = np.concatenate([lab.ravel() for lab, _ in pairs]).astype(int)
    p = np.concatenate([q.reshape(classes, -1) for _, q in pairs], 1)
    known = label < classes
    own = np.where(known, p[np.minimum(label, classes - 1), np.arange(label.size)], np.nan)
    mean = np.array([own[label == c].mean() if (label == c).any() else 2.0 for c in range(classes)])
    top = p.argmax(0)
    off = known & (top != label) & (p.max(0) >= mean[top] - 1e-6)
    cutoff = np.sort(own[known])[min(off.sum(), known.sum() - 1)] if off.any() else 0.0
    marked = known & (own < cutoff) & (top != label)
    parts = np.split(marked, np.cumsum([lab.size for lab, _ in pairs])[:-1])
    return [part.reshape(lab.shape) for part, (lab, _) in zip(parts, pairs, strict=True)]


@pytest.mark.parametrize("kind", ["probabilities", "logits"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_marks_what_the_definition_marks(kind, dtype):
    data = images(0)
    pairs = [(lab, softmax(z)) for lab, z in data]
    expected = by_definition(pairs, 5)
    scores = [q if kind == "probabilities" else z for (_, q), (_, z) in zip(pairs, data, strict=True)]

    def given_():
        return (
            (lab, SegPrediction(5, s.astype(dtype), kind)) for (lab, _), s in zip(data, scores, strict=True)
        )

    found = list(pixel_issues(given_, 5))
    wrong = sum(int((a != b).sum()) for a, b in zip(found, expected, strict=True))
    # the cutoff is known to 0.1 %, half precision to as much
    assert wrong <= (4 if dtype == np.float16 else 1)
    assert sum(int(m.sum()) for m in found) > 60


def test_agrees_with_cleanlab():
    filter_ = pytest.importorskip("cleanlab.segmentation.filter")
    rng = np.random.default_rng(3)
    z = rng.normal(size=(3, 6, 40, 50)).astype(np.float32)
    label = np.repeat(np.arange(50)[None] * 6 // 50, 40, 0).astype(int)[None].repeat(3, 0)
    for i in range(3):
        z[i, label[i], np.arange(40)[:, None], np.arange(50)] += 3
    label[:, 5:12, 5:20] = 2
    p = np.stack([softmax(v) for v in z])
    theirs = filter_.find_label_issues(label, p, n_jobs=1, verbose=False)
    ours = np.stack(
        list(
            pixel_issues(
                lambda: (
                    (lab.astype(np.uint8), SegPrediction(6, q, "probabilities"))
                    for lab, q in zip(label, p, strict=True)
                ),
                6,
            )
        )
    )
    assert theirs.sum() > 100
    assert (theirs != ours).mean() < 0.001


def test_void_is_never_an_issue_and_counts_for_nothing():
    data = images(1)
    masks = list(pixel_issues(lambda: ((lab, SegPrediction(5, z, "logits")) for lab, z in data), 5))
    assert all(not m[-4:].any() for m in masks)
    cut = [(lab[:-4], np.ascontiguousarray(z[:, :-4])) for lab, z in data]
    without = list(pixel_issues(lambda: ((lab, SegPrediction(5, z, "logits")) for lab, z in cut), 5))
    assert all((a[:-4] == b).all() for a, b in zip(masks, without, strict=True))


def test_channels_beyond_the_label_space_are_no_classes():
    label = np.zeros((4, 6), np.uint8)
    label[0] = 2  # void
    z = np.zeros((3, 4, 6), np.float32)
    z[2] = 9  # the third channel has no counterpart
    masks = list(pixel_issues(lambda: [(label, SegPrediction(2, z, "logits"))], 2))
    assert not masks[0][0].any()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 3))
def test_parts_add_up(seed, cut):
    data = [(lab, SegPrediction(5, z, "logits")) for lab, z in images(seed)]
    whole, left, right = (ConfidentLearning(5) for _ in range(3))
    for n, pair in enumerate(data):
        whole.update_classes(*pair)
        (left if n < cut else right).update_classes(*pair)
    first = ConfidentLearning(5)
    first.merge(left)
    first.merge(right)
    assert np.allclose(first.thresholds, whole.thresholds, rtol=1e-6)
    for pair in data:
        whole.update_counts(*pair)
        first.update_counts(*pair)
    assert first.cutoff == whole.cutoff
    assert (first.n_label == whole.n_label).all()


def test_clean_and_certain_labels_have_no_issue():
    label = np.repeat(np.arange(4)[None], 5, 0).astype(np.uint8)
    p = np.eye(4, dtype=np.float32)[:, label]
    learned = ConfidentLearning(4)
    learned.update_classes(label, SegPrediction(4, p, "probabilities"))
    learned.update_counts(label, SegPrediction(4, p, "probabilities"))
    assert learned.cutoff == 0.0
    assert not learned.issues(label, SegPrediction(4, p, "probabilities")).any()


def test_unfit_scores_are_refused():
    learned = ConfidentLearning(2)
    with pytest.raises(InputError, match="shape"):
        learned.update_classes(
            np.zeros((3, 3), np.uint8), SegPrediction(2, np.zeros((2, 4, 4), np.float32), "logits")
        )
    with pytest.raises(InputError, match="label map"):
        learned.update_classes(
            np.zeros((3, 3), np.uint8), SegPrediction(2, label_map=np.zeros((3, 3), np.uint8))
        )
