"""Corruptions by name and severity, applied to images with their labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from PIL import Image as Pillow

from dubio.core.errors import InputError
from dubio.core.labelspace import IndexMap
from dubio.core.seeds import rng_for
from dubio.data.corrupt import blur, digital, noise, weather
from dubio.data.corrupt.arrays import Image, Rng
from dubio.data.corrupt.published import OPERATIONS, turn

Family = Literal["noise", "blur", "weather", "digital", "extra", "published"]
Scale = Literal["relative", "pixels"]
FAMILIES: tuple[Family, ...] = get_args(Family)
_BASE = 224  # shorter side of the images for which the parameters were made
_PREFIX = "published-"
_SEVERITIES = 5
_Common = Callable[[Image, int, Rng, float], Image]

_COMMON: dict[str, tuple[Family, _Common | None]] = {
    "gaussian_noise": ("noise", noise.gaussian_noise),
    "shot_noise": ("noise", noise.shot_noise),
    "impulse_noise": ("noise", noise.impulse_noise),
    "defocus_blur": ("blur", blur.defocus_blur),
    "glass_blur": ("blur", blur.glass_blur),
    "motion_blur": ("blur", blur.motion_blur),
    "zoom_blur": ("blur", blur.zoom_blur),
    "snow": ("weather", weather.snow),
    "frost": ("weather", weather.frost),
    "fog": ("weather", weather.fog),
    "brightness": ("weather", weather.brightness),
    "contrast": ("digital", digital.contrast),
    "elastic_transform": ("digital", None),
    "pixelate": ("digital", digital.pixelate),
    "jpeg_compression": ("digital", digital.jpeg_compression),
    "speckle_noise": ("extra", noise.speckle_noise),
    "gaussian_blur": ("extra", blur.gaussian_blur),
    "spatter": ("extra", weather.spatter),
    "saturate": ("extra", digital.saturate),
}
_ELASTIC = "elastic_transform"
_IMAGENET_C = ("noise", "blur", "weather", "digital")


@dataclass(frozen=True)
class Corruption:
    """A corruption at one severity; :func:`load_corruption` makes it from its name.

    Args:
        name: its name, see :func:`corruption_names`.
        severity: 1 to 5; for published operations the position in their list of levels, from 0.
        family: ``noise``, ``blur``, ``weather``, ``digital`` (together ImageNet-C), ``extra`` (the four
            that ImageNet-C keeps for validation), or ``published`` (de Jorge et al.).
        geometric: whether it moves pixels, and the label with them.
        scale: what the lengths among the parameters (radii, flakes, displacements) mean. ``relative``:
            they hold for a shorter side of 224 pixels and grow with the image. ``pixels``: as they are,
            which is what most reports on large images use; there a severity means less the larger the
            image, and data sets of different sizes can't be compared, hence it isn't the default. Noise
            and JPEG always act on pixels.
    """

    name: str
    severity: int
    family: Family
    geometric: bool
    scale: Scale = "relative"

    def apply(
        self, image: Image, label: IndexMap | None = None, *, seed: int, image_id: str, void: int
    ) -> tuple[Image, IndexMap | None]:
        """Corrupt an image.

        The randomness depends on the seed, the image id, the name and the severity alone.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; not modified.
            label: ``(H, W)`` class indices. One of another size than the image's is first resized to it
                (to the nearest), if pixels move.
            seed: base seed.
            image_id: the image.
            void: class index of what comes from outside the image.

        Returns:
            The image, uint8 RGB (turned by a quarter, height and width are swapped), and the label:
            moved if the corruption is geometric, else the very object that was given. Pixels from
            outside are void in the label; in the image they are black (rotations) or mirrored (elastic
            transform).

        Raises:
            InputError: no RGB image, a label of another shape, or an unknown name or severity.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise InputError(f"an image is (H, W, 3) uint8 RGB, not {image.shape} {image.dtype}")
        if label is not None and (label.ndim != 2 or label.size == 0 or label.dtype.kind not in "iu"):
            raise InputError(f"a label has the shape (H, W) and integers, not {label.shape} {label.dtype}")
        _check(self.name, self.severity)
        rng = rng_for(seed, image_id, self.name, str(self.severity))
        if self.geometric and label is not None and label.shape != image.shape[:2]:
            label = _fit(label, image.shape[:2])
        if self.name.startswith(_PREFIX):
            operation = OPERATIONS[self.name.removeprefix(_PREFIX)]
            value = operation.levels[self.severity]
            if operation.apply is None:
                return turn(image, label, operation.turn + value, void)
            return operation.apply(image, value, rng), label
        factor = min(image.shape[:2]) / _BASE if self.scale == "relative" else 1.0
        run = _COMMON[self.name][1]
        if run is None:
            return digital.elastic_transform(image, label, self.severity, rng, factor, void)
        return run(image, self.severity, rng, factor), label


