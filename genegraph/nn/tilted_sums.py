r"""Sums over the keys of a cell under tilted weights :math:`e^{s y_j + u_j}`.

At one slope they are taken as they stand.  At all nodes :math:`s_n = c + h t_n` of a panel at
once they come from power sums: with :math:`z_j = h (y_j - y_\mathrm{top})`

.. math::
    \sum_j e^{s_n y_j + u_j} \propto \sum_j w_j e^{t_n z_j}
        = \sum_k \frac{t_n^k}{k!} \sum_j w_j z_j^k, \qquad w_j \propto e^{c y_j + u_j}

so that a key costs one exponential and a few multiplications per panel, not an exponential per
node.  On a panel :math:`|t_n z_j| \le 2`: the series stops at the last digit of float64, and no
digits cancel.  What the keys receive of the nodes' gradients is likewise a polynomial in
:math:`z_j`.

Everything is measured from the key ``top``, the heaviest: nothing under- or overflows, and no
digits are lost at steep slopes, where all weight is on keys close to it.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from genegraph.nn.chebyshev import CHUNK
from genegraph.nn.exponential import exp_float64

Array = np.ndarray[Any, Any]

NUM_POWERS = 24
"""Terms of the series of e^(t z): 2^24 / 24! is below the rounding of float64."""

# Sums may be taken in any order, and products may fuse with additions: no more than rounding.
# Infinities and NaN keep their meaning.
SUMS = {"reassoc", "contract", "nsz"}


@numba.njit(cache=True, nogil=True, fastmath=SUMS)
def moments(
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
        e = exp_float64(_exponent(s, dy, u[j], u[top]))
        z += e
        zx += e * dx
        zy += e * dy
        zxy += e * dx * dy
    mean = zx / z
    return x[top] + mean, zxy / z - mean * (zy / z)


@numba.njit(cache=True, nogil=True, forceinline=True)
def _exponent(s: float, dy: float, u: float, of_top: float) -> float:
    """Apart from the sums, whose liberties would cost digits here."""
    return u - of_top + s * dy


@numba.njit(cache=True, nogil=True, fastmath=SUMS)
def add_key_gradient(
    s: float, g: float, x: Array, y: Array, u: Array, lo: int, hi: int, top: int, e: Array,
    out: Array,
) -> None:  # fmt: skip
    """Adds g dm(s)/d(x_j, y_j, u_j) into ``out[:, j]``; ``e`` holds one number per key."""
    z = 0.0
    zx = 0.0
    for j in range(lo, hi):
        e[j] = exp_float64(_exponent(s, y[j] - y[top], u[j], u[top]))
        z += e[j]
        zx += e[j] * (x[j] - x[top])
    mean = zx / z
    for j in range(lo, hi):
        p = g * (e[j] / z)
        pull = p * (x[j] - x[top] - mean)
        out[0, j] += p
        out[1, j] += s * pull
        out[2, j] += pull


@numba.njit(cache=True, nogil=True, fastmath=SUMS)
def _power_sums(
    centre: float, half: float, x: Array, y: Array, u: Array, lo: int, hi: int, top: int, e: Array
) -> Array:
    """Sums of w_j z_j^k and of w_j (x_j - x_top) z_j^k, ``[2, NUM_POWERS]``; w into ``e``."""
    sums = np.zeros((2, NUM_POWERS))
    dx, z, p = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    for first in range(lo, hi, CHUNK):
        num = min(CHUNK, hi - first)
        for i in range(num):
            j = first + i
            dy = y[j] - y[top]
            dx[i] = x[j] - x[top]
            z[i] = half * dy
            p[i] = e[j] = exp_float64(_exponent(centre, dy, u[j], u[top]))
        for k in range(0, NUM_POWERS, 4):
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = 0.0
            for i in range(num):
                z2 = z[i] * z[i]
                z3 = z2 * z[i]
                q = p[i] * dx[i]
                a0 += p[i]
                a1 += p[i] * z[i]
                a2 += p[i] * z2
                a3 += p[i] * z3
                b0 += q
                b1 += q * z[i]
                b2 += q * z2
                b3 += q * z3
                p[i] *= z2 * z2
            sums[0, k : k + 4] += np.array([a0, a1, a2, a3])
            sums[1, k : k + 4] += np.array([b0, b1, b2, b3])
    return sums


@numba.njit(cache=True, nogil=True)
def power_series(nodes: Array) -> Array:
    """t_n^k / k!, ``[num_nodes, NUM_POWERS]``."""
    series = np.ones((len(nodes), NUM_POWERS))
    for k in range(1, NUM_POWERS):
        series[:, k] = series[:, k - 1] * nodes / k
    return series


@numba.njit(cache=True, nogil=True, fastmath=SUMS)
def node_moments(
    centre: float, half: float, series: Array, x: Array, y: Array, u: Array, lo: int, hi: int,
    top: int, e: Array,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Mean of x less x_top, covariance, and sum of weights, at all nodes of a panel.

    Leaves the weights in the middle of the panel in ``e``, one number per key.
    """
    sums = _power_sums(centre, half, x, y, u, lo, hi, top, e)
    mean, cov, total = np.empty(len(series)), np.empty(len(series)), np.empty(len(series))
    for n in range(len(series)):
        z = zx = zy = zxy = 0.0
        for k in range(NUM_POWERS):
            z += series[n, k] * sums[0, k]
            zx += series[n, k] * sums[1, k]
        for k in range(NUM_POWERS - 1):  # a power more of z_j, which is half (y_j - y_top)
            zy += series[n, k] * sums[0, k + 1]
            zxy += series[n, k] * sums[1, k + 1]
        mean[n] = zx / z
        cov[n] = (zxy / z - mean[n] * (zy / z)) / half
        total[n] = z
    return mean, cov, total


