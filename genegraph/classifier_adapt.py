"""A fitted classifier, made fit for cells of another technology or depth."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from genegraph.adaptation import find_adaptation
from genegraph.batches import CellRows
from genegraph.classifier_cells import ReadCells
from genegraph.classifier_network import ask, cells_first, torch_device

if TYPE_CHECKING:
    from genegraph.classifier import GeneGCNClassifier

MOST_CELLS, MOST_NUMBERS = 4000, 48_000_000
"""A mean over so many cells is known well enough; what is read of them takes 200 MB at most."""


def adapted(model: GeneGCNClassifier, cells: ReadCells) -> GeneGCNClassifier:
    """Returns a copy of a classifier whose heads read these cells as they read the reference's.

    Args:
        model: The classifier, which stays as it is.
        cells: The cells; of many, some are drawn, the same each time.

    Raises:
        ValueError: If what the network makes of them is not finite.
    """
    total = int(cells.X.shape[0])
    read = model.network_.head_input
    most = max(1, min(MOST_CELLS, MOST_NUMBERS // (read.num_views * len(read.columns))))
    some = cells
    if total > most:
        some = cells.take(np.sort(np.random.default_rng(0).choice(total, most, replace=False)))
    (answer,) = ask(model, CellRows(some.X, depth=some.depth), cells_first)
    views = np.ascontiguousarray(answer.swapaxes(0, 1))
    if not np.isfinite(views).all():
        raise ValueError(
            f"What the heads read of the cells must be finite (got {(~np.isfinite(views)).sum():,} "
            "NaN or infinite numbers): check that the cells are of the kind the model was fitted "
            "on."
        )

    def name(adapted: NDArray[np.float32]) -> NDArray[np.float32]:
        return _probabilities(model, adapted)

    def distance(adapted: NDArray[np.float32]) -> NDArray[np.float64]:
        far: NDArray[np.float64] = model.novelty_.distance(adapted[0] @ model.novelty_.directions)
        return far

    found = find_adaptation(views, model.types_, name, distance)
    other = copy.copy(model)
    other.network_ = copy.deepcopy(model.network_)
    other.network_.head_input.adapt(torch.from_numpy(found.slope), torch.from_numpy(found.offset))
    other.adapted_ = {
        "cells": views.shape[1],
        "known": int(found.known.sum()),
        "shift": found.shift,
        "slope": float(found.slope.mean()),
    }
    return other


def describe(told: dict[str, Any]) -> str:
    """Says in words what is in ``adapted_``."""
    return (
        f"adapted to {told['cells']:,} cells, {told['known']:,} of them of known types: moved by "
        f"{told['shift']:.2f} times the spread within types, which were stretched by "
        f"{1 / told['slope']:.2f}"
    )


def _probabilities(model: GeneGCNClassifier, views: NDArray[np.float32]) -> NDArray[np.float32]:
    device = torch_device(model)
    head = model.network_.head.to(device).eval()
    with torch.inference_mode():
        batches = torch.from_numpy(views).split(model.batch_size, dim=1)
        logits = torch.cat([head(batch.to(device)).cpu() for batch in batches]).numpy()
    model.network_.cpu()
    return np.asarray(softmax(logits / np.float32(model.temperature_), axis=1), dtype=np.float32)
