"""What the finder must be told of a kind of region, so that masks and boxes are served by the same code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Score = Callable[[Floats], Floats]


class Work(Protocol):
    """Results of one image, whatever its labels are.

    Attributes:
        image_id: the image.
        shape: height and width, pixels.
        places: candidates of the labels as given: ``x (n, F)`` features, ``group (n,)`` same places,
            ``box (n, 4)`` as integers.
        planting: rows to learn from: ``x``, ``y`` (1 planted, 0 not, -1 in between), ``weight``, ``group``,
            ``planted`` and ``found`` (errors planted, and met by some candidate).
        whole: measures of the labels as a whole (:class:`~dubio.errors.whole_image.WholeImage`).
    """

    image_id: str
    shape: tuple[int, int]
    places: Any
    planting: Any
    whole: Any

    @property
    def traits(self) -> Traits:
        """What kind of region."""

    @property
    def n_regions(self) -> int:
        """Labelled regions that are searched."""


@dataclass(frozen=True)
class WholeTraits:
    """What whole images are judged by.

    Attributes:
        features: names of the measures; ``disagree`` and ``doubt`` are among them.
        faults: kinds of faults that are planted, each with what it looks like, in words.
        slips: what small faults of labels are called: one, and several.
        disagreement: from the measures to how far model and labels differ, in words.
        noun: what is labelled, several of them.
        extent: from the measures to how much a fault concerns, in words; ``None``: the expected number of
            errors is said.
        max_bins: bins per measure. With few, a cut between groups far apart may lie at the edge of one.
    """

    features: tuple[str, ...]
    faults: Mapping[str, str]
    slips: tuple[str, str]
    disagreement: Callable[[Floats], str]
    noun: str = "regions"
    extent: Callable[[Floats], str] | None = None
    max_bins: int = 64


@dataclass(frozen=True)
class Committee:
    """Several classifiers in place of one (:class:`dubio.errors.judge.Judge`).

    Attributes:
        strong: from ``x`` to ``(n, S)`` features that a linear model learns from; finite.
        trees: options of the trees.
        members: sets of trees.
        share: share of the features that each sees.
        linear: weight of the linear model.
        penalty: its inverse penalty.
    """

    strong: Callable[[npt.NDArray[Any]], Floats]
    trees: Mapping[str, Any]
    members: int = 3
    share: float = 0.5
    linear: float = 0.35
    penalty: float = 0.1


@dataclass(frozen=True)
class Traits:
    """A kind of region.

    Attributes:
        features: names of the columns of ``x``.
        free: from ``x`` of all candidates to suspicion where nothing can be learned: ``(n,)``, or ``(n, K)``
            by kind.
        free_words: what it ranks by, in words.
        baselines: simple scores to compare with.
        key: columns that identify a candidate whose surroundings were not touched.
        find_same: from an image's work, runs and box of a reviewed region to the candidate that it is, or
            ``None``.
        row_of: from an image's work and a finding to the candidate that it was made of, or ``None``.
        whole: what whole images are judged by.
        hidden: columns that say which and not how, and are not learned from.
        context: from the works to columns that are added to ``x``; ``None``: there are none.
        calls: kinds of errors that are told apart by learning; none: kinds follow from rules.
        marks: from the works to the position in ``calls`` of each row to learn from, -1: no error.
        usual: from the works to whether each row to learn from is like real errors are; by the others, which
            are learned from too, nothing is calibrated. ``None``: all are.
        possible: from ``x`` to ``(n, K)``: kinds that a candidate can be at all.
        excused: from ``x`` to ``(n, K)``: kinds that would be no error there.
        committee: classifiers in place of one; ``None``: one set of trees.
        trust: by kind of ``calls``, the share of the log odds of ``free`` that is added to what was learned
            (:mod:`dubio.errors.kind_odds`); none: what was learned stands alone.
    """

    features: tuple[str, ...]
    free: Score
    free_words: str
    baselines: Mapping[str, Score]
    key: tuple[str, ...]
    find_same: Callable[[Any, npt.NDArray[np.int32], npt.NDArray[Any]], int | None]
    row_of: Callable[[Any, Any], int | None]
    whole: WholeTraits
    hidden: tuple[str, ...] = ()
    context: Callable[[Sequence[Any]], Any] | None = None
    calls: tuple[str, ...] = ()
    marks: Callable[[Sequence[Any]], npt.NDArray[np.int8]] | None = None
    usual: Callable[[Sequence[Any]], Flags] | None = None
    possible: Callable[[npt.NDArray[Any]], Flags] | None = None
    excused: Callable[[npt.NDArray[Any]], Flags] | None = None
    committee: Committee | None = None
    trust: tuple[float, ...] = ()

    def column(self, name: str) -> int:
        """Position of a feature."""
        return self.features.index(name)

    def learned(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The columns that are learned from."""
        if not self.hidden:
            return x
        hidden = {self.features.index(name) for name in self.hidden}
        return x[:, [k for k in range(x.shape[1]) if k not in hidden]]


def traits_of(works: Sequence[Work]) -> Traits:
    """The kind of region of some works; masks if there are none."""
    if works:
        return works[0].traits
    from dubio.errors.masks import MASKS

    return MASKS
