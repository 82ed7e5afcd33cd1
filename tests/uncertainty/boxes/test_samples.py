"""Merging samples of a model, and what is said of the class."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from dubio.core.boxes import DetPrediction
from dubio.core.errors import InputError
from dubio.uncertainty.boxes import DeltaCoder
from dubio.uncertainty.boxes.classes import (
    class_entropy,
    expected_entropy,
    mutual_information,
    probabilities,
    published_entropy,
)
from dubio.uncertainty.boxes.samples import merge_samples
from dubio.uncertainty.boxes.suppress import suppress

SWAP = [1, 0, 3, 2]  # the reference orders y, x
LEVELS = range(3, 8)


@pytest.fixture(scope="module")
def o3(shared):
    with np.load(shared / "oracle/2_detection/o3_postprocess.npz", allow_pickle=False) as data:
        return {k: data[k] for k in data.files}


def reference_heads(o3, name, item, *, dropout):
    """Logits ``(T, N, 7)``, deltas and their variances ``(T, N, 4)`` of the reference's head outputs."""
    logits, deltas, stds = [], [], []
    for level in LEVELS:
        scores, boxes = o3[f"{name}_in_cls{level}"], o3[f"{name}_in_box{level}"]
        scores, boxes = (a[:, item] if dropout else a[None, item] for a in (scores, boxes))
        t = len(scores)
        logits.append(scores.reshape(t, -1, 7))
        deltas.append(boxes[..., :36].reshape(t, -1, 4)[..., SWAP])
        if boxes.shape[-1] == 72:
            stds.append(boxes[..., 36:].reshape(t, -1, 4)[..., SWAP])
    joined = [np.concatenate(parts, axis=1).astype(np.float64) for parts in (logits, deltas)]
    return (*joined, np.concatenate(stds, axis=1).astype(np.float64) ** 2 if stds else None)


@pytest.mark.parametrize(
    ("name", "item", "dropout"),
    [
        ("det", 0, False),
        ("la", 0, False),
        ("mc", 0, True),
        ("mcla", 0, True),
        ("mcla_b2", 0, True),
        ("mcla_b2", 1, True),
    ],
)
def test_reference_postprocessing(o3, name, item, dropout):
    """Decoding, merging and soft suppression, end to end."""
    logits, deltas, variances = reference_heads(o3, name, item, dropout=dropout)
    coder, anchors = DeltaCoder(clamp=None), o3["anchors"][:, SWAP].astype(np.float64)
    if variances is None:
        means, noise = np.stack([coder.decode_point(d, anchors) for d in deltas]), None
    else:
        found = [coder.decode(d, v, anchors) for d, v in zip(deltas, variances, strict=True)]
        means, noise = np.stack([f.mean for f in found]), np.stack([f.variance for f in found])
    merged = merge_samples(means, noise, logits, kind="logits", published=True)
    seen = DetPrediction(
        merged.boxes,
        special.expit(merged.class_scores.max(1)),
        merged.class_scores.argmax(1),
        7,
        class_scores=merged.class_scores,
        kind="logits",
        box_aleatoric=merged.aleatoric,
        box_epistemic=merged.epistemic,
        class_variance=merged.class_variance,
    )
    kept = suppress(seen, method="gaussian", classwise=False, score=0.001, limit=20)
    boxes = o3[f"{name}_out_boxes"][item]
    np.testing.assert_allclose(np.clip(kept.boxes, 0, 128) * 2, boxes[:, :4][:, SWAP], atol=1e-4)
    np.testing.assert_allclose(kept.scores, o3[f"{name}_out_scores"][item], atol=1e-6)
    np.testing.assert_allclose(kept.class_scores, o3[f"{name}_out_logits"][item], atol=1e-6)
    rest = boxes[:, 4:]
    if variances is not None:
        np.testing.assert_allclose(2 * np.sqrt(kept.box_aleatoric), rest[:, :4][:, SWAP], rtol=5e-6)
        rest = rest[:, 4:]
    if dropout:
        np.testing.assert_allclose(2 * np.sqrt(kept.box_epistemic), rest[:, SWAP], rtol=3e-5)
        np.testing.assert_allclose(
            np.sqrt(kept.class_variance), o3[f"{name}_out_classes"][item][:, 1:], atol=1e-6
        )


def test_defect_17_total_variance_is_that_of_the_mixture():
    """The reference's mean deviation is too small; ours is the variance of all draws together."""
    rng = np.random.default_rng(0)
    t, n, draws = 6, 40, 4000
    means, stds = rng.normal(0, 3, (t, n, 4)), rng.uniform(0.5, 6, (t, n, 4))
    scores = np.full((t, n, 2), 0.5)
    merged = merge_samples(means, stds**2, scores, kind="sigmoid")
    drawn = means[:, None] + stds[:, None] * rng.standard_normal((t, draws, n, 4))
    np.testing.assert_allclose(merged.total, drawn.reshape(-1, n, 4).var(0), rtol=0.05)
    published = merge_samples(means, stds**2, scores, kind="sigmoid", published=True)
    assert (published.aleatoric < merged.aleatoric).all()
    np.testing.assert_allclose(published.aleatoric, stds.mean(0) ** 2)


