"""What comes back from a tool: one record per judged region, whatever the tool."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.files import plain_reason, read_json
from dubio.core.records import Dataset
from dubio.data.manifest import image_folder
from dubio.errors.opinions import Decision
from dubio.handover.shots import image_name

Tool = Literal["dubio", "cvat", "label-studio", "coco", "csv", "fiftyone"]
TOOLS: tuple[Tool, ...] = get_args(Tool)
# Words for verdicts in tables and attributes, in lower case.
_WORDS: dict[str, Decision | None] = {
    **dict.fromkeys(("accepted", "accept", "yes", "y", "true", "1", "wrong"), "accepted"),
    **dict.fromkeys(("rejected", "reject", "no", "n", "false", "0", "fine"), "rejected"),
    **dict.fromkeys(("", "open", "none", "null", "nan", "?"), None),
}
# Larger members of an archive are no annotations.
_LARGEST = 1 << 31


@dataclass
class Returned:
    """One region that comes back.

    Args:
        image: name of the image as the tool has it.
        finding: number of the finding, if the tool kept it.
        decision: what the reviewer decided; ``None``: nothing.
        label: class name, if the tool has it.
        mask: region ``(H, W)`` in pixels of the image or label, if the tool has it.
        box: of the finding in pixels of the label, if the tool has it.
        reviewer: name; empty if unknown.
        time: ISO 8601; empty if unknown.
        row: where in the file, for errors.
    """

    image: str
    finding: int | None = None
    decision: Decision | None = None
    label: str | None = None
    mask: npt.NDArray[np.bool_] | None = None
    box: tuple[int, int, int, int] | None = None
    reviewer: str = ""
    time: str = ""
    row: str = ""


@dataclass
class Answer:
    """A file of a tool, read.

    Args:
        rows: the regions.
        images: names of the images that the file lists, judged or not.
        notes: sentences on what was passed over.
    """

    rows: list[Returned] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def decision_of(word: Any, where: str, path: str | Path) -> Decision | None:
    """A verdict in a tool's words; ``None`` for none.

    Raises:
        InputError: an unknown word.

    >>> decision_of("Yes", "row 1", "f.csv")
    'accepted'
    """
    text = "" if word is None else str(word).strip().casefold()
    if text not in _WORDS:
        raise InputError(
            f"{where} has the verdict '{word}'", path=path, remedy="write accepted, rejected or nothing"
        )
    return _WORDS[text]


def number_of(value: Any) -> int | None:
    """A finding's number from text or number; ``None`` for none (also for 0)."""
    try:
        number = int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number > 0 else None


class ImageNames:
    """Finds image ids by the names that tools have for images.

    Tried are the id, the path below the folder of the images, and its shorter ends down to the stem; an end
    that two images share stands for neither.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._ids = {s.image_id for s in dataset}
        self._by_end: dict[str, str | None] = {}
        base = image_folder(dataset)
        for sample in dataset:
            names = [image_name(sample, base), sample.image_id]
            if sample.label is not None:
                names.append(sample.label.name)
            for end in {end for name in names for end in _ends(name)}:
                known = self._by_end.setdefault(end, sample.image_id)
                if known != sample.image_id:
                    self._by_end[end] = None

    def find(self, name: str) -> str | None:
        """The image id; ``None`` if there is no such image."""
        if name in self._ids:
            return name
        for end in _ends(name.replace("\\", "/")):
            if end in self._by_end:
                return self._by_end[end]
        return None


def _ends(name: str) -> Iterable[str]:
    """Ends of a path, longest first, with and without the suffix."""
    parts = PurePosixPath(name).parts
    for start in range(len(parts)):
        end = PurePosixPath(*parts[start:])
        yield str(end)
        if end.suffix:
            yield str(end.with_suffix(""))


def read_data(path: Path, member: str | None = None) -> bytes:
    """Bytes of a file, of a file in a folder, or of a member of a ZIP archive.

    Args:
        path: file, folder or archive.
        member: name of the file in the folder or archive.

    Raises:
        InputError: it can't be read or isn't there.
    """
    try:
        if path.is_dir():
            path = path / (member or "")
        if path.suffix.lower() != ".zip":
            return path.read_bytes()
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if member is not None and n.rsplit("/", 1)[-1] == member]
            if not names:
                raise InputError(f"holds no {member}", path=path)
            if archive.getinfo(names[0]).file_size > _LARGEST:
                raise InputError(f"holds an unreasonably large {member}", path=path)
            return archive.read(names[0])
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise InputError(f"can't be read ({plain_reason(error)})", path=path) from error


def json_of(path: Path, member: str | None = None) -> Any:
    """JSON of a file, or of a file in a folder or archive (see :func:`read_data`)."""
    if path.is_file() and path.suffix.lower() != ".zip":
        return read_json(path)
    try:
        return json.loads(read_data(path, member))
    except ValueError as error:
        raise InputError(f"isn't readable JSON ({error})", path=path) from error


def detect(path: Path) -> Tool:
    """Which tool wrote a file.

    Raises:
        InputError: the file is missing, or none is recognised.
    """
    if not path.exists():
        raise InputError("doesn't exist", path=path)
    suffix = path.suffix.lower()
    if path.is_dir():
        if (path / "samples.json").exists():
            return "fiftyone"
        if (path / "annotations.xml").exists():
            return "cvat"
    elif suffix in (".xml", ".zip"):
        return "cvat"
    elif suffix in (".csv", ".tsv"):
        return "csv"
    elif suffix == ".json":
        found = _json_kind(read_json(path))
        if found is not None:
            return found
    raise InputError(
        "is no file of verdicts that is known", path=path, remedy=f"name the tool: {', '.join(TOOLS)}"
    )


def _json_kind(data: Any) -> Tool | None:
    if isinstance(data, dict):
        if "verdicts" in data:
            return "dubio"
        if "images" in data and "annotations" in data:
            return "coco"
        return "fiftyone" if "samples" in data else None
    if isinstance(data, list) and data and isinstance(data[0], dict) and "data" in data[0]:
        return "label-studio"
    return None
