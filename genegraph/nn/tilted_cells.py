r"""Full attention cell by cell: equal genes become one key of :mod:`~genegraph.nn.tilted`.

Most genes of a single-cell count are zero, and counts have few distinct values: ``n`` equal keys
are one key whose log-weight is larger by ``log n``, and share out its gradient.  That is exact.

numba's cache notices changes in a function's own file only, not in those it calls.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from genegraph.nn.exponential import exp_float64
from genegraph.nn.sorting import sort_pairs
from genegraph.nn.tilted import tilted_mean, tilted_mean_key_gradient

Array = np.ndarray[Any, Any]

FEW_VALUES = 512
"""Distinct values of a cell of counts that are found by hashing; of more, by sorting."""

HASH, HASH_SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(64 - 11)
"""Fibonacci hashing into four slots for every value, 2048."""


@numba.njit(cache=True, nogil=True)
def _nonzero(x: Array) -> Array:
    """Where x is not zero (a NaN is not)."""
    genes = np.empty(len(x), np.int64)
    num = 0
    for i in range(len(x)):  # no branch: no guess of the processor's can be wrong
        genes[num] = i
        num += x[i] != 0
    return genes[:num]


@numba.njit(cache=True, nogil=True)
def _distinct(x: Array) -> tuple[Array, Array, Array, Array, int]:
    """Distinct values of one cell.

    Returns them in rising order, how often each occurs, the genes that are not zero, which value
    each of those has, and which value is zero (-1 if none).
    """
    genes = _nonzero(x)
    nonzero = np.empty(len(genes))
    for i in range(len(genes)):
        nonzero[i] = x[genes[i]]
    values, counts, which = _group_few(nonzero)
    if len(which) < len(genes):
        values, counts, genes, which = _group_many(nonzero, genes)
    num_zero = len(x) - len(genes)
    if num_zero == 0:
        return values, counts, genes, which, -1
    zero = int(np.searchsorted(values, 0.0))
    for i in range(len(genes)):
        which[i] += which[i] >= zero
    values = np.concatenate((values[:zero], np.zeros(1), values[zero:]))
    counts = np.concatenate((counts[:zero], np.full(1, float(num_zero)), counts[zero:]))
    return values, counts, genes, which, zero


@numba.njit(cache=True, nogil=True)
def _group_few(x: Array) -> tuple[Array, Array, Array]:
    """Distinct values, rising, their counts, and which each number has; stops at too many."""
    table = np.full(4 * FEW_VALUES, -1)  # open addressing
    values, counts = np.empty(FEW_VALUES), np.zeros(FEW_VALUES)
    which = np.empty(len(x), np.int64)
    bits = x.view(np.uint64)
    num = 0
    for i in range(len(x)):
        slot = (bits[i] * HASH) >> HASH_SHIFT
        while table[slot] >= 0 and values[table[slot]] != x[i]:
            slot = (slot + np.uint64(1)) % np.uint64(len(table))
        if table[slot] < 0:
            if num == FEW_VALUES:
                return values, counts, which[:i]
            table[slot] = num
            values[num] = x[i]
            num += 1
        which[i] = table[slot]
        counts[which[i]] += 1
    order = np.argsort(values[:num])
    rank = np.empty_like(order)
    rank[order] = np.arange(num)
    return values[order], counts[order], rank[which]


@numba.njit(cache=True, nogil=True)
def _group_many(x: Array, genes: Array) -> tuple[Array, Array, Array, Array]:
    """The same of any numbers; their genes are sorted with them."""
    rising, genes = sort_pairs(x, genes)
    values, counts, which = np.empty(len(x)), np.zeros(len(x)), np.empty_like(genes)
    k = -1
    for i in range(len(x)):
        if i == 0 or rising[i] != rising[i - 1]:
            k += 1
            values[k] = rising[i]
        counts[k] += 1
        which[i] = k
    return values[: k + 1], counts[: k + 1], genes, which


@numba.njit(cache=True, nogil=True)
def scalar_forward(
    x: Array, a: float, c: float, k: float, tol: float, nodes: Array, to_coef: Array,
    out: Array, var: Array,
) -> None:  # fmt: skip
    """Writes m and m' at every gene of every cell, logits (a x_i + c) x_j - k x_j^2."""
    for b in range(len(x)):
        values, counts, genes, which, zero = _distinct(x[b])
        weights = _log_weights(values, counts, k)
        result = tilted_mean(a * values + c, values, values, weights, tol, nodes, to_coef)
        if zero >= 0:
            out[b] = result[0, zero]
            var[b] = result[1, zero]
        for i in range(len(genes)):
            out[b, genes[i]] = result[0, which[i]]
            var[b, genes[i]] = result[1, which[i]]


@numba.njit(cache=True, nogil=True)
def _log_weights(values: Array, counts: Array, k: float) -> Array:
    weights = -k * values**2
    for i in range(len(values)):
        if counts[i] > 1:  # where all are distinct, logarithms would be a fifth of the time
            weights[i] += math.log(counts[i])
    return weights


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "nsz"})
def slope_backward(x: Array, g: Array, var: Array, of_a: Array, of_c: Array) -> None:
    """Writes each cell's gradients of a and c."""
    for b in range(len(x)):
        x_here, g_here, var_here = x[b], g[b], var[b]
        a = c = 0.0
        for i in range(len(x_here)):
            through_slope = np.float64(g_here[i]) * var_here[i]
            a += through_slope * x_here[i]
            c += through_slope
        of_a[b] = a
        of_c[b] = c


