"""Matrices of cells x genes, dense, sparse or on disk: tidy them, walk them, take from them."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from genegraph.expression_stored import StoredMatrix

Matrix: TypeAlias = NDArray[Any] | sp.csr_matrix | sp.csr_array
AnyMatrix: TypeAlias = Matrix | StoredMatrix

BLOCK_VALUES = 4_000_000  # how many values a pass over the cells looks at together


def as_matrix(X: Any, source: str) -> AnyMatrix:
    """Brings any dense or sparse matrix of numbers to a C-order array or tidy CSR.

    The number format stays; memory is shared where nothing had to change.  What is on disk stays
    there.
    """
    sparse = sp.issparse(X)
    matrix: Any = X if sparse or isinstance(X, StoredMatrix) else np.asarray(X)
    if matrix.dtype.kind not in "iuf":
        raise TypeError(
            f"{source} must hold real numbers (got dtype {matrix.dtype}); convert them first, "
            "for example with .astype('float32')."
        )
    if matrix.ndim != 2:
        raise ValueError(
            f"{source} must have shape (num_cells, num_genes) (got {tuple(matrix.shape)})."
        )
    if isinstance(matrix, StoredMatrix):
        return matrix
    return tidy(matrix)


def tidy(matrix: Any) -> Matrix:
    """Returns numbers as a C-order array or CSR with sorted indices and no duplicates."""
    return _tidy_csr(matrix) if sp.issparse(matrix) else np.ascontiguousarray(matrix)


def check_finite(
    X: AnyMatrix,
    source: str,
    cells: Sequence[Any] | None = None,
    genes: Sequence[Any] | None = None,
) -> None:
    """Raises a ValueError that counts NaN and infinite values and names where the first is."""
    count, first = 0, (0, 0)
    for rows, part in blocks(X):
        bad = np.flatnonzero(~np.isfinite(stored(part)))
        if bad.size and not count:
            row, column = _position(part, int(bad[0]))
            first = (rows.start + row, column)
        count += bad.size
    if not count:
        return
    cell, gene = first
    where = f"cell {cells[cell] if cells is not None else cell!r}"
    where += f", gene {genes[gene] if genes is not None else gene!r}"
    raise ValueError(
        f"{source} must hold finite numbers (got {count:,} NaN or infinite, the first in "
        f"{where}). Find where they came from; a gene that was not measured is better left out."
    )


def as_float32(X: AnyMatrix) -> AnyMatrix:
    """Converts the number format, without a copy where it is float32 already."""
    if isinstance(X, StoredMatrix):
        return X.then(lambda part, _: as_float32(part))
    if isinstance(X, np.ndarray):
        return X.astype(np.float32, order="C", copy=False)
    return X.astype(np.float32, copy=False)


def take_rows(X: AnyMatrix, rows: NDArray[np.int64]) -> AnyMatrix:
    """Takes some of the cells, which stay on disk if they are there."""
    return X.take(rows) if isinstance(X, StoredMatrix) else X[rows]


def stack(first: Any, then: Any) -> Matrix:
    """Returns the rows of both, in memory; dense where both are."""
    parts = [X[np.arange(X.shape[0])] if isinstance(X, StoredMatrix) else X for X in (first, then)]
    if all(isinstance(part, np.ndarray) for part in parts):
        rows: NDArray[Any] = np.concatenate(parts)
        return rows
    return sp.csr_array(sp.vstack([sp.csr_array(part) for part in parts], format="csr"))


def take_columns(X: AnyMatrix, columns: NDArray[np.int64]) -> AnyMatrix:
    """Takes these columns, with zeros where the number is -1; dense or sparse."""
    if isinstance(X, StoredMatrix):
        return X.then(lambda part, _: take_columns(part, columns), len(columns))
    found = np.flatnonzero(columns >= 0)
    if isinstance(X, np.ndarray):
        out = np.zeros((X.shape[0], len(columns)), dtype=X.dtype)
        out[:, found] = X[:, columns[found]]
        return out
    new_column = np.full(X.shape[1], -1, dtype=X.indices.dtype)
    new_column[columns[found]] = found
    indices = new_column[X.indices]
    kept = indices >= 0
    kept_before = np.concatenate([[0], np.cumsum(kept)])
    indptr = kept_before[X.indptr].astype(X.indptr.dtype)
    aligned = type(X)((X.data[kept], indices[kept], indptr), shape=(X.shape[0], len(columns)))
    aligned.sort_indices()
    return aligned


def blocks(X: AnyMatrix) -> Iterator[tuple[slice, Matrix]]:
    """Walks the cells in blocks, so that temporary arrays stay small."""
    step = max(1, BLOCK_VALUES // max(1, X.shape[1]))
    if isinstance(X, StoredMatrix):
        step = X.block_rows
    for start in range(0, X.shape[0], step):
        rows = slice(start, min(start + step, X.shape[0]))
        yield rows, X[rows]


def stored(X: Matrix) -> NDArray[Any]:
    """Views the values in one line; of a sparse matrix those it stores."""
    return X.reshape(-1) if isinstance(X, np.ndarray) else X.data


def stored_per_row(X: Matrix) -> NDArray[np.int64]:
    """Counts the values that `stored` gives for each row."""
    if isinstance(X, np.ndarray):
        return np.full(X.shape[0], X.shape[1])
    return np.diff(X.indptr).astype(np.int64)


def _position(X: Matrix, index: int) -> tuple[int, int]:
    if isinstance(X, np.ndarray):
        return index // X.shape[1], index % X.shape[1]
    return int(np.searchsorted(X.indptr, index, side="right")) - 1, int(X.indices[index])


def _tidy_csr(X: Any) -> sp.csr_matrix | sp.csr_array:
    csr_class = sp.csr_array if isinstance(X, sp.sparray) else sp.csr_matrix
    if X.format == "csc":
        _check_places(sp.csc_array(X))
    if X.format == "csr":
        csr = csr_class(X)  # AnnData's views become plain matrices, without a copy
        _check_places(csr)
        if csr.has_canonical_format:
            return csr
    # Duplicates are summed: in float64, as a sum may not fit a small integer format.
    csr = csr_class(X.tocoo().astype(np.float64))
    csr.sum_duplicates()  # which also sorts the indices
    return csr


def _check_places(X: Any) -> None:
    """Refuses places outside the matrix, which compiled loops would follow.

    A damaged file has such; nobody else looks at them.
    """
    try:
        X.check_format(full_check=True)
    except ValueError as error:
        raise ValueError(
            f"A sparse matrix must name rows and columns that it has (got {X.shape[0]} x "
            f"{X.shape[1]}, and: {error}). The file it came from may be damaged: make it again."
        ) from error
