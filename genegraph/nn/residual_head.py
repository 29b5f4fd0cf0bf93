"""The classifier on top: fully connected layers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor


def hidden_layers(num_features: int, hidden_channels: Sequence[int]) -> torch.nn.Sequential:
    """Returns Linear and ReLU in turn, one pair per hidden size."""
    sizes = [num_features, *hidden_channels]
    if any(size < 1 for size in sizes):
        raise ValueError(f"Layer sizes must be at least 1 (got {sizes}).")
    layers: list[torch.nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers)


class ResidualHead(torch.nn.Module):
    r"""Names the cell type from the fused features, original plus smoothed.

    .. math::
        h_0 = x, \qquad h_{l+1} = \mathrm{relu}(W_l h_l + b_l), \qquad \mathrm{logits} = W h_L + b

    Initial weights are :math:`U(-\sqrt{1/d_{in}}, \sqrt{1/d_{in}})`, torch's default for a linear
    layer and the write-up's.

    Args:
        num_features: Size of a cell's fused features (genes times features per gene).
        num_classes: Number of cell types.
        hidden_channels: Sizes of the hidden layers.

    Shapes:
        - ``x``: ``[num_cells, num_features]``
        - output: logits, ``[num_cells, num_classes]``

    Example:
        >>> import torch
        >>> ResidualHead(100, 10, hidden_channels=(16, 8))(torch.rand(4, 100)).shape
        torch.Size([4, 10])
    """

    def __init__(
        self, num_features: int, num_classes: int, hidden_channels: Sequence[int] = (256, 128)
    ) -> None:
        super().__init__()
        self.hidden = hidden_layers(num_features, hidden_channels)
        self.out = torch.nn.Linear([num_features, *hidden_channels][-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self.first(x))

    @property
    def first(self) -> torch.nn.Linear:
        """The layer that reads the features."""
        first = self.hidden[0] if len(self.hidden) else self.out
        assert isinstance(first, torch.nn.Linear)
        return first

    def rest(self, x: Tensor) -> Tensor:
        """Returns the logits, from the output of the first layer."""
        logits: Tensor = self.out(self.hidden[1:](x)) if len(self.hidden) else x
        return logits
