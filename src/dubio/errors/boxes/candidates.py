"""Candidate boxes: every labelled one, and every object that the model sees and no label meets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dubio.errors.boxes.kernels import RIGHT_IOU
from dubio.errors.boxes.relations import Relations, heads
from dubio.errors.boxes.scene import Flags, Ints, Scene

# An object that a label meets as well as this is that label's, though another one is seen better there.
_COVERED = 0.7
# Labels of one class that overlap so much are one place; so are a label and an object that only it may mean.
_TWINS, _SAME = 0.6, 0.3
# Objects seen that are kept as candidates: those of the highest scores, this many per label and per image.
_PER_LABEL, _PER_IMAGE = 2, 10


@dataclass(frozen=True)
class Candidates:
    """Candidates of all images: labelled boxes first, then detections.

    Attributes:
        label: ``(n,)`` position among the scene's labels; of a detection: that of the label that it
            overlaps by at least 0.3 and 'would mean', else -1.
        seen: ``(n,)`` position among the detections; of a label: the one that shows it best, or -1.
        n_given: the first so many are labelled boxes.
        group: ``(n,)`` candidates of one number lie at one place.
    """

    label: Ints
    seen: Ints
    n_given: int
    group: Ints

    def take(self, rows: Ints) -> Candidates:
        """Some of the candidates; positions must rise."""
        return Candidates(
            self.label[rows], self.seen[rows], int((rows < self.n_given).sum()), self.group[rows]
        )


def unmet(scene: Scene, found: Relations) -> Flags:
    """``(M,)`` objects seen that no label meets, or only one that another object fits better."""
    free = heads(scene)
    met = found.met["met_any"]
    label = found.label[:, 0]
    other = np.zeros(len(free), bool)
    known = label >= 0
    best = found.partner[label[known], 1]
    other[known] = (best >= 0) & (scene.seen.head[best] != np.flatnonzero(known))
    return np.asarray(free & ((met < RIGHT_IOU) | (other & (met < _COVERED))))


def score_bar(scene: Scene, found: Relations) -> float:
    """The score from which on objects seen are candidates; set by their number, not by a fixed value."""
    scores = np.sort(scene.seen.raw[unmet(scene, found)])[::-1]
    most = _PER_LABEL * len(scene.given) + _PER_IMAGE * scene.n_images
    return float(scores[most - 1]) if len(scores) > most else -np.inf


def find_candidates(scene: Scene, found: Relations, bar: float) -> Candidates:
    """Candidates of a scene's labels.

    Args:
        scene: labels and detections.
        found: their relations.
        bar: lowest score of objects that are candidates.
    """
    g, s = scene.given, scene.seen
    ours = np.flatnonzero(~g.off)
    theirs = np.flatnonzero(unmet(scene, found) & (s.raw >= bar))
    other = found.support["conf_other_50"] > found.support["conf_same_50"]
    same, any_, foreign = found.partner.T
    shows = np.where(other & (foreign >= 0), foreign, np.where(same >= 0, same, any_))
    meant = _meant(found, theirs)
    place = np.arange(len(g))
    linked = (found.twins["twin_same"] >= _TWINS) & (found.twin < place) & (found.twin >= 0)
    place[linked] = found.twin[linked]
    for _ in range(4):  # of several boxes in one place each points to the one before
        place = place[place]
    group = np.where(meant >= 0, place[meant] if len(g) else -1, len(g) + np.arange(len(theirs)))
    return Candidates(
        np.concatenate([ours, meant]),
        np.concatenate([shows[ours], theirs]),
        len(ours),
        np.concatenate([place[ours], group]),
    )


def _meant(found: Relations, theirs: Ints) -> Ints:
    """The label that each object may be meant by: it overlaps, and no other object fits it better."""
    label = found.label[theirs, 0]
    overlap = found.met["met_any"][theirs]
    best = found.support["iou_any"][label] if len(found.twin) else np.zeros(len(theirs))
    return np.where((label >= 0) & (overlap >= _SAME) & (best - overlap < 0.1), label, -1)
