"""Class scores of a model, one file per image: what they are, and reading them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.records import ScoreKind
from dubio.data.infer import spread
from dubio.data.resize import resize_scores
from dubio.data.score_files import SCORE_SUFFIXES, load_scores

__all__ = ["SCORE_SUFFIXES", "ScoreFormat", "detect_scores", "load_scores", "read_scores", "resize_scores"]
Layout = Literal["chw", "hwc"]


@dataclass(frozen=True)
class ScoreFormat:
    """How class scores are stored.

    Args:
        key: name of the array in NPZ and safetensors files; ``None``: the only one.
        layout: ``"chw"`` or ``"hwc"``.
        kind: ``"logits"`` or ``"probabilities"``.
        dtype: name of the stored type.
        n_channels: number of channels K.
    """

    key: str | None
    layout: Layout
    kind: ScoreKind
    dtype: str
    n_channels: int


def detect_scores(
    paths: Sequence[Path],
    n_channels: int | None,
    *,
    layout: Literal["auto", "chw", "hwc"] = "auto",
    kind: Literal["auto", "logits", "probabilities"] = "auto",
    key: str | None = None,
    sample_limit: int = 4,
) -> tuple[ScoreFormat, list[str]]:
    """Find out layout, kind and type of score files by looking at a few.

    Scores are probabilities if all lie in [0, 1] and the channels of every pixel sum to 1, within the
    tolerance that the stored type asks for; otherwise logits. Values in [0, 1] that do not sum to 1
    are refused: they are no distribution over classes.

    Args:
        paths: the files.
        n_channels: number of classes; one channel more is accepted (what has no class). ``None``: the
            channel axis is the smaller of first and last.
        layout: ``"auto"``, or what it is.
        kind: ``"auto"``, or what it is; ``"probabilities"`` is still checked.
        key: name of the array in NPZ and safetensors files.
        sample_limit: how many files are looked at, evenly spread.

    Returns:
        The format, and sentences for the user.

    Raises:
        InputError: no files, unreadable or of the wrong shape or type, an ambiguous layout, sigmoid scores.
    """
    if not paths:
        raise InputError("there are no score files")
    chosen = spread(list(paths), sample_limit)
    opened = _open_sound(chosen, key)
    found, guessed = _layout_of(opened, n_channels) if layout == "auto" else (layout, "")
    channels = {path: array.shape[0 if found == "chw" else 2] for path, array in opened}
    counts = set(channels.values())
    if len(counts) > 1:
        raise InputError(
            f"score files have {' and '.join(map(str, sorted(counts)))} channels", path=chosen[0]
        )
    count = counts.pop()
    if n_channels is not None and count not in (n_channels, n_channels + 1):
        raise InputError(
            f"scores have {count} channels for {n_channels} classes",
            path=chosen[0],
            remedy="name the model's label space and a class map",
        )
    sure: ScoreKind = _kind_of(opened, found, kind)
    dtype = str(opened[0][1].dtype)
    said = f"as {found.upper()}{guessed}"
    notes = [f"scores are {sure}, {dtype}, {count} channels stored {said}"]
    if kind != "auto":
        notes[0] += "; the kind is as you said"
    if n_channels is not None and count == n_channels + 1:
        notes.append(f"channel {count - 1} has no class: where it wins, the prediction is void")
    return ScoreFormat(key, found, sure, dtype, count), notes


def read_scores(path: str | Path, fmt: ScoreFormat) -> npt.NDArray[Any]:
    """Read the class scores of one image.

    Returns:
        ``(C, H, W)`` of the stored float type, not to be written to; mapped into memory for NPY,
        uncompressed NPZ and safetensors; a transposed view for ``"hwc"``.

    Raises:
        InputError: unreadable, not as the format says, or with NaN or infinite values.
    """
    path = Path(path)
    array = _three_axes(load_scores(path, fmt.key), path)
    if fmt.layout == "hwc":
        array = np.moveaxis(array, -1, 0)
    if array.shape[0] != fmt.n_channels:
        raise InputError(f"has {array.shape[0]} channels where others have {fmt.n_channels}", path=path)
    _check_finite(array, path)
    return array


def _three_axes(array: npt.NDArray[Any], path: Path) -> npt.NDArray[Any]:
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 3 or 0 in array.shape:
        raise InputError(f"has the shape {array.shape}", path=path, remedy="scores have the shape (C, H, W)")
    if array.dtype.kind != "f":
        remedy = "store float scores, or give label maps as predictions"
        raise InputError(f"holds {array.dtype} values", path=path, remedy=remedy)
    return array


def _open_sound(paths: Sequence[Path], key: str | None) -> list[tuple[Path, npt.NDArray[Any]]]:
    """Open the files that can be used; a few bad ones are found again, and named, when they are read."""
    opened: list[tuple[Path, npt.NDArray[Any]]] = []
    fault: InputError | None = None
    for path in paths:
        try:
            array = _three_axes(load_scores(path, key), path)
            _check_finite(array, path)
            opened.append((path, array))
        except InputError as error:
            fault = fault or error
    if not opened and fault is not None:
        raise fault
    return opened


def _layout_of(opened: Sequence[tuple[Path, npt.NDArray[Any]]], n: int | None) -> tuple[Layout, str]:
    first = {array.shape[0] for _, array in opened}
    last = {array.shape[2] for _, array in opened}
    if n is not None:
        smallest = all(min(array.shape) == array.shape[2] for _, array in opened)
        for count in (n, n + 1):
            chw = first == {count}
            # One channel more than classes at the end may as well be the width of a small map.
            hwc = last == {count} and (count == n or smallest)
            if chw and hwc:
                return "chw", " (both axes have that length; say so if it is HWC)"
            if chw or hwc:
                return ("chw", "") if chw else ("hwc", "")
        shape = opened[0][1].shape
        raise InputError(
            f"scores of shape {shape} have no axis of {n} classes",
            path=opened[0][0],
            remedy="name the model's label space and a class map",
        )
    if max(first) < min(last):
        return "chw", " (the shortest axis)"
    if max(last) < min(first):
        return "hwc", " (the shortest axis)"
    raise InputError(
        f"scores of shape {opened[0][1].shape} don't show their channel axis",
        path=opened[0][0],
        remedy="name the layout: chw or hwc",
    )


def _kind_of(opened: Sequence[tuple[Path, npt.NDArray[Any]]], layout: str, kind: str) -> ScoreKind:
    if kind == "logits":
        return "logits"
    axis = 0 if layout == "chw" else 2
    all_unit, all_sum = True, True
    low_sum, high_sum = np.inf, -np.inf
    for _, array in opened:
        # float16 softmax is off by a percent over many classes; float32 by far less than a thousandth.
        tolerance = 1e-2 if array.dtype.itemsize == 2 else 1e-3
        total = array.sum(axis=axis, dtype=np.float32)
        low_sum, high_sum = min(low_sum, float(total.min())), max(high_sum, float(total.max()))
        all_unit &= float(array.min()) >= -tolerance and float(array.max()) <= 1 + tolerance
        all_sum &= bool((np.abs(total - 1) <= tolerance).all())
    if all_unit and all_sum:
        return "probabilities"
    if kind == "probabilities":
        raise InputError(
            f"scores are no probabilities: channels sum to {low_sum:.3g} … {high_sum:.3g}",
            path=opened[0][0],
            remedy="say that they are logits, or store the softmax",
        )
    if all_unit:
        raise InputError(
            f"scores lie in [0, 1] but channels sum to {low_sum:.3g} … {high_sum:.3g}, like sigmoid scores",
            path=opened[0][0],
            remedy="store the softmax or the logits, or say that they are logits",
        )
    return "logits"


def _check_finite(array: npt.NDArray[Any], path: Path) -> None:
    """Refuse NaN and infinity; looks at the exponent bits, which is much faster than ``isfinite``."""
    bits = array.dtype.itemsize * 8
    if bits not in (16, 32, 64):
        broken = not bool(np.isfinite(array).all())
    else:
        unsigned = np.dtype(f"u{bits // 8}").newbyteorder(array.dtype.byteorder)
        exponent = {16: 0x7C00, 32: 0x7F800000, 64: 0x7FF0000000000000}[bits]
        mask = unsigned.type(exponent)
        whole = array if array.flags.c_contiguous else np.moveaxis(array, 0, -1)
        broken = any(bool(((part.view(unsigned) & mask) == mask).any()) for part in whole)
    if broken:
        raise InputError(
            "holds NaN or infinite scores", path=path, remedy="run the model again on this image"
        )
