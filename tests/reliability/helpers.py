"""Small worlds for the metrics of reliability."""

from __future__ import annotations

import numpy as np

from dubio.core.records import SegPrediction
from dubio.reliability.state import ReliabilityState

CASES = ("base19", "novoid19", "overconf19", "binary2", "tiny")


def oracle(shared, name):
    with np.load(shared / f"oracle/1_reliability/{name}.npz", allow_pickle=False) as data:
        return {k: data[k] for k in data.files}


def softmax(logits):
    z = np.asarray(logits, np.float64)
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def entropy(p):
    return -(p * np.log(np.maximum(p, 1e-300))).sum(-1)


def scene(seed, size=(24, 32), classes=5, channels=None, void=0.1, sharp=2.0):
    """A prediction that is right more often where it is sure, and labels with void."""
    rng = np.random.default_rng(seed)
    k = channels or classes
    z = rng.normal(size=(k, *size)) * sharp
    p = softmax(np.moveaxis(z, 0, -1) * 0.6)
    drawn = (p.cumsum(-1) < rng.random((*size, 1))).sum(-1)
    label = np.where(rng.random(size) < void, 255, np.minimum(drawn, classes)).astype(np.uint8)
    label[label >= classes] = 255
    return SegPrediction(classes, z.astype(np.float32), "logits", image_id=f"image {seed}"), label


def state_of_scenes(seeds, **kwargs):
    state = None
    for seed in seeds:
        prediction, label = scene(seed, **kwargs)
        state = state or ReliabilityState(prediction.n_classes)
        state.update(prediction, label)
    return state


def numbers(found):
    """The plain figures of a result, lists spread out."""
    flat = {k: v for k, v in found.items() if isinstance(v, int | float)}
    for key, value in found.items():
        if isinstance(value, list):
            flat |= {f"{key}.{i}": v for i, v in enumerate(value)}
    return flat


def assert_same(a, b, rtol=1e-9):
    """Equal figures; NaN equals NaN."""
    x, y = numbers(a), numbers(b)
    assert x.keys() == y.keys()
    np.testing.assert_allclose(list(x.values()), [y[k] for k in x], rtol=rtol, atol=1e-12)