def test_one_sample_says_nothing_of_the_models_ignorance():
    found = merge_samples(np.zeros((1, 2, 4)), np.ones((1, 2, 4)), np.full((1, 2, 3), 0.2), kind="sigmoid")
    assert found.epistemic is None
    assert found.class_variance is None
    assert found.expected_entropy is None
    np.testing.assert_array_equal(found.total, found.aleatoric)
    assert merge_samples(np.zeros((1, 2, 4)), None, np.zeros((1, 2, 3)), kind="logits").total is None


def test_tensors_are_welcome():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    means, noise, scores = (
        rng.normal(size=(3, 5, 4)),
        rng.uniform(size=(3, 5, 4)),
        rng.uniform(size=(3, 5, 2)),
    )
    want = merge_samples(means, noise, scores, kind="sigmoid")
    tensors = [torch.from_numpy(a).requires_grad_() for a in (means, noise, scores)]
    found = merge_samples(*tensors, kind="sigmoid")
    for name in ("boxes", "aleatoric", "epistemic", "class_scores", "class_variance", "expected_entropy"):
        np.testing.assert_array_equal(getattr(found, name), getattr(want, name))


@given(seed=st.integers(0, 10**6), t=st.integers(2, 5), kind=st.sampled_from(["softmax", "sigmoid"]))
@settings(max_examples=30)
def test_order_of_samples_plays_no_part_and_information_is_not_negative(seed, t, kind):
    rng = np.random.default_rng(seed)
    means, logits = rng.normal(0, 9, (t, 7, 4)), rng.normal(0, 3, (t, 7, 4))
    scores = probabilities(logits, kind)[..., :3]
    one = merge_samples(means, None, scores, kind=kind)
    two = merge_samples(means[::-1], None, scores[::-1], kind=kind)
    np.testing.assert_allclose(one.epistemic, two.epistemic, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(one.class_scores, two.class_scores, rtol=1e-12)
    entropy = class_entropy(one.class_scores, kind)
    assert (entropy >= one.expected_entropy - 1e-9).all()
    top = np.log(4) if kind == "softmax" else 3 * np.log(2)
    assert ((entropy >= 0) & (entropy <= top + 1e-9)).all()


def test_mutual_information_is_the_disagreement_of_the_samples():
    scores = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    merged = merge_samples(np.zeros((2, 1, 4)), None, scores, kind="softmax")
    seen = DetPrediction(
        merged.boxes, np.array([0.5]), np.array([0]), 2, merged.class_scores, "softmax",
        expected_entropy=merged.expected_entropy,
    )  # fmt: skip
    np.testing.assert_allclose(mutual_information(seen), [np.log(2)])
    with pytest.raises(InputError, match="several samples"):
        mutual_information(DetPrediction(merged.boxes, np.array([0.5]), np.array([0]), 2))


def test_the_background_counts_as_a_class_of_a_softmax():
    whole = np.array([[0.2, 0.3, 0.5]])
    np.testing.assert_allclose(class_entropy(whole, "softmax"), special.entr(whole).sum(1))
    np.testing.assert_allclose(class_entropy(whole[:, :2], "softmax"), special.entr(whole).sum(1))
    assert class_entropy(np.array([[0.6, 0.4 + 1e-7]]), "softmax") >= 0


def test_published_entropy():
    """Base 2, a softmax over the logits of separate sigmoids, no background."""
    logits = np.array([[2.0, -1.0, 0.5]])
    p = special.softmax(logits)
    want = -(p * np.log2(p)).sum(1)
    np.testing.assert_allclose(published_entropy(logits, "logits"), want)
    np.testing.assert_allclose(published_entropy(special.expit(logits), "sigmoid"), want, rtol=1e-9)
    np.testing.assert_allclose(published_entropy(p, "softmax"), want, rtol=1e-9)
    assert np.isfinite(published_entropy(np.array([[0.0, 1.0]]), "sigmoid")).all()


@pytest.mark.parametrize(
    ("means", "variances", "scores", "words"),
    [
        ((2, 3, 5), None, (2, 3, 1), "T, N, 4"),
        ((0, 3, 4), None, (0, 3, 1), "no samples"),
        ((2, 3, 4), None, (3, 3, 1), "class scores"),
        ((2, 3, 4), (2, 3, 3), (2, 3, 1), "variances"),
    ],
)
def test_shapes_that_do_not_fit_are_named(means, variances, scores, words):
    noise = None if variances is None else np.zeros(variances)
    with pytest.raises(InputError, match=words):
        merge_samples(np.zeros(means), noise, np.zeros(scores), kind="sigmoid")


def test_logits_have_no_entropy():
    with pytest.raises(InputError, match="not probabilities"):
        class_entropy(np.zeros((1, 2)), "logits")
    with pytest.raises(InputError, match="no samples"):
        expected_entropy([], "sigmoid")
