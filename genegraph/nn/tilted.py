r"""The tilted mean: attention with rank-one logits, in linear time, one cell at a time.

With one feature per gene every attention logit is a product ``s_i * y_j`` plus a term ``u_j`` of
the key, so a gene's attention-weighted mean depends on that gene through ONE number, its slope:

.. math::
    m(s) = \frac{\sum_j x_j\, e^{s y_j + u_j}}{\sum_j e^{s y_j + u_j}}, \qquad
    m'(s) = \mathrm{cov}_s(x, y)

where the covariance is taken under the tilted weights :math:`p_j(s) \propto e^{s y_j + u_j}`.
:math:`m` is analytic for :math:`|\mathrm{Im}\, s| < \pi / R`, :math:`R = \max y - \min y`:
there the phases of the terms stay in an open half-plane and their sum cannot vanish.  It is
therefore sampled at Chebyshev nodes and interpolated.

*Windows.*  On an interval of slopes only some keys carry weight that counts: those whose exponent
does not stay ``L`` below the exponent of the key that is heaviest in the middle.  A difference of
two exponents is linear in the slope, so looking at both ends is enough.  The keys kept are a range
``lo..hi`` of the sorted keys.  The bound on the error holds for any weights, so it holds for the
keys kept with the range of those alone: narrow at steep slopes, where the extreme keys win, and
with log-weights that single out keys in the middle (a gaussian kernel).

*Panels.*  The slopes are cut in two until a panel of half-width :math:`h` has
:math:`h R \le 2`, on which one number of nodes, found from the tolerance alone
(:mod:`~genegraph.nn.chebyshev`), is always enough.  A panel with no more slopes than nodes, or
with few pairs of slope and key (a cell of counts), is summed exactly, over all keys whose weight
float64 can hold.  Everything is chosen from the cell's own values, so a result never depends on
the other cells of a batch.

Weights stay logarithms, and sums are taken relative to the heaviest key, so that nothing under-
or overflows.  Functions work on one cell, in float64, without Python objects (numba ``nogil``).
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from genegraph.nn.chebyshev import HALF_WIDTH

Array = np.ndarray[Any, Any]

FEW_PAIRS = 128**2
"""Pairs of slope and key that cost less than finding the distinct values of a cell."""


@numba.njit(cache=True, nogil=True)
def _heaviest(s: float, y: Array, u: Array, lo: int, hi: int) -> int:
    """The key of largest exponent."""
    start = hi - 1 if s >= 0 else lo  # measured from there, differences at steep slopes are exact
    best = start
    most = u[start]
    for j in range(lo, hi):
        exponent = u[j] + s * (y[j] - y[start])
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
    for i in range(first, last):
        if s[order[i]] <= cut:
            order[i], order[middle] = order[middle], order[i]
            middle += 1
    return middle


@numba.njit(cache=True, nogil=True)
def _plan(
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
        low = high = s[order[first]]
        for i in range(first, last):
            low = min(low, s[order[i]])
            high = max(high, s[order[i]])
        half = high / 2 - low / 2
        top = _heaviest(low + half, y, u, lo, hi)
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
def _hopeless(s: Array, y: Array, u: Array) -> bool:
    """Whether a slope, key or weight is infinite or not a number: nothing can be said then."""
    spread = y[-1] - y[0]
    for i in range(len(s)):
        if not abs(s[i]) * max(spread, 1.0) < 1e300:
            return True
    heaviest = -np.inf
    for j in range(len(y)):
        if not u[j] < 1e300:
            return True
        heaviest = max(heaviest, u[j])
    return not heaviest > -1e300


@numba.njit(cache=True, nogil=True)
def _moments(
    s: float, x: Array, y: Array, u: Array, lo: int, hi: int, top: int
) -> tuple[float, float]:
    """Mean of x and covariance of x and y under weights e^(s y + u), over sorted keys lo..hi."""
    z = 0.0
    zx = 0.0
    zy = 0.0
    zxy = 0.0
    for j in range(lo, hi):  # deviations from the heaviest key: no cancellation at steep slopes
        dx = x[j] - x[top]
        dy = y[j] - y[top]
        e = math.exp(u[j] - u[top] + s * dy)
        z += e
        zx += e * dx
        zy += e * dy
        zxy += e * dx * dy
    mean = zx / z
    return x[top] + mean, zxy / z - mean * (zy / z)


@numba.njit(cache=True, nogil=True)
def _add_key_gradient(
    s: float, g: float, x: Array, y: Array, u: Array, lo: int, hi: int, top: int, e: Array,
    out: Array,
) -> None:  # fmt: skip
    """Adds g dm(s)/d(x_j, y_j, u_j) into ``out[:, j]``; ``e`` holds one number per key."""
    z = 0.0
    zx = 0.0
    for j in range(lo, hi):
        e[j] = math.exp(u[j] - u[top] + s * (y[j] - y[top]))
        z += e[j]
        zx += e[j] * (x[j] - x[top])
    mean = zx / z
    for j in range(lo, hi):
        p = g * (e[j] / z)
        pull = p * (x[j] - x[top] - mean)
        out[0, j] += p
        out[1, j] += s * pull
        out[2, j] += pull


@numba.njit(cache=True, nogil=True)
def _interpolate(
    slopes: Array, order: Array, centre: float, half: float, mean: Array, cov: Array, out: Array
) -> None:
    """Clenshaw sums of two Chebyshev series at the slopes of one panel, into ``out[:, i]``."""
    num = len(mean)
    for i in order:
        t = (slopes[i] - centre) / half
        b1 = 0.0
        b2 = 0.0
        d1 = 0.0
        d2 = 0.0
        for k in range(num - 1, 0, -1):
            b1, b2 = 2 * t * b1 - b2 + mean[k], b1
            d1, d2 = 2 * t * d1 - d2 + cov[k], d1
        out[0, i] = t * b1 - b2 + mean[0]
        out[1, i] = t * d1 - d2 + cov[0]


@numba.njit(cache=True, nogil=True)
def _spread_back(
    slopes: Array, order: Array, centre: float, half: float, g: Array, to_coef: Array
) -> Array:
    """The adjoint of interpolation: what each node receives of the slopes' gradients ``g``."""
    num = len(to_coef)
    coef = np.zeros(num)
    for i in order:
        t = (slopes[i] - centre) / half
        before = 1.0
        now = t
        coef[0] += g[i]
        for k in range(1, num):
            coef[k] += g[i] * now
            before, now = now, 2 * t * now - before
    out = np.zeros(num)
    for k in range(num):
        for n in range(num):
            out[n] += coef[k] * to_coef[k, n]
    return out


