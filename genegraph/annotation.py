"""From probabilities to names: the probable class, "unknown", or what the neighbours say."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

if TYPE_CHECKING:
    from anndata import AnnData

UNKNOWN = "unknown"
MANY_NEW = 0.25  # share of new cells from which on they may all be, by their technology


class Limits(NamedTuple):
    """From where on a cell is named ``"unknown"``.

    Attributes:
        min_confidence: Least probability of its class, in 0 .. 1; 0 names every cell.
        max_novelty: Largest novelty, in 0 .. 1; 1 names every cell.
    """

    min_confidence: float = 0.0
    max_novelty: float = 1.0

    @property
    def any(self) -> bool:
        """Whether any cell may be unknown."""
        return self.min_confidence > 0 or self.max_novelty < 1

    def new(self, novelty: NDArray[np.float64], adapted: bool = False) -> NDArray[np.bool_]:
        """Returns which cells are newer than ``max_novelty``; warns if they are suspiciously many.

        Args:
            novelty: Of each cell, in 0 .. 1.
            adapted: Whether the classifier was adapted to the query.

        Example:
            >>> Limits(max_novelty=0.95).new(np.array([0.3, 0.97])).tolist()
            [False, True]
        """
        new: NDArray[np.bool_] = novelty > self.max_novelty
        expected = 1 - self.max_novelty
        if len(new) >= 20 and new.mean() > max(MANY_NEW, 4 * expected):
            hint = "" if adapted else " model.adapt(query) takes such a difference away."
            warnings.warn(
                f"{new.sum():,} of the {len(new):,} cells have a novelty above "
                f"{self.max_novelty:.3g}; of cells like the reference's {100 * expected:.0f} % "
                "would. If the query comes from another technology, that may be what is new, not "
                f"the types.{hint}",
                stacklevel=3,
            )
        return new

    def unsure(self, proba: NDArray[np.float32], new: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Returns which cells are not to be named.

        Args:
            proba: ``[num_cells, num_classes]``.
            new: Which cells are newer than ``max_novelty``.
        """
        unsure: NDArray[np.bool_] = (proba.max(axis=1) < self.min_confidence) | new
        return unsure

    def check(self, classes: NDArray[Any]) -> None:
        """Raises a ValueError if unsure cells cannot be marked so.

        Args:
            classes: The classes, none of which may be called ``"unknown"``.
        """
        if not 0 <= self.min_confidence <= 1:
            raise ValueError(f"'min_confidence' must lie in 0 .. 1 (got {self.min_confidence!r}).")
        if self.any and UNKNOWN in classes.tolist():
            raise ValueError(
                f"No class may be called {UNKNOWN!r} where unsure cells are to be marked so; "
                "rename it, or leave out 'min_confidence', 'max_error' and 'max_novelty'."
            )


def name_cells(
    proba: NDArray[np.float32], classes: NDArray[Any], unsure: NDArray[np.bool_]
) -> NDArray[Any]:
    """Returns the most probable class of each cell, or ``"unknown"``.

    Args:
        proba: ``[num_cells, num_classes]``.
        classes: The classes in the order of the columns.
        unsure: Which cells are not to be named.

    Example:
        >>> proba = np.array([[0.9, 0.1], [0.4, 0.6]])
        >>> name_cells(proba, np.array(["B", "T"]), proba.max(1) < 0.8).tolist()
        ['B', 'unknown']
    """
    named: NDArray[Any] = classes[proba.argmax(axis=1)]
    if not unsure.any():
        return named
    return np.where(unsure, np.array(UNKNOWN, dtype=object), named.astype(object))


def check_voters(adata: AnnData, among: str) -> None:
    """Raises an error if cells have nobody to vote with.

    Args:
        adata: The cells.
        among: See :func:`vote`.

    Raises:
        KeyError: If there is neither such a column nor such a graph.
        ValueError: If a cell has no cluster.
    """
    if among in adata.obs:
        without = int(adata.obs[among].isna().sum())
        if without:
            raise ValueError(
                f"adata.obs[{among!r}] must name a cluster for each cell (got none for {without} "
                "cells)."
            )
    elif among not in adata.obsp:
        raise KeyError(
            f"'majority_voting' must name clusters in adata.obs or a neighbour graph in adata.obsp "
            f"(got {among!r}; obsp has {sorted(adata.obsp)}). scanpy.pp.neighbors(adata) makes "
            "'connectivities', scanpy.tl.leiden(adata) makes 'leiden'."
        )


def vote(adata: AnnData, values: NDArray[np.float32], among: str) -> NDArray[np.float32]:
    """Returns the mean among each cell's like, ``[num_cells, num_values]``.

    Args:
        adata: The cells.
        values: Their probabilities, or other numbers.
        among: A column of ``obs`` (cells of one cluster are alike), or a key of ``obsp``, such as
            ``"connectivities"`` (a cell and its neighbours are, by the weight of the edge, itself
            by the largest).
    """
    if among in adata.obs:
        clusters = adata.obs[among]
        means = pd.DataFrame(values).groupby(clusters.to_numpy(), observed=True).mean()
        shared: NDArray[np.float32] = means.loc[clusters.to_numpy()].to_numpy(dtype=np.float32)
        return shared
    weights = sp.csr_array(adata.obsp[among])
    largest = weights.max(axis=1).toarray().ravel()
    itself = np.where(largest > 0, largest, 1.0) - weights.diagonal()
    weights = weights + sp.diags_array(itself)
    sums = np.asarray(weights.sum(axis=1)).ravel()
    mixed: NDArray[np.float32] = (weights @ values / sums[:, None]).astype(np.float32)
    return mixed
