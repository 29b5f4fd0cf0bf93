r"""Additive attention over each gene's graph neighbours, one fused pass per row and cell.

For a target gene :math:`i` with neighbours :math:`j`, in one cell, one feature per gene:

.. math::
    f(x_i, x_j) = \mathrm{att}^\top \mathrm{leaky}(p x_i + q x_j + b), \qquad
    o_i = \sum_j \mathrm{softmax}_j(f(x_i, x_j))\, x_j

Most genes of a single-cell count are zero.  A pair with a zero needs no sum over channels of its
own: :math:`f(0, x_j)` is found once per key, :math:`f(x_i, 0)` once per row, and gradients of
such pairs are added up before they are spread over the channels.

Nothing of the size of edges times cells is stored: the backward pass recomputes the softmax.
Each cell is one thread's own, so gradients are added without races.  Sums in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from genegraph.nn.attention_functions import NEGATIVE_SLOPE

Array = np.ndarray[Any, Any]


@numba.njit(cache=True, nogil=True)
def _logit(xi: float, xj: float, weights: Array) -> float:
    """F for the rows p, q, b and att of ``weights``."""
    total = 0.0
    for k in range(weights.shape[1]):
        z = weights[0, k] * xi + weights[1, k] * xj + weights[2, k]
        total += weights[3, k] * (z if z > 0 else NEGATIVE_SLOPE * z)
    return total


@numba.njit(cache=True, nogil=True)
def _slopes(xi: float, xj: float, weights: Array) -> tuple[float, float]:
    """The derivatives of f by x_i and x_j."""
    of_i = 0.0
    of_j = 0.0
    for k in range(weights.shape[1]):
        z = weights[0, k] * xi + weights[1, k] * xj + weights[2, k]
        slope = weights[3, k] * (1.0 if z > 0 else NEGATIVE_SLOPE)
        of_i += slope * weights[0, k]
        of_j += slope * weights[1, k]
    return of_i, of_j


@numba.njit(cache=True, nogil=True)
def _add(xi: float, xj: float, g: float, weights: Array, out: Array) -> None:
    """Adds g df/d(p, q, b, att) into the rows of ``out``."""
    for k in range(weights.shape[1]):
        z = weights[0, k] * xi + weights[1, k] * xj + weights[2, k]
        slope = g * weights[3, k] * (1.0 if z > 0 else NEGATIVE_SLOPE)
        out[0, k] += slope * xi
        out[1, k] += slope * xj
        out[2, k] += slope
        out[3, k] += g * (z if z > 0 else NEGATIVE_SLOPE * z)


@numba.njit(cache=True, nogil=True)
def _beside_zero(x: Array, weights: Array) -> Array:
    """f(0, x_j) of every key of a cell."""
    out = np.full(len(x), _logit(0.0, 0.0, weights))
    for j in range(len(x)):
        if x[j] != 0:
            out[j] = _logit(0.0, x[j], weights)
    return out


@numba.njit(cache=True, nogil=True)
def _row(
    xi: float, x: Array, beside_zero: Array, weights: Array, col: Array, e: Array
) -> tuple[float, float]:
    """Writes exp(logit - largest logit) of a row's edges into ``e``; their sum and mean of x."""
    to_zero = _logit(xi, 0.0, weights)
    top = -np.inf
    for k in range(len(col)):
        j = col[k]
        if xi == 0:
            e[k] = beside_zero[j]
        elif x[j] == 0:
            e[k] = to_zero
        else:
            e[k] = _logit(xi, x[j], weights)
        top = max(top, e[k])
    at_zero = math.exp(to_zero - top)
    total = 0.0
    mean = 0.0
    for k in range(len(col)):
        xj = x[col[k]]
        e[k] = at_zero if xj == 0 else math.exp(e[k] - top)
        total += e[k]
        mean += e[k] * xj
    return total, mean / total


@numba.njit(cache=True, nogil=True)
def _longest_row(rowptr: Array) -> int:
    longest = 0
    for i in range(len(rowptr) - 1):
        longest = max(longest, rowptr[i + 1] - rowptr[i])
    return longest


@numba.njit(cache=True, nogil=True)
def forward(rowptr: Array, col: Array, weights: Array, x: Array, out: Array) -> None:
    """Writes o, ``[num_cells, num_genes]``; genes without neighbours get 0."""
    e = np.empty(_longest_row(rowptr))
    for b in range(len(x)):
        beside_zero = _beside_zero(x[b], weights)
        for i in range(x.shape[1]):
            sources = col[rowptr[i] : rowptr[i + 1]]
            out[b, i] = 0
            if len(sources) > 0:
                out[b, i] = _row(x[b, i], x[b], beside_zero, weights, sources, e)[1]


@numba.njit(cache=True, nogil=True)
def backward(
    rowptr: Array, col: Array, weights: Array, x: Array, g: Array, gx: Array, gw: Array,
    x_too: bool,
) -> None:  # fmt: skip
    """Adds the gradients of p, q, b and att per cell into ``gw`` and, if ``x_too``, that of x."""
    e = np.empty(_longest_row(rowptr))
    num_genes = x.shape[1]
    zero_slopes = _slopes(0.0, 0.0, weights)
    for b in range(len(x)):
        beside_zero = _beside_zero(x[b], weights)
        of_key = np.zeros(num_genes)  # what pairs (0, x_j) receive
        of_zeros = 0.0  # what pairs (0, 0) receive
        for i in range(num_genes):
            sources = col[rowptr[i] : rowptr[i + 1]]
            if len(sources) == 0 or g[b, i] == 0:
                continue
            xi = x[b, i]
            total, mean = _row(xi, x[b], beside_zero, weights, sources, e)
            of_row = 0.0  # what pairs (x_i, 0) receive
            for k in range(len(sources)):
                j = sources[k]
                xj = x[b, j]
                p = g[b, i] * (e[k] / total)
                pull = p * (xj - mean)
                if xi == 0:
                    of_key[j] += pull
                elif xj == 0:
                    of_row += pull
                else:
                    _add(xi, xj, pull, weights, gw[b])
                if x_too:
                    if xi == 0 and xj == 0:
                        of_i, of_j = zero_slopes
                    else:
                        of_i, of_j = _slopes(xi, xj, weights)
                    gx[b, i] += pull * of_i
                    gx[b, j] += p + pull * of_j
            if of_row != 0:
                _add(xi, 0.0, of_row, weights, gw[b])
        for j in range(num_genes):
            if x[b, j] == 0:
                of_zeros += of_key[j]
            else:
                _add(0.0, x[b, j], of_key[j], weights, gw[b])
        _add(0.0, 0.0, of_zeros, weights, gw[b])
