"""From scored places to the list of findings: class selection, nesting, order, words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dubio.core.labelspace import LabelSpace
from dubio.errors.feature_names import FEATURES
from dubio.errors.finder import Found
from dubio.errors.findings import Finding, FindingKind, flat_indices, kind_of, reason_for
from dubio.errors.store import ImageWork

# A place of which this share lies inside a better one (or the other way round) tells nothing new.
_NESTED = 0.5


def concerned_class(kind: str, given: int, proposed: int) -> int:
    """The class whose labels are wrong: the missing one, otherwise the given one."""
    return proposed if kind == "missing" else given


def choose(
    works: list[ImageWork],
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
        kinds: keep these kinds only; ``None``: all.
        max_findings: at most so many, the most probable ones.
        min_probability: leave out less probable ones.

    Returns:
        Findings, most probable first; ties by image id and place. Places that a reviewer found fine are
        left out, those found wrong carry the verdict ``accepted``.
    """
    names = np.array([works[i].image_id for i in found.image], dtype=object)
    rank = (-found.probability, -found.score)
    order = sorted(
        range(len(found.score)), key=lambda i: (rank[0][i], rank[1][i], names[i], found.candidate[i])
    )
    wanted = None if classes is None else set(classes)
    taken: dict[int, list[npt.NDArray[np.int64]]] = {}
    chosen: list[Finding] = []
    for i in order:
        if len(chosen) >= max_findings or found.probability[i] < min_probability:
            break
        if found.verdict[i] < 0:
            continue  # a reviewer found it fine
        n, k = int(found.image[i]), int(found.candidate[i])
        work = works[n]
        x = work.places.x[k]
        given, proposed = int(x[FEATURES.index("given")]), int(x[FEATURES.index("proposed")])
        if given == proposed or (wanted is not None and not {given, proposed} & wanted):
            continue
        kind = kind_of(x)
        if kinds is not None and kind not in kinds:
            continue
        runs = work.places.runs[work.places.first[k] : work.places.first[k + 1]]
        pixels = flat_indices(runs)
        others = taken.setdefault(n, [])
        if any(_nested(pixels, other) for other in others):
            continue
        others.append(pixels)
        chosen.append(
            _write_up(
                len(chosen) + 1,
                work,
                k,
                kind,
                runs,
                space,
                float(found.probability[i]),
                float(found.score[i]),
                "accepted" if found.verdict[i] > 0 else None,
            )
        )
    return chosen


def _write_up(
    number: int,
    work: ImageWork,
    k: int,
    kind: FindingKind,
    runs: npt.NDArray[np.int32],
    space: LabelSpace,
    probability: float,
    score: float,
    verdict: str | None,
) -> Finding:
    x = work.places.x[k]
    value = dict(zip(FEATURES, x, strict=True))
    given, proposed = int(value["given"]), int(value["proposed"])
    x0, y0, x1, y1 = (int(v) for v in work.places.box[k])
    return Finding(
        finding=number,
        image_id=work.image_id,
        kind=kind,
        given=space.name_of(given),
        proposed=space.name_of(proposed),
        given_index=given,
        proposed_index=proposed,
        probability=probability,
        score=score,
        x0=x0,
        y0=y0,
        x1=x1,
        y1=y1,
        size=int(work.places.size[k]),
        runs=runs.ravel(),
        height=work.shape[0],
        width=work.shape[1],
        p_given=float(value["p_given"]),
        p_proposed=float(value["p_proposed"]),
        reason=reason_for(kind, x, space),
        verdict=verdict,
    )


def _nested(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> bool:
    if a[0] > b[-1] or b[0] > a[-1]:
        return False
    common = len(np.intersect1d(a, b, assume_unique=True))
    return common >= _NESTED * min(len(a), len(b))
