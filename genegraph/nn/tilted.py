r"""The tilted mean: attention with rank-one logits, in linear time, one cell at a time.

With one feature per gene every attention logit is a product ``s_i * y_j`` (plus a term ``u_j``
of the key), so a gene's attention-weighted mean depends on that gene through ONE number, its
slope:

.. math::
    m(s) = \frac{\sum_j w_j\, x_j\, e^{s y_j}}{\sum_j w_j\, e^{s y_j}},
    \qquad w_j = e^{u_j}, \qquad
    m'(s) = \mathrm{cov}_s(x, y)

where the covariance is taken under the tilted weights :math:`p_j(s) \propto w_j e^{s y_j}`.
:math:`m` is analytic for :math:`|\mathrm{Im}\, s| < \pi / R`, :math:`R = \max y - \min y`:
there the phases of the terms stay in an open half-plane and their sum cannot vanish.  It is
therefore sampled at Chebyshev nodes and interpolated.

*Panels.*  The axis of slopes is cut into panels of half-width ``2 / R(s)``, on which one number
of nodes, found from the tolerance alone (:mod:`~genegraph.nn.chebyshev`), is always enough.
Far from zero only keys within ``L / |s|`` of the largest ``s * y`` carry weight that counts, so
the range shrinks, ``R(s) = min(R, L / |s|)``, and panels grow with ``|s|``.  A panel asked for
no more slopes than it has nodes is summed exactly.  Everything is chosen from the cell's own
values, so a result never depends on the other cells of a batch.

Functions work on one cell, in float64, without Python objects (numba ``nogil``); the four at
the end loop over cells.  They share this file because numba's cache of a function notices
changes in its own file only.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from genegraph.nn.chebyshev import HALF_WIDTH

Array = np.ndarray[Any, Any]


@numba.njit(cache=True, nogil=True)
def _moments(s: float, x: Array, y: Array, w: Array, lo: int, hi: int) -> tuple[float, float]:
    """Mean of x and covariance of x and y under weights w e^(s y), over sorted keys lo..hi."""
    top = hi - 1 if s >= 0 else lo
    x0 = x[top]
    y0 = y[top]
    z = 0.0
    zx = 0.0
    zy = 0.0
    zxy = 0.0
    for j in range(lo, hi):  # deviations from the heaviest key: no cancellation at steep slopes
        dx = x[j] - x0
        dy = y[j] - y0
        e = w[j] * math.exp(s * dy)
        z += e
        zx += e * dx
        zy += e * dy
        zxy += e * dx * dy
    mean = zx / z
    return x0 + mean, zxy / z - mean * (zy / z)


@numba.njit(cache=True, nogil=True)
def _reach(y: Array, w: Array, top: int, tolerance: float) -> float:
    """L: keys whose exponent lies this far below the top key's carry no weight that counts."""
    total = 0.0
    for j in range(len(w)):
        total += w[j]
    # A millionth of the tolerance: what is dropped must not matter to small gradients either.
    relative = max(total, 1e-300) / max(w[top], 1e-300)
    return max(1.0, math.log(relative) + math.log(16e6 / tolerance))


@numba.njit(cache=True, nogil=True)
def _num_panels(largest: float, spread: float, reach: float) -> int:
    """How many panels lead from slope 0 out to a slope of size ``largest``."""
    edge = 0.0
    count = 0
    while edge < largest or count == 0:
        edge += 2 * HALF_WIDTH * max(1 / spread, edge / reach)
        count += 1
    return count


@numba.njit(cache=True, nogil=True)
def _edges(spread: float, reach: float, count: int) -> Array:
    edges = np.zeros(count + 1)
    for k in range(count):
        edges[k + 1] = edges[k] + 2 * HALF_WIDTH * max(1 / spread, edges[k] / reach)
    return edges


