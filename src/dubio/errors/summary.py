"""What an audit says of the whole data set."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dubio.core.labelspace import LabelSpace
from dubio.errors.choose import concerned_class
from dubio.errors.feature_names import FEATURES
from dubio.errors.finder import Found
from dubio.errors.findings import Finding, kind_of
from dubio.errors.store import ImageWork

# Findings at least this probable are called suspicious.
SUSPICIOUS = 0.5
LEVEL = 0.9


@dataclass(frozen=True)
class ClassRow:
    """One class: label regions searched, pixels, model's agreement, expected errors with interval.

    ``expected``, ``low`` and ``high`` are ``None`` where probabilities are not calibrated.
    """

    index: int
    name: str
    color: tuple[int, int, int]
    regions: int
    pixel_share: float
    agreement: float | None
    suspicious: int
    expected: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class AuditSummary:
    """The data set as a whole; plain data by :meth:`to_dict`.

    ``found_wrong`` and ``found_fine`` count places that reviewers judged in earlier audits;
    ``image_quality`` says how well planted faults of whole images are told apart in unseen images.
    """

    images: int
    skipped: int
    quarantined: int
    regions: int
    places: int
    findings: int
    suspicious: int
    expected: float | None
    low: float | None
    high: float | None
    error_rate: float | None
    error_rate_estimated: bool
    met_share: float | None
    pixel_agreement: float
    method: str
    note: str
    quality: dict[str, Any] | None
    image_quality: dict[str, float]
    found_wrong: int
    found_fine: int
    kinds: dict[str, int]
    classes: tuple[ClassRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; NaN becomes ``None``."""
        plain: dict[str, Any] = _clean(asdict(self))
        return plain


def summarise(
    works: list[ImageWork],
    found: Found,
    findings: list[Finding],
    space: LabelSpace,
    *,
    method: str = "planted",
    skipped: int = 0,
    quarantined: int = 0,
    seed: int = 0,
    images: dict[str, float] | None = None,
) -> AuditSummary:
    """Totals, and per class the expected number of errors with a 90 % interval."""
    rows, total = _class_rows(works, found, findings, space, seed)
    regions = sum(r.regions for r in rows)
    confusion = sum((w.confusion for w in works), np.zeros((len(space), len(space) + 1), np.int64))
    quality = found.quality
    return AuditSummary(
        images=len(works),
        skipped=skipped,
        quarantined=quarantined,
        regions=regions,
        places=len(found.score),
        findings=len(findings),
        suspicious=sum(f.probability >= SUSPICIOUS for f in findings),
        expected=total[0] if total else None,
        low=total[1] if total else None,
        high=total[2] if total else None,
        error_rate=total[0] / max(regions, 1) if total else None,
        error_rate_estimated=found.evidence is not None and found.evidence.fixed is None,
        met_share=quality.met / max(quality.planted, 1) if quality and quality.planted else None,
        pixel_agreement=float(np.trace(confusion[:, :-1]) / max(confusion.sum(), 1)),
        method=method,
        note=found.note,
        quality=None if quality is None else asdict(quality),
        image_quality=images or {},
        found_wrong=int((found.verdict > 0).sum()),
        found_fine=int((found.verdict < 0).sum()),
        kinds={
            k: sum(f.kind == k for f in findings) for k in ("missing", "wrong_class", "spurious", "outline")
        },
        classes=tuple(rows),
    )


Interval = tuple[float, float, float]


def _class_rows(
    works: list[ImageWork], found: Found, findings: list[Finding], space: LabelSpace, seed: int
) -> tuple[list[ClassRow], Interval | None]:
    confusion = sum((w.confusion for w in works), np.zeros((len(space), len(space) + 1), np.int64))
    regions = sum((w.regions for w in works), np.zeros(len(space), np.int64))
    pixels = confusion.sum(1)
    evidence = found.evidence
    concerned = _concerned(works, found) if evidence is not None else np.zeros(0, np.int64)
    total = None if evidence is None else found.expected(seed=seed)
    out = []
    for i, item in enumerate(space.classes):
        mine = concerned == i
        numbers: tuple[float | None, ...] = (None, None, None)
        if evidence is not None:
            numbers = found.expected(mine, seed=seed)
        out.append(
            ClassRow(
                index=i,
                name=item.name,
                color=item.color,
                regions=int(regions[i]),
                pixel_share=float(pixels[i] / max(pixels.sum(), 1)),
                agreement=float(confusion[i, i] / pixels[i]) if pixels[i] else None,
                suspicious=sum(
                    f.probability >= SUSPICIOUS
                    and concerned_class(f.kind, f.given_index, f.proposed_index) == i
                    for f in findings
                ),
                expected=numbers[0],
                low=numbers[1],
                high=numbers[2],
            )
        )
    return out, total


def _concerned(works: list[ImageWork], found: Found) -> Any:
    """Class concerned by each place."""
    given, proposed = FEATURES.index("given"), FEATURES.index("proposed")
    out = np.zeros(len(found.score), np.int64)
    for n, (image, candidate) in enumerate(zip(found.image, found.candidate, strict=True)):
        x = works[image].places.x[candidate]
        out[n] = concerned_class(kind_of(x), int(x[given]), int(x[proposed]))
    return out


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(v) for v in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
