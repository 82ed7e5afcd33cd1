"""Inner layers of a network: what taps give, and which layer ends the backbone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.models.card import ModelCard, Size
from dubio.models.pixels import Floats

# Large enough that maps of stride 64 keep the image's proportions, which pooled maps don't.
TRIAL: Size = (192, 256)
BY_NAMES = "the end of the backbone, by the names in the file"
BY_SHAPE = "the widest of the coarsest layers that the whole network passes through"
_STRIDES = (1, 2, 4, 8, 16, 32, 64)
_BACKBONE = {"backbone", "encoder"}
_DECODER = {
    "aspp",
    "aux_classifier",
    "auxiliary_head",
    "classifier",
    "decode_head",
    "decoder",
    "fpn_bottleneck",
    "head",
    "neck",
    "ppm",
    "psp_modules",
    "seg_head",
    "segmentation_head",
}
_LISTED = 12


@dataclass(frozen=True)
class Tap:
    """A way to run a network up to one of its layers.

    Args:
        layer: name of the layer.
        why: why it was taken, in words.
        run: takes a prepared batch ``(B, 3, H, W)``, the card and ``amp``; gives ``(B, D, h, w)``.
    """

    layer: str
    why: str
    run: Callable[[Floats, ModelCard, bool], npt.NDArray[Any]]


@dataclass(frozen=True)
class Inner:
    """A tensor inside a network.

    Args:
        name: its name.
        shape: its shape on the trial image; empty if it isn't known.
        inputs: names of the tensors that it is computed from.
        labels: names that tell where it belongs: its own, those of its module and weights.
        floating: whether it holds floats.
    """

    name: str
    shape: tuple[int, ...]
    inputs: tuple[str, ...]
    labels: tuple[str, ...] = ()
    floating: bool = True


def last_stage(inner: Sequence[Inner], image: str, size: Size) -> tuple[str, str]:
    """Find the layer that ends the backbone.

    Looked at are maps in the image's proportions at the coarsest resolution, and of these the ones
    that no other path goes around (neither the inside of a residual block nor one of several
    branches). If names in the file tell the backbone from the decoder, the last one before the
    decoder is taken, else the last of the widest.

    Args:
        inner: the network's tensors in the order of computation, without the output.
        image: name of the input.
        size: height and width of the input for which the shapes hold.

    Returns:
        The layer's name and why it was taken.

    Raises:
        InputError: there is no such layer.
    """
    live = _live(inner, image)
    sides = _sides(live)
    named = [n for n, t in enumerate(live) if sides[t.name] == {"backbone"} and _stride(t, size)]
    parted = bool(named) and any("decoder" in side for side in sides.values())
    found = named if parted else [n for n, t in enumerate(live) if _stride(t, size)]
    if not found:
        raise InputError("the network has no inner maps to take features from", remedy="name a layer")
    coarsest = max(_stride(live[n], size) for n in found)
    found = [n for n in found if _stride(live[n], size) == coarsest]
    through = _unavoidable(live, image, found)
    kept = [n for n in found if through[n]] or found
    if parted:
        return live[kept[-1]].name, BY_NAMES
    width = max(live[n].shape[1] for n in kept)
    return [live[n].name for n in kept if live[n].shape[1] == width][-1], BY_SHAPE


def unknown_layer(layer: str, names: Iterable[str]) -> InputError:
    """Make the error for a layer that a network lacks; it lists similar names first."""
    known = list(dict.fromkeys(names))
    inside = [name for name in known if layer and layer.casefold() in name.casefold()]
    similar = list(dict.fromkeys([*inside, *get_close_matches(layer, known, _LISTED, 0.5)]))
    rest = [name for name in reversed(known) if name not in similar]
    listed = [*similar, *rest][:_LISTED]
    more = f" and {len(known) - len(listed)} more" if len(known) > len(listed) else ""
    return InputError(f"the network has no layer '{layer}'", remedy=f"it has {', '.join(listed)}{more}")


def _live(inner: Sequence[Inner], image: str) -> list[Inner]:
    """Float tensors that are computed from the image through floats, not from weights or shapes alone."""
    names, kept = {image}, []
    for tensor in inner:
        if tensor.floating and names & set(tensor.inputs):
            names.add(tensor.name)
            kept.append(tensor)
    return kept


def _sides(live: Sequence[Inner]) -> dict[str, set[str]]:
    """For every tensor the parts of the network that it has come through."""
    sides: dict[str, set[str]] = {}
    for tensor in live:
        own = {side for label in tensor.labels if (side := _side(label))}
        sides[tensor.name] = own.union(*(sides.get(name, set()) for name in tensor.inputs))
    return sides


def _side(label: str) -> str:
    for part in re.split(r"[./]", label.casefold()):
        if part in _BACKBONE:
            return "backbone"
        if part in _DECODER:
            return "decoder"
    return ""


def _stride(tensor: Inner, size: Size) -> int:
    """Stride of a map in the image's proportions; 0 for everything else."""
    if len(tensor.shape) != 4:
        return 0
    height, width = tensor.shape[2:]
    if height * width == 1:
        return 0  # gates and global pools
    for stride in _STRIDES:
        if abs(height - size[0] / stride) < 1 and abs(width - size[1] / stride) < 1:
            return stride
    return 0


def _unavoidable(live: Sequence[Inner], image: str, wanted: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Which tensors every path from the image to the wanted tensors passes, in the order of computation."""
    place = {tensor.name: n for n, tensor in enumerate(live)}
    place[image] = -1
    needed = set(wanted)
    for n in range(max(wanted), -1, -1):
        if n in needed:
            needed.update(place[name] for name in live[n].inputs if place.get(name, -1) >= 0)
    # +1 where an edge begins to jump over tensors, -1 where it ends
    jumps = np.zeros(len(live) + 1, np.int64)
    for n in needed:
        for name in live[n].inputs:
            if name in place:
                jumps[place[name] + 1] += 1
                jumps[n] -= 1
    return np.asarray(np.cumsum(jumps)[:-1] == 0)
