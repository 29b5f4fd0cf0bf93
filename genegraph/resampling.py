"""Training cells met anew: thinned, or with the reads of two cells of a type."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from genegraph.batches import CellRows, Rows, Window, as_rows
from genegraph.expression_matrix import AnyMatrix
from genegraph.held_rows import HeldRows
from genegraph.thinning import draw_shares, keep_reads

RESAMPLING_DEPTH = 100.0
"""A cell of so many reads is resampled every second time it is met."""


class ResampledCells(CellRows):
    r"""Cells for training, some of them resampled within their type, or all of them thinned.

    A cell of :math:`T` reads is met as it is, or, with probability :math:`100 / (100 + T)`, as
    about :math:`T` reads out of its own and those of another cell of its type: each read of the two
    stays with probability :math:`T / (T + T')`.  The other cell is of the same fold, so that what a
    head is kept from stays unknown to it.  Where reads are few, which genes of a cell were
    seen is mostly chance, and this shows the network other such chances; what tells deep cells of a
    type apart is left as it is.

    Where a cell is to be met with a share :math:`s` of its reads, each of these stays with this
    probability, other ones every time, and all of the above holds with :math:`sT` in place of
    :math:`T`: of two cells' reads each stays with probability :math:`sT / (T + T')`.

    What is drawn depends on the seed and the positions of the batch, in their order: an epoch
    resumed is the same epoch, and of a batch shared by several processes every cell is met as if
    one had it all.

    Of cells on disk, the other cell is one of the same window and lane, see
    :class:`~genegraph.batches.BatchOrder`.

    Args:
        X: Counts, float32 cells x genes, dense or CSR, in memory or on disk.
        y: Number of each cell's class.
        depth: Reads of each cell in all genes.
        fold: See :class:`~genegraph.batches.CellRows`.
        seed: Seed of all that is drawn.
        lane: Cells of the same number only are put together; None: all.
        target: See :class:`~genegraph.batches.CellRows`.
        share: The least and the most of its reads that each cell is met with, ``[num_cells, 2]``
            shares, between which one is drawn each time; None: all.
    """

    def __init__(
        self,
        X: AnyMatrix | HeldRows,
        y: NDArray[np.int64],
        depth: NDArray[np.float32],
        fold: NDArray[np.int64],
        seed: int,
        lane: NDArray[np.int64] | None = None,
        target: NDArray[np.float32] | None = None,
        share: NDArray[np.float32] | None = None,
    ) -> None:
        super().__init__(X, y, depth, fold, target)
        self.seed = seed
        self.share = np.ones((len(depth), 2), np.float32) if share is None else share
        kind = y * (fold.max() + 2) + fold + 1
        if lane is not None:
            kind = kind * (lane.max() + 1) + lane
        self._order = np.argsort(kind, kind="stable")
        self._first = np.searchsorted(kind[self._order], kind)
        self._end = np.searchsorted(kind[self._order], kind, side="right")

    def read(self, window: Window, held: NDArray[np.bool_]) -> ResampledCells:
        """Returns the cells of a window; the expression of those ``held`` is in memory."""
        X = HeldRows(self.X, window.rows, held)
        known = self._known_of(window.rows)
        share = self.share[window.rows]
        return ResampledCells(X, seed=self.seed, lane=window.lane, share=share, **known)

    def part(self, rows: Any, which: slice) -> Rows:
        """Returns those cells of a batch that ``which`` picks from its ``rows``."""
        rng = np.random.default_rng([self.seed, *rows])
        rows = np.asarray(rows, dtype=np.int64)
        whole: NDArray[np.float32] = self.depth  # type: ignore[assignment]
        least, most = self.share[rows].T
        share = draw_shares(least, most, rng)
        depth = whole[rows] * share
        partner = self._order[rng.integers(self._first[rows], self._end[rows])]
        chosen = rng.random(len(rows)) < RESAMPLING_DEPTH / (RESAMPLING_DEPTH + depth)
        both = whole[rows] + whole[partner]
        mixed = np.divide(depth, both, out=np.zeros_like(both), where=both > 0)
        kept = np.where(chosen, mixed, share)
        # A stream for each cell, so that the others of a batch need not be thinned to know it.
        keys = rng.integers(2**63, size=len(rows))
        met = self._met(rows[which], partner[which], chosen[which], kept[which], keys[which])
        known = self.known(rows[which])
        known["depth"] = torch.from_numpy(depth[which])
        return {**as_rows(met), **known}

    def _met(
        self,
        rows: NDArray[np.int64],
        partner: NDArray[np.int64],
        chosen: NDArray[np.bool_],
        kept: NDArray[np.float32],
        keys: NDArray[np.int64],
    ) -> Any:
        """Returns the cells, those ``chosen`` with their partner, with what is kept of both."""
        own: Any = self.X[rows]
        touched = chosen | (kept < 1)
        if not touched.any():  # as is often so where cells are deep
            return own
        reads = own[touched]
        kept, keys = kept[touched], keys[touched]
        joined = np.flatnonzero(chosen[touched])
        if isinstance(own, np.ndarray):
            if len(joined):
                reads[joined] += self.X[partner[chosen]]
            there = np.nonzero(reads)
            number = np.bincount(there[0], minlength=len(reads))
            reads[there] = keep_reads(reads[there], number, kept, keys)
            own[touched] = reads
            return own
        if len(joined):
            ones, count = np.ones(len(joined), np.float32), np.arange(len(joined))
            place = sp.csr_matrix((ones, (joined, count)), shape=(len(kept), len(joined)))
            reads = reads + place @ self.X[partner[chosen]]
        reads.sort_indices()
        reads.data[:] = keep_reads(reads.data, np.diff(reads.indptr), kept, keys)
        reads.eliminate_zeros()
        where = np.arange(len(rows))
        where[touched] = len(rows) + np.arange(len(kept))
        return sp.vstack([own, reads], format="csr")[where]
