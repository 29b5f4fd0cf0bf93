"""Which of the training cells are set aside to watch training."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]


def split_validation(
    y: NDArray[np.int64], fraction: float, rng: np.random.RandomState
) -> tuple[Positions, Positions]:
    """Returns positions of training and of validation cells, the same share of every class.

    A class whose share rounds to nothing, or that has a single cell, stays in training.

    Args:
        y: Number of each cell's class.
        fraction: Share of validation cells, in [0, 1).
        rng: Source of the draw.

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
    chosen: list[NDArray[Any]] = []
    for label in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == label))
        chosen.append(members[: min(round(fraction * len(members)), len(members) - 1)])
    validation = np.sort(np.concatenate(chosen)).astype(np.int64)
    return np.setdiff1d(np.arange(len(y)), validation), validation
