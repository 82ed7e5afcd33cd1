"""Label Studio's brush masks: run lengths packed into bits.

A brush mask is an RGBA picture of which only alpha counts. Its bytes are packed as: 32 bits number of values,
5 bits word size - 1, four times 4 bits size of a length - 1; then per run one bit (1: one value repeated, 0:
values one by one), two bits that choose the size of the length, the length - 1, and the value or values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.handover.rle import check_size, run_lengths

Bools = npt.NDArray[np.bool_]
_WORD = 8
_SIZES = (3, 4, 8, 16)
_LONGEST = 1 << _SIZES[-1]
_CHANNELS = 4


def to_brush(mask: Bools) -> list[int]:
    """Bytes of a mask ``(H, W)`` as Label Studio stores them.

    >>> len(to_brush(np.ones((3, 5), bool)))
    9
    """
    parts = [f"{mask.size * _CHANNELS:032b}", f"{_WORD - 1:05b}", *(f"{size - 1:04b}" for size in _SIZES)]
    for place, length in enumerate(run_lengths(mask.ravel())):
        value = "1" * _WORD if place % 2 else "0" * _WORD
        rest = length * _CHANNELS
        while rest > 0:
            part = min(rest, _LONGEST)
            choice = next(k for k, size in enumerate(_SIZES) if part <= 1 << size)
            parts.append(f"1{choice:02b}{part - 1:0{_SIZES[choice]}b}{value}")
            rest -= part
    bits = "".join(parts)
    bits += "0" * (-len(bits) % 8)
    return list(int(bits, 2).to_bytes(len(bits) // 8, "big"))


class _Bits:
    """Reads numbers from bytes, bit by bit."""

    def __init__(self, data: Sequence[int]) -> None:
        self.bits = np.unpackbits(np.array(data, dtype=np.uint8))
        self.at = 0

    def take(self, count: int) -> npt.NDArray[np.uint8]:
        part = self.bits[self.at : self.at + count]
        if len(part) < count:
            raise InputError("a brush mask breaks off")
        self.at += count
        return part

    def number(self, size: int) -> int:
        value = 0
        for bit in self.take(size).tolist():
            value = value << 1 | bit
        return value

    def numbers(self, count: int, size: int) -> npt.NDArray[np.int64]:
        table = self.take(count * size).reshape(count, size).astype(np.int64)
        return table @ (1 << np.arange(size - 1, -1, -1))


def from_brush(data: Sequence[int], shape: tuple[int, int]) -> Bools:
    """Mask ``(H, W)`` of a brush; a pixel belongs to it where alpha is above half.

    Args:
        data: the bytes, as numbers 0 … 255.
        shape: height and width of the picture.

    Raises:
        InputError: truncated, or of another size.
    """
    try:
        source = _Bits(data)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"a brush mask is malformed ({error})") from error
    check_size(*shape)
    total, word = source.number(32), source.number(5) + 1
    sizes = [source.number(4) + 1 for _ in range(4)]
    if total != shape[0] * shape[1] * _CHANNELS:
        raise InputError(f"a brush mask has {total // _CHANNELS} pixels, not {shape[0]} x {shape[1]}")
    values = np.zeros(total, np.int64)
    at = 0
    while at < total:
        repeated = source.number(1)
        length = source.number(sizes[source.number(2)]) + 1
        if at + length > total:
            raise InputError("a brush mask has more values than it says")
        values[at : at + length] = source.number(word) if repeated else source.numbers(length, word)
        at += length
    alpha = values.reshape(*shape, _CHANNELS)[..., -1]
    return np.asarray(alpha > (1 << word) // 2 - 1)
