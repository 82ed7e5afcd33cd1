"""What the finder knows of a candidate box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.errors.boxes.candidates import Candidates
from dubio.errors.boxes.feature_names import FEATURES
from dubio.errors.boxes.kernels import RIGHT_IOU
from dubio.errors.boxes.label_free import Usual, suspicion
from dubio.errors.boxes.passes import SUPPORT, TWINS
from dubio.errors.boxes.relations import ClassStats, Relations, heads, shape_of
from dubio.errors.boxes.scene import Flags, Floats, Ints, Scene, summed

# A side this close to the image border (as a share of the image's) touches it.
_BORDER = 0.005
_MET = ("met_same", "met_any", "met_cover", "met_within", "met_near")
_CROWD = ("near_heads", "under_iou", "under_conf", "heads_within", "head_around")
Columns = dict[str, Floats]


@dataclass(frozen=True)
class Background:
    """What doesn't change when labels are: statistics of classes, crowding and ranks of detections."""

    stats: ClassStats
    crowding: Columns
    rank: Floats
    usual: Usual

    @classmethod
    def of(cls, scene: Scene, found: Relations, crowding: Columns) -> Background:
        """Of the labels as given."""
        raw = scene.seen.raw
        rank = np.searchsorted(np.sort(raw), raw, "right") / max(len(raw), 1)
        return cls(ClassStats.of(scene, found), crowding, rank, Usual.of(found.support))


def feature_rows(scene: Scene, found: Relations, where: Candidates, known: Background) -> Floats:
    """Features of the candidates.

    Returns:
        ``(n, len(FEATURES))`` float64; NaN where something isn't known or doesn't apply.
    """
    n, k = len(where.label), where.n_given
    g, s = scene.given, scene.seen
    first = np.arange(n) < k
    label, seen = where.label, where.seen
    given = _pick(g.cls, label, -1)
    theirs = _pick(s.cls, seen, -1)
    stronger = found.support["conf_other_50"] > found.support["conf_same_50"]
    takes = np.zeros(n, bool)
    takes[:k] = stronger[label[:k]] & (seen[:k] >= 0)
    proposed = np.where(first & ~takes, given, theirs)
    box, image = boxes_of(scene, where)
    columns: Columns = {
        "source": 1 - first.astype(np.float64),
        "given": _pick(scene.classes, given, -1).astype(np.float64),
        "proposed": _pick(scene.classes, proposed, -1).astype(np.float64),
        "conf": np.nan_to_num(_pick(s.conf, seen, np.nan)),
        "rank": np.nan_to_num(_pick(known.rank, seen, np.nan)),
        "rival": np.nan_to_num(_pick(s.rival, seen, np.nan)),
        "p_given": scene.class_probability(np.where(given >= 0, seen, -1), given),
        "p_proposed": scene.class_probability(np.where(proposed >= 0, seen, -1), proposed),
        "difficult": _only(first, _pick(g.difficult.astype(np.float64), label, np.nan)),
        "occlusion": _only(first, _pick(g.occlusion, label, np.nan)),
        "truncation": _only(first, _pick(g.truncation, label, np.nan)),
    }
    of_label: tuple[tuple[tuple[str, ...], Columns], ...] = ((SUPPORT, found.support), (TWINS, found.twins))
    of_seen: tuple[tuple[tuple[str, ...], Columns], ...] = ((_MET, found.met), (_CROWD, known.crowding))
    for names, table in of_label:
        columns |= {name: _only(first, _pick(table[name], label, np.nan)) for name in names}
    for names, table in of_seen:
        columns |= {name: _only(~first, _pick(table[name], seen, np.nan)) for name in names}
    columns["claimed"] = _claimed(scene, found, where)
    concerned = np.where(given >= 0, given, proposed)
    columns |= _shape(scene, box, image, concerned, known.stats)
    # nothing is known of the boxes of a class that nobody labelled: they pass for usual ones
    unknown = scene.gaps[np.maximum(concerned, 0)] & (concerned >= 0)
    columns |= {name: np.where(unknown, 0.0, columns[name]) for name in ("size_off", "aspect_off")}
    columns |= _residuals(scene, where)
    columns |= _usual(columns, given, proposed, known.stats, scene.gaps)
    columns |= _of_image(scene, found, where, image, proposed)
    columns |= suspicion(columns, known.usual)
    return np.column_stack([columns[name] for name in FEATURES])


def boxes_of(scene: Scene, where: Candidates) -> tuple[Floats, Ints]:
    """Box ``(n, 4)`` and number of the image ``(n,)`` of each candidate."""
    g, s, k = scene.given, scene.seen, where.n_given
    box = np.concatenate([g.box[where.label[:k]], s.box[where.seen[k:]]])
    return box, np.concatenate([g.image[where.label[:k]], s.image[where.seen[k:]]])


def _pick(values: npt.NDArray[Any], rows: Ints, otherwise: float) -> npt.NDArray[Any]:
    """Values at these rows, another one where the row is -1."""
    out = np.full(len(rows), otherwise, values.dtype)
    there = rows >= 0
    out[there] = values[rows[there]]
    return out


def _only(where: Flags, values: Floats) -> Floats:
    return np.where(where, values, np.nan)


def _claimed(scene: Scene, found: Relations, where: Candidates) -> Floats:
    """Of a label: how much better another label fits its detection; of a detection: the other way round."""
    label, seen, k = where.label, where.seen, where.n_given
    out = np.full(len(label), np.nan)
    there = np.flatnonzero(seen[:k] >= 0)
    i, j = label[there], seen[there]
    best, second = found.met["met_any"][j], found.met["met_second"][j]
    mine = found.label[j, 0] == i
    own = _paired_iou(scene.given.box[i], scene.seen.box[j])
    out[there] = np.where(mine, second - best, best - own)
    there = k + np.flatnonzero(found.label[seen[k:], 0] >= 0)
    j = seen[there]
    out[there] = found.support["iou_any"][found.label[j, 0]] - found.met["met_any"][j]
    return out


