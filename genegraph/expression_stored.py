"""Cells that stay on disk: rows are read when they are asked for, a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from genegraph.packed_values import PackedValues, unpackable

WINDOW_BYTES = 256 * 2**20
"""So much of a matrix on disk is held at once; one that needs no more is read whole."""

BLOCK_BYTES = 4 * 2**20
"""Rows are read in blocks of about so much, more where the file's own chunks are larger."""

GAP = 32
"""Rows between two that are asked for are read along, up to so many: a seek costs as much."""

Rows = NDArray[np.int64]
Step = Callable[[Any, Rows], Any]


class CsrRows:
    """Rows of AnnData's CSR dataset, read from its two long arrays directly.

    AnnData looks into the file's attributes anew for every read.

    Args:
        X: The dataset; where its rows start is kept in memory.

    Attributes:
        shape: Cells and genes.
        dtype: Number format of the values.
        group: Where the arrays are.
    """

    def __init__(self, X: Any) -> None:
        self.shape, self.dtype, self.group = X.shape, X.dtype, X.group
        arrays = (X.group["data"], X.group["indices"])
        self._values, self._places = (
            PackedValues(array) if unpackable(array) else array for array in arrays
        )
        self._starts = np.asarray(X.group["indptr"][()], dtype=np.int64)

    def __getitem__(self, rows: slice) -> sp.csr_matrix:
        """Reads consecutive rows."""
        starts = self._starts[rows.start : rows.stop + 1]
        part = slice(int(starts[0]), int(starts[-1]))
        values, places = self._values[part], self._places[part]
        shape = (len(starts) - 1, self.shape[1])
        return sp.csr_matrix((values, places, starts - starts[0]), shape=shape)


class StoredMatrix:
    """Cells x genes on disk; every read comes back as a matrix in memory.

    Args:
        source: What is read by ``source[first:last]``: AnnData's CSR dataset, or a dense array of
            h5py or zarr.
        steps: What is done to the rows read, in order; each is given a matrix and the numbers of
            its rows in the file.
        num_genes: Columns after the steps.
        rows: Which rows of the file these are; None for all.

    Attributes:
        shape: Cells and genes.
        dtype: Number format in the file.
        summary: What a pass over all values has found, so that one pass is enough.
    """

    def __init__(
        self,
        source: Any,
        steps: tuple[Step, ...] = (),
        num_genes: int | None = None,
        rows: Rows | None = None,
    ) -> None:
        if hasattr(source, "group") and not isinstance(source, CsrRows):
            source = CsrRows(source)
        self._source, self._steps, self._rows = source, steps, rows
        num_cells = int(source.shape[0]) if rows is None else len(rows)
        self.shape = (num_cells, int(source.shape[1]) if num_genes is None else num_genes)
        self.dtype: np.dtype[Any] = source.dtype
        self.summary: Any = None

    @property
    def ndim(self) -> int:
        """Two, as of every matrix."""
        return 2

    def then(self, step: Step, num_genes: int | None = None) -> StoredMatrix:
        """Returns the same cells with one step more, done whenever rows are read."""
        steps = (*self._steps, step)
        return StoredMatrix(self._source, steps, num_genes or self.shape[1], self._rows)

    def take(self, rows: Rows) -> StoredMatrix:
        """Returns some of the cells, still on disk."""
        chosen = rows if self._rows is None else self._rows[rows]
        return StoredMatrix(self._source, self._steps, self.shape[1], chosen)

    def __getitem__(self, rows: Any) -> Any:
        """Reads cells: a slice, or positions in any order."""
        wanted = np.arange(self.shape[0])[rows]
        if self._rows is not None:
            wanted = self._rows[wanted]
        order = np.argsort(wanted, kind="stable")
        parts = [self._read(span) for span in _spans(wanted[order], self.block_rows)]
        matrix = parts[0] if len(parts) == 1 else _stack(parts)
        if (np.diff(order) == 1).all():
            return matrix
        return matrix[np.argsort(order, kind="stable")]

    def blocks_of(self, rows: Rows) -> list[Any]:
        """Reads cells, at least one; returns them in this order, block by block."""
        wanted = rows if self._rows is None else self._rows[rows]
        if (np.diff(wanted) < 0).any():
            return [self[rows]]
        return [self._read(span) for span in _spans(wanted, self.block_rows)]

    @property
    def block_rows(self) -> int:
        """How many rows are read at once, at most."""
        row_bytes = _whole_bytes(self._source) / max(1, self._source.shape[0])
        return max(1, int(max(BLOCK_BYTES, _chunk_bytes(self._source)) / max(1.0, row_bytes)))

    @property
    def window_rows(self) -> int:
        """How many rows may be held at once."""
        row_bytes = _whole_bytes(self._source) / max(1, self._source.shape[0])
        return max(1, int(WINDOW_BYTES / max(1.0, row_bytes)))

    def _read(self, rows: Rows) -> Any:
        first, last = int(rows[0]), int(rows[-1]) + 1
        with damage_named(f"cells {first:,} to {last - 1:,}"):
            part = self._source[first:last]
        if (np.diff(rows) != 1).any():
            part = part[rows - first]
        for step in self._steps:
            part = step(part, rows)
        return part


