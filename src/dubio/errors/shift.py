"""How far a label is shifted against a prediction: correlation of their class masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.labelspace import IndexMap

# Offsets are searched on maps of about this side, up to this share of it.
_SIDE, _REACH = 96, 0.2
# Less agreement won than this is rounding.
_GAIN = 1e-3


@dataclass(frozen=True)
class Spectra:
    """Spectra of the masks of a prediction's classes, to be held against several labels.

    Attributes:
        step: every so many pixels are taken.
        grid: size of the transform.
        masks: spectrum by class.
        known: spectrum of the pixels that have a class.
    """

    step: int
    grid: tuple[int, int]
    masks: dict[int, Any]
    known: Any

    @classmethod
    def of(cls, pred: IndexMap, n_classes: int) -> Spectra:
        """Transform a prediction ``(H, W)``, thinned to about 96 pixels."""
        from scipy.fft import next_fast_len

        step = max(1, round(min(pred.shape) / _SIDE))
        thin = pred[::step, ::step]
        h, w = (int(next_fast_len(v + int(_REACH * v) + 1, real=True)) for v in thin.shape)
        classes = _present(thin, n_classes)
        found = _transform([thin == c for c in classes] + [thin < n_classes], (h, w))
        return cls(step, (h, w), dict(zip(classes, found, strict=False)), found[-1])


def best_shift(spectra: Spectra, label: IndexMap, n_classes: int) -> tuple[float, tuple[int, int]]:
    """How the label would have to move to agree best with the prediction.

    The agreement at all offsets up to a fifth of the side is the sum over classes of the correlation of
    their masks, by FFT on thinned maps.

    Returns:
        Agreement won over the disagreement at rest (0 … 1), and the offset ``(dy, dx)`` in pixels.
    """
    from scipy.fft import irfft2

    thin = label[:: spectra.step, :: spectra.step]
    classes = [c for c in _present(thin, n_classes) if c in spectra.masks]
    found = _transform([thin == c for c in classes] + [thin < n_classes], spectra.grid)
    joint = np.zeros_like(spectra.known)
    for c, mask in zip(classes, found, strict=False):
        joint += np.conj(mask) * spectra.masks[c]
    ry, rx = (int(_REACH * v) for v in thin.shape)
    dy, dx = np.arange(-ry, ry + 1), np.arange(-rx, rx + 1)
    overlap = np.conj(found[-1]) * spectra.known
    same, pairs = (irfft2(product, spectra.grid)[np.ix_(dy, dx)] for product in (joint, overlap))
    agree = same / np.maximum(pairs, 0.5 * thin.size)
    rest = float(agree[ry, rx])
    at = np.unravel_index(int(agree.argmax()), agree.shape)
    gain = (float(agree[at]) - rest) / max(1 - rest, 1e-6)
    if gain < _GAIN:
        return 0.0, (0, 0)
    return float(min(gain, 1)), (int(dy[at[0]]) * spectra.step, int(dx[at[1]]) * spectra.step)


def _present(classes: IndexMap, n_classes: int) -> list[int]:
    return [int(c) for c in np.unique(classes) if c < n_classes]


def _transform(masks: list[npt.NDArray[np.bool_]], grid: tuple[int, int]) -> Any:
    from scipy.fft import rfft2

    return rfft2(np.stack(masks).astype(np.float32), grid)
