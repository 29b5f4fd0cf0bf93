"""Unlabelled cells to learn from: named by the labelled ones around them, as surely as these agree.

They show where the types end, which a few labelled cells cannot.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

MOST_CELLS = 50_000
"""So many unlabelled cells are learned from, drawn by chance where there are more."""

NUM_NEIGHBORS = 15
NEIGHBORS_SHARE = 0.8
NUM_STEPS = 20


def choose_unlabeled(num_cells: int, rng: np.random.RandomState) -> NDArray[np.int64]:
    """Returns positions of the cells to learn from, sorted."""
    return np.sort(rng.permutation(num_cells)[:MOST_CELLS]).astype(np.int64)


def neighbor_graph(places: NDArray[np.float32]) -> sp.csr_matrix:
    r"""Returns :math:`S = D^{-1} W`, ``[num_cells, num_cells]``.

    :math:`W_{ij} = 1` where one of two cells is among the 15 nearest of the other.

    Args:
        places: Where the cells are, ``[num_cells, num_components]``.
    """
    number = min(NUM_NEIGHBORS, len(places) - 1)
    # Brute force: in 30 dimensions a tree is slower.
    nearest = NearestNeighbors(n_neighbors=number, algorithm="brute").fit(places).kneighbors_graph()
    either = nearest.maximum(nearest.T)
    degree = np.asarray(either.sum(axis=1)).ravel()
    return sp.csr_matrix(sp.diags(1 / degree) @ either)


def propagate(
    graph: sp.csr_matrix, guess: NDArray[np.float32], known: NDArray[np.bool_]
) -> NDArray[np.float32]:
    r"""Returns the probability of each class, once neighbours have told each other.

    .. math::
        Q \leftarrow 0.8\, S Q + 0.2\, P, \qquad Q_i = P_i \text{ for known cells}

    twenty times from :math:`Q = P` [1]_.

    Args:
        graph: :math:`S`, see :func:`neighbor_graph`.
        guess: :math:`P`, what is said of each cell by itself, ``[num_cells, num_classes]``; of a
            known cell, its class.
        known: Which cells are known.

    References:
        .. [1] Zhou et al., "Learning with local and global consistency", NIPS 2003; with the
           known cells held as in Zhu and Ghahramani, "Learning from labeled and unlabeled data
           with label propagation", 2002.

    Example:
        >>> graph = neighbor_graph(np.float32([[0], [1], [2]]))  # each next to the other two
        >>> guess = np.float32([[1, 0], [0.5, 0.5], [0, 1]])
        >>> propagate(graph, guess, np.array([True, False, True]))[1].tolist()
        [0.5, 0.5]
    """
    said = guess.astype(np.float64)
    told = said.copy()
    for _ in range(NUM_STEPS):
        told = NEIGHBORS_SHARE * (graph @ told) + (1 - NEIGHBORS_SHARE) * said
        told[known] = said[known]
    return told.astype(np.float32)
