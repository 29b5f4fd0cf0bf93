"""Cells with labels and cells without, as the second of two trainings meets them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.decomposition import PCA

from genegraph.batches import CellRows
from genegraph.classifier_adapt import adapted
from genegraph.classifier_cells import ReadCells, read_query
from genegraph.classifier_network import ask, first_view
from genegraph.expression_matrix import stack
from genegraph.expression_stored import StoredMatrix
from genegraph.nn import LinearDiscriminant
from genegraph.novelty import NUM_CELLS, NUM_COMPONENTS
from genegraph.splitting import num_folds_of
from genegraph.unlabeled import choose_unlabeled, neighbor_graph, propagate_from_folds

if TYPE_CHECKING:
    from genegraph.classifier import GeneGCNClassifier


def read_unlabeled(model: GeneGCNClassifier, labeled: ReadCells, X: Any) -> ReadCells:
    """Reads cells without labels, in the order of the training's genes.

    Raises:
        ValueError: If the labelled cells are on disk, or the others do not fit them.
    """
    if isinstance(labeled.X, StoredMatrix):
        raise ValueError(
            "'unlabeled' needs the labelled cells in memory (got cells on disk). Read them with "
            "adata.to_memory(); or leave 'unlabeled' out: it helps where labels are few."
        )
    try:
        return read_query(model, X)
    except ValueError as error:
        raise ValueError(f"'unlabeled' cannot be learned from: {error}") from error


def with_unlabeled(
    model: GeneGCNClassifier,
    labeled: CellRows,
    unlabeled: ReadCells,
    strangers: Sequence[LinearDiscriminant],
    rng: np.random.RandomState,
) -> CellRows:
    """Returns labelled and unlabelled cells, with what the heads of each fold are to learn of them.

    What a head is told comes neither from heads or discriminants that have learned from the labels
    of its fold, nor from the cells that bear them.  All folds share the temperature, how much
    neighbours and a discriminant count, how the cells without labels are adapted to, and their
    ``y``, the most probable class: by it cells are resampled and classes weighted.

    Args:
        model: Trained on the labelled cells, and calibrated; it knows its types.
        labeled: Cells with class and fold.
        unlabeled: Cells without.
        strangers: The discriminant of each fold, which has not learned from its cells; or none.
        rng: Source of all that is drawn.
    """
    y, fold = labeled.y, labeled.fold
    assert y is not None
    assert fold is not None
    num_known, num_folds = len(y), num_folds_of(fold)
    new = unlabeled.take(choose_unlabeled(int(unlabeled.X.shape[0]), rng))
    mine = CellRows(labeled.X, depth=labeled.depth)
    theirs = CellRows(new.X, depth=new.depth)
    # From one cell a type nothing is known of how cells of a type differ, nor what chance gives.
    teacher = adapted(model, new) if len(model.novelty_.distances) else model
    questions = (
        _places(model, mine, teacher, theirs, rng),
        _votes_of_folds(model, num_folds, strangers),
    )
    answers = ask(model, mine, *questions), ask(teacher, theirs, *questions)
    places, votes = (np.concatenate(both) for both in zip(*answers, strict=True))
    guess: NDArray[np.float32] = softmax(votes / np.float32(model.temperature_), axis=2)
    target = propagate_from_folds(neighbor_graph(places), guess, y, fold)
    classes = np.eye(len(model.classes_), dtype=np.float32)
    target[:num_known] = classes[y][:, None]
    named = target.mean(axis=1).argmax(axis=1)
    named[:num_known] = y
    depth = None
    if labeled.depth is not None and new.depth is not None:
        depth = np.concatenate([labeled.depth, new.depth])
    fold = np.concatenate([fold, np.full(len(theirs), -1)])
    return CellRows(stack(labeled.X, new.X), named, depth, fold, target)


def _places(
    model: GeneGCNClassifier,
    mine: CellRows,
    teacher: GeneGCNClassifier,
    theirs: CellRows,
    rng: np.random.RandomState,
) -> Any:
    """The question where a cell is in the principal components of what the heads read."""
    rows = np.sort(rng.permutation(len(mine) + len(theirs))[:NUM_CELLS])
    first = int(np.searchsorted(rows, len(mine)))
    sample = (model, mine.take(rows[:first])), (teacher, theirs.take(rows[first:] - len(mine)))
    read = np.concatenate([ask(*some, first_view)[0] for some in sample if len(some[1])])
    found = PCA(min(NUM_COMPONENTS, *read.shape), random_state=0).fit(read).components_.T
    directions = torch.from_numpy(np.ascontiguousarray(found, dtype=np.float32))
    return lambda read: first_view(read) @ directions.to(read)


def _votes_of_folds(
    model: GeneGCNClassifier, num_folds: int, strangers: Sequence[LinearDiscriminant]
) -> Any:
    """The question what those kept from each fold say, ``[num_cells, num_folds, num_classes]``."""

    def question(read: torch.Tensor) -> torch.Tensor:
        votes = model.network_.head.votes(read)
        said = torch.stack([votes[n::num_folds].mean(0) for n in range(num_folds)], dim=1)
        for n, linear in enumerate(strangers):
            said[:, n] += linear.to(read.device)(read)
        return said

    return question