@numba.njit(cache=True, nogil=True)
def _window(y: Array, sign: float, inner: float, reach: float) -> tuple[int, int]:
    """The sorted keys that count on a panel whose edge nearest zero is ``sign * inner``."""
    n = len(y)
    if inner <= 0:
        return 0, n
    if sign > 0:
        return np.searchsorted(y, y[n - 1] - reach / inner), n
    return 0, np.searchsorted(y, y[0] + reach / inner, side="right")


@numba.njit(cache=True, nogil=True)
def _group(s: Array, sign: float, edges: Array) -> tuple[Array, Array]:
    """Sorts the slopes of one sign into panels: ``order[start[k]:start[k + 1]]`` is panel k."""
    panels = len(edges) - 1
    start = np.zeros(panels + 1, np.int64)
    panel = np.full(len(s), -1, np.int64)
    for i in range(len(s)):
        if (s[i] >= 0) == (sign > 0):
            k = min(np.searchsorted(edges, abs(s[i]), side="right") - 1, panels - 1)
            panel[i] = k
            start[k + 1] += 1
    for k in range(panels):
        start[k + 1] += start[k]
    fill = start[:-1].copy()
    order = np.empty(start[panels], np.int64)
    for i in range(len(s)):
        if panel[i] >= 0:
            order[fill[panel[i]]] = i
            fill[panel[i]] += 1
    return order, start


