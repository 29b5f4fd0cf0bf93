r"""Softmax over each gene's graph neighbours, one fused pass per row and cell.

For a target gene :math:`i` with neighbours :math:`j`, in one cell, logits :math:`s_i y_j + u_j`:

.. math::
    \alpha_{ij} = \mathrm{softmax}_j(s_i y_j + u_j), \qquad o_i = \sum_j \alpha_{ij} x_j

Nothing of the size of edges times cells is stored: the backward pass recomputes the softmax.
Each cell is one thread's own, so gradients of keys are added without races.  Sums in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

Array = np.ndarray[Any, Any]


@numba.njit(cache=True, nogil=True)
def _row(s: float, y: Array, u: Array, col: Array, first: int, last: int, e: Array) -> float:
    """Writes exp(logit - largest logit) of one row's edges into ``e``; returns their sum."""
    top = -np.inf
    for k in range(first, last):
        logit = s * y[col[k]] + u[col[k]]
        e[k - first] = logit
        top = max(top, logit)
    at_zero = math.exp(-top) if -top > -700 else 0.0
    total = 0.0
    for k in range(first, last):
        # Most neighbours are at zero: their weight is known without another exponential.
        logit = e[k - first]
        e[k - first] = at_zero if logit == 0 else math.exp(logit - top)
        total += e[k - first]
    return total


@numba.njit(cache=True, nogil=True)
def forward(rowptr: Array, col: Array, s: Array, x: Array, y: Array, u: Array, out: Array) -> None:
    """Writes o, ``[num_cells, num_genes]``; genes without neighbours get 0."""
    num_genes = len(rowptr) - 1
    longest = 0
    for i in range(num_genes):
        longest = max(longest, rowptr[i + 1] - rowptr[i])
    e = np.empty(longest)
    for b in range(len(x)):
        for i in range(num_genes):
            first, last = rowptr[i], rowptr[i + 1]
            if first == last:
                out[b, i] = 0
                continue
            total = _row(s[b, i], y[b], u[b], col, first, last, e)
            mean = 0.0
            for k in range(first, last):
                mean += e[k - first] * x[b, col[k]]
            out[b, i] = mean / total


@numba.njit(cache=True, nogil=True)
def backward(
    rowptr: Array, col: Array, s: Array, x: Array, y: Array, u: Array, g: Array,
    gs: Array, gx: Array, gy: Array, gu: Array, keys_too: bool,
) -> None:  # fmt: skip
    """Writes the gradients of s and, if ``keys_too``, adds those of x, y and u."""
    num_genes = len(rowptr) - 1
    longest = 0
    for i in range(num_genes):
        longest = max(longest, rowptr[i + 1] - rowptr[i])
    e = np.empty(longest)
    for b in range(len(x)):
        for i in range(num_genes):
            first, last = rowptr[i], rowptr[i + 1]
            gs[b, i] = 0
            if first == last or g[b, i] == 0:
                continue
            total = _row(s[b, i], y[b], u[b], col, first, last, e)
            mean = 0.0
            for k in range(first, last):
                mean += e[k - first] * x[b, col[k]]
            mean /= total
            slope = 0.0
            for k in range(first, last):
                j = col[k]
                p = g[b, i] * e[k - first] / total
                pull = p * (x[b, j] - mean)
                slope += pull * y[b, j]
                if keys_too:
                    gx[b, j] += p
                    gy[b, j] += pull * s[b, i]
                    gu[b, j] += pull
            gs[b, i] = slope
