"""Chebyshev interpolation on the panels of :mod:`genegraph.nn.tilted`, and its adjoint."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

Array = np.ndarray[Any, Any]

HALF_WIDTH = 2.0
"""Half-width of a panel times the range of keys that counts on it."""

CHUNK = 256
"""Numbers that a loop of several steps works on at a time: few enough for the first cache."""


def num_nodes(tolerance: float) -> int:
    r"""Returns the number of Chebyshev nodes per panel for a relative tolerance.

    On the ellipse :math:`\rho = t + \sqrt{1 + t^2}`, :math:`t = \eta \pi / (h R)`, the tilted
    weights obey :math:`\sum_j |p_j| \le \kappa = 1 / \cos(\eta \pi / 2)`, so that
    :math:`|m| \le \kappa R / 2`, :math:`|m'| \le (\kappa + \kappa^2) R^2 / 4`, and interpolation
    through :math:`K` nodes errs by at most :math:`4 M \rho^{-(K-1)} / (\rho - 1)`.  The smallest
    :math:`K` over :math:`\eta` that keeps both below ``tolerance`` (in units of :math:`R` and
    :math:`R^2`) is returned, made even.

    Args:
        tolerance: Largest error, relative to the range of the cell's values; in (0, 1).

    Raises:
        ValueError: If ``tolerance`` is not in (0, 1).

    Example:
        >>> num_nodes(1e-6), num_nodes(1e-10)
        (16, 24)
    """
    if not 0 < tolerance < 1:
        raise ValueError(f"'tolerance' must lie strictly between 0 and 1 (got {tolerance}).")
    eta = np.linspace(0.3, 0.99, 70)
    t = eta * np.pi / HALF_WIDTH
    rho = t + np.sqrt(1 + t**2)
    kappa = 1 / np.cos(eta * np.pi / 2)
    bound = np.maximum(kappa / 2, (kappa + kappa**2) / 4)
    nodes = 1 + np.log(4 * bound / ((rho - 1) * tolerance)) / np.log(rho)
    return max(4, 2 * math.ceil(float(nodes.min()) / 2))


def chebyshev(num: int) -> tuple[Array, Array]:
    """Returns ``num`` Chebyshev nodes on [-1, 1] and the matrix from values to coefficients."""
    angle = (np.arange(num) + 0.5) * np.pi / num
    to_coefficients = np.cos(np.outer(np.arange(num), angle)) * (2.0 / num)
    to_coefficients[0] /= 2
    return np.cos(angle), to_coefficients


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def interpolate(
    slopes: Array, order: Array, centre: float, half: float, mean: Array, cov: Array, out: Array
) -> None:
    """Clenshaw sums of two Chebyshev series at the slopes of one panel, into ``out[:, i]``."""
    twice, m0, m1 = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    c0, c1 = np.empty(CHUNK), np.empty(CHUNK)
    for first in range(0, len(order), CHUNK):
        mine = order[first : first + CHUNK]
        num = len(mine)
        for i in range(num):
            twice[i] = 2 * ((slopes[mine[i]] - centre) / half)
            m0[i] = m1[i] = c0[i] = c1[i] = 0.0
        for k in range(len(mean) - 1, 0, -2):  # two steps, and the sums are where they were
            m_odd, m_even, c_odd, c_even = mean[k], mean[k - 1], cov[k], cov[k - 1]
            for i in range(num):
                m1[i] = twice[i] * m0[i] - m1[i] + m_odd
                m0[i] = twice[i] * m1[i] - m0[i] + m_even
            for i in range(num):
                c1[i] = twice[i] * c0[i] - c1[i] + c_odd
                c0[i] = twice[i] * c1[i] - c0[i] + c_even
        for i in range(num):
            out[0, mine[i]] = m0[i] - twice[i] / 2 * m1[i]
            out[1, mine[i]] = c0[i] - twice[i] / 2 * c1[i]


# Sums may be taken in any order; where nothing is infinite that is no more than rounding.
@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def spread_back(
    slopes: Array, order: Array, centre: float, half: float, g: Array, to_coef: Array
) -> Array:
    """The adjoint of interpolation: what each node receives of the slopes' gradients ``g``."""
    coef = np.zeros(len(to_coef))
    twice, even, odd = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    for first in range(0, len(order), CHUNK):
        mine = order[first : first + CHUNK]
        num = len(mine)
        for i in range(num):
            t = (slopes[mine[i]] - centre) / half
            twice[i] = 2 * t
            even[i] = g[mine[i]]
            odd[i] = g[mine[i]] * t
        for k in range(0, len(coef), 2):
            of_even, of_odd = 0.0, 0.0
            for i in range(num):
                of_even += even[i]
                of_odd += odd[i]
                even[i] = twice[i] * odd[i] - even[i]
                odd[i] = twice[i] * even[i] - odd[i]
            coef[k] += of_even
            coef[k + 1] += of_odd
    out = np.zeros(len(coef))
    for k in range(len(coef)):
        for n in range(len(coef)):
            out[n] += coef[k] * to_coef[k, n]
    return out
