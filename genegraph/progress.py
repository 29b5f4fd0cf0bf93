"""One line that says how far training is."""

from __future__ import annotations

from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class EpochProgress(Callback):
    """A bar over epochs with the latest loss and accuracy; silent where no terminal is watching."""

    def __init__(self, max_epochs: int) -> None:
        self.max_epochs = max_epochs
        self.progress: Progress | None = None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Opens the bar."""
        console = Console(stderr=True)
        self.progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[losses]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self.bar = self.progress.add_task(
            "training", total=self.max_epochs, completed=trainer.current_epoch, losses=""
        )
        self.progress.start()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Moves the bar by an epoch."""
        if self.progress is None:
            return
        means = pl_module.epoch_means()
        shown = [name for name in ("train_loss", "val_accuracy") if name in means]
        losses = "  ".join(f"{name.replace('_', ' ')} {means[name]:.3f}" for name in shown)
        self.progress.update(self.bar, advance=1, losses=losses)

    def teardown(self, trainer: lightning.Trainer, pl_module: Any, stage: str) -> None:
        """Closes the bar."""
        if self.progress is not None:
            self.progress.stop()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: Any, exception: BaseException
    ) -> None:
        """Closes the bar where training did not end by itself."""
        self.teardown(trainer, pl_module, "fit")
