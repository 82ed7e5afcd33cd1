"""A trial run that settles what a file does not say: channels, axes, kind of scores, size rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.records import ScoreKind
from dubio.models.card import ModelCard, Size
from dubio.models.pixels import Floats, prepare

_TRIAL: Size = (96, 128)
_ODD: Size = (101, 135)
_USUAL_STRIDE = 32
_COARSEST = 64  # networks score at 1/4 to 1/32 of the size
_SUM_TOLERANCE = 1e-2  # float16 sums over many channels are off by some 1e-3


@dataclass(frozen=True)
class Finding:
    """What a trial run showed.

    Args:
        card: the card, completed.
        origin: sources of the fields that were completed.
        n_channels: channels after :meth:`arrange`.
        kind: what the scores are.
        channels_last: the output is ``(B, h, w, K)``.
        binary: the output has one channel, the score of the second of two classes.
        note: what the user should know, to be appended to a sentence.
    """

    card: ModelCard
    origin: Mapping[str, str]
    n_channels: int
    kind: ScoreKind
    channels_last: bool
    binary: bool
    note: str = ""

    def arrange(self, raw: npt.NDArray[Any]) -> Floats:
        """Bring the network's output into the form ``(B, K, h, w)`` float32."""
        if self.channels_last:
            raw = np.moveaxis(raw, -1, 1)
        scores = np.ascontiguousarray(raw, np.float32)
        if not self.binary:
            return scores
        first = 1 - scores if self.kind == "probabilities" else np.zeros_like(scores)
        return np.concatenate([first, scores], axis=1)


Run = Callable[[Floats, ModelCard], npt.NDArray[Any]]


def probe(run: Run, card: ModelCard, origin: Mapping[str, str]) -> Finding:
    """Run noise through a network and look at what comes out.

    Args:
        run: runs a batch with a card.
        card: what is known of the network.
        origin: the fields of the card that somebody stated.

    Raises:
        InputError: the network can't be run, or its output isn't a map of class scores.
    """
    found: dict[str, str] = {}
    free = not {"size", "size_multiple", "short_edge"} & set(origin)
    size = card.window or _TRIAL
    raw = _trial(run, card, card.input_size(*size))
    if free and card.window is None and not _accepts_odd(run, card):
        card = replace(card, size_multiple=_USUAL_STRIDE)
        found["size_multiple"] = "detected: odd sizes fail"
    last = _channels_last(raw, card)
    scores = np.moveaxis(raw, -1, 1) if last else raw
    _check_map(scores, card.input_size(*size))
    channels = scores.shape[1]
    kind: ScoreKind
    if card.output == "auto":
        kind = "probabilities" if _normalised(scores) else "logits"
        found["output"] = "detected on a trial image"
    else:
        kind = card.output
    note = ", one channel: the score of the second class" if channels == 1 else ""
    return Finding(card, found, max(2, channels), kind, last, channels == 1, note)


def _check_map(scores: npt.NDArray[Any], size: Size) -> None:
    height, width = scores.shape[2:]
    if min(scores.shape) < 1 or max(size[0] / height, size[1] / width) > _COARSEST:
        raise InputError(
            f"the network gives {height} x {width} scores for an image of {size[0]} x {size[1]}: no map",
            remedy="use a segmentation network, not a classifier",
        )


def _trial(run: Run, card: ModelCard, size: Size) -> npt.NDArray[Any]:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    raw = run(prepare([image], card), card)
    if raw.ndim == 3 or raw.dtype.kind in "iub":
        raise InputError(
            f"the network gives class indices of shape {raw.shape}, no scores",
            remedy="export it without the final argmax",
        )
    if raw.ndim != 4:
        raise InputError(
            f"the network's output has shape {raw.shape}",
            remedy="scores have shape (images, classes, height, width); name the right output in a card",
        )
    return raw


def _accepts_odd(run: Run, card: ModelCard) -> bool:
    try:
        _trial(run, card, _ODD)
    except InputError:
        return False
    return True


def _channels_last(raw: npt.NDArray[Any], card: ModelCard) -> bool:
    if card.space is not None:
        count = len(card.space)
        if raw.shape[1] != count and raw.shape[-1] == count:
            return True
        if raw.shape[1] == count and raw.shape[-1] != count:
            return False
    return card.layout == "nhwc"


def _normalised(scores: npt.NDArray[Any]) -> bool:
    low, high = float(scores.min()), float(scores.max())
    if low < -_SUM_TOLERANCE or high > 1 + _SUM_TOLERANCE:
        return False
    if scores.shape[1] == 1:
        # Noise never drives every logit into [0, 1]; a sigmoid always does.
        return True
    sums = scores.astype(np.float32).sum(axis=1)
    return bool(np.abs(sums - 1).max() < _SUM_TOLERANCE)
