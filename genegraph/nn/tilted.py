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
(:mod:`~genegraph.nn.chebyshev`), is always enough.  All nodes of a panel together cost one
exponential per key (:mod:`~genegraph.nn.tilted_sums`).  A panel with no more slopes than nodes, or
with few pairs of slope and key (a cell of counts), is summed exactly, over all keys whose weight
float64 can hold.  Everything is chosen from the cell's own values, so a result never depends on
the other cells of a batch.

Weights stay logarithms, and sums are taken relative to the heaviest key, so that nothing under-
or overflows.  Functions work on one cell, in float64, without Python objects (numba ``nogil``).
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from genegraph.nn.chebyshev import interpolate, spread_back
from genegraph.nn.panels import heaviest, hopeless, plan
from genegraph.nn.tilted_sums import (
    add_key_gradient,
    add_node_gradients,
    moments,
    node_moments,
    power_series,
)

Array = np.ndarray[Any, Any]

FLAT = 1e-100
"""Half-width of a panel times its keys' range, below which it is one slope to float64."""


@numba.njit(cache=True, nogil=True)
def tilted_mean(
    s: Array, x: Array, y: Array, u: Array, tolerance: float, nodes: Array, to_coef: Array
) -> Array:
    """Returns ``[m(s); m'(s)]``, shape ``[2, num_slopes]``, for keys sorted by ``y``."""
    out = np.full((2, len(s)), np.nan)
    if hopeless(s, y, u):
        return out
    e = np.empty(len(y))
    series = power_series(nodes)
    order, panels = plan(s, y, u, tolerance, len(nodes))
    for few, first, last, lo, hi, top, low, high in panels:
        mine = order[first:last]
        if few:
            for i in mine:
                this = heaviest(s[i], y, u, lo, hi)
                out[0, i], out[1, i] = moments(s[i], x, y, u, lo, hi, this)
            continue
        half = high / 2 - low / 2
        if half * (y[hi - 1] - y[lo]) < FLAT:
            mean, cov = moments(low, x, y, u, lo, hi, top)
            out[0, mine] = mean
            out[1, mine] = cov
            continue
        centre = low + half
        mean_at, cov_at, _ = node_moments(centre, half, series, x, y, u, lo, hi, top, e)
        mean_at += x[top]
        interpolate(s, mine, centre, half, to_coef @ mean_at, to_coef @ cov_at, out)
    return out


@numba.njit(cache=True, nogil=True)
def tilted_mean_key_gradient(
    s: Array, g: Array, x: Array, y: Array, u: Array, tolerance: float, nodes: Array, to_coef: Array
) -> Array:
    """Returns sum_i g_i dm(s_i)/d(x_j, y_j, u_j), shape ``[3, num_keys]``."""
    out = np.zeros((3, len(y)))
    if hopeless(s, y, u):
        out[:] = np.nan
        return out
    e = np.empty(len(y))
    series = power_series(nodes)
    order, panels = plan(s, y, u, tolerance, len(nodes))
    for few, first, last, lo, hi, top, low, high in panels:
        mine = order[first:last]
        half = high / 2 - low / 2
        if few:
            for i in mine:
                this = heaviest(s[i], y, u, lo, hi)
                add_key_gradient(s[i], g[i], x, y, u, lo, hi, this, e, out)
        elif half * (y[hi - 1] - y[lo]) < FLAT:
            add_key_gradient(low, g[mine].sum(), x, y, u, lo, hi, top, e, out)
        else:
            centre = low + half
            at_nodes = spread_back(s, mine, centre, half, g, to_coef)
            add_node_gradients(centre, half, nodes, at_nodes, series, x, y, u, lo, hi, top, e, out)
    return out
