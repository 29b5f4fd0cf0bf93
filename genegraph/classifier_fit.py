"""From read cells to a trained network whose probabilities are calibrated."""

from __future__ import annotations

import numbers
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight

from genegraph.adaptation import TypeSums
from genegraph.batches import CellRows
from genegraph.checkpoint_folder import open_folder
from genegraph.classifier_calibration import calibrate
from genegraph.classifier_cells import ReadCells, median_depths, shares_of_reads
from genegraph.classifier_checks import fingerprint_of
from genegraph.classifier_network import ask, build_network, edges_on, first_view, torch_device
from genegraph.classifier_unlabeled import with_unlabeled
from genegraph.determinism import deterministic_algorithms
from genegraph.device_memory import naming_batch_size
from genegraph.expression_matrix import stack
from genegraph.head_statistics import settle_head_input
from genegraph.interruption import StopRequest, ctrl_c_asks
from genegraph.nn import Autoencoder
from genegraph.novelty import Novelty, choose_cells
from genegraph.processes import are_several
from genegraph.recipe import Recipe
from genegraph.resampling import ResampledCells
from genegraph.splitting import num_folds_of, split_folds, split_validation
from genegraph.thinning import draw_shares, thin

if TYPE_CHECKING:
    from genegraph.classifier import GeneGCNClassifier

PRETRAINING = "adam"
"""The autoencoder's optimiser, as in the write-up."""
NOVELTY_FOLDS = 5
LABELED_ONLY, PRETRAINING_ONLY = "labeled", "pretraining"
"""Where the checkpoints of an earlier training are, within the folder of the one that follows."""


def recipe_of(model: GeneGCNClassifier, seed: int, optimizer: str | None = None) -> Recipe:
    """Returns how the network is trained, or with another optimiser and its defaults."""
    return Recipe(
        optimizer=optimizer or model.optimizer,
        lr=None if optimizer else model.lr,
        weight_decay=None if optimizer else model.weight_decay,
        batch_size=model.batch_size,
        max_epochs=model.max_epochs,
        patience=model.patience,
        seed=seed,
    )


def fit_network(
    model: GeneGCNClassifier,
    cells: ReadCells,
    codes: NDArray[np.int64],
    groups: NDArray[Any] | None,
    unlabeled: ReadCells | None,
    checkpoint_dir: Path | None,
) -> None:
    """Sets the network, how training went, and what is known of new cells.

    These are ``median_depths_``, ``network_``, ``history_``, ``n_iter_``, ``temperature_``,
    ``held_out_``, ``novelty_``, ``types_`` and ``adapted_``.
    """
    # A fit that may be resumed must draw the same again: without a seed, one from its content.
    fingerprint = ""
    if checkpoint_dir is not None:
        fingerprint = fingerprint_of(model, cells, codes, groups, unlabeled)
    seeded = isinstance(model.random_state, numbers.Integral) or checkpoint_dir is None
    rng = check_random_state(model.random_state if seeded else int(fingerprint[:8], 16))
    fraction = 0.0 if model.patience is None else model.validation_fraction
    train_rows, val_rows = split_validation(codes, fraction, rng, groups)
    if model.patience is not None and len(val_rows) == 0:
        warnings.warn(
            "No class has cells enough to set any aside, so training runs to its end.",
            stacklevel=3,
        )
    seed = int(rng.randint(2**31 - 1))
    fold = np.full(len(codes), -1, dtype=np.int64)
    if model.num_heads > 1:
        theirs = None if groups is None else groups[train_rows]
        if theirs is None or len(np.unique(theirs)) > 1:
            fold[train_rows] = split_folds(codes[train_rows], model.num_heads, rng, theirs)
    several = are_several(model.trainer_options)  # which cannot stop at different steps
    asking = nullcontext(StopRequest()) if several else ctrl_c_asks()
    same_bits = deterministic_algorithms(model.deterministic)
    whole = cells
    depth = None if cells.depth is None else cells.depth[train_rows]
    shares = shares_of_reads(model, depth, unlabeled)
    model.median_depths_ = median_depths(cells, shares, unlabeled)
    if shares[0] < 1:
        assert cells.depth is not None
        least, most = (np.full(len(codes), share, np.float32) for share in shares)
        drawn = draw_shares(least, most, np.random.default_rng(seed))
        cells = ReadCells(*thin(cells.X, cells.depth, drawn, seed))
    with torch.random.fork_rng(), same_bits, asking as stop:
        how = {"checkpoint_dir": checkpoint_dir, "fingerprint": fingerprint, "stop": stop}
        chosen = cells.take(train_rows)
        training = CellRows(chosen.X, codes[train_rows], chosen.depth, fold[train_rows])
        validation = None
        if len(val_rows):
            watched = cells.take(val_rows)
            validation = CellRows(watched.X, codes[val_rows], watched.depth)
        met = _as_met(training, whole, train_rows, shares, seed)
        if unlabeled is None:
            ended = _train(model, training, met, validation, seed, how)
        else:
            ended = _train(model, training, met, validation, seed, _within(how, LABELED_ONLY))
            if ended is None:
                linear = calibrate(model, cells, codes, fold, val_rows, rng)
                _learn_types(model, cells, codes, groups, rng)
                training = with_unlabeled(model, training, unlabeled, linear, rng)
                met = _as_met(training, whole, train_rows, shares, seed)
                ended = _train_again(model, training, met, validation, seed, how)
        calibrate(model, cells, codes, fold, val_rows, rng)
        _learn_types(model, cells, codes, groups, rng)
    if isinstance(ended, Warning):
        warnings.warn(ended, stacklevel=3)
    elif ended is not None:
        raise ended


