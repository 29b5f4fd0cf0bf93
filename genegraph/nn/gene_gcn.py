"""The network: smoothing over gene graphs, then the fully connected head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch_geometric import EdgeIndex

from genegraph.nn.autoencoder import Autoencoder
from genegraph.nn.committee import Committee
from genegraph.nn.gene_graph_conv import GeneGraphConv
from genegraph.nn.head_input import HeadInput
from genegraph.nn.residual_head import ResidualHead
from genegraph.nn.shared_graph import SharedGraph
from genegraph.nn.shrinkage import TARGET_SUM, GraphShrinkage


class GeneGCN(torch.nn.Module):
    r"""Classifies cells from the expression of their genes and a graph of the genes.

    .. math::
        X_0 = x \;\text{ or }\; \mathrm{shrinkage}(x), \qquad
        Z_l = \sum_{g=1}^{\mathrm{graphs}} \mathrm{relu}(G_{lg} X_{l-1} W_{lg}), \qquad
        X_l = X_0 + Z_l \quad (l = 1 \dots \mathrm{num\_layers}), \qquad
        \mathrm{logits} = \mathrm{head}(s(X_L - m))

    Every layer adds the cell's *original* features, not the ones before it [1]_: adding those
    would multiply by :math:`I + G` again and again, until the features are those of a smooth
    vector that is the same for all cells.

    Args:
        num_genes: Genes per cell.
        num_classes: Cell types.
        in_channels: Features per gene.
        hidden_channels: Hidden layers of the head.
        num_layers: Graph layers in a row; 0 leaves the fully connected head alone.
        num_graphs: Graphs side by side in each layer, each with parameters of its own.
        residual: Keep the original features; False hands only the smoothed ones on.
        norm: Scale :math:`Z_l` by :math:`\min(1, \lVert X_0 \rVert / \lVert Z_l \rVert)`, cell by
            cell, so that what is smoothed never drowns the original.  A prior whose rows sum to
            hundreds (``"max"``) otherwise grows without bound from layer to layer.  None does so
            where there are several layers.
        fusion: ``"sum"`` adds; ``"gate"`` makes every sum a learned mix: attention and prior
            (see :class:`~genegraph.nn.GeneGraphConv`), and :math:`X_0` and the graphs with
            weights :math:`n\,\mathrm{softmax}(\gamma_l)` over the :math:`n` parts, all 1 at
            first.
        gene_aware: Attention with parameters per gene.
        kappa: Take :math:`x` as counts, and shrink them over the graph before the logarithm with
            this many reads to begin with, see :class:`~genegraph.nn.GraphShrinkage`; None takes
            :math:`x` as features.  A sequence, which needs ``num_layers=0``, gives the heads
            several views of the cell.
        target_sum: With ``kappa``, see :class:`~genegraph.nn.GraphShrinkage`.
        num_heads: Heads whose mean logits count, see :class:`~genegraph.nn.Committee`.
        discriminant: Let a linear discriminant speak beside them, see there.
        head_features: How many of the fused features the head reads; None: all.  Which ones, and
            :math:`m` and :math:`s`, are set in ``head_input``, a
            :class:`~genegraph.nn.head_input.HeadInput`.
        conv_options: Further options of every :class:`~genegraph.nn.GeneGraphConv`, such as
            ``attention``, ``attention_function``, ``attention_channels``, ``init`` and
            ``backend``.

    Shapes:
        - ``x``: ``[num_cells, num_genes]`` or ``[num_cells, num_genes, in_channels]``
        - ``edge_index``, ``edge_weight``: see :class:`~genegraph.nn.GeneGraphConv`
        - ``depth``: ``[num_cells]``, with ``kappa``; None: the sum of each cell's counts
        - output: logits, ``[num_cells, num_classes]``; of :meth:`votes`, those of each head,
          ``[num_heads, num_cells, num_classes]``

    Example:
        >>> import torch
        >>> network = GeneGCN(num_genes=5, num_classes=3, hidden_channels=(8, 4))
        >>> edge_index = torch.tensor([[0, 1], [1, 0]])
        >>> network(torch.rand(2, 5), edge_index).shape
        torch.Size([2, 3])

    References:
        .. [1] Chen et al., "Simple and Deep Graph Convolutional Networks", ICML 2020.
           https://arxiv.org/abs/2007.02133
    """

    def __init__(
        self,
        num_genes: int,
        num_classes: int,
        *,
        in_channels: int = 1,
        hidden_channels: Sequence[int] = (256, 128),
        num_layers: int = 1,
        num_graphs: int = 1,
        residual: bool = True,
        norm: bool | None = None,
        fusion: str = "sum",
        gene_aware: bool = False,
        kappa: float | Sequence[float] | None = None,
        target_sum: float | Sequence[float] = TARGET_SUM,
        num_heads: int = 1,
        discriminant: bool = False,
        head_features: int | None = None,
        **conv_options: Any,
    ) -> None:
        super().__init__()
        if num_layers < 0 or num_graphs < 1:
            raise ValueError(
                "'num_layers' must be at least 0 and 'num_graphs' at least 1 "
                f"(got {num_layers} and {num_graphs})."
            )
        if kappa is not None and in_channels != 1:
            raise ValueError(
                f"'kappa' needs one count per gene, in_channels=1 (got {in_channels})."
            )
        num_views = len(kappa) if isinstance(kappa, Sequence) else None
        if num_views is not None and num_layers > 0:
            raise ValueError(
                f"'kappa' must be one number where there are graph layers (got {kappa!r} and "
                f"num_layers={num_layers})."
            )
        self.num_genes, self.in_channels, self.residual = num_genes, in_channels, residual
        self.norm = num_layers > 1 if norm is None else norm
        per_gene = gene_aware or conv_options.get("attention") == "shared"
        conv_options["num_genes"] = num_genes if per_gene else None
        self.layers = torch.nn.ModuleList(
            torch.nn.ModuleList(
                GeneGraphConv(in_channels, in_channels, fusion=fusion, **conv_options)
                for _ in range(num_graphs)
            )
            for _ in range(num_layers)
        )
        self.gate_logits: torch.nn.Parameter | None = None
        if fusion == "gate":
            self.gate_logits = torch.nn.Parameter(torch.zeros(num_layers, num_graphs + residual))
        self.shrinkage = None if kappa is None else GraphShrinkage(kappa, target_sum=target_sum)
        num_features = num_genes * in_channels if head_features is None else head_features
        self.head_input = HeadInput(num_features, num_views)
        self.head = Committee(
            num_features, num_classes, hidden_channels, num_heads, num_views or 1, discriminant
        )

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor | EdgeIndex | None = None,
        edge_weight: Tensor | None = None,
        depth: Tensor | None = None,
    ) -> Tensor:
        logits: Tensor = self.head(self.read(x, edge_index, edge_weight, depth))
        return logits

    def votes(
        self,
        x: Tensor,
        edge_index: Tensor | EdgeIndex | None = None,
        edge_weight: Tensor | None = None,
        depth: Tensor | None = None,
    ) -> Tensor:
        """Returns each head's logits, ``[num_heads, num_cells, num_classes]``."""
        return self.head.votes(self.read(x, edge_index, edge_weight, depth))

    def read(
        self,
        x: Tensor,
        edge_index: Tensor | EdgeIndex | None = None,
        edge_weight: Tensor | None = None,
        depth: Tensor | None = None,
    ) -> Tensor:
        """Returns what the heads read, ``[num_cells, head_features]``.

        Where there are several views, ``[num_views, num_cells, head_features]``.
        """
        if self.shrinkage is not None and len(self.layers) == 0:
            genes = self.head_input.columns  # spares those that nobody reads
            smoothed = self.shrinkage(x, edge_index, edge_weight, depth, genes)
        else:
            smoothed = self.smooth(x, edge_index, edge_weight, depth)
        read: Tensor = self.head_input(smoothed)
        return read

    def smooth(
        self,
        x: Tensor,
        edge_index: Tensor | EdgeIndex | None = None,
        edge_weight: Tensor | None = None,
        depth: Tensor | None = None,
    ) -> Tensor:
        """Returns the fused features, ``[num_cells, num_genes * in_channels]``.

        Where there are several views, ``[num_views, num_cells, num_genes]``.
        """
        fused = self.features_by_layer(x, edge_index, edge_weight, depth)[-1]
        has_views = self.shrinkage is not None and self.shrinkage.log_kappa.dim() > 0
        return fused.movedim(-1, 0) if has_views else fused.flatten(start_dim=1)

    def features_by_layer(
        self,
        x: Tensor,
        edge_index: Tensor | EdgeIndex | None = None,
        edge_weight: Tensor | None = None,
        depth: Tensor | None = None,
    ) -> list[Tensor]:
        """Returns X_0, X_1, ... X_L, each ``[num_cells, num_genes, in_channels]`` (or views)."""
        original = self.features(x, edge_index, edge_weight, depth)
        features = [original]
        for layer, graphs in enumerate(self.layers):
            assert isinstance(graphs, torch.nn.ModuleList)
            smoothed = [conv(features[-1], edge_index, edge_weight).relu() for conv in graphs]
            features.append(self._fuse(layer, original, smoothed))
        return features

    def features(
        self,
        x: Tensor,
        edge_index: Tensor | EdgeIndex | None = None,
        edge_weight: Tensor | None = None,
        depth: Tensor | None = None,
    ) -> Tensor:
        """Returns X_0, ``[num_cells, num_genes, in_channels]`` (or views)."""
        expected = (self.num_genes, self.in_channels)
        original = x.unsqueeze(-1) if x.dim() == 2 else x
        if tuple(original.shape[1:]) != expected:
            raise ValueError(
                f"'x' must have shape [num_cells, {self.num_genes}] or [num_cells, "
                f"{self.num_genes}, {self.in_channels}] (got {list(x.shape)})."
            )
        if self.shrinkage is None:
            return original
        shrunk: Tensor = self.shrinkage(original[..., 0], edge_index, edge_weight, depth)
        return shrunk.movedim(0, -1) if shrunk.dim() == 3 else shrunk.unsqueeze(-1)

    def _fuse(self, layer: int, original: Tensor, smoothed: list[Tensor]) -> Tensor:
        parts = [*smoothed, original] if self.residual else smoothed
        if self.gate_logits is not None:
            gates = self.gate_logits[layer].softmax(0) * len(parts)
            parts = [part * gate for part, gate in zip(parts, gates, strict=True)]
        total = sum(parts[1 : len(smoothed)], start=parts[0])
        if self.norm:
            limit, size = (
                torch.linalg.vector_norm(part, dim=(1, 2), keepdim=True)
                for part in (original, total)
            )
            total = total * (limit / size.clamp(min=torch.finfo(size.dtype).tiny)).clamp(max=1)
        return total + parts[-1] if self.residual else total

    def needed_edges(self, edge_index: EdgeIndex, edge_weight: Tensor) -> tuple[EdgeIndex, Tensor]:
        """Leaves out edges into genes that nobody reads: the logits stay the same.

        Args:
            edge_index: Sorted by target.
            edge_weight: ``[num_edges]``.
        """
        if self.shrinkage is None or len(self.layers) > 0:
            return edge_index, edge_weight
        edges = edge_index.as_tensor()
        read = torch.isin(edges[1], self.head_input.columns.to(edges.device))
        size = (self.num_genes, self.num_genes)
        kept = EdgeIndex(edges[:, read], sparse_size=size, sort_order="col")
        return kept.fill_cache_(), edge_weight[read]

    def refresh(self) -> None:
        """Looks for the genes' neighbours again in graphs that all cells share, once an epoch."""
        for module in self.modules():
            if isinstance(module, SharedGraph):
                module.refresh()

    def init_from(self, autoencoder: Autoencoder, *, freeze: bool = False) -> None:
        """Starts every head's hidden layers from a trained encoder of the same sizes.

        Args:
            autoencoder: The trained one.
            freeze: Leave these layers as they are when the network is trained.

        Raises:
            ValueError: If the sizes differ.
        """
        theirs = autoencoder.encoder.state_dict()
        for head in self.head.heads:
            assert isinstance(head, ResidualHead)
            ours = head.hidden.state_dict()
            shapes = [{k: tuple(v.shape) for k, v in part.items()} for part in (theirs, ours)]
            if shapes[0] != shapes[1]:
                raise ValueError(
                    f"The autoencoder must have the head's hidden layers {shapes[1]} (got "
                    f"{shapes[0]})."
                )
            head.hidden.load_state_dict(theirs)
            head.hidden.requires_grad_(not freeze)