@numba.njit(cache=True, nogil=True)
def _interpolate(
    slopes: Array, order: Array, centre: float, half: float, mean: Array, var: Array, out: Array
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
            d1, d2 = 2 * t * d1 - d2 + var[k], d1
        out[0, i] = t * b1 - b2 + mean[0]
        out[1, i] = t * d1 - d2 + var[0]


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
def _add_key_gradient(
    s: float, g: float, x: Array, y: Array, w: Array, lo: int, hi: int, out: Array
) -> None:
    """Adds g dm(s)/d(x_j, y_j, u_j), each per unit of the key's weight, into ``out[:, j]``."""
    top = hi - 1 if s >= 0 else lo
    x0 = x[top]
    y0 = y[top]
    z = 0.0
    zx = 0.0
    for j in range(lo, hi):
        e = w[j] * math.exp(s * (y[j] - y0))
        z += e
        zx += e * (x[j] - x0)
    mean = zx / z
    for j in range(lo, hi):
        p = g * math.exp(s * (y[j] - y0)) / z
        deviation = x[j] - x0 - mean
        out[0, j] += p
        out[1, j] += p * s * deviation
        out[2, j] += p * deviation


FLAT, PANELS, HOPELESS = 0, 1, 2
"""All slopes give the mean at slope 0; cut into panels; not numbers."""


@numba.njit(cache=True, nogil=True)
def _plan(
    s: Array, y: Array, w: Array, sign: float, tolerance: float
) -> tuple[int, Array, Array, Array, float]:
    """How the slopes of one sign are dealt with: kind, slopes by panel, starts, edges, reach."""
    spread = y[-1] - y[0]
    largest = 0.0
    for i in range(len(s)):
        if (s[i] >= 0) == (sign > 0):
            largest = max(largest, abs(s[i]))
    kind = PANELS
    reach = 1.0
    edges = np.zeros(2)
    edges[1] = 1.0
    if not (spread * largest < 1e300):  # an infinite slope or value: nothing can be said
        kind = HOPELESS
    elif spread * largest <= 1e-300:  # equal keys, or slope zero: one panel holds them all
        kind = FLAT
    else:
        reach = _reach(y, w, len(y) - 1 if sign > 0 else 0, tolerance)
        edges = _edges(spread, reach, _num_panels(largest, spread, reach))
    order, start = _group(s, sign, edges)
    return kind, order, start, edges, reach


@numba.njit(cache=True, nogil=True)
def tilted_mean(
    s: Array, x: Array, y: Array, w: Array, tolerance: float, nodes: Array, to_coef: Array
) -> Array:
    """Returns ``[m(s); m'(s)]``, shape ``[2, num_slopes]``, for keys sorted by ``y``, w > 0."""
    out = np.empty((2, len(s)))
    mean_at = np.empty(len(nodes))
    var_at = np.empty(len(nodes))
    for sign in (1.0, -1.0):
        kind, order, start, edges, reach = _plan(s, y, w, sign, tolerance)
        if kind == HOPELESS:
            out[:] = np.nan
            return out
        if kind == FLAT:
            mean, var = _moments(0.0, x, y, w, 0, len(y))
            for i in order:
                out[0, i] = mean
                out[1, i] = var
            continue
        for k in range(len(edges) - 1):
            mine = order[start[k] : start[k + 1]]
            lo, hi = _window(y, sign, edges[k], reach)
            if len(mine) <= len(nodes):
                for i in mine:
                    out[0, i], out[1, i] = _moments(s[i], x, y, w, lo, hi)
                continue
            centre = sign * (edges[k] + edges[k + 1]) / 2
            half = (edges[k + 1] - edges[k]) / 2
            for n in range(len(nodes)):
                mean_at[n], var_at[n] = _moments(centre + half * nodes[n], x, y, w, lo, hi)
            _interpolate(s, mine, centre, half, to_coef @ mean_at, to_coef @ var_at, out)
    return out


@numba.njit(cache=True, nogil=True)
def tilted_mean_key_gradient(
    s: Array, g: Array, x: Array, y: Array, w: Array, tolerance: float, nodes: Array, to_coef: Array
) -> Array:
    """Returns sum_i g_i dm(s_i)/d(x_j, y_j, u_j) per unit of weight, shape ``[3, num_keys]``."""
    out = np.zeros((3, len(y)))
    for sign in (1.0, -1.0):
        kind, order, start, edges, reach = _plan(s, y, w, sign, tolerance)
        if kind == HOPELESS:
            out[:] = np.nan
            return out
        for k in range(len(edges) - 1):
            mine = order[start[k] : start[k + 1]]
            lo, hi = _window(y, sign, edges[k], reach)
            if kind == FLAT or len(mine) <= len(nodes):
                for i in mine:
                    _add_key_gradient(s[i], g[i], x, y, w, lo, hi, out)
                continue
            centre = sign * (edges[k] + edges[k + 1]) / 2
            half = (edges[k + 1] - edges[k]) / 2
            at_nodes = _spread_back(s, mine, centre, half, g, to_coef)
            for n in range(len(nodes)):
                _add_key_gradient(centre + half * nodes[n], at_nodes[n], x, y, w, lo, hi, out)
    return out


@numba.njit(cache=True, nogil=True)
def _distinct(x: Array) -> tuple[Array, Array, Array]:
    """Distinct values in rising order, how often each occurs, and where each gene's is found."""
    num_nonzero = 0
    for i in range(len(x)):
        num_nonzero += x[i] != 0
    nonzero = np.empty(num_nonzero)
    k = 0
    for i in range(len(x)):
        if x[i] != 0:
            nonzero[k] = x[i]
            k += 1
    nonzero.sort()
    has_zero = num_nonzero < len(x)
    values = np.empty(num_nonzero + has_zero)
    counts = np.zeros(num_nonzero + has_zero)
    k = -1
    zero_at = -1
    for value in nonzero:
        if has_zero and zero_at < 0 and value > 0:
            k += 1
            zero_at = k
            values[k] = 0.0
            counts[k] = len(x) - num_nonzero
        if k < 0 or values[k] != value:
            k += 1
            values[k] = value
        counts[k] += 1
    if has_zero and zero_at < 0:
        k += 1
        zero_at = k
        values[k] = 0.0
        counts[k] = len(x) - num_nonzero
    values = values[: k + 1]
    where = np.full(len(x), zero_at, np.int64)
    for i in range(len(x)):
        if x[i] != 0:
            where[i] = np.searchsorted(values, x[i])
    return values, counts[: k + 1], where


@numba.njit(cache=True, nogil=True)
def scalar_forward(
    x: Array, a: float, c: float, tol: float, nodes: Array, to_coef: Array, out: Array, var: Array
) -> None:
    """Writes m and m' at every gene of every cell, for the write-up's layer, into out and var."""
    for b in range(len(x)):
        values, counts, where = _distinct(x[b])
        result = tilted_mean(a * values + c, values, values, counts, tol, nodes, to_coef)
        for i in range(x.shape[1]):
            out[b, i] = result[0, where[i]]
            var[b, i] = result[1, where[i]]


@numba.njit(cache=True, nogil=True)
def scalar_backward(
    x: Array, g: Array, a: float, c: float, tol: float, nodes: Array, to_coef: Array, out: Array
) -> None:
    """Writes what the keys receive of the upstream gradients ``g`` into ``out``."""
    for b in range(len(x)):
        values, counts, where = _distinct(x[b])
        total = np.zeros(len(values))
        for i in range(x.shape[1]):
            total[where[i]] += g[b, i]
        keys = tilted_mean_key_gradient(
            a * values + c, total, values, values, counts, tol, nodes, to_coef
        )
        for i in range(x.shape[1]):
            out[b, i] = keys[0, where[i]] + keys[1, where[i]]


@numba.njit(cache=True, nogil=True)
def _keys(x: Array, y: Array, u: Array) -> tuple[Array, Array, Array, Array]:
    """Keys sorted by y; all genes at zero are one key. ``where``: each gene's place."""
    zero_weight = 0.0
    num = 0
    highest = u.max()
    for j in range(len(x)):
        if x[j] == 0 and y[j] == 0:
            zero_weight += _exp(u[j] - highest)
        else:
            num += 1
    has_zero = num < len(x)
    kx = np.zeros(num + has_zero)
    ky = np.zeros(num + has_zero)
    kw = np.zeros(num + has_zero)
    where = np.full(len(x), num, np.int64)
    k = 0
    for j in range(len(x)):
        if not (x[j] == 0 and y[j] == 0):
            kx[k] = x[j]
            ky[k] = y[j]
            kw[k] = _exp(u[j] - highest)
            where[j] = k
            k += 1
    if has_zero:
        kw[num] = zero_weight
    order = np.argsort(ky)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    for j in range(len(x)):
        where[j] = place[where[j]]
    return kx[order], ky[order], kw[order], where


@numba.njit(cache=True, nogil=True)
def _exp(value: float) -> float:
    """Exp that stays above zero, so that every key keeps some weight."""
    return math.exp(max(value, -600.0))


@numba.njit(cache=True, nogil=True)
def gene_aware_forward(
    s: Array, x: Array, y: Array, u: Array, tol: float, nodes: Array, to_coef: Array,
    out: Array, cov: Array,
) -> None:  # fmt: skip
    """Writes m and m' at every gene of every cell into ``out`` and ``cov``."""
    for b in range(len(x)):
        kx, ky, kw, _ = _keys(x[b], y[b], u)
        result = tilted_mean(s[b].astype(np.float64), kx, ky, kw, tol, nodes, to_coef)
        for i in range(x.shape[1]):
            out[b, i] = result[0, i]
            cov[b, i] = result[1, i]


@numba.njit(cache=True, nogil=True)
def gene_aware_backward(
    s: Array, x: Array, y: Array, u: Array, g: Array, tol: float, nodes: Array, to_coef: Array,
    out: Array,
) -> None:  # fmt: skip
    """Writes the upstream gradients' share of x, y and u, ``[3, cells, genes]``, into ``out``."""
    highest = u.max()
    for b in range(len(x)):
        kx, ky, kw, where = _keys(x[b], y[b], u)
        keys = tilted_mean_key_gradient(
            s[b].astype(np.float64), g[b].astype(np.float64), kx, ky, kw, tol, nodes, to_coef
        )
        for j in range(x.shape[1]):
            weight = _exp(u[j] - highest)
            for part in range(3):
                out[part, b, j] = weight * keys[part, where[j]]
