"""Corruptions of pictures with boxes: those that change colours leave the boxes, the others move them.

Beside the corruptions of :mod:`dubio.data.corrupt` there are mirror images, quarter turns, resizing, shifts
and crops, and the six operations of the published auto-labelling code (Kassem Sbeyti et al., ECML PKDD 2023)
with their ten levels. There, two levels of noise flipped the labels, noise was stretched so that a dark
picture became bright, and values wrapped around; here they are clipped, and labels follow the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow
from scipy import ndimage

from dubio.core.errors import InputError
from dubio.core.seeds import rng_for
from dubio.data.corrupt.arrays import F, Image, Rng, to_bytes
from dubio.data.corrupt.corruption import Corruption, parse_corruptions
from dubio.data.corrupt.moves import BoxMove, Size

_LEVELS = 10
_PATCH = 200  # pixels, side of the patch that 'nsp' spoils


def _odd(value: float) -> int:
    return (int(value) - 1) // 2 * 2 + 1


def _blur(image: Image, size: tuple[int, int]) -> Image:
    return to_bytes(np.asarray(ndimage.uniform_filter(image.astype(F), (*size, 1), mode="mirror")))


def _noise(image: Image, variance: float, rng: Rng) -> Image:
    return to_bytes(image + rng.standard_normal(image.shape, F) * F(variance**0.5))


def _patch_noise(image: Image, variance: float, rng: Rng) -> Image:
    out = image.copy()
    height, width = image.shape[:2]
    top, left = max(0, (height - _PATCH) // 2), max(0, (width - _PATCH) // 2)
    part = np.s_[top : top + _PATCH, left : left + _PATCH]
    out[part] = _noise(image[part], variance, rng)
    return out


_Levelled = Callable[[Image, float, Rng], Image]
# values of the ten levels, and what is done with one
PUBLISHED_LEVELS: dict[str, tuple[tuple[float, ...], _Levelled]] = {
    "br": (tuple(np.linspace(0, 100, _LEVELS)), lambda image, v, rng: to_bytes(image + F(v))),
    "ct": (tuple(1 - np.linspace(0, 1, _LEVELS)), lambda image, v, rng: to_bytes(image * F(v))),
    "bl": (
        tuple(_odd(v) for v in np.linspace(1, 50, _LEVELS)),
        lambda image, v, rng: _blur(image, (int(v), int(v))),
    ),
    "ns": (tuple(np.linspace(0, 1000, _LEVELS)), _noise),
    "nsp": (tuple(np.linspace(0, 1000, _LEVELS)), _patch_noise),
    "mb": (
        tuple(_odd(v) for v in np.linspace(1, 51, _LEVELS)),
        lambda image, v, rng: _blur(image, (1, int(v))),
    ),
}


def _flip_h(image: Image) -> tuple[Image, BoxMove]:
    size = _size(image)
    return image[:, ::-1], BoxMove(size, size, gain=(-1.0, 1.0), shift=(float(size[1]), 0.0))


def _flip_v(image: Image) -> tuple[Image, BoxMove]:
    size = _size(image)
    return image[::-1], BoxMove(size, size, gain=(1.0, -1.0), shift=(0.0, float(size[0])))


def _quarter(image: Image, quarters: int) -> tuple[Image, BoxMove]:
    """Counter-clockwise, as ``numpy.rot90``."""
    height, width = _size(image)
    moves = {
        1: BoxMove((height, width), (width, height), (1, 0), (1.0, -1.0), (0.0, float(width))),
        2: BoxMove((height, width), (height, width), (0, 1), (-1.0, -1.0), (float(width), float(height))),
        3: BoxMove((height, width), (width, height), (1, 0), (-1.0, 1.0), (float(height), 0.0)),
    }
    return np.rot90(image, quarters), moves[quarters]


_TURNS: dict[str, Callable[[Image], tuple[Image, BoxMove]]] = {
    "flip-h": _flip_h,
    "flip-v": _flip_v,
    "rotate-90": lambda image: _quarter(image, 1),
    "rotate-180": lambda image: _quarter(image, 2),
    "rotate-270": lambda image: _quarter(image, 3),
}


def _scale(image: Image, value: float) -> tuple[Image, BoxMove]:
    height, width = _size(image)
    new = max(1, round(height * value)), max(1, round(width * value))
    picture = Pillow.fromarray(np.ascontiguousarray(image))
    resized = np.asarray(picture.resize((new[1], new[0]), Pillow.Resampling.BILINEAR))
    return resized, BoxMove((height, width), new, gain=(new[1] / width, new[0] / height))


def _shift(image: Image, value: float) -> tuple[Image, BoxMove]:
    height, width = _size(image)
    down, right = round(height * value), round(width * value)
    out = np.zeros_like(image)
    ys, xs = slice(max(down, 0), height + min(down, 0)), slice(max(right, 0), width + min(right, 0))
    from_y, from_x = slice(max(-down, 0), height - max(down, 0)), slice(max(-right, 0), width - max(right, 0))
    out[ys, xs] = image[from_y, from_x]
    return out, BoxMove((height, width), (height, width), shift=(float(right), float(down)))


def _crop(image: Image, value: float) -> tuple[Image, BoxMove]:
    height, width = _size(image)
    new = max(1, round(height * value)), max(1, round(width * value))
    top, left = (height - new[0]) // 2, (width - new[1]) // 2
    part = image[top : top + new[0], left : left + new[1]]
    return part, BoxMove((height, width), new, shift=(-float(left), -float(top)))


_Sized = Callable[[Image, float], tuple[Image, BoxMove]]
# name: what is done, value unless one is given, least and greatest value
_SIZED: dict[str, tuple[_Sized, float, float, float]] = {
    "scale": (_scale, 0.5, 0.05, 4.0),
    "shift": (_shift, 0.1, -0.9, 0.9),
    "crop": (_crop, 0.7, 0.05, 1.0),
}


@dataclass(frozen=True)
class BoxCorruption:
    """A corruption of pictures that says where their boxes go; :func:`parse_box_corruptions` makes it.

    Args:
        name: its name.
        level: severity, level or value, as text; empty: it has none.
        pixels: the corruption of pixels alone that it stands for, if it is one.
    """

    name: str
    level: str = ""
    pixels: Corruption | None = None

    @property
    def title(self) -> str:
        """Name and level.

        >>> BoxCorruption("scale", "0.5").title
        'scale:0.5'
        """
        return f"{self.name}:{self.level}" if self.level else self.name

    @property
    def geometric(self) -> bool:
        """Whether boxes move."""
        return self.name in _TURNS or self.name in _SIZED

    def apply(self, image: Image, *, seed: int, image_id: str) -> tuple[Image, BoxMove]:
        """Corrupt a picture.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; not modified.
            seed: base seed; the randomness depends on it, the image, the name and the level alone.
            image_id: the image.

        Returns:
            The picture, and where its boxes go.

        Raises:
            InputError: no RGB image.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise InputError(f"an image is (H, W, 3) uint8 RGB, not {image.shape} {image.dtype}")
        if self.name in _TURNS:
            found, move = _TURNS[self.name](image)
            return np.ascontiguousarray(found), move
        if self.name in _SIZED:
            found, move = _SIZED[self.name][0](image, float(self.level))
            return np.ascontiguousarray(found), move
        still = BoxMove(_size(image), _size(image))
        if self.pixels is not None:
            return self.pixels.apply(image, seed=seed, image_id=image_id, void=0)[0], still
        values, run = PUBLISHED_LEVELS[self.name]
        rng = rng_for(seed, image_id, self.name, self.level)
        return run(image, values[int(self.level)], rng), still


