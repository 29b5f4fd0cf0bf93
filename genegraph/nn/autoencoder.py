"""Unsupervised initial weights for the classifier's hidden layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from genegraph.nn.residual_head import hidden_layers


class Autoencoder(torch.nn.Module):
    r"""Learns to restore a cell from the activations of the head's last hidden layer.

    .. math::
        \mathcal{L} = \lVert x - \psi(\phi(x)) \rVert^2 / N

    The encoder :math:`\phi` has the hidden layers of
    :class:`~genegraph.nn.ResidualHead`; the decoder :math:`\psi` mirrors them and ends linearly.

    Args:
        num_features: Size of a cell's features.
        hidden_channels: Sizes of the encoder's layers.

    Shapes:
        - ``x``: ``[num_cells, num_features]``
        - output: the same

    Example:
        >>> import torch
        >>> Autoencoder(100, (16, 8))(torch.rand(4, 100)).shape
        torch.Size([4, 100])
    """

    def __init__(self, num_features: int, hidden_channels: Sequence[int] = (256, 128)) -> None:
        super().__init__()
        backwards = [*reversed(hidden_channels)]
        self.encoder = hidden_layers(num_features, hidden_channels)
        self.decoder = torch.nn.Sequential(
            *hidden_layers(backwards[0], backwards[1:]),
            torch.nn.Linear(backwards[-1], num_features),
        )

    def forward(self, x: Tensor) -> Tensor:
        restored: Tensor = self.decoder(self.encoder(x))
        return restored
