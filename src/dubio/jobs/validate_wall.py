"""Which images the page of a validation shows, with their boxes and all that is known of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import BoxDataset
from dubio.core.errors import InputError
from dubio.engine.map import Progress, silent
from dubio.jobs.validate_pairs import FALSE, IGNORED, MISSED, WRONG_CLASS
from dubio.jobs.validate_rows import ValidationRows
from dubio.jobs.validate_uncertainty import doubts_in
from dubio.regions.boxes.table import STATES

Floats = npt.NDArray[np.float64]
# by what images can be ordered
CRITERIA = ("uncertain", "overconfident", "false", "missed", "wrong_class")
_QUANTILES = np.linspace(0, 1, 21)


def doubts_of(rows: ValidationRows) -> list[str]:
    """Columns of uncertainties that a box can be coloured by."""
    return [c for d in doubts_in(rows) for c in (d, f"cal_{d}") if c in rows]


def quantiles(rows: ValidationRows) -> dict[str, list[float]]:
    """21 quantiles of each uncertainty over all detections: what is much of it, and what little."""
    found = {}
    for name in doubts_of(rows):
        values = rows[name].astype(np.float64)
        values = (1 - values if name.endswith("score") else values)[np.isfinite(values)]
        if len(values):
            found[name] = np.quantile(values, _QUANTILES).tolist()
    return found


def criteria(rows: ValidationRows) -> dict[str, Floats]:
    """What images are ordered by, ``(images,)`` each; 0: nothing to show.

    ``uncertain``: the greatest relative sigma of its detections (or 1 - confidence where none is stated);
    ``overconfident``: the greatest distance of a corner in sigmas; ``false``: sum of the scores of false
    detections; ``missed``: number of missed boxes; ``wrong_class``: sum of the scores of wrong classes.
    Calibrated values where they are known.
    """
    n, image, state = len(rows.names), rows["image"], rows["state"]
    found = {name: np.zeros(n) for name in CRITERIA}
    spread = next((c for c in ("cal_sigma", "sigma") if c in rows), None)
    doubt = 1 - rows["score"].astype(np.float64) if spread is None else rows[f"{spread}_rel"]
    counted = state != IGNORED
    np.maximum.at(found["uncertain"], image[counted], np.nan_to_num(doubt)[counted])
    if spread is not None:
        kept = rows.paired
        far = (np.abs(rows.residual[kept]) / np.maximum(rows[spread][kept], 1e-9)).max(1)
        np.maximum.at(found["overconfident"], image[kept], np.nan_to_num(far))
    score = np.nan_to_num(rows["score"].astype(np.float64))
    for name, code in (("false", FALSE), ("wrong_class", WRONG_CLASS)):
        found[name] += np.bincount(image[state == code], score[state == code], n)
    found["missed"] += np.bincount(image[state == MISSED], minlength=n)
    return found


def build_wall(
    rows: ValidationRows,
    dataset: BoxDataset,
    folder: Path,
    *,
    most: int = 60,
    also: Mapping[str, list[int]] | None = None,
    read: Callable[[Any], npt.NDArray[np.uint8]] | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """The images that the page shows, and their pictures in ``folder/pictures``.

    Args:
        rows: of the validation.
        dataset: the images.
        folder: the run folder.
        most: images, the first by each criterion in turn; 0: none.
        also: numbers of rows by name whose images must be among them (corner cases).
        read: reads the picture of a sample; the reader of the house by default.
        say: called with sentences for the user.
        progress: wraps iterables to show progress.

    Returns:
        ``images``: by order in the data set, each with ``id``, ``size``, ``src`` (``None``: no picture),
        ``by`` (its values of the criteria) and ``boxes``; ``also``: places ``[image, box]`` of the rows.
    """
    values = criteria(rows)
    chosen = _chosen(values, most)
    wanted = {name: list(own) for name, own in (also or {}).items()}
    chosen |= {int(rows["image"][r]) for own in wanted.values() for r in own}
    places: dict[int, list[int]] = {}
    images: list[dict[str, Any]] = []
    for number in progress(sorted(chosen), len(chosen), "drawing"):
        own = np.arange(*np.searchsorted(rows["image"], [number, number + 1]))
        for k, row in enumerate(own.tolist()):
            places[row] = [len(images), k]
        sample = dataset.samples[number]
        picture = _picture(sample, folder, number, read or _read, say)
        images.append(
            {
                "id": sample.image_id,
                "size": _extent(rows, number, own),
                "src": picture,
                "by": {name: float(v[number]) for name, v in values.items()},
                "boxes": [_box(rows, r) for r in own.tolist()],
            }
        )
    _drop_others(folder, {i["src"] for i in images})
    return {"images": images, "also": {name: [places[r] for r in own] for name, own in wanted.items()}}


def _chosen(values: Mapping[str, Floats], most: int) -> set[int]:
    """The first images by each criterion in turn, until there are enough or none is left."""
    orders = [np.argsort(-v, kind="stable")[: int((v > 0).sum())].tolist() for v in values.values()]
    chosen: set[int] = set()
    for rank in range(max(map(len, orders))):
        for order in orders:
            if len(chosen) < most and rank < len(order):
                chosen.add(order[rank])
    return chosen


def _extent(rows: ValidationRows, number: int, own: npt.NDArray[np.int64]) -> list[float]:
    """Width and height of an image; without either, as far as its boxes reach."""
    if number in rows.sizes:
        height, width = rows.sizes[number]
        return [width, height]
    corners = np.concatenate([rows["given"][own], rows["box"][own]])[:, 2:]
    reach = np.nanmax(corners, axis=0) if np.isfinite(corners).any() else np.ones(2)
    return [float(max(v, 1.0)) for v in reach]


def _box(rows: ValidationRows, r: int) -> dict[str, Any]:
    """What is known of one row, as plain data; what isn't is left out."""
    found: dict[str, Any] = {"state": STATES[rows["state"][r]]}
    for name, own in (("given", "given_class"), ("predicted", "predicted_class")):
        if rows[own][r] >= 0:
            found[name] = int(rows[own][r])
    for name in ("given", "box", "sigma", "cal_sigma", "low", "high"):
        if name in rows and np.isfinite(rows[name][r]).all():
            found[f"{name}_box" if name == "given" else name] = [round(float(v), 2) for v in rows[name][r]]
    for name in ("score", "iou", "cal_score", "occlusion", "truncation", "distance", *doubts_of(rows)):
        if name in rows and np.isfinite(rows[name][r]):
            found[name] = round(float(rows[name][r]), 4)
    return found


def _read(sample: Any) -> npt.NDArray[np.uint8]:
    from dubio.data.images import read_image

    return read_image(sample.image)


def _picture(sample: Any, folder: Path, number: int, read: Any, say: Callable[[str], None]) -> str | None:
    from dubio.report.box_pictures import save_picture

    if sample.image is None:
        return None
    name = f"pictures/{number:06d}.jpg"
    try:
        image = read(sample)
    except InputError as error:
        say(f"not shown: {error}")
        return None
    save_picture(folder / name, image)
    return name


def _drop_others(folder: Path, shown: set[str | None]) -> None:
    """Remove pictures of an earlier run in the folder that no page shows any more."""
    for path in (folder / "pictures").glob("*.jpg"):
        if f"pictures/{path.name}" not in shown:
            path.unlink()


def palette(dataset: BoxDataset) -> list[dict[str, Any]]:
    """Names and colours of the classes, as the page wants them."""
    colours = dataset.space.palette
    return [
        {"name": name, "color": [int(v) for v in colours[k]]} for k, name in enumerate(dataset.space.names)
    ]
