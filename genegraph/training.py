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
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, WeightAveraging
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher
from torch import Tensor

from genegraph.batches import CellLoader, CellRows, Rows, cell_inputs
from genegraph.checkpoint_io import SafeCheckpointIO
from genegraph.graph import GeneGraph
from genegraph.nn import GeneGCN
from genegraph.processes import sum_over_processes, this_process
from genegraph.progress import EpochProgress
from genegraph.recipe import Recipe

LAST = "last.ckpt"
"""Name of the file in ``checkpoint_dir`` from which training resumes."""


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
        self._sums = {"train": torch.zeros(3), "val": torch.zeros(3)}

    def setup(self, stage: str) -> None:
        """Moves the graph to the device: an EdgeIndex is no buffer."""
        if self.graph is not None:
            device = self.device
            edges, weight = self.graph.to_edge_index(), self.graph.edge_weight
            if isinstance(self.network, GeneGCN):
                edges, weight = self.network.needed_edges(edges, weight)
            self._edges = (edges.to(device), weight.to(device))
        self._sums = {part: torch.zeros(3, device=self.device) for part in self._sums}

    def compute(self, batch: Rows) -> tuple[Tensor, Tensor]:
        """Returns the mean loss of the heads, and how many cells they name rightly together.

        Where several processes share a batch, the mean of their losses is the batch's.
        """
        x, depth = cell_inputs(batch)
        votes = self.network.votes(x, *self._edges, depth)
        learned = self._learned(batch, votes)
        weight = learned if self.class_weight is None else learned * self.class_weight[batch["y"]]
        labels = batch["y"].expand(len(votes), -1)
        losses = F.cross_entropy(votes.movedim(-1, 1), labels, reduction="none")
        # Gradients are averaged over processes, which have unequal shares of a batch.
        total = sum_over_processes(weight.sum(1)) / this_process()[1]
        means = (losses * weight).sum(1) / torch.where(total > 0, total, 1.0)
        named = votes.mean(0).argmax(1)
        return means.mean(), (named == batch["y"]).sum()

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
        if gradient_clip_val is None:
            return
        for part in self._clipped:
            torch.nn.utils.clip_grad_norm_(part, gradient_clip_val)

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
        if not np.isfinite(means["train_loss"]):
            raise FloatingPointError(
                f"The training loss became {means['train_loss']} in epoch {self.current_epoch + 1}"
                f"; use a smaller 'lr' (got {self.recipe.learning_rate})."
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """History and random state belong to the training state."""
        checkpoint["history"] = self.history
        checkpoint["rng_state"] = torch.get_rng_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The reverse."""
        self.history = checkpoint["history"]
        torch.set_rng_state(checkpoint["rng_state"])

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
        self._sums[part] += torch.stack([loss.detach() * of_all, correct, num])
        return loss

    def _means(self, part: str) -> dict[str, float]:
        loss, correct, num = sum_over_processes(self._sums[part]).tolist()
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


class KeepBest(Callback):
    """Remembers the weights of the epoch with the lowest validation loss."""

    def __init__(self) -> None:
        self.loss = float("inf")
        self.weights: dict[str, Tensor] = {}

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Copies the weights if they are the best so far: those the validation has just used."""
        loss = pl_module.epoch_means()["val_loss"]
        if loss < self.loss:
            self.loss = loss
            self.weights = {k: v.clone() for k, v in pl_module.network.state_dict().items()}

    def restore(self, network: torch.nn.Module) -> None:
        """Puts the best weights back, if there was any validation."""
        if self.weights:
            network.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint stores."""
        return {"loss": self.loss, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The reverse."""
        self.loss, self.weights = state_dict["loss"], state_dict["weights"]


def average(means: Any, current: Any, num_averaged: Any) -> None:
    r"""Moves running means of the weights towards the current ones, in place.

    The mean forgets with decay :math:`\min(0.99, (1 + k) / (10 + k))` at step k: slowly in the
    end, quickly while the first weights are still worth forgetting.
    """
    k = float(num_averaged)
    torch._foreach_lerp_(means, current, 1 - min(0.99, (1 + k) / (10 + k)))


class Fingerprint(Callback):
    """Keeps a checkpoint from being resumed with other cells, genes or settings."""

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint stores."""
        return {"fingerprint": self.fingerprint}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Refuses a checkpoint of another fit."""
        if state_dict["fingerprint"] != self.fingerprint:
            raise ValueError(
                "'checkpoint_dir' must belong to this very fit, but holds a checkpoint made with "
                "other cells, labels or parameters. Choose another folder, or remove "
                f"{LAST} to start afresh."
            )


def train(
    task: CellTypeTask,
    cells: CellRows,
    validation: CellRows | None,
    *,
    device: str = "auto",
    verbose: bool = False,
    checkpoint_dir: str | Path | None = None,
    fingerprint: str = "",
    trainer_options: dict[str, Any] | None = None,
) -> None:
    """Trains ``task.network`` in place and leaves it with the best weights, on the CPU.

    Args:
        task: The network and its loss.
        cells: The training cells.
        validation: The validation cells; None trains to the end, on all cells.
        device: Lightning's accelerator: ``"auto"``, ``"cpu"``, ``"cuda"``.
        verbose: Show a progress bar (on terminals).
        checkpoint_dir: Write a checkpoint there after each epoch, and resume from it.
        fingerprint: What a checkpoint must agree in to be resumed.
        trainer_options: Further arguments of Lightning's Trainer.

    Raises:
        FloatingPointError: If the loss is no longer a number.
        ValueError: If the checkpoint belongs to another fit.
    """
    recipe = task.recipe
    task.num_cells = len(cells)
    epochs = recipe.epochs(len(cells))
    best = KeepBest()
    # The best weights are kept before the average gives way to the weights in training again.
    callbacks = [best, Fingerprint(fingerprint), *_callbacks(recipe, epochs, verbose)]
    if validation is not None and recipe.patience is not None:
        callbacks.append(EarlyStopping("val_loss", patience=recipe.patience))
    resume = None
    if checkpoint_dir is not None:
        last = Path(checkpoint_dir) / LAST
        resume = str(last) if last.exists() else None
        callbacks.append(_checkpoints(checkpoint_dir))
    options: dict[str, Any] = {
        "accelerator": device,
        "devices": 1,
        "max_epochs": epochs,
        "gradient_clip_val": recipe.clip,
        "enable_checkpointing": checkpoint_dir is not None,
        "use_distributed_sampler": False,  # the loader shares batches out by itself
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "logger": False,
        **(trainer_options or {}),
    }
    options["callbacks"] = [*callbacks, *options.get("callbacks", [])]
    # Always there: without it Lightning would pickle its checkpoints.
    options["plugins"] = [SafeCheckpointIO(), *options.get("plugins", [])]
    with _quiet():
        trainer = lightning.Trainer(**options)
        _check_strategy(trainer)
        trainer.fit(
            task,
            CellLoader(cells, recipe.batch_size, recipe.seed, share=True),
            None if validation is None else CellLoader(validation, recipe.batch_size, share=True),
            ckpt_path=resume,
        )
    best.restore(task.network)
    task.network.cpu().eval()


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


def _callbacks(recipe: Recipe, epochs: int, verbose: bool) -> list[Callback]:
    averaging = (
        [WeightAveraging(use_buffers=False, multi_avg_fn=average)] if recipe.averages else []
    )
    return [*averaging, *([EpochProgress(epochs)] if verbose else [])]


def _checkpoints(folder: str | Path) -> ModelCheckpoint:
    """One file, replaced after each epoch."""
    return ModelCheckpoint(
        dirpath=folder,
        filename="last",
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's hints about loggers and data workers are not for our users."""
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    level = logger.level
    logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PossibleUserWarning)
        warnings.filterwarnings("ignore", message=".*treespec, LeafSpec", category=FutureWarning)
        warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
        try:
            yield
        finally:
            logger.setLevel(level)
