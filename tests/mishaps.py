"""What may befall a fit, and small fits for it to befall."""

import os
import signal

import torch
from lightning.pytorch.callbacks import Callback

from genegraph import GeneGCNClassifier

SMALL = {
    "hidden_channels": (8,),
    "batch_size": 32,  # four steps an epoch
    "max_epochs": 6,
    "num_heads": 2,
    "random_state": 0,
    "device": "cpu",
    "verbose": False,
}
PATIENT = {"patience": 6, "validation_fraction": 0.2}  # three steps an epoch, and validation


class At(Callback):
    """Does something before a step: epoch and step counted from 1."""

    def __init__(self, epoch, step, act):
        self.epoch, self.step, self.act = epoch, step, act

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if (trainer.current_epoch + 1, batch_idx + 1) == (self.epoch, self.step):
            self.act(pl_module)


class In(At):
    """Does something in one of several trainings only, counted from 1."""

    def __init__(self, training, *when):
        super().__init__(*when)
        self.training, self.begun = training, 0

    def on_fit_start(self, trainer, pl_module):
        self.begun += 1

    def on_train_batch_start(self, trainer, *args):
        if self.begun == self.training:
            super().on_train_batch_start(trainer, *args)


class PowerCutError(RuntimeError):
    pass


def power_cut(_):
    raise PowerCutError


def ctrl_c(_):
    os.kill(os.getpid(), signal.SIGINT)


def poison(module):
    next(module.network.parameters()).data.fill_(float("nan"))


def out_of_memory(_):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def make(graph, *callbacks, **settings):
    options = {"trainer_options": {"callbacks": list(callbacks)}} if callbacks else {}
    return GeneGCNClassifier(graph, **{**SMALL, **options, **settings})


def same(ours, theirs):
    """Whether two models are equal, bit for bit, with all that fit has found."""
    mine, yours = ours.network_.state_dict(), theirs.network_.state_dict()
    return (
        all(torch.equal(mine[name], yours[name]) for name in yours)
        and ours.history_ == theirs.history_
        and ours.temperature_ == theirs.temperature_
        and ours.held_out_.equals(theirs.held_out_)
    )
