"""Methods judged on images that they did not see, each by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.calibration.boxes.rows import BoxRows
from dubio.calibration.boxes.spread import LEAST_SIGMA
from dubio.core.boxes import BoxDataset, Floats
from dubio.core.errors import InputError
from dubio.core.seeds import derive_seed
from dubio.uncertainty.boxes.residuals import ResidualLaw

Ints = npt.NDArray[np.int64]


def image_parts(
    names: Sequence[str], parts: int, seed: int, *, groups: Sequence[str | None] | None = None
) -> Ints:
    """Part of each image, ``0 … parts - 1``, about equal in size; depends on its name and the seed only.

    Args:
        names: image ids.
        parts: number of parts.
        seed: seed.
        groups: a tag of each image (:func:`tags_of`): images of one tag (a scene, a patient) stay together,
            so that a fit is never judged on near copies of what it saw. ``None`` stands alone. Parts then
            hold about as many groups, not images. Fewer groups than parts: as many parts as groups.

    Raises:
        InputError: all images are of one group.

    >>> sorted(image_parts(["a", "b", "c"], 3, 0).tolist())
    [0, 1, 2]
    >>> part = image_parts(["a1", "a2", "b1"], 2, 0, groups=["a", "a", "b"])
    >>> bool(part[0] == part[1] != part[2])
    True
    """
    # the second name keeps an image apart from a group that is called like it
    tags = [None] * len(names) if groups is None else groups
    units = [(n, "calibration") if g is None else (g, "group") for n, g in zip(names, tags, strict=True)]
    different = sorted(set(units), key=lambda unit: derive_seed(seed, *unit))
    if groups is not None and len(different) < 2 <= len(names):
        raise InputError(
            f"all {len(names)} images are of one group ('{different[0][0]}')",
            remedy="cross-fitting takes two or more; group by another tag",
        )
    place = {unit: k % min(parts, len(different)) for k, unit in enumerate(different)}
    return np.array([place[unit] for unit in units], np.int64)


def tags_of(dataset: BoxDataset, tag: str | None) -> list[str | None] | None:
    """Value of a domain tag of each image, for :func:`image_parts`; ``None`` for no tag.

    Raises:
        InputError: no image has it.
    """
    if tag is None:
        return None
    found = [s.domain.get(tag) for s in dataset]
    if found and all(v is None for v in found):
        known = sorted({name for s in dataset for name in s.domain})
        raise InputError(
            f"no image has the tag '{tag}'",
            path=dataset.root,
            remedy=f"there are: {', '.join(known)}" if known else "the labels give their images no tags",
        )
    return found


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """Sigmas and laws of a method, per row by a fit that left the row's image out.

    Attributes:
        sigma: ``(N, 4)`` pixels.
        level: ``(N, 4)`` share of the central interval that just holds the residual: uniform if all is well.
        nll: ``(N, 4)`` nats.
        crps: ``(N, 4)`` pixels.
    """

    sigma: Floats
    level: Floats
    nll: Floats
    crps: Floats


def stated(rows: BoxRows) -> CrossFitted:
    """The detector's own sigmas under a normal law, for comparison.

    Raises:
        InputError: it states none.
    """
    if rows.sigma is None:
        raise InputError("the detections state no uncertainty of their corners")
    law, sigma = ResidualLaw(), np.maximum(rows.sigma, LEAST_SIGMA)
    return CrossFitted(
        sigma, law.central(rows.truth / sigma), law.nll(rows.truth, sigma), law.crps(rows.truth, sigma)
    )


def cross_fit_spread(rows: BoxRows, part: Ints, make: Callable[[], Any]) -> CrossFitted:
    """Fit a method on all parts but one, and apply it there.

    Args:
        rows: matched detections.
        part: ``(images,)`` part of each image (:func:`image_parts`).
        make: gives an unfitted method.

    Raises:
        InputError: fewer than two parts hold matched detections.
    """
    mine = part[rows.image]
    if len(np.unique(mine)) < 2:
        raise InputError("cross-fitting needs matched detections in at least two images")
    found = [np.full((len(rows), 4), np.nan) for _ in range(4)]
    for k in np.unique(mine):
        here = mine == k
        method, judged = make().fit(rows.take(~here)), rows.take(here)
        sigma = method.sigma(judged)
        law, off = method.law, judged.truth
        values = (sigma, law.central(off / sigma), law.nll(off, sigma), law.crps(off, sigma))
        for out, value in zip(found, values, strict=True):
            out[here] = value
    return CrossFitted(*found)


def cross_fit(
    n: int,
    mine: Ints,
    fit: Callable[[npt.NDArray[np.bool_]], Any],
    use: Callable[[Any, npt.NDArray[np.bool_]], Floats],
) -> Floats:
    """Values of any method, per row by a fit that left the row's part out.

    Args:
        n: number of rows.
        mine: ``(n,)`` part of each row.
        fit: from a mask of rows to a fitted method.
        use: from the method and a mask of rows to their values.

    Raises:
        InputError: fewer than two parts.
    """
    parts = np.unique(mine)
    if len(parts) < 2:
        raise InputError("cross-fitting needs detections in at least two images")
    out: Floats | None = None
    for k in parts:
        here = mine == k
        values = use(fit(~here), here)
        if out is None:
            out = np.full((n, *values.shape[1:]), np.nan)
        out[here] = values
    assert out is not None
    return out
