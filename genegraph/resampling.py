"""Training cells met anew: the reads of two cells of a type, as many as one of them has."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from genegraph.batches import CellRows, Rows, as_rows
from genegraph.expression_matrix import Matrix

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

    What is drawn depends on the seed and the positions asked for, in their order: an epoch
    resumed is the same epoch.

    Args:
        X: Counts, float32 cells x genes, dense or CSR.
        y: Number of each cell's class.
        depth: Reads of each cell in all genes.
        fold: See :class:`~genegraph.batches.CellRows`.
        seed: Seed of all that is drawn.
    """

    def __init__(
        self,
        X: Matrix,
        y: NDArray[np.int64],
        depth: NDArray[np.float32],
        fold: NDArray[np.int64],
        seed: int,
    ) -> None:
        super().__init__(X, y, depth, fold)
        self.seed = seed
        kind = y * (fold.max() + 2) + fold + 1
        self._order = np.argsort(kind, kind="stable")
        self._first = np.searchsorted(kind[self._order], kind)
        self._end = np.searchsorted(kind[self._order], kind, side="right")

    def __getitem__(self, rows: Any) -> Rows:
        rng = np.random.default_rng([self.seed, *rows])
        rows = np.asarray(rows)
        depth = self.depth[rows]  # type: ignore[index]
        partner = self._order[rng.integers(self._first[rows], self._end[rows])]
        chosen = rng.random(len(rows)) < RESAMPLING_DEPTH / (RESAMPLING_DEPTH + depth)
        both = depth + self.depth[partner]  # type: ignore[index]
        share = np.divide(depth, both, out=np.zeros_like(both), where=both > 0)
        part = self._mixed(rows, partner, chosen, share, rng)
        return {**as_rows(part), **self.known(rows)}

    def _mixed(
        self,
        rows: NDArray[np.int64],
        partner: NDArray[np.int64],
        chosen: NDArray[np.bool_],
        share: NDArray[np.float32],
        rng: np.random.Generator,
    ) -> Any:
        own, other = self.X[rows], self.X[partner[chosen]]
        if isinstance(own, np.ndarray):  # draws in the order of a sparse matrix, so as to agree
            sums = own[chosen] + other
            there = np.nonzero(sums)
            sums[there] = rng.binomial(sums[there].astype(np.int64), share[chosen][there[0]])
            mixed = own.astype(np.float32)
            mixed[chosen] = sums
            return mixed
        number = int(chosen.sum())
        place = sp.csr_array(
            (np.ones(number, np.float32), (np.flatnonzero(chosen), np.arange(number))),
            shape=(len(rows), number),
        )
        sums = sp.csr_array(own + place @ other)
        sums.sort_indices()
        drawn = np.repeat(chosen, np.diff(sums.indptr))
        shares = np.repeat(share, np.diff(sums.indptr))[drawn]
        sums.data[drawn] = rng.binomial(sums.data[drawn].astype(np.int64), shares)
        sums.eliminate_zeros()
        return sums