def corruption_names(family: str | None = None) -> list[str]:
    """Names of the corruptions: of one family, of ``imagenet-c`` (the 15), or of all.

    Raises:
        InputError: no such family.

    >>> corruption_names("blur")
    ['defocus_blur', 'glass_blur', 'motion_blur', 'zoom_blur']
    >>> len(corruption_names("imagenet-c")), "published-rotate" in corruption_names()
    (15, True)
    """
    published = [_PREFIX + name for name in OPERATIONS]
    if family is None:
        return [*_COMMON, *published]
    if family == "published":
        return published
    families = _IMAGENET_C if family == "imagenet-c" else (family,)
    if family not in (*FAMILIES, "imagenet-c"):
        raise InputError(
            f"there is no family of corruptions '{family}'", remedy=f"imagenet-c, {', '.join(FAMILIES)}"
        )
    return [name for name, (own, _) in _COMMON.items() if own in families]


def load_corruption(spec: str, *, scale: Scale = "relative") -> Corruption:
    """Make a corruption from ``name:severity``.

    Raises:
        InputError: no such name or severity.

    >>> load_corruption("fog:3").family
    'weather'
    >>> load_corruption("published-rotate:0").geometric
    True
    """
    found = parse_corruptions(spec, scale=scale)
    if len(found) != 1:
        raise InputError(f"'{spec}' stands for {len(found)} corruptions", remedy="name one, such as fog:3")
    return found[0]


def parse_corruptions(spec: str, *, scale: Scale = "relative") -> list[Corruption]:
    """Make corruptions from a text: ``NAME:SEVERITIES``, several joined by ``;``.

    A name is that of a corruption or a family, ``imagenet-c`` for its 15, or ``all`` for these and the
    extras. Severities are numbers and ranges: ``3``, ``1-5``, ``1,3,5``; without any: all five. Published
    operations have their own levels (see :class:`Corruption`) and are named one by one.

    Raises:
        InputError: an unknown name or severity, or an unreadable text.

    >>> [(c.name, c.severity) for c in parse_corruptions("fog:1-2; snow:5")]
    [('fog', 1), ('fog', 2), ('snow', 5)]
    >>> len(parse_corruptions("imagenet-c:3")), len(parse_corruptions("all:1,3,5"))
    (15, 57)
    """
    if scale not in get_args(Scale):
        raise InputError(f"there is no scale '{scale}'", remedy="relative or pixels")
    found = []
    for part in filter(None, (piece.strip() for piece in spec.split(";"))):
        name, _, numbers = (text.strip() for text in part.partition(":"))
        for each in _names(name):
            for severity in _numbers(part, numbers) if numbers else _all(each):
                _check(each, severity)
                found.append(Corruption(each, severity, _family(each), _is_geometric(each), scale))
    if not found:
        raise InputError("no corruption is named", remedy="write fog:3, imagenet-c:1-5 or all:1,3,5")
    return list(dict.fromkeys(found))


def _names(name: str) -> list[str]:
    if name == "all":
        return list(_COMMON)
    if name in (*FAMILIES, "imagenet-c") and name != "published":
        return corruption_names(name)
    if name not in _COMMON and name.removeprefix(_PREFIX) not in OPERATIONS:
        raise InputError(f"there is no corruption '{name}'", remedy=f"known: {', '.join(corruption_names())}")
    return [name]


def _all(name: str) -> range:
    if name.startswith(_PREFIX):
        return range(len(OPERATIONS[name.removeprefix(_PREFIX)].levels))
    return range(1, _SEVERITIES + 1)


def _numbers(part: str, text: str) -> list[int]:
    found: list[int] = []
    for piece in text.split(","):
        first, dash, last = piece.partition("-")
        try:
            low = int(first)
            found.extend(range(low, int(last) + 1) if dash else [low])
        except ValueError as error:
            raise InputError(
                f"'{part}' has no readable severities", remedy="write fog:3, fog:1-5 or fog:1,3,5"
            ) from error
    if not found:
        raise InputError(f"'{part}' has no severities", remedy="write fog:3, fog:1-5 or fog:1,3,5")
    return found


def _check(name: str, severity: int) -> None:
    known = _all(_names(name)[0])
    if severity not in known:
        what = "level" if name.startswith(_PREFIX) else "severity"
        span = f"{known[0]} to {known[-1]}" if len(known) > 1 else str(known[0])
        raise InputError(f"'{name}' has no {what} {severity}", remedy=f"choose {span}")


def _family(name: str) -> Family:
    return "published" if name.startswith(_PREFIX) else _COMMON[name][0]


def _is_geometric(name: str) -> bool:
    if name.startswith(_PREFIX):
        return OPERATIONS[name.removeprefix(_PREFIX)].apply is None
    return name == _ELASTIC


def _fit(label: IndexMap, size: tuple[int, ...]) -> IndexMap:
    picture = Pillow.fromarray(label.astype(np.int32))
    return np.array(picture.resize((size[1], size[0]), Pillow.Resampling.NEAREST)).astype(label.dtype)