def box_corruption_names() -> list[str]:
    """Names beside those of :func:`dubio.data.corrupt.corruption_names`."""
    return [*_TURNS, *_SIZED, *PUBLISHED_LEVELS]


def parse_box_corruptions(spec: str) -> list[BoxCorruption]:
    """Make corruptions from a text: ``NAME[:LEVEL]``, several joined by ``;``.

    ``flip-h``, ``flip-v``, ``rotate-90``, ``rotate-180`` and ``rotate-270`` have no level. ``scale`` and
    ``crop`` take the share of the sides that is left (0.5 and 0.7), ``shift`` the share by which the picture
    moves right and down (0.1; what it leaves is black). The published ``br``, ``ct``, ``bl`` (a mean over a
    square), ``ns``, ``nsp`` and ``mb`` have levels 0 to 9. All others are those of
    :func:`~dubio.data.corrupt.parse_corruptions`; a family lacks its elastic transform, which boxes can't
    follow.

    Raises:
        InputError: an unknown name or level, or a corruption that boxes can't follow.

    >>> [c.title for c in parse_box_corruptions("flip-h; ns:1-2; crop; fog:3")]
    ['flip-h', 'ns:1', 'ns:2', 'crop:0.7', 'fog:3']
    """
    found: list[BoxCorruption] = []
    for part in filter(None, (piece.strip() for piece in spec.split(";"))):
        name, _, level = (text.strip() for text in part.partition(":"))
        if name in _TURNS:
            if level:
                raise InputError(f"'{name}' has no levels", remedy=f"write {name}")
            found.append(BoxCorruption(name))
        elif name in _SIZED:
            found += [BoxCorruption(name, _value(part, name, v)) for v in (level or "").split(",")]
        elif name in PUBLISHED_LEVELS:
            found += [BoxCorruption(name, str(n)) for n in _level_numbers(part, level)]
        else:
            found += _of_pixels(name, parse_corruptions(part))
    if not found:
        raise InputError("no corruption is named", remedy="write fog:3, flip-h or scale:0.5")
    return list(dict.fromkeys(found))


def _of_pixels(name: str, corruptions: list[Corruption]) -> list[BoxCorruption]:
    still = [c for c in corruptions if not c.geometric]
    # of a family, those that boxes can't follow are left out
    if not still or (len(still) < len(corruptions) and corruptions[0].name == name):
        raise InputError(
            f"boxes can't follow '{name}'", remedy=f"of those that move boxes: {', '.join(_TURNS)}"
        )
    return [BoxCorruption(c.name, str(c.severity), c) for c in still]


def _value(part: str, name: str, text: str) -> str:
    _, usual, low, high = _SIZED[name]
    try:
        value = float(text) if text else usual
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise InputError(f"'{part}' has no readable value", remedy=f"{name} goes from {low:g} to {high:g}")
    return f"{value:g}"


def _level_numbers(part: str, text: str) -> list[int]:
    found: list[int] = []
    try:
        for piece in filter(None, text.split(",")):
            first, dash, last = piece.partition("-")
            found += range(int(first), int(last) + 1) if dash else [int(first)]
    except ValueError:
        found = [-1]
    found = found or list(range(_LEVELS))
    if not 0 <= min(found) <= max(found) < _LEVELS:
        raise InputError(f"'{part}' has no readable levels", remedy=f"they go from 0 to {_LEVELS - 1}")
    return found


def _size(image: Image) -> Size:
    return image.shape[0], image.shape[1]