@contextmanager
def damage_named(what: str) -> Iterator[None]:
    """Answers what anndata and h5py say of a damaged file with what could not be read."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, IndexError, RuntimeError, OSError) as error:
        raise ValueError(
            f"{what} could not be read from the file ({error}); it may be damaged: make it again."
        ) from error


def check_sparse(X: Any) -> None:
    """Refuses a sparse matrix on disk whose parts do not fit together, before it is read by them.

    Raises:
        TypeError: If ``data`` holds no numbers.
        ValueError: If one of ``data``, ``indices`` and ``indptr`` has another shape or number
            format than it must.
    """
    data, indices, indptr = (X.group[name] for name in ("data", "indices", "indptr"))
    if data.dtype.kind not in "biuf":
        raise TypeError(f"A sparse matrix on disk must hold numbers (got dtype {data.dtype}).")
    lines = X.shape[0] if X.format == "csr" else X.shape[1]
    if any(part.ndim != 1 for part in (data, indices, indptr)) or data.shape != indices.shape:
        wrong = f"{data.shape} values in {indices.shape} places"
    elif indices.dtype.kind not in "iu" or indptr.dtype.kind not in "iu":
        wrong = f"places of the formats {indices.dtype} and {indptr.dtype}"
    else:
        starts = np.asarray(indptr[()], dtype=np.int64)
        fits = len(starts) == lines + 1 and starts[0] == 0 and starts[-1] == data.shape[0]
        if fits and (np.diff(starts) >= 0).all():
            return
        wrong = f"{len(starts):,} starts for {lines:,} rows or columns, that do not fit"
    raise ValueError(
        f"A sparse matrix on disk must say where each of its values is (got {wrong}). The file may "
        "be damaged: make it again."
    )


def stays_on_disk(X: Any) -> bool:
    """Tells whether this is a matrix on disk, too large for one window and readable by cells.

    AnnData's CSR datasets and the dense arrays of h5py and zarr are readable so; a CSC dataset,
    the values of whose cells lie scattered over all of it, is not.
    """
    library = type(X).__module__.partition(".")[0]
    if library == "anndata":
        by_cells = getattr(X, "format", None) == "csr" and hasattr(X, "group")
    else:
        by_cells = library in ("h5py", "zarr") and getattr(X, "ndim", 0) == 2
    return by_cells and _whole_bytes(X) > WINDOW_BYTES


def _whole_bytes(X: Any) -> int:
    """Returns the memory that the whole would need: float32 values, 32-bit columns if sparse."""
    if hasattr(X, "group"):
        return 8 * int(X.group["data"].shape[0])
    return 4 * int(X.shape[0]) * int(X.shape[1])


def _chunk_bytes(X: Any) -> int:
    """What has to be decoded to read a single row."""
    if hasattr(X, "group"):
        chunks = getattr(X.group["data"], "chunks", None)
        return 8 * int(chunks[0]) if chunks else 0
    return 4 * int(X.chunks[0]) * int(X.shape[1]) if X.chunks else 0


def _spans(rows: Rows, longest: int) -> Iterator[Rows]:
    """Splits sorted rows where many lie in between, and where a block is full."""
    cuts = np.flatnonzero(np.diff(rows) > GAP) + 1
    for part in np.split(rows, cuts):
        place = (part - part[0]) // longest
        yield from np.split(part, np.flatnonzero(np.diff(place)) + 1)


def _stack(parts: list[Any]) -> Any:
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return sp.vstack(parts, format="csr")
