"""How a network is trained: the optimiser and its schedule, by name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from genegraph.nn import GeneGCN

OPTIMIZERS = ("sgd", "adam")

LONGEST = 64.0
"""Typical norm of what the head reads of a cell, where there are genes enough."""

LEARNING_RATES = {"sgd": 0.05, "adam": 1e-3}

PENALTY, LARGEST_PENALTY = 75.0, 0.1
"""The weight decay of SGD is the first by the number of training cells, at most the second."""


@dataclass(frozen=True)
class Recipe:
    """What training needs to know beyond the network and the cells.

    * ``"sgd"``: Nesterov momentum 0.9 and a one-cycle learning rate that peaks at ``lr``, on
      features centred and scaled by one number (see :meth:`scale`).  Gradients are clipped to norm
      1: without that, steps this long end in a network that names every cell alike.  What is
      validated and kept is a running mean of the weights.
    * ``"adam"``: the write-up's Adam(0.9, 0.999, 1e-8) at constant ``lr``; features are
      neither centred nor scaled, gradients not clipped, weights not averaged.

    ``weight_decay`` is the L2 penalty of the layer that reads the genes; all other parameters
    bear a tenth of it, and the strength of the prior none: a penalty would pull it to one read.
    By default it falls with the number of cells, as a prior's weight does (scikit-learn's
    ``C`` says the same), so that a type of twenty cells is learned among a hundred thousand
    others as it is among five hundred.

    Attributes:
        optimizer: ``"sgd"`` or ``"adam"``.
        lr: Learning rate; None takes the optimiser's own default.
        weight_decay: L2 penalty of the first layer; None: see :meth:`penalty`.
        batch_size: Cells per step.
        max_epochs: Passes over the training cells; None: see :meth:`epochs`.
        patience: Stop after so many epochs without a better validation loss; None never does.
        seed: Seed of the order of cells.
    """

    optimizer: str = "sgd"
    lr: float | None = None
    weight_decay: float | None = None
    batch_size: int = 64
    max_epochs: int | None = None
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"'optimizer' must be one of {OPTIMIZERS} (got {self.optimizer!r}).")
        for name, value, least in (
            ("batch_size", self.batch_size, 1),
            ("max_epochs", self.max_epochs, 1),
            ("patience", self.patience, 1),
            ("lr", self.lr, 0),
            ("weight_decay", self.weight_decay, 0),
        ):
            if value is not None and value < least:
                raise ValueError(f"{name!r} must be at least {least} (got {value!r}).")

    def epochs(self, num_cells: int) -> int:
        """Returns the number of epochs: 20, or as many more (up to 200) as make 700 steps.

        Example:
            >>> Recipe().epochs(100_000), Recipe().epochs(490), Recipe(max_epochs=5).epochs(490)
            (20, 88, 5)
        """
        if self.max_epochs is not None:
            return self.max_epochs
        steps = math.ceil(num_cells / self.batch_size)
        return min(200, max(20, math.ceil(700 / steps)))

    def scale(self, num_features: int, variance: torch.Tensor) -> torch.Tensor:
        r"""Returns the unit :math:`s` of the head's input, 1 for Adam.

        :math:`\min(3\sqrt{F}, 64) / \sqrt{\sum_k \mathrm{var}_b(x_{bk})}`, so that the learning
        rate means the same whatever the unit of the values and the number of features.

        Args:
            num_features: F, how many features the head reads.
            variance: The sum of their variances over the training cells, for each view.
        """
        if not self.centers:
            return torch.ones_like(variance)
        length = min(3 * math.sqrt(num_features), LONGEST)
        return torch.where(variance > 0, length / variance.sqrt(), 1.0)

    @property
    def centers(self) -> bool:
        """Whether the head reads centred and scaled features."""
        return self.optimizer == "sgd"

    @property
    def averages(self) -> bool:
        """Whether the weights in use are a running mean of those in training."""
        return self.optimizer == "sgd"

    @property
    def clip(self) -> float | None:
        """Largest norm of each head's gradient, None for no clipping."""
        return 1.0 if self.optimizer == "sgd" else None

    @property
    def learning_rate(self) -> float:
        """``lr``, or the optimiser's own."""
        return LEARNING_RATES[self.optimizer] if self.lr is None else self.lr

    def penalty(self, num_cells: int) -> float:
        """Returns ``weight_decay``, or the optimiser's own: none for Adam.

        Example:
            >>> Recipe().penalty(100_000), Recipe().penalty(90), Recipe("adam").penalty(90)
            (0.00075, 0.1, 0.0)
        """
        if self.weight_decay is not None:
            return self.weight_decay
        return min(PENALTY / num_cells, LARGEST_PENALTY) if self.optimizer == "sgd" else 0.0

    def optimizers(
        self, network: torch.nn.Module, num_steps: int, num_cells: int, fused: bool = True
    ) -> dict[str, Any]:
        """Returns what Lightning's ``configure_optimizers`` wants.

        Args:
            network: Its parameters are trained.
            num_steps: Length of the schedule.
            num_cells: Cells to learn from.
            fused: Update all of a parameter in one pass: on a CPU a sixth of the time.  Lightning
                refuses to clip gradients then in mixed precision.
        """
        lr = self.learning_rate
        groups = _groups(network, self.penalty(num_cells))
        if self.optimizer == "adam":
            adam = torch.optim.Adam(groups, lr=lr, betas=(0.9, 0.999), eps=1e-8, fused=fused)
            return {"optimizer": adam}
        sgd = torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True, fused=fused)
        # Steps 0 .. num_steps - 1 are taken; the schedule is stepped once after each of them.
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            sgd, max_lr=lr, total_steps=num_steps + 1, cycle_momentum=False
        )
        return {"optimizer": sgd, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}


def _groups(network: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The weights that read the genes, all others but kappa, and kappa."""
    first: list[torch.Tensor] = []
    free: list[torch.Tensor] = []
    if isinstance(network, GeneGCN):
        first = [layer.weight for layer in network.head.first]
        free = [] if network.shrinkage is None else [network.shrinkage.log_kappa]
    apart = {id(p) for p in (*first, *free)}
    others = [p for p in network.parameters() if id(p) not in apart]
    groups = [(others, weight_decay / 10), (first, weight_decay), (free, 0.0)]
    return [{"params": part, "weight_decay": decay} for part, decay in groups if part]
