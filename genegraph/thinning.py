"""Reads left out by chance, so that deep cells are met as shallow as others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genegraph.expression_matrix import AnyMatrix, Matrix, blocks, stored, stored_per_row
from genegraph.expression_stored import StoredMatrix


def thin(
    X: AnyMatrix, depth: NDArray[np.float32], share: NDArray[np.float32], seed: int
) -> tuple[AnyMatrix, NDArray[np.float32]]:
    r"""Returns cells of which a share of the reads was kept, and their depth.

    Thinned so, a cell is what sequencing it less deep would have given (Poisson counts stay Poisson
    counts): :math:`x' \sim \mathrm{Binomial}(x, p)`.  What is kept of a cell depends on the seed
    and on its position.

    Args:
        X: Counts, float32 cells x genes, in memory or on disk.  Never written to; cells on disk are
            thinned whenever they are read, always alike.
        depth: Reads of each cell in all its genes, of which ``X`` may lack some.
        share: The probability :math:`p` of a read to be kept, of each cell; above 0 and at most 1.
        seed: Seed of all that is drawn.

    Example:
        >>> import numpy as np
        >>> X = np.array([[80.0, 0.0, 20.0], [0.0, 40.0, 0.0]], dtype=np.float32)
        >>> share = np.array([0.5, 0.5], dtype=np.float32)
        >>> found, depth = thin(X, np.array([200.0, 40.0], dtype=np.float32), share, seed=0)
        >>> found.tolist(), depth.tolist()
        ([[38.0, 0.0, 7.0], [0.0, 23.0, 0.0]], [93.0, 23.0])
    """

    def step(part: Matrix, rows: NDArray[np.int64]) -> Matrix:
        return _thin_part(part, share[rows], seed, rows)

    thinned = X.then(step) if isinstance(X, StoredMatrix) else step(X, np.arange(X.shape[0]))
    before, after = _sums(X), _sums(thinned)
    # What a cell has in genes that are not looked at is thinned too.
    elsewhere = np.round(depth - before).clip(min=0).astype(np.int64)
    kept = np.random.default_rng([seed, len(depth)]).binomial(elsewhere, share)
    return thinned, (after + kept).astype(np.float32)


def draw_shares(
    least: NDArray[np.float32], most: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Returns a share of the reads for each cell, its logarithm spread evenly between two.

    Where both are the same nothing is drawn.
    """
    if (least == most).all():
        return least
    shares: NDArray[np.float32] = least * (most / least) ** rng.random(len(least), np.float32)
    return shares


def keep_reads(
    counts: NDArray[np.float32],
    number: NDArray[np.int64],
    share: NDArray[np.float32],
    keys: Iterable[Any],
) -> NDArray[np.int64]:
    """Keeps each read with its cell's probability.

    Args:
        counts: Of one cell after the other.
        number: How many of the counts are of each cell.
        share: The probability.
        keys: What a cell keeps depends on its key alone, not on the cells beside it.
    """
    kept = counts.astype(np.int64)
    end = np.cumsum(number)
    for first, last, p, key in zip(end - number, end, share, keys, strict=True):
        stream = np.random.Generator(np.random.Philox(key=key))
        kept[first:last] = stream.binomial(kept[first:last], p)
    return kept


def _thin_part(X: Matrix, share: NDArray[np.float32], seed: int, rows: NDArray[np.int64]) -> Matrix:
    keys = ([seed, row] for row in rows.tolist())
    kept = keep_reads(stored(X), stored_per_row(X), share, keys)
    values = kept.astype(np.float32)
    if isinstance(X, np.ndarray):
        return values.reshape(X.shape)
    thinned = type(X)((values, X.indices, X.indptr), shape=X.shape, copy=True)
    thinned.eliminate_zeros()
    return thinned


def _sums(X: AnyMatrix) -> NDArray[np.float64]:
    """The counts of each cell that are there."""
    parts = [np.asarray(part.sum(axis=1, dtype=np.float64)).ravel() for _, part in blocks(X)]
    return np.concatenate([np.empty(0), *parts])
