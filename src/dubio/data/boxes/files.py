"""Reading the texts of label files: lines, JSON, numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dubio.core.errors import InputError
from dubio.core.files import plain_reason
from dubio.data.damage import check_file

# What XML 1.0 can't hold.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text_lines(path: Path) -> list[str]:
    """Lines of a UTF-8 text file, without those that are blank.

    Raises:
        InputError: the file is missing or holds no text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"isn't readable text ({plain_reason(error)})", path=path) from error
    return [line for line in text.splitlines() if line.strip()]


def read_data(path: Path) -> Any:
    """Read a JSON file of labels.

    Raises:
        InputError: missing, empty, truncated or no JSON.
    """
    check_file(path)
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"isn't readable JSON ({plain_reason(error)})", path=path, remedy="is the file whole?"
        ) from error


def corners(values: Sequence[Any]) -> tuple[float, float, float, float]:
    """Four corners as numbers.

    Raises:
        InputError: one is missing or no number.

    >>> corners(["1", "2.5", 3, 4])
    (1.0, 2.5, 3.0, 4.0)
    """
    try:
        x1, y1, x2, y2 = (float(v) for v in values)
    except (TypeError, ValueError) as error:
        said = ", ".join("nothing" if v is None else str(v) for v in values)
        raise InputError(f"its corners are {said}") from error
    return x1, y1, x2, y2


def corners_of(record: Mapping[str, Any], keys: Sequence[str]) -> tuple[float, float, float, float]:
    """Corners under these keys of a record.

    Raises:
        InputError: one is missing or no number.
    """
    return corners([record.get(key) for key in keys])


def positive(value: Any) -> int | None:
    """Whole number above 0; ``None`` for all else.

    >>> positive("640"), positive("0"), positive(None)
    (640, None, None)
    """
    try:
        number = int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number > 0 else None


def place_in(folder: str | Path, image_id: str, suffix: str) -> Path:
    """Path of an image's file below a folder.

    Raises:
        InputError: the image id leads out of the folder: ids come from files of others.

    >>> place_in("out", "train/a.b", ".txt").as_posix()
    'out/train/a.b.txt'
    """
    if Path(image_id).is_absolute() or ".." in Path(image_id).parts:
        raise InputError(f"the image id '{image_id}' leads out of the folder", path=folder)
    return Path(folder) / f"{image_id}{suffix}"


def xml_text(text: str) -> str:
    """Check that XML can hold a text.

    Raises:
        InputError: it holds control characters.
    """
    if _FORBIDDEN.search(text):
        raise InputError(f"XML can't hold the text {text!r}", remedy="rename the class or image")
    return text
