r"""Softmax over each gene's graph neighbours, one fused pass per row for several cells at once.

For a target gene :math:`i` with neighbours :math:`j`, in one cell:

.. math::
    \alpha_{ij} = \mathrm{softmax}_j(s_i y_j + u_j - k y_j^2), \qquad
    o_i = \sum_j \alpha_{ij} x_j, \qquad
    s_i = a_i x_i + c_i, \quad y_j = p_j x_j

The numbers that :data:`CELLS` cells have for one gene lie side by side, and the innermost loop
over them becomes vector instructions.  What belongs to one row and cell is kept in ``lane``, one
array for all of it: LLVM then knows that its rows do not overlap.

Logits are measured from the row's largest, the *top*, as differences of keys: exact where it
matters, at steep slopes too.  Sums over edges are in float64.  Of edges times cells no more is
stored than one row: the backward pass recomputes the softmax.  Each cell is one thread's own, so
gradients of keys are added without races.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from genegraph.nn.exponential import exp
from genegraph.nn.prefetch import prefetch

Array = np.ndarray[Any, Any]

CELLS = 16
"""Cells side by side: one AVX-512 register of float32."""

SLOPE, OFFSET, KEY, LOG_WEIGHT = range(4)
"""Columns of ``genes``: a, c, p and u of each gene."""

# Rows of ``lane``: the slope; y and u - k y^2 of the top; the mean, and what rounding took from
# it; the upstream gradient over the sum of weights; what one edge sends to y, u and p.
_S, _Y, _U, _MEAN, _MEAN_LOW, _SHARE, _TO_Y, _TO_U, _TO_P, _NUM_LANES = range(10)

# Rows of ``total``: sums of weights, of weight times x; the gradients of the slope and of k.
_WEIGHT, _WEIGHT_X, _OF_SLOPE, _OF_K, _NUM_TOTALS = range(5)


@numba.njit(cache=True, nogil=True, forceinline=True, fastmath={"contract"})
def _find_top(i: int, sources: Array, genes: Array, k: float, x: Array, lane: Array) -> None:
    """Writes the slope of row ``i`` and its key of largest logit in each cell."""
    j = sources[0]
    for b in range(CELLS):
        y = genes[j, KEY] * x[j, b]
        lane[_S, b] = genes[i, SLOPE] * x[i, b] + genes[i, OFFSET]
        lane[_Y, b] = y
        lane[_U, b] = genes[j, LOG_WEIGHT] - (k * y) * y
    for e in range(1, len(sources)):
        j = sources[e]
        key, weight = genes[j, KEY], genes[j, LOG_WEIGHT]
        for b in range(CELLS):
            y = key * x[j, b]
            u = weight - (k * y) * y
            higher = lane[_S, b] * (y - lane[_Y, b]) + (u - lane[_U, b]) > 0
            lane[_Y, b] = y if higher else lane[_Y, b]
            lane[_U, b] = u if higher else lane[_U, b]


@numba.njit(cache=True, nogil=True, forceinline=True, fastmath={"contract"})
def _add_up(
    sources: Array, genes: Array, k: float, x: Array, lane: Array, total: Array, weights: Array
) -> None:
    """Writes the row's weights, and their sum and that of weight times x."""
    total[:] = 0
    for e in range(len(sources)):
        j = sources[e]
        key, weight = genes[j, KEY], genes[j, LOG_WEIGHT]
        for b in range(CELLS):
            y = key * x[j, b]
            u = weight - (k * y) * y
            w = exp(lane[_S, b] * (y - lane[_Y, b]) + (u - lane[_U, b]))
            weights[e, b] = w
            total[_WEIGHT, b] += w
            total[_WEIGHT_X, b] += np.float64(w) * np.float64(x[j, b])


@numba.njit(cache=True, nogil=True)
def _longest_row(rowptr: Array) -> int:
    longest = 0
    for i in range(len(rowptr) - 1):
        longest = max(longest, rowptr[i + 1] - rowptr[i])
    return longest


