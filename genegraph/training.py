"""Training on Lightning: knows networks and matrices, neither AnnData nor gene names."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
import torch.nn.functional as F
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher
from torch import Tensor

from genegraph.batches import CellLoader, CellRows, Rows, cell_inputs
from genegraph.checkpoint_folder import newest
from genegraph.checkpoint_io import SafeCheckpointIO
from genegraph.checkpoints import (
    AFRESH,
    Checkpoints,
    Fingerprint,
    OtherFitError,
    Stopped,
    check_parts,
)
from genegraph.clipping import clip_parts
from genegraph.device_memory import naming_batch_size
from genegraph.graph import GeneGraph
from genegraph.interruption import StopRequest
from genegraph.keeping import KeepBest, Patience, RunningMean, is_finite
from genegraph.nn import GeneGCN
from genegraph.processes import sum_over_processes, this_process
from genegraph.progress import EpochProgress
from genegraph.recipe import Recipe

TALKATIVE = (
    "lightning.pytorch.utilities.rank_zero",
    "lightning.pytorch.trainer.connectors.checkpoint_connector",
)
"""Where Lightning gives hints."""


class CellTypeTask(lightning.LightningModule):
    """Cross-entropy of a network that names cell types, head by head.

    Args:
        network: The network; heads ``m`` with ``m % num_folds`` equal to a cell's ``fold`` do not
            learn from it.
        recipe: Optimiser and schedule.
        graph: The prior, or None.
        class_weight: Weight of each class in the loss, or None.
        num_folds: How many folds the cells are in.
    """

    def __init__(
        self,
        network: GeneGCN,
        recipe: Recipe,
        graph: GeneGraph | None = None,
        class_weight: Tensor | None = None,
        num_folds: int = 1,
    ) -> None:
        super().__init__()
        self.network, self.recipe, self.graph = network, recipe, graph
        self.num_folds = num_folds
        self.class_weight: Tensor | None
        self.register_buffer("class_weight", class_weight, persistent=False)
        self.num_cells = 1
        self._clipped: list[list[torch.nn.Parameter]] = []
        self.history: list[dict[str, float]] = []
        self._edges: tuple[Tensor | None, Tensor | None] = (None, None)
        # Of losses, of cells named rightly, of cells, and of steps before one whose loss is none.
        self._sums = {"train": torch.zeros(4), "val": torch.zeros(4)}

    def setup(self, stage: str) -> None:
        """Moves the graph to the device: an EdgeIndex is no buffer."""
        if self.graph is not None:
            device = self.device
            edges, weight = self.graph.to_edge_index(), self.graph.edge_weight
            if isinstance(self.network, GeneGCN):
                edges, weight = self.network.needed_edges(edges, weight)
            self._edges = (edges.to(device), weight.to(device))
        self._sums = {part: torch.zeros(4, device=self.device) for part in self._sums}

    def compute(self, batch: Rows) -> tuple[Tensor, Tensor]:
        """Returns the mean loss of the heads, and how many cells they name rightly together.

        Where several processes share a batch, the mean of their losses is the batch's.
        """
        x, depth = cell_inputs(batch)
        votes = self.network.votes(x, *self._edges, depth)
        learned = self._learned(batch, votes)
        weight = learned if self.class_weight is None else learned * self.class_weight[batch["y"]]
        labels = self._labels(batch, votes)
        losses = F.cross_entropy(votes.movedim(-1, 1), labels, reduction="none")
        # Gradients are averaged over processes, which have unequal shares of a batch.
        total = sum_over_processes(weight.sum(1)) / this_process()[1]
        means = (losses * weight).sum(1) / torch.where(total > 0, total, 1.0)
        named = votes.mean(0).argmax(1)
        return means.mean(), (named == batch["y"]).sum()

    def _labels(self, batch: Rows, votes: Tensor) -> Tensor:
        """What each head is to say of each cell: its class, or the probability of each."""
        if "target" not in batch:
            return batch["y"].expand(len(votes), -1)
        heads = torch.arange(len(votes), device=votes.device) % self.num_folds
        return batch["target"].movedim(0, 2)[heads].to(votes.dtype)

    def _learned(self, batch: Rows, votes: Tensor) -> Tensor:
        """One for each head and cell, zero where the head is kept from the cell."""
        if "fold" not in batch:
            return votes.new_ones(votes.shape[:2])
        heads = torch.arange(len(votes), device=votes.device) % self.num_folds
        return (heads[:, None] != batch["fold"]).to(votes.dtype)

    def training_step(self, batch: Rows, batch_idx: int) -> Tensor:
        """One step; sums stay on the device until the epoch ends."""
        return self._count("train", batch) * self.num_heads

    @property
    def num_heads(self) -> int:
        """Each head's steps are as long as if it were alone: their losses add up."""
        return len(self.network.head.heads)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips each head's gradient by itself, and that of what they share."""
        if gradient_clip_val is not None:
            clip_parts(self._clipped, gradient_clip_val)

    def validation_step(self, batch: Rows, batch_idx: int) -> None:
        """One batch of validation cells."""
        self._count("val", batch)

    def on_train_epoch_start(self) -> None:
        """Starts the epoch's sums; graphs shared by all cells choose their neighbours again."""
        if isinstance(self.network, GeneGCN):
            self.network.refresh()
        for sums in self._sums.values():
            sums.zero_()

    def on_validation_epoch_end(self) -> None:
        """Publishes the loss that early stopping and checkpoints watch."""
        self.log("val_loss", self._means("val")["val_loss"])

    def on_train_epoch_end(self) -> None:
        """Adds the epoch to the history."""
        means = self.epoch_means()
        self.history.append({"epoch": self.current_epoch + 1, **means})
        self.check_finite()

    def check_finite(self) -> None:
        """Raises a FloatingPointError if the loss or a weight of this epoch is no number."""
        loss, good_steps = self._means("train")["train_loss"], int(self._sums["train"][3])
        if np.isfinite(loss) and is_finite(self.network):
            return
        what = f"training loss became {loss}" if not np.isfinite(loss) else "weights became nan"
        raise FloatingPointError(
            f"The {what} in epoch {self.current_epoch + 1}, at step {good_steps + 1} of "
            f"{self.trainer.num_training_batches}; use a smaller 'lr' (got "
            f"{self.recipe.learning_rate})."
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """History, the sums of an unfinished epoch and random state belong to the state."""
        checkpoint["history"] = self.history
        checkpoint["sums"] = self._sums
        checkpoint["rng_state"] = torch.get_rng_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The reverse."""
        check_parts(checkpoint)
        self.history = checkpoint["history"]
        self._sums = {part: sums.to(self.device) for part, sums in checkpoint["sums"].items()}
        torch.set_rng_state(checkpoint["rng_state"].cpu())

    def configure_optimizers(self) -> Any:
        """See :meth:`genegraph.recipe.Recipe.optimizers`."""
        heads = self.network.head.heads if self.num_heads > 1 else [self.network]
        self._clipped = [list(head.parameters()) for head in heads]
        theirs = {id(p) for part in self._clipped for p in part}
        self._clipped.append([p for p in self.network.parameters() if id(p) not in theirs])
        num_steps = int(self.trainer.estimated_stepping_batches)
        mixed = "mixed" in str(self.trainer.precision)
        return self.recipe.optimizers(self.network, num_steps, self.num_cells, fused=not mixed)

    def epoch_means(self) -> dict[str, float]:
        """Losses and accuracies of the epoch so far."""
        return {**self._means("train"), **self._means("val")}

    def _count(self, part: str, batch: Rows) -> Tensor:
        loss, correct = self.compute(batch)
        num = torch.tensor(len(batch["y"]), device=loss.device)
        of_all = sum_over_processes(num) / this_process()[1]
        self._sums[part][:3] += torch.stack([loss.detach() * of_all, correct, num])
        self._sums[part][3] += self._sums[part][0].isfinite()  # which it never is again
        return loss

    def _means(self, part: str) -> dict[str, float]:
        loss, correct, num, _ = sum_over_processes(self._sums[part]).tolist()
        if num == 0:
            return {}
        return {f"{part}_loss": loss / num, f"{part}_accuracy": correct / num}


class RestoreTask(CellTypeTask):
    """Mean squared error of an autoencoder that restores what the head would read of a cell.

    Args:
        autoencoder: The network to train.
        recipe: Optimiser and schedule.
        graph: The prior, or None.
        reader: The network whose head the encoder is for; it is not trained here.
    """

    def __init__(
        self,
        autoencoder: torch.nn.Module,
        recipe: Recipe,
        graph: GeneGraph | None,
        reader: GeneGCN,
    ) -> None:
        super().__init__(autoencoder, recipe, graph)  # type: ignore[arg-type]
        self._reader = [reader]  # no submodule: its parameters take no part in training

    @property
    def reader(self) -> GeneGCN:
        """The network whose head the encoder is for."""
        return self._reader[0]

    def setup(self, stage: str) -> None:
        """Moves the reader to the device too."""
        super().setup(stage)
        self.reader.to(self.device)

    @property
    def num_heads(self) -> int:
        """An autoencoder is one."""
        return 1

    def compute(self, batch: Rows) -> tuple[Tensor, Tensor]:
        """Returns the loss and a zero in place of the number of right names."""
        cells, depth = cell_inputs(batch)
        with torch.no_grad():
            features = self.reader.features(cells, *self._edges, depth).flatten(start_dim=1)
            x = self.reader.head_input(features)
        num_cells = sum_over_processes(x.new_tensor(len(x))) / this_process()[1]
        errors = F.mse_loss(self.network(x), x, reduction="sum")
        return errors / (num_cells * x.size(1)), x.new_zeros(())


def train(
    task: CellTypeTask,
    cells: CellRows,
    validation: CellRows | None,
    *,
    device: str = "auto",
    verbose: bool = False,
    checkpoint_dir: Path | None = None,
    fingerprint: str = "",
    stop: StopRequest | None = None,
    trainer_options: dict[str, Any] | None = None,
) -> Exception | None:
    """Trains ``task.network`` in place and leaves it with the best weights, on the CPU.

    Args:
        task: The network and its loss.
        cells: The training cells.
        validation: The validation cells; None trains to the end, on all cells.
        device: Lightning's accelerator: ``"auto"``, ``"cpu"``, ``"cuda"``.
        verbose: Show a progress bar (on terminals).
        checkpoint_dir: Write a checkpoint there after each epoch, and resume from it.
        fingerprint: What a checkpoint must agree in to be resumed.
        stop: Asks training to stop after a step.
        trainer_options: Further arguments of Lightning's Trainer.

    Returns:
        What ended training before its time, where the network is worth having all the same: a
        warning to give, or an error to raise once the network is put to use.

    Raises:
        FloatingPointError: If the loss is no longer a number, in the first epoch.
        torch.OutOfMemoryError: If the device's memory does not suffice, in the first step.
        ValueError: If the checkpoint belongs to another fit, or none there can be read.
    """
    recipe = task.recipe
    task.num_cells = len(cells)
    epochs = recipe.epochs(len(cells))
    mean = RunningMean() if recipe.averages else None
    best = KeepBest(mean)
    batches = CellLoader(cells, recipe.batch_size, recipe.seed, share=True)
    watched = None
    if validation is not None:
        watched = CellLoader(validation, recipe.batch_size, share=True)
    saving = Checkpoints(checkpoint_dir, batches, stop or StopRequest())
    # The best weights are kept before the mean gives way to the weights in training again.
    callbacks = [best, Fingerprint(fingerprint), *([] if mean is None else [mean]), saving]
    if verbose:
        callbacks.append(EpochProgress(epochs))
    if validation is not None and recipe.patience is not None:
        callbacks.append(Patience(recipe.patience))
    safe = SafeCheckpointIO()
    resume = None if checkpoint_dir is None else newest(checkpoint_dir, safe.load_checkpoint)
    options: dict[str, Any] = {
        "accelerator": device,
        "devices": 1,
        "max_epochs": epochs,
        "gradient_clip_val": recipe.clip,
        "use_distributed_sampler": False,  # the loader shares batches out by itself
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "logger": False,
        **(trainer_options or {}),
    }
    options["callbacks"] = [*callbacks, *options.get("callbacks", [])]
    # Always there: without it Lightning would pickle its checkpoints.
    options["plugins"] = [safe, *options.get("plugins", [])]
    ended: Exception | None = None
    with _quiet():
        trainer = lightning.Trainer(**options)
        _check_strategy(trainer)
        try:
            with naming_batch_size(recipe.batch_size):
                trainer.fit(task, batches, watched, ckpt_path=resume)
        except Stopped:
            ended = UserWarning(_stopped(trainer, saving))
        except (FloatingPointError, torch.OutOfMemoryError) as error:
            ended = _worth_keeping(error, trainer, best)
            if ended is None:
                raise
        except Exception as error:
            if resume is None or saving.under_way or isinstance(error, OtherFitError):
                raise
            raise ValueError(
                f"{resume} is whole, but training cannot go on from what it holds "
                f"({type(error).__name__}: {' '.join(str(error).split())}). {AFRESH}"
            ) from error
    if isinstance(ended, FloatingPointError):
        task.network.load_state_dict(best.weights)
    else:
        best.settle(task.network, task)
    task.network.cpu().eval()
    return ended


def _stopped(trainer: lightning.Trainer, saving: Checkpoints) -> str:
    """What to tell who has asked for a stop."""
    if saving.folder is None:
        state = "with a checkpoint_dir, the same fit would go on from there"
    elif saving.written:
        state = f"the same fit with checkpoint_dir={str(saving.folder)!r} goes on from there"
    else:
        state = "the checkpoint could not be written"
    epochs = trainer.global_step / trainer.num_training_batches
    return (
        f"Training was stopped after {trainer.global_step} steps, which are {epochs:.3g} of "
        f"{trainer.max_epochs} epochs. The model is what it had learned by then; {state}."
    )


def _worth_keeping(
    error: Exception, trainer: lightning.Trainer, best: KeepBest
) -> Exception | None:
    """The error, without the memory that its traceback holds; None if nothing was learned."""
    if isinstance(error, FloatingPointError):
        kept = f"the weights of epoch {best.epoch}" if best.weights else ""
    else:
        kept = f"what it had learned in {trainer.global_step} steps" if trainer.global_step else ""
    return type(error)(f"{error} The model keeps {kept}.") if kept else None


def _check_strategy(trainer: lightning.Trainer) -> None:
    """Refuses a trainer whose processes would not come back with what they learned."""
    launcher = trainer.strategy.launcher
    if isinstance(launcher, _MultiProcessingLauncher):
        raise ValueError(
            "Several devices need a strategy that runs the whole script in every process, such as "
            f"trainer_options={{'strategy': 'ddp', ...}} in a script (got "
            f"{type(trainer.strategy).__name__} with {type(launcher).__name__}, whose processes "
            "end with the training and take the history with them)."
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's hints about loggers and data workers are not for our users."""
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PossibleUserWarning)
        warnings.filterwarnings("ignore", message=".*treespec, LeafSpec", category=FutureWarning)
        warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
