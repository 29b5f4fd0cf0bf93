"""Chebyshev interpolation on the panels of :mod:`genegraph.nn.tilted`: how many nodes, where."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

HALF_WIDTH = 2.0
"""Half-width of a panel times the range of keys that counts on it."""


def num_nodes(tolerance: float) -> int:
    r"""Returns the number of Chebyshev nodes per panel for a relative tolerance.

    On the ellipse :math:`\rho = t + \sqrt{1 + t^2}`, :math:`t = \eta \pi / (h R)`, the tilted
    weights obey :math:`\sum_j |p_j| \le \kappa = 1 / \cos(\eta \pi / 2)`, so that
    :math:`|m| \le \kappa R / 2`, :math:`|m'| \le (\kappa + \kappa^2) R^2 / 4`, and interpolation
    through :math:`K` nodes errs by at most :math:`4 M \rho^{-(K-1)} / (\rho - 1)`.  The smallest
    :math:`K` over :math:`\eta` that keeps both below ``tolerance`` (in units of :math:`R` and
    :math:`R^2`) is returned.

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
    return max(4, math.ceil(float(nodes.min())))


def chebyshev(num: int) -> tuple[Array, Array]:
    """Returns ``num`` Chebyshev nodes on [-1, 1] and the matrix from values to coefficients."""
    angle = (np.arange(num) + 0.5) * np.pi / num
    to_coefficients = np.cos(np.outer(np.arange(num), angle)) * (2.0 / num)
    to_coefficients[0] /= 2
    return np.cos(angle), to_coefficients
