"""Masks with a promise: thresholds of class probabilities chosen so that a loss stays below a level.

Conformal risk control (Angelopoulos, Bates, Fisch, Lei and Schuster, ICLR 2024) bounds the expected loss of
the next image; with a confidence, risk-controlling prediction sets and learn-then-test with the
Hoeffding-Bentkus bound (Bates et al., Journal of the ACM 2021; Angelopoulos et al., 2021) bound the expected
loss itself, except with that probability of a bad draw of calibration images. Both need calibration images
that are exchangeable with those to come.

MAPIE, which isn't needed here, controls recall and precision by the same methods, for arrays of decisions and
for segmentation. Ours is made for data sets of masks: an image is the unit of the promise, void is left out,
and only sums by threshold are kept, so that any number of images streams through and shards add up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from dubio.calibration import files
from dubio.calibration.risk_kernels import COUNT, count_reached, thresholds
from dubio.core.errors import InputError

Array = npt.NDArray[Any]
Wide = npt.NDArray[np.float64]
Loss = Literal["miss_rate", "false_discovery", "false_positive_rate"]
LOSSES = ("miss_rate", "false_discovery", "false_positive_rate")


class RiskControl:
    """Thresholds of masks ``p_c >= threshold_c`` whose loss is controlled.

    Losses of one image, all in 0 … 1: ``miss_rate``: share of the pixels labelled ``c`` outside the mask;
    images without the class don't count. ``false_discovery``: share of the mask not labelled ``c``; 0 for an
    empty mask, so that every image counts. ``false_positive_rate``: share of the pixels labelled otherwise
    inside the mask. Among thresholds that keep the promise the one of the largest mask (``miss_rate``: of the
    smallest) is taken.

    The miss rate grows with the threshold and the false positives shrink; false discoveries do neither, so
    that for them the largest loss at any higher threshold is controlled without confidence (a bound of
    theirs), and thresholds are tested one after the other from the strictest with confidence.

    Args:
        loss: the loss.
        alpha: level.
        confidence: ``None``: the expected loss of the next image is at most ``alpha``, over calibration
            images and the next. Else, such as 0.9: with this probability over the calibration images the
            expected loss is at most ``alpha``. Each class has the promise for itself.
        per: ``class``: a threshold for each class. ``pixel``: one for all; the miss rate is then the share of
            labelled pixels whose class isn't in the pixel's set. Only for ``miss_rate``.

    Attributes:
        threshold_: ``(C,)``, or ``(1,)`` with ``per="pixel"``, float32. Where no threshold keeps the promise
            the mask that has no loss is given: everything (0) or nothing (infinity).
        risk_: mean loss of the calibration images at the thresholds; NaN without images.
        reasons_: why a class has only the trivial mask, by class index.

    >>> rng = np.random.default_rng(0)
    >>> control = RiskControl("miss_rate", alpha=0.2)
    >>> for _ in range(50):
    ...     label = (rng.random((8, 8)) < 0.5).astype(np.uint8)
    ...     p = np.clip(label * 0.6 + 0.4 * rng.random((8, 8)), 0, 1).astype(np.float32)
    ...     control.update(np.stack([1 - p, p]), label)
    >>> [round(float(t), 2) for t in control.fit().threshold_]
    [0.67, 0.67]
    """

    threshold_: npt.NDArray[np.float32]
    risk_: Wide
    reasons_: dict[int, str]

    def __init__(
        self,
        loss: Loss = "miss_rate",
        alpha: float = 0.1,
        confidence: float | None = None,
        per: Literal["class", "pixel"] = "class",
    ) -> None:
        if loss not in LOSSES:
            raise InputError(f"there is no loss '{loss}'", remedy=f"choose from {', '.join(LOSSES)}")
        if per not in ("class", "pixel") or (per == "pixel" and loss != "miss_rate"):
            raise InputError(f"'{loss}' can't be controlled per '{per}'", remedy="say per='class'")
        if not 0 < alpha < 1 or not (confidence is None or 0 < confidence < 1):
            raise InputError("alpha and confidence are between 0 and 1")
        self.loss: Loss = loss
        self.alpha, self.confidence, self.per = alpha, confidence, per
        self.n_classes = 0
        self._sum, self._mask = np.zeros((0, COUNT)), np.zeros((0, COUNT), np.int64)
        self._images = np.zeros(0, np.int64)

    def update(self, probabilities: Array, label: Array) -> None:
        """Add a calibration image; only sums by threshold are kept.

        Args:
            probabilities: ``(C, H, W)`` floats in 0 … 1, in the label space (calibrated at best).
            label: ``(H, W)`` class indices; ``C`` and above is void.

        Raises:
            InputError: shapes that don't belong together, values that are no probabilities, or another
                number of classes than before.
        """
        p = self._checked(probabilities)
        if np.shape(label) != p.shape[1:] or np.asarray(label).dtype.kind not in "iu":
            raise InputError(f"a label of shape {np.shape(label)} for probabilities of {p.shape}")
        if np.asarray(label).size and int(np.min(label)) < 0:
            raise InputError("labels are class indices, not negative numbers")
        if self.n_classes not in (0, len(p)):
            raise InputError(f"probabilities of {len(p)} classes after images of {self.n_classes}")
        rows = len(p) if self.per == "class" else 1
        if not self.n_classes:
            self._sum, self._images = np.zeros((rows, COUNT)), np.zeros(rows, np.int64)
            self._mask = np.zeros((rows, COUNT), np.int64)
            self.n_classes = len(p)
        inside, outside = np.zeros((2, len(p), COUNT), np.int64)
        count_reached(p.reshape(len(p), -1).view(np.int32), np.ravel(label), inside, outside)
        if self.per == "pixel":
            inside, outside = (counts.sum(axis=0, keepdims=True) for counts in (inside, outside))
        # pixels that reach each threshold
        hit, wrong = (counts[:, ::-1].cumsum(axis=1)[:, ::-1] for counts in (inside, outside))
        losses, counts = self._losses(hit, wrong)
        self._mask += hit + wrong
        self._sum += np.where(counts[:, None], losses, 0.0)
        self._images += counts

    def _losses(
        self, hit: npt.NDArray[np.int64], wrong: npt.NDArray[np.int64]
    ) -> tuple[Wide, npt.NDArray[np.bool_]]:
        """Loss of an image at every threshold, and whether the image counts."""
        total, others = hit[:, :1], wrong[:, :1]
        if self.loss == "miss_rate":
            return 1 - hit / np.maximum(total, 1), total[:, 0] > 0
        if self.loss == "false_positive_rate":
            return wrong / np.maximum(others, 1), others[:, 0] > 0
        found: Wide = wrong / np.maximum(wrong + hit, 1)
        if self.confidence is None:
            found = np.maximum.accumulate(found[:, ::-1], axis=1)[:, ::-1]
        return found, (total + others)[:, 0] > 0

    def merge(self, other: RiskControl) -> None:
        """Add the images that another object of the same options saw.

        Raises:
            InputError: other options or another number of classes.
        """
        mine = (self.loss, self.alpha, self.confidence, self.per)
        theirs = (other.loss, other.alpha, other.confidence, other.per)
        if mine != theirs or (self.n_classes and other.n_classes not in (0, self.n_classes)):
            raise InputError("controls of different options or classes don't add up")
        if not self.n_classes:
            self.n_classes, self._mask = other.n_classes, other._mask.copy()
            self._sum, self._images = other._sum.copy(), other._images.copy()
        elif other.n_classes:
            self._sum += other._sum
            self._images += other._images
            self._mask += other._mask

    def fit(self) -> Self:
        """Choose the thresholds from the images so far.

        Raises:
            InputError: there were none.
        """
        if not self.n_classes:
            raise InputError("there are no calibration images", remedy="call update with each first")
        safe_end = 0 if self.loss == "miss_rate" else COUNT - 1
        grid = thresholds()
        self.threshold_ = np.full(len(self._sum), grid[safe_end], np.float32)
        self.risk_ = np.full(len(self._sum), np.nan)
        self.reasons_ = {}
        # from the safe end on, as far as every threshold keeps the promise
        order = np.arange(COUNT) if safe_end == 0 else np.arange(COUNT)[::-1]
        for c, total in enumerate(self._sum):
            n = int(self._images[c])
            kept = self._kept(total[order] / max(n, 1), n)
            reached = int(kept.argmin()) if not kept.all() else COUNT
            place = order[max(reached - 1, 0)]
            if n:
                self.risk_[c] = total[place] / n
            self.threshold_[c] = grid[place]
            empty = self.loss != "miss_rate" and not self._mask[c, place]
            if place == safe_end or empty:
                self.reasons_[c] = self._reason(n, bool(reached))
        return self

    def _kept(self, risk: Wide, n: int) -> npt.NDArray[np.bool_]:
        if not n:
            return np.zeros(len(risk), np.bool_)
        if self.confidence is None:
            return np.asarray((n * risk + 1) / (n + 1) <= self.alpha)
        return np.asarray(hoeffding_bentkus(risk, n, self.alpha) <= 1 - self.confidence)

    def _reason(self, n: int, enough: bool) -> str:
        trivial = "everything" if self.loss == "miss_rate" else "nothing"
        if not n:
            return f"no calibration image counts; the mask is {trivial}"
        if enough:
            return f"no other mask has a loss below {self.alpha:g}; the mask is {trivial}"
        if self.confidence is None:
            least = int(np.ceil(1 / self.alpha - 1 - 1e-9))
        else:
            least = int(np.ceil(np.log(1 - self.confidence) / np.log1p(-self.alpha) - 1e-9))
        return f"{n} images can't show a loss below {self.alpha:g}, {least} could; the mask is {trivial}"

    def predict_mask(self, probabilities: Array) -> npt.NDArray[np.bool_]:
        """Masks of the classes ``(C, H, W)``; a pixel may be in several or in none.

        Raises:
            InputError: not fitted, or probabilities of another number of classes.
        """
        if not hasattr(self, "threshold_"):
            raise InputError("the thresholds aren't chosen", remedy="call fit first")
        p = self._checked(probabilities)
        if len(p) != self.n_classes:
            raise InputError(f"probabilities of {len(p)} classes, the thresholds are of {self.n_classes}")
        return np.asarray(p >= self.threshold_[:, None, None])

    def _checked(self, probabilities: Array) -> npt.NDArray[np.float32]:
        p = np.asarray(probabilities)
        if p.ndim != 3 or p.dtype.kind != "f" or not len(p):
            raise InputError(f"probabilities are floats of shape (C, H, W), not {p.dtype} of {p.shape}")
        p = np.ascontiguousarray(p, np.float32)
        if p.size and not (p.min() >= 0 and p.max() <= 1 + 1e-3):
            raise InputError("probabilities must lie in 0 … 1", remedy="take the softmax of logits")
        return p + np.float32(0.0)  # minus zero would have a sign bit

    def describe(self) -> list[str]:
        """What is promised, and for which classes it is trivial.

        Raises:
            InputError: not fitted.
        """
        if not hasattr(self, "threshold_"):
            raise InputError("the thresholds aren't chosen", remedy="call fit first")
        sure = "on average" if self.confidence is None else f"with confidence {self.confidence:g}"
        first = f"{self.loss.replace('_', ' ')} of an image at most {self.alpha:g} {sure}"
        return [first, *(f"class {c}: {text}" for c, text in self.reasons_.items())]

    def save(self, path: str | Path) -> None:
        """Write options and sums as NPZ; the thresholds follow from them.

        Raises:
            InputError: no image yet, or the file can't be written.
        """
        if not self.n_classes:
            raise InputError("there are no calibration images", remedy="call update with each first")
        params = {"loss": self.loss, "alpha": self.alpha, "confidence": self.confidence, "per": self.per}
        header = {"params": params, "n_classes": self.n_classes}
        arrays = {"sum": self._sum, "mask": self._mask, "images": self._images}
        files.write(path, "RiskControl", header, arrays, "npz")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what :meth:`save` wrote, and choose the thresholds.

        Raises:
            InputError: missing, damaged, or another kind of file.
        """
        header, arrays = files.read(path)
        try:
            if header["kind"] != "RiskControl":
                raise InputError(f"holds '{header['kind']}', no risk control", path=path)
            found = cls(**header["params"])
            found.n_classes = int(header["n_classes"])
            rows = found.n_classes if found.per == "class" else 1
            found._sum = files.array_of(arrays, "sum", (rows, COUNT))
            found._mask = files.array_of(arrays, "mask", (rows, COUNT))
            found._images = files.array_of(arrays, "images", (rows,))
            return found.fit()
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError("is no saved risk control, or is damaged", path=path) from error


def hoeffding_bentkus(risk: npt.ArrayLike, n: int, alpha: float) -> Wide:
    """P-value of "the expected loss is above alpha", for mean losses in 0 … 1 of ``n`` images.

    The smaller of Hoeffding's bound (by relative entropy) and Bentkus' (binomial tail times e).

    >>> hoeffding_bentkus([0.0, 0.1], 50, 0.1).round(4).tolist()
    [0.0052, 1.0]
    """
    from scipy.special import rel_entr
    from scipy.stats import binom

    mean = np.asarray(risk, np.float64)
    low = np.minimum(mean, alpha)
    entropy = rel_entr(low, alpha) + rel_entr(1 - low, 1 - alpha)
    # a mean of whole numbers must not be pushed up by rounding
    tail = np.e * binom.cdf(np.ceil(n * mean - 1e-9), n, alpha)
    return np.asarray(np.minimum(np.minimum(np.exp(-n * entropy), tail), 1.0))
