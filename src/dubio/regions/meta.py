"""Meta models: how good is a predicted region, judged by its uncertainty alone?

Meta classification asks whether a region's IoU with the label is zero (a false positive), meta
regression estimates the IoU (Rottmann et al., 2018, MetaSeg; Rottmann and Reese, 2023).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.files import write_npz
from dubio.regions.boosting import BoostedTrees

Floats = npt.NDArray[np.float64]
Model = Literal["l1", "boosted"]
# The published grid of inverse penalties, every second value: neighbours differ by less than noise.
PENALTIES: tuple[float, ...] = tuple(float(v) for v in 10 ** (-4.2 + 5 * np.arange(1, 20, 2) / 19))
_TINY = 1e-10


class _Meta:
    """What both meta models share: scaling, missing values, parameters, files."""

    task: Literal["classify", "regress"]

    def __init__(self, model: Model = "boosted", *, folds: int = 5, seed: int = 0) -> None:
        if model not in ("l1", "boosted"):
            raise InputError(f"unknown meta model '{model}'", remedy="choose l1 or boosted")
        self.model = model
        self.folds = folds
        self.seed = seed

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name."""
        return {"model": self.model, "folds": self.folds, "seed": self.seed}

    def fit(self, x: npt.ArrayLike, y: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> Self:
        """Fit to features ``x`` (N, F) and targets ``y`` (N,).

        Scaling is learned here and kept, so that the score of a region never depends on which other
        regions are scored with it.

        Args:
            x: features; NaN is allowed (``l1`` puts the mean in its place).
            y: whether the IoU is zero, or the IoU.
            groups: ``(N,)`` images; regions of an image stay together when the penalty is chosen.

        Raises:
            InputError: no rows, unequal lengths, or only one class to learn.
        """
        features = np.asarray(x, np.float64)
        target = np.asarray(y, np.float64)
        if features.ndim != 2 or len(features) != len(target) or len(target) == 0:
            raise InputError(f"meta models need rows of features and targets, not {features.shape}")
        if self.task == "classify" and len(np.unique(target)) < 2:
            raise InputError("a meta classifier needs regions with and without overlap to learn from")
        self.n_features_in_ = features.shape[1]
        if self.model == "boosted":
            self.trees_ = BoostedTrees(self.task, seed=self.seed, max_iter=200).fit(features, target)
            return self
        with np.errstate(all="ignore"):
            some = ~np.isnan(features).all(0)
            self.mean_ = np.where(some, np.nanmean(np.where(some, features, 0), axis=0), 0.0)
            self.scale_ = np.where(some, np.nanstd(np.where(some, features, 0), axis=0), 0.0) + _TINY
        grouped = np.arange(len(target)) if groups is None else np.asarray(groups)
        self.coef_, self.intercept_, self.penalty_ = self._fit_linear(self._scaled(features), target, grouped)
        return self

    def _fit_linear(self, z: Floats, y: Floats, groups: npt.NDArray[Any]) -> tuple[Floats, float, float]:
        raise InputError("this meta model has no linear form")

    def _scaled(self, x: Floats) -> Floats:
        return np.nan_to_num((x - self.mean_) / self.scale_, nan=0.0, posinf=0.0, neginf=0.0)

    def _raw(self, x: npt.ArrayLike) -> Floats:
        features = np.asarray(x, np.float64)
        if features.ndim != 2 or features.shape[1] != self.n_features_in_:
            raise InputError(
                f"rows have shape {features.shape}", remedy=f"give {self.n_features_in_} features"
            )
        if self.model == "boosted":
            return self.trees_.decision(features)
        raw: Floats = self._scaled(features) @ self.coef_ + self.intercept_
        return raw

    def save(self, path: str | Path) -> None:
        """Write an NPZ file (no pickle)."""
        state: dict[str, npt.NDArray[Any]] = {
            "task": np.array(self.task),
            "model": np.array(self.model),
            "n_features_in": np.array(self.n_features_in_),
        }
        if self.model == "boosted":
            state.update({f"trees_{k}": v for k, v in self.trees_.state().items()})
        else:
            state.update(
                mean=self.mean_, scale=self.scale_, coef=self.coef_,
                intercept=np.array(self.intercept_), penalty=np.array(self.penalty_),
            )  # fmt: skip
        write_npz(path, state)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the file is missing, or holds something else.
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                if str(data["task"]) != cls.task:
                    raise InputError(f"holds a model to {data['task']}", path=path)
                kind = str(data["model"])
                found = cls("boosted" if kind == "boosted" else "l1")
                found.n_features_in_ = int(data["n_features_in"])
                if kind == "boosted":
                    trees = {k.removeprefix("trees_"): data[k] for k in data.files if k.startswith("trees_")}
                    found.trees_ = BoostedTrees.from_state(trees)
                else:
                    found.mean_, found.scale_, found.coef_ = data["mean"], data["scale"], data["coef"]
                    found.intercept_, found.penalty_ = float(data["intercept"]), float(data["penalty"])
                return found
        except (OSError, ValueError, KeyError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"is no saved meta model ({error})", path=path) from error


class MetaClassifier(_Meta):
    """Probability that a predicted region doesn't overlap the label at all (IoU = 0).

    Args:
        model: ``l1``: logistic regression with L1 penalty, as published; ``boosted``: gradient boosting.
        folds: parts, by image, on which the penalty is chosen.
        seed: seed.

    The published code chooses the penalty by accuracy, on folds that mix regions of one image; with few
    false positives that picks the empty model. Here log loss on folds of whole images decides.

    >>> x = np.random.default_rng(0).normal(size=(300, 3))
    >>> model = MetaClassifier("l1").fit(x, x[:, 0] > 0, groups=np.arange(300) // 10)
    >>> bool(model.predict([[2.0, 0, 0]])[0] > 0.9)
    True
    """

    task = "classify"

    def predict(self, x: npt.ArrayLike) -> Floats:
        """Probability of IoU = 0, ``(N,)`` float64."""
        return np.asarray(1 / (1 + np.exp(-self._raw(x))))

    def _fit_linear(self, z: Floats, y: Floats, groups: npt.NDArray[Any]) -> tuple[Floats, float, float]:
        from sklearn.metrics import log_loss

        loss = np.zeros(len(PENALTIES))
        for train, test in group_folds(groups, self.folds):
            if len(np.unique(y[train])) < 2:
                continue
            for i, c in enumerate(PENALTIES):
                coef, intercept = _logistic(z[train], y[train], c, self.seed)
                p = 1 / (1 + np.exp(-(z[test] @ coef + intercept)))
                loss[i] += log_loss(y[test], p, labels=[0, 1]) * len(test)
        best = PENALTIES[int(loss.argmin())]
        coef, intercept = _logistic(z, y, best, self.seed)
        return coef, intercept, best


class MetaRegressor(_Meta):
    """IoU of a predicted region with the label, estimated from its features; clipped to 0 … 1.

    Args:
        model: ``l1``: linear regression with an L1 penalty chosen on folds of whole images;
            ``boosted``: gradient boosting.
        folds: parts, by image.
        seed: seed.
    """

    task = "regress"

    def predict(self, x: npt.ArrayLike) -> Floats:
        """Estimated IoU, ``(N,)`` float64."""
        return np.clip(self._raw(x), 0.0, 1.0)

    def _fit_linear(self, z: Floats, y: Floats, groups: npt.NDArray[Any]) -> tuple[Floats, float, float]:
        from sklearn.linear_model import LassoCV

        cuts = group_folds(groups, self.folds)
        model = LassoCV(cv=cuts, max_iter=5000, random_state=self.seed).fit(z, y)
        return np.asarray(model.coef_, np.float64), float(model.intercept_), float(model.alpha_)


def _logistic(z: Floats, y: Floats, c: float, seed: int) -> tuple[Floats, float]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        C=c,
        l1_ratio=1.0,
        solver="liblinear",
        random_state=seed,
        max_iter=1000,
        tol=1e-3,
        intercept_scaling=10,
    )  # fmt: skip
    model.fit(z, y)
    return np.asarray(model.coef_[0], np.float64), float(model.intercept_[0])


def group_folds(
    groups: npt.NDArray[Any], folds: int
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Training and test rows of each part; rows of one group are never torn apart.

    Raises:
        InputError: fewer than two groups.
    """
    from sklearn.model_selection import GroupKFold

    n = len(np.unique(groups))
    if n < 2:
        raise InputError("cross-fitting needs at least two images")
    return list(GroupKFold(min(folds, n)).split(groups, groups=groups))
