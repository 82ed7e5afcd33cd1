"""Pictures of findings on boxes: the place as it is, the labels there, and what the detector sees.

Labels are drawn in full lines, detections in broken ones; the box in question is thick and in its own
colour, the others are thin and in the colours of their classes. So the tiles can be told apart without
seeing colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from dubio.core.boxes import BoxLabels, DetPrediction
from dubio.core.labelspace import LabelSpace
from dubio.errors.boxes.moves import paired_iou
from dubio.errors.findings import Box, Finding
from dubio.report.box_pens import AMBER, SKY, Pen, View, light
from dubio.report.pictures import TILE, cutout, resize, side_by_side

Bytes = npt.NDArray[np.uint8]
Record = BoxLabels | DetPrediction | None
_PAPER = (60, 60, 66)
# Detections below are not drawn around a place, unless they are what it is about.
_SHOWN_SCORE = 0.3
# A spread of fewer pixels on the tile can't be told from the line.
_VISIBLE = 2.0
_SAME = 1e-6


def strip_of(
    finding: Finding,
    space: LabelSpace,
    image: Bytes | None,
    labels: BoxLabels,
    seen: DetPrediction | None,
) -> Image.Image:
    """Tiles side by side: the picture, the labels, the detections; without a picture the last two.

    The first tile has marks at the corners of the place, the second the labelled box in question, the third
    the one that the detector sees; where its variances are known, dotted boxes lie one standard deviation
    inside and outside of it. Of a label that is to move or to go, the third tile repeats the thin outline.

    Args:
        finding: what it is about.
        space: classes.
        image: ``(H, W, 3)`` uint8, or ``None``.
        labels: of the image.
        seen: detections of the image.
    """
    part = cutout(_hull(finding), (finding.height, finding.width))
    view = View.of(part, TILE)
    under = _under(image, part, view)
    place = finding.given_box or finding.proposed_box
    tiles = []
    if image is not None:
        tile, pen = _sheet(under, view)
        if place is not None:
            pen.marks(place)
        tiles.append(tile)
    tile, pen = _sheet(under, view)
    _draw_labels(pen, space, labels, finding)
    tiles.append(tile)
    tile, pen = _sheet(under, view)
    _draw_seen(pen, space, seen, finding)
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
    part = (0, 0, size[1], size[0])
    view = View.of(part, TILE)
    under = _under(image, part, view)
    tiles = [under.copy()] if image is not None else []
    for record in (labels, seen):
        tile, pen = _sheet(under, view)
        _draw_all(pen, space, record, -1)
        tiles.append(tile)
    return side_by_side(tiles)


@dataclass(frozen=True)
class _Place:
    """What is cut out: the hull of the labelled box and of the one to put in its place."""

    x0: int
    y0: int
    x1: int
    y1: int

    def mask(self) -> npt.NDArray[np.bool_]:
        return np.ones((self.y1 - self.y0, self.x1 - self.x0), bool)


def _hull(finding: Finding) -> _Place:
    boxes = [b for b in (finding.given_box, finding.proposed_box) if b is not None]
    if not boxes:
        return _Place(finding.x0, finding.y0, finding.x1, finding.y1)
    corners = np.array(boxes)
    low, high = np.floor(corners[:, :2].min(0)), np.ceil(corners[:, 2:].max(0))
    x0, y0, x1, y1 = (int(v) for v in (*low, *np.maximum(high, low + 1)))
    return _Place(x0, y0, x1, y1)


def _under(image: Bytes | None, part: tuple[int, int, int, int], view: View) -> Image.Image:
    if image is None:
        return Image.new("RGB", view.size, _PAPER)
    x0, y0, x1, y1 = part
    return Image.fromarray(resize(image[y0:y1, x0:x1], view.size, smooth=True))


def _sheet(under: Image.Image, view: View) -> tuple[Image.Image, Pen]:
    tile = under.copy()
    return tile, Pen(ImageDraw.Draw(tile, "RGBA"), view)


def _draw_labels(pen: Pen, space: LabelSpace, labels: BoxLabels, finding: Finding) -> None:
    _draw_all(pen, space, labels, finding.label)
    own = finding.given_box
    if own is None:
        if finding.proposed_box is not None:
            pen.marks(finding.proposed_box)  # nothing is labelled there
        return
    twin = _twin(labels, finding) if finding.kind == "duplicate" else -1
    if twin >= 0:
        other = _box(labels.boxes[twin])
        pen.frame(other, AMBER, 2)
        pen.caption(other, f"box {twin + 1}", AMBER, below=True)
    pen.frame(own, AMBER, 3)
    pen.caption(own, _name(space, finding.given_index), AMBER)


def _draw_seen(pen: Pen, space: LabelSpace, seen: DetPrediction | None, finding: Finding) -> None:
    own = finding.proposed_box
    row = -1 if own is None or seen is None else _row_of(seen.boxes, own)
    _draw_all(pen, space, seen, row)
    if finding.given_box is not None and (own is None or finding.kind == "location"):
        pen.frame(finding.given_box, AMBER, 2)
    if own is None:
        return
    if seen is not None and row >= 0:
        _draw_spread(pen, own, _deviations(seen, row))
    pen.frame(own, SKY, 3, dash=9)
    score = f" {finding.p_proposed:.2f}" if np.isfinite(finding.p_proposed) else ""
    pen.caption(own, f"{_name(space, finding.proposed_index)}{score}", SKY)


def _draw_spread(pen: Pen, box: Box, deviations: npt.NDArray[np.float64] | None) -> None:
    """Dotted boxes one standard deviation inside and outside of a box, if they can be seen."""
    if deviations is None or deviations.max() * pen.view.scale < _VISIBLE:
        return
    out = np.array([-1, -1, 1, 1]) * deviations
    for sign in (1, -1):
        edge = np.array(box) + sign * out
        if (edge[2:] > edge[:2]).all():  # a box can be smaller than its spread
            pen.frame(_box(edge), SKY, 1, dash=3)


def _deviations(seen: DetPrediction, row: int) -> npt.NDArray[np.float64] | None:
    """Standard deviations of the corners, of both kinds together, pixels."""
    parts = [v[row] for v in (seen.box_aleatoric, seen.box_epistemic) if v is not None]
    if not parts:
        return None
    total = np.sqrt(np.maximum(np.nansum(parts, 0), 0))
    return total if np.isfinite(total).all() else None


def _draw_all(pen: Pen, space: LabelSpace, record: Record, own: int) -> None:
    """Thin frames in class colours, the labelled ones full, the seen ones broken; without one of them."""
    if record is None:
        return
    seen = isinstance(record, DetPrediction)
    kept = record.scores >= _SHOWN_SCORE if isinstance(record, DetPrediction) else np.ones(len(record), bool)
    for k in np.flatnonzero(kept & pen.view.near(record.boxes)).tolist():
        if k != own:
            color = light(space.palette[int(record.classes[k])].tolist())
            pen.frame(_box(record.boxes[k]), color, 2, dash=5 if seen else 0)


def _twin(labels: BoxLabels, finding: Finding) -> int:
    """The other label that overlaps a label most, of its class if there is one; -1: none does."""
    if finding.given_box is None or not len(labels):
        return -1
    iou = paired_iou(labels.boxes, np.broadcast_to(np.array(finding.given_box), labels.boxes.shape))
    if 0 <= finding.label < len(iou):
        iou[finding.label] = 0
    best = int((iou + (labels.classes == finding.given_index) * (iou >= 0.5)).argmax())
    return best if iou[best] > 0 else -1


def _row_of(boxes: npt.NDArray[np.float64], box: Box) -> int:
    """Position of a box among others, -1: not there."""
    off = np.abs(boxes - np.array(box)).max(1, initial=0)
    near = np.flatnonzero(off < _SAME)
    return int(near[0]) if len(near) else -1


def _box(corners: npt.NDArray[np.float64] | Sequence[float]) -> Box:
    x0, y0, x1, y1 = (float(v) for v in corners)
    return x0, y0, x1, y1


def _name(space: LabelSpace, index: int) -> str:
    return space.names[index] if 0 <= index < len(space) else "?"
