"""Pictures of findings on boxes: the place as it is, the labels there, and what the detector sees.

Labels are drawn in full lines, detections in broken ones; the box in question is thick and in its own
colour with a dark rim, the others are thin. So the three tiles can be told apart without seeing colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from dubio.core.boxes import BoxLabels, DetPrediction
from dubio.core.labelspace import LabelSpace
from dubio.errors.findings import Finding
from dubio.report.pictures import TILE, cutout, resize, side_by_side

Bytes = npt.NDArray[np.uint8]
Color = tuple[int, int, int]
Corners = tuple[float, float, float, float]
_RIM: Color = (16, 16, 20)
_GIVEN: Color = (255, 196, 0)
_SEEN: Color = (64, 196, 255)
_PAPER: Color = (60, 60, 66)
_DASH = 7
# Detections below are not drawn around a place, unless they are what it is about.
_SHOWN_SCORE = 0.3
_MOST_WORDS = 26


@dataclass(frozen=True)
class View:
    """A part of a picture at a scale: where image coordinates lie on the tile."""

    x0: float
    y0: float
    scale: float
    size: tuple[int, int]

    def place(self, box: Corners) -> list[float]:
        """Corners on the tile."""
        return [
            (box[0] - self.x0) * self.scale, (box[1] - self.y0) * self.scale,
            (box[2] - self.x0) * self.scale, (box[3] - self.y0) * self.scale,
        ]  # fmt: skip


def strip_of(
    finding: Finding,
    space: LabelSpace,
    image: Bytes | None,
    labels: BoxLabels,
    seen: DetPrediction | None,
) -> Image.Image:
    """Tiles side by side: the picture, the labels, the detections; without a picture the last two.

    Args:
        finding: what it is about.
        space: classes.
        image: ``(H, W, 3)`` uint8, or ``None``.
        labels: of the image.
        seen: detections of the image.
    """
    x0, y0, x1, y1 = cutout(finding, (finding.height, finding.width))
    view = _view(x0, y0, x1, y1)
    under = _under(image, (x0, y0, x1, y1), view)
    tiles = [under.copy()] if image is not None else []
    for given in (True, False):
        tile = under.copy()
        pen = ImageDraw.Draw(tile)
        _draw_all(pen, view, space, labels if given else seen, finding)
        own = finding.given_box if given else finding.proposed_box
        if own is not None:
            index = finding.given_index if given else finding.proposed_index
            words = f"{_name(space, index)}" + ("" if given else f" {finding.p_proposed:.2f}")
            _frame(pen, view.place(own), _GIVEN if given else _SEEN, 3, dashed=not given)
            _caption(pen, view, own, words, _GIVEN if given else _SEEN)
        tiles.append(tile)
    return side_by_side(tiles)


def whole_of(
    space: LabelSpace,
    image: Bytes | None,
    size: tuple[int, int],
    labels: BoxLabels,
    seen: DetPrediction | None,
) -> Image.Image:
    """The same tiles of a whole image, with every label and every confident detection.

    Args:
        space: classes.
        image: ``(H, W, 3)`` uint8, or ``None``.
        size: height and width.
        labels: of the image.
        seen: detections of the image.
    """
    view = _view(0, 0, size[1], size[0])
    under = _under(image, (0, 0, size[1], size[0]), view)
    tiles = [under.copy()] if image is not None else []
    for record in (labels, seen):
        tile = under.copy()
        _draw_all(ImageDraw.Draw(tile), view, space, record, None)
        tiles.append(tile)
    return side_by_side(tiles)


def _view(x0: int, y0: int, x1: int, y1: int) -> View:
    scale = min(TILE[0] / max(x1 - x0, 1), TILE[1] / max(y1 - y0, 1))
    return View(x0, y0, scale, (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))))


def _under(image: Bytes | None, part: tuple[int, int, int, int], view: View) -> Image.Image:
    if image is None:
        return Image.new("RGB", view.size, _PAPER)
    x0, y0, x1, y1 = part
    return Image.fromarray(resize(image[y0:y1, x0:x1], view.size, smooth=True))


def _draw_all(
    pen: ImageDraw.ImageDraw,
    view: View,
    space: LabelSpace,
    record: BoxLabels | DetPrediction | None,
    finding: Finding | None,
) -> None:
    """Thin frames in class colours, the labelled ones full, the seen ones broken."""
    if record is None:
        return
    dashed = isinstance(record, DetPrediction)
    kept = record.scores >= _SHOWN_SCORE if isinstance(record, DetPrediction) else np.ones(len(record), bool)
    own = None if finding is None else (finding.proposed_box if dashed else finding.given_box)
    for k in np.flatnonzero(kept).tolist():
        box = (*record.boxes[k].tolist(),)
        if own is not None and max(abs(a - b) for a, b in zip(box, own, strict=True)) < 1e-6:
            continue
        corners = view.place(box)  # type: ignore[arg-type]  # four of them
        if corners[2] < 0 or corners[3] < 0 or corners[0] > view.size[0] or corners[1] > view.size[1]:
            continue
        color = tuple(int(v) for v in space.palette[int(record.classes[k])])
        _frame(pen, corners, _light(color), 1, dashed=dashed)


def _frame(
    pen: ImageDraw.ImageDraw, corners: Sequence[float], color: Color, width: int, *, dashed: bool
) -> None:
    x0, y0, x1, y1 = (round(v) for v in corners)
    pen.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline=_RIM, width=width + 2)
    if not dashed:
        pen.rectangle((x0, y0, x1, y1), outline=color, width=width)
        return
    for a, b in (((x0, y0), (x1, y0)), ((x1, y0), (x1, y1)), ((x1, y1), (x0, y1)), ((x0, y1), (x0, y0))):
        length = max(abs(b[0] - a[0]), abs(b[1] - a[1]), 1)
        for start in range(0, length, 2 * _DASH):
            ends = [start / length, min(start + _DASH, length) / length]
            points = [(a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t) for t in ends]
            pen.line(points, fill=color, width=width)


def _caption(pen: ImageDraw.ImageDraw, view: View, box: Corners, words: str, color: Color) -> None:
    """A word above the box, or within its top where there is no room."""
    font = ImageFont.load_default(13)
    text = words if len(words) <= _MOST_WORDS else words[: _MOST_WORDS - 1] + "…"
    x, y = view.place(box)[:2]
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    wide, high = right - left + 8, bottom - top + 6
    x = float(np.clip(x, 0, max(view.size[0] - wide, 0)))
    y = y - high - 2 if y - high - 2 >= 0 else max(y, 0) + 2
    pen.rectangle((x, y, x + wide, y + high), fill=_RIM)
    pen.text((x + 4 - left, y + 3 - top), text, fill=color, font=font)


def _light(color: Sequence[int]) -> Color:
    """Dark class colours are lifted, so that a thin line shows on any picture."""
    low = max(0, 110 - max(color))
    return (min(color[0] + low, 255), min(color[1] + low, 255), min(color[2] + low, 255))


def _name(space: LabelSpace, index: int) -> str:
    return space.names[index] if 0 <= index < len(space) else "?"
