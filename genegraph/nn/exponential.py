r"""Exponentials that a loop over a contiguous array computes several at a time.

numba calls the C library's ``exp``, once per element.  These are branch-free arithmetic, put in
line wherever they are called, so that LLVM turns the loop around them into vector instructions:

.. math::
    e^x = 2^k e^r, \qquad k = \mathrm{round}(x / \ln 2), \quad |r| \le \ln 2 / 2, \qquad
    e^r = 1 + r + r^2 q(r)

with :math:`q` the Chebyshev interpolant of :math:`(e^r - 1 - r) / r^2` on that interval.  Adding
1.5 times the largest power of two whose neighbours are whole numbers rounds :math:`x / \ln 2`
and leaves :math:`k` in the low bits, from where a shift makes it the exponent of :math:`2^k`.

For arguments a softmax has, its largest subtracted: at most 0, of any size, ``-inf`` too.  A NaN
stays one.  (Up to 88 and 709 they are right as well, beyond they are not.)
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.extending import overload

_LOG2_E_32 = np.float32(1.4426950408889634)
_LN2_HIGH_32 = np.float32(0.693145751953125)  # few bits, so that k times it is exact
_LN2_LOW_32 = np.float32(1.428606820309417e-06)
_ROUNDER_32 = np.float32(1.5 * 2**23)
_LOWEST_32 = np.float32(-87.3)
_ZERO_32, _ONE_32 = np.float32(0), np.float32(1)
_BIAS_32, _MANTISSA_32 = np.int32(127), np.int32(23)
_Q_32 = tuple(
    np.float32(c)
    for c in (0.0013926249, 0.008363231, 0.041666552, 0.16666576, 0.5)  # highest power first
)

_LOG2_E_64 = 1.4426950408889634
_LN2_HIGH_64 = 0.6931471803691238
_LN2_LOW_64 = 1.9082149292705877e-10
_ROUNDER_64 = 1.5 * 2**52
_LOWEST_64 = -708.0
_Q_64 = (
    2.5100470238808523e-08, 2.762019864323475e-07, 2.7557268281679976e-06, 2.480152106407653e-05,
    0.00019841269863168478, 0.0013888888917363079, 0.008333333333330039, 0.04166666666662383,
    0.16666666666666669, 0.5000000000000001,
)  # fmt: skip


# Multiplications and additions may fuse; nothing may be reordered, the rounding depends on it.
@numba.njit(cache=True, nogil=True, forceinline=True, fastmath={"contract"})
def exp_float32(x: np.float32) -> np.float32:
    """Returns e^x to a relative 1e-7; 0 below -87.3."""
    inside = _LOWEST_32 if x < _LOWEST_32 else x
    shifted = inside * _LOG2_E_32 + _ROUNDER_32
    k = shifted - _ROUNDER_32
    r = (inside - k * _LN2_HIGH_32) - k * _LN2_LOW_32
    q = _ZERO_32
    for c in _Q_32:
        q = q * r + c
    bits = np.float32(shifted).view(np.int32) + _BIAS_32
    power = np.int32(bits << _MANTISSA_32).view(np.float32)
    return _ZERO_32 if x < _LOWEST_32 else ((r * r) * q + r + _ONE_32) * power


@numba.njit(cache=True, nogil=True, forceinline=True, fastmath={"contract"})
def exp_float64(x: float) -> float:
    """Returns e^x to a relative 3e-16; 0 below -708."""
    inside = _LOWEST_64 if x < _LOWEST_64 else x
    shifted = inside * _LOG2_E_64 + _ROUNDER_64
    k = shifted - _ROUNDER_64
    r = (inside - k * _LN2_HIGH_64) - k * _LN2_LOW_64
    q = 0.0
    for c in _Q_64:
        q = q * r + c
    bits = np.float64(shifted).view(np.int64) + 1023
    power = np.int64(bits << 52).view(np.float64)
    return 0.0 if x < _LOWEST_64 else ((r * r) * q + r + 1.0) * power


def exp(x: Any) -> Any:
    """In a kernel: the one of the two that is made for the type of ``x``."""
    return exp_float32(np.float32(x)) if isinstance(x, np.float32) else exp_float64(x)


@overload(exp, strict=False, jit_options={"forceinline": True})
def _exp(x: Any) -> Any:
    if x == numba.float32:
        return lambda x: exp_float32(x)
    return lambda x: exp_float64(x)
