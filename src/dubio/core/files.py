"""Safe writing: a file is either whole or absent."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dubio.core.errors import InputError

_LONGEST_NAME = 255  # bytes, on all common file systems
_NUMBER = re.compile(r"\[errno (\d+)\]", re.IGNORECASE)
_PART = re.compile(r"\.\d+\.part(\.\w+)?$")


@contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` and rename it to ``path`` on success.

    Missing folders are made. If the block raises, the temporary file is removed and whatever stood
    at ``path`` before stays as it was.

    Raises:
        InputError: the disk is full or the place can't be written to.
    """
    path = Path(path)
    part = _beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)
    except OSError as error:
        raise InputError(
            f"can't be written ({plain_reason(error)})",
            path=path,
            remedy="free space or choose another place",
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()


def _beside(path: Path) -> Path:
    """Temporary name; the suffix stays last, since several writers choose their format by it."""
    end = f".{os.getpid()}.part{path.suffix}"
    name = f".{path.stem}{end}"
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f".{digest(path.name)}{end}"
    return path.with_name(name)


def remove_leftovers(folder: str | Path) -> int:
    """Remove temporary files below a folder that a killed process left; returns their number."""
    count = 0
    for part in Path(folder).rglob(".*.part*"):
        if _PART.search(part.name) and part.is_file():
            with suppress(OSError):
                part.unlink()
                count += 1
    return count


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text safely (see :func:`writing`); bytes of file names that are no UTF-8 are escaped."""
    with writing(path) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: str | Path, data: Any) -> None:
    """Write JSON safely, indented, with a final newline."""
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_npz(path: str | Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays safely as a compressed NPZ file; never a pickle.

    Args:
        path: the file.
        arrays: by name: arrays, or what numpy makes one of; objects are refused.

    Raises:
        InputError: the file can't be written.
        ValueError: an array of objects.
    """
    import numpy as np

    plain = {name: np.asarray(value) for name, value in arrays.items()}
    if any(array.dtype.hasobject for array in plain.values()):
        raise ValueError("objects can't be written without a pickle")
    with writing(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **dict[str, Any](plain))


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: the file is missing or isn't JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError("doesn't exist", path=path) from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"isn't readable JSON ({plain_reason(error)})", path=path) from error


def plain_reason(error: Exception) -> str:
    r"""Say in plain words why a file could not be read or written.

    >>> plain_reason(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"))
    'it holds bytes that are no text'
    """
    if isinstance(error, OSError):
        # pyarrow hides the number in its own words.
        number = error.errno or next(map(int, _NUMBER.findall(str(error))), 0)
        return os.strerror(number) if number else str(error)
    if isinstance(error, UnicodeDecodeError):
        return "it holds bytes that are no text"
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error)


def digest(data: Any) -> str:
    """Hash plain data (JSON types, paths) to 16 hex digits; key order does not matter.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    text = json.dumps(data, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fingerprint(paths: Iterable[str | Path | None]) -> str:
    """Hash names, sizes and modification times of files; ``None`` and missing files count as such.

    A changed, replaced or touched file changes the fingerprint, and so does the permission to read it.
    Contents are not read.
    """
    rows: list[tuple[str, int, int]] = []
    for path in paths:
        if path is None:
            rows.append(("", -1, -1))
            continue
        try:
            stat = Path(path).stat()
            # A file left out because it couldn't be read is tried again once it can.
            size = stat.st_size if os.access(path, os.R_OK) else -2
            rows.append((str(path), size, stat.st_mtime_ns))
        except OSError:
            rows.append((str(path), -1, -1))
    return digest(rows)
