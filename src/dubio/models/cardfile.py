"""Cards in files: named cards that come with dubio, sidecars, and files that the user writes."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from dubio.core.errors import InputError
from dubio.core.files import plain_reason
from dubio.models.card import Layer

_SUFFIXES = (".toml", ".json")


def builtin_cards() -> dict[str, str]:
    """Names of the cards that come with dubio, with a line on each.

    >>> sorted(builtin_cards())
    ['caffe-bgr', 'deeplab-edgetpu', 'imagenet', 'raw255', 'unit']
    """
    folder = files("dubio.models") / "cards"
    found = {}
    for item in folder.iterdir():
        if item.name.endswith(".toml"):
            found[item.name[:-5]] = str(tomllib.loads(item.read_text(encoding="utf-8"))["description"])
    return found


def read_card(name_or_path: str | Path) -> Layer:
    """Read the fields of a card by name, or from a ``.toml`` or ``.json`` file.

    In a file, a label space given as a relative path is looked up beside the file.

    Raises:
        InputError: no such card, or the file can't be read.
    """
    path = Path(name_or_path)
    if path.suffix.lower() in _SUFFIXES:
        return f"card {path.name}", _read_file(path)
    item = files("dubio.models") / "cards" / f"{name_or_path}.toml"
    if not item.is_file():
        raise InputError(
            f"there is no model card '{name_or_path}'",
            remedy="known: " + ", ".join(sorted(builtin_cards())) + ", or a .toml or .json file",
        )
    return f"card {name_or_path}", tomllib.loads(item.read_text(encoding="utf-8"))


def sidecar(model: Path) -> Layer | None:
    """Read the card beside a model file (``net.toml`` or ``net.json`` beside ``net.onnx``), if any.

    A JSON file beside a model is often something else; it counts only if it holds card fields.
    """
    for suffix in _SUFFIXES:
        path = model.with_suffix(suffix)
        if model.is_file() and path.is_file():
            data = _read_file(path)
            if suffix == ".toml" or {"scale", "space", "mean", "size", "output"} & set(data):
                return f"sidecar {path.name}", data
    return None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except FileNotFoundError as error:
        raise InputError("doesn't exist", path=path) from error
    except (OSError, ValueError, RecursionError) as error:
        fault = f"isn't a readable model card ({plain_reason(error)})"
        raise InputError(fault, path=path, remedy="write TOML or JSON, or take the file out") from error
    if not isinstance(data, dict):
        raise InputError("isn't a model card", path=path, remedy="give fields such as scale, mean and std")
    space = data.get("space")
    if isinstance(space, str) and space.lower().endswith(_SUFFIXES) and not Path(space).is_absolute():
        data["space"] = str(path.parent / space)
    return data
