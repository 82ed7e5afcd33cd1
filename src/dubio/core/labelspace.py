"""Label spaces: classes, colours, void, and the encodings in which masks are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError

Rgb = tuple[int, int, int]
# class indices, uint8 or uint16 (numpy's types can't say "either" without casts at every step)
IndexMap = npt.NDArray[Any]
Rest = int | Literal["void", "error"]


@dataclass(frozen=True)
class LabelClass:
    """One class: its id in files, its name and its colour."""

    id: int
    name: str
    color: Rgb


@dataclass(frozen=True)
class Encoding:
    """How stored pixel values stand for classes.

    Args:
        name: name of the encoding, such as ``"labelIds"``.
        values: stored value -> class id, or ``None`` for void.
        rest: what all other values mean: a class id, ``"void"``, or ``"error"`` (refused).
    """

    name: str
    values: Mapping[int, int | None]
    rest: Rest = "error"


@dataclass(frozen=True)
class LabelSpace:
    """Classes of a data set or of a model.

    Inside dubio a label map holds class *indices* ``0 … C-1`` in the order of ``classes``, and
    ``C`` (= :attr:`void_index`) for void, as ``uint8`` (``uint16`` from 255 classes on). Stored
    values are turned into indices by :meth:`encode` and back by :meth:`decode`; no algorithm
    ever sees a stored void value.

    Args:
        name: name of the space.
        classes: the classes; the position of a class is its index and its score channel.
        void: stored values that mean void in the default encoding; the first is written back.
        encodings: further encodings by name (Cityscapes ``labelIds``, instance maps …).
        void_colors: colours that mean void in RGB-coded masks; the first is written back.

    Raises:
        InputError: a class id or name occurs twice, or an id is also void.

    >>> space = LabelSpace("demo", (LabelClass(0, "road", (9, 9, 9)), LabelClass(4, "car", (0, 0, 9))),
    ...                    void=(255,))
    >>> space.encode(np.array([[0, 4, 255]])).tolist()
    [[0, 1, 2]]
    >>> space.decode(np.array([[0, 1, 2]], np.uint8)).tolist()
    [[0, 4, 255]]
    """

    name: str
    classes: tuple[LabelClass, ...]
    void: tuple[int, ...] = (255,)
    encodings: Mapping[str, Encoding] = field(default_factory=dict)
    void_colors: tuple[Rgb, ...] = ((0, 0, 0),)

    def __post_init__(self) -> None:
        ids, names = [c.id for c in self.classes], [c.name for c in self.classes]
        pairs: list[tuple[str, list[Any]]] = [("class id", ids), ("class name", names)]
        for what, values in pairs:
            twice = [v for n, v in enumerate(values) if v in values[:n]]
            if twice:
                raise InputError(f"label space '{self.name}' has the {what} {twice[0]!r} twice")
        if set(ids) & set(self.void):
            raise InputError(
                f"label space '{self.name}': id {min(set(ids) & set(self.void))} is a class and void"
            )
        if not self.classes:
            raise InputError(f"label space '{self.name}' has no classes")

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def void_index(self) -> int:
        """Index that stands for void in label maps: the number of classes."""
        return len(self.classes)

    @property
    def dtype(self) -> npt.DTypeLike:
        """Type of the label maps: ``uint8``, or ``uint16`` from 255 classes on."""
        return np.uint8 if len(self.classes) < 255 else np.uint16

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Class names by index."""
        return tuple(c.name for c in self.classes)

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """Class ids by index."""
        return tuple(c.id for c in self.classes)

    @cached_property
    def palette(self) -> npt.NDArray[np.uint8]:
        """Colours, shape ``(C + 1, 3)``; the last row is void's."""
        void = self.void_colors[0] if self.void_colors else (0, 0, 0)
        return np.array([c.color for c in self.classes] + [void], dtype=np.uint8)

    def name_of(self, index: int) -> str:
        """Class name at an index; ``"void"`` at and above :attr:`void_index`, or below 0."""
        return self.names[index] if 0 <= index < len(self.classes) else "void"

    def index_of(self, name: str | int) -> int:
        """Index of a class given by name (any case), or by id (a number or its digits).

        Raises:
            InputError: the space has no such class.
        """
        text = str(name).strip()
        for index, item in enumerate(self.classes):
            if item.name.casefold() == text.casefold() or str(item.id) == text:
                return index
        raise InputError(
            f"label space '{self.name}' has no class '{name}'",
            remedy="it has " + ", ".join(f"{c.name} ({c.id})" for c in self.classes),
        )

    def encoding(self, name: str | None = None) -> Encoding:
        """Return an encoding; ``None`` is the default: class ids as they are, and void values.

        Raises:
            InputError: the space has no such encoding.
        """
        if name in (None, "ids"):
            values: dict[int, int | None] = {c.id: c.id for c in self.classes}
            values.update(dict.fromkeys(self.void))
            return Encoding("ids", values)
        if name not in self.encodings:
            known = ", ".join(["ids", *self.encodings])
            raise InputError(f"label space '{self.name}' has no encoding '{name}'", remedy=f"known: {known}")
        return self.encodings[name]

    def encode(
        self,
        stored: npt.NDArray[Any],
        encoding: str | None = None,
        *,
        unknown: Literal["error", "void"] = "error",
    ) -> IndexMap:
        """Turn stored integer values of any shape into class indices.

        Args:
            stored: integers of any type and shape; not modified.
            encoding: name of the encoding, ``None`` for class ids.
            unknown: what to do with values that the encoding doesn't name: raise, or void.

        Returns:
            Array of the same shape, ``uint8`` or ``uint16``; void is :attr:`void_index`.

        Raises:
            InputError: a value is neither a class nor void, and ``unknown`` is ``"error"``.
        """
        how = self.encoding(encoding)
        if stored.dtype.kind not in "iub":
            raise InputError(f"label values are {stored.dtype}, not integers", remedy="store class ids")
        if stored.size == 0:
            return np.zeros(stored.shape, self.dtype)
        low, high = int(stored.min()), int(stored.max())
        if high - low > 1 << 20:
            raise InputError(f"label values span {low} to {high}", remedy="masks hold class ids")
        bad = len(self.classes) + 1
        table = np.full(high - low + 1, self._rest_index(how, unknown, bad), dtype=np.uint32)
        index = {c.id: i for i, c in enumerate(self.classes)}
        for value, class_id in how.values.items():
            if low <= value <= high:
                table[value - low] = self.void_index if class_id is None else index[class_id]
        coded = table[stored.astype(np.int64) - low] if low else table[stored]
        if bad in table and (coded == bad).any():
            values = np.unique(stored[coded == bad])[:5].tolist()
            raise InputError(
                f"label values {values} are neither classes nor void of '{self.name}'",
                remedy="choose another label space or encoding, or add them to its void values",
            )
        return coded.astype(self.dtype)

    def decode(self, indices: IndexMap, encoding: str | None = None) -> npt.NDArray[np.int32]:
        """Turn class indices back into stored values (the first value of each class; void too)."""
        how = self.encoding(encoding)
        back: dict[int | None, int] = {}
        for value, class_id in how.values.items():
            back.setdefault(class_id, value)
        void = self.void[0] if self.void else 255
        table = [back.get(c.id, c.id) for c in self.classes] + [back.get(None, void)]
        return np.array(table, dtype=np.int32)[indices]

    def _rest_index(self, how: Encoding, unknown: str, bad: int) -> int:
        if how.rest == "void" or (how.rest == "error" and unknown == "void"):
            return self.void_index
        return bad if how.rest == "error" else self.ids.index(int(how.rest))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: what run files and table metadata carry."""
        return {
            "name": self.name,
            "void": list(self.void),
            "void_colors": [list(c) for c in self.void_colors],
            "classes": [{"id": c.id, "name": c.name, "color": list(c.color)} for c in self.classes],
            "encodings": {
                e.name: {"map": {str(k): v for k, v in e.values.items()}, "rest": e.rest}
                for e in self.encodings.values()
            },
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LabelSpace:
        """Build a space from plain data (JSON or TOML); the inverse of :meth:`to_dict`.

        Colours may be missing: they are then chosen, the same for the same name and id. In an
        encoding's ``map`` the value ``"void"`` (or null) means void.

        Raises:
            InputError: a part is missing or of the wrong type.
        """
        try:
            classes = tuple(
                LabelClass(int(c["id"]), str(c["name"]), _rgb(c.get("color"), int(c["id"])))
                for c in data["classes"]
            )
            encodings = {
                name: Encoding(
                    name,
                    {int(k): _class_or_void(v) for k, v in e.get("map", {}).items()},
                    e.get("rest", "error"),
                )
                for name, e in dict(data.get("encodings", {})).items()
            }
            void = tuple(int(v) for v in data.get("void", [255]))
            colors = tuple(_rgb(c, 0) for c in data.get("void_colors", [(0, 0, 0)]))
            name = str(data["name"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"label space data is incomplete or malformed ({error!r})",
                remedy="give a name and classes with id and name",
            ) from error
        return cls(name, classes, void, encodings, colors)


def _class_or_void(value: object) -> int | None:
    return None if value in (None, "void") else int(str(value))


def _rgb(color: Any, seed: int) -> Rgb:
    if color is None:
        # The golden angle spreads hues of neighbouring ids far apart.
        hue = (seed * 137.508) % 360 / 60
        part = int(255 * (1 - abs(hue % 2 - 1)) * 0.8)
        full = [
            (204, part, 40),
            (part, 204, 40),
            (40, 204, part),
            (40, part, 204),
            (part, 40, 204),
            (204, 40, part),
        ]
        return full[int(hue) % 6]
    red, green, blue = (int(v) for v in color)
    return (red, green, blue)