def _as_met(
    training: CellRows,
    whole: ReadCells,
    train_rows: NDArray[np.int64],
    shares: tuple[float, float],
    seed: int,
) -> CellRows:
    """Returns the training cells as each step meets them, with other reads each time.

    Args:
        training: The cells, the labelled ones before the others.
        whole: Labelled cells with all their reads.
        train_rows: Which of these are among the training cells.
        shares: The least and the most share of its reads that a labelled cell is met with.
        seed: Seed of all that is drawn.
    """
    if training.depth is None:
        return training
    assert training.y is not None
    assert training.fold is not None
    X, depth, each = training.X, training.depth, None
    if shares[0] < 1:
        num_labeled = len(train_rows)
        deep = whole.take(train_rows)
        assert deep.depth is not None
        X, depth = deep.X, deep.depth
        each = np.ones((len(training), 2), dtype=np.float32)
        each[:num_labeled] = shares
        if len(training) > num_labeled:
            others = training.take(np.arange(num_labeled, len(training)))
            assert others.depth is not None
            X, depth = stack(X, others.X), np.concatenate([depth, others.depth])
    return ResampledCells(
        X, training.y, depth, training.fold, seed, target=training.target, share=each
    )


def _train(
    model: GeneGCNClassifier,
    training: CellRows,
    met: CellRows,
    validation: CellRows | None,
    seed: int,
    how: dict[str, Any],
) -> Exception | None:
    from genegraph.training import CellTypeTask, RestoreTask, train  # imports matplotlib

    torch.manual_seed(seed)
    recipe = recipe_of(model, seed)
    options: dict[str, Any] = {
        "device": {"cuda": "gpu"}.get(model.device, model.device),
        "verbose": model.verbose,
        "trainer_options": model.trainer_options,
    }
    model.network_ = build_network(model, int(training.X.shape[1]))
    device = torch_device(model)
    with naming_batch_size(model.batch_size):
        settle_head_input(model.network_, training, edges_on(model, device), recipe, device)
    if model.pretrain:
        coder = Autoencoder(len(model.network_.head_input.columns), tuple(model.hidden_channels))
        adam = recipe_of(model, seed, PRETRAINING)
        restore = RestoreTask(coder, adam, model.graph_, model.network_)
        apart = _within(how, PRETRAINING_ONLY)
        ended = train(restore, training, validation, **options, **apart)
        if ended is not None and not isinstance(ended, Warning):
            raise ended
        model.network_.init_from(coder, freeze=model.pretrain == "frozen")
    if how["stop"].asked:
        raise KeyboardInterrupt  # nothing has learned to name a cell yet
    assert training.y is not None
    assert training.fold is not None
    weight = _class_weight(model, training.y)
    num_folds = num_folds_of(training.fold)
    task = CellTypeTask(model.network_, recipe, model.graph_, weight, num_folds)
    ended = train(task, met, validation, **options, **how)
    model.history_ = task.history
    model.n_iter_ = len(task.history)
    return ended


def _within(how: dict[str, Any], folder: str) -> dict[str, Any]:
    """The same, with a folder for checkpoints of its own."""
    above = how["checkpoint_dir"]
    return {**how, "checkpoint_dir": None if above is None else open_folder(above / folder)}


def _train_again(
    model: GeneGCNClassifier,
    training: CellRows,
    met: CellRows,
    validation: CellRows | None,
    seed: int,
    how: dict[str, Any],
) -> Exception | None:
    """Trains anew; what the first training has learned stays where this one learns nothing."""
    first = model.network_
    try:
        return _train(model, training, met, validation, seed, how)
    except (KeyboardInterrupt, FloatingPointError, torch.OutOfMemoryError) as error:
        model.network_ = first
        kept = "The model is what it had learned from the labelled cells alone."
        if isinstance(error, KeyboardInterrupt):
            return UserWarning(f"Training was stopped before unlabelled cells were met. {kept}")
        return type(error)(f"{error} {kept}")


def _class_weight(model: GeneGCNClassifier, codes: NDArray[np.int64]) -> torch.Tensor | None:
    if model.class_weight is None:
        return None
    weight = compute_class_weight(
        model.class_weight, classes=model.classes_, y=model.classes_[codes]
    )
    return torch.as_tensor(weight, dtype=torch.float32)


def _learn_types(
    model: GeneGCNClassifier,
    cells: ReadCells,
    codes: NDArray[np.int64],
    groups: NDArray[Any] | None,
    rng: np.random.RandomState,
) -> None:
    """Notes what cells of the known types look like to the heads."""
    rows = choose_cells(codes, rng)
    known = cells.take(rows)
    sums = TypeSums(codes[rows])

    def noted(read: torch.Tensor) -> torch.Tensor:  # all views of all cells would fill memory
        sums.add(read)
        return first_view(read)

    (features,) = ask(model, CellRows(known.X, depth=known.depth), noted)
    model.types_ = sums.means()
    model.adapted_ = None
    theirs = None if groups is None else groups[rows]
    if theirs is not None and len(np.unique(theirs)) < 2:
        theirs = None
    fold = split_folds(codes[rows], NOVELTY_FOLDS, rng, theirs)
    model.novelty_ = Novelty.of(features, codes[rows], fold)
