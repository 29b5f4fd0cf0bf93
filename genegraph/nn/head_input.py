"""What the head reads of a cell's features: which ones, around which centre, in which unit."""

from __future__ import annotations

import torch
from torch import Tensor


class HeadInput(torch.nn.Module):
    r"""Hands some features on, centred and scaled by one number.

    .. math::
        h_k = s\,(x_{i_k} - m_k)

    Everything here is measured on training cells before training, never learned: as it comes,
    all features are handed on as they are.  :meth:`adapt` makes it fit for cells of another kind.

    Args:
        num_features: How many are handed on.
        num_views: Views of each cell, each with a centre and a unit of its own; None for cells
            that have but one.

    Shapes:
        - ``x``: ``[num_cells, num_features_before]``, or with a first dimension of views
        - output: ``[num_cells, num_features]``, or likewise

    Example:
        >>> import torch
        >>> read = HeadInput(2)
        >>> read.set(torch.tensor([0, 2]), torch.tensor([1.0, 5.0]), 10.0)
        >>> read(torch.tensor([[1.5, 9.0, 5.0]]))
        tensor([[5., 0.]])
    """

    columns: Tensor
    center: Tensor
    scale: Tensor

    def __init__(self, num_features: int, num_views: int | None = None) -> None:
        super().__init__()
        views = () if num_views is None else (num_views, 1)
        self.register_buffer("columns", torch.arange(num_features))
        self.register_buffer("center", torch.zeros(*views, num_features))
        self.register_buffer("scale", torch.ones(() if num_views is None else (num_views, 1, 1)))

    def set(self, columns: Tensor, center: Tensor, scale: float | Tensor) -> None:
        """Sets positions :math:`i_k`, centre :math:`m_k` and unit :math:`s`."""
        self.columns.copy_(columns)
        self.center.copy_(center.view_as(self.center))
        self.scale.copy_(torch.as_tensor(scale).view_as(self.scale))

    @property
    def num_views(self) -> int:
        """How many views, 1 where cells have but one."""
        return self.scale.numel()

    def adapt(self, slope: Tensor, offset: Tensor) -> None:
        """Changes unit and centre so that :math:`h / b + a` is handed on for :math:`h` from now.

        Args:
            slope: :math:`b`, ``[num_views]``.
            offset: :math:`a`, ``[num_views, num_features]``.
        """
        self.scale /= slope.view_as(self.scale)
        self.center -= offset.view_as(self.center) / self.scale

    def forward(self, x: Tensor) -> Tensor:
        chosen = x if len(self.columns) == x.size(-1) else x[..., self.columns]
        return (chosen - self.center).mul_(self.scale)  # one tensor less
