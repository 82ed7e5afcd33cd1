"""How well a ranked list finds known errors of boxes: as for masks, and as a list of each kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.errors.bench.box_truth import BoxError, BoxTruth
from dubio.errors.bench.matching import Rows
from dubio.errors.bench.result import Score
from dubio.errors.bench.scoring import BUDGETS, THRESHOLDS, score_rows
from dubio.errors.choose import concerned_class
from dubio.errors.findings import BOX_KINDS, Box, Finding

Floats = npt.NDArray[np.float64]
# A finding meets an error if it points at its box, or overlaps it by this much (IoU).
MATCH_IOU = 0.5
_COLUMNS = ("image_id", "x0", "y0", "x1", "y1")


def score_boxes(
    findings: Sequence[Finding],
    truth: BoxTruth,
    *,
    match_iou: float = MATCH_IOU,
    draws: int = 1000,
    seed: int = 0,
    budgets: Sequence[int] = BUDGETS,
    thresholds: Sequence[float] = THRESHOLDS,
) -> Score:
    """Score a ranked list of boxes against known errors.

    Down the list, a finding meets an error if it names the faulty box (position among the image's labels), or
    if its given box overlaps the faulty one, or its proposed box the true one, by ``match_iou``. Each error
    counts once; later findings on it are false. Besides the list as a whole, the list of each kind is scored:
    findings by their probability of that kind, among errors of that kind; what meets an error of another kind
    is neither right nor wrong there.

    Args:
        findings: the list, in any order (see :func:`read_box_list` for lists of other tools).
        truth: the known errors.
        match_iou: the IoU, above 0.
        draws: bootstrap draws over images; 0: no intervals.
        seed: seed of the draws.
        budgets: numbers of findings to read; the number of errors is added.
        thresholds: probabilities, each with all findings at or above it.

    Returns:
        The score; ``kinds`` are those of findings (``missing``, ``spurious``, …), each with the average
        precision of its own list.

    Raises:
        InputError: a truth without images, bad options, or findings of other images.
    """
    if not 0 < match_iou <= 1:
        raise InputError(f"an IoU of {match_iou} to match is not above 0 and at most 1")
    met = [_met(f, truth, match_iou) for f in findings]
    known = [k for k, f in enumerate(findings) if f.image_id in truth.shapes]
    outside = tuple(k for k, f in enumerate(findings) if f.image_id not in truth.shapes)
    if findings and not known:
        raise InputError(
            f"the truth has none of the images of the findings (first '{findings[0].image_id}')",
            path=truth.folder,
        )
    every = np.array([f.probability for f in findings], np.float64)
    rows = _rows(findings, truth, met, every, known, outside)
    lists: dict[str, Rows] = {}
    for kind in BOX_KINDS:
        mine = {k for k, e in enumerate(truth.errors) if e.called == kind}
        value = np.array([_probability(f, kind) for f in findings], np.float64)
        part = [k for k in known if value[k] > 0 and (met[k][0] < 0 or met[k][0] in mine)]
        lists[kind] = _rows(findings, truth, met, value, part, ())
    return score_rows(
        rows, truth, len(findings), match_iou=match_iou, draws=draws, seed=seed, budgets=budgets,
        thresholds=thresholds, lists=lists,
    )  # fmt: skip


def _probability(finding: Finding, kind: str) -> float:
    if finding.kinds:
        return float(finding.kinds.get(kind, 0.0))
    return finding.probability if finding.kind == kind else 0.0


def _rows(
    findings: Sequence[Finding],
    truth: BoxTruth,
    met: Sequence[tuple[int, float]],
    value: Floats,
    chosen: Sequence[int],
    outside: tuple[int, ...],
) -> Rows:
    position = {name: i for i, name in enumerate(sorted(truth.shapes))}
    order = sorted(chosen, key=lambda k: (-value[k], -met[k][1], *_place(findings[k])))
    error = np.full(len(order), -1, np.int64)
    seen: set[int] = set()
    for row, k in enumerate(order):
        if met[k][0] >= 0 and met[k][0] not in seen:
            seen.add(met[k][0])
            error[row] = met[k][0]
    concerned = [concerned_class(f.kind, f.given_index, f.proposed_index) for f in findings]
    return Rows(
        value[order] if order else np.zeros(0),
        np.array([position[findings[k].image_id] for k in order], np.int64),
        error,
        np.array([concerned[k] for k in order], np.int64),
        np.array(order, np.int64),
        outside,
    )


def _met(finding: Finding, truth: BoxTruth, match_iou: float) -> tuple[int, float]:
    """The error that a finding meets, and how well; -1: none."""
    best, at = 0.0, -1
    for k in truth.by_image.get(finding.image_id, ()):
        value = _overlap(finding, truth.errors[k])
        if value >= match_iou and value > best:
            best, at = value, k
    return at, best


def _overlap(finding: Finding, error: BoxError) -> float:
    if finding.label >= 0 and error.label >= 0 and finding.kind != "missing":
        if finding.label == error.label:
            return 2.0  # the very box, better than any overlap
        if error.called != "duplicate":
            return 0.0
    hull = (float(finding.x0), float(finding.y0), float(finding.x1), float(finding.y1))
    given = finding.given_box or (None if finding.is_box else hull)
    proposed = finding.proposed_box or (None if finding.is_box else hull)
    pairs = ((given, error.given_box), (proposed, error.true_box), (proposed, error.other_box))
    return max(_iou(a, b) for a, b in pairs)


def _iou(a: Box | None, b: Box | None) -> float:
    if a is None or b is None:
        return 0.0
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h
    return w * h / both


def _place(finding: Finding) -> tuple[object, ...]:
    return finding.image_id, finding.y0, finding.x0, finding.y1, finding.x1, finding.kind, finding.label


def read_box_list(path: str | Path) -> list[Finding]:
    """Read a list of suspected errors from a CSV or Parquet file of any tool.

    Needed are the columns ``image_id``, ``x0``, ``y0``, ``x1``, ``y1`` (pixels) and ``score`` or
    ``probability`` (0 … 1, high = suspect); ``kind`` (``missing``, ``spurious``, ``wrong_class``,
    ``location``, ``duplicate``), ``given_index``, ``proposed_index`` and ``label`` are taken where they are.
    Tables of findings of ours are read whole.

    Raises:
        InputError: unreadable, a column is missing, or a value of the wrong type.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    from dubio.errors.findings import from_table

    path = Path(path)
    if not path.is_file():
        raise InputError("doesn't exist" if not path.exists() else "is a folder", path=path)
    try:
        csv = path.suffix.lower() == ".csv"
        table = pa.csv.read_csv(path) if csv else pq.read_table(path)
        names = set(table.column_names)
        if not csv and {"given_box", "proposed_box", "runs", "kinds"} <= names:
            return from_table(
                table.select([n for n in table.column_names if n in Finding.__dataclass_fields__])
            )
        value = next((n for n in ("probability", "score") if n in names), None)
        missing = [n for n in _COLUMNS if n not in names] + ([] if value else ["score"])
        if missing:
            raise InputError(f"has no column '{missing[0]}'", path=path)
        return [_from_row(n, row, str(value)) for n, row in enumerate(table.to_pylist(), start=1)]
    except (pa.ArrowException, OSError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"is no list of boxes ({error})", path=path) from error


def _from_row(number: int, row: Mapping[str, Any], value: str) -> Finding:
    kind = row.get("kind") or "missing"
    if kind not in BOX_KINDS:
        raise InputError(f"has the unknown kind '{kind}'", remedy=f"choose from {', '.join(BOX_KINDS)}")
    x0, y0, x1, y1 = (float(row[name]) for name in _COLUMNS[1:])
    p = float(row[value])
    if not 0 <= p <= 1:
        raise InputError(f"row {number} has the {value} {p}, outside 0 … 1")
    unsaid = row.get("kind") is None
    return Finding(
        finding=number, image_id=str(row["image_id"]), kind=kind, given="", proposed="",
        given_index=_int(row, "given_index"), proposed_index=_int(row, "proposed_index"),
        probability=p, score=p, x0=int(np.floor(x0)), y0=int(np.floor(y0)), x1=int(np.ceil(x1)),
        y1=int(np.ceil(y1)), size=round((x1 - x0) * (y1 - y0)), runs=np.zeros(0, np.int32), height=0, width=0,
        p_given=float("nan"), p_proposed=float("nan"), reason="",
        given_box=None if kind == "missing" and not unsaid else (x0, y0, x1, y1),
        # of what sort isn't said: it may be about either
        proposed_box=(x0, y0, x1, y1) if kind == "missing" or unsaid else None,
        label=_int(row, "label"),
        kinds=dict.fromkeys(BOX_KINDS, p) if unsaid else {},
    )  # fmt: skip


def _int(row: Mapping[str, Any], name: str) -> int:
    return -1 if row.get(name) is None else int(row[name])
