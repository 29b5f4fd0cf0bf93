"""Unlabelled cells to learn from: named by the labelled ones around them, as surely as these agree.

They show where the types end, which a few labelled cells cannot.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import log_loss
from sklearn.neighbors import NearestNeighbors

from genegraph.reliability import fit_temperature

MOST_CELLS = 50_000
"""So many unlabelled cells are learned from, drawn by chance where there are more."""

NUM_NEIGHBORS = 15
NUM_STEPS = 20
SHARES = (0.8, 0.6, 0.4, 0.2, 0.0)
"""Which of them serves is seen on labelled cells; without any to see it on, the first."""


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
    graph: sp.csr_matrix,
    guess: NDArray[np.float32],
    known: NDArray[np.bool_],
    share: float,
) -> NDArray[np.float32]:
    r"""Returns the probability of each class, once neighbours have told each other.

    .. math::
        Q \leftarrow s\, S Q + (1 - s)\, P, \qquad Q_i = P_i \text{ for known cells}

    twenty times from :math:`Q = P` [1]_.

    Args:
        graph: :math:`S`, see :func:`neighbor_graph`.
        guess: :math:`P`, what is said of each cell by itself, ``[num_cells, num_classes]``; of a
            known cell, its class.
        known: Which cells are known.
        share: :math:`s`, how much neighbours count.

    References:
        .. [1] Zhou et al., "Learning with local and global consistency", NIPS 2003; with the
           known cells held as in Zhu and Ghahramani, "Learning from labeled and unlabeled data
           with label propagation", 2002.

    Example:
        >>> graph = neighbor_graph(np.float32([[0], [1], [2]]))  # each next to the other two
        >>> guess = np.float32([[1, 0], [0.5, 0.5], [0, 1]])
        >>> propagate(graph, guess, np.array([True, False, True]), 0.8)[1].tolist()
        [0.5, 0.5]
    """
    said = guess.astype(np.float64)
    told = said.copy()
    for _ in range(NUM_STEPS):
        told = share * (graph @ told) + (1 - share) * said
        told[known] = said[known]
    return told.astype(np.float32)


def propagate_from_folds(
    graph: sp.csr_matrix,
    guess: NDArray[np.float32],
    codes: NDArray[np.int64],
    fold: NDArray[np.int64],
) -> NDArray[np.float32]:
    r"""Returns what is told of each cell without the labels of each fold.

    How much neighbours count, :math:`s`, is the share of :data:`SHARES` by which the labelled
    cells are told best, each where its label is kept from it: with the smallest logarithmic loss
    once calibrated, see :func:`~genegraph.reliability.fit_temperature`, the types counting as much
    as there are of them among the cells without labels, by ``guess``.  Few labelled cells leave
    much to be learned from neighbours; of many, what heads have learned is surer, and a rare type
    would be outvoted.

    Args:
        graph: Of labelled cells and then the others, see :func:`neighbor_graph`.
        guess: What is said of each cell by those kept from each fold, ``[num_cells, num_folds,
            num_classes]``.
        codes: Number of each labelled cell's class.
        fold: Its fold, -1 where it is in none.

    Returns:
        Probabilities, shaped like ``guess``; a labelled cell's of a fold that is not its own are 0
        and 1.

    Example:
        >>> graph = neighbor_graph(np.float32([[0], [1], [2]]))
        >>> guess = np.full((3, 1, 2), 0.5, dtype=np.float32)
        >>> told = propagate_from_folds(graph, guess, np.array([0, 1]), np.array([-1, -1]))
        >>> told[:, 0].tolist()
        [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]
    """
    num_folds, num_classes = guess.shape[1:]
    labeled = np.arange(len(codes))
    start = guess.copy()
    known = np.zeros((num_folds, len(guess)), dtype=np.bool_)
    for number in range(num_folds):
        rest = labeled[fold != number]
        known[number, rest] = True
        start[rest, number] = np.eye(num_classes, dtype=np.float32)[codes[rest]]
    held = labeled[fold >= 0]
    weight = _as_composed(guess[len(codes) :].mean((0, 1)), codes[held])
    best, least = start, np.inf
    for share in SHARES:
        told = np.stack(
            [propagate(graph, start[:, n], known[n], share) for n in range(num_folds)], axis=1
        )
        if len(held) == 0:
            return told
        loss = _calibrated_loss(told[held, fold[held]], codes[held], weight)
        if loss < least:
            best, least = told, loss
    return best


def _as_composed(composition: NDArray[np.float32], codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """What each cell of these classes counts, so that all together are so composed."""
    number = np.bincount(codes, minlength=len(composition))
    return composition[codes].astype(np.float64) / number[codes]


def _calibrated_loss(
    proba: NDArray[np.float32], codes: NDArray[np.int64], weight: NDArray[np.float64]
) -> float:
    logits = np.log(np.maximum(proba, np.float32(1e-4)))  # no cell alone decides
    calibrated = softmax(logits / fit_temperature(logits, codes), axis=1)
    return float(
        log_loss(codes, calibrated, labels=np.arange(proba.shape[1]), sample_weight=weight)
    )
