"""Unknown objects and images: scores that learn what the known looks like, and how well they tell.

An unknown sample is a positive and a higher score means more doubt. (The published code of image-level
detection calls the known images positive and ranks by confidence: the same AUROC, its AUPR is our
``aupr_rest``.)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator

from dubio.core.errors import InputError
from dubio.core.files import write_npz
from dubio.reliability.ranking import METRICS, Ranking

Floats = npt.NDArray[np.float64]
FORMAT = 1
# rows whose distances are computed at once: a few MB
_BLOCK = 4096


def image_ranking(scores_in: npt.ArrayLike, scores_out: npt.ArrayLike) -> Ranking:
    """Rank images by a score: those of other domains should come out on top.

    Args:
        scores_in: ``(n,)`` scores of images of the known domain, higher = more doubt.
        scores_out: ``(m,)`` scores of other images.

    Raises:
        InputError: a score is not a number.
    """
    known, other = (np.asarray(v, np.float64).reshape(-1) for v in (scores_in, scores_out))
    marks = np.repeat([False, True], [known.size, other.size])
    return Ranking.of(np.concatenate([known, other]), marks, ("image of another domain", "known image"))


def image_ood(scores_in: npt.ArrayLike, scores_out: npt.ArrayLike) -> dict[str, float]:
    """``auroc``, ``prr``, ``aupr`` (out), ``aupr_rest`` (in) and ``fpr95`` of telling images apart.

    All are NaN if a side has no images. Arguments as for :func:`image_ranking`.

    >>> image_ood([0.1, 0.2], [0.3, 0.15])["auroc"]
    0.75
    """
    ranking = image_ranking(scores_in, scores_out)
    return {name: float(getattr(ranking, name)) for name in METRICS}


class _Stored(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Saving and loading as NPZ; parameters are constructor arguments, learned arrays end in ``_``."""

    _learned: tuple[str, ...] = ()

    def save(self, path: str | Path) -> None:
        """Write what was learned (NPZ, no pickle).

        Raises:
            InputError: nothing was learned yet, or the file can't be written.
        """
        self._check_fitted()
        arrays: dict[str, Any] = {name: getattr(self, name) for name in self._learned}
        arrays |= {f"option.{k}": np.array(v) for k, v in self.get_params().items() if v is not None}
        write_npz(path, {"format": FORMAT, "kind": type(self).__name__, **arrays})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the file is missing, damaged or of another score.
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                found = {name: data[name] for name in data.files}
            kind = str(found["kind"])
            if kind != cls.__name__ or int(found["format"]) != FORMAT:
                raise InputError(f"holds a {kind} of format {int(found['format'])}", path=path)
            options = {k[7:]: v.item() for k, v in found.items() if k.startswith("option.")}
            score = cls(**options)
            for name in cls._learned:
                setattr(score, name, found[name])
        except FileNotFoundError as error:
            raise InputError("doesn't exist", path=path) from error
        except InputError:
            raise
        except Exception as error:  # damaged archives fail in many ways
            raise InputError(f"isn't a stored {cls.__name__}, or is damaged", path=path) from error
        return score

    def _check_fitted(self) -> None:
        if not hasattr(self, self._learned[0]):
            raise InputError("the score has learned nothing yet", remedy="call fit first")


