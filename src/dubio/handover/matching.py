"""Regions that come back, matched with the findings that went out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.data.images import image_size
from dubio.errors.findings import Finding
from dubio.errors.opinions import Area, Opinion, Verdict
from dubio.handover.audit_run import AuditRun
from dubio.handover.items import resized
from dubio.handover.returned import Answer, ImageNames, Returned

# A region without a number is a finding's if they share this much of their union, as in detection.
SAME = 0.5
DRAWN = "missing"
# pixels
_ROUNDED = 2
Bools = npt.NDArray[np.bool_]


@dataclass
class Matched:
    """What came back, in terms of the run.

    Attributes:
        verdicts: one opinion each; finding 0 for regions that reviewers drew.
        edited: numbers of findings whose region or class a reviewer changed.
        undecided: numbers of findings whose region or class was changed without a verdict.
        drawn: number of new regions.
        unknown: sentences on what fits nothing of the run.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    edited: set[int] = field(default_factory=set)
    undecided: set[int] = field(default_factory=set)
    drawn: int = 0
    unknown: list[str] = field(default_factory=list)


def match(run: AuditRun, answer: Answer, *, deleted: Iterable[int] = ()) -> Matched:
    """Match regions with findings: by number, image and place, else by overlap; what is left was drawn.

    Args:
        run: the audit.
        answer: what a tool gave back.
        deleted: numbers of findings that were handed over and are rejected where they are missing from an
            image that the file lists.

    Returns:
        The verdicts, with the region and class of a reviewer where they differ from ours.
    """
    names = ImageNames(run.dataset)
    listed: dict[str, list[Finding]] = {}
    for f in run.findings:
        listed.setdefault(f.image_id, []).append(f)
    groups: dict[tuple[str, str, str], list[Returned]] = {}
    found = Matched()
    for row in answer.rows:
        image = names.find(row.image)
        if image is None:
            found.unknown.append(f"{row.row}: the run has no image '{row.image}'")
        else:
            groups.setdefault((image, row.reviewer, row.time), []).append(row)
    returned: set[int] = set()
    for (image, _, _), rows in groups.items():
        _match_image(run, image, rows, listed.get(image, []), found, returned)
    seen = {names.find(name) for name in answer.images}
    gone = set(deleted) - returned
    for f in run.findings:
        if f.finding in gone and f.image_id in seen:
            found.verdicts.append(_verdict(f, Opinion("rejected")))
    return found


def _match_image(
    run: AuditRun,
    image: str,
    rows: Sequence[Returned],
    findings: Sequence[Finding],
    found: Matched,
    returned: set[int],
) -> None:
    by_number = {f.finding: f for f in findings}
    shape = _label_shape(run, image, findings)
    rest: list[Returned] = []
    here: set[int] = set()  # another reviewer may return the same finding
    for number, parts in _numbered(rows, rest).items():
        f = by_number.get(number)
        if f is None:
            where = parts[0].row
            found.unknown.append(f"{where}: finding {number} of this run is not in image '{image}'")
            continue
        if parts[0].box not in (None, (f.x0, f.y0, f.x1, f.y1)):
            found.unknown.append(f"{parts[0].row}: finding {number} lies elsewhere in this run")
            continue
        rest += parts[1:]
        if parts[0].mask is not None and _elsewhere(parts[0].mask, f):
            rest.append(parts[0])  # the number is of another list
            continue
        here.add(number)
        _judge(run, f, parts[0], found)
    for row in rest:
        if row.mask is None:
            found.unknown.append(f"{row.row}: has neither number nor region")
            continue
        best = _best(row.mask, [f for f in findings if f.finding not in here])
        if best is not None:
            here.add(best.finding)
            _judge(run, best, row, found)
        elif row.decision == "accepted":
            _draw(run, image, row, shape, found)
    returned |= here


def _numbered(rows: Sequence[Returned], rest: list[Returned]) -> dict[int, list[Returned]]:
    """Rows by the number of their finding, parts of one class united; rows without one go to ``rest``.

    Where several classes claim a number, the largest region comes first.
    """
    groups: dict[int, dict[str | None, list[Returned]]] = {}
    for row in rows:
        if row.finding is None:
            rest.append(row)
        else:
            groups.setdefault(row.finding, {}).setdefault(row.label, []).append(row)
    return {
        number: sorted((_united(parts) for parts in labels.values()), key=_pixels, reverse=True)
        for number, labels in groups.items()
    }


def _pixels(row: Returned) -> int:
    return 0 if row.mask is None else int(row.mask.sum())


