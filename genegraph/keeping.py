"""Which weights training leaves, however it ends."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, WeightAveraging
from torch import Tensor


class RunningMean(WeightAveraging):
    r"""A running mean of the weights: what is validated, and what training leaves.

    The mean forgets with decay :math:`\min(0.99, (1 + k) / (10 + k))` at step k: slowly in the
    end, quickly while the first weights are still worth forgetting.
    """

    def __init__(self) -> None:
        super().__init__(use_buffers=False)
        self._in_module = False
        self._weights: tuple[list[Tensor], list[Tensor]] | None = None
        self._steps = 0

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Moves the mean towards the weights, after every step.

        Lightning's own way looks for the weights anew each time and asks the device how often it
        has done so, which takes longer than the mean itself where a network is small.
        """
        if trainer.global_step <= self._latest_update_step:
            return
        mean = self._average_model
        assert mean is not None
        if self._weights is None:
            both = (mean.module.parameters(), pl_module.parameters())
            means, current = ([weight.detach() for weight in part] for part in both)
            self._weights, self._steps = (means, current), int(mean.n_averaged)
        k = self._steps
        share = 1 - min(0.99, (1 + k) / (10 + k)) if k else 1.0
        torch._foreach_lerp_(*self._weights, share)
        mean.n_averaged += 1  # on the device, for checkpoints
        self._steps += 1
        self._latest_update_step = trainer.global_step

    def on_validation_epoch_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Validates the mean."""
        super().on_validation_epoch_start(trainer, pl_module)
        self._in_module = True

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Goes back to the weights in training."""
        super().on_validation_epoch_end(trainer, pl_module)
        self._in_module = False

    def network(self, task: Any) -> torch.nn.Module:
        """Returns the network with the mean of the weights of ``task.network``."""
        averaged = self._average_model
        mean: Any = task if averaged is None or self._in_module else averaged.module
        network: torch.nn.Module = mean.network
        return network


class KeepBest(Callback):
    """Remembers the weights of the epoch with the lowest validation loss.

    Where nothing is validated, those after the epoch with the lowest training loss, for the case
    that training goes wrong.

    Args:
        mean: The running mean of the weights, where that is what training leaves.

    Attributes:
        loss: The lowest loss.
        validated: Whether it is of validation cells.
        epoch: The epoch of the weights, from 1.
        weights: The weights.
    """

    def __init__(self, mean: RunningMean | None = None) -> None:
        self.mean = mean
        self.loss, self.validated = float("inf"), False
        self.epoch = 0
        self.weights: dict[str, Tensor] = {}

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Remembers what was resumed, where that is all there is."""
        if pl_module.history and not self.validated:
            self._keep_trained(pl_module, pl_module.history[-1])

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Copies the weights if they are the best so far: those the validation has just used."""
        loss = pl_module.epoch_means()["val_loss"]
        if loss < (self.loss if self.validated else float("inf")):
            self.loss, self.validated = loss, True
            self._keep(pl_module.network, trainer.current_epoch + 1)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Copies the weights of a good epoch where none were validated."""
        if not self.validated:
            epoch = {"epoch": trainer.current_epoch + 1, **pl_module.epoch_means()}
            self._keep_trained(pl_module, epoch)

    def _keep_trained(self, task: Any, epoch: dict[str, Any]) -> None:
        network = task.network if self.mean is None else self.mean.network(task)
        if epoch["train_loss"] < self.loss and is_finite(network):
            self.loss = epoch["train_loss"]
            self._keep(network, epoch["epoch"])

    def _keep(self, network: torch.nn.Module, epoch: int) -> None:
        self.epoch = epoch
        self.weights = {name: part.clone() for name, part in network.state_dict().items()}

    def settle(self, network: torch.nn.Module, task: Any) -> None:
        """Puts the weights that training leaves into the network: the best, or the last."""
        if self.validated:
            network.load_state_dict(self.weights)
        elif self.mean is not None:
            network.load_state_dict(self.mean.network(task).state_dict())

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint stores: what was validated, as the last weights are there anyway."""
        if not self.validated:
            return {}
        return {"loss": self.loss, "epoch": self.epoch, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The reverse."""
        self.loss, self.epoch = state_dict["loss"], state_dict["epoch"]
        self.weights = state_dict["weights"]
        self.validated = True


class Patience(EarlyStopping):
    """Stops after so many epochs without a better validation loss, once.

    Args:
        patience: How many.
    """

    def __init__(self, patience: int) -> None:
        super().__init__("val_loss", patience=patience)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Takes no further epoch where patience had ended before the fit was interrupted."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True


def is_finite(network: torch.nn.Module) -> bool:
    """Whether all weights are numbers."""
    return all(bool(weight.isfinite().all()) for weight in network.parameters())
