"""Checkpoints while training, and the stop that somebody asked for."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, Checkpoint

from genegraph.batches import CellLoader
from genegraph.checkpoint_folder import NEXT, promote
from genegraph.interruption import StopRequest

AFRESH = "Choose another folder, or empty this one to start afresh."


class Stopped(Exception):
    """Training stopped because it was asked to."""


class OtherFitError(ValueError):
    """The folder holds a checkpoint of another fit."""


NEEDED = {
    "epoch", "global_step", "state_dict", "loops", "callbacks", "optimizer_states",
    "lr_schedulers", "history", "sums", "rng_state",
}  # fmt: skip
"""What Lightning and the training task put into a checkpoint; without a part, training would begin
anew with weights that are not new."""
CALLBACKS = {"Fingerprint", "Checkpoints"}
"""Whose state must be in it."""


def check_parts(checkpoint: dict[str, Any]) -> None:
    """Raises a ValueError if a checkpoint lacks a part."""
    missing = NEEDED - set(checkpoint) or CALLBACKS - set(checkpoint["callbacks"])
    if missing:
        raise ValueError(f"it lacks {', '.join(sorted(missing))}")


class Checkpoints(Checkpoint):
    """Writes a checkpoint after every epoch, and one before it stops where it is asked to.

    That a checkpoint cannot be written is no reason to lose what is in memory: it is said, and
    training goes on.

    Lightning calls this class after all other callbacks, so what they change is in.

    Args:
        folder: Where to; None writes none.
        loader: The training batches; a fit that is resumed goes on among them.
        request: When to stop.

    Attributes:
        written: Whether the last checkpoint due is on disk.
        under_way: Whether training has begun, so that all of a checkpoint was taken up.
    """

    def __init__(self, folder: Path | None, loader: CellLoader, request: StopRequest) -> None:
        self.folder, self.loader, self.request = folder, loader, request
        self.written = True
        self.under_way = False

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint stores."""
        return {"met": self.loader.met}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The reverse."""
        self.loader.begin_after(state_dict["met"])

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Notes it."""
        self.under_way = True

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stops here if asked to; after the last step the epoch is ended first."""
        if self.request.asked and not trainer.is_last_batch:
            pl_module.check_finite()
            self.save(trainer)
            raise Stopped

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Writes the epoch's checkpoint."""
        self.save(trainer)
        ends_anyway = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if self.request.asked and not ends_anyway:
            raise Stopped

    def save(self, trainer: lightning.Trainer) -> None:
        """Writes a checkpoint, or says why it could not."""
        if self.folder is None:
            return
        if not self.folder.exists():
            warnings.warn(
                f"'checkpoint_dir' {str(self.folder)!r} is gone; it is made again.", stacklevel=2
            )
        error = self._write(trainer, self.folder)
        if error is not None and self.written:
            warnings.warn(
                f"No checkpoint could be written in epoch {trainer.current_epoch + 1}: {error}. "
                "Training goes on, and tries again after every epoch; what it has learned since "
                "the last checkpoint is in memory only.",
                stacklevel=2,
            )
        self.written = error is None

    @staticmethod
    def _write(trainer: lightning.Trainer, folder: Path) -> OSError | None:
        try:
            trainer.save_checkpoint(folder / NEXT)
        except OSError as error:
            trainer.strategy.barrier("Trainer.save_checkpoint")  # other processes wait there
            return error
        try:
            if trainer.is_global_zero:
                promote(folder)
        except OSError as error:
            return error
        return None


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
            raise OtherFitError(
                "'checkpoint_dir' must belong to this very fit, but holds a checkpoint made with "
                f"other cells, labels or parameters. {AFRESH}"
            )
