"""What the finder gives: places of the labels with their probability."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dubio.errors.kind_shares import KindEvidence, expected_by_kind
from dubio.errors.prior import Evidence, expected_errors
from dubio.errors.quality import Quality

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Interval = tuple[float, float, float]
# Evidence is kept for so many parts of the data set: images, or bundles of them where there are more.
MAX_PARTS = 4096


@dataclass
class Found:
    """Places of the given labels with their probability, in order of images and candidates.

    Attributes:
        image: ``(n,)`` position of the image in the list given.
        candidate: ``(n,)`` position of the place's best candidate within the image.
        score: ``(n,)`` the classifier's calibrated probability of a planted error.
        probability: ``(n,)`` probability of an error in the given labels.
        odds: ``(n,)`` likelihood ratio of an error against all places; ``(n, K)`` where kinds are learned.
        evidence: what the share of errors is estimated from; ``None`` if nothing is calibrated.
        quality: measured on planted errors; ``None`` for the label-free ranking.
        note: why the label-free ranking was used, or empty.
        verdict: ``(n,)`` int8: 1 found wrong by a reviewer before, -1 found fine, 0 not judged.
        kinds: ``(n, K)`` probability of each kind of ``calls``, given that there is an error; no columns
            where kinds follow from rules.
        calls: names of the kinds.
    """

    image: Ints
    candidate: Ints
    score: Floats
    probability: Floats
    odds: Floats
    evidence: Evidence | KindEvidence | None
    quality: Quality | None
    note: str = ""
    verdict: npt.NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))
    kinds: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    calls: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.verdict) != len(self.image):
            self.verdict = np.zeros(len(self.image), np.int8)
        if len(self.kinds) != len(self.image):
            self.kinds = np.zeros((len(self.image), 0))

    def expected(self, chosen: npt.NDArray[np.bool_] | None = None, *, seed: int = 0) -> Interval:
        """Expected number of errors among the chosen places (default: all) with a 90 % interval.

        Raises:
            ValueError: nothing is calibrated.
        """
        if self.evidence is None:
            raise ValueError("the ranking is not calibrated")
        mine = np.ones(len(self.image), bool) if chosen is None else chosen
        odds, part, told = self.odds[mine], part_of(self.image[mine]), self.verdict[mine]
        if isinstance(self.evidence, KindEvidence):
            return expected_by_kind(odds, part, self.evidence, seed=seed, verdict=told)
        return expected_errors(odds, part, self.evidence, seed=seed, verdict=told)


def part_of(image: Ints) -> Ints:
    """Part of the evidence that an image belongs to."""
    return image % MAX_PARTS
