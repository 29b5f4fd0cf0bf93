"""Which of the training cells are set aside: to watch training, or from some heads."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

Positions = NDArray[np.int64]


def split_validation(
    y: NDArray[np.int64],
    fraction: float,
    rng: np.random.RandomState,
    groups: NDArray[Any] | None = None,
) -> tuple[Positions, Positions]:
    """Returns positions of training and of validation cells, the same share of every class.

    A class whose share rounds to nothing, or that has a single cell, stays in training.  With
    groups, whole groups are set aside, about as many cells as asked for; a class that is in these
    groups alone stays in training.

    Args:
        y: Number of each cell's class.
        fraction: Share of validation cells, in [0, 1).
        rng: Source of the draw.
        groups: The donor, lane or batch of each cell, or None.

    Example:
        >>> y = np.array([0] * 10 + [1] * 10 + [2])
        >>> train, val = split_validation(y, 0.2, np.random.RandomState(0))
        >>> y[val].tolist()
        [0, 0, 1, 1]
    """
    if not 0 <= fraction < 1:
        raise ValueError(
            f"'validation_fraction' must be at least 0 and less than 1 (got {fraction!r})."
        )
    if fraction == 0:
        return np.arange(len(y)), np.empty(0, dtype=np.int64)
    if groups is not None:
        fold = split_folds(y, max(2, round(1 / fraction)), rng, groups)
        validation = np.flatnonzero(fold == 0)
        return np.setdiff1d(np.arange(len(y)), validation), validation
    chosen: list[NDArray[Any]] = []
    for label in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == label))
        chosen.append(members[: min(round(fraction * len(members)), len(members) - 1)])
    validation = np.sort(np.concatenate(chosen)).astype(np.int64)
    return np.setdiff1d(np.arange(len(y)), validation), validation


def num_folds_of(fold: Positions) -> int:
    """Returns how many folds there are, at least 1.

    Example:
        >>> num_folds_of(np.array([1, 0, 2, -1])), num_folds_of(np.array([-1, -1]))
        (3, 1)
    """
    return max(1, int(fold.max()) + 1)


def split_folds(
    y: NDArray[np.int64],
    num_folds: int,
    rng: np.random.RandomState,
    groups: NDArray[Any] | None = None,
) -> Positions:
    """Returns the fold of each cell, from 0, every class spread evenly over the folds.

    A class with a single cell, or in a single fold's groups, is in no fold (-1): without it nothing
    could be learned.  With fewer groups than folds there are as many folds as groups.

    Args:
        y: Number of each cell's class.
        num_folds: How many folds, at least 2.
        rng: Source of the draw.
        groups: The donor, lane or batch of each cell, two or more; cells of one group share
            their fold.

    Example:
        >>> y = np.array([0, 0, 0, 0, 1, 1, 2])
        >>> split_folds(y, 2, np.random.RandomState(0)).tolist()
        [0, 1, 1, 0, 1, 0, -1]
    """
    fold = np.full(len(y), -1, dtype=np.int64)
    if groups is None:
        for label in np.unique(y):
            members = rng.permutation(np.flatnonzero(y == label))
            if len(members) > 1:
                fold[members] = (np.arange(len(members)) + rng.randint(num_folds)) % num_folds
        return fold
    names, codes = np.unique(groups, return_inverse=True)
    splitter = StratifiedGroupKFold(min(num_folds, len(names)), shuffle=True, random_state=rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # classes smaller than the number of folds
        for number, (_, members) in enumerate(splitter.split(y, y, codes)):
            fold[members] = number
    for label in np.unique(y):
        if len(np.unique(fold[y == label])) == 1:
            fold[y == label] = -1
    return fold
