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
    x, y, u, top = x[lo:hi], y[lo:hi], u[lo:hi], top - lo
    x_top, y_top, u_top = x[top], y[top], u[top]
    z = zx = zy = zxy = 0.0
    for j in range(len(y)):  # deviations from the heaviest: no cancellation at steep slopes
        dx = x[j] - x_top
        dy = y[j] - y_top
        e = exp_float64(_exponent(s, dy, u[j], u_top))
        z += e
        zx += e * dx
        zy += e * dy
        zxy += e * dx * dy
    mean = zx / z
    return x_top + mean, zxy / z - mean * (zy / z)


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
    x, y, u, e, out, top = x[lo:hi], y[lo:hi], u[lo:hi], e[lo:hi], out[:, lo:hi], top - lo
    x_top, y_top, u_top = x[top], y[top], u[top]
    z = zx = 0.0
    for j in range(len(y)):
        e[j] = exp_float64(_exponent(s, y[j] - y_top, u[j], u_top))
    for j in range(len(y)):
        z += e[j]
        zx += e[j] * (x[j] - x_top)
    mean = zx / z
    to_x, to_y, to_u = out[0], out[1], out[2]
    for j in range(len(y)):
        p = g * (e[j] / z)
        pull = p * (x[j] - x_top - mean)
        to_x[j] += p
        to_y[j] += s * pull
        to_u[j] += pull


@numba.njit(cache=True, nogil=True, fastmath=SUMS)
def _power_sums(
    centre: float, half: float, x: Array, y: Array, u: Array, lo: int, hi: int, top: int, e: Array
) -> Array:
    """Sums of w_j z_j^k and of w_j (x_j - x_top) z_j^k, ``[2, NUM_POWERS]``; w into ``e``."""
    sums = np.zeros((2, NUM_POWERS))
    dx, z, p = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    x_top, y_top, u_top = x[top], y[top], u[top]
    for first in range(lo, hi, CHUNK):
        last = min(first + CHUNK, hi)
        x_here, y_here, u_here = x[first:last], y[first:last], u[first:last]
        num = last - first
        for i in range(num):
            dx[i] = x_here[i] - x_top
            z[i] = half * (y_here[i] - y_top)
        for i in range(num):
            p[i] = exp_float64(_exponent(centre, y_here[i] - y_top, u_here[i], u_top))
        e[first:last] = p[:num]
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
            sums[0, k] += a0
            sums[0, k + 1] += a1
            sums[0, k + 2] += a2
            sums[0, k + 3] += a3
            sums[1, k] += b0
            sums[1, k + 1] += b1
            sums[1, k + 2] += b2
            sums[1, k + 3] += b3
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
    x_top, y_top = x[top], y[top]
    for first in range(lo, hi, CHUNK):
        last = min(first + CHUNK, hi)
        x_here, y_here, e_here = x[first:last], y[first:last], e[first:last]
        num = last - first
        for i in range(num):
            z[i] = half * (y_here[i] - y_top)
        _polynomial(coef[0], z[:num], of_1)
        _polynomial(coef[1], z[:num], of_mean)
        _polynomial(coef[2], z[:num], of_slope)
        _polynomial(coef[3], z[:num], of_both)
        to_x, to_y, to_u = out[0, first:last], out[1, first:last], out[2, first:last]
        for i in range(num):
            to_x[i] += e_here[i] * of_1[i]
        for i in range(num):
            to_y[i] += e_here[i] * ((x_here[i] - x_top) * of_slope[i] - of_both[i])
        for i in range(num):
            to_u[i] += e_here[i] * ((x_here[i] - x_top) * of_1[i] - of_mean[i])


@numba.njit(cache=True, nogil=True, fastmath=SUMS)
def _polynomial(coef: Array, z: Array, out: Array) -> None:
    """Sums of coef_k z_i^k, eight powers at a time."""
    for i in range(len(z)):
        out[i] = 0.0
    for k in range(NUM_POWERS - 8, -1, -8):
        c0, c1, c2, c3 = coef[k], coef[k + 1], coef[k + 2], coef[k + 3]
        c4, c5, c6, c7 = coef[k + 4], coef[k + 5], coef[k + 6], coef[k + 7]
        for i in range(len(z)):
            z1 = z[i]
            z2 = z1 * z1
            z4 = z2 * z2
            low = (c0 + c1 * z1) + z2 * (c2 + c3 * z1)
            high = (c4 + c5 * z1) + z2 * (c6 + c7 * z1)
            out[i] = (out[i] * z4 + high) * z4 + low
