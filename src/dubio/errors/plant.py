"""Planted label errors: known faults in copies of label masks.

The finder learns from them and the benchmark scores with them. Every error is one connected
region of the given label (or one new region) that was changed on purpose; which, how and where is
returned, so that nothing has to be guessed from a difference image later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dubio.core.errors import InputError
from dubio.core.labelspace import IndexMap
from dubio.regions.extract import components
from dubio.regions.fill import fill_from_surroundings

Kind = Literal["drop", "swap", "shift", "erode", "dilate", "spurious"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Bools = npt.NDArray[np.bool_]

# A shift must move the outline by more than a careless click: at least this share of the
# region's smaller side, at most the second.
_SHIFT = (0.25, 0.8)
# Share of the region's half-thickness that erosion and dilation take or add.
_GROW = (0.4, 0.8)
_TRIES = 12


@dataclass(frozen=True)
class PlantedError:
    """One planted error.

    Attributes:
        kind: what was done.
        given: class index of the region before.
        planted: class index that it has now (most of it, for a dropped region).
        size: number of changed pixels.
        box: ``(x0, y0, x1, y1)`` of the changed pixels, right and bottom exclusive.
    """

    kind: Kind
    given: int
    planted: int
    size: int
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Planted:
    """A label with planted errors.

    Attributes:
        label: ``(H, W)`` class indices with the errors.
        truth: ``(H, W)`` int32, number of the error (1 … n) on changed pixels, else 0.
        errors: the errors; ``errors[i]`` has the number ``i + 1``.
    """

    label: IndexMap
    truth: npt.NDArray[np.int32]
    errors: tuple[PlantedError, ...]


def plant(
    label: IndexMap,
    n_classes: int,
    rng: np.random.Generator,
    *,
    rate: float = 0.05,
    kinds: Mapping[Kind, float] | None = None,
    min_size: int = 30,
    max_share: float = 0.1,
    at_least: int = 0,
) -> Planted:
    """Plant errors into a copy of a label mask.

    Args:
        label: ``(H, W)`` class indices, ``n_classes`` = void. Void is never changed nor written.
        n_classes: number of classes.
        rng: source of randomness.
        rate: expected number of errors per eligible component of the label.
        kinds: kind -> weight; default: all alike.
        min_size: pixels that an error changes at least; components below are not touched.
        max_share: larger components (as a share of the image) are not touched: nobody overlooks a road.
        at_least: number of errors to try for even if the rate asks for fewer.

    Returns:
        The changed copy with its truth. Fewer errors than asked for if the image has no room.

    Raises:
        InputError: an unknown kind, no positive weight, or a rate outside 0 … 1.
    """
    weights = _weights(kinds)
    if not 0 <= rate <= 1:
        raise InputError(f"error rate {rate} is not between 0 and 1")
    ids, n = components(label, n_classes)
    boxes = ndimage.find_objects(ids, n)
    sizes = np.bincount(ids.ravel(), minlength=n + 1)
    eligible = [k for k in range(1, n + 1) if min_size <= sizes[k] <= max_share * label.size]
    work, truth = label.copy(), np.zeros(label.shape, np.int32)
    errors: list[PlantedError] = []
    wanted = max(int(rng.binomial(len(eligible), rate)), at_least) if eligible else 0
    order = list(rng.permutation(np.array(eligible, np.int64)))
    names = list(weights)
    tries = 0
    while len(errors) < wanted and order and tries < _TRIES * wanted:
        tries += 1
        k = int(order[tries % len(order)])
        kind = names[int(rng.choice(len(names), p=list(weights.values())))]
        window = _window(boxes[k - 1], label.shape)
        region = ids[window] == k
        new = _change(kind, work, region, window, n_classes, rng)
        if new is None:
            continue
        place, values = new
        changed = values != work[place]
        if changed.sum() < min_size or truth[place][changed].any():
            continue
        before = int(label[window][region][0])
        after = int(np.bincount(values[changed]).argmax())
        work[place] = values
        truth[place][changed] = len(errors) + 1
        errors.append(PlantedError(kind, before, after, int(changed.sum()), _box(changed, place)))
    return Planted(work, truth, tuple(errors))


def _weights(kinds: Mapping[Kind, float] | None) -> dict[Kind, float]:
    given: Mapping[Kind, float] = dict.fromkeys(KINDS, 1.0) if kinds is None else kinds
    unknown = [k for k in given if k not in KINDS]
    if unknown:
        raise InputError(f"unknown kind of error '{unknown[0]}'", remedy=f"choose from {', '.join(KINDS)}")
    total = float(sum(given.values()))
    if total <= 0 or min(given.values()) < 0:
        raise InputError("weights of the kinds of errors must be positive")
    return {k: v / total for k, v in given.items() if v > 0}


def _window(box: tuple[slice, slice], shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Box widened by its own size (at least 12 pixels), inside the image."""
    rows, cols = box
    pad_y, pad_x = max(12, rows.stop - rows.start), max(12, cols.stop - cols.start)
    return (
        slice(max(rows.start - pad_y, 0), min(rows.stop + pad_y, shape[0])),
        slice(max(cols.start - pad_x, 0), min(cols.stop + pad_x, shape[1])),
    )


