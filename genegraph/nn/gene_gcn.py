"""The network: smoothing over gene graphs, then the fully connected head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric import EdgeIndex

from genegraph.nn.autoencoder import Autoencoder
from genegraph.nn.gene_graph_conv import GeneGraphConv
from genegraph.nn.residual_head import ResidualHead


class GeneGCN(torch.nn.Module):
    r"""Classifies cells from the expression of their genes and a graph of the genes.

    .. math::
        X \leftarrow X + \sum_{g=1}^{\mathrm{graphs}} \mathrm{relu}(G_g X W_g)
        \quad\text{(repeated num\_layers times)}, \qquad
        \mathrm{logits} = \mathrm{head}(X)

    Args:
        num_genes: Genes per cell.
        num_classes: Cell types.
        in_channels: Features per gene.
        hidden_channels: Hidden layers of the head.
        attention: See :class:`~genegraph.nn.GeneGraphConv`.
        fusion: See :class:`~genegraph.nn.GeneGraphConv`.
        num_layers: Graph layers in a row; 0 leaves the fully connected head alone.
        num_graphs: Graphs side by side in each layer, each with parameters of its own.
        residual: Keep the original features; False hands only the smoothed ones on.
        gene_aware: Attention with parameters per gene.
        attention_channels: See :class:`~genegraph.nn.GeneGraphConv`.
        tolerance: See :class:`~genegraph.nn.GeneGraphConv`.
        reference: See :class:`~genegraph.nn.GeneGraphConv`.
        init: See :class:`~genegraph.nn.GeneGraphConv`.
        backend: See :class:`~genegraph.nn.GeneGraphConv`.

    Shapes:
        - ``x``: ``[num_cells, num_genes]`` or ``[num_cells, num_genes, in_channels]``
        - ``edge_index``, ``edge_weight``: see :class:`~genegraph.nn.GeneGraphConv`
        - output: logits, ``[num_cells, num_classes]``

    Example:
        >>> import torch
        >>> network = GeneGCN(num_genes=5, num_classes=3, hidden_channels=(8, 4))
        >>> edge_index = torch.tensor([[0, 1], [1, 0]])
        >>> network(torch.rand(2, 5), edge_index).shape
        torch.Size([2, 3])
    """

    def __init__(
        self,
        num_genes: int,
        num_classes: int,
        *,
        in_channels: int = 1,
        hidden_channels: Sequence[int] = (256, 128),
        attention: str | None = "full",
        fusion: str = "sum",
        num_layers: int = 1,
        num_graphs: int = 1,
        residual: bool = True,
        gene_aware: bool = False,
        attention_channels: int = 16,
        tolerance: float = 1e-6,
        reference: bool = False,
        init: str = "absolute",
        backend: str = "torch",
    ) -> None:
        super().__init__()
        if num_layers < 0 or num_graphs < 1:
            raise ValueError(
                "'num_layers' must be at least 0 and 'num_graphs' at least 1 "
                f"(got {num_layers} and {num_graphs})."
            )
        self.num_genes, self.in_channels, self.residual = num_genes, in_channels, residual
        self.layers = torch.nn.ModuleList(
            torch.nn.ModuleList(
                GeneGraphConv(
                    in_channels,
                    in_channels,
                    attention=attention,
                    attention_channels=attention_channels,
                    num_genes=num_genes if gene_aware else None,
                    fusion=fusion,
                    tolerance=tolerance,
                    reference=reference,
                    init=init,
                    backend=backend,
                )
                for _ in range(num_graphs)
            )
            for _ in range(num_layers)
        )
        self.head = ResidualHead(num_genes * in_channels, num_classes, hidden_channels)

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor | EdgeIndex | None = None,
        edge_weight: Tensor | None = None,
    ) -> Tensor:
        logits: Tensor = self.head(self.smooth(x, edge_index, edge_weight))
        return logits

    def smooth(
        self,
        x: Tensor,
        edge_index: Tensor | EdgeIndex | None = None,
        edge_weight: Tensor | None = None,
    ) -> Tensor:
        """Returns the fused features that the head reads, ``[num_cells, genes * channels]``."""
        expected = (self.num_genes, self.in_channels)
        features = x.unsqueeze(-1) if x.dim() == 2 else x
        if tuple(features.shape[1:]) != expected:
            raise ValueError(
                f"'x' must have shape [num_cells, {self.num_genes}] or [num_cells, "
                f"{self.num_genes}, {self.in_channels}] (got {list(x.shape)})."
            )
        for graphs in self.layers:
            assert isinstance(graphs, torch.nn.ModuleList)
            smoothed = [conv(features, edge_index, edge_weight).relu() for conv in graphs]
            features = sum(smoothed, start=features) if self.residual else sum(smoothed)
        return features.flatten(start_dim=1)

    def init_from(self, autoencoder: Autoencoder) -> None:
        """Starts the head's hidden layers from a trained encoder of the same sizes.

        Raises:
            ValueError: If the sizes differ.
        """
        theirs, ours = autoencoder.encoder.state_dict(), self.head.hidden.state_dict()
        shapes = [{k: tuple(v.shape) for k, v in part.items()} for part in (theirs, ours)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"The autoencoder must have the head's hidden layers {shapes[1]} (got {shapes[0]})."
            )
        self.head.hidden.load_state_dict(theirs)
