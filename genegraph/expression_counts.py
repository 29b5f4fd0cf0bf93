"""Reads behind the values: the counts of each cell and how many reads it has in all."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genegraph.expression_matrix import AnyMatrix, Matrix, as_float32, blocks
from genegraph.expression_stored import StoredMatrix
from genegraph.expression_values import TARGET_SUM, Kind, expm1_sums, summarise

LARGEST_STEP = 4
"""A cell's smallest count is looked for up to here; nearly always it is 1."""

TOLERANCE = 0.02
"""How far from a whole number a count may come out."""

RELATIVE_TOLERANCE = 2e-3
"""The same as a share of the count: logarithms rounded to three decimals, which are met, know it
to 1e-3.  Of counts above a hundred or two this asks nothing; a cell's many small counts decide."""


class CountedCells(NamedTuple):
    """Counts and depth.

    Attributes:
        X: Reads, float32 cells x genes, dense or CSR; on disk where the values are.
        depth: Reads of each cell in all genes, float32; more than the row's sum where genes
            were left out.
        target_sum: What the cells were normalised to; None for counts.
    """

    X: AnyMatrix
    depth: NDArray[np.float32]
    target_sum: float | None


def count_cells(
    X: AnyMatrix,
    kind: Kind,
    depth: NDArray[np.float64] | None = None,
    target_sum: float | None = None,
) -> CountedCells | NDArray[np.int64]:
    r"""Returns the reads behind checked values, or the positions of cells that do not show them.

    The values of a cell of :math:`T` reads are :math:`x = \log(1 + 10^4 c / T)`, so all of
    :math:`e^x - 1` are multiples of one step, :math:`10^4 / T`.  The step is the cell's smallest
    value, or a half, third or quarter of it, whichever first makes all others whole.  If a cell's
    values sum to something else than 10,000 in all cells alike, the depth is the sum of the
    counts; if the cells sum to less, genes were left out, and the depth is that of all genes.

    Args:
        X: What :func:`genegraph.expression.read_anndata` returned.
        kind: ``"counts"`` or ``"log1p"``.
        depth: Reads of each cell where they are known; the step follows from them.
        target_sum: What the cells were normalised to, as it was found in the training cells: of a
            few cells with some of the genes it cannot be told.  None finds it.

    Raises:
        ValueError: If ``depth`` does not fit the cells.

    Example:
        >>> counts = np.array([[1.0, 3.0, 0.0], [2.0, 2.0, 4.0]])
        >>> x = np.log1p(1e4 * counts / counts.sum(1, keepdims=True)).astype("float32")
        >>> cells = count_cells(x, "log1p")
        >>> cells.X.tolist(), cells.depth.tolist()
        ([[1.0, 3.0, 0.0], [1.0, 1.0, 2.0]], [4.0, 4.0])
    """
    if depth is not None:
        _check_depth(depth, X.shape[0])
    if kind == "counts":
        sums = summarise(X, "X").sums
        total = sums if depth is None else depth
        short = np.flatnonzero(total < sums)
        if len(short):
            raise ValueError(
                f"A cell's depth must be at least the sum of its counts (got {total[short[0]]:g} "
                f"reads for counts of {sums[short[0]]:g} in cell {short[0]})."
            )
        return CountedCells(as_float32(X), total.astype(np.float32), None)
    target = _target(expm1_sums(X)) if target_sum is None else target_sum
    if depth is not None:
        steps = np.divide(target, np.maximum(depth, 1))
    else:
        steps = np.concatenate([_steps(_expm1(part)) for _, part in _pieces(X)])
    total = np.divide(target, steps, out=np.zeros_like(steps), where=steps > 0)
    wrong = np.zeros(len(steps), dtype=bool)
    for rows, part in _pieces(X):
        counts = _divided(_expm1(part), steps[rows])
        reads = np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()
        wrong[rows] = _not_whole(counts) | (reads > total[rows] * (1 + TOLERANCE))
    if wrong.any():
        return np.flatnonzero(wrong)
    return CountedCells(_counts(X, steps), np.rint(total).astype(np.float32), target)


def _pieces(X: AnyMatrix) -> Iterator[tuple[slice, Matrix]]:
    """The cells at once, or in blocks from disk."""
    return blocks(X) if isinstance(X, StoredMatrix) else iter([(slice(0, X.shape[0]), X)])


def _counts(X: AnyMatrix, steps: NDArray[np.float64]) -> AnyMatrix:
    if isinstance(X, StoredMatrix):
        return X.then(lambda part, rows: _counts(part, steps[rows]))
    return _rounded(_divided(_expm1(X), steps))


def _check_depth(depth: NDArray[np.float64], num_cells: int) -> None:
    good = np.isfinite(depth) & (depth >= 0)
    if depth.shape != (num_cells,) or not good.all():
        raise ValueError(
            "The depth must be one number of reads, 0 or more, per cell (got "
            f"{depth.shape[0]} for {num_cells} cells, {(~good).sum()} of them no such number)."
        )


def _target(sums: NDArray[np.float64]) -> float:
    """What the cells were normalised to: their common sum, or 10,000 where sums differ."""
    full = sums[sums > 0]
    if len(full) and np.ptp(full) <= 0.01 * full.max():
        return float(np.median(full))
    return TARGET_SUM


def _steps(values: Matrix) -> NDArray[np.float64]:
    """The value of one read in each cell; 0 for an empty one, NaN where there is none."""
    steps = np.zeros(values.shape[0])
    for row in range(values.shape[0]):
        cell = _row(values, row)
        if not cell.size:
            continue
        smallest = cell.min()
        for divisor in range(1, LARGEST_STEP + 1):
            multiples = cell * (divisor / smallest)
            if _whole(multiples).all():
                steps[row] = smallest / divisor
                break
        else:
            steps[row] = np.nan
    return steps


def _row(values: Matrix, row: int) -> NDArray[np.float64]:
    if isinstance(values, np.ndarray):
        cell = values[row]
    else:
        cell = values.data[values.indptr[row] : values.indptr[row + 1]]
    positive: NDArray[np.float64] = cell[cell > 0]
    return positive


def _whole(counts: NDArray[np.float64]) -> NDArray[np.bool_]:
    near: NDArray[np.bool_] = (
        np.abs(counts - np.rint(counts)) <= TOLERANCE + RELATIVE_TOLERANCE * counts
    )
    return near


def _not_whole(counts: Matrix) -> NDArray[np.bool_]:
    if isinstance(counts, np.ndarray):
        return np.array(~_whole(counts).all(axis=1))
    wrong = np.zeros(counts.shape[0], dtype=bool)
    wrong[np.repeat(np.arange(len(wrong)), np.diff(counts.indptr))[~_whole(counts.data)]] = True
    return wrong


def _expm1(X: Matrix) -> Matrix:
    wide = X.astype(np.float64)
    return np.expm1(wide) if isinstance(wide, np.ndarray) else wide.expm1()


def _divided(values: Matrix, steps: NDArray[np.float64]) -> Matrix:
    factor = np.divide(1.0, steps, out=np.zeros_like(steps), where=steps != 0)
    if isinstance(values, np.ndarray):
        return values * factor[:, None]
    data = values.data * np.repeat(factor, np.diff(values.indptr))
    return type(values)((data, values.indices, values.indptr), shape=values.shape)


def _rounded(counts: Matrix) -> Matrix:
    if isinstance(counts, np.ndarray):
        return np.rint(counts).astype(np.float32)
    data = np.rint(counts.data).astype(np.float32)
    return type(counts)((data, counts.indices, counts.indptr), shape=counts.shape)
