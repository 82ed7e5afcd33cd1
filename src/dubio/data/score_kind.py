"""What class scores are: logits or probabilities, the same in all files, and finite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.records import ScoreKind

Opened = list[tuple[Path, npt.NDArray[Any]]]
_SIGMOID = "scores in [0, 1] that don't sum to 1"
_ROWS = 64


def most(opened: Opened, trait: Callable[[npt.NDArray[Any]], str]) -> Opened:
    """Keep the files that agree in a trait, if they are more than half.

    Raises:
        InputError: no trait is that of more than half.
    """
    traits = [trait(array) for _, array in opened]
    (first, count), *others = Counter(traits).most_common()
    if 2 * count <= len(opened):
        one, other = opened[traits.index(first)][0], opened[traits.index(others[0][0])][0]
        raise InputError(
            f"the files are of different kinds: {first} here, {others[0][0]} in {other.name}",
            path=one,
            remedy="keep one kind of scores in the folder",
        )
    return [item for item, found in zip(opened, traits, strict=True) if found == first]


def kind_of(opened: Opened, axis: int, kind: str) -> tuple[ScoreKind, str]:
    """Decide what the scores are.

    Args:
        opened: files with their arrays.
        axis: axis of the channels.
        kind: ``"auto"``, or what the user says they are.

    Returns:
        The kind, and a remark to be appended to a sentence.

    Raises:
        InputError: no kind that more than half of the files have, sigmoid scores, or not as the user says.
    """
    looks = [_looks(array, axis) for _, array in opened]
    found = [look for look, _ in looks]
    unit = found.count("probabilities")
    if kind == "logits":
        doubt = ", although channels sum to 1" if unit == len(found) else ""
        return "logits", f"; the kind is as you said{doubt}"
    if 2 * unit > len(found):
        remark = "; the kind is as you said" if kind != "auto" else ""
        return "probabilities", remark + _odd(len(found) - unit, len(found))
    bad = next(n for n, look in enumerate(found) if look != "probabilities")
    path, sums = opened[bad][0], looks[bad][1]
    if kind == "probabilities":
        raise InputError(
            f"holds no probabilities: channels sum to {sums}",
            path=path,
            remedy="say that they are logits, or store the softmax",
        )
    if 2 * unit == len(found):
        other = opened[found.index("probabilities")][0].name
        raise InputError(
            f"holds {found[bad]}, but {other} probabilities", path=path, remedy="keep one kind in the folder"
        )
    if "logits" not in found:
        raise InputError(
            f"holds scores in [0, 1] whose channels sum to {sums}, like sigmoid scores",
            path=path,
            remedy="store the softmax or the logits, or say that they are logits",
        )
    return "logits", _odd(unit, len(found))


def _odd(count: int, of: int) -> str:
    return f"; {count} of {of} looked at are not" if count else ""


def _looks(array: npt.NDArray[Any], axis: int) -> tuple[str, str]:
    """What the values look like, and the range of the sums over channels in words."""
    # float16 softmax is off by a percent over many classes; float32 by far less than a thousandth.
    tolerance = 1e-2 if array.dtype.itemsize == 2 else 1e-3
    with np.errstate(over="ignore"):
        total = array.sum(axis=axis, dtype=np.float32)
    sums = f"{float(total.min()):.3g} … {float(total.max()):.3g}"
    if float(array.min()) < -tolerance or float(array.max()) > 1 + tolerance:
        return "logits", sums
    return ("probabilities" if bool((np.abs(total - 1) <= tolerance).all()) else _SIGMOID), sums


def check_kind(array: npt.NDArray[Any], kind: ScoreKind, path: Path) -> None:
    """Refuse scores ``(C, H, W)`` of another kind than the others; some rows are enough to see it.

    Raises:
        InputError: no probabilities where the others are, or the reverse.
    """
    if len(array) < 2:
        return
    look, sums = _looks(array[:, :: max(1, array.shape[1] // _ROWS)], 0)
    if kind == "probabilities" and look != "probabilities":
        raise InputError(
            f"holds no probabilities, as the others do: channels sum to {sums}",
            path=path,
            remedy="store the softmax over the classes",
        )
    if kind == "logits" and look == "probabilities":
        raise InputError(
            "holds probabilities where the others hold logits",
            path=path,
            remedy="store one kind, or say what they are with --scores-kind",
        )


def check_finite(array: npt.NDArray[Any], path: Path) -> None:
    """Refuse NaN and infinity; looks at the exponent bits, which is much faster than ``isfinite``.

    Raises:
        InputError: some value is not finite.
    """
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
