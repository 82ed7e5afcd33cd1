"""What reviewers say: opinions and verdicts on places in labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Decision = Literal["accepted", "rejected"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)


@dataclass(frozen=True)
class Area:
    """A region that a reviewer drew.

    Args:
        height: of the label, pixels.
        width: of the label.
        runs: start in the flattened image and length, alternating.
    """

    height: int
    width: int
    runs: tuple[int, ...]

    @classmethod
    def of(cls, mask: npt.NDArray[np.bool_]) -> Area:
        """Area of a mask ``(H, W)``.

        >>> Area.of(np.array([[False, True], [True, False]]))
        Area(height=2, width=2, runs=(1, 2))
        """
        steps = np.flatnonzero(np.diff(mask.ravel().astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
        runs = np.stack([steps[:, 0], steps[:, 1] - steps[:, 0]], 1)
        return cls(int(mask.shape[0]), int(mask.shape[1]), tuple(int(v) for v in runs.ravel()))

    def mask(self) -> npt.NDArray[np.bool_]:
        """The area as ``(H, W)`` truth values."""
        flat = np.zeros(self.height * self.width, bool)
        for start, length in zip(self.runs[::2], self.runs[1::2], strict=True):
            flat[start : start + length] = True
        return flat.reshape(self.height, self.width)


@dataclass(frozen=True)
class Opinion:
    """What one reviewer says of one place.

    Args:
        verdict: ``"accepted"`` or ``"rejected"``.
        reviewer: name; empty if unknown.
        time: when, ISO 8601; empty if unknown.
        label: class that the reviewer chose in place of the proposed one.
        area: region that the reviewer drew in place of the finding's.
    """

    verdict: Decision
    reviewer: str = ""
    time: str = ""
    label: str | None = None
    area: Area | None = None


@dataclass(frozen=True)
class Verdict:
    """What reviewers decided on one finding.

    Args:
        finding: number of the finding in its run, from 1; 0 for a place that is not listed.
        image_id: image.
        x0: left edge of the box, pixels.
        y0: top edge.
        x1: right edge, exclusive.
        y1: bottom edge, exclusive.
        kind: kind of error that was suspected.
        verdict: ``"accepted"``: the label is wrong; ``"rejected"``: the label is fine; ``None``: the
            reviewers disagree.
        time: when, ISO 8601; empty if unknown.
        reviewer: who; empty if unknown.
        label: class name that the reviewer chose in place of the proposed one.
        area: region that the reviewer drew in place of the finding's.
        opinions: of the reviewers one by one, if there are several.
    """

    finding: int
    image_id: str
    x0: int
    y0: int
    x1: int
    y1: int
    kind: str
    verdict: Decision | None
    time: str = ""
    reviewer: str = ""
    label: str | None = None
    area: Area | None = None
    opinions: tuple[Opinion, ...] = ()

    @property
    def box(self) -> tuple[int, int, int, int]:
        """``x0, y0, x1, y1`` in pixels."""
        return self.x0, self.y0, self.x1, self.y1

    def all_opinions(self) -> tuple[Opinion, ...]:
        """The opinions one by one, also where there is one only."""
        if self.opinions or self.verdict is None:
            return self.opinions
        return (Opinion(self.verdict, self.reviewer, self.time, self.label, self.area),)
