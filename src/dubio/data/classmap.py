"""From the classes of a model to the classes of a data set."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.files import plain_reason
from dubio.core.labelspace import IndexMap, LabelSpace
from dubio.core.records import ScoreKind

MAPS = Path(__file__).parent / "maps"


@dataclass(frozen=True)
class ClassMap:
    """For every source class the target class that it counts as.

    Args:
        source: the label space of the model.
        target: the label space of the data set.
        pairs: for every source index the target index, or -1 for no counterpart.

    Raises:
        InputError: the wrong number of pairs, a pair out of range, or none at all.
    """

    source: LabelSpace
    target: LabelSpace
    pairs: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.pairs) != len(self.source):
            raise InputError(f"a class map has {len(self.pairs)} entries for {len(self.source)} classes")
        if not all(-1 <= p < len(self.target) for p in self.pairs):
            raise InputError(f"a class map points beyond the {len(self.target)} classes of the target")
        if max(self.pairs) < 0:
            raise InputError(f"no class of '{self.source.name}' has a counterpart in '{self.target.name}'")

    @cached_property
    def uncovered(self) -> tuple[int, ...]:
        """Target classes that no source class stands for: the model can't predict them."""
        return tuple(t for t in range(len(self.target)) if t not in self.pairs)

    @cached_property
    def unmapped(self) -> tuple[int, ...]:
        """Source classes without a counterpart: where one wins, the prediction is void."""
        return tuple(s for s, t in enumerate(self.pairs) if t < 0)

    def apply(self, scores: npt.NDArray[Any], kind: ScoreKind) -> npt.NDArray[np.float32]:
        """Sum the probabilities of the source classes that count as the same target class.

        Args:
            scores: ``(K, H, W)`` floats, K source classes (one more channel counts as unmapped).
            kind: logits go through the softmax first.

        Returns:
            Probabilities ``(C, H, W)`` ``float32``, or ``(C + 1, H, W)`` if a source class is unmapped;
            the last channel is then what has no counterpart.

        Raises:
            InputError: the wrong number of channels.
        """
        extra = len(scores) - len(self.source)
        if scores.ndim != 3 or extra not in (0, 1):
            raise InputError(
                f"scores of shape {scores.shape} for the {len(self.source)} classes of '{self.source.name}'",
                remedy="name the model's label space",
            )
        pairs = tuple(self.pairs) + (-1,) * extra
        return map_channels(scores, kind, pairs, len(self.target))

    def apply_label_map(self, indices: IndexMap) -> IndexMap:
        """Turn source indices ``(H, W)`` into target indices; what has no counterpart becomes void."""
        void = self.target.void_index
        table = np.array([void if p < 0 else p for p in self.pairs] + [void], dtype=self.target.dtype)
        mapped: IndexMap = table[indices]
        return mapped

    def describe(self) -> list[str]:
        """Sentences on the map: which classes meet, and which have no counterpart."""
        kept = len(self.pairs) - len(self.unmapped)
        lines = [
            f"{kept} of {len(self.source)} classes of '{self.source.name}' count as "
            f"{len(self.target) - len(self.uncovered)} of {len(self.target)} classes of '{self.target.name}'"
        ]
        if self.uncovered:
            names = ", ".join(self.target.names[t] for t in self.uncovered)
            lines.append(f"the model can't predict: {names}")
        if self.unmapped:
            names = ", ".join(self.source.names[s] for s in self.unmapped)
            lines.append(f"without a counterpart (void where they win): {names}")
        return lines


def map_channels(
    scores: npt.NDArray[Any], kind: ScoreKind, pairs: Sequence[int], n_classes: int
) -> npt.NDArray[np.float32]:
    """Sum the probabilities of channels ``(K, H, W)`` that count as the same class.

    Args:
        scores: ``(K, H, W)`` floats.
        kind: logits go through the softmax first.
        pairs: class index per channel, -1 for none.
        n_classes: number of classes ``C``.

    Returns:
        ``(C, H, W)`` float32 probabilities, ``(C + 1, H, W)`` if a channel counts as nothing.
    """
    goal = [n_classes if p < 0 else p for p in pairs]
    out = np.zeros((n_classes + (n_classes in goal), *scores.shape[1:]), np.float32)
    if kind == "probabilities":
        for channel, pair in zip(scores, goal, strict=True):
            out[pair] += channel
        return out
    top = scores.max(axis=0).astype(np.float32)
    for channel, pair in zip(scores, goal, strict=True):
        out[pair] += np.exp(channel - top)
    out /= out.sum(axis=0)
    return out


def builtin_maps() -> list[str]:
    """Names of the class maps that come with dubio.

    >>> "cityscapes-camvid" in builtin_maps()
    True
    """
    return sorted(path.stem for path in MAPS.glob("*.toml"))


def load_class_map(name_or_path: str | Path | None, source: LabelSpace, target: LabelSpace) -> ClassMap:
    """Load a class map: a built-in name, a TOML file, or ``None`` for equal names.

    A file holds ``[map]`` with a source name or id and the target name or id, or ``"void"``; a source
    class that is missing has no counterpart.

    Args:
        name_or_path: name, path or ``None``. ``None`` takes the built-in map ``SOURCE-TARGET`` if there is
            one, else classes of equal name (in any case); one space must be covered whole.
        source: the model's label space.
        target: the data set's.

    Raises:
        InputError: no such map, unknown classes, or names that don't agree.
    """
    if name_or_path is None:
        built_in = f"{source.name}-{target.name}"
        if source.names == target.names or built_in not in builtin_maps():
            return _by_name(source, target)
        name_or_path = built_in
    known = str(name_or_path) in builtin_maps()
    path = MAPS / f"{name_or_path}.toml" if known else Path(name_or_path)
    if not path.is_file():
        remedy = f"give a TOML file or one of {', '.join(builtin_maps())}"
        raise InputError("there is no such class map", path=path, remedy=remedy)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))["map"]
        items = [(str(a), str(b)) for a, b in table.items()]
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise InputError(
            f"isn't a class map ({plain_reason(error)})",
            path=path,
            remedy='write [map] and lines like "car" = "vehicle"',
        ) from error
    pairs = [-1] * len(source)
    for name, counterpart in items:
        try:
            index = source.index_of(name)
            pairs[index] = -1 if counterpart.casefold() == "void" else target.index_of(counterpart)
        except InputError as error:
            raise InputError(error.fault, path=path, remedy=error.remedy) from error
    try:
        return ClassMap(source, target, tuple(pairs))
    except InputError as error:
        raise InputError(error.fault, path=path, remedy='write lines like "car" = "vehicle"') from error


def _by_name(source: LabelSpace, target: LabelSpace) -> ClassMap:
    there = {name.casefold(): t for t, name in enumerate(target.names)}
    pairs = tuple(there.get(name.casefold(), -1) for name in source.names)
    if -1 in pairs and len(set(pairs) - {-1}) < len(target):
        lost = ", ".join(n for n, p in zip(source.names, pairs, strict=True) if p < 0)
        raise InputError(
            f"classes of '{source.name}' have no namesake in '{target.name}': {lost}",
            remedy=f"give a class map (a TOML file, or one of {', '.join(builtin_maps())})",
        )
    return ClassMap(source, target, pairs)
