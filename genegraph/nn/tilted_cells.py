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

from genegraph.nn.tilted import tilted_mean, tilted_mean_key_gradient

Array = np.ndarray[Any, Any]


@numba.njit(cache=True, nogil=True)
def _distinct(x: Array) -> tuple[Array, Array, Array]:
    """Distinct values in rising order, how often each occurs, and where each gene's is found."""
    num_nonzero = 0
    for i in range(len(x)):
        num_nonzero += x[i] != 0
    nonzero = np.empty(num_nonzero)
    k = 0
    for i in range(len(x)):
        if x[i] != 0:
            nonzero[k] = x[i]
            k += 1
    nonzero.sort()
    has_zero = num_nonzero < len(x)
    values = np.empty(num_nonzero + has_zero)
    counts = np.zeros(num_nonzero + has_zero)
    k = -1
    zero_at = -1
    for value in nonzero:
        if has_zero and zero_at < 0 and value > 0:
            k += 1
            zero_at = k
            values[k] = 0.0
            counts[k] = len(x) - num_nonzero
        if k < 0 or values[k] != value:
            k += 1
            values[k] = value
        counts[k] += 1
    if has_zero and zero_at < 0:
        k += 1
        zero_at = k
        values[k] = 0.0
        counts[k] = len(x) - num_nonzero
    values = values[: k + 1]
    where = np.full(len(x), zero_at, np.int64)
    for i in range(len(x)):
        if x[i] != 0:
            where[i] = np.searchsorted(values, x[i])
    return values, counts[: k + 1], where


@numba.njit(cache=True, nogil=True)
def scalar_forward(
    x: Array, a: float, c: float, k: float, tol: float, nodes: Array, to_coef: Array,
    out: Array, var: Array,
) -> None:  # fmt: skip
    """Writes m and m' at every gene of every cell, logits (a x_i + c) x_j - k x_j^2."""
    for b in range(len(x)):
        values, counts, where = _distinct(x[b])
        weights = np.log(counts) - k * values**2
        result = tilted_mean(a * values + c, values, values, weights, tol, nodes, to_coef)
        for i in range(x.shape[1]):
            out[b, i] = result[0, where[i]]
            var[b, i] = result[1, where[i]]


@numba.njit(cache=True, nogil=True)
def scalar_backward(
    x: Array, g: Array, a: float, c: float, k: float, tol: float, nodes: Array, to_coef: Array,
    out: Array, of_k: Array,
) -> None:  # fmt: skip
    """Writes what the keys receive of the upstream gradients ``g``, and the gradient of k."""
    for b in range(len(x)):
        values, counts, where = _distinct(x[b])
        weights = np.log(counts) - k * values**2
        total = np.zeros(len(values))
        for i in range(x.shape[1]):
            total[where[i]] += g[b, i]
        keys = tilted_mean_key_gradient(
            a * values + c, total, values, values, weights, tol, nodes, to_coef
        )
        of_k[b] = -(keys[2] * values**2).sum()
        of_x = (keys[0] + keys[1] - 2 * k * values * keys[2]) / counts
        for i in range(x.shape[1]):
            out[b, i] = of_x[where[i]]


@numba.njit(cache=True, nogil=True)
def _keys(x: Array, y: Array, u: Array) -> tuple[Array, Array, Array, Array]:
    """Keys sorted by y; all genes at zero are one key. ``where``: each gene's place."""
    num = 0
    heaviest = -np.inf
    for j in range(len(x)):
        if x[j] == 0 and y[j] == 0:
            heaviest = max(heaviest, u[j])
        else:
            num += 1
    has_zero = num < len(x)
    kx = np.zeros(num + has_zero)
    ky = np.zeros(num + has_zero)
    ku = np.zeros(num + has_zero)
    where = np.full(len(x), num, np.int64)
    zero_weight = 0.0
    k = 0
    for j in range(len(x)):
        if x[j] == 0 and y[j] == 0:
            zero_weight += math.exp(u[j] - heaviest)
        else:
            kx[k] = x[j]
            ky[k] = y[j]
            ku[k] = u[j]
            where[j] = k
            k += 1
    if has_zero:
        ku[num] = heaviest + math.log(zero_weight)
    order = np.argsort(ky)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    for j in range(len(x)):
        where[j] = place[where[j]]
    return kx[order], ky[order], ku[order], where


@numba.njit(cache=True, nogil=True)
def gene_aware_forward(
    s: Array, x: Array, y: Array, u: Array, tol: float, nodes: Array, to_coef: Array,
    out: Array, cov: Array,
) -> None:  # fmt: skip
    """Writes m and m' at every gene of every cell into ``out`` and ``cov``."""
    for b in range(len(x)):
        kx, ky, ku, _ = _keys(x[b], y[b], u[b])
        result = tilted_mean(s[b].astype(np.float64), kx, ky, ku, tol, nodes, to_coef)
        for i in range(x.shape[1]):
            out[b, i] = result[0, i]
            cov[b, i] = result[1, i]


@numba.njit(cache=True, nogil=True)
def gene_aware_backward(
    s: Array, x: Array, y: Array, u: Array, g: Array, tol: float, nodes: Array, to_coef: Array,
    out: Array,
) -> None:  # fmt: skip
    """Writes the upstream gradients' share of x, y and u, ``[3, cells, genes]``, into ``out``."""
    for b in range(len(x)):
        kx, ky, ku, where = _keys(x[b], y[b], u[b])
        keys = tilted_mean_key_gradient(
            s[b].astype(np.float64), g[b].astype(np.float64), kx, ky, ku, tol, nodes, to_coef
        )
        for j in range(x.shape[1]):
            share = math.exp(u[b, j] - ku[where[j]])
            for part in range(3):
                out[part, b, j] = share * keys[part, where[j]]
