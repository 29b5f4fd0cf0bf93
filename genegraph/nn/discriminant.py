"""A linear map from what the heads read to logits, beside them."""

from __future__ import annotations

import torch
from torch import Tensor


class LinearDiscriminant(torch.nn.Module):
    r"""Gives each class a score that is linear in the cell.

    .. math::
        \mathrm{score}_k(x) = b_k + \frac{1}{V} \sum_{v=1}^{V} w_{vk} \cdot x_v

    Nothing here is trained: :mod:`genegraph.discriminants` computes it from cells and sets it.
    Until then it is zero.

    Args:
        num_features: Features of a cell, in each view.
        num_classes: Number of cell types.
        num_views: :math:`V`.

    Shapes:
        - ``x``: ``[num_cells, num_features]`` or ``[num_views, num_cells, num_features]``
        - output: ``[num_cells, num_classes]``

    Example:
        >>> import torch
        >>> linear = LinearDiscriminant(2, 2)
        >>> linear.set(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]), torch.tensor([0.5, 0.0]))
        >>> linear(torch.tensor([[3.0, 4.0]]))
        tensor([[3.5000, 4.0000]])
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, num_features: int, num_classes: int, num_views: int = 1) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(num_views, num_classes, num_features))
        self.register_buffer("bias", torch.zeros(num_classes))

    def set(self, weight: Tensor, bias: Tensor) -> None:
        """Sets :math:`w`, ``[num_views, num_classes, num_features]``, and :math:`b`."""
        self.weight.copy_(weight)
        self.bias.copy_(bias)

    def forward(self, x: Tensor) -> Tensor:
        views = x.unsqueeze(0) if x.dim() == 2 else x
        return (views @ self.weight.mT).mean(0) + self.bias
