"""From scored places to the list of findings of boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dubio.core.labelspace import LabelSpace
from dubio.errors.boxes.lesson import CALLS
from dubio.errors.boxes.moves import paired_iou
from dubio.errors.boxes.reasons import Case, reason_for
from dubio.errors.boxes.scene import Floats, Ints
from dubio.errors.boxes.traits import BoxSet, BoxWork
from dubio.errors.finder import Found
from dubio.errors.findings import Box, BoxKind, Finding

# Two findings of one image whose boxes overlap so much say the same.
_SAME = 0.8


def choose_boxes(
    works: Sequence[BoxWork],
    found: Found,
    space: LabelSpace,
    *,
    classes: Sequence[int] | None = None,
    kinds: Sequence[str] | None = None,
    max_findings: int = 500,
    min_probability: float = 0.0,
) -> list[Finding]:
    """Rank the places and write them up.

    Args:
        works: the images' candidates.
        found: their scores.
        space: label space.
        classes: keep findings whose given or proposed class is among these indices; ``None``: all.
        kinds: keep these kinds only; ``None``: all. A finding is of its most probable kind; its probabilities
            of the others are kept with it, so that a list of each kind can be made.
        max_findings: at most so many, the most probable ones.
        min_probability: leave out less probable ones.

    Returns:
        Findings, most probable first; ties by image id and place. Places that a reviewer found fine are left
        out, those found wrong carry the verdict ``accepted``.
    """
    order = np.lexsort((found.candidate, found.image, -found.score, -found.probability))
    wanted = None if classes is None else set(classes)
    taken: dict[int, list[Floats]] = {}
    chosen: list[Finding] = []
    for i in order:
        if len(chosen) >= max_findings or found.probability[i] < min_probability:
            break
        if found.verdict[i] < 0:
            continue  # a reviewer found it fine
        work = works[int(found.image[i])]
        case = case_of(work, int(found.candidate[i]), CALLS[int(found.kinds[i].argmax())])
        if wanted is not None and not {case.given, case.proposed} & wanted:
            continue
        if kinds is not None and case.kind not in kinds:
            continue
        others = taken.setdefault(int(found.image[i]), [])
        if others and (_iou_with(case.box, np.array(others)) >= _SAME).any():
            continue
        others.append(case.box)
        chosen.append(_write_up(len(chosen) + 1, work, case, space, found, int(i)))
    return chosen


def _iou_with(box: Floats, others: Floats) -> Floats:
    return paired_iou(np.broadcast_to(box, others.shape), others)


def case_of(work: BoxWork, candidate: int, kind: BoxKind) -> Case:
    """All that a finding of a candidate says."""
    of, row = work.of, int(work.places.row[candidate])
    scene, where = of.scene, of.where
    label, seen = int(where.label[row]), int(where.seen[row])
    is_label = row < where.n_given
    given = -1 if label < 0 or kind == "missing" else int(scene.given.cls[label])
    theirs = -1 if seen < 0 else int(scene.seen.cls[seen])
    proposed = {"spurious": -1, "location": given, "duplicate": given}.get(kind, theirs)
    boxes = _boxes(of, label, seen, kind)
    shown = scene.given.box[label] if is_label or kind != "missing" else scene.seen.box[seen]
    image_labels = scene.labels[int(_image(of, row))]
    position = -1 if label < 0 or kind == "missing" else int(scene.given.label[label])
    ids = image_labels.ids
    twin, covers = _twin(of, label) if kind == "duplicate" else (-1, 0.0)
    variance = None if scene.seen.variance is None or seen < 0 else scene.seen.variance[seen]
    return Case(
        kind=kind,
        given=_index(scene.classes, given),
        proposed=_index(scene.classes, proposed),
        sees=_index(scene.classes, theirs),
        box=shown,
        given_box=boxes[0],
        proposed_box=boxes[1],
        label=position,
        box_id=None if ids is None or position < 0 else str(ids[position]),
        p_given=float(scene.shown(seen, given)),
        p_proposed=float(scene.shown(seen, theirs if kind == "spurious" else proposed)),
        overlap=0.0 if label < 0 or seen < 0 else float(
            paired_iou(scene.given.box[[label]], scene.seen.box[[seen]])[0]
        ),
        variance=variance,
        twin=twin,
        twin_same=twin >= 0 and int(scene.given.cls[twin]) == given,
        twin_position=-1 if twin < 0 else int(scene.given.label[twin]),
        covers=covers,
    )  # fmt: skip


def _image(of: BoxSet, row: int) -> int:
    label, seen = int(of.where.label[row]), int(of.where.seen[row])
    return int(of.scene.given.image[label] if row < of.where.n_given else of.scene.seen.image[seen])


def _index(classes: Ints, number: int) -> int:
    return -1 if number < 0 else int(classes[number])


def _boxes(of: BoxSet, label: int, seen: int, kind: BoxKind) -> tuple[Box | None, Box | None]:
    """The labelled box and the one to put in its place, as far as the kind has them."""
    given = None if label < 0 or kind == "missing" else _plain(of.scene.given.box[label])
    if seen < 0 or kind in ("spurious", "duplicate"):
        return given, None
    return given, _plain(of.scene.seen.box[seen])


def _plain(box: Floats) -> Box:
    x0, y0, x1, y1 = (float(v) for v in box)
    return x0, y0, x1, y1


def _twin(of: BoxSet, label: int) -> tuple[int, float]:
    """The other label that covers most of one, of its class if there is one, and how much it covers."""
    g = of.scene.given
    rows = np.arange(g.start[g.image[label]], g.start[g.image[label] + 1])
    rows = rows[rows != label]
    if not len(rows):
        return -1, 0.0
    own = g.box[label]
    side = np.clip(np.minimum(g.box[rows, 2:], own[2:]) - np.maximum(g.box[rows, :2], own[:2]), 0, None)
    iou = paired_iou(g.box[rows], np.broadcast_to(own, (len(rows), 4)))
    best = int((iou + (g.cls[rows] == g.cls[label]) * (iou >= 0.5)).argmax())
    area = float((own[2:] - own[:2]).prod())
    return int(rows[best]), float(side[best].prod() / max(area, 1e-9))


def _write_up(number: int, work: BoxWork, case: Case, space: LabelSpace, found: Found, i: int) -> Finding:
    x0, y0, x1, y1 = (int(v) for v in work.places.box[int(found.candidate[i])])
    if case.given_box is not None:  # an object that is meant by a label: the label is what is wrong
        low, high = np.floor(case.box[:2]), np.maximum(np.ceil(case.box[2:]), np.floor(case.box[:2]) + 1)
        x0, y0, x1, y1 = int(low[0]), int(low[1]), int(high[0]), int(high[1])
    p = float(found.probability[i])
    return Finding(
        finding=number,
        image_id=work.image_id,
        kind=case.kind,
        given=_name(space, case.given),
        proposed=_name(space, case.proposed),
        given_index=case.given,
        proposed_index=case.proposed,
        probability=p,
        score=float(found.score[i]),
        x0=x0,
        y0=y0,
        x1=x1,
        y1=y1,
        size=max(round(float((case.box[2:] - case.box[:2]).prod())), 0),
        runs=np.zeros(0, np.int32),
        height=work.shape[0],
        width=work.shape[1],
        p_given=case.p_given,
        p_proposed=case.p_proposed,
        reason=reason_for(case, space),
        verdict="accepted" if found.verdict[i] > 0 else None,
        given_box=case.given_box,
        proposed_box=case.proposed_box,
        label=case.label,
        box_id=case.box_id,
        kinds={name: p * float(v) for name, v in zip(CALLS, found.kinds[i], strict=True)},
    )


def _name(space: LabelSpace, index: int) -> str:
    return "" if index < 0 else space.name_of(index)
