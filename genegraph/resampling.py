"""Training cells met anew: the reads of two cells of a type, as many as one of them has."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from genegraph.batches import CellRows, Rows, Window, as_rows
from genegraph.expression_matrix import AnyMatrix
from genegraph.held_rows import HeldRows

RESAMPLING_DEPTH = 100.0
"""A cell of so many reads is resampled every second time it is met."""


class ResampledCells(CellRows):
    r"""Cells for training, some of them resampled within their type.

    A cell of :math:`T` reads is met as it is, or, with probability :math:`100 / (100 + T)`, as
    about :math:`T` reads out of its own and those of another cell of its type: each read of the two
    stays with probability :math:`T / (T + T')`.  The other cell is of the same fold, so that what a
    head is kept from stays unknown to it.  Where reads are few, which genes of a cell were
    seen is mostly chance, and this shows the network other such chances; what tells deep cells of a
    type apart is left as it is.

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
    ) -> None:
        super().__init__(X, y, depth, fold, target)
        self.seed = seed
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
        return ResampledCells(X, seed=self.seed, lane=window.lane, **known)

    def part(self, rows: Any, which: slice) -> Rows:
        """Returns those cells of a batch that ``which`` picks from its ``rows``."""
        rng = np.random.default_rng([self.seed, *rows])
        rows = np.asarray(rows)
        depth = self.depth[rows]  # type: ignore[index]
        partner = self._order[rng.integers(self._first[rows], self._end[rows])]
        chosen = rng.random(len(rows)) < RESAMPLING_DEPTH / (RESAMPLING_DEPTH + depth)
        both = depth + self.depth[partner]  # type: ignore[index]
        share = np.divide(depth, both, out=np.zeros_like(both), where=both > 0)
        # A stream for each cell, so that the others of a batch need not be thinned to know it.
        keys = rng.integers(2**63, size=len(rows))
        rows, partner, chosen = rows[which], partner[which], chosen[which]
        mixed = self._mixed(rows, partner, chosen, share[which], keys[which])
        return {**as_rows(mixed), **self.known(rows)}

    def _mixed(
        self,
        rows: NDArray[np.int64],
        partner: NDArray[np.int64],
        chosen: NDArray[np.bool_],
        share: NDArray[np.float32],
        keys: NDArray[np.int64],
    ) -> Any:
        own: Any = self.X[rows]
        if not chosen.any():  # as is often so where cells are deep
            return own
        sums = own[chosen] + self.X[partner[chosen]]
        share, keys = share[chosen], keys[chosen]
        if isinstance(own, np.ndarray):
            there = np.nonzero(sums)
            number = np.bincount(there[0], minlength=len(sums))
            sums[there] = _thinned(sums[there], number, share, keys)
            own[chosen] = sums
            return own
        sums.sort_indices()
        sums.data[:] = _thinned(sums.data, np.diff(sums.indptr), share, keys)
        sums.eliminate_zeros()
        place = np.arange(len(rows))
        place[chosen] = len(rows) + np.arange(len(share))
        return sp.vstack([own, sums], format="csr")[place]


def _thinned(
    counts: NDArray[np.float32],
    number: NDArray[np.int64],
    share: NDArray[np.float32],
    keys: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Keeps each read with its cell's probability; ``number`` counts of each cell in a row."""
    kept = counts.astype(np.int64)
    end = np.cumsum(number)
    for first, last, p, key in zip(end - number, end, share, keys, strict=True):
        stream = np.random.Generator(np.random.Philox(key=key))
        kept[first:last] = stream.binomial(kept[first:last], p)
    return kept
