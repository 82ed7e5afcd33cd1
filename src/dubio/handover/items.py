"""What is handed over: findings, with what reviewers made of them, chosen and grouped by image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.labelspace import LabelSpace
from dubio.errors.findings import BOX_KINDS, KINDS, Box, Finding
from dubio.errors.opinions import Verdict
from dubio.handover.audit_run import AuditRun

Which = Literal["accepted", "rejected", "open", "all"]
WHICH: tuple[Which, ...] = get_args(Which)
OPEN = "open"
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Item:
    """A finding to hand over.

    Args:
        finding: the finding; number 0 for a region that a reviewer drew.
        verdict: what reviewers said, if they did.
    """

    finding: Finding
    verdict: Verdict | None = None

    @property
    def edited(self) -> bool:
        """Whether a reviewer chose another region or class."""
        return self.verdict is not None and (self.verdict.area is not None or self.verdict.label is not None)

    @property
    def state(self) -> str:
        """``accepted``, ``rejected`` or ``open``."""
        return self.finding.verdict or OPEN

    def mask(self) -> Bools:
        """Region ``(H, W)``: the reviewer's, else the finding's."""
        own = None if self.verdict is None else self.verdict.area
        return self.finding.mask() if own is None else own.mask()

    def class_index(self, space: LabelSpace) -> int:
        """Class to show: the reviewer's, else the proposed one, or where that is void the given one."""
        if self.verdict is not None and self.verdict.label is not None:
            return space.index_of(self.verdict.label)
        f = self.finding
        known = 0 <= f.proposed_index < len(space)
        return f.proposed_index if known else min(max(f.given_index, 0), len(space) - 1)

    def box(self) -> Box:
        """Corners of a finding on a box: the reviewer's, else what the model sees, else the labelled box."""
        own = None if self.verdict is None else self.verdict.area
        if own is not None:
            mask = own.mask()
            rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            return float(cols[0]), float(rows[0]), float(cols[-1] + 1), float(rows[-1] + 1)
        f = self.finding
        return f.proposed_box or f.given_box or (float(f.x0), float(f.y0), float(f.x1), float(f.y1))


@dataclass(frozen=True)
class Choice:
    """Which findings to hand over.

    Args:
        which: by verdict; ``None``: all but the rejected.
        min_probability: leave out less probable ones.
        top: at most so many, the most probable.
        kinds: only these kinds; ``None``: all.
        classes: only findings whose given or proposed class has one of these names; ``None``: all.
    """

    which: Which | None = None
    min_probability: float = 0.0
    top: int | None = None
    kinds: Sequence[str] | None = None
    classes: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.which is not None and self.which not in WHICH:
            raise InputError(f"unknown choice '{self.which}'", remedy=f"choose from {', '.join(WHICH)}")
        kinds = dict.fromkeys((*KINDS, *BOX_KINDS))
        unknown = [k for k in self.kinds or () if k not in kinds]
        if unknown:
            raise InputError(f"unknown kind '{unknown[0]}'", remedy=f"choose from {', '.join(kinds)}")


def choose_items(run: AuditRun, choice: Choice, *, drawn: bool = False) -> list[Item]:
    """Findings of a run by choice, most probable first.

    Args:
        run: the audit.
        choice: which.
        drawn: also regions that reviewers drew and accepted, in front (if ``choice`` takes accepted ones).

    Raises:
        InputError: the label space has no such class.
    """
    judged = {v.finding: v for v in run.verdicts if v.finding}
    wanted = None if choice.classes is None else {run.space.index_of(name) for name in choice.classes}
    items = []
    for f in sorted(run.findings, key=lambda f: (-f.probability, f.finding)):
        if not _taken(f.verdict, choice.which) or f.probability < choice.min_probability:
            continue
        if choice.kinds is not None and f.kind not in choice.kinds:
            continue
        if wanted is not None and not {f.given_index, f.proposed_index} & wanted:
            continue
        items.append(Item(f, judged.get(f.finding)))
    items = items[: choice.top]
    if drawn and choice.which in (None, "accepted", "all"):
        return [Item(_drawn(v, run.space), v) for v in run.verdicts if _is_drawn(v)] + items
    return items


def _taken(verdict: str | None, which: Which | None) -> bool:
    if which is None:
        return verdict != "rejected"
    return which in ("all", verdict or OPEN)


def _is_drawn(verdict: Verdict) -> bool:
    known = verdict.label is not None and verdict.area is not None
    return verdict.finding == 0 and known and verdict.verdict == "accepted"


def _drawn(verdict: Verdict, space: LabelSpace) -> Finding:
    assert verdict.area is not None
    assert verdict.label is not None
    index = space.index_of(verdict.label)
    x0, y0, x1, y1 = verdict.box
    runs = np.array(verdict.area.runs, np.int32)
    nan = float("nan")
    return Finding(
        0, verdict.image_id, "missing", "", space.name_of(index), space.void_index, index, 1.0, nan,
        x0, y0, x1, y1, int(runs[1::2].sum()), runs, verdict.area.height, verdict.area.width, nan, nan,
        "Drawn by a reviewer.", verdict=verdict.verdict,
    )  # fmt: skip


def by_image(items: Iterable[Item]) -> dict[str, list[Item]]:
    """Items by image id, images in order of their id, each image's items in their order."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.finding.image_id, []).append(item)
    return {name: groups[name] for name in sorted(groups)}


def resized(mask: npt.NDArray[Any], shape: tuple[int, int]) -> npt.NDArray[Any]:
    """A mask at another size ``(H, W)``, by nearest pixel.

    >>> resized(np.array([[True, False]]), (1, 4)).tolist()
    [[True, True, False, False]]
    """
    h, w = mask.shape
    if (h, w) == shape:
        return mask
    rows = np.minimum((np.arange(shape[0]) + 0.5) * h / shape[0], h - 1).astype(int)
    cols = np.minimum((np.arange(shape[1]) + 0.5) * w / shape[1], w - 1).astype(int)
    return np.asarray(mask[rows][:, cols])
