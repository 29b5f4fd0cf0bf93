"""Rows of a matrix on disk that are in memory for a while, in the blocks that they were read in.

Put together into one matrix they would be copied once more, into memory that is new each time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray


class HeldRows:
    """Rows of a matrix, some of which are in memory; only these may be asked for.

    Args:
        X: All cells, a :class:`~genegraph.expression_stored.StoredMatrix`.
        rows: Positions of these in ``X``, sorted.
        held: Which of these are read.
    """

    def __init__(self, X: Any, rows: NDArray[np.int64], held: NDArray[np.bool_]) -> None:
        # Where none are held, one is read all the same: it shows what kind of matrix no rows are.
        self._blocks = X.blocks_of(rows[held] if held.any() else rows[:1])
        sizes = [block.shape[0] for block in self._blocks]
        self._block = np.repeat(np.arange(len(sizes)), sizes)
        self._row = np.concatenate([np.arange(size) for size in (0, *sizes)])
        self._place = np.cumsum(held) - 1
        self._place[~held] = len(rows)  # no such row: asking for it is an IndexError
        self.shape = (len(rows), X.shape[1])

    def __getitem__(self, rows: NDArray[np.int64]) -> Any:
        place = self._place[rows]
        found = [
            (self._blocks[block], row)
            for block, row in zip(self._block[place], self._row[place], strict=True)
        ]
        first = self._blocks[0]
        if isinstance(first, np.ndarray):
            return np.stack([block[row] for block, row in found]) if found else first[:0]
        spans = [(block, slice(*block.indptr[row : row + 2])) for block, row in found]
        values = np.concatenate([first.data[:0], *(block.data[span] for block, span in spans)])
        places = np.concatenate(
            [first.indices[:0], *(block.indices[span] for block, span in spans)]
        )
        starts = np.cumsum([0, *(span.stop - span.start for _, span in spans)])
        return sp.csr_matrix((values, places, starts), shape=(len(found), self.shape[1]))
