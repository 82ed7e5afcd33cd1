"""Why a box is suspect, in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dubio.core.labelspace import LabelSpace
from dubio.errors.boxes.scene import Floats
from dubio.errors.findings import Box, BoxKind

_SIDES = ("left", "top", "right", "bottom")
# Distances in standard deviations are said from here on; below, the model itself isn't sure.
_SAID_SIGMA = 1.0
# Less than this share of the box's side is no reason to name a side.
_SMALL = 0.05
# What overlaps a box by less than this isn't there.
_NEAR = 0.1


@dataclass(frozen=True)
class Case:
    """A suspected error, before it is written up.

    Attributes:
        kind: the kind.
        given: class index of the label, -1: nothing is labelled.
        proposed: class index that it should have, -1: none.
        sees: class index that the model sees there, -1: none.
        box: ``(4,)`` what is shown.
        given_box: the labelled box.
        proposed_box: the box that the model sees.
        label: position of the labelled box in its image, -1: none.
        box_id: its name.
        p_given: score that the model gives to the given class there; NaN if it says none.
        p_proposed: … to the proposed class (to what it sees, where the label is spurious).
        overlap: IoU of the label with what the model sees.
        variance: ``(4,)`` variances of the model's box, or ``None``.
        twin: the other label of the same object, -1: none.
        twin_same: whether it has the same class.
        twin_position: its position in the image.
        covers: share of the box that it covers.
    """

    kind: BoxKind
    given: int
    proposed: int
    sees: int
    box: Floats
    given_box: Box | None
    proposed_box: Box | None
    label: int
    box_id: str | None
    p_given: float
    p_proposed: float
    overlap: float
    variance: Floats | None
    twin: int
    twin_same: bool
    twin_position: int
    covers: float


def reason_for(case: Case, space: LabelSpace) -> str:
    """The reason in words; scores are the detector's own."""
    if case.kind == "missing":
        return f"The model sees {space.name_of(case.proposed)} here ({case.p_proposed:.2f}); no box is given."
    given = space.name_of(case.given)
    if case.kind == "wrong_class":
        against = "" if np.isnan(case.p_given) else f" against {case.p_given:.2f}"
        return (
            f"Labelled {given}, the model sees {space.name_of(case.proposed)} "
            f"({case.p_proposed:.2f}{against})."
        )
    if case.kind == "duplicate":
        return _twice(case, given)
    if case.kind == "location" and case.proposed_box is not None:
        return _moved(case, given)
    return _nothing(case, given, space)


def _twice(case: Case, given: str) -> str:
    if case.twin < 0:
        return f"Labelled {given} twice."
    number = f"Box {case.twin_position + 1}"
    same = "of the same class" if case.twin_same else "of another class"
    return f"{number} {same} covers {100 * case.covers:.0f} % of it."


def _nothing(case: Case, given: str, space: LabelSpace) -> str:
    if case.sees < 0 or case.overlap < _NEAR:
        return f"Labelled {given}, but the model sees nothing here."
    if case.sees == case.given:
        return (
            f"Labelled {given}, but the model is hardly sure of it here ({case.p_proposed:.2f}, overlap "
            f"{100 * case.overlap:.0f} %)."
        )
    return (
        f"Labelled {given}, but the best that the model sees here is {space.name_of(case.sees)} "
        f"({case.p_proposed:.2f}, overlap {100 * case.overlap:.0f} %)."
    )


def _moved(case: Case, given: str) -> str:
    """The side that is off most; in what direction, how far, and how sure the model is of its own."""
    theirs = np.array(case.proposed_box)
    off = case.box - theirs
    side = np.maximum(theirs[2:] - theirs[:2], 1e-6)
    share = np.abs(off) / np.concatenate([side, side])
    spread = None if case.variance is None else np.sqrt(np.maximum(case.variance, 1e-9))
    worst = int(share.argmax())
    if share[worst] < _SMALL:
        return f"The model has this {given} in nearly the same place ({100 * case.overlap:.0f} % overlap)."
    both = np.sort(share)[-2:]
    whole = both[0] >= 0.8 * both[1] and worst % 2 == int(np.argsort(share)[-2]) % 2
    pair = (worst % 2, worst % 2 + 2)
    if whole and off[pair[0]] * off[pair[1]] > 0:
        return _as_a_whole(case, given, off)
    inwards = off[worst] > 0 if worst < 2 else off[worst] < 0
    sure = ""
    if spread is not None and np.isfinite(spread[worst]):
        sigma = abs(off[worst]) / spread[worst]
        sure = f" ({sigma:.1f} sigma)" if sigma >= _SAID_SIGMA else ""
    return (
        f"The box's {_SIDES[worst]} side lies {_pixels(abs(off[worst]))}{sure} "
        f"{'inside' if inwards else 'outside'} of where the model sees it."
    )


def _as_a_whole(case: Case, given: str, off: Floats) -> str:
    x, y = (off[0] + off[2]) / 2, (off[1] + off[3]) / 2
    ways = []
    if abs(x) >= 0.5:
        ways.append(f"{_pixels(abs(x))} too far {'right' if x > 0 else 'left'}")
    if abs(y) >= 0.5:
        ways.append(f"{_pixels(abs(y))} too {'low' if y > 0 else 'high'}")
    place = " and ".join(ways) or "a little off"
    return f"The box of this {given} lies {place}; it overlaps the model's by {100 * case.overlap:.0f} %."


def _pixels(value: float) -> str:
    return f"{value:.0f} px" if value >= 10 else f"{value:.1f} px"