@numba.njit(cache=True, nogil=True)
def tilted_mean(
    s: Array, x: Array, y: Array, u: Array, tolerance: float, nodes: Array, to_coef: Array
) -> Array:
    """Returns ``[m(s); m'(s)]``, shape ``[2, num_slopes]``, for keys sorted by ``y``."""
    out = np.full((2, len(s)), np.nan)
    if _hopeless(s, y, u):
        return out
    mean_at = np.empty(len(nodes))
    cov_at = np.empty(len(nodes))
    order, panels = _plan(s, y, u, tolerance, len(nodes))
    for few, first, last, lo, hi, top, low, high in panels:
        mine = order[first:last]
        if few:
            for i in mine:
                heaviest = _heaviest(s[i], y, u, lo, hi)
                out[0, i], out[1, i] = _moments(s[i], x, y, u, lo, hi, heaviest)
            continue
        half = high / 2 - low / 2
        if half == 0:
            mean, cov = _moments(low, x, y, u, lo, hi, top)
            out[0, mine] = mean
            out[1, mine] = cov
            continue
        for n in range(len(nodes)):
            slope = low + half + half * nodes[n]
            mean_at[n], cov_at[n] = _moments(slope, x, y, u, lo, hi, top)
        _interpolate(s, mine, low + half, half, to_coef @ mean_at, to_coef @ cov_at, out)
    return out


@numba.njit(cache=True, nogil=True)
def tilted_mean_key_gradient(
    s: Array, g: Array, x: Array, y: Array, u: Array, tolerance: float, nodes: Array, to_coef: Array
) -> Array:
    """Returns sum_i g_i dm(s_i)/d(x_j, y_j, u_j), shape ``[3, num_keys]``."""
    out = np.zeros((3, len(y)))
    if _hopeless(s, y, u):
        out[:] = np.nan
        return out
    e = np.empty(len(y))
    order, panels = _plan(s, y, u, tolerance, len(nodes))
    for few, first, last, lo, hi, top, low, high in panels:
        mine = order[first:last]
        half = high / 2 - low / 2
        if few:
            for i in mine:
                heaviest = _heaviest(s[i], y, u, lo, hi)
                _add_key_gradient(s[i], g[i], x, y, u, lo, hi, heaviest, e, out)
        elif half == 0:
            _add_key_gradient(low, g[mine].sum(), x, y, u, lo, hi, top, e, out)
        else:
            at_nodes = _spread_back(s, mine, low + half, half, g, to_coef)
            for n in range(len(nodes)):
                slope = low + half + half * nodes[n]
                _add_key_gradient(slope, at_nodes[n], x, y, u, lo, hi, top, e, out)
    return out
