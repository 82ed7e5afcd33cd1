"""What an audit of boxes says of the whole data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from dubio.core.labelspace import LabelSpace
from dubio.errors.boxes.feature_names import INDEX
from dubio.errors.boxes.traits import BoxWork
from dubio.errors.choose import concerned_class
from dubio.errors.findings import BOX_KINDS, Finding
from dubio.errors.found import Found
from dubio.errors.summary import SUSPICIOUS, AuditSummary, ClassRow

# A labelled box is confirmed if an object of its class is seen with this overlap.
_CONFIRMED = 0.5


def summarise_boxes(
    works: Sequence[BoxWork],
    found: Found,
    findings: Sequence[Finding],
    space: LabelSpace,
    *,
    method: str = "planted",
    skipped: int = 0,
    seed: int = 0,
    images: dict[str, float] | None = None,
) -> AuditSummary:
    """Totals, and per class the expected number of errors with a 90 % interval.

    The fields are those of masks; a class's ``pixel_share`` is its share of the labelled boxes, and
    ``agreement`` (and ``pixel_agreement`` of all) the share of them that the model confirms: it sees an
    object of the class with an IoU of at least 0.5.

    Args:
        works: results per image.
        found: the finder's places.
        findings: the list.
        space: label space.
        method: how places were judged.
        skipped: images without detections.
        seed: seed of the intervals.
        images: quality of the scores of whole images.
    """
    x = np.concatenate([w.places.x for w in works]) if works else np.zeros((0, len(INDEX)), np.float32)
    labelled = x[:, INDEX["source"]] == 0
    given = x[labelled, INDEX["given"]].astype(np.int64)
    confirmed = np.nan_to_num(x[labelled, INDEX["iou_same"]]) >= _CONFIRMED
    count = np.bincount(given, minlength=len(space))
    agreed = np.bincount(given, confirmed, len(space))
    calibrated = found.evidence is not None
    total = found.expected(seed=seed) if calibrated else (None, None, None)
    concerned = _concerned(works, found)
    rows = []
    for k, item in enumerate(space.classes):
        numbers = found.expected(concerned == k, seed=seed) if calibrated else (None, None, None)
        doubted = sum(
            f.probability >= SUSPICIOUS and concerned_class(f.kind, f.given_index, f.proposed_index) == k
            for f in findings
        )
        rows.append(
            ClassRow(
                k, item.name, item.color, int(count[k]), float(count[k] / max(count.sum(), 1)),
                float(agreed[k] / count[k]) if count[k] else None, doubted, *numbers,
            )
        )  # fmt: skip
    quality, regions = found.quality, int(count.sum())
    return AuditSummary(
        images=len(works),
        skipped=skipped,
        quarantined=0,
        regions=regions,
        places=len(found.score),
        findings=len(findings),
        suspicious=sum(f.probability >= SUSPICIOUS for f in findings),
        expected=total[0],
        low=total[1],
        high=total[2],
        error_rate=None if total[0] is None else total[0] / max(regions, 1),
        error_rate_estimated=found.evidence is not None and found.evidence.fixed is None,
        met_share=quality.met / max(quality.planted, 1) if quality and quality.planted else None,
        pixel_agreement=float(confirmed.mean()) if len(confirmed) else float("nan"),
        method=method,
        note=found.note,
        quality=None if quality is None else asdict(quality),
        image_quality=images or {},
        found_wrong=int((found.verdict > 0).sum()),
        found_fine=int((found.verdict < 0).sum()),
        kinds={k: sum(f.kind == k for f in findings) for k in BOX_KINDS},
        classes=tuple(rows),
    )


def _concerned(works: Sequence[BoxWork], found: Found) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Class that each place is about: of what is not labelled the proposed one, else the given one."""
    first = np.concatenate([[0], np.cumsum([len(w.places.x) for w in works])]).astype(np.int64)
    if not len(found.image):
        return np.zeros(0, np.int64)
    x = np.concatenate([w.places.x for w in works])[first[found.image] + found.candidate]
    missing = x[:, INDEX["source"]] == 1
    return np.asarray(np.where(missing, x[:, INDEX["proposed"]], x[:, INDEX["given"]]), np.int64)
