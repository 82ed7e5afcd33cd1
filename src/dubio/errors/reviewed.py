"""What reviewers decided in earlier audits, and how it changes the next one.

Verdicts serve three times: reviewed regions are rows that the finder learns from, with their features as
they were when they were judged (the label may have been corrected since); regions of accepted findings no
longer pass for good labels among the rows; and the number of errors found among the judged places says how
many there are in all (:mod:`dubio.errors.prior`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.files import fingerprint, writing
from dubio.errors.findings import Finding
from dubio.errors.masks import MASKS
from dubio.errors.traits import Traits, Work, traits_of

if TYPE_CHECKING:
    from dubio.errors.opinions import Verdict

Floats = npt.NDArray[np.float64]
EVIDENCE = "evidence.parquet"
# Reviewed rows weigh together at most this share of the planted ones, and a row at most so much.
_SHARE, _HEAVIEST = 0.25, 10.0


@dataclass(frozen=True)
class Reviewed:
    """Judged regions.

    Attributes:
        image_id: image of each region.
        accepted: ``(n,)`` bool: the label was wrong.
        runs: start in the flattened image and length, ``(r, 2)`` int32 each; empty for boxes.
        x: ``(n, F)`` float32 features when judged; NaN rows where a reviewer drew the region.
        key: changes with the files.
        box: ``(n, 4)`` int64 ``x0, y0, x1, y1``.
    """

    image_id: tuple[str, ...]
    accepted: npt.NDArray[np.bool_]
    runs: tuple[npt.NDArray[np.int32], ...]
    x: npt.NDArray[np.float32]
    key: str = ""
    box: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 4), np.int64))

    def __len__(self) -> int:
        return len(self.image_id)


def write_evidence(
    path: Path, works: Sequence[Work], findings: Sequence[Finding], judged: Sequence[Verdict] = ()
) -> None:
    """Keep regions and features of the listed findings, so that verdicts on them can teach a later audit.

    Args:
        path: ``evidence.parquet`` of the run; rows in it on which there is a verdict stay.
        works: the images of the findings.
        findings: the list.
        judged: verdicts of the run.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    traits = traits_of(works)
    kept = [row for key, row in _evidence(path, traits).items() if key in {_key_of(v) for v in judged}]
    listed = {_key_of(f) for f in findings}
    rows = [row for row in kept if (row["image_id"], *row["box"], row["kind"]) not in listed]
    by_id = {w.image_id: w for w in works}
    for f in findings:
        rows.append(
            {
                "image_id": f.image_id,
                "box": [f.x0, f.y0, f.x1, f.y1],
                "kind": f.kind,
                "runs": f.runs.ravel().tolist(),
                "features": _features(by_id[f.image_id], f).tolist(),
            }
        )
    schema = pa.schema(
        [
            ("image_id", pa.string()),
            ("box", pa.list_(pa.int32())),
            ("kind", pa.string()),
            ("runs", pa.list_(pa.int32())),
            ("features", pa.list_(pa.float32())),
        ],
        metadata={b"dubio.features": " ".join(traits.features).encode()},
    )
    with writing(path) as part:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), part, compression="zstd")


def _features(work: Work, f: Finding) -> npt.NDArray[np.float32]:
    """Features of the candidate behind a finding; NaN if there is none."""
    k = work.traits.row_of(work, f)
    if k is None:
        return np.full(len(work.traits.features), np.nan, np.float32)
    return np.asarray(work.places.x[k], np.float32)


def _key_of(item: Finding | Verdict) -> tuple[object, ...]:
    return item.image_id, item.x0, item.y0, item.x1, item.y1, item.kind


