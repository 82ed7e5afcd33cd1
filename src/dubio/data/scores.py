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
from dubio.data.score_kind import Opened, check_finite, check_kind, kind_of, most

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
        declared: the user said what kind the scores are.
    """

    key: str | None
    layout: Layout
    kind: ScoreKind
    dtype: str
    n_channels: int
    declared: bool = False


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
    are refused: they are no distribution over classes. What more than half of the files are is taken; odd
    ones are found again, and named, when they are read.

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
        InputError: no files, unreadable or of the wrong shape or type, an ambiguous layout, sigmoid scores,
            or no kind that more than half of the files have.
    """
    if not paths:
        raise InputError("there are no score files")
    chosen = spread(list(paths), sample_limit)
    opened = _open_sound(chosen, key)
    found, guessed = (
        _layout_of(_fitting(opened, n_channels), n_channels) if layout == "auto" else (layout, "")
    )
    axis = 0 if found == "chw" else 2
    opened = most(opened, lambda array: f"{array.shape[axis]} channels")
    count = opened[0][1].shape[axis]
    if n_channels is not None and count not in (n_channels, n_channels + 1):
        also = "" if layout == "auto" else ", or leave the layout to be detected"
        raise InputError(
            f"holds scores of {count} channels for {n_channels} classes",
            path=opened[0][0],
            remedy="name the model's label space and a class map" + also,
        )
    sure, remark = kind_of(opened, axis, kind)
    dtype = str(opened[0][1].dtype)
    notes = [f"scores are {sure}, {dtype}, {count} channels stored as {found.upper()}{guessed}{remark}"]
    if n_channels is not None and count == n_channels + 1:
        notes.append(f"channel {count - 1} has no class: where it wins, the prediction is void")
    return ScoreFormat(key, found, sure, dtype, count, kind != "auto"), notes


def read_scores(path: str | Path, fmt: ScoreFormat) -> npt.NDArray[Any]:
    """Read the class scores of one image.

    Returns:
        ``(C, H, W)`` of the stored float type, not to be written to; mapped into memory for NPY,
        uncompressed NPZ and safetensors; a transposed view for ``"hwc"``.

    Raises:
        InputError: unreadable, not as the format says, of another kind, or with NaN or infinite values.
    """
    path = Path(path)
    array = _three_axes(load_scores(path, fmt.key), path)
    if fmt.layout == "hwc":
        array = np.moveaxis(array, -1, 0)
    if array.shape[0] != fmt.n_channels:
        raise InputError(
            f"has {array.shape[0]} channels where others have {fmt.n_channels}",
            path=path,
            remedy="predict this image with the same model",
        )
    check_finite(array, path)
    if not (fmt.kind == "logits" and fmt.declared):
        check_kind(array, fmt.kind, path)
    return array


def _three_axes(array: npt.NDArray[Any], path: Path) -> npt.NDArray[Any]:
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 3 or 0 in array.shape:
        raise InputError(
            f"has the shape {array.shape}",
            path=path,
            remedy="store scores of the shape (C, H, W), none of it 0",
        )
    if array.dtype.kind != "f":
        remedy = "store float scores, or give label maps with --predictions"
        raise InputError(f"holds values of type {array.dtype}, no scores", path=path, remedy=remedy)
    return array


def _open_sound(paths: Sequence[Path], key: str | None) -> Opened:
    """Open the files that can be used; a few bad ones are found again, and named, when they are read."""
    opened: Opened = []
    fault: InputError | None = None
    for path in paths:
        try:
            array = _three_axes(load_scores(path, key), path)
            check_finite(array, path)
            opened.append((path, array))
        except InputError as error:
            fault = fault or error
    if not opened and fault is not None:
        raise fault
    return opened


def _fitting(opened: Opened, n: int | None) -> Opened:
    """Leave out files whose shape alone doesn't fit, unless they are half of all or more."""
    kept = [item for item in opened if _has_layout(item, n)]
    return kept if 2 * len(kept) > len(opened) else opened


def _has_layout(item: tuple[Path, npt.NDArray[Any]], n: int | None) -> bool:
    try:
        _layout_of([item], n)
    except InputError:
        return False
    return True


def _layout_of(opened: Opened, n: int | None) -> tuple[Layout, str]:
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
