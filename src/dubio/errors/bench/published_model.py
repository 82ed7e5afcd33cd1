"""The published meta classifier with its settings, to reproduce old results.

Automatic-Label-Error-Detection (Rottmann and Reese, 2023) fits a logistic regression with L1 penalty on half
of the images and searches the other half. Its settings are kept here, weaknesses included: each half is
standardised by its own mean and deviation, so that a score depends on the company; the penalty is
chosen by accuracy on folds that mix regions of one image, which with few false positives picks the empty
model; regions without inner pixels are dropped. :class:`dubio.regions.meta.MetaClassifier` does better.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
PENALTIES: tuple[float, ...] = tuple(float(v) for v in 10 ** (-4.2 + 5 * np.arange(20) / 19))
_NO_FEATURE = ("class", "iou", "iou0")
_TINY = 1e-10


@dataclass(frozen=True)
class PublishedRows:
    """Regions of some images in the published order.

    Attributes:
        x: ``(N, F)`` standardised features.
        y: ``(N,)`` 1 where the region doesn't overlap the label of its class at all.
        image: ``(N,)`` position of the image in the order given.
        component: ``(N,)`` number of the region in its image, from 1.
        columns: names of the features.
    """

    x: Floats
    y: Ints
    image: Ints
    component: Ints
    columns: tuple[str, ...]


def split_order(names: Iterable[str], seed: int = 1, *, ending: str = "_metrics.p") -> list[str]:
    """Image names in the order in which the published tool cuts them in two.

    The names of its files are sorted and shuffled by numpy's legacy generator. The ending counts in
    sorting (``a_metrics.p`` comes after ``a2_metrics.p``).

    >>> split_order(["b", "c", "a"])
    ['a', 'c', 'b']
    """
    files = sorted(name + ending for name in names)
    np.random.RandomState(seed).shuffle(files)  # numpy's stub doesn't say so, but lists are fine
    return [name.removesuffix(ending) for name in files]


def split(
    names: Iterable[str], *, ratio: float = 0.5, seed: int = 1, ending: str = "_metrics.p"
) -> tuple[list[str], list[str]]:
    """Images to fit on and images to search: ``int(ratio * n)`` of :func:`split_order` and the rest."""
    order = split_order(names, seed, ending=ending)
    cut = int(ratio * len(order))
    return order[:cut], order[cut:]


def feature_columns(columns: Iterable[str], n_probabilities: int) -> tuple[str, ...]:
    """Names of the features in the published order: sorted by code point, then ``cprob0 …``.

    >>> feature_columns(["class", "ndist10", "ndist2", "E", "cprob0", "cprob1", "iou", "iou0"], 2)
    ('E', 'ndist10', 'ndist2', 'cprob0', 'cprob1')
    """
    plain = sorted(c for c in columns if c not in _NO_FEATURE and not c.startswith("cprob"))
    return (*plain, *(f"cprob{j}" for j in range(n_probabilities)))


def probability_columns(tables: Sequence[Mapping[str, Floats]]) -> int:
    """Number of class probabilities that the published features have: the highest class in training, + 1."""
    return 1 + max((int(t["class"].max()) for t in tables if len(t["class"])), default=-1)


def feature_rows(tables: Sequence[Mapping[str, Floats]], n_probabilities: int) -> PublishedRows:
    """Stack the images' tables as the published tool does.

    Regions without inner pixels are left out; every column is standardised by its own mean and (population)
    standard deviation over these very rows.

    Args:
        tables: per image the columns of :func:`dubio.regions.published.published_table`.
        n_probabilities: see :func:`probability_columns`; that of the training half for both halves.

    Raises:
        InputError: no rows, or a column is missing.
    """
    if not tables:
        raise InputError("there are no region tables to take features from")
    columns = feature_columns(tables[0], n_probabilities)
    parts, targets, images, components = [], [], [], []
    try:
        for number, table in enumerate(tables):
            kept = np.flatnonzero(table["S_in"] > 0)
            parts.append(np.column_stack([np.asarray(table[c], np.float64)[kept] for c in columns]))
            targets.append(np.asarray(table["iou0"])[kept].astype(np.int64))
            images.append(np.full(len(kept), number))
            components.append(kept + 1)
    except KeyError as error:
        raise InputError(f"a region table lacks the column {error}") from error
    x = np.concatenate(parts)
    if not len(x):
        raise InputError("no region has inner pixels")
    return PublishedRows(
        standardised(x), np.concatenate(targets), np.concatenate(images), np.concatenate(components), columns
    )


def standardised(x: Floats) -> Floats:
    """Columns less their mean, divided by their population standard deviation + 1e-10."""
    return np.asarray((x - x.mean(0)) / (x.std(0) + _TINY))


@dataclass(frozen=True)
class PublishedModel:
    """A fitted published classifier.

    Attributes:
        coef: ``(F,)``.
        intercept: the intercept.
        penalty: the inverse penalty C that was chosen.
    """

    coef: Floats
    intercept: float
    penalty: float

    def true_probability(self, x: Floats) -> Floats:
        """Probability that the IoU is above 0, ``(N,)``: the score of a region that the label denies."""
        raw = np.asarray(x, np.float64) @ self.coef + self.intercept
        return np.asarray(1 / (1 + np.exp(raw)))


def fit_published(
    x: Floats, y: npt.ArrayLike, *, penalties: Sequence[float] = PENALTIES, folds: int = 5
) -> PublishedModel:
    """Fit with the published settings: L1, SAGA, the penalty by accuracy on stratified folds of rows.

    Args:
        x: ``(N, F)`` standardised features.
        y: ``(N,)`` 1 where the IoU is 0.
        penalties: inverse penalties to choose from; a single one is fitted as it is.
        folds: number of folds.

    Raises:
        InputError: only one kind of region.
    """
    from sklearn.linear_model import LogisticRegression, LogisticRegressionCV

    target = np.asarray(y).astype(int)
    if len(np.unique(target)) < 2:
        raise InputError("the published model needs regions with and without overlap to learn from")
    how: dict[str, Any] = {"solver": "saga", "random_state": 0, "max_iter": 1000, "tol": 1e-3}
    if len(penalties) == 1:
        model = LogisticRegression(C=penalties[0], l1_ratio=1.0, **how)
    else:
        model = LogisticRegressionCV(
            Cs=list(penalties), l1_ratios=(1.0,), cv=folds, scoring="accuracy",
            use_legacy_attributes=False, **how,
        )  # fmt: skip
    with warnings.catch_warnings():
        # An iteration limit that is reached belongs to the published settings.
        warnings.simplefilter("ignore")
        model.fit(x, target)
    chosen = penalties[0] if len(penalties) == 1 else float(np.ravel(model.C_)[0])
    return PublishedModel(np.asarray(model.coef_[0], np.float64), float(model.intercept_[0]), float(chosen))
