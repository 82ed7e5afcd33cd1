"""Labels corrected by findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.labelspace import IndexMap, LabelSpace
from dubio.errors.findings import Finding
from dubio.handover.items import Item
from dubio.regions.fill import fill_from_surroundings

Bools = npt.NDArray[np.bool_]


def corrected(
    label: IndexMap,
    finding: Finding,
    pred: IndexMap,
    space: LabelSpace,
    *,
    region: Bools | None = None,
    label_index: int | None = None,
) -> IndexMap:
    """A label with one finding put right.

    ===============  =====================================================================================
    ``missing``      the region gets the proposed class
    ``wrong_class``  the region gets the proposed class
    ``spurious``     the region gets the predicted classes; where these are void or the given class, the
                     class of the nearest pixel around that is neither
    ``outline``      the region gets the predicted classes, where there are any
    ===============  =====================================================================================

    Void of the label stays void.

    Args:
        label: ``(H, W)`` class indices as given; not modified.
        finding: what is wrong.
        pred: ``(H, W)`` predicted classes.
        space: label space.
        region: ``(H, W)``, in place of the finding's.
        label_index: class that the whole region gets, in place of the rule.

    Returns:
        ``(H, W)`` class indices of the same type.

    Raises:
        InputError: finding, label and prediction are of different sizes.

    >>> from dubio.core.labelspace import LabelClass
    >>> two = LabelSpace("two", (LabelClass(0, "road", (0, 0, 0)), LabelClass(1, "car", (9, 9, 9))))
    >>> f = Finding(1, "a", "missing", "road", "car", 0, 1, .9, .9, 1, 0, 3, 1, 2, np.array([1, 2]), 1, 3,
    ...             .1, .9, "")
    >>> corrected(np.array([[0, 0, 2]], np.uint8), f, np.array([[0, 1, 1]], np.uint8), two).tolist()
    [[0, 1, 2]]
    """
    area = finding.mask() if region is None else region
    if not area.shape == label.shape == pred.shape:
        raise InputError(
            f"the label has {label.shape[1]} x {label.shape[0]} pixels, the audit saw "
            f"{finding.width} x {finding.height}",
            remedy="run the audit on the labels as they are now",
        )
    void = space.void_index
    area = area & (label < void)
    fixed = label.copy()
    if not area.any():
        return fixed
    if label_index is not None:
        fixed[area] = label_index
    elif finding.kind in ("missing", "wrong_class"):
        fixed[area] = finding.proposed_index
    elif finding.kind == "outline":
        known = area & (pred < void)
        fixed[known] = pred[known]
    else:
        _remove(fixed, area, pred, finding, void)
    return fixed


def _remove(fixed: IndexMap, area: Bools, pred: IndexMap, finding: Finding, void: int) -> None:
    """Fill a region that holds no such object, in place."""
    rows, cols = np.flatnonzero(area.any(1)), np.flatnonzero(area.any(0))
    # the nearest pixels to fill from lie close by
    pad = 2 + max(rows[-1] - rows[0], cols[-1] - cols[0])
    part = (
        slice(max(int(rows[0]) - pad, 0), int(rows[-1]) + pad + 1),
        slice(max(int(cols[0]) - pad, 0), int(cols[-1]) + pad + 1),
    )
    view, inside, seen = fixed[part], area[part], pred[part]
    given = finding.given_index
    known = inside & (seen < void) & (seen != given)
    view[known] = seen[known]
    hole = inside & ~known
    if not hole.any():
        return
    around = np.where(view == given, void, view).astype(view.dtype)
    filled = fill_from_surroundings(around, hole, void)[hole]
    view[hole] = np.where(filled < void, filled, finding.proposed_index)


@dataclass
class Change:
    """What one finding changed: pixels by old and new class index."""

    item: Item
    pixels: Counter[tuple[int, int]] = field(default_factory=Counter)
    shared: int = 0

    @property
    def total(self) -> int:
        """Number of changed pixels."""
        return sum(self.pixels.values())


def correct_label(
    label: IndexMap, items: Sequence[Item], pred: IndexMap, space: LabelSpace, *, kept: Sequence[int] = ()
) -> tuple[IndexMap, list[Change]]:
    """Put all findings of an image right.

    Regions of reviewers come first, then the findings, most probable first; a pixel belongs to the first
    region that holds it, and the rest of the other regions is still put right.

    Args:
        label: ``(H, W)`` class indices as given; not modified.
        items: the findings.
        pred: ``(H, W)`` predicted classes.
        space: label space.
        kept: class indices whose pixels stay as they are: the model knows nothing of them.

    Returns:
        The label, and per finding what it changed (``shared``: pixels that belonged to another region).
    """
    fixed = label.copy()
    taken = np.isin(label, list(kept)) if kept else np.zeros(label.shape, bool)
    # an own region isn't held back by what the model doesn't know
    by_region = np.zeros(label.shape, bool)
    changes = []
    ordered = sorted(items, key=lambda i: (not i.edited, -i.finding.probability, i.finding.finding))
    for item in ordered:
        region = item.mask()
        own = item.class_index(space) if item.verdict is not None and item.verdict.label else None
        new = corrected(label, item.finding, pred, space, region=region, label_index=own)
        free = region & ~by_region & (~taken | item.edited)
        change = Change(item, shared=int((region & by_region).sum()))
        moved = free & (new != label)
        pairs = label[moved].astype(np.int64) * (len(space) + 1) + new[moved]
        for pair, count in zip(*np.unique(pairs, return_counts=True), strict=True):
            change.pixels[divmod(int(pair), len(space) + 1)] += int(count)
        fixed[moved] = new[moved]
        by_region |= region
        changes.append(change)
    return fixed, changes
