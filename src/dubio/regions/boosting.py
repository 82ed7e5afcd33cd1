"""Gradient-boosted trees that are saved as plain arrays.

scikit-learn's histogram boosting is fitted; what is kept are the trees' nodes, in an NPZ file without
pickle. Prediction walks them in compiled code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from numba import njit

from dubio.core.errors import InputError
from dubio.core.files import write_npz

Floats = npt.NDArray[np.float64]
_NODE = ("value", "feature_idx", "num_threshold", "missing_go_to_left", "left", "right", "is_leaf")


class BoostedTrees:
    """Binary classifier or regressor by gradient boosting (Friedman, 2001), histogram-based.

    NaN is a value like any other: at each split it goes to the side where it fits better.

    Args:
        task: ``classify`` (log loss, two classes) or ``regress`` (squared error).
        max_iter: number of trees.
        learning_rate: shrinkage.
        max_leaf_nodes: leaves per tree; 15 keeps interactions of a few features.
        min_samples_leaf: rows per leaf at least.
        l2: ridge penalty of the leaf values.
        max_bins: bins per feature; 64 are as good as 255 here, and found three times faster.
        seed: seed (only matters above 10,000 rows, where bins are found on a sample).

    >>> x = np.linspace(0, 1, 200)[:, None]
    >>> model = BoostedTrees(max_iter=20).fit(x, x[:, 0] > 0.5)
    >>> bool(model.predict(np.array([[0.9]]))[0] > 0.6)
    True
    """

    def __init__(
        self,
        task: Literal["classify", "regress"] = "classify",
        *,
        max_iter: int = 250,
        learning_rate: float = 0.06,
        max_leaf_nodes: int = 15,
        min_samples_leaf: int = 20,
        l2: float = 1.0,
        max_bins: int = 64,
        seed: int = 0,
    ) -> None:
        self.task = task
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_leaf = min_samples_leaf
        self.l2 = l2
        self.max_bins = max_bins
        self.seed = seed

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name."""
        names = ("task", "max_iter", "learning_rate", "max_leaf_nodes", "min_samples_leaf", "l2", "max_bins")
        return {name: getattr(self, name) for name in (*names, "seed")}

    def fit(
        self, x: npt.NDArray[Any], y: npt.NDArray[Any], sample_weight: npt.NDArray[Any] | None = None
    ) -> Self:
        """Fit to rows ``x`` (N, F) and targets ``y`` (N,): truth values, or numbers to regress.

        Raises:
            InputError: only one class in ``y``, or no rows.
        """
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits

        if len(x) == 0 or (self.task == "classify" and len(np.unique(y)) < 2):
            raise InputError("a classifier needs rows of both classes to learn from")
        options = {
            "max_iter": self.max_iter,
            "learning_rate": self.learning_rate,
            "max_leaf_nodes": self.max_leaf_nodes,
            "min_samples_leaf": self.min_samples_leaf,
            "l2_regularization": self.l2,
            "max_bins": self.max_bins,
            "early_stopping": False,
            "random_state": self.seed,
        }
        kind = HistGradientBoostingClassifier if self.task == "classify" else HistGradientBoostingRegressor
        x = np.array(x, np.float64)
        x[:, np.isnan(x).all(0)] = 0.0  # a column without any value can't be cut into bins
        if sample_weight is not None and np.all(sample_weight == sample_weight[0]):
            sample_weight = None
        edges = {} if sample_weight is None else _cut_into_bins(x, sample_weight, self.max_bins)
        # One thread: on a busy machine threads that wait for each other take ten times as long. Callers
        # that want all cores fit several models at once.
        with threadpool_limits(1):
            model = kind(**options).fit(x, y.astype(np.float64), sample_weight)
        trees = [predictors[0].nodes for predictors in model._predictors]
        self.starts_ = np.cumsum([0] + [len(t) for t in trees[:-1]]).astype(np.int64)
        nodes = np.concatenate(trees)
        for feature, cuts in edges.items():
            here = (nodes["feature_idx"] == feature) & (nodes["is_leaf"] == 0)
            code = np.minimum(nodes["num_threshold"][here], len(cuts)).astype(np.int64)
            nodes["num_threshold"][here] = np.append(cuts, np.inf)[code]  # what splits off NaN is infinite
        self.nodes_ = {name: np.ascontiguousarray(nodes[name]) for name in _NODE}
        self.base_ = float(np.ravel(model._baseline_prediction)[0])
        self.n_features_in_ = int(x.shape[1])
        return self

    def decision(self, x: npt.NDArray[Any]) -> Floats:
        """Sum of the trees: log odds, or the regressed value, ``(N,)`` float64."""
        x = np.ascontiguousarray(x, np.float64)
        if x.ndim != 2 or x.shape[1] != self.n_features_in_:
            raise InputError(f"rows have shape {x.shape}", remedy=f"give {self.n_features_in_} features")
        out = np.full(len(x), self.base_)
        n = self.nodes_
        _walk(
            x, self.starts_, n["value"], n["feature_idx"].astype(np.int64), n["num_threshold"],
            n["missing_go_to_left"], n["left"].astype(np.int64), n["right"].astype(np.int64), n["is_leaf"],
            out,
        )  # fmt: skip
        return out

    def predict(self, x: npt.NDArray[Any]) -> Floats:
        """Probability of the positive class, or the regressed value, ``(N,)`` float64."""
        raw = self.decision(x)
        return 1 / (1 + np.exp(-raw)) if self.task == "classify" else raw

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Everything that prediction needs, as arrays."""
        return {
            "classify": np.array(self.task == "classify"),
            "base": np.array(self.base_),
            "n_features": np.array(self.n_features_in_),
            "starts": self.starts_,
            **{f"node_{k}": v for k, v in self.nodes_.items()},
        }

    @classmethod
    def from_state(cls, state: dict[str, npt.NDArray[Any]]) -> Self:
        """The inverse of :meth:`state`."""
        model = cls("classify" if bool(state["classify"]) else "regress")
        model.base_ = float(state["base"])
        model.n_features_in_ = int(state["n_features"])
        model.starts_ = state["starts"]
        model.nodes_ = {name: state[f"node_{name}"] for name in _NODE}
        return model

    def save(self, path: str | Path) -> None:
        """Write an NPZ file (no pickle)."""
        write_npz(path, self.state())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the file is missing or something else.
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                return cls.from_state({k: data[k] for k in data.files})
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"is no saved model ({error})", path=path) from error


def _cut_into_bins(x: Floats, weight: npt.NDArray[Any], bins: int) -> dict[int, Floats]:
    """Replace values by the number of their bin, in place, and give the upper edges by column.

    Edges are weighted quantiles (averaged inverse of the distribution function), as scikit-learn takes them;
    it finds them one by one, which takes longer than the trees. Columns with few values stay as they are.
    """
    found: dict[int, Floats] = {}
    levels = np.linspace(0, 1, bins + 1)[1:-1]
    for k in range(x.shape[1]):
        rows = np.flatnonzero(~np.isnan(x[:, k]) & (weight != 0))
        order = rows[np.argsort(x[rows, k], kind="stable")]
        values = x[order, k]
        if (np.diff(values) > 0).sum() < bins:
            continue
        passed = np.cumsum(weight[order], dtype=np.float64)
        wanted = levels * passed[-1]
        at = np.minimum(np.searchsorted(passed, wanted, "left"), len(values) - 1)
        after = np.minimum(at + 1, len(values) - 1)
        even = passed[at] - wanted <= np.finfo(np.float64).eps
        cuts = np.unique(np.where(even, (values[at] + values[after]) / 2, values[at]))
        found[k] = cuts
        present = ~np.isnan(x[:, k])
        x[present, k] = np.searchsorted(cuts, x[present, k], "left")
    return found


@njit(cache=True, nogil=True)
def _walk(
    x: Any,
    starts: Any,
    value: Any,
    feature: Any,
    threshold: Any,
    nan_left: Any,
    left: Any,
    right: Any,
    leaf: Any,
    out: Any,
) -> None:
    for i in range(x.shape[0]):
        for t in range(starts.size):
            base = starts[t]
            node = base
            while leaf[node] == 0:
                v = x[i, feature[node]]
                go_left = nan_left[node] != 0 if np.isnan(v) else v <= threshold[node]
                node = base + (left[node] if go_left else right[node])
            out[i] += value[node]
