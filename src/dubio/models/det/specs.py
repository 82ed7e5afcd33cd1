"""The two halves of a detector card: how pixels go in, and what comes out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, TypeVar, get_args

from dubio.core.errors import InputError

Fit = Literal["letterbox", "stretch"]
Align = Literal["top-left", "center"]
Coder = Literal["delta", "distance", "distribution", "yolox", "fastestdet", "corners"]
Link = Literal["sigmoid", "softmax"]
Form = Literal["xyxy", "cxcywh"]
Unit = Literal["pixels", "relative"]
Triple = tuple[float, float, float]
Size = tuple[int, int]
Names = tuple[str, ...]
Spec = TypeVar("Spec", "InputSpec", "OutputSpec")


@dataclass(frozen=True)
class InputSpec:
    """How an image becomes the input of a detector.

    Args:
        name: of the input in the file; ``None``: its only one.
        size: height and width; ``None``: as the file fixes them.
        fit: ``letterbox`` keeps proportions and fills the rest, ``stretch`` doesn't.
        align: where a letterboxed image lies.
        pad: what fills the rest, per channel in the network's order, 0 to 255, before normalisation.
        channels: order of the channels, ``rgb`` or ``bgr``.
        scale: range of pixels before mean and standard deviation, ``0-1`` or ``0-255``.
        mean: subtracted per channel, in units of ``scale``.
        std: divided by per channel, in units of ``scale``.

    Raises:
        InputError: a value is impossible.
    """

    name: str | None = None
    size: Size | None = None
    fit: Fit = "letterbox"
    align: Align = "top-left"
    pad: Triple = (114.0, 114.0, 114.0)
    channels: Literal["rgb", "bgr"] = "rgb"
    scale: Literal["0-1", "0-255"] = "0-1"
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        _choose("fit", self.fit, get_args(Fit))
        _choose("align", self.align, get_args(Align))
        _choose("channels", self.channels, ("rgb", "bgr"))
        _choose("scale", self.scale, ("0-1", "0-255"))
        if self.size is not None and min(self.size) < 1:
            raise InputError(f"a detector card's size can't be {self.size}", remedy="give height and width")
        if not min(self.std) > 0:
            raise InputError(f"a detector card's std can't be {self.std}", remedy="give positive numbers")
        if not 0 <= min(self.pad) <= max(self.pad) <= 255:
            raise InputError(f"a detector card's pad can't be {self.pad}", remedy="give 0 to 255")

    @classmethod
    def from_dict(cls, data: Any) -> InputSpec:
        """Build from plain data.

        Raises:
            InputError: an unknown field or an impossible value.

        >>> InputSpec.from_dict({"size": [416, 416], "pad": 0}).pad
        (0.0, 0.0, 0.0)
        """
        readers = {"name": _text, "size": _size, "pad": _triple, "mean": _triple, "std": _triple}
        return _read(cls, data, "input", readers)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return _plain(self)


@dataclass(frozen=True)
class OutputSpec:
    """What the outputs of a detector mean.

    All have a batch axis first. Levels of a pyramid may be separate outputs: they are joined along the
    boxes' axis in the order in which they are named.

    Args:
        coder: ``delta``: tx, ty, tw, th of anchors. ``distance``: left, top, right, bottom of points.
            ``distribution``: bins of those distances, ``(N, 4 * bins)``. ``yolox``: x, y, w, h of cells,
            objectness, classes. ``fastestdet``: a map of objectness, box, classes. ``corners``: boxes.
        boxes: names of the outputs that hold them.
        logits: names of the outputs that hold the class scores; ``None``: they follow the box in the
            same rows (after the objectness, if there is one).
        score_kind: the function that the class scores are meant for.
        activated: the class scores are probabilities already.
        background: place of a softmax's background column, which is dropped.
        log_variance: name of the output with logarithms of the variances of what ``boxes`` holds.
        reference: name of the output with anchors ``(N, 4)``, xyxy in pixels of the input, or with points
            ``(N, 3)``: x, y and the pixels of one unit of distance.
        samples: a second axis T holds samples of the network (dropout masks that are part of the file).
        score: exponents of objectness and best class probability whose product is the confidence, in JSON
            ``{"objectness": 0.5, "class": 0.5}``; ``None``: the best class score.
        objectness: the rows hold an objectness after the box (``corners``).
        weights: of deltas, which are divided by them.
        clamp: largest log size ratio (``delta``) or exponent (exponential ``distance``); ``None``: none.
        distances: ``linear`` or ``exponential``.
        strides: pixels between the cells of each level (``distribution``, ``yolox``, ``fastestdet``).
        offset: of a cell's point from its corner, in strides (``distribution``).
        probabilities: distributions went through the softmax already.
        form: of ``corners``.
        unit: of ``corners``.
        transposed: rows stand in the last axis, ``(4 + C, N)``.

    Raises:
        InputError: a value is impossible, or one that the coder needs is missing.
    """

    coder: Coder
    boxes: Names
    logits: Names | None = None
    score_kind: Link = "sigmoid"
    activated: bool = False
    background: Literal["first", "last"] | None = None
    log_variance: str | None = None
    reference: str | None = None
    samples: bool = False
    score: tuple[float, float] | None = None
    objectness: bool = False
    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    clamp: float | None = None
    distances: Literal["linear", "exponential"] = "linear"
    strides: tuple[float, ...] = ()
    offset: float = 0.5
    probabilities: bool = False
    form: Form = "xyxy"
    unit: Unit = "pixels"
    transposed: bool = False

    def __post_init__(self) -> None:
        _choose("coder", self.coder, get_args(Coder))
        _choose("score_kind", self.score_kind, get_args(Link))
        _choose("background", self.background, (None, "first", "last"))
        _choose("distances", self.distances, ("linear", "exponential"))
        _choose("form", self.form, get_args(Form))
        _choose("unit", self.unit, get_args(Unit))
        anchored = self.coder in ("delta", "distance")
        own = self.coder in ("yolox", "fastestdet")
        rules = (
            (not self.boxes, "names no output with boxes"),
            (anchored and self.reference is None, f"coder '{self.coder}' needs the output 'reference'"),
            (
                (own or self.coder == "distribution") and not self.strides,
                f"coder '{self.coder}' needs 'strides'",
            ),
            (
                self.logits is None and not own and self.coder != "corners",
                f"coder '{self.coder}' needs 'logits'",
            ),
            (own and self.logits is not None, f"coder '{self.coder}' finds its class scores in 'boxes'"),
            (self.log_variance is not None and not anchored, f"coder '{self.coder}' has no log variance"),
            (self.samples and not anchored, f"coder '{self.coder}' has no samples"),
            (self.background is not None and self.score_kind != "softmax", "only a softmax has a background"),
            (min(self.strides, default=1.0) <= 0, "strides are positive"),
        )
        for broken, fault in rules:
            if broken:
                raise InputError(f"a detector card's outputs: {fault}")

    @classmethod
    def from_dict(cls, data: Any) -> OutputSpec:
        """Build from plain data.

        Raises:
            InputError: an unknown field, a missing one or an impossible value.
        """
        readers = {
            "boxes": _names,
            "logits": _names,
            "log_variance": _text,
            "reference": _text,
            "score": _score,
            "weights": _numbers,
            "clamp": float,
            "strides": _numbers,
            "offset": float,
        }
        return _read(cls, data, "outputs", readers)

    @property
    def names(self) -> Names:
        """All outputs of the file that are needed."""
        single = [name for name in (self.log_variance, self.reference) if name is not None]
        return tuple(dict.fromkeys((*self.boxes, *(self.logits or ()), *single)))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data = _plain(self)
        if self.score is not None:
            data["score"] = {"objectness": self.score[0], "class": self.score[1]}
        return data


def _read(cls: type[Spec], data: Any, part: str, readers: Mapping[str, Any]) -> Spec:
    if not isinstance(data, Mapping):
        raise InputError(f"a detector card's '{part}' is no table")
    known = {f.name: f for f in fields(cls)}
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise InputError(
            f"a detector card's {part} have the unknown field '{unknown[0]}'"
            if part == "outputs"
            else f"a detector card's {part} has the unknown field '{unknown[0]}'",
            remedy="known: " + ", ".join(known),
        )
    missing = [n for n, f in known.items() if f.default is MISSING and n not in data]
    if missing:
        raise InputError(f"a detector card's '{part}' lacks the field '{missing[0]}'")
    values: dict[str, Any] = {}
    for name, value in data.items():
        flag = known[name].type == "bool"
        try:
            if flag and not isinstance(value, bool):
                raise TypeError
            read = readers.get(name)
            values[name] = value if read is None or value is None else read(value)
        except (TypeError, ValueError, KeyError) as error:
            raise InputError(f"a detector card's {part}: '{name}' can't be {value!r}") from error
    nothing = [n for n, v in values.items() if v is None and "None" not in str(known[n].type)]
    return cls(**{n: v for n, v in values.items() if n not in nothing})


def _plain(spec: InputSpec | OutputSpec) -> dict[str, Any]:
    data = {f.name: getattr(spec, f.name) for f in fields(spec)}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in data.items()}


def _choose(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if value not in allowed:
        said = ", ".join(str(a) for a in allowed if a is not None)
        raise InputError(f"a detector card's {name} can't be {value!r}", remedy=f"one of {said}")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _names(value: Any) -> Names:
    return tuple(_text(v) for v in ([value] if isinstance(value, str) else value))


def _numbers(value: Any) -> tuple[float, ...]:
    found = tuple(float(v) for v in (value if isinstance(value, Sequence) else [value]))
    if not all(math.isfinite(v) for v in found):
        raise ValueError
    return found


def _triple(value: Any) -> Triple:
    found = _numbers(value)
    first, second, third = found * 3 if len(found) == 1 else found
    return first, second, third


def _size(value: Any) -> Size:
    height, width = (int(v) for v in value)
    return height, width


def _score(value: Any) -> tuple[float, float]:
    return float(value["objectness"]), float(value["class"])
