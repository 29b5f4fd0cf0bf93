"""What a trained network says of cells that it has not learned from, and what follows from it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor

from genegraph.batches import CellRows
from genegraph.classifier_cells import ReadCells
from genegraph.classifier_network import ask, cells_first, has_discriminant
from genegraph.discriminants import fit_discriminants, weight_beside, without_each_fold
from genegraph.nn import LinearDiscriminant
from genegraph.novelty import choose_cells
from genegraph.reliability import fit_temperature
from genegraph.splitting import num_folds_of

if TYPE_CHECKING:
    from genegraph.classifier import GeneGCNClassifier

NUM_CELLS, CELLS_PER_CLASS_AND_FOLD = 2000, 2
"""From so many cells discriminants are computed; the time grows with their third power."""


def calibrate(
    model: GeneGCNClassifier,
    cells: ReadCells,
    codes: NDArray[np.int64],
    fold: NDArray[np.int64],
    val_rows: NDArray[np.int64],
    rng: np.random.RandomState,
) -> list[LinearDiscriminant]:
    """Sets the network's discriminant, ``temperature_`` and ``held_out_``.

    Each cell is asked of the heads, and of the discriminant, that have not learned from it.

    Returns:
        The discriminant of each fold, which has not learned from its cells; none where there is
        nothing to compute them from.
    """
    model.temperature_ = 1.0
    model.held_out_ = None
    strangers = _set_discriminant(model, cells, codes, fold, val_rows, rng)
    if model.discriminant and not strangers:
        warnings.warn(
            "discriminant=True changes nothing: no cells can be held out, or those of each class "
            "are all alike in what the heads read, or as few as the classes.",
            stacklevel=4,
        )
    rows = np.sort(np.concatenate([np.flatnonzero(fold >= 0), val_rows]))
    if len(rows) == 0:
        return strangers
    held = cells.take(rows)
    batches = iter(torch.from_numpy(fold[rows]).split(model.batch_size))
    num_folds = num_folds_of(fold)

    def what_strangers_say(read: Tensor) -> Tensor:
        theirs = next(batches).to(read.device)
        said = _mean_of_strangers(model.network_.head.votes(read), theirs, num_folds)
        for number, linear in enumerate(strangers):
            own = theirs == number
            said[own] += linear.to(read.device)(read[..., own, :])
        if strangers:
            new = theirs < 0  # a validation cell is new to all
            said[new] += model.network_.head.discriminant(read[..., new, :])
        return said

    (logits,) = ask(model, CellRows(held.X, depth=held.depth), what_strangers_say)
    model.temperature_ = fit_temperature(logits, codes[rows])
    proba = softmax(logits / model.temperature_, axis=1)
    model.held_out_ = pd.DataFrame(
        {
            "label": model.classes_[codes[rows]],
            "predicted": model.classes_[proba.argmax(1)],
            "confidence": proba.max(1),
        },
        index=rows,
    )
    return strangers


def _mean_of_strangers(votes: Tensor, fold: Tensor, num_folds: int) -> Tensor:
    """The mean over the heads that are kept from each cell; over all where none is."""
    heads = torch.arange(len(votes), device=votes.device) % num_folds
    asked = ((heads[:, None] == fold) | (fold < 0)).to(votes)[..., None]
    mean: Tensor = (votes * asked).sum(0) / asked.sum(0)
    return mean


def _set_discriminant(
    model: GeneGCNClassifier,
    cells: ReadCells,
    codes: NDArray[np.int64],
    fold: NDArray[np.int64],
    val_rows: NDArray[np.int64],
    rng: np.random.RandomState,
) -> list[LinearDiscriminant]:
    """Sets the network's discriminant; returns those of the folds, multiplied likewise."""
    learned = np.setdiff1d(np.arange(len(codes)), val_rows)
    num_folds = num_folds_of(fold)
    if not has_discriminant(model) or (fold < 0).all():
        return []
    strata = codes[learned] * (num_folds + 1) + fold[learned]
    rows = learned[choose_cells(strata, rng, NUM_CELLS, CELLS_PER_CLASS_AND_FOLD)]
    some, codes, fold = cells.take(rows), codes[rows], fold[rows]
    batches = iter(torch.from_numpy(fold).split(model.batch_size))

    def what_strangers_say(read: Tensor) -> Tensor:
        theirs = next(batches).to(read.device)
        return _mean_of_strangers(model.network_.head.votes(read), theirs, num_folds)

    read, votes = ask(model, CellRows(some.X, depth=some.depth), cells_first, what_strangers_say)
    views = np.ascontiguousarray(read.swapaxes(0, 1))
    maps = fit_discriminants(views, codes, list(without_each_fold(fold)))
    if maps is None:
        return []
    found = [_as_module(*each) for each in maps]
    held = np.flatnonzero(fold >= 0)
    scores = np.empty_like(votes)
    for number in range(num_folds):
        own = fold == number
        scores[own] = found[number](torch.from_numpy(views[:, own])).numpy()
    times = weight_beside(votes[held], scores[held], codes[held])
    for linear in found:
        linear.set(linear.weight * times, linear.bias * times)
    model.network_.head.discriminant.set(found[-1].weight, found[-1].bias)
    return found[:-1]


def _as_module(weight: NDArray[np.float32], bias: NDArray[np.float32]) -> LinearDiscriminant:
    num_views, num_classes, num_features = weight.shape
    linear = LinearDiscriminant(num_features, num_classes, num_views)
    linear.set(torch.from_numpy(weight), torch.from_numpy(bias))
    return linear
