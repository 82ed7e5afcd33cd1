"""Which finding meets which known error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.engine.map import map_ordered
from dubio.errors.bench.truth import Truth
from dubio.errors.choose import concerned_class
from dubio.errors.findings import Finding, flat_indices

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
# The published matching rule (Rottmann and Reese, 2023): an error is found by a region that overlaps it
# with at least this IoU.
MATCH_IOU = 0.25


@dataclass(frozen=True)
class Rows:
    """Matched findings, most probable first; all arrays have one entry per finding.

    Attributes:
        probability: of the finding.
        image: position of its image in the sorted image ids of the truth.
        error: position in ``truth.errors`` of the error that it is the first to meet, or -1: false.
        concerned: class index whose labels the finding says are wrong.
        place: position of the finding in the list that was given.
        outside: positions of findings left out, because the truth doesn't know their image.
    """

    probability: Floats
    image: Ints
    error: Ints
    concerned: Ints
    place: Ints
    outside: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.probability)


def match(
    findings: Sequence[Finding],
    truth: Truth,
    *,
    match_iou: float = MATCH_IOU,
    workers: int | None = None,
) -> Rows:
    """Match a list with known errors, one to one, down the list.

    A finding points at the error that it overlaps best, if the IoU is at least ``match_iou``. Each error
    counts once, for the most probable finding that points at it; later ones are false. Among equally
    probable findings the better overlap comes first, then image id and place, so that the order in which
    the list is given never matters.

    Args:
        findings: the list, in any order.
        truth: the known errors.
        match_iou: the IoU, above 0.
        workers: images at once; default: all processors.

    Raises:
        InputError: a probability outside 0 … 1, a region outside its image, or an image of another size
            than the truth's; or no finding lies in an image of the truth.
    """
    if not 0 < match_iou <= 1:
        raise InputError(f"an IoU of {match_iou} to match is not above 0 and at most 1")
    position = {name: i for i, name in enumerate(sorted(truth.image_ids))}
    by_image: dict[str, list[int]] = {}
    outside = []
    for i, finding in enumerate(findings):
        _check(finding, truth.shapes)
        if finding.image_id in position:
            by_image.setdefault(finding.image_id, []).append(i)
        else:
            outside.append(i)
    if findings and not by_image:
        raise InputError(
            f"the truth has none of the images of the findings (first '{findings[0].image_id}')",
            path=truth.folder,
        )
    number, iou = np.zeros(len(findings), np.int64), np.zeros(len(findings))

    def job(name: str) -> list[tuple[int, float]]:
        return _match_image([findings[i] for i in by_image[name]], truth, name)

    for name, found in zip(by_image, map_ordered(job, by_image, workers=workers), strict=True):
        for i, (best, overlap) in zip(by_image[name], found, strict=True):
            if overlap >= match_iou:
                number[i], iou[i] = best, overlap
    inside = [i for part in by_image.values() for i in part]
    order = sorted(inside, key=lambda i: (-findings[i].probability, -iou[i], *_place(findings[i])))
    rank = {(e.image_id, e.number): k for k, e in enumerate(truth.errors)}
    error = np.full(len(order), -1, np.int64)
    seen: set[int] = set()
    for row, i in enumerate(order):
        k = rank[findings[i].image_id, int(number[i])] if number[i] else -1
        if k >= 0 and k not in seen:
            seen.add(k)
            error[row] = k
    return Rows(
        np.array([findings[i].probability for i in order], float),
        np.array([position[findings[i].image_id] for i in order], np.int64),
        error,
        np.array([_concerned(findings[i]) for i in order], np.int64),
        np.array(order, np.int64),
        tuple(outside),
    )


def outside_images(findings: Sequence[Finding], rows: Rows) -> Mapping[str, int]:
    """Images that the truth doesn't know, with the number of findings left out."""
    return Counter(findings[i].image_id for i in rows.outside)


def best_overlap(finding: Finding, numbers: npt.NDArray[np.integer], area: Ints) -> tuple[int, float]:
    """The error that a finding overlaps best, and their IoU; ``(0, 0.0)`` if it meets none.

    Args:
        finding: the finding.
        numbers: ``(H * W,)`` number of the error on its pixels, else 0.
        area: ``(n + 1,)`` pixels of each error; that of 0 is not used.
    """
    inside = numbers[flat_indices(finding.runs)]
    common = np.bincount(inside, minlength=len(area))[: len(area)].astype(np.int64)
    common[0] = 0
    if not common.any():
        return 0, 0.0
    iou = common / np.maximum(len(inside) + area - common, 1)
    best = int(iou.argmax())
    return best, float(iou[best])


def _match_image(findings: list[Finding], truth: Truth, name: str) -> list[tuple[int, float]]:
    errors = truth.by_image.get(name, ())
    if not errors:
        return [(0, 0.0)] * len(findings)
    numbers = truth.map(name).ravel()
    area = np.zeros(max(e.number for e in errors) + 1, np.int64)
    for e in errors:
        area[e.number] = e.size
    return [best_overlap(finding, numbers, area) for finding in findings]


def _check(finding: Finding, shapes: Mapping[str, tuple[int, int]]) -> None:
    name = f"finding {finding.finding} in image '{finding.image_id}'"
    if not 0 <= finding.probability <= 1:
        raise InputError(f"{name} has the probability {finding.probability}")
    shape = shapes.get(finding.image_id)
    if shape is not None and shape != (finding.height, finding.width):
        raise InputError(
            f"{name} belongs to a label of {finding.height} x {finding.width} pixels, in the truth it "
            f"has {shape[0]} x {shape[1]}",
            remedy="score findings that were made on the labels of this truth",
        )
    runs = np.asarray(finding.runs, np.int64).ravel()
    if len(runs) == 0 or len(runs) % 2:
        raise InputError(f"{name} has no region", remedy="give pairs of start and length as its runs")
    start, length = runs[::2], runs[1::2]
    if start.min() < 0 or length.min() < 1 or (start + length).max() > finding.height * finding.width:
        raise InputError(f"{name} has a region outside its image")


def _concerned(finding: Finding) -> int:
    return concerned_class(finding.kind, finding.given_index, finding.proposed_index)


def _place(finding: Finding) -> tuple[object, ...]:
    return (
        finding.image_id, finding.y0, finding.x0, finding.y1, finding.x1, finding.kind,
        finding.given_index, finding.proposed_index, np.asarray(finding.runs, np.int64).tobytes(),
    )  # fmt: skip
