"""Samples whose right temperature is known."""

from __future__ import annotations

import numpy as np

from dubio.calibration.base import softmax
from dubio.data.logits import LogitSample


def draw(logits, rng):
    """Labels drawn from the softmax of ``(N, K)`` logits."""
    p = softmax(np.asarray(logits, np.float32)).astype(np.float64)
    return np.minimum((p.cumsum(axis=1) < rng.random((len(p), 1))).sum(axis=1), p.shape[1] - 1)


def sample_of(n=4000, k=5, t=2.0, *, images=4, seed=0, pairs=None, n_classes=None, features=None):
    """A sample of a model whose logits are ``t`` times too large; ``t`` may be one per image."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(n, k)) * 2
    image = (np.arange(n) * images // n).astype(np.int32)
    labels = draw(true, rng)
    if pairs is not None:
        labels = np.asarray(pairs)[labels]
        keep = labels >= 0
        true, labels, image = true[keep], labels[keep], image[keep]
    factor = np.broadcast_to(np.asarray(t, float), (images,))[image][:, None]
    return LogitSample(
        (true * factor).astype(np.float32),
        labels.astype(np.uint16),
        image,
        tuple(f"image{i}" for i in range(images)),
        k if n_classes is None else n_classes,
        pairs,
        features,
    )


def shuffled(sample, seed=1):
    """The same pixels and images in another order."""
    rng = np.random.default_rng(seed)
    rows, order = rng.permutation(len(sample)), rng.permutation(len(sample.image_ids))
    place = np.argsort(order).astype(np.int32)
    return LogitSample(
        sample.logits[rows],
        sample.labels[rows],
        place[sample.image[rows]],
        tuple(sample.image_ids[i] for i in order),
        sample.n_classes,
        sample.pairs,
        None if sample.features is None else sample.features[order],
    )
