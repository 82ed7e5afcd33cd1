"""Boxes, as the finder must know them, and the results of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.errors.boxes.candidates import Candidates
from dubio.errors.boxes.feature_names import FEATURES, HIDDEN, INDEX
from dubio.errors.boxes.features import Background
from dubio.errors.boxes.label_free import COLUMNS, kind_scores
from dubio.errors.boxes.lesson import CALLS
from dubio.errors.boxes.relations import Relations
from dubio.errors.boxes.scene import Flags, Floats, Ints, Scene
from dubio.errors.boxes.whole import FEATURES as WHOLE
from dubio.errors.boxes.whole import LOOKS
from dubio.errors.traits import Committee, Score, Traits, WholeTraits
from dubio.errors.whole_image import WholeImage

# A place of this audit is the one that was reviewed if the boxes overlap this much.
SAME = 0.5
# Two labels of one object overlap at least this much.
_TWIN = 0.4


@dataclass(frozen=True)
class BoxSet:
    """What belongs to all images of an audit together.

    Attributes:
        scene: labels and detections.
        found: their relations.
        known: statistics of the labels as given.
        where: all candidates.
    """

    scene: Scene
    found: Relations
    known: Background
    where: Candidates


@dataclass
class BoxPlaces:
    """Candidates of one image.

    Attributes:
        x: ``(n, F)`` float32 features.
        group: ``(n,)`` candidates with the same number lie at the same place.
        box: ``(n, 4)`` int32 hull in pixels.
        row: ``(n,)`` position among all candidates of the audit.
    """

    x: npt.NDArray[np.float32]
    group: Ints
    box: npt.NDArray[np.int32]
    row: Ints


@dataclass
class BoxPlanting:
    """Candidates of planted copies of one image's labels, as rows to learn from.

    Attributes:
        x: ``(n, F)`` float32 features.
        y: ``(n,)`` int8: 1 planted, 0 not, -1 in between.
        weight: ``(n,)`` float32.
        group: ``(n,)`` places.
        kind: ``(n,)`` int8 position in :data:`~dubio.errors.boxes.lesson.CALLS`, -1: none.
        usual: ``(n,)`` whether the image of the copy has single errors only.
        planted: errors planted; ``found``: those that some candidate meets.
        found: see there.
    """

    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.int8]
    weight: npt.NDArray[np.float32]
    group: Ints
    kind: npt.NDArray[np.int8]
    usual: Flags
    planted: int
    found: int


@dataclass
class BoxWork:
    """Results of one image.

    Attributes:
        image_id: the image.
        shape: height and width, pixels.
        places: candidates of the labels as given.
        planting: rows to learn from.
        whole: measures of the labels as a whole, and of faulty copies.
        n_regions: labelled boxes that are searched.
        of: what belongs to all images together.
    """

    image_id: str
    shape: tuple[int, int]
    places: BoxPlaces
    planting: BoxPlanting
    whole: WholeImage
    n_regions: int
    of: BoxSet

    @property
    def traits(self) -> Traits:
        """Boxes."""
        return BOXES


def _marks(works: Sequence[Any]) -> npt.NDArray[np.int8]:
    return np.concatenate([w.planting.kind for w in works])


def _usual(works: Sequence[Any]) -> Flags:
    return np.concatenate([w.planting.usual for w in works])


def _possible(x: npt.NDArray[Any]) -> Flags:
    """``(n, K)``: what is seen can be missing, or be meant by a label; the rest befalls labels."""
    first = x[:, INDEX["source"]] == 0
    given, proposed = x[:, INDEX["given"]], x[:, INDEX["proposed"]]
    shown = ~np.isnan(x[:, INDEX["off_most"]])
    twice = first & (x[:, INDEX["twin_any"]] >= _TWIN)
    return np.column_stack([~first, first, first & (given != proposed), shown & (given >= 0), twice])


def _excused(x: npt.NDArray[Any]) -> Flags:
    """``(n, K)``: nobody must see a difficult box."""
    out = np.zeros((len(x), len(CALLS)), bool)
    out[:, CALLS.index("spurious")] = x[:, INDEX["difficult"]] == 1
    return out


def _baseline(name: str) -> Score:
    k = CALLS.index(name)

    def score(x: Floats) -> Floats:
        return np.asarray(kind_scores(x)[:, k])

    return score


def _highest(x: Floats) -> Floats:
    return np.asarray(kind_scores(x).max(1, initial=0.0))


def _differs(x: Floats) -> str:
    return (
        f"model and labels differ on {100 * x[WHOLE.index('disagree')]:.0f} % of the boxes "
        "and of the objects that it sees"
    )


def _extent(x: Floats) -> str:
    boxes, lost = np.expm1(x[WHOLE.index("log_given")]), np.expm1(x[WHOLE.index("mass")])
    return f"{boxes:.0f} {'box' if round(boxes) == 1 else 'boxes'}, about {lost:.0f} unlabelled objects seen"


def find_same(work: Any, runs: object, box: npt.NDArray[Any]) -> int | None:
    """The candidate that overlaps a reviewed box most, if it does so enough."""
    boxes = work.places.box.astype(np.float64)
    if not len(boxes):
        return None
    side = np.clip(np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2]), 0, None)
    inter = side.prod(1)
    union = (boxes[:, 2:] - boxes[:, :2]).prod(1) + float((box[2:] - box[:2]).prod()) - inter
    iou = inter / np.maximum(union, 1e-9)
    best = int(iou.argmax())
    return best if iou[best] >= SAME else None


def row_of(work: Any, finding: Any) -> int | None:
    """The candidate that a finding was made of."""
    same = (work.places.box == np.array([finding.x0, finding.y0, finding.x1, finding.y1])).all(1)
    source = work.places.x[:, INDEX["source"]]
    best = np.flatnonzero(same & (source == (1 if finding.kind == "missing" else 0)))
    rows = best if len(best) else np.flatnonzero(same)
    if len(rows) > 1 and finding.label >= 0:  # the same box twice
        of = work.of
        label = of.where.label[work.places.row[rows]]
        named = np.where(label >= 0, of.scene.given.label[np.maximum(label, 0)], -1) == finding.label
        rows = rows[named] if named.any() else rows
    return int(rows[0]) if len(rows) else None


# What a linear model learns from: shares as log odds, the rest as it is.
_SHARES = (
    *COLUMNS, "conf", "rank", "support_same", "support_any", "conf_other_50",
)  # fmt: skip
_PLAIN = (
    "met_any", "under_iou", "log_size", "size_off", "class_precision", "image_precision", "twin_same",
    "off_most", "iou_same",
)  # fmt: skip
_FLOOR, _FARTHEST = 1e-3, 2.0
# How far suspicion by ranks is trusted beside what was learned, in the order of CALLS: more where real errors
# are least like planted ones. More for all finds a little more, and is less sure where a detector is perfect.
_TRUST = (0.5, 0.25, 0.5, 0.25, 0.25)


def strong(x: npt.NDArray[Any]) -> Floats:
    """A few strong features, apart for labels and for detections; finite."""
    shares = np.nan_to_num(x[:, [INDEX[n] for n in _SHARES]].astype(np.float64))
    shares = np.clip(shares, _FLOOR, 1 - _FLOOR)
    plain = np.nan_to_num(x[:, [INDEX[n] for n in _PLAIN]].astype(np.float64))
    plain[:, _PLAIN.index("off_most")] = np.minimum(plain[:, _PLAIN.index("off_most")], _FARTHEST)
    both = np.concatenate([np.log(shares / (1 - shares)), plain], 1)
    second = x[:, [INDEX["source"]]].astype(np.float64)
    return np.concatenate([both * (1 - second), both * second, second], 1)


BOXES = Traits(
    features=FEATURES,
    free=kind_scores,
    free_words="how far model and label disagree, by the ranks of scores and overlaps in the data set",
    baselines={
        "disagreement by ranks": _highest,
        **{f"… {k.replace('_', ' ')}": _baseline(k) for k in CALLS},
    },
    key=("source", "given", "proposed", "log_size", "aspect", "row", "conf", "iou_same"),
    find_same=find_same,
    row_of=row_of,
    whole=WholeTraits(
        features=WHOLE,
        faults=LOOKS,
        slips=("box of a pixel across", "boxes of a pixel across"),
        disagreement=_differs,
        noun="boxes",
        extent=_extent,
        max_bins=255,
    ),
    hidden=HIDDEN,
    calls=CALLS,
    marks=_marks,
    usual=_usual,
    possible=_possible,
    excused=_excused,
    committee=Committee(strong, {"max_iter": 40, "learning_rate": 0.15}),
    trust=_TRUST,
)
