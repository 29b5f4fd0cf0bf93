r"""Softmax over each gene's graph neighbours, one fused pass per row for several cells at once.

For a target gene :math:`i` with neighbours :math:`j`, in one cell:

.. math::
    \alpha_{ij} = \mathrm{softmax}_j(s_i y_j + u_j - k y_j^2), \qquad
    o_i = \sum_j \alpha_{ij} x_j, \qquad
    s_i = a_i x_i + c_i, \quad y_j = p_j x_j

The numbers that :data:`CELLS` cells have for one gene lie side by side, and the innermost loop
over them becomes vector instructions.  What belongs to one row and cell is kept in ``lane``, one
array for all of it: LLVM then knows that its rows do not overlap.

Logits are measured from one key of the row, as differences of keys.  Where no two logits of a cell
can be further apart than :data:`NEAR`, any key will do, and it is the first; elsewhere it is looked
for, the *top*, whose logit is the largest: exact where it matters, at steep slopes too.  Sums over
edges are in float64.  Of edges times cells no more is stored than one row: the backward pass
recomputes the softmax.  Each cell is one thread's own, so gradients of keys are added without
races.
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

NEAR = 16.0
"""A float32 as large as this is off by 1e-6 at most, and a weight that has it for logit too."""

SLOPE, OFFSET, KEY, LOG_WEIGHT = range(4)
"""Columns of ``genes``: a, c, p and u of each gene."""

# Rows of ``apart``: how far apart a cell's keys can be, and its u - k y^2.
_KEYS, _WEIGHTS, _NUM_APART = range(3)

# Rows of ``lane``: the slope; y and u - k y^2 of the chosen key; the mean, and what rounding took
# from it; the upstream gradient over the sum of weights; what one edge sends to y, u and p; whether
# logits can lie far apart.
_S, _Y, _U, _MEAN, _MEAN_LOW, _SHARE, _TO_Y, _TO_U, _TO_P, _FAR, _NUM_LANES = range(11)

# Rows of ``total``: sums of weights, of weight times x; the gradients of the slope and of k.
_WEIGHT, _WEIGHT_X, _OF_SLOPE, _OF_K, _NUM_TOTALS = range(5)


@numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def _sum(values: Array) -> float:
    result = 0.0
    for b in range(CELLS):
        result += values[b]
    return result


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def _how_far_apart(genes: Array, k: float, x: Array) -> Array:
    """Returns ``apart``, no bound (infinite or NaN) where a number of the cell is infinite."""
    lowest, highest = np.full(CELLS, np.inf, x.dtype), np.full(CELLS, -np.inf, x.dtype)
    least, most = np.inf, -np.inf
    for j in range(len(x)):
        key, weight = genes[j, KEY], genes[j, LOG_WEIGHT]
        least = least if weight >= least else weight
        most = most if weight <= most else weight
        for b in range(CELLS):
            y = key * x[j, b]
            lowest[b] = lowest[b] if y >= lowest[b] else y
            highest[b] = highest[b] if y <= highest[b] else y
    apart = np.empty((_NUM_APART, CELLS), x.dtype)
    for b in range(CELLS):
        far = max(abs(lowest[b]), abs(highest[b]))
        apart[_KEYS, b] = highest[b] - lowest[b]
        apart[_WEIGHTS, b] = (most - least) + (abs(k) * far) * far
    return apart


@numba.njit(cache=True, nogil=True, forceinline=True, fastmath={"contract"})
def _choose_key(
    i: int, sources: Array, genes: Array, k: float, x: Array, apart: Array, lane: Array
) -> None:
    """Writes the slope of row ``i`` and the key that its logits are measured from."""
    j = sources[0]
    for b in range(CELLS):
        y = genes[j, KEY] * x[j, b]
        lane[_S, b] = genes[i, SLOPE] * x[i, b] + genes[i, OFFSET]
        lane[_Y, b] = y
        lane[_U, b] = genes[j, LOG_WEIGHT] - (k * y) * y
        near = abs(lane[_S, b]) * apart[_KEYS, b] + apart[_WEIGHTS, b] <= NEAR
        lane[_FAR, b] = 0 if near else 1
    if _sum(lane[_FAR]) == 0:
        return
    for e in range(1, len(sources)):
        j = sources[e]
        key, weight = genes[j, KEY], genes[j, LOG_WEIGHT]
        for b in range(CELLS):
            y = key * x[j, b]
            u = weight - (k * y) * y
            higher = lane[_S, b] * (y - lane[_Y, b]) + (u - lane[_U, b]) > 0
            higher &= lane[_FAR, b] != 0  # what a cell gets does not depend on those beside it
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
    apart = _how_far_apart(genes, k, x)
    lane = np.empty((_NUM_LANES, CELLS), x.dtype)
    total = np.empty((_NUM_TOTALS, CELLS))
    weights = np.empty((_longest_row(rowptr), CELLS), x.dtype)
    for i in range(len(x)):
        sources = col[rowptr[i] : rowptr[i + 1]]
        if len(sources) == 0:
            out[i] = 0
            continue
        _choose_key(i, sources, genes, k, x, apart, lane)
        _add_up(sources, genes, k, x, lane, total, weights)
        for b in range(CELLS):
            out[i, b] = total[_WEIGHT_X, b] / total[_WEIGHT, b]


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def backward(
    rowptr: Array, col: Array, genes: Array, k: float, x: Array, g: Array,
    gx: Array, of_genes: Array, x_too: bool, keys_too: bool,
) -> float:  # fmt: skip
    """Adds to the gradients of ``genes`` and, if ``x_too``, of x; returns that of k.

    Those of k and of the columns KEY and LOG_WEIGHT are left out unless ``keys_too``.
    """
    apart = _how_far_apart(genes, k, x)
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
        _choose_key(i, sources, genes, k, x, apart, lane)
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