def _paired_iou(a: Floats, b: Floats) -> Floats:
    side = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None)
    inter = side.prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - inter
    return np.asarray(inter / np.maximum(union, 1e-12))


def _shape(scene: Scene, box: Floats, image: Ints, cls: Ints, stats: ClassStats) -> Columns:
    h, w = scene.size[image].T
    size, aspect = shape_of(box, image, scene)
    low, high = box[:, :2] / np.column_stack([w, h]), box[:, 2:] / np.column_stack([w, h])
    usual, wide = stats.size[cls], stats.aspect[cls]
    return {
        "log_size": size,
        "aspect": aspect,
        "row": (low[:, 1] + high[:, 1]) / 2,
        "borders": ((low <= _BORDER).sum(1) + (high >= 1 - _BORDER).sum(1)).astype(np.float64),
        "size_off": (size - usual[:, 0]) / usual[:, 1],
        "aspect_off": (aspect - wide[:, 0]) / wide[:, 1],
    }


def _residuals(scene: Scene, where: Candidates) -> Columns:
    """Distances between the sides of a label and of the detection that it belongs to."""
    n = len(where.label)
    names = ("off_most", "off_mean", "off_centre", "off_size", "off_sigma", "sigma")
    out: Columns = {name: np.full(n, np.nan) for name in names}
    pair = np.flatnonzero((where.label >= 0) & (where.seen >= 0))
    s = scene.seen
    a, b = scene.given.box[where.label[pair]], s.box[where.seen[pair]]
    side = np.maximum(b[:, 2:] - b[:, :2], 1e-6)
    off = (a - b) / np.concatenate([side, side], 1)
    out["off_most"][pair] = np.abs(off).max(1)
    out["off_mean"][pair] = np.abs(off).mean(1)
    out["off_centre"][pair] = np.hypot(off[:, 0] + off[:, 2], off[:, 1] + off[:, 3]) / 2
    own = np.maximum(a[:, 2:] - a[:, :2], 1e-6)
    out["off_size"][pair] = np.log(own.prod(1) / side.prod(1))
    if s.variance is not None:
        spread = np.sqrt(np.maximum(s.variance[where.seen[pair]], 1e-6 * side.prod(1)[:, None]))
        out["off_sigma"][pair] = (np.abs(a - b) / spread).max(1)
        shown = np.flatnonzero(where.seen >= 0)
        j = where.seen[shown]
        side = np.maximum(s.box[j, 2:] - s.box[j, :2], 1e-6)
        out["sigma"][shown] = (np.sqrt(s.variance[j]) / np.concatenate([side, side], 1)).mean(1)
    return out


def _usual(columns: Columns, given: Ints, proposed: Ints, stats: ClassStats, gaps: Flags) -> Columns:
    cls = np.where(given >= 0, given, proposed)
    usual = stats.iou[cls]
    share = stats.number / max(stats.number.sum(), 1.0)
    share = np.where(gaps, 1 / max(len(gaps), 1), share)
    return {
        "iou_usual": (columns["iou_same"] - usual[:, 0]) / usual[:, 1],
        "class_precision": stats.precision[proposed],
        "class_recall": stats.recall[cls],
        "class_confusion": stats.confused(given, proposed),
        "class_share": share[cls],
    }


def _of_image(scene: Scene, found: Relations, where: Candidates, image: Ints, proposed: Ints) -> Columns:
    """Agreement in the rest of the image: the candidate itself is left out."""
    g, s, k, images = scene.given, scene.seen, where.n_given, scene.n_images
    strength = found.support["support_same"]
    total = summed(g.image, strength, images)[image]
    number = np.bincount(g.image, minlength=images)[image].astype(np.float64)
    given = number.copy()
    total[:k] -= strength[where.label[:k]]
    number[:k] -= 1
    head = np.flatnonzero(heads(scene) & ~scene.gaps[s.cls])
    labelled = found.met["met_any"][head] >= RIGHT_IOU
    # a detection is one of the objects seen; a label's own object is not held against or for it either
    own = where.seen
    counted = np.zeros(len(s), bool)
    counted[head] = True
    is_own = (own >= 0) & _pick(counted, own, 0).astype(bool)
    own_conf = np.where(is_own, _pick(s.conf, own, 0.0), 0.0)
    met = np.zeros(len(s), bool)
    met[head] = labelled
    own_right = np.where(is_own & _pick(met, own, 0).astype(bool), own_conf, 0.0)
    mass = summed(s.image[head], s.conf[head], images)
    right = summed(s.image[head], s.conf[head] * labelled, images)
    c = len(scene.classes)
    cell = s.image[head] * c + s.cls[head]
    class_mass = summed(cell, s.conf[head], images * c)
    class_right = summed(cell, s.conf[head] * labelled, images * c)
    at = image * c + proposed
    same = _pick(s.cls, own, -1) == proposed
    return {
        "image_recall": _share(total, number),
        "image_precision": _share(right[image] - own_right, mass[image] - own_conf),
        "image_class_precision": _share(class_right[at] - own_right * same, class_mass[at] - own_conf * same),
        "image_mass": np.log1p(np.maximum(mass[image] - right[image] - (own_conf - own_right), 0)),
        "image_given": np.log1p(given),
    }


def _share(part: Floats, whole: Floats) -> Floats:
    """Part of a whole; NaN where the whole is next to nothing."""
    out = np.full(len(part), np.nan)
    np.divide(part, whole, out=out, where=whole > 1e-2)
    return out
