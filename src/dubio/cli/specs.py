"""Arguments that name a thing, a place and how to read it: ``NAME=PLACE?option=value&option=value``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dubio.core.errors import InputError


@dataclass(frozen=True)
class Spec:
    """One such argument.

    Args:
        text: as it was typed.
        name: the name; ``None`` if there was none.
        place: file or folder.
        options: the options.
    """

    text: str
    name: str | None
    place: Path
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The name, or else the last part of the place."""
        return self.name or self.place.stem or str(self.place)

    def numbers(self, key: str) -> tuple[float, ...] | None:
        """Numbers with commas or an x between them, such as ``481x641``.

        Raises:
            InputError: they are no numbers.
        """
        if key not in self.options:
            return None
        try:
            return tuple(float(v) for v in self.options[key].replace("x", ",").split(","))
        except ValueError as error:
            raise InputError(
                f"'{self.options[key]}' in {self.text} is no list of numbers", remedy=f"write {key}=481x641"
            ) from error

    def size(self, key: str) -> tuple[int, int] | None:
        """Height and width.

        Raises:
            InputError: not two whole positive numbers.
        """
        found = self.numbers(key)
        if found is None:
            return None
        if len(found) != 2 or any(v != int(v) or v < 1 for v in found):
            raise InputError(f"{key} in {self.text} is no height and width", remedy=f"write {key}=481x641")
        return int(found[0]), int(found[1])

    def names(self, key: str) -> tuple[str, ...]:
        """Words with commas between them; none if the option isn't there."""
        return tuple(v.strip() for v in self.options.get(key, "").split(",") if v.strip())

    def only(self, known: set[str], what: str) -> None:
        """Refuse options outside ``known``.

        Raises:
            InputError: there is one.
        """
        strange = sorted(set(self.options) - known)
        if strange:
            raise InputError(
                f"{what} has no option '{strange[0]}' (in {self.text})",
                remedy=f"known: {', '.join(sorted(known))}",
            )


def parse_spec(text: str) -> Spec:
    """Take apart ``NAME=PLACE?key=value&key=value``; name and options may be missing.

    Raises:
        InputError: an option without a value, or no place.

    >>> spec = parse_spec("night=/data/ACDC?condition=night&split=val")
    >>> spec.name, str(spec.place), dict(spec.options)
    ('night', '/data/ACDC', {'condition': 'night', 'split': 'val'})
    >>> parse_spec("runs/a=b.onnx").name is None
    True
    """
    head, _, query = text.partition("?")
    name, sign, place = head.partition("=")
    if not sign or "/" in name:
        name, place = "", head
    if not place:
        raise InputError(f"'{text}' names no file or folder", remedy="write NAME=PLACE")
    options = {}
    for pair in filter(None, query.split("&")):
        key, equals, value = pair.partition("=")
        if not equals or not key or not value:
            raise InputError(f"'{pair}' in {text} is no option", remedy="write option=value")
        options[key.strip().replace("_", "-")] = value.strip()
    return Spec(text, name.strip() or None, Path(place), options)
