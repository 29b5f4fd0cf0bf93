"""Which slopes of a cell share a panel, and which keys count there (:mod:`genegraph.nn.tilted`)."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from genegraph.nn.chebyshev import CHUNK, HALF_WIDTH

Array = np.ndarray[Any, Any]

FEW_PAIRS = 128**2
"""Pairs of slope and key that are summed one by one: less than finding a cell's distinct values."""


# The largest of numbers may be sought in any order: there is no NaN among them (``hopeless``).
@numba.njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _largest_exponent(s: float, y: Array, u: Array, origin: float) -> float:
    largest = -np.inf
    for j in range(len(y)):
        largest = max(largest, u[j] + s * (y[j] - origin))
    return largest


@numba.njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _extent(s: Array, mine: Array) -> tuple[float, float]:
    """The lowest and the highest of some slopes."""
    low = high = s[mine[0]]
    for i in mine:
        low = min(low, s[i])
        high = max(high, s[i])
    return low, high


@numba.njit(cache=True, nogil=True)
def heaviest(s: float, y: Array, u: Array, lo: int, hi: int) -> int:
    """The key of largest exponent."""
    start = hi - 1 if s >= 0 else lo  # measured from there, differences at steep slopes are exact
    origin = y[start]
    first = lo
    most = -np.inf
    for j in range(lo, hi, CHUNK):
        end = min(j + CHUNK, hi)
        largest = _largest_exponent(s, y[j:end], u[j:end], origin)
        if largest > most:
            most = largest
            first = j
    best = start
    most = u[start]
    for j in range(first, min(first + CHUNK, hi)):
        exponent = u[j] + s * (y[j] - origin)
        if exponent > most:
            most = exponent
            best = j
    return best


@numba.njit(cache=True, nogil=True)
def _window(
    low: float, high: float, y: Array, u: Array, lo: int, hi: int, top: int, reach: float
) -> tuple[int, int]:
    """The keys among lo..hi that count at some slope from ``low`` to ``high``."""
    # Below the top key the lower slope is the kinder one, above it the higher.
    while lo < top and u[lo] - u[top] + low * (y[lo] - y[top]) < -reach:
        lo += 1
    while hi - 1 > top and u[hi - 1] - u[top] + high * (y[hi - 1] - y[top]) < -reach:
        hi -= 1
    return lo, hi


@numba.njit(cache=True, nogil=True)
def _split(s: Array, order: Array, first: int, last: int, cut: float) -> int:
    """Moves slopes up to ``cut`` to the front of ``order[first:last]``; where the others begin."""
    middle = first
    for i in range(first, last):  # no branch: no guess of the processor's can be wrong
        this = order[i]
        order[i] = order[middle]
        order[middle] = this
        middle += s[this] <= cut
    return middle


@numba.njit(cache=True, nogil=True)
def plan(
    s: Array, y: Array, u: Array, tolerance: float, num_nodes: int
) -> tuple[Array, list[tuple[bool, int, int, int, int, int, float, float]]]:
    """Cuts the slopes into panels.

    Returns an order of the slopes, and of each panel: whether it is summed exactly, where its
    slopes begin and end in that order, the range of keys that count, the heaviest of them in the
    middle, and the lowest and highest slope.
    """
    # A millionth of the tolerance: what is dropped must not matter to small gradients either.
    reach = math.log(len(y)) + math.log(16e6 / tolerance)
    furthest = max(reach, 700.0)  # what lies lower still is lost to float64 anyway
    order = np.arange(len(s))
    panels = []
    waiting = [(0, len(s), 0, len(y))]
    while len(waiting) > 0:
        first, last, lo, hi = waiting.pop()
        low, high = _extent(s, order[first:last])
        half = high / 2 - low / 2
        top = heaviest(low + half, y, u, lo, hi)
        lo, hi = _window(low, high, y, u, lo, hi, top, furthest)
        few = last - first <= num_nodes or (last - first) * (hi - lo) <= FEW_PAIRS
        if few:
            panels.append((True, first, last, lo, hi, top, low, high))
            continue
        near_lo, near_hi = _window(low, high, y, u, lo, hi, top, reach)
        needed = np.ceil(half * (y[near_hi - 1] - y[near_lo]) / HALF_WIDTH - 1e-9)
        if needed <= 1:
            panels.append((False, first, last, near_lo, near_hi, top, low, high))
            continue
        cut = low + 2 * half * (np.floor(needed / 2) / needed)
        if not low <= cut < high:  # neighbouring numbers: rounding left nothing between them
            cut = low
        middle = _split(s, order, first, last, cut)
        waiting.append((first, middle, lo, hi))
        waiting.append((middle, last, lo, hi))
    return order, panels


@numba.njit(cache=True, nogil=True)
def hopeless(s: Array, y: Array, u: Array) -> bool:
    """Whether a slope, key or weight is infinite or not a number: nothing can be said then."""
    spread = max(y[-1] - y[0], 1.0)
    bad = 0
    for i in range(len(s)):
        bad += not abs(s[i]) * spread < 1e300
    most = -np.inf
    for j in range(len(y)):
        bad += not u[j] < 1e300
        bad += not abs(y[j]) < 1e300
        most = max(most, u[j])
    return bad > 0 or not most > -1e300