def _united(parts: list[Returned]) -> Returned:
    """One region of several; where parts were judged differently, the accepted ones are the region."""
    if len(parts) == 1:
        return parts[0]
    kept = [p for p in parts if p.decision == "accepted"] or parts
    decision = next((p.decision for p in kept if p.decision is not None), None)
    masks = [p.mask for p in (kept if decision == "accepted" else parts) if p.mask is not None]
    if decision == "accepted" and all(p.decision != "rejected" for p in parts):
        masks = [p.mask for p in parts if p.mask is not None]
    same = [m for m in masks if m.shape == masks[0].shape]
    return replace(parts[0], decision=decision, mask=np.any(same, axis=0) if same else None)


def _judge(run: AuditRun, f: Finding, row: Returned, found: Matched) -> None:
    """Write down what a row says of a finding."""
    area, label = None, None
    if row.mask is not None:
        expected = resized(f.mask(), (row.mask.shape[0], row.mask.shape[1]))
        # a mask that comes from a resized image says nothing finer than that image
        if not _as_it_was(f, expected, row.mask) and expected.any():
            area = Area.of(resized(row.mask, (f.height, f.width)))
            area = area if area.runs else None
    shown = f.proposed if 0 <= f.proposed_index < len(run.space) else f.given
    if row.label is not None and row.label != shown:
        label = run.space.name_of(_class(run, row))
    changed = area is not None or label is not None
    if row.decision is None:
        if changed:
            found.undecided.add(f.finding)
        return
    if row.decision == "rejected":
        area = label = None
    elif changed:
        found.edited.add(f.finding)
    found.verdicts.append(_verdict(f, Opinion(row.decision, row.reviewer, row.time, label, area)))


def _as_it_was(f: Finding, expected: Bools, mask: Bools) -> bool:
    """Whether a region came back unchanged; the corners of boxes are rounded on their way."""
    if not f.is_box:
        return bool(np.array_equal(expected, mask))
    # what was handed over is the box that the model sees, if there is one
    went = f.proposed_box or f.given_box or (f.x0, f.y0, f.x1, f.y1)
    across, down = mask.shape[1] / f.width, mask.shape[0] / f.height
    scaled = (went[0] * across, went[1] * down, went[2] * across, went[3] * down)
    return all(abs(a - b) <= _ROUNDED for a, b in zip(scaled, _extent(mask), strict=True))


def _extent(mask: Bools) -> tuple[int, int, int, int]:
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1


def _draw(run: AuditRun, image: str, row: Returned, shape: tuple[int, int], found: Matched) -> None:
    assert row.mask is not None
    area = Area.of(resized(row.mask, shape))
    if not area.runs:
        return
    if row.label is None:
        found.unknown.append(f"{row.row}: a drawn region without a class")
        return
    name = run.space.name_of(_class(run, row))
    mask = area.mask()
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = (int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1)
    found.drawn += 1
    found.verdicts.append(
        Verdict(0, image, *box, DRAWN, "accepted", row.time, row.reviewer, name, area)
    )  # fmt: skip


def _class(run: AuditRun, row: Returned) -> int:
    try:
        return run.space.index_of(row.label or "")
    except InputError as error:
        raise InputError(f"{row.row}: {error.fault}", remedy=error.remedy) from error


def _verdict(f: Finding, said: Opinion) -> Verdict:
    return Verdict(
        f.finding, f.image_id, f.x0, f.y0, f.x1, f.y1, f.kind, said.verdict, said.time, said.reviewer,
        said.label, said.area,
    )  # fmt: skip


def _best(mask: Bools, findings: Sequence[Finding]) -> Finding | None:
    """The finding that overlaps most with a region, if enough."""
    best, most = None, SAME
    for f in findings:
        overlap = _overlap(mask, f)
        if overlap >= most:
            best, most = f, overlap
    return best


def _overlap(mask: Bools, f: Finding) -> float:
    """Intersection over union of a region with a finding."""
    other = resized(f.mask(), (mask.shape[0], mask.shape[1]))
    union = int((mask | other).sum())
    return int((mask & other).sum()) / union if union else 0.0


def _elsewhere(mask: Bools, f: Finding) -> bool:
    """Whether a region doesn't touch a finding (one that is too small for the picture can't tell)."""
    other = resized(f.mask(), (mask.shape[0], mask.shape[1]))
    return bool(other.any() and not (mask & other).any())


def _label_shape(run: AuditRun, image: str, findings: Sequence[Finding]) -> tuple[int, int]:
    if findings:
        return findings[0].height, findings[0].width
    label = run.samples()[image].label
    try:
        if label is not None:
            return image_size(label)
    except InputError:
        pass
    if run.boxes is not None:
        sample = next(s for s in run.boxes if s.image_id == image)
        return sample.height or 1, sample.width or 1
    height, width = run.predicted(image).shape
    return int(height), int(width)
