"""Lists of findings from elsewhere: other tools' tables, and the published tool's pictures."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.labelspace import LabelSpace
from dubio.data.stems import pair_stems
from dubio.errors.bench.published import NONE, ClassIds, Proposals
from dubio.errors.bench.published_files import PublishedFolders, read_label_errors
from dubio.errors.bench.truth import Truth, TruthError
from dubio.errors.findings import Finding, flat_indices, from_table

REQUIRED = ("image_id", "probability", "runs", "height", "width")
# Columns of boxes, which lists of regions may lack.
_BOXES = {"given_box", "proposed_box", "label", "box_id", "kinds"}
_DEFAULTS: Mapping[str, Any] = {
    "kind": "missing", "given": "", "proposed": "", "given_index": -1, "proposed_index": -1, "score": None,
    "p_given": float("nan"), "p_proposed": float("nan"), "reason": "",
}  # fmt: skip


def read_findings(path: str | Path) -> list[Finding]:
    """Read a list of findings from a Parquet file.

    Needed are the columns ``image_id``, ``probability`` (0 … 1), ``runs`` (start in the flattened image and
    length, alternating), ``height`` and ``width``. With ``kind``, ``given_index`` and ``proposed_index``
    (see :mod:`dubio.errors.findings`) the score tells classes apart.

    Raises:
        InputError: unreadable, a column is missing, or a value of the wrong type.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    if not path.is_file():
        raise InputError("doesn't exist" if not path.exists() else "is a folder", path=path)
    try:
        table = pq.read_table(path)
        missing = [name for name in REQUIRED if name not in table.column_names]
        if missing:
            raise InputError(f"has no column '{missing[0]}'", path=path, remedy=f"give {', '.join(REQUIRED)}")
        fields = set(Finding.__dataclass_fields__)
        known = table.select([c for c in table.column_names if c in fields])
        if fields - _BOXES <= set(table.column_names):
            return from_table(known)
        rows = known.to_pylist()
        return [_completed(number, row) for number, row in enumerate(rows, start=1)]
    except (pa.ArrowException, OSError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"is no list of findings ({error})", path=path) from error


def _completed(number: int, row: Mapping[str, Any]) -> Finding:
    runs, width = np.asarray(row["runs"], np.int32), int(row["width"])
    place = flat_indices(runs)
    ys, xs = place // width, place % width
    box = (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1) if len(place) else (0, 0, 0, 0)
    known = {**_DEFAULTS, "finding": number, "size": len(place)}
    known |= dict(zip(("x0", "y0", "x1", "y1"), box, strict=True))
    known |= {k: v for k, v in row.items() if v is not None}
    known["score"] = known["probability"] if known["score"] is None else known["score"]
    return Finding(**{**known, "runs": runs})


def names_in_truth(names: Collection[str], truth: Truth) -> tuple[dict[str, str], str]:
    """The truth's name of each image, by common stems if none of the names is one of the truth's.

    Returns:
        Name -> name in the truth (the same for what can't be matched), and a sentence on what was left off
        the names (empty if they are the truth's).
    """
    if not names or set(names) & truth.shapes.keys():
        return {name: name for name in names}, ""
    theirs, ours, said = pair_stems(sorted(names), sorted(truth.shapes))
    new = {theirs[key]: ours[key] for key in theirs.keys() & ours.keys()}
    return {name: new.get(name, name) for name in names}, said


def from_published(folders: PublishedFolders, classes: Sequence[int]) -> tuple[list[Finding], Truth]:
    """Old results as a list and a truth, to be scored properly.

    A proposal is a connected region of one score and class, an error one of one class; so regions that touch
    stay apart, as far as the pictures tell them apart. Only the given class ids count.
    """
    space = LabelSpace.from_dict(
        {"name": "published", "void": [], "classes": [{"id": c, "name": f"class {c}"} for c in classes]}
    )
    findings: list[Finding] = []
    shapes: dict[str, tuple[int, int]] = {}
    errors: list[TruthError] = []
    pairs = zip(folders.names, folders.errors(), folders.proposals(), strict=True)
    for name, wrong, proposed in pairs:
        if wrong.shape != proposed[0].shape:
            raise InputError(f"maps of image '{name}' have the shapes {wrong.shape} and {proposed[0].shape}")
        shapes[name] = (wrong.shape[0], wrong.shape[1])
        errors += _errors_of(name, wrong, space)[1]
        findings += _findings_of(name, proposed, space, len(findings))
    return findings, Truth(space, shapes, tuple(errors), maps=_ErrorMaps(folders, space))


class _ErrorMaps(Mapping[str, npt.NDArray[np.int32]]):
    """Maps of error numbers, read again when asked for: together they may not fit into memory."""

    def __init__(self, folders: PublishedFolders, space: LabelSpace) -> None:
        self._files = dict(zip(folders.names, folders.error_files, strict=True))
        self._space = space

    def __getitem__(self, name: str) -> npt.NDArray[np.int32]:
        return _errors_of(name, read_label_errors(self._files[name]), self._space)[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def _errors_of(
    name: str, wrong: ClassIds, space: LabelSpace
) -> tuple[npt.NDArray[np.int32], list[TruthError]]:
    numbers, regions = _regions(np.where(np.isin(wrong, space.ids), wrong, NONE))
    found = []
    for number, place in enumerate(regions, start=1):
        index = space.ids.index(int(wrong.ravel()[place[0]]))
        found.append(TruthError(name, number, "drop", index, NONE, len(place), _box(place, wrong.shape[1])))
    return numbers, found


def _findings_of(name: str, proposed: Proposals, space: LabelSpace, before: int) -> list[Finding]:
    scores, ids = proposed
    height, width = ids.shape
    level = np.rint(scores * 255).astype(np.int64)
    code = np.where((level > 0) & np.isin(ids, space.ids), level << 16 | ids, NONE)
    found = []
    for number, place in enumerate(_regions(code)[1], start=before + 1):
        index = space.ids.index(int(ids.ravel()[place[0]]))
        row = {
            "finding": number, "image_id": name, "probability": float(scores.ravel()[place[0]]),
            "runs": _runs(place), "height": height, "width": width,
            "proposed": space.name_of(index), "proposed_index": index,
        }  # fmt: skip
        found.append(_completed(number, row))
    return found


def _regions(
    code: npt.NDArray[np.integer],
) -> tuple[npt.NDArray[np.int32], list[npt.NDArray[np.int64]]]:
    """8-connected regions of equal code (-1: none): their numbers, and the flat indices of each."""
    from dubio.regions.extract import components

    values, index = np.unique(code, return_inverse=True)
    none = len(values) if values[0] != NONE else 0
    dense = index.reshape(code.shape)
    # The regions' kernel takes indices from 0 and one above them for none.
    dense = np.where(dense == none, len(values), dense).astype(np.uint16)
    ids, n = components(dense, len(values))
    order = np.argsort(ids.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(ids.ravel(), minlength=n + 1))
    return ids, [order[ends[k - 1] : ends[k]] for k in range(1, n + 1)]


def _runs(place: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Runs of ascending flat indices.

    >>> _runs(np.array([3, 4, 9])).tolist()
    [3, 2, 9, 1]
    """
    first = np.flatnonzero(np.diff(place, prepend=-2) != 1)
    length = np.diff(np.append(first, len(place)))
    return np.column_stack([place[first], length]).ravel().astype(np.int32)


def _box(place: npt.NDArray[np.int64], width: int) -> tuple[int, int, int, int]:
    ys, xs = place // width, place % width
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1
