"""Detector cards: a declarative description with which any exported detector can be run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from dubio.core.errors import InputError
from dubio.core.files import plain_reason
from dubio.core.labelspace import LabelSpace
from dubio.models.det.specs import InputSpec, OutputSpec

FORMAT = 1
METADATA_KEY = "dubio.detector"
_FIELDS = ("format", "task", "space", "input", "outputs", "description")


@dataclass(frozen=True)
class DetectorCard:
    """What a detector expects of its pixels and what its outputs mean.

    dubio's own exports carry theirs in the ONNX metadata (key ``"dubio.detector"``).

    Args:
        outputs: what comes out.
        input: how pixels go in.
        space: the classes, in the order of the class scores; ``None``: nobody has named them.
        description: a line for people.

    >>> card = DetectorCard.from_dict({"format": 1, "task": "detection", "space": "coco80",
    ...     "input": {"size": [640, 640]}, "outputs": {"coder": "corners", "boxes": "output0"}})
    >>> len(card.space), card.outputs.boxes, DetectorCard.from_dict(card.to_dict()) == card
    (80, ('output0',), True)
    """

    outputs: OutputSpec
    input: InputSpec = field(default_factory=InputSpec)
    space: LabelSpace | None = None
    description: str = ""

    @classmethod
    def from_dict(cls, data: Any, *, path: str | Path | None = None) -> DetectorCard:
        """Build from plain data.

        Args:
            data: ``format`` 1, ``task`` ``"detection"``, ``outputs`` (:class:`.OutputSpec`), ``input``
                (:class:`.InputSpec`), ``space`` (a label space's plain data, name or file).
            path: the file that is named in errors.

        Raises:
            InputError: another format or task, an unknown field, or an impossible value.
        """
        try:
            return cls._from_dict(data)
        except InputError as error:
            raise InputError(error.fault, path=error.path or path, remedy=error.remedy) from error

    @classmethod
    def _from_dict(cls, data: Any) -> DetectorCard:
        if not isinstance(data, Mapping):
            raise InputError("is no detector card", remedy="give an object with 'input' and 'outputs'")
        unknown = sorted(set(data) - set(_FIELDS))
        if unknown:
            known = "known: " + ", ".join(_FIELDS)
            raise InputError(f"a detector card has the unknown field '{unknown[0]}'", remedy=known)
        if data.get("format", FORMAT) != FORMAT:
            fault = f"is a detector card of format {data['format']}, this dubio reads {FORMAT}"
            raise InputError(fault, remedy="update dubio")
        if data.get("task", "detection") != "detection":
            raise InputError(f"is a card for '{data['task']}', not for detection")
        if "outputs" not in data:
            raise InputError("a detector card lacks 'outputs'")
        space = data.get("space")
        return cls(
            OutputSpec.from_dict(data["outputs"]),
            InputSpec.from_dict(data.get("input", {})),
            None if space is None else read_space(space),
            str(data.get("description", "")),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; the inverse of :meth:`from_dict`."""
        return {
            "format": FORMAT,
            "task": "detection",
            "description": self.description,
            "space": None if self.space is None else self.space.to_dict(),
            "input": self.input.to_dict(),
            "outputs": self.outputs.to_dict(),
        }

    def with_space(self, space: LabelSpace) -> DetectorCard:
        """The same card with these classes."""
        return replace(self, space=space)


@cache
def builtin_detector_cards() -> dict[str, str]:
    """Names of the cards that come with dubio, with a line on each.

    >>> sorted(builtin_detector_cards())
    ['fastestdet', 'nanodet', 'yolox']
    """
    folder = files("dubio.models.det") / "cards"
    found = {}
    for item in sorted(folder.iterdir(), key=lambda i: i.name):
        if item.name.endswith(".json") and not item.name.endswith(".space.json"):
            found[item.name[:-5]] = str(json.loads(item.read_text(encoding="utf-8"))["description"])
    return found


def read_detector_card(name_or_path: str | Path) -> DetectorCard:
    """Read a card: the name of one that comes with dubio, or a ``.json`` file.

    Raises:
        InputError: no such card, or one that can't be used.
    """
    path = Path(name_or_path)
    if str(name_or_path) in builtin_detector_cards():
        item = files("dubio.models.det") / "cards" / f"{name_or_path}.json"
        return DetectorCard.from_dict(json.loads(item.read_text(encoding="utf-8")))
    if path.suffix.lower() != ".json":
        known = ", ".join(sorted(builtin_detector_cards()))
        raise InputError(
            f"there is no detector card '{name_or_path}'", remedy=f"known: {known}, or a .json file"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"isn't a readable detector card ({plain_reason(error)})", path=path) from error
    return parse_detector_card(text, path)


def parse_detector_card(text: str, path: Path) -> DetectorCard:
    """Read a card from JSON text.

    Args:
        text: the JSON.
        path: the file that it stands in, for errors.

    Raises:
        InputError: no JSON, or a card that can't be used.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        fault = f"holds a detector card that isn't readable JSON ({plain_reason(error)})"
        raise InputError(fault, path=path) from error
    return DetectorCard.from_dict(data, path=path)


def read_space(value: Any) -> LabelSpace:
    """A label space from its plain data, name (``"coco80"`` or one of a data set) or file.

    Raises:
        InputError: no such space, or malformed data.
    """
    from dubio.models.card import as_space

    if isinstance(value, str) and value.casefold() == "coco80":
        item = files("dubio.models.det") / "cards" / "coco80.space.json"
        return LabelSpace.from_dict(json.loads(item.read_text(encoding="utf-8")))
    if not isinstance(value, str | Path | Mapping | LabelSpace):
        raise InputError(f"a detector card's space can't be {value!r}", remedy="a name, a file or classes")
    return as_space(value)
