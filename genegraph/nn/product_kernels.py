"""The product along edges on the CPU, row by row, all cells side by side.

One row of ``x`` holds a gene's value in every cell, so the innermost loop runs over neighbouring
numbers and is vectorised.  Each row of the output is one thread's own, and its edges are added in
their order: results do not depend on the number of threads.

Only reassociation and contraction are allowed of fastmath: infinities and NaN stay what they are.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

Array = np.ndarray[Any, Any]
FASTMATH = {"reassoc", "contract"}


@numba.njit(cache=True, nogil=True, fastmath=FASTMATH)
def product(
    rowptr: Array, col: Array, place: Array, weight: Array, x: Array, out: Array, i: int, j: int
) -> None:
    """Writes rows i..j of A x.

    Args:
        rowptr: Where each row's edges begin, ``[num_genes + 1]``.
        col: Column of each edge, ``[num_edges]``.
        place: Where in ``weight`` each edge's is found; empty: in the same order.
        weight: ``[num_edges]``.
        x: ``[num_genes, width]``.
        out: Same shape.
        i: First row.
        j: Row after the last.
    """
    width = x.shape[1]
    for row in range(i, j):
        sums = out[row]
        for b in range(width):
            sums[b] = 0
        for k in range(rowptr[row], rowptr[row + 1]):
            w = weight[place[k]] if len(place) > 0 else weight[k]
            values = x[col[k]]
            for b in range(width):
                sums[b] += w * values[b]


@numba.njit(cache=True, nogil=True, fastmath=FASTMATH)
def sampled_product(
    rowptr: Array, col: Array, grad: Array, x: Array, out: Array, i: int, j: int
) -> None:
    """Writes ``grad[row] . x[col]`` of each edge of rows i..j, the gradient of its weight."""
    width = x.shape[1]
    for row in range(i, j):
        theirs = grad[row]
        for k in range(rowptr[row], rowptr[row + 1]):
            values = x[col[k]]
            total = x.dtype.type(0)
            for b in range(width):
                total += theirs[b] * values[b]
            out[k] = total