@numba.njit(cache=True, nogil=True, fastmath=SUMS)
def add_node_gradients(
    centre: float, half: float, nodes: Array, g: Array, series: Array, x: Array, y: Array,
    u: Array, lo: int, hi: int, top: int, e: Array, out: Array,
) -> None:  # fmt: skip
    """Adds sum_n g_n dm(s_n)/d(x_j, y_j, u_j) into ``out[:, j]``; ``e`` is for its own use."""
    mean, _, total = node_moments(centre, half, series, x, y, u, lo, hi, top, e)
    coef = np.zeros((4, NUM_POWERS))
    for n in range(len(nodes)):
        share = g[n] / total[n]
        slope = centre + half * nodes[n]
        for k in range(NUM_POWERS):
            term = share * series[n, k]
            coef[0, k] += term
            coef[1, k] += term * mean[n]
            coef[2, k] += term * slope
            coef[3, k] += term * (mean[n] * slope)
    z, of_1, of_mean = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    of_slope, of_both = np.empty(CHUNK), np.empty(CHUNK)
    for first in range(lo, hi, CHUNK):
        num = min(CHUNK, hi - first)
        for i in range(num):
            z[i] = half * (y[first + i] - y[top])
            of_1[i] = of_mean[i] = of_slope[i] = of_both[i] = 0.0
        for k in range(NUM_POWERS - 4, -1, -4):
            a, b, c, d = coef[:, k], coef[:, k + 1], coef[:, k + 2], coef[:, k + 3]
            for i in range(num):
                z1 = z[i]
                z2 = z1 * z1
                z3 = z2 * z1
                z4 = z2 * z2
                of_1[i] = of_1[i] * z4 + (a[0] + b[0] * z1 + c[0] * z2 + d[0] * z3)
                of_mean[i] = of_mean[i] * z4 + (a[1] + b[1] * z1 + c[1] * z2 + d[1] * z3)
                of_slope[i] = of_slope[i] * z4 + (a[2] + b[2] * z1 + c[2] * z2 + d[2] * z3)
                of_both[i] = of_both[i] * z4 + (a[3] + b[3] * z1 + c[3] * z2 + d[3] * z3)
        for i in range(num):
            j = first + i
            dx = x[j] - x[top]
            out[0, j] += e[j] * of_1[i]
            out[1, j] += e[j] * (dx * of_slope[i] - of_both[i])
            out[2, j] += e[j] * (dx * of_1[i] - of_mean[i])
