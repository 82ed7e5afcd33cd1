"""Model cards: what a network expects of its pixels and what its output channels mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from dubio.core.errors import InputError
from dubio.core.labelspace import LabelSpace

Channels = Literal["rgb", "bgr"]
Scale = Literal["0-1", "0-255"]
InputLayout = Literal["nchw", "nhwc"]
OutputKind = Literal["auto", "logits", "probabilities"]
ResizeMode = Literal["bilinear", "bicubic", "box", "nearest"]
Triple = tuple[float, float, float]
Size = tuple[int, int]
Layer = tuple[str, Mapping[str, Any]]

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
_PIXELS = ("scale", "mean", "std")


@dataclass(frozen=True)
class ModelCard:
    """How images become the input of a network and what comes out of it.

    Args:
        space: label space of the output channels, if it is known.
        channels: order of the colour channels.
        scale: range of the pixel values before mean and standard deviation are applied.
        mean: subtracted per channel (in the network's channel order), in units of ``scale``.
        std: divided by per channel, in units of ``scale``.
        layout: order of the input's axes.
        input_name: name of the input in the file, where inputs have names.
        output_name: name of the output that holds the scores; ``None`` is the first.
        size: fixed input height and width; every image is resized to it.
        short_edge: length to which an image's shorter edge is resized first.
        size_multiple: heights and widths are ``size_multiple * k + size_offset``.
        size_offset: see ``size_multiple``.
        resize: how images are resized (Pillow's filters, which smooth when they shrink).
        output: what the scores are; ``auto`` is settled by a probe.
        window: height and width of a sliding window in image pixels, or ``None`` for whole images.
        overlap: share by which neighbouring windows overlap, in [0, 1).

    Raises:
        InputError: a value is impossible.

    >>> ModelCard(size_multiple=16, size_offset=1).input_size(360, 480)
    (353, 481)
    """

    space: LabelSpace | None = None
    channels: Channels = "rgb"
    scale: Scale = "0-1"
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    layout: InputLayout = "nchw"
    input_name: str | None = None
    output_name: str | None = None
    size: Size | None = None
    short_edge: int | None = None
    size_multiple: int = 1
    size_offset: int = 0
    resize: ResizeMode = "bilinear"
    output: OutputKind = "auto"
    window: Size | None = None
    overlap: float = 0.25

    def __post_init__(self) -> None:
        choices: tuple[tuple[str, str, Any], ...] = (
            ("channels", self.channels, Channels),
            ("scale", self.scale, Scale),
            ("layout", self.layout, InputLayout),
            ("resize", self.resize, ResizeMode),
            ("output", self.output, OutputKind),
        )
        for name, value, allowed in choices:
            if value not in get_args(allowed):
                raise InputError(
                    f"a model card's {name} can't be {value!r}",
                    remedy="one of " + ", ".join(get_args(allowed)),
                )
        if min(self.std) <= 0:
            raise InputError(f"a model card's std can't be {self.std}", remedy="give positive numbers")
        if not 0 <= self.overlap < 1:
            raise InputError(f"windows can't overlap by {self.overlap}", remedy="give a share in [0, 1)")
        lengths = (*(self.size or ()), *(self.window or ()), self.size_multiple, self.short_edge or 1)
        if min(lengths) < 1 or not 0 <= self.size_offset < max(2, self.size_multiple):
            rule = f"{self.size_multiple}k+{self.size_offset}"
            raise InputError(
                f"a model card has the sizes {self.size}, {self.window}, {rule}",
                remedy="give positive lengths and an offset below the multiple",
            )

    def input_size(self, height: int, width: int) -> Size:
        """Height and width at which the network sees an image (or window) of the given size."""
        if self.size is not None:
            return self.size
        if self.short_edge is not None:
            factor = self.short_edge / min(height, width)
            height, width = round(height * factor), round(width * factor)
        return self._snap(height), self._snap(width)

    def _snap(self, length: int) -> int:
        steps = round((length - self.size_offset) / self.size_multiple)
        return max(1, steps) * self.size_multiple + self.size_offset

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; fields at their defaults are left out, pixel scaling never is."""
        data: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "space":
                value = None if value is None else value.to_dict()
            if field.name in _PIXELS or value != field.default:
                data[field.name] = list(value) if isinstance(value, tuple) else value
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelCard:
        """Build a card from plain data; the inverse of :meth:`to_dict`.

        Raises:
            InputError: an unknown field or a wrong type.
        """
        return combine([("the card", data)])[0]

    def pixels(self) -> str:
        """Channel order, scale, mean and standard deviation in words."""
        plain = self.mean == (0, 0, 0) and self.std == (1, 1, 1)
        numbers = "" if plain else f", mean {_numbers(self.mean)}, std {_numbers(self.std)}"
        return f"{self.channels.upper()} {self.scale}{numbers}"

    def sizes(self) -> str:
        """The size rule in words."""
        if self.window is not None:
            snapped = self.input_size(*self.window) if self.size is None else self.window
            return f"windows of {snapped[0]} x {snapped[1]}, overlap {self.overlap:g}"
        if self.size is not None:
            return f"every image at {self.size[0]} x {self.size[1]}"
        edge = f"shorter edge {self.short_edge}, " if self.short_edge else ""
        if self.size_multiple == 1:
            return edge + ("then as it is" if edge else "images as they are")
        rule = f"{self.size_multiple}k" + (f"+{self.size_offset}" if self.size_offset else "")
        return f"{edge}nearest height and width of the form {rule}"


def combine(layers: Iterable[Layer]) -> tuple[ModelCard, dict[str, str]]:
    """Lay card fields over each other; a later layer wins.

    Args:
        layers: pairs of a source in words ("metadata", "option") and fields as plain data.

    Returns:
        The card, and for each field that a layer set, the source it came from.

    A layer that sets ``scale`` but neither mean nor std means plain pixels of that scale. The scale
    ``"imagenet"`` stands for 0-1 with the ImageNet mean and standard deviation.

    Raises:
        InputError: an unknown field or a wrong type.

    >>> card, origin = combine([("file", {"scale": "0-255"}), ("option", {"channels": "bgr"})])
    >>> card.pixels(), origin["channels"]
    ('BGR 0-255', 'option')
    """
    known = {f.name for f in fields(ModelCard)}
    card, origin = ModelCard(), {}
    for source, raw in layers:
        data = _expand_scale({k: v for k, v in raw.items() if v is not None})
        unknown = sorted(set(data) - known - {"name", "description"})
        if unknown:
            raise InputError(
                f"{source} has the unknown field '{unknown[0]}'", remedy="known: " + ", ".join(sorted(known))
            )
        values = {k: _typed(source, k, v) for k, v in data.items() if k in known}
        card = replace(card, **values)
        origin.update(dict.fromkeys(values, source))
    return card, origin


def _expand_scale(data: dict[str, Any]) -> dict[str, Any]:
    scale = data.get("scale")
    if scale == "imagenet":
        return {"mean": IMAGENET_MEAN, "std": IMAGENET_STD, **data, "scale": "0-1"}
    if scale is not None:
        return {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), **data}
    return data


def _typed(source: str, name: str, value: Any) -> Any:
    try:
        if name == "space":
            return as_space(value)
        if name in ("mean", "std"):
            return _triple(value)
        if name in ("size", "window"):
            height, width = (int(v) for v in value)
            return (height, width)
        if name in ("size_multiple", "size_offset", "short_edge"):
            return int(value)
        if name == "overlap":
            return float(value)
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{source}: the field '{name}' can't be {value!r}") from error
    return str(value).lower() if name not in ("input_name", "output_name") else str(value)


def _triple(value: Any) -> Triple:
    items = [float(v) for v in (value if isinstance(value, Sequence) else [value])]
    if len(items) == 1:
        items = items * 3
    first, second, third = items
    return (first, second, third)


def as_space(value: Any) -> LabelSpace:
    """Turn a label space, its plain data, its name or its file into a label space.

    Raises:
        InputError: no such space, or malformed data.
    """
    if isinstance(value, LabelSpace):
        return value
    if isinstance(value, Mapping):
        return LabelSpace.from_dict(value)
    from dubio.data.spaces import load_space

    return load_space(value)


def _numbers(values: Triple) -> str:
    return "/".join(f"{v:g}" for v in values)
