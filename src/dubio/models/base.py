"""What every segmentation network looks like to the rest of the house."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.files import fingerprint
from dubio.core.labelspace import LabelSpace
from dubio.core.records import ScoreKind
from dubio.models.card import Layer, ModelCard
from dubio.models.layers import Tap
from dubio.models.pixels import Floats
from dubio.models.probe import Finding, probe


class SegModel(Protocol):
    """A segmentation network with its card; anything of this form can be run by dubio."""

    @property
    def space(self) -> LabelSpace | None:
        """Label space of the output channels; ``None`` if nobody has named them."""
        ...

    @property
    def card(self) -> ModelCard:
        """What the network expects of its pixels."""
        ...

    @property
    def n_channels(self) -> int:
        """Number ``K`` of score channels that :meth:`run` gives."""
        ...

    @property
    def kind(self) -> ScoreKind:
        """What the scores are."""
        ...

    def run(self, batch: Floats, *, amp: bool = False) -> Floats:
        """Score a prepared batch ``(B, 3, H, W)``: ``(B, K, h, w)`` float32. Safe to call from threads."""
        ...

    def describe(self) -> list[str]:
        """Sentences on what was detected and assumed."""
        ...

    def key(self) -> Any:
        """Plain data that changes whenever the scores may change."""
        ...


class Runtime(Protocol):
    """A file or folder opened by the library that can run it."""

    name: str
    files: tuple[Path, ...]
    device: str
    thread_safe: bool
    batch: int | None

    def facts(self) -> list[Layer]:
        """Card fields that the file states or that were read off its inputs."""
        ...

    def lines(self) -> list[str]:
        """Sentences on the file."""
        ...

    def forward(self, batch: Floats, card: ModelCard, *, amp: bool) -> npt.NDArray[Any]:
        """Run a batch ``(B, 3, H, W)``; the output as the network gives it."""
        ...

    def tap(self, layer: str | None, card: ModelCard) -> Tap:
        """Reach an inner layer; ``None``: the last stage of the backbone."""
        ...


class Network:
    """A runtime with a card: implements :class:`SegModel`.

    Args:
        runtime: the opened file.
        card: what it expects.
        origin: for each card field the source it came from; absent fields are assumptions.

    Raises:
        InputError: a trial run fails or gives no class scores.
    """

    def __init__(self, runtime: Runtime, card: ModelCard, origin: Mapping[str, str]) -> None:
        self.runtime = runtime
        self.origin = dict(origin)
        self._lock: Any = nullcontext() if runtime.thread_safe else threading.Lock()
        self._finding: Finding = probe(self._raw, card, self.origin)
        self.origin.update(self._finding.origin)
        self.card = self._finding.card
        if self.space is not None and len(self.space) != self.n_channels:
            raise InputError(
                f"has {self.n_channels} score channels but the label space '{self.space.name}' has "
                f"{len(self.space)} classes",
                path=runtime.files[0],
                remedy="name the label space that the network was trained on",
            )

    @property
    def space(self) -> LabelSpace | None:
        """Label space of the output channels."""
        return self.card.space

    @property
    def n_channels(self) -> int:
        """Number of score channels."""
        return self._finding.n_channels

    @property
    def kind(self) -> ScoreKind:
        """What the scores are."""
        return self._finding.kind

    def run(self, batch: Floats, *, amp: bool = False) -> Floats:
        """Score a prepared batch; see :meth:`SegModel.run`.

        Raises:
            InputError: the network refuses the batch or gives values that are not finite.
        """
        scores = self._finding.arrange(self._raw(batch, self.card, amp=amp))
        if not np.isfinite(scores).all():
            raise InputError(
                "gives scores that are not finite",
                path=self.runtime.files[0],
                remedy="check the input scale, or switch mixed precision off with --no-amp",
            )
        return scores

    def _raw(self, batch: Floats, card: ModelCard, *, amp: bool = False) -> npt.NDArray[Any]:
        return self.apply(lambda part: self.runtime.forward(part, card, amp=amp), batch)

    def apply(self, run: Callable[[Floats], npt.NDArray[Any]], batch: Floats) -> npt.NDArray[Any]:
        """Run a batch in the pieces that the file takes, one thread at a time where it must be so.

        Args:
            run: runs a piece on the runtime; gives one row per image.
            batch: ``(B, 3, H, W)``.
        """
        step = self.runtime.batch
        with self._lock:
            if step is None or len(batch) == step:
                return run(batch)
            return np.concatenate([run(part)[:count] for part, count in _pieces(batch, step)])

    def describe(self) -> list[str]:
        """Sentences on what was detected and assumed."""
        card, found = self.card, self._finding
        space = "unnamed" if self.space is None else f"'{self.space.name}'{self._from('space')}"
        lines = [*self.runtime.lines(), f"classes: {self.n_channels} score channels, label space {space}"]
        if {"scale", "mean", "std"} & set(self.origin):
            lines.append(f"pixels: {card.pixels()}{self._from('mean')}")
        else:
            lines.append(
                f"pixels: {card.pixels()} (assumed, ImageNet: nothing says how pixels are scaled; "
                "change with --input-scale, --mean, --std or --card)"
            )
        rule = next((f for f in ("window", "size", "short_edge", "size_multiple") if f in self.origin), "")
        lines.append(f"input size: {card.sizes()}{self._from(rule)}")
        lines.append(f"scores: {found.kind}{self._from('output')}{found.note}")
        lines.append(f"device: {self.runtime.device}")
        return lines

    def _from(self, field: str) -> str:
        return f" ({self.origin[field]})" if field in self.origin else ""

    def key(self) -> Any:
        """Fingerprint of the files, and the card."""
        return {
            "runtime": self.runtime.name,
            "files": fingerprint(self.runtime.files),
            "card": self.card.to_dict(),
            "kind": self.kind,
        }

    def with_space(self, space: LabelSpace) -> Network:
        """Return the same network with a named label space."""
        twin = object.__new__(Network)
        twin.__dict__.update(self.__dict__)
        twin.card = replace(self.card, space=space)
        return twin


def _pieces(batch: Floats, step: int) -> list[tuple[Floats, int]]:
    """Cut into pieces of exactly ``step``, the last one filled up with its own last image."""
    parts = []
    for start in range(0, len(batch), step):
        part = batch[start : start + step]
        count = len(part)
        if count < step:
            part = np.concatenate([part, np.repeat(part[-1:], step - count, axis=0)])
        parts.append((part, count))
    return parts