@numba.njit(cache=True, nogil=True)
def scalar_backward(
    x: Array, g: Array, var: Array, a: float, c: float, k: float, tol: float, nodes: Array,
    to_coef: Array, of_x: Array, of_k: Array,
) -> None:  # fmt: skip
    """Writes the gradient of x and each cell's of k."""
    for b in range(len(x)):
        values, counts, genes, which, zero = _distinct(x[b])
        weights = _log_weights(values, counts, k)
        total = np.zeros(len(values))
        for i in range(len(genes)):
            total[which[i]] += g[b, genes[i]]
        if zero >= 0:
            total[zero] = _sum_where_zero(g[b], x[b])
        keys = tilted_mean_key_gradient(
            a * values + c, total, values, values, weights, tol, nodes, to_coef
        )
        # keys[2] adds up to zero: squares may be measured from any, and lose fewer digits so.
        of_k[b] = -(keys[2] * ((values - values[0]) * (values + values[0]))).sum()
        as_key = (keys[0] + keys[1] - 2 * k * values * keys[2]) / counts
        if zero >= 0:
            of_x[b] = as_key[zero]
        for i in range(len(genes)):
            of_x[b, genes[i]] = as_key[which[i]]
        for i in range(x.shape[1]):
            of_x[b, i] += a * g[b, i] * var[b, i]


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "nsz"})
def _sum_where_zero(g: Array, x: Array) -> float:
    total = 0.0
    for i in range(len(x)):
        total += np.float64(g[i]) if x[i] == 0 else 0.0
    return total


@numba.njit(cache=True, nogil=True)
def _keys(x: Array, y: Array, u: Array) -> tuple[Array, Array, Array, Array, int]:
    """Keys sorted by y; all genes at zero are one key.

    Returns x, y and u of the keys, their genes (the number of genes for zero), and which key is
    zero (-1 if none).
    """
    genes = np.empty(len(x) + 1, np.int64)
    num = 0
    for j in range(len(x)):
        genes[num] = j
        num += (x[j] != 0) | (y[j] != 0)
    has_zero = num < len(x)
    if has_zero:
        genes[num] = len(x)  # after the last
    genes = genes[: num + has_zero]
    unsorted = np.zeros(len(genes))
    for i in range(num):
        unsorted[i] = y[genes[i]]
    ky, genes = sort_pairs(unsorted, genes)
    kx, ku = np.zeros(len(ky)), np.empty(len(ky))
    zero = -1
    for i in range(len(genes)):
        if genes[i] == len(x):
            zero = i
            ku[i] = _log_weight_of_zero(x, y, u)
        else:
            kx[i] = x[genes[i]]
            ku[i] = u[genes[i]]
    return kx, ky, ku, genes, zero


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "nsz"})
def _log_weight_of_zero(x: Array, y: Array, u: Array) -> float:
    """Logarithm of the sum of e^u over the genes at zero."""
    heaviest = -np.inf
    for j in range(len(x)):
        if x[j] == 0 and y[j] == 0:
            heaviest = max(heaviest, np.float64(u[j]))
    total = 0.0
    for j in range(len(x)):
        e = exp_float64(min(u[j] - heaviest, 0.0))
        total += e if (x[j] == 0) & (y[j] == 0) else 0.0
    return heaviest + math.log(total)


@numba.njit(cache=True, nogil=True)
def gene_aware_forward(
    s: Array, x: Array, y: Array, u: Array, tol: float, nodes: Array, to_coef: Array,
    out: Array, cov: Array,
) -> None:  # fmt: skip
    """Writes m and m' at every gene of every cell into ``out`` and ``cov``."""
    for b in range(len(x)):
        kx, ky, ku, _, _ = _keys(x[b], y[b], u[b])
        result = tilted_mean(s[b].astype(np.float64), kx, ky, ku, tol, nodes, to_coef)
        out[b] = result[0]
        cov[b] = result[1]


@numba.njit(cache=True, nogil=True)
def gene_aware_backward(
    s: Array, x: Array, y: Array, u: Array, g: Array, tol: float, nodes: Array, to_coef: Array,
    out: Array,
) -> None:  # fmt: skip
    """Writes the upstream gradients' share of x, y and u, ``[3, cells, genes]``, into ``out``."""
    for b in range(len(x)):
        kx, ky, ku, genes, zero = _keys(x[b], y[b], u[b])
        keys = tilted_mean_key_gradient(
            s[b].astype(np.float64), g[b].astype(np.float64), kx, ky, ku, tol, nodes, to_coef
        )
        if zero >= 0:  # shared out by weight; what others receive is written over below
            for j in range(x.shape[1]):
                share = exp_float64(min(u[b, j] - ku[zero], 0.0))
                out[0, b, j] = share * keys[0, zero]
                out[1, b, j] = share * keys[1, zero]
                out[2, b, j] = share * keys[2, zero]
        for i in range(len(genes)):
            if i != zero:
                for part in range(3):
                    out[part, b, genes[i]] = keys[part, i]
