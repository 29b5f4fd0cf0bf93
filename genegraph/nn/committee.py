"""Several heads that name a cell together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from genegraph.nn.discriminant import LinearDiscriminant
from genegraph.nn.first_layers import first_layers
from genegraph.nn.residual_head import ResidualHead


class Committee(torch.nn.Module):
    r"""Names the cell type by the mean of several heads' logits, and a linear discriminant.

    .. math::
        \mathrm{logits} = D(x) + \frac{1}{M} \sum_{m=1}^{M} \mathrm{head}_m(x_{m \bmod V})

    Where cells come in :math:`V` views (see :class:`~genegraph.nn.GraphShrinkage`), each head
    reads one of them.  Heads that err apart err less together; and if each is kept from a share of
    the cells in training, what it says of these is what it would say of new cells.

    By such cells it can also be judged what a :class:`~genegraph.nn.LinearDiscriminant` :math:`D`
    would add, which is ``discriminant`` and zero until it is set.

    Args:
        num_features: Features of a cell, in each view.
        num_classes: Number of cell types.
        hidden_channels: Sizes of each head's hidden layers.
        num_heads: :math:`M`.
        num_views: :math:`V`.
        discriminant: Let :math:`D` speak too; else it is zero.

    Shapes:
        - ``x``: ``[num_cells, num_features]`` or ``[num_views, num_cells, num_features]``
        - output: ``[num_cells, num_classes]``; of :meth:`votes`
          ``[num_heads, num_cells, num_classes]``

    Example:
        >>> import torch
        >>> committee = Committee(100, 10, (16,), num_heads=6, num_views=3)
        >>> committee(torch.rand(3, 4, 100)).shape, committee.votes(torch.rand(4, 100)).shape
        (torch.Size([4, 10]), torch.Size([6, 4, 10]))
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        hidden_channels: Sequence[int] = (256, 128),
        num_heads: int = 1,
        num_views: int = 1,
        discriminant: bool = False,
    ) -> None:
        super().__init__()
        if num_heads < 1:
            raise ValueError(f"'num_heads' must be at least 1 (got {num_heads}).")
        self.heads = torch.nn.ModuleList(
            ResidualHead(num_features, num_classes, hidden_channels) for _ in range(num_heads)
        )
        self.discriminant = (
            LinearDiscriminant(num_features, num_classes, num_views) if discriminant else None
        )

    def votes(self, x: Tensor) -> Tensor:
        """Returns each head's logits."""
        views = x.unsqueeze(0) if x.dim() == 2 else x
        read = first_layers(views, self.first)
        return torch.stack([head.rest(z) for head, z in zip(self._heads, read, strict=True)])

    @property
    def first(self) -> list[torch.nn.Linear]:
        """The layer of each head that reads the features."""
        return [head.first for head in self._heads]

    @property
    def _heads(self) -> list[ResidualHead]:
        return [cast(ResidualHead, head) for head in self.heads]

    def forward(self, x: Tensor) -> Tensor:
        votes = self.votes(x)
        # Summed in their order: the same bits wherever a cell stands.
        total: Tensor = sum(votes[1:], start=votes[0])
        mean = total / len(votes)
        return mean if self.discriminant is None else mean + self.discriminant(x)