class StandardizedMaxLogit(_Stored):
    """Largest logit against the mean and spread of its predicted class on known pixels.

    Jung et al., ICCV 2021. Sums are streamed: :meth:`partial_fit` as often as there are images.

    Args:
        n_classes: number of channels.
        min_pixels: classes predicted on fewer pixels take mean and spread of all pixels.

    Attributes:
        sums_: ``(n_classes, 3)`` float64: pixels, sum and sum of squares of the largest logit.

    >>> known = StandardizedMaxLogit(1, min_pixels=1).fit(np.array([4.0, 6.0]), np.array([0, 0]))
    >>> known.score_samples(np.array([3.0]), np.array([0])).tolist()
    [2.0]
    """

    _learned = ("sums_",)

    def __init__(self, n_classes: int = 19, min_pixels: int = 100) -> None:
        self.n_classes = n_classes
        self.min_pixels = min_pixels

    def fit(self, top: npt.ArrayLike, pred: npt.ArrayLike) -> Self:
        """Learn from largest logits and predicted channels of known pixels (any shape, the same)."""
        self.sums_ = np.zeros((self.n_classes, 3))
        return self.partial_fit(top, pred)

    def partial_fit(self, top: npt.ArrayLike, pred: npt.ArrayLike) -> Self:
        """Learn from more pixels."""
        if not hasattr(self, "sums_"):
            self.sums_ = np.zeros((self.n_classes, 3))
        values, classes = self._pairs(top, pred)
        weights = (None, values, values**2)
        self.sums_ += np.stack([np.bincount(classes, w, self.n_classes) for w in weights], 1)
        return self

    def score_samples(self, top: npt.ArrayLike, pred: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Minus the standardised largest logit, same shape, float32: higher = more doubt.

        Raises:
            InputError: nothing was learned.
        """
        self._check_fitted()
        values, classes = self._pairs(top, pred)
        mean, spread = self._moments()
        found = (mean[classes] - values) / spread[classes]
        return np.asarray(found.reshape(np.shape(top)), np.float32)

    def _moments(self) -> tuple[Floats, Floats]:
        total = self.sums_.sum(0)
        if total[0] == 0:
            raise InputError("the score has seen no pixel yet", remedy="call fit with known pixels")
        rows = np.where(self.sums_[:, :1] >= self.min_pixels, self.sums_, total)
        n, s, q = rows.T
        mean = s / n
        return mean, np.sqrt(np.maximum(q / n - mean**2, 1e-12))

    def _pairs(self, top: npt.ArrayLike, pred: npt.ArrayLike) -> tuple[Floats, npt.NDArray[np.int64]]:
        values = np.asarray(top, np.float64).reshape(-1)
        classes = np.asarray(pred).reshape(-1).astype(np.int64)
        if values.shape != classes.shape or (classes.size and classes.max() >= self.n_classes):
            raise InputError(
                f"{values.size} logits and {classes.size} channels below {self.n_classes} needed"
            )
        return values, classes


class KNNScore(_Stored):
    """Distance to the k-th nearest known feature; features are scaled to length one.

    Sun et al., ICML 2022.

    Args:
        k: which neighbour; with fewer known features the farthest.

    Attributes:
        features_: ``(n, D)`` float32 known features of length one.

    >>> known = KNNScore(k=1).fit([[1.0, 0.0], [0.0, 1.0]])
    >>> known.score_samples([[2.0, 0.0], [-1.0, 0.0]]).round(3).tolist()
    [0.0, 1.414]
    """

    _learned = ("features_",)

    def __init__(self, k: int = 50) -> None:
        self.k = k

    def fit(self, X: npt.ArrayLike, y: object = None) -> Self:  # noqa: N803
        """Keep known features ``(n, D)``; ``y`` is ignored.

        Raises:
            InputError: no or damaged features.
        """
        self.features_ = _unit_rows(_features(X))
        return self

    def score_samples(self, X: npt.ArrayLike) -> Floats:  # noqa: N803
        """``(n,)`` distances, 0 … 2.

        Raises:
            InputError: nothing was learned, or another number of features.
        """
        self._check_fitted()
        rows = _unit_rows(_features(X, self.features_.shape[1]))
        k = min(self.k, len(self.features_)) - 1
        found = np.empty(len(rows))
        for start in range(0, len(rows), _BLOCK):
            near = rows[start : start + _BLOCK] @ self.features_.T
            kth = -np.partition(-near, k, axis=1)[:, k]
            found[start : start + _BLOCK] = np.sqrt(np.maximum(2 - 2 * kth, 0))
        return found


class MahalanobisScore(_Stored):
    """Squared Mahalanobis distance to the nearest class mean under one shared covariance.

    Lee et al., NeurIPS 2018. The covariance is shrunk towards a multiple of the identity (Ledoit and Wolf,
    2004, or by hand), so that few samples of many features do.

    Args:
        shrinkage: 0 … 1; ``None``: the Ledoit-Wolf estimate.

    Attributes:
        means_: ``(n_means, D)`` class means; one without classes.
        precision_: ``(D, D)`` inverse covariance.

    >>> rng = np.random.default_rng(0)
    >>> known = MahalanobisScore().fit(rng.normal(size=(500, 2)))
    >>> bool(np.diff(known.score_samples([[0.0, 0.0], [5.0, 5.0]]))[0] > 20)
    True
    """

    _learned = ("means_", "precision_")

    def __init__(self, shrinkage: float | None = None) -> None:
        self.shrinkage = shrinkage

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike | Sequence[Any] | None = None) -> Self:  # noqa: N803
        """Learn from known features ``(n, D)``, with their classes ``(n,)`` or without.

        Raises:
            InputError: no or damaged features, or classes of another number.
        """
        from sklearn.covariance import ledoit_wolf, shrunk_covariance

        rows = _features(X)
        classes = np.zeros(len(rows), np.int64) if y is None else np.unique(y, return_inverse=True)[1]
        if len(classes) != len(rows):
            raise InputError(f"{len(classes)} classes for {len(rows)} rows of features")
        n = int(classes.max()) + 1
        self.means_ = np.stack([rows[classes == c].mean(0) for c in range(n)])
        rest = rows - self.means_[classes]
        if self.shrinkage is None:
            covariance = ledoit_wolf(rest, assume_centered=True)[0]
        else:
            covariance = shrunk_covariance(rest.T @ rest / len(rest), shrinkage=self.shrinkage)
        self.precision_ = np.linalg.pinv(covariance, hermitian=True)
        return self

    def score_samples(self, X: npt.ArrayLike) -> Floats:  # noqa: N803
        """``(n,)`` squared distances to the nearest mean.

        Raises:
            InputError: nothing was learned, or another number of features.
        """
        self._check_fitted()
        rows = _features(X, self.means_.shape[1])
        gaps = ((rows - m) for m in self.means_)
        return np.asarray(np.min([np.einsum("nd,nd->n", g @ self.precision_, g) for g in gaps], axis=0))


def _features(values: npt.ArrayLike, width: int | None = None) -> Floats:
    rows = np.asarray(values, np.float64)
    if rows.ndim != 2 or not rows.size or (width is not None and rows.shape[1] != width):
        raise InputError(f"features of shape {rows.shape}", remedy=f"give (n, {width or 'D'}) numbers")
    if not np.isfinite(rows).all():
        raise InputError("a feature is not a finite number")
    return rows


def _unit_rows(rows: Floats) -> npt.NDArray[np.float32]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)
