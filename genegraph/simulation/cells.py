"""Draws the transcripts of cells, a block of cells at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from genegraph.simulation.model import FloatArray, Genes, IntArray
from genegraph.simulation.streams import stream

CELLS_AT_ONCE = 256
TRIAL_CELLS = 200  # from which the library size is found
LIBRARY_SD = 0.35  # of the log of library sizes
LARGEST_LIBRARY = 1e6  # transcripts; single cells hold no more that could be counted


@dataclass(frozen=True)
class CellModel:
    """All that the counts follow from; see :func:`genegraph.datasets.simulate` for the equations.

    ``baseline`` and ``loading`` have an entry for every gene, ``activity`` (times the effect) one
    for every type and module, ``labels`` one for every cell.
    """

    baseline: FloatArray
    loading: FloatArray
    module: IntArray
    activity: FloatArray
    noise: float
    labels: NDArray[np.int32]
    random_state: int

    def shares(self, label: int, rng: np.random.Generator) -> FloatArray:
        """Draws a cell of a type: which share of its transcripts each gene makes."""
        z = self.activity[label] + self.noise * rng.standard_normal(self.activity.shape[1])
        # Genes without a module pick some module's z, and their loading of 0 takes it out again.
        log_rates = self.baseline + self.loading * z[self.module]
        rates = np.exp(log_rates - log_rates.max())  # only ratios matter; this one cannot overflow
        shares: FloatArray = rates / rates.sum()
        return shares

    def counts(self, cell: int, library: float) -> IntArray:
        """Draws a cell's counts, the same whichever other cells are drawn."""
        rng = stream(self.random_state, "cells", cell)
        shares = self.shares(int(self.labels[cell]), rng)
        return rng.poisson(library * _depth(rng) * shares)


def build_model(
    genes: Genes,
    activities: FloatArray,
    labels: NDArray[np.int32],
    effect: float,
    noise: float,
    random_state: int,
) -> CellModel:
    r"""Puts the parts together, such that modules change no gene's mean rate over the types.

    The mean of :math:`\exp(l z)` over :math:`z \sim N(0, s^2)` is :math:`\exp(l^2 s^2 / 2)`. It is
    taken out here, so that a gene's mean expression does not tell whether it is in a module.
    """
    mean_of_log = genes.loading**2 * (effect**2 + noise**2) / 2
    baseline = genes.baseline - mean_of_log
    activity = effect * activities
    return CellModel(baseline, genes.loading, genes.module, activity, noise, labels, random_state)


def find_library(model: CellModel, zeros: float) -> float:
    r"""Finds the median library size at which a given share of the counts is expected to be zero.

    The expected share falls with the library size :math:`T`; bisection solves

    .. math::
        \text{zeros} = \operatorname{mean}_{b, i} \exp(-T\, d_b\, p_{bi})

    over 200 trial cells :math:`b` of depth :math:`d_b` and shares :math:`p_{bi}`.

    Args:
        model: What the counts follow from.
        zeros: The share of zeros, between 0 and 1.

    Returns:
        Transcripts of a median cell.

    Raises:
        ValueError: If a library of 1 to a million transcripts does not do.
    """
    rng = stream(model.random_state, "library")
    labels = rng.choice(model.labels, TRIAL_CELLS)
    means = np.stack([model.shares(int(label), rng) * _depth(rng) for label in labels])

    def share(log_library: float) -> float:
        return float(np.exp(-np.exp(log_library) * means).mean())

    low, high = 0.0, float(np.log(LARGEST_LIBRARY))
    fewest, most = share(high), share(low)
    if not fewest <= zeros <= most:
        raise ValueError(
            f"'zeros' must lie between {fewest:.3f} and {most:.3f} for these genes, as cells have "
            f"1 to {LARGEST_LIBRARY:,.0f} transcripts (got {zeros:g}); choose a share in between, "
            "or another number of genes."
        )
    for _ in range(25):  # leaves less than a millionth of the library size open
        middle = (low + high) / 2
        low, high = (middle, high) if share(middle) > zeros else (low, middle)
    return float(np.exp((low + high) / 2))


def draw_cells(model: CellModel, library: float) -> Iterator[sp.csr_matrix]:
    """Yields the counts of all cells, as CSR blocks of float32 with cells as rows."""
    n_cells, n_genes = model.labels.size, model.baseline.size
    for start in range(0, n_cells, CELLS_AT_ONCE):
        columns, values = [], []
        # One cell at a time: its genes are work enough for a call, and stay in the cache.
        for cell in range(start, min(start + CELLS_AT_ONCE, n_cells)):
            counts = model.counts(cell, library)
            expressed = np.flatnonzero(counts)
            columns.append(expressed.astype(np.int32))
            values.append(counts[expressed].astype(np.float32))
        starts = np.cumsum([0, *map(len, columns)])
        parts = (np.concatenate(values), np.concatenate(columns), starts)
        yield sp.csr_matrix(parts, shape=(len(columns), n_genes))


def _depth(rng: np.random.Generator) -> float:
    return float(np.exp(LIBRARY_SD * rng.standard_normal()))
