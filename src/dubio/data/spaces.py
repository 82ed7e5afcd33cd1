"""Label spaces by name or from a file: one TOML file per data set in ``sets/``."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from dubio.core.errors import InputError
from dubio.core.files import plain_reason
from dubio.core.labelspace import LabelSpace
from dubio.data.encodings import with_nonzero
from dubio.data.infer import infer_space

__all__ = ["builtin_spaces", "infer_space", "load_space", "read_table", "space_from_table"]
SETS = Path(__file__).parent / "sets"
_DERIVED = ("offset", "first", "void")


@cache
def builtin_spaces() -> list[str]:
    """Names of the data sets that come with dubio.

    >>> {"cityscapes", "voc", "nuclei"} <= set(builtin_spaces())
    True
    """
    return sorted(path.stem for path in SETS.glob("*.toml"))


def load_space(name_or_path: str | Path) -> LabelSpace:
    """Load a label space: a built-in name, or an own ``.toml`` or ``.json`` file.

    A file holds ``name`` and ``classes`` (each with ``id``, ``name`` and perhaps ``color``), or
    ``classes_of`` = the name of a built-in space; further ``void``, ``void_colors`` and
    ``[encodings.NAME]`` with a ``map`` from stored value to class id or ``"void"``. Instead of a map,
    ``offset`` (stored value = id + offset) or ``first`` (numbered without gaps from there) will do.
    Colours are ``[r, g, b]`` or ``"#rrggbb"``. The encoding ``rgb`` maps further colours to classes.
    Every space of two classes also has the encoding ``nonzero`` (0 is the first class, all other
    values the second).

    Raises:
        InputError: no such name or file, or the file is malformed.

    >>> load_space("cityscapes").names[:3]
    ('road', 'sidewalk', 'building')
    >>> load_space("nuclei").encoding("nonzero").rest
    1
    """
    return space_from_table(read_table(name_or_path), name_or_path)


def read_table(name_or_path: str | Path) -> dict[str, Any]:
    """Read the table of a data set (space, encodings, layouts) by name or path, as plain data.

    Raises:
        InputError: no such name or file, or not TOML or JSON.
    """
    path = _path_of(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        fault = f"isn't a readable label space file ({plain_reason(error)})"
        raise InputError(
            fault, path=path, remedy="write TOML or JSON, or name a built-in label space"
        ) from error
    if not isinstance(data, dict):
        raise InputError("isn't a label space file", path=path, remedy="give a table with name and classes")
    return data


def _path_of(name_or_path: str | Path) -> Path:
    text = str(name_or_path)
    if text in builtin_spaces():
        return SETS / f"{text}.toml"
    path = Path(text)
    if path.suffix.lower() in (".toml", ".json"):
        if path.is_file():
            return path
        raise InputError("doesn't exist", path=path, remedy="give a label space file or a built-in name")
    for name in builtin_spaces():
        if name.casefold() == text.casefold():
            return SETS / f"{name}.toml"
    known = ", ".join(builtin_spaces())
    raise InputError(
        f"no label space is called '{text}'", remedy=f"give a .toml or .json file or one of {known}"
    )


def space_from_table(table: Mapping[str, Any], origin: str | Path = "") -> LabelSpace:
    """Build a label space from the plain data of a set's file (see :func:`load_space`).

    Raises:
        InputError: a part is missing or malformed.
    """
    data = dict(table)
    data.setdefault("name", Path(origin).stem)
    try:
        if "classes_of" in data:
            base = read_table(str(data["classes_of"]))
            data["classes"] = base["classes"]
            data.setdefault("void_colors", base.get("void_colors", []))
        data["classes"] = [{**c, "color": _color(c["color"])} if "color" in c else c for c in data["classes"]]
        if "void_colors" in data:
            data["void_colors"] = [_color(c) for c in data["void_colors"]]
        ids = [int(c["id"]) for c in data["classes"]]
        data["encodings"] = {
            name: _encoding(how, ids) for name, how in dict(data.get("encodings", {})).items()
        }
        space = LabelSpace.from_dict(data)
    except InputError as error:
        raise InputError(error.fault, path=origin or None, remedy=error.remedy) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"label space is incomplete or malformed ({_missing(error)})",
            path=origin or None,
            remedy="give a name and classes with id and name",
        ) from error
    return with_nonzero(space)


def _missing(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _encoding(how: Mapping[str, Any], ids: list[int]) -> dict[str, Any]:
    pairs: dict[int, Any] = {}
    if "offset" in how:
        pairs.update({i + int(how["offset"]): i for i in ids})
    if "first" in how:
        pairs.update({n + int(how["first"]): i for n, i in enumerate(ids)})
    pairs.update(dict.fromkeys((int(v) for v in how.get("void", ())), "void"))
    pairs.update({_stored(k): v for k, v in how.get("map", {}).items()})
    unknown = {v for v in pairs.values() if v != "void" and v is not None} - set(ids)
    if unknown:
        raise InputError(f"an encoding names class ids that don't exist: {sorted(unknown, key=str)}")
    return {**{k: v for k, v in how.items() if k not in _DERIVED}, "map": pairs}


def _stored(key: str | int) -> int:
    text = str(key)
    return int(text[1:], 16) if text.startswith("#") else int(text)


def _color(color: Any) -> list[int]:
    """Turn ``"#rrggbb"`` or three numbers into three numbers."""
    if isinstance(color, str):
        packed = _stored(color)
        return [packed >> 16, packed >> 8 & 255, packed & 255]
    red, green, blue = (int(v) for v in color)
    if not all(0 <= v <= 255 for v in (red, green, blue)):
        raise ValueError(f"colour {color} is not within 0 to 255")
    return [red, green, blue]