def read_reviewed(folders: Sequence[str | Path], traits: Traits = MASKS) -> Reviewed:
    """Read the verdicts of earlier audits.

    Args:
        folders: their run folders, with ``verdicts.json`` (from ``dubio import``) and
            ``evidence.parquet``. Later ones are newer: their verdicts on the same place count.
        traits: the kind of region that was audited.

    Raises:
        InputError: a folder is no audit or holds no verdicts.
    """
    from dubio.errors.verdicts import read_verdicts

    names: list[str] = []
    accepted: list[bool] = []
    runs: list[npt.NDArray[np.int32]] = []
    rows: list[npt.NDArray[np.float32]] = []
    boxes: list[tuple[int, int, int, int]] = []
    files: list[Path] = []
    for folder in map(_audit_in, map(Path, folders)):
        evidence, verdicts = folder / EVIDENCE, folder / "verdicts.json"
        if not evidence.is_file():
            raise InputError(
                f"is no audit: it has no {EVIDENCE}", path=folder, remedy="name an audit's folder"
            )
        if not verdicts.is_file():
            raise InputError(
                "holds no verdicts",
                path=folder,
                remedy="save them on the report's page and read them in with 'dubio import'",
            )
        files += [evidence, verdicts]
        known = _evidence(evidence, traits)
        for verdict in read_verdicts(verdicts):
            row = known.get(_key_of(verdict))
            region = row["runs"] if verdict.area is None and row else getattr(verdict.area, "runs", None)
            if verdict.verdict is None or region is None:
                continue
            names.append(verdict.image_id)
            accepted.append(verdict.verdict == "accepted")
            runs.append(np.array(region, np.int32).reshape(-1, 2))
            boxes.append(verdict.box)
            told = row["features"] if row else np.full(len(traits.features), np.nan)
            rows.append(np.asarray(told, np.float32))
    x = np.array(rows, np.float32).reshape(-1, len(traits.features))
    box = np.array(boxes, np.int64).reshape(-1, 4)
    return Reviewed(tuple(names), np.array(accepted, bool), tuple(runs), x, fingerprint(files), box)


def _audit_in(folder: Path) -> Path:
    """The audit in the folder of a demo, or the folder itself."""
    inner = folder / "audit"
    return inner if not (folder / EVIDENCE).is_file() and (inner / EVIDENCE).is_file() else folder


def _evidence(path: Path, traits: Traits) -> dict[tuple[object, ...], dict[str, Any]]:
    """Rows by image, box and kind; none if the features are of another version."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        return {}
    try:
        table = pq.read_table(path)
        rows = table.to_pylist()
        told = (table.schema.metadata or {}).get(b"dubio.features", b"").decode().split()
        if tuple(told) != traits.features:
            rows = [r | {"features": [np.nan] * len(traits.features)} for r in rows]
        return {(r["image_id"], *r["box"], r["kind"]): r for r in rows}
    except (OSError, pa.ArrowException, KeyError, TypeError) as error:
        raise InputError(
            "can't be read as the evidence of an audit", path=path, remedy="delete it and run the audit again"
        ) from error


def place_verdicts(reviewed: Reviewed, works: Sequence[Work]) -> list[dict[int, bool]]:
    """Per image: number of the place (group of candidates) -> whether its label was found wrong."""
    of_image: dict[str, list[int]] = {}
    for n, name in enumerate(reviewed.image_id):
        of_image.setdefault(name, []).append(n)
    found = []
    for work in works:
        decided: dict[int, bool] = {}
        for n in of_image.get(work.image_id, []):
            k = work.traits.find_same(work, reviewed.runs[n], reviewed.box[n])
            if k is not None:
                decided[int(work.places.group[k])] = bool(reviewed.accepted[n])
        found.append(decided)
    return found


def wrong_rows(work: Work, decided: dict[int, bool]) -> npt.NDArray[np.bool_]:
    """Which rows of the planted copies are places whose label was found wrong: they are no good labels."""
    wrong = [place for place, accepted in decided.items() if accepted]
    columns = [work.traits.column(name) for name in work.traits.key]
    mine = np.isin(work.places.group, wrong)
    keys = {row.tobytes() for row in np.ascontiguousarray(work.places.x[mine][:, columns])}
    rows = np.ascontiguousarray(work.planting.x[:, columns])
    return np.array([row.tobytes() in keys for row in rows], bool)


def row_weight(n_reviewed: int, planted: float) -> float:
    """Weight of a reviewed row: a few verdicts count for several planted errors each."""
    return float(np.clip(_SHARE * planted / max(n_reviewed, 1), 1.0, _HEAVIEST))
