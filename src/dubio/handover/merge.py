"""Verdicts of several reviewers: merged, their conflicts listed, their agreement measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import combinations
from typing import Literal

from dubio.errors.opinions import Opinion, Verdict

Prefer = Literal["newest", "first"]


@dataclass
class Merged:
    """The outcome.

    Attributes:
        verdicts: one per place.
        conflicts: verdicts on which the reviewers disagree, resolved or not.
        changed: number of places where a reviewer took back an earlier verdict.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    conflicts: list[Verdict] = field(default_factory=list)
    changed: int = 0


def merge(known: Iterable[Verdict], new: Iterable[Verdict], prefer: Prefer | None = None) -> Merged:
    """Merge verdicts; a reviewer's later verdict on a place replaces the earlier one.

    Args:
        known: what was decided so far, numbered as the findings are.
        new: what comes in.
        prefer: decide conflicts for the ``newest`` or the ``first`` opinion; ``None``: leave them open.

    Returns:
        The verdicts, with all opinions where there are several.
    """
    places: dict[tuple[object, ...], Verdict] = {}
    opinions: dict[tuple[object, ...], dict[str, Opinion]] = {}
    merged = Merged()
    for number, group in enumerate((known, new)):
        for verdict in group:
            place = _place(verdict)
            places.setdefault(place, verdict)
            said = opinions.setdefault(place, {})
            for opinion in verdict.all_opinions():
                before = said.get(opinion.reviewer)
                merged.changed += bool(number and before is not None and before.verdict != opinion.verdict)
                said[opinion.reviewer] = opinion
    for place, verdict in places.items():
        decided = _decide(verdict, list(opinions[place].values()), prefer)
        merged.verdicts.append(decided)
        if len({o.verdict for o in decided.all_opinions()}) > 1:
            merged.conflicts.append(decided)
    merged.verdicts.sort(key=lambda v: (v.finding == 0, v.finding, v.image_id, v.box))
    return merged


def _place(verdict: Verdict) -> tuple[object, ...]:
    if verdict.finding:
        return (verdict.finding,)
    return (verdict.image_id, verdict.box, verdict.kind, verdict.label)


def _decide(place: Verdict, opinions: Sequence[Opinion], prefer: Prefer | None) -> Verdict:
    ordered = sorted(opinions, key=lambda o: _moment(o.time))
    several = tuple(opinions) if len(opinions) > 1 else ()
    if len({o.verdict for o in ordered}) > 1 and prefer is None:
        return replace(place, verdict=None, time="", reviewer="", label=None, area=None, opinions=several)
    chosen = ordered[0] if prefer == "first" else ordered[-1]
    own = [o for o in ordered if o.verdict == chosen.verdict and (o.area or o.label)]
    if own and not (chosen.area or chosen.label):
        chosen = replace(chosen, area=own[-1].area, label=own[-1].label)
    return replace(
        place, verdict=chosen.verdict, time=chosen.time, reviewer=chosen.reviewer, label=chosen.label,
        area=chosen.area, opinions=several,
    )  # fmt: skip


def _moment(time: str) -> datetime:
    if not time:
        return datetime.min.replace(tzinfo=UTC)
    moment = datetime.fromisoformat(time)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Agreement:
    """How far two reviewers agree.

    Args:
        first: a reviewer.
        second: another one.
        judged: number of findings that both judged.
        same: share on which they agree.
        kappa: Cohen's kappa (1960): agreement beyond chance; ``None`` where chance alone would agree.
    """

    first: str
    second: str
    judged: int
    same: float
    kappa: float | None


def agreements(verdicts: Iterable[Verdict]) -> list[Agreement]:
    """Agreement of each two reviewers on the findings that both judged."""
    said: dict[str, dict[int, str]] = {}
    for verdict in verdicts:
        for opinion in verdict.all_opinions() if verdict.finding else ():
            said.setdefault(opinion.reviewer, {})[verdict.finding] = opinion.verdict
    found = []
    for first, second in combinations(sorted(said), 2):
        shared = sorted(said[first].keys() & said[second].keys())
        if shared:
            pairs = [(said[first][n], said[second][n]) for n in shared]
            found.append(Agreement(first, second, len(pairs), *kappa(pairs)))
    return found


def kappa(pairs: Sequence[tuple[str, str]]) -> tuple[float, float | None]:
    """Share of equal pairs, and Cohen's kappa.

    >>> kappa([("a", "a"), ("a", "b"), ("b", "b"), ("b", "b")])
    (0.75, 0.5)
    """
    n = len(pairs)
    same = sum(a == b for a, b in pairs) / n
    words = {word for pair in pairs for word in pair}
    chance = sum(
        sum(a == word for a, _ in pairs) * sum(b == word for _, b in pairs) for word in words
    ) / (n * n)  # fmt: skip
    return same, None if chance == 1 else (same - chance) / (1 - chance)
