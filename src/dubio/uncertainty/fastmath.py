"""Exponential and logarithm in single precision that the compiler can vectorise.

numba calls the C library for ``exp`` and ``log``, one value at a time. The polynomials below keep
relative errors under 3e-7 and let one core process 8 or 16 values at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

_F = np.float32
_LOG2E = _F(1.4426950408889634)
_HALF = _F(0.5)
_ONE = _F(1.0)
_LOWEST = _F(-87.0)
# ln 2 in two parts, so that n * ln 2 keeps its digits (Cody and Waite, 1980)
_LN2_HIGH = _F(0.693359375)
_LN2_LOW = _F(-2.12194440e-4)
_SQRT2 = _F(1.4142135623730951)
# Taylor coefficients of exp on |r| <= ln(2)/2, the last ones adjusted for the interval
_E2, _E3, _E4, _E5, _E6 = (_F(v) for v in (0.5, 1 / 6, 4.1666674e-2, 8.3333394e-3, 1.3888397e-3))
# log(1 + f) = 2 atanh(s), s = f / (2 + f): odd series in s
_A3, _A5, _A7, _A9 = (_F(v) for v in (2 / 3, 2 / 5, 2 / 7, 2 / 9))
_TWO = _F(2.0)
_I32 = ir.IntType(32)
_F32 = ir.FloatType()


@intrinsic
def _power_of_two(typingctx: Any, n: Any) -> Any:
    """2**n as float32 for an int32 n in -126 … 127, by writing the exponent bits."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        biased = builder.add(args[0], ir.Constant(_I32, 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(_I32, 23)), _F32)

    return types.float32(types.int32), codegen


@intrinsic
def _exponent(typingctx: Any, x: Any) -> Any:
    """Exponent of a positive float32, as float32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], _I32)
        value = builder.sub(builder.lshr(bits, ir.Constant(_I32, 23)), ir.Constant(_I32, 127))
        return builder.sitofp(value, _F32)

    return types.float32(types.float32), codegen


@intrinsic
def _mantissa(typingctx: Any, x: Any) -> Any:
    """Mantissa in [1, 2) of a positive float32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], _I32)
        kept = builder.and_(bits, ir.Constant(_I32, 0x7FFFFF))
        return builder.bitcast(builder.or_(kept, ir.Constant(_I32, 0x3F800000)), _F32)

    return types.float32(types.float32), codegen


@njit(cache=True, nogil=True, inline="always")
def exp_negative(x: Any) -> Any:
    """``exp(x)`` of a float32 ``x <= 0``; below -87 it stays at exp(-87), about 1e-38."""
    x = max(x, _LOWEST)
    n = np.int32(x * _LOG2E - _HALF)
    k = np.float32(n)
    r = x - k * _LN2_HIGH
    r = r - k * _LN2_LOW
    p = _ONE + r * (_ONE + r * (_E2 + r * (_E3 + r * (_E4 + r * (_E5 + r * _E6)))))
    return p * _power_of_two(n)


@njit(cache=True, nogil=True, inline="always")
def log_positive(x: Any) -> Any:
    """``log(x)`` of a normal float32 ``x > 0``."""
    e = _exponent(x)
    m = _mantissa(x)
    big = m > _SQRT2
    m = m * _HALF if big else m
    e = e + _ONE if big else e
    f = m - _ONE
    s = f / (_TWO + f)
    z = s * s
    return e * (_LN2_HIGH + _LN2_LOW) + s * (_TWO + z * (_A3 + z * (_A5 + z * (_A7 + z * _A9))))