@numba.njit(cache=True, nogil=True)
def forward(rowptr: Array, col: Array, genes: Array, k: float, x: Array, out: Array) -> None:
    """Writes o of a block of cells, ``[num_genes, CELLS]``; genes without neighbours get 0."""
    lane = np.empty((_NUM_LANES, CELLS), x.dtype)
    total = np.empty((_NUM_TOTALS, CELLS))
    weights = np.empty((_longest_row(rowptr), CELLS), x.dtype)
    for i in range(len(x)):
        sources = col[rowptr[i] : rowptr[i + 1]]
        if len(sources) == 0:
            out[i] = 0
            continue
        _find_top(i, sources, genes, k, x, lane)
        _add_up(sources, genes, k, x, lane, total, weights)
        for b in range(CELLS):
            out[i, b] = total[_WEIGHT_X, b] / total[_WEIGHT, b]


@numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def _sum(values: Array) -> float:
    result = 0.0
    for b in range(CELLS):
        result += values[b]
    return result


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def backward(
    rowptr: Array, col: Array, genes: Array, k: float, x: Array, g: Array,
    gx: Array, of_genes: Array, x_too: bool, keys_too: bool,
) -> float:  # fmt: skip
    """Adds to the gradients of ``genes`` and, if ``x_too``, of x; returns that of k.

    Those of k and of the columns KEY and LOG_WEIGHT are left out unless ``keys_too``.
    """
    lane = np.empty((_NUM_LANES, CELLS), x.dtype)
    total = np.empty((_NUM_TOTALS, CELLS))
    weights = np.empty((_longest_row(rowptr), CELLS), x.dtype)
    of_k = 0.0
    for i in range(len(x)):
        sources = col[rowptr[i] : rowptr[i + 1]]
        if len(sources) == 0:
            continue
        if x_too:
            for j in sources:
                prefetch(gx, j, 0)
                prefetch(gx, j, CELLS // 2)  # float64: two cache lines
        _find_top(i, sources, genes, k, x, lane)
        _add_up(sources, genes, k, x, lane, total, weights)
        for b in range(CELLS):
            mean = total[_WEIGHT_X, b] / total[_WEIGHT, b]
            lane[_MEAN, b] = mean
            lane[_MEAN_LOW, b] = mean - lane[_MEAN, b]
            lane[_SHARE, b] = g[i, b] / total[_WEIGHT, b]
        for e in range(len(sources)):
            j = sources[e]
            key = genes[j, KEY]
            for b in range(CELLS):
                y = key * x[j, b]
                p = lane[_SHARE, b] * weights[e, b]
                pull = p * ((x[j, b] - lane[_MEAN, b]) - lane[_MEAN_LOW, b])
                of_y = pull * (lane[_S, b] - (k + k) * y)
                total[_OF_SLOPE, b] += np.float64(pull) * np.float64(y - lane[_Y, b])
                weights[e, b] = p + key * of_y  # what x_j receives; its weight is used
                lane[_TO_Y, b] = of_y
                lane[_TO_U, b] = pull
            if keys_too:
                for b in range(CELLS):
                    y = key * x[j, b]
                    squares = (y - lane[_Y, b]) * (y + lane[_Y, b])
                    total[_OF_K, b] -= np.float64(lane[_TO_U, b]) * np.float64(squares)
                    lane[_TO_P, b] = lane[_TO_Y, b] * x[j, b]
                of_genes[j, KEY] += _sum(lane[_TO_P])
                of_genes[j, LOG_WEIGHT] += _sum(lane[_TO_U])
        if x_too:
            for e in range(len(sources)):
                j = sources[e]
                for b in range(CELLS):
                    gx[j, b] += weights[e, b]
        for b in range(CELLS):
            of_genes[i, SLOPE] += total[_OF_SLOPE, b] * x[i, b]
            of_genes[i, OFFSET] += total[_OF_SLOPE, b]
            of_k += total[_OF_K, b]
            if x_too:
                gx[i, b] += total[_OF_SLOPE, b] * genes[i, SLOPE]
    return of_k