def _box(changed: Bools, place: tuple[slice, slice]) -> tuple[int, int, int, int]:
    ys, xs = np.nonzero(changed)
    y0, x0 = place[0].start, place[1].start
    return x0 + int(xs.min()), y0 + int(ys.min()), x0 + int(xs.max()) + 1, y0 + int(ys.max()) + 1


Change = tuple[tuple[slice, slice], IndexMap] | None


def _change(
    kind: str,
    work: IndexMap,
    region: Bools,
    window: tuple[slice, slice],
    n_classes: int,
    rng: np.random.Generator,
) -> Change:
    view = work[window]
    own = view[region]
    if own.size == 0 or (own != own[0]).any():
        return None  # an earlier error reached into it
    value = int(own[0])
    if kind == "drop":
        return window, fill_from_surroundings(view, region, n_classes)
    if kind == "swap":
        other = _other_class(work, value, n_classes, rng)
        return None if other is None else (window, np.where(region, other, view).astype(view.dtype))
    if kind == "shift":
        return window, _shifted(view, region, value, n_classes, rng)
    if kind in ("erode", "dilate"):
        return window, _resized(view, region, value, n_classes, kind == "erode", rng)
    return _spurious(work, region, value, n_classes, rng)


def _other_class(work: IndexMap, value: int, n_classes: int, rng: np.random.Generator) -> int | None:
    """A class of the same image as often as any class at all: annotators confuse what is at hand."""
    present = np.flatnonzero(np.bincount(work.ravel(), minlength=n_classes + 1)[:n_classes])
    pool = present[present != value] if rng.random() < 0.5 else np.arange(n_classes)
    pool = pool[pool != value]
    return int(rng.choice(pool)) if len(pool) else None


def _shifted(view: IndexMap, region: Bools, value: int, n_classes: int, rng: np.random.Generator) -> IndexMap:
    ys, xs = np.nonzero(region)
    side = min(int(np.ptp(ys)), int(np.ptp(xs))) + 1
    distance = max(2.0, rng.uniform(*_SHIFT) * side)
    angle = rng.uniform(0, 2 * np.pi)
    dy, dx = round(distance * np.sin(angle)), round(distance * np.cos(angle))
    filled = fill_from_surroundings(view, region, n_classes)
    ty, tx = ys + dy, xs + dx
    inside = (ty >= 0) & (ty < view.shape[0]) & (tx >= 0) & (tx < view.shape[1])
    ty, tx = ty[inside], tx[inside]
    keep = filled[ty, tx] < n_classes
    filled[ty[keep], tx[keep]] = value
    return filled


def _resized(
    view: IndexMap, region: Bools, value: int, n_classes: int, smaller: bool, rng: np.random.Generator
) -> IndexMap:
    padded = np.pad(region, 1)
    half = float(ndimage.distance_transform_edt(padded).max())
    radius = max(1.5, half * rng.uniform(*_GROW))
    if smaller:
        kept = ndimage.distance_transform_edt(padded)[1:-1, 1:-1] > radius
        return fill_from_surroundings(view, region & ~kept, n_classes)
    grown = (ndimage.distance_transform_edt(~region) <= radius) & (view < n_classes)
    return np.where(grown, value, view).astype(view.dtype)


def _spurious(work: IndexMap, region: Bools, value: int, n_classes: int, rng: np.random.Generator) -> Change:
    """Paste the region's shape, mirrored and scaled at random, elsewhere in the image."""
    ys, xs = np.nonzero(region)
    shape = region[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1][:, :: int(rng.choice([1, -1]))]
    scale = rng.uniform(0.7, 1.4)
    rows, cols = (max(2, round(s * scale)) for s in shape.shape)
    if rows >= work.shape[0] or cols >= work.shape[1]:
        return None
    yi = np.minimum((np.arange(rows) / scale).astype(int), shape.shape[0] - 1)
    xi = np.minimum((np.arange(cols) / scale).astype(int), shape.shape[1] - 1)
    stamp = shape[yi][:, xi]
    # Objects stand at their own height in the picture, mostly.
    spread = 0.15 * work.shape[0]
    y = int(
        np.clip(rng.normal(0, spread) + rng.integers(0, work.shape[0] - rows + 1), 0, work.shape[0] - rows)
    )
    x = int(rng.integers(0, work.shape[1] - cols + 1))
    place = (slice(y, y + rows), slice(x, x + cols))
    view = work[place]
    if (view[stamp] == value).mean() > 0.1:
        return None  # it would grow an object of the class, not invent one
    return place, np.where(stamp & (view < n_classes), value, view).astype(view.dtype)
