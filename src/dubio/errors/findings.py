"""Findings: the ranked list of suspected label errors, and its table.

One row per finding (format 2; format 1 lacks the columns of boxes):

===================  ==================================================================
``finding``          number, 1 = most probable
``image_id``         image
``kind``             ``missing``, ``wrong_class``, ``spurious`` or ``outline``; for boxes ``missing``,
                     ``wrong_class``, ``spurious``, ``location`` or ``duplicate``
``given proposed``   class names: what the label says, what the model says
``given_index …``    their indices in the label space; -1 and no name: nothing is labelled (or seen)
``probability``      probability that this is an error
``score``            the finder's probability at the error rate it learned with
``x0 y0 x1 y1``      box in pixels, right and bottom exclusive
``size``             pixels
``runs``             the region: start in the flattened image and length, alternating; none for boxes
``height width``     size of the label
``p_given``          mean probability that the model gives to the label there
``p_proposed``       … and to the proposed class
``reason``           the reason in words
``picture``          path of the picture below the run folder
``verdict``          ``accepted``, ``rejected`` or null
``given_box``        boxes: the labelled box ``x0, y0, x1, y1`` in pixels, as numbers with decimals, or null
``proposed_box``     … the box that the model sees, or null
``label``            … position of the labelled box in its image, from 0; -1: none
``box_id``           … its name in the file of labels, or null
``kinds``            probability of an error of each kind, as a map; they add up to ``probability``
===================  ==================================================================
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dubio.core.labelspace import LabelSpace
from dubio.errors.feature_names import FEATURES

FORMAT = 2
MaskKind = Literal["missing", "wrong_class", "spurious", "outline"]
BoxKind = Literal["missing", "spurious", "wrong_class", "location", "duplicate"]
FindingKind = MaskKind | BoxKind
KINDS: tuple[MaskKind, ...] = get_args(MaskKind)
BOX_KINDS: tuple[BoxKind, ...] = get_args(BoxKind)
TITLES: dict[str, str] = {
    "missing": "missing object",
    "wrong_class": "wrong class",
    "spurious": "spurious label",
    "outline": "bad outline",
    "location": "bad location",
    "duplicate": "labelled twice",
}
Box = tuple[float, float, float, float]
# A candidate that covers more than this share of a component stands for the whole of it.
_WHOLE = 0.5
# A label region that the model confirms on more than this share exists: its outline is in doubt.
_CONFIRMED = 0.4


@dataclass(frozen=True)
class Finding:
    """One suspected error (see the module's table)."""

    finding: int
    image_id: str
    kind: FindingKind
    given: str
    proposed: str
    given_index: int
    proposed_index: int
    probability: float
    score: float
    x0: int
    y0: int
    x1: int
    y1: int
    size: int
    runs: npt.NDArray[np.int32]
    height: int
    width: int
    p_given: float
    p_proposed: float
    reason: str
    picture: str | None = None
    verdict: str | None = None
    given_box: Box | None = None
    proposed_box: Box | None = None
    label: int = -1
    box_id: str | None = None
    kinds: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_box(self) -> bool:
        """Whether it is about a box, not a region of a mask."""
        return self.given_box is not None or self.proposed_box is not None

    def mask(self) -> npt.NDArray[np.bool_]:
        """The region as ``(H, W)`` truth values; of a box, the pixels that it touches."""
        if self.is_box:
            inside = np.zeros((self.height, self.width), bool)
            inside[self.y0 : self.y1, self.x0 : self.x1] = True
            return inside
        flat = np.zeros(self.height * self.width, bool)
        for start, length in self.runs.reshape(-1, 2):
            flat[start : start + length] = True
        return flat.reshape(self.height, self.width)


def kind_of(features: npt.NDArray[Any]) -> MaskKind:
    """Kind of error that a candidate would be, from its relation to the components it meets.

    What covers most of a label component and most of a predicted one is a wrong class; of a label
    component only, a spurious label; of a predicted one only, a missing object; of neither, or a label
    component that the model confirms in good part, a bad outline.
    """
    value = dict(zip(FEATURES, features, strict=False))
    if value["source"] == 0 and value["agree"] >= _CONFIRMED:
        return "outline"
    label = value["source"] == 0 or value["l_cover"] >= _WHOLE
    predicted = value["p_cover"] >= _WHOLE
    if label:
        return "wrong_class" if predicted else "spurious"
    return "missing" if predicted else "outline"


def reason_for(kind: FindingKind, features: npt.NDArray[Any], space: LabelSpace) -> str:
    """The reason in words.

    >>> from dubio.core.labelspace import LabelClass
    >>> two = LabelSpace("two", (LabelClass(0, "road", (0, 0, 0)), LabelClass(1, "car", (9, 9, 9))))
    >>> x = np.zeros(len(FEATURES)); x[FEATURES.index("proposed")] = 1
    >>> x[FEATURES.index("p_proposed")] = 0.91
    >>> reason_for("missing", x, two)
    'The model sees car here (probability 0.91); the label says road, which it gives 0.00.'
    """
    value = dict(zip(FEATURES, features, strict=False))
    given, proposed = space.name_of(int(value["given"])), space.name_of(int(value["proposed"]))
    sees, gives = value["p_proposed"], value["p_given"]
    if kind == "missing":
        return (
            f"The model sees {proposed} here (probability {sees:.2f}); the label says {given}, "
            f"which it gives {gives:.2f}."
        )
    if kind == "wrong_class":
        return (
            f"Labelled {given}, to which the model gives {gives:.2f}; it sees one object of class "
            f"{proposed} ({sees:.2f})."
        )
    if kind == "spurious":
        return (
            f"Labelled {given}, but the model sees only {proposed} here ({sees:.2f}), "
            f"and {given} with {gives:.2f}."
        )
    if value["source"] == 0:
        return (
            f"The model confirms {given} on {100 * value['agree']:.0f} % of this label only; "
            f"on {100 * value['agree_proposed']:.0f} % it sees {proposed}."
        )
    return (
        f"The model's {proposed} goes on here ({sees:.2f}) where the label already says {given} "
        f"({gives:.2f})."
    )


def schema(space: LabelSpace) -> pa.Schema:
    """Arrow schema of the table of findings; the label space travels in the metadata."""
    integers = ("given_index", "proposed_index", "x0", "y0", "x1", "y1", "size", "height", "width")
    types: dict[str, Any] = {
        "finding": pa.int32(),
        "image_id": pa.string(),
        "kind": pa.string(),
        "given": pa.string(),
        "proposed": pa.string(),
        "runs": pa.list_(pa.int32()),
        "reason": pa.string(),
        "picture": pa.string(),
        "verdict": pa.string(),
        "given_box": pa.list_(pa.float64()),
        "proposed_box": pa.list_(pa.float64()),
        "label": pa.int32(),
        "box_id": pa.string(),
        "kinds": pa.map_(pa.string(), pa.float64()),
        **dict.fromkeys(integers, pa.int32()),
        **dict.fromkeys(("probability", "score", "p_given", "p_proposed"), pa.float64()),
    }
    note = {b"dubio.format": str(FORMAT).encode(), b"dubio.space": json.dumps(space.to_dict()).encode()}
    return pa.schema([pa.field(name, types[name]) for name in Finding.__dataclass_fields__], metadata=note)


def to_table(findings: list[Finding], space: LabelSpace) -> pa.Table:
    """Findings as an Arrow table."""
    kept = schema(space)
    columns = []
    for column in kept:
        values = [getattr(f, column.name) for f in findings]
        if column.name == "kinds":
            values = [list(v.items()) for v in values]
        columns.append(pa.array(values, column.type))
    return pa.Table.from_arrays(columns, schema=kept)


def from_table(table: pa.Table) -> list[Finding]:
    """The inverse of :func:`to_table`; tables of format 1 lack the columns of boxes."""
    rows = table.to_pylist()
    for row in rows:
        row["runs"] = np.array(row["runs"], np.int32)
        row["kinds"] = dict(row.get("kinds") or ())
        for name in ("given_box", "proposed_box"):
            row[name] = tuple(row[name]) if row.get(name) is not None else None
    return [Finding(**row) for row in rows]


def flat_indices(runs: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Indices into the flattened image of runs: start and length, alternating or as pairs.

    >>> flat_indices(np.array([3, 2, 9, 1])).tolist()
    [3, 4, 9]
    """
    pairs = np.asarray(runs, np.int64).reshape(-1, 2)
    start, length = pairs[:, 0], pairs[:, 1]
    before = np.cumsum(length) - length
    return np.repeat(start - before, length) + np.arange(int(length.sum()))
