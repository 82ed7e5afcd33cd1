"""What the finder knows of a candidate region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dubio.core.labelspace import IndexMap
from dubio.errors import kernels
from dubio.errors.candidates import Family
from dubio.errors.feature_names import FEATURES
from dubio.errors.view import View
from dubio.regions.extract import components

Floats = npt.NDArray[np.float64]

# Ring samples lie this far outside the edge: beyond the usual blur of two pixels.
_REACH = 4


@dataclass
class LabelSide:
    """What belongs to one label of the image, computed once for all families."""

    label: IndexMap
    ids: npt.NDArray[np.int32]
    n: int
    p_given: npt.NDArray[np.float32]
    seam: npt.NDArray[np.float32]
    agree: float
    mean_p: float


def label_side(view: View, label: IndexMap) -> LabelSide:
    """Components of the label, its probability per pixel, and distances from its outlines."""
    ids, n = components(label, view.n_classes)
    p = view.probability_of(label)
    known = label < view.n_classes
    seam = kernels.inner_distance(ids).astype(np.float32) / np.float32(3)
    some = bool(known.any())
    agree = float((view.pred == label)[known].mean()) if some else float("nan")
    return LabelSide(label, ids, n, p, seam, agree, float(p[known].mean()) if some else float("nan"))


def feature_rows(view: View, side: LabelSide, family: Family) -> Floats:
    """Features of a family's candidates.

    Returns:
        ``(n, len(FEATURES))`` float64; NaN where something isn't there (no scores, no picture).
    """
    n = family.n
    if n == 0:
        return np.zeros((0, len(FEATURES)))
    found: dict[str, Floats] = {
        "source": np.full(n, float(family.source)),
        "given": family.given[1:].astype(float),
        "proposed": family.proposed[1:].astype(float),
        "image_agree": np.full(n, side.agree),
        "image_p": np.full(n, side.mean_p),
    }
    size = _shape_and_maps(view, side, family, found)
    _relations(view, side, family, size, found)
    _ring(view, side, family, found)
    _picture(view, side, family, size, found)
    return np.column_stack([found[name] for name in FEATURES])


def _nan_map(view: View) -> npt.NDArray[np.float32]:
    return np.full(view.pred.shape, np.nan, np.float32)


def _shape_and_maps(view: View, side: LabelSide, family: Family, found: dict[str, Floats]) -> Floats:
    n, (h, w) = family.n, view.pred.shape
    ids = family.ids
    c_map = family.proposed[ids].astype(view.pred.dtype)
    given_map = family.given[ids].astype(view.pred.dtype)
    maps = view.maps
    layers = [
        side.p_given,
        view.probability_of(c_map),
        _nan_map(view) if maps.entropy is None else maps.entropy,
        _nan_map(view) if maps.margin is None else maps.margin,
        _nan_map(view) if maps.variation is None else 1 - maps.variation,
        (view.pred == given_map).astype(np.float32),
        (view.pred == c_map).astype(np.float32),
        side.seam,
        _nan_map(view) if view.gradient is None else view.gradient,
    ]
    stack = np.stack(layers)
    sums, squares = np.zeros((n + 1, len(layers))), np.zeros((n + 1, len(layers)))
    kernels.region_sums(ids, stack, sums, squares)
    geometry, edge = np.zeros((n + 1, 5), np.int64), np.zeros(n + 1, np.int64)
    edge_sums = np.zeros((n + 1, len(layers)))
    kernels.region_extent(ids, geometry, edge, stack, edge_sums)
    thick, seam_max = np.zeros(n + 1, np.int32), np.zeros(n + 1, np.float32)
    kernels.region_max(ids, kernels.inner_distance(ids), thick)
    kernels.region_max(ids, side.seam, seam_max)
    low = np.zeros((n + 1, 3), np.int64)
    kernels.low_shares(ids, side.p_given, np.array([0.1, 0.3, 0.6], np.float32), low)

    size = geometry[1:, 0].astype(float)
    mean = sums[1:] / size[:, None]
    spread = np.sqrt(np.maximum(squares[1:] / size[:, None] - mean**2, 0))
    at_edge = edge_sums[1:] / np.maximum(edge[1:, None], 1)
    x0, y0, x1, y1 = geometry[1:, 1:].T.astype(float)
    found.update(
        log_size=np.log(size),
        image_share=size / (h * w),
        aspect=np.log((x1 - x0) / (y1 - y0)),
        fill=size / ((x1 - x0) * (y1 - y0)),
        edge_share=edge[1:] / size,
        thickness=thick[1:] / 3.0,
        row=(y0 + y1) / (2 * h),
        at_border=((x0 == 0) | (y0 == 0) | (x1 == w) | (y1 == h)).astype(float),
        p_given=mean[:, 0],
        p_given_std=spread[:, 0],
        p_given_edge=at_edge[:, 0],
        p_proposed=mean[:, 1],
        entropy=mean[:, 2],
        entropy_edge=at_edge[:, 2],
        margin=mean[:, 3],
        max_prob=mean[:, 4],
        agree=mean[:, 5],
        agree_proposed=mean[:, 6],
        seam=mean[:, 7],
        seam_max=seam_max[1:].astype(float),
        edge_gradient=at_edge[:, 8],
        inner_gradient=mean[:, 8],
    )
    for i, name in enumerate(("p_given_low1", "p_given_low3", "p_given_low6")):
        found[name] = low[1:, i] / size
    return size


def _relations(view: View, side: LabelSide, family: Family, size: Floats, found: dict[str, Floats]) -> None:
    same = view.pred == side.label
    for prefix, ids, n in (("p", view.pred_ids, view.n_pred), ("l", side.ids, side.n)):
        total = np.bincount(ids.ravel(), minlength=n + 1).astype(float)
        agreed = np.bincount(ids[same], minlength=n + 1)
        partner, inter = main_partner(family, ids)
        area = np.maximum(total[partner], 1)
        met = partner > 0
        found[f"{prefix}_share"] = inter / size
        found[f"{prefix}_cover"] = np.where(met, inter / area, np.nan)
        found[f"{prefix}_log_size"] = np.where(met, np.log(area), np.nan)
        found[f"{prefix}_agree"] = np.where(met, agreed[partner] / area, np.nan)
        if prefix == "p":
            p_sum = np.bincount(ids.ravel(), weights=side.p_given.ravel(), minlength=n + 1)
            found["p_given_in_p"] = np.where(met, p_sum[partner] / area, np.nan)


def main_partner(family: Family, ids: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int64], Floats]:
    """The component of ``ids`` that covers most of each candidate (0: none), and how many pixels.

    For label components, the predicted component is sought among those that are of the proposed
    class as well as those that confirm; the largest overlap wins.
    """
    pairs = kernels.grow(lambda room: kernels.run_pairs(family.ids, ids, room))
    partner, inter = np.zeros(family.n + 1, np.int64), np.zeros(family.n + 1)
    if len(pairs):
        found = pairs.astype(np.int64)
        keys, back = np.unique((found[:, 0] << 32) | found[:, 1], return_inverse=True)
        count = np.bincount(back, weights=found[:, 2])
        k, o = keys >> 32, keys & 0xFFFFFFFF
        order = np.lexsort((-o, count))  # ascending, so that the last written is the largest
        partner[k[order]], inter[k[order]] = o[order], count[order]
    return partner[1:], inter[1:]


def _ring(view: View, side: LabelSide, family: Family, found: dict[str, Floats]) -> None:
    counts = np.zeros((family.n + 1, 7))
    kernels.ring_counts(
        family.ids, _REACH, side.label, view.pred, side.p_given, family.given, family.proposed,
        view.n_classes, counts,
    )  # fmt: skip
    shares = counts[1:] / np.where(counts[1:, :1] > 0, counts[1:, :1], np.nan)
    names = ("ring_given", "ring_proposed", "ring_pred", "ring_pred_given", "ring_agree", "ring_p")
    for i, name in enumerate(names, start=1):
        found[name] = shares[:, i]


def _picture(view: View, side: LabelSide, family: Family, size: Floats, found: dict[str, Floats]) -> None:
    """Colour of R against the remainder of the label component that covers it."""
    if view.image is None:
        found["colour_contrast"] = np.full(family.n, np.nan)
        return
    partner, _ = main_partner(family, side.ids)
    colour = np.moveaxis(view.image.astype(np.float32), 2, 0)
    inside, squares = np.zeros((family.n + 1, 3)), np.zeros((family.n + 1, 3))
    kernels.region_sums(family.ids, colour, inside, squares)
    whole, whole_sq = np.zeros((side.n + 1, 3)), np.zeros((side.n + 1, 3))
    kernels.region_sums(side.ids, colour, whole, whole_sq)
    total = np.bincount(side.ids.ravel(), minlength=side.n + 1).astype(float)
    rest = total[partner] - size
    enough = rest > 0.1 * size
    count = np.where(enough, rest, np.nan)[:, None]
    mean = (whole[partner] - inside[1:]) / count
    spread = np.sqrt(np.maximum((whole_sq[partner] - squares[1:]) / count - mean**2, 0)) + 8
    difference = inside[1:] / size[:, None] - mean
    found["colour_contrast"] = np.sqrt(((difference / spread) ** 2).mean(1))
