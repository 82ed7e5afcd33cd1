"""Small label spaces, scores and an executable definition of the segment table."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from dubio import LabelClass, LabelSpace, SegPrediction

EIGHT = np.ones((3, 3), int)


def space_of(n: int) -> LabelSpace:
    return LabelSpace("test", tuple(LabelClass(i, f"c{i}", (i, i, i)) for i in range(n)), void=(9999,))


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x.astype(np.float64) - x.max(0))
    return e / e.sum(0)


def blobs(seed: int, c: int, h: int, w: int, noise: float = 0.2) -> np.ndarray:
    """Logits with patches of classes, float32 (C, H, W)."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(c, -(-h // 8) + 1, -(-w // 8) + 1)) * 3
    fine = np.kron(coarse, np.ones((1, 8, 8)))[:, :h, :w]
    return (fine + rng.normal(size=(c, h, w)) * noise).astype(np.float32)


def predict(scores: np.ndarray, kind: str = "logits", n: int | None = None) -> SegPrediction:
    return SegPrediction(n or scores.shape[0], scores=scores, kind=kind, image_id="im")


def brute_components(seg: np.ndarray, n_classes: int) -> np.ndarray:
    """Components by scipy, renumbered by first pixel."""
    out = np.zeros(seg.shape, int)
    base = 0
    for c in range(n_classes):
        ids, n = ndimage.label(seg == c, EIGHT)
        out[ids > 0] = ids[ids > 0] + base
        base += n
    names, first = np.unique(out[out > 0], return_index=True)
    flat = out.ravel()
    first = [int(np.flatnonzero(flat == k)[0]) for k in names]
    number = {int(k): i + 1 for i, k in enumerate(names[np.argsort(first)])}
    return np.vectorize(lambda v: number.get(int(v), 0))(out) if base else out
