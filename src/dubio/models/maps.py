"""Predicted class, entropy and margin of an image in one small PNG."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.files import writing
from dubio.core.labelspace import IndexMap

_TEXT = "dubio"
_FORMAT = 1
_LEVELS = (256, 64, 32, 16, 8)


@dataclass(frozen=True)
class StoredMaps:
    """Per-pixel results read back from a file, all of shape ``(H, W)``.

    Attributes:
        pred: predicted class indices, ``C`` for void, ``uint8`` or ``uint16``.
        entropy: normalised entropy in [0, 1], float32.
        margin: one minus the difference of the two largest probabilities, in [0, 1], float32.
        n_classes: the number ``C`` of classes.
        levels: number of levels that entropy and margin were rounded to.
    """

    pred: IndexMap
    entropy: npt.NDArray[np.float32]
    margin: npt.NDArray[np.float32]
    n_classes: int
    levels: int

    @property
    def max_error(self) -> float:
        """Largest error of entropy and margin by rounding."""
        return 0.5 / (self.levels - 1) + (0 if self.levels == 256 else 0.5 / 255)


def write_maps(
    path: str | Path,
    pred: IndexMap,
    entropy: npt.NDArray[np.float32],
    margin: npt.NDArray[np.float32],
    *,
    n_classes: int,
    bytes_per_pixel: float = 0.95,
) -> int:
    """Write the maps as one 8-bit grey PNG: the planes stand below each other.

    Entropy and margin are rounded to 256 levels, or to 64, 32, 16 or 8 if the file would otherwise
    exceed its budget. With L levels the rounding error is at most 0.5/(L-1), and 0.5/255 more below 256
    levels (0.2 % at 256, 1.0 % at 64, 1.9 % at 32, 3.6 % at 16). The class is exact.

    Args:
        path: a ``.png`` file.
        pred: ``(H, W)`` class indices, ``C`` = void.
        entropy: ``(H, W)`` in [0, 1].
        margin: ``(H, W)`` in [0, 1].
        n_classes: the number ``C`` of classes.
        bytes_per_pixel: budget of the file per pixel of the image; the default keeps 2048 x 1024 below
            2 MB. Met unless even 8 levels are too many.

    Returns:
        The number of levels.

    Raises:
        InputError: the maps have different shapes, or the file can't be written.
    """
    if not pred.shape == entropy.shape == margin.shape:
        raise InputError(f"maps have the shapes {pred.shape}, {entropy.shape} and {margin.shape}")
    classes = [pred.astype(np.uint8)]
    names = ["pred"]
    if n_classes >= 255:
        classes = [(pred >> 8).astype(np.uint8), (pred & 255).astype(np.uint8)]
        names = ["pred_high", "pred_low"]
    # Small pictures are all header; the budget is about large ones.
    budget = max(4096.0, bytes_per_pixel * pred.size)
    with writing(path) as part:
        for levels in _LEVELS:
            planes = [*classes, _quantise(entropy, levels), _quantise(margin, levels)]
            about = {
                "format": _FORMAT,
                "planes": [*names, "entropy", "margin"],
                "n_classes": n_classes,
                "levels": levels,
            }
            _save(part, np.concatenate(planes), about)
            if part.stat().st_size <= budget:
                break
    return levels


def _save(path: Path, stack: npt.NDArray[np.uint8], about: dict[str, object]) -> None:
    from PIL import Image, PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_text(_TEXT, json.dumps(about))
    Image.fromarray(stack).save(path, format="PNG", pnginfo=info, compress_level=6)


def _quantise(values: npt.NDArray[np.float32], levels: int) -> npt.NDArray[np.uint8]:
    steps = np.rint(np.clip(values, 0, 1) * np.float32(levels - 1))
    # Spread over 0 ... 255, so that the file can be looked at and read without the number of levels.
    spread: npt.NDArray[np.float32] = np.rint(steps * np.float32(255 / (levels - 1)))
    return spread.astype(np.uint8)


def read_maps(path: str | Path) -> StoredMaps:
    """Read a file written by :func:`write_maps`.

    Raises:
        InputError: missing, unreadable, or another kind of picture.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            text = getattr(image, "text", {}).get(_TEXT)
            if text is None:
                raise InputError("holds no maps of dubio predict", path=path)
            about = json.loads(text)
            stack = np.asarray(image)
        names = list(about["planes"])
        planes = dict(zip(names, np.split(stack, len(names)), strict=True))
        n_classes, levels = int(about["n_classes"]), int(about["levels"])
        pred: IndexMap = (
            planes["pred"].copy()
            if "pred" in planes
            else (planes["pred_high"].astype(np.uint16) << 8) | planes["pred_low"]
        )
        unit = np.float32(1 / 255)
        return StoredMaps(pred, planes["entropy"] * unit, planes["margin"] * unit, n_classes, levels)
    except FileNotFoundError as error:
        raise InputError("doesn't exist", path=path) from error
    except InputError:
        raise
    except (OSError, KeyError, ValueError, SyntaxError) as error:
        raise InputError(f"can't be read as maps ({error})", path=path) from error
