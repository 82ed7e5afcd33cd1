"""Uncertainty scores of every pixel, all oriented alike: the higher, the less sure.

Hendrycks and Gimpel, ICLR 2017 (largest probability); Scheffer et al., IDA 2001 (margin); Hendrycks et al.,
ICML 2022 (largest logit); Liu et al., NeurIPS 2020 (energy); Jung et al., ICCV 2021 (standardised logit).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.records import SegPrediction
from dubio.uncertainty import kernels

Floats = npt.NDArray[np.float32]
# pixels per block: its scores and results stay in the cache
_BLOCK = 4096
SCORES = ("max_prob", "entropy", "margin", "max_logit", "energy")
_OF_LOGITS = ("max_logit", "energy")


@dataclass
class PixelScores:
    """What the scores of one image say pixel by pixel; arrays have the shape of the pixels, ``(H, W)``.

    Attributes:
        pred: uint16 winning channel; ``n_classes`` and above: no class of the label space (void).
        doubt: float32 one minus the largest probability, exact near zero.
        entropy: float32 Shannon entropy, nats.
        closeness: float32 one minus the difference of the two largest probabilities.
        square: float32 sum of squared probabilities (for the Brier score).
        top: float32 largest score.
        lse: float32 log-sum-exp of the logits; ``None`` for probabilities.
        n_classes: number of classes of the label space.
    """

    pred: npt.NDArray[np.uint16]
    doubt: Floats
    entropy: Floats
    closeness: Floats
    square: Floats
    top: Floats
    lse: Floats | None
    n_classes: int

    def score(self, name: str) -> Floats | None:
        """One of :data:`SCORES`, higher = less sure; ``None`` if probabilities don't tell it.

        ``max_prob``: one minus the largest probability; ``entropy``: nats; ``margin``: one minus the
        difference of the two largest; ``max_logit``: minus the largest logit; ``energy``: minus the
        log-sum-exp.

        Raises:
            InputError: no such score.
        """
        if name not in SCORES:
            raise InputError(f"there is no score '{name}'", remedy=f"choose from {', '.join(SCORES)}")
        if name in _OF_LOGITS:
            if self.lse is None:
                return None
            return -self.top if name == "max_logit" else -self.lse
        return {"max_prob": self.doubt, "entropy": self.entropy, "margin": self.closeness}[name]


def pixel_scores(prediction: SegPrediction) -> PixelScores:
    """Compute all scores of a prediction in one pass.

    Args:
        prediction: one with scores ``(K, H, W)``.

    Raises:
        InputError: the prediction is a label map only.

    >>> logits = np.array([[[2.0]], [[0.0]]], np.float32)
    >>> found = pixel_scores(SegPrediction(2, scores=logits, kind="logits"))
    >>> round(float(found.doubt[0, 0]), 4), round(float(found.score("energy")[0, 0]), 4)
    (0.1192, -2.1269)
    """
    if prediction.scores is None:
        raise InputError(
            "the prediction is a label map without scores",
            path=prediction.image_id or None,
            remedy="reliability needs class scores: predict with --keep-scores",
        )
    scores = prediction.scores
    found = score_columns(scores.reshape(len(scores), -1), prediction.kind == "logits", prediction.n_classes)
    for name in ("pred", "doubt", "entropy", "closeness", "square", "top", "lse"):
        value = getattr(found, name)
        setattr(found, name, None if value is None else value.reshape(scores.shape[1:]))
    return found


def score_columns(scores: npt.NDArray[Any], logits: bool, n_classes: int) -> PixelScores:
    """Scores of pixels that are columns ``(K, N)``; the results have the shape ``(N,)``."""
    n = scores.shape[1]
    pred = np.empty(n, np.int32)
    out = [np.empty(n, np.float32) for _ in range(6 if logits else 5)]
    for start in range(0, n, _BLOCK):
        part = slice(start, min(start + _BLOCK, n))
        block = np.ascontiguousarray(scores[:, part], np.float32)
        pieces = [a[part] for a in (pred, *out)]
        (kernels.logit_block if logits else kernels.probability_block)(block, *pieces)
    doubt, entropy, closeness, square, top, *lse = out
    return PixelScores(
        pred.astype(np.uint16), doubt, entropy, closeness, square, top, lse[0] if lse else None, n_classes
    )
