r"""The layer: attention over the genes of a cell, fused with a prior graph of the genes."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import softmax

from genegraph.nn.chebyshev import num_nodes
from genegraph.nn.edge_attention import fused_edge_attention, segment_edge_attention
from genegraph.nn.full_attention import (
    dense_attention,
    gene_aware_attention,
    materialized_attention,
    scalar_attention,
)
from genegraph.nn.propagation import check_backend, propagate

ATTENTION = ("full", "edges", None)
FUSION = ("sum", "gate")
INIT = ("absolute", "uniform")


class GeneGraphConv(MessagePassing):
    r"""Smooths the features of genes over a learned graph and a prior graph at once.

    For one cell with features :math:`X \in \mathbb{R}^{N \times d}`:

    .. math::
        G_{ij} = \mathrm{softmax}_j \frac{\theta(x_i)^\top \phi(x_j)}{\sqrt{d_k}} + A_{ij},
        \qquad \mathrm{out} = G X W

    where :math:`A_{ij}` is the weight of the prior's edge from j to i.  The learned graph is
    computed afresh for every cell; the prior is the same for all.  No activation is applied.

    With one feature per gene (``in_channels=1``) the full softmax costs time linear in the genes
    on the CPU (:mod:`genegraph.nn.tilted`); on other devices and with more features it is
    :func:`torch.nn.functional.scaled_dot_product_attention`: memory linear, time quadratic.

    Note that with one feature per gene :math:`\theta` and :math:`\phi` are shared by all genes:
    the attention part is then a monotone function of a gene's own value within its cell and does
    not know which gene it serves.  ``num_genes`` gives each gene a slope, an offset, a key and a
    weight of its own, at the same cost and starting from the same function:

    .. math::
        s_i = \alpha_i a x_i + c + \gamma_i, \quad y_j = \pi_j x_j, \quad
        G_{ij} = \mathrm{softmax}_j (s_i y_j + u_j), \quad
        a = W_\theta^\top W_\phi / \sqrt{d_k}, \quad c = b_\theta^\top W_\phi / \sqrt{d_k}

    Args:
        in_channels: Features per gene, :math:`d`.
        out_channels: Features per gene after :math:`W`.
        attention: ``"full"``, softmax over all genes of the cell; ``"edges"``, softmax over each
            gene's neighbours in the prior; None, the prior alone.
        attention_channels: :math:`d_k`.
        num_genes: Makes attention gene-aware, for exactly this many genes (``in_channels=1``).
        fusion: ``"sum"`` adds attention and prior; ``"gate"`` mixes them as
            :math:`g\,\mathrm{attention} + (1 - g)\,\mathrm{prior}` with one learned number
            :math:`g \in (0, 1)`, 0.5 at the start.
        tolerance: Largest error of the linear-time attention, relative to the range of the
            cell's values; honoured cell by cell.
        reference: Materialise the N x N matrix and gather-scatter along edges instead.
        init: How :math:`W` starts: ``"uniform"``, the write-up's
            :math:`U(-\sqrt{1/d}, \sqrt{1/d})`; ``"absolute"``, the absolute value of that draw.
            With one non-negative feature a negative W makes relu(G X W) zero with zero gradient
            for ever, in half of all seeds.
        backend: ``"torch"`` or ``"torch_sparse"`` (needs torch-sparse and torch-scatter), which
            computes the products along edges.

    Shapes:
        - ``x``: ``[num_cells, num_genes, in_channels]`` or ``[num_genes, in_channels]``; may be
          a permuted view of gene-major storage
        - ``edge_index``: ``[2, num_edges]``, row 0 source j, row 1 target i, or None; an
          ``EdgeIndex`` sorted by column takes the fused path, unless an explainer or a hook on
          messages is active
        - ``edge_weight``: ``[num_edges]``; None means ones
        - output: as ``x``, with ``out_channels``

    Raises:
        ValueError: For an unknown option, a wrong shape, or no graph where one is needed.

    Example:
        >>> import torch
        >>> from genegraph.nn import GeneGraphConv
        >>> conv = GeneGraphConv(1, 1, attention=None)
        >>> _ = torch.nn.init.ones_(conv.weight)
        >>> edge_index = torch.tensor([[0, 1], [1, 0]])
        >>> conv(torch.tensor([[3.0], [5.0], [7.0]]), edge_index).flatten().tolist()
        [5.0, 3.0, 0.0]
        >>> GeneGraphConv(1, 1)
        GeneGraphConv(1, 1, attention='full', fusion='sum')
    """

    SUPPORTS_FUSED_EDGE_INDEX = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        attention: str | None = "full",
        attention_channels: int = 16,
        num_genes: int | None = None,
        fusion: str = "sum",
        tolerance: float = 1e-6,
        reference: bool = False,
        init: str = "absolute",
        backend: str = "torch",
    ) -> None:
        super().__init__(aggr="add", node_dim=-2)
        for name, value, choices in (
            ("attention", attention, ATTENTION),
            ("fusion", fusion, FUSION),
            ("init", init, INIT),
        ):
            if value not in choices:
                raise ValueError(f"{name!r} must be one of {choices} (got {value!r}).")
        if num_genes is not None and in_channels != 1:
            raise ValueError(
                f"Gene-aware attention needs in_channels=1 (got {in_channels}); "
                "leave out 'num_genes' or use one feature per gene."
            )
        num_nodes(tolerance)  # refuses a tolerance outside (0, 1)
        check_backend(backend)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.attention, self.fusion, self.init = attention, fusion, init
        self.attention_channels, self.num_genes = attention_channels, num_genes
        self.tolerance, self.reference, self.backend = tolerance, reference, backend
        self.weight = torch.nn.Parameter(torch.empty(in_channels, out_channels))
        if attention is not None:
            self.theta = torch.nn.Linear(in_channels, attention_channels)
            self.phi = torch.nn.Linear(in_channels, attention_channels)
            if num_genes is not None:
                self.gene_slope = torch.nn.Parameter(torch.empty(num_genes))
                self.gene_offset = torch.nn.Parameter(torch.empty(num_genes))
                self.gene_key = torch.nn.Parameter(torch.empty(num_genes))
                self.gene_log_weight = torch.nn.Parameter(torch.empty(num_genes))
            if fusion == "gate":
                self.gate_logit = torch.nn.Parameter(torch.empty(()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = math.sqrt(1 / self.in_channels)
        torch.nn.init.uniform_(self.weight, -bound, bound)
        if self.init == "absolute":
            with torch.no_grad():
                self.weight.abs_()
        if self.attention is None:
            return
        self.theta.reset_parameters()
        self.phi.reset_parameters()
        if self.num_genes is not None:
            torch.nn.init.ones_(self.gene_slope)
            torch.nn.init.zeros_(self.gene_offset)
            torch.nn.init.ones_(self.gene_key)
            torch.nn.init.zeros_(self.gene_log_weight)
        if self.fusion == "gate":
            torch.nn.init.zeros_(self.gate_logit)

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor | EdgeIndex | None = None,
        edge_weight: Tensor | None = None,
    ) -> Tensor:
        self._check(x, edge_index, edge_weight)
        cells = x if x.dim() == 3 else x.unsqueeze(0)
        of_attention, of_prior = self._shares(edge_index)
        parts = []
        if self.attention == "full":
            parts.append(self._share(self._attend(cells), of_attention))
        if edge_index is not None:
            parts.append(self._along_edges(cells, edge_index, edge_weight, of_attention, of_prior))
        out = sum(parts[1:], start=parts[0])
        is_number = self.in_channels == self.out_channels == 1
        # Broadcasting a number is faster than a 1 x 1 product.
        out = out * self.weight if is_number else out @ self.weight
        return out if x.dim() == 3 else out.squeeze(0)

    def _shares(self, edge_index: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """What attention and prior are multiplied by; None stands for one."""
        if self.fusion == "sum" or self.attention is None or edge_index is None:
            return None, None
        gate = self.gate_logit.sigmoid()
        return gate, 1 - gate

    @staticmethod
    def _share(part: Tensor, share: Tensor | None) -> Tensor:
        return part if share is None else part * share

    def _query_key_bias(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Logits are query . key + bias of the key, less what cancels in the softmax."""
        scale = 1 / math.sqrt(self.attention_channels)
        if self.in_channels > 1:
            return self.theta(x) * scale, self.phi(x), None
        slope, offset = self._slope_offset()
        if self.num_genes is None:
            return slope * x + offset, x, None
        slope = slope * self.gene_slope[:, None]
        offset = offset + self.gene_offset[:, None]
        return slope * x + offset, self.gene_key[:, None] * x, self.gene_log_weight

    def _slope_offset(self) -> tuple[Tensor, Tensor]:
        key = self.phi.weight[:, 0] / math.sqrt(self.attention_channels)
        return self.theta.weight[:, 0] @ key, self.theta.bias @ key

    def _attend(self, x: Tensor) -> Tensor:
        if self.reference or self.in_channels > 1 or x.device.type != "cpu":
            attend = materialized_attention if self.reference else dense_attention
            query, key, bias = self._query_key_bias(x)
            return attend(query, key, x, bias)
        if self.num_genes is None:
            slope, offset = self._slope_offset()
            return scalar_attention(x[..., 0], slope, offset, x.new_zeros(()), self.tolerance)[
                ..., None
            ]
        query, key, bias = self._query_key_bias(x)
        assert bias is not None
        out = gene_aware_attention(
            query[..., 0], x[..., 0], key[..., 0], bias.expand_as(x[..., 0]), self.tolerance
        )
        return out[..., None]

    def _along_edges(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_weight: Tensor | None,
        of_attention: Tensor | None,
        of_prior: Tensor | None,
    ) -> Tensor:
        if edge_weight is None:
            edge_weight = x.new_ones(edge_index.size(1))
        query = key = bias = None
        if self.attention == "edges":
            query, key, bias = self._query_key_bias(x)
        if isinstance(edge_index, EdgeIndex) and (self.reference or self._is_watched()):
            edge_index = edge_index.as_tensor()
        out: Tensor = self.propagate(
            edge_index,
            size=(x.size(-2), x.size(-2)),
            x=x,
            query=query,
            key=key,
            bias=None if bias is None else bias.view(-1, 1),
            edge_weight=self._share(edge_weight, of_prior),
            of_attention=of_attention,
        )
        return out

    def _is_watched(self) -> bool:
        """Whether somebody wants to see single messages, which the fused path does not make."""
        hooks = (
            self._message_forward_pre_hooks,
            self._message_forward_hooks,
            self._aggregate_forward_pre_hooks,
            self._aggregate_forward_hooks,
        )
        return any(hooks)

    def message(
        self,
        x_j: Tensor,
        query_i: Tensor | None,
        key_j: Tensor | None,
        bias_j: Tensor | None,
        edge_weight: Tensor,
        of_attention: Tensor | None,
        index: Tensor,
        size_i: int | None,
    ) -> Tensor:
        weight = edge_weight.view(1, -1)
        if query_i is not None and key_j is not None:
            logits = (query_i * key_j).sum(-1)
            if bias_j is not None:
                logits = logits + bias_j.view(1, -1)
            alpha = softmax(logits, index, num_nodes=size_i, dim=1)
            weight = weight + self._share(alpha, of_attention)
        return weight.unsqueeze(-1) * x_j

    def message_and_aggregate(
        self,
        edge_index: EdgeIndex,
        x: Tensor,
        query: Tensor | None,
        key: Tensor | None,
        bias: Tensor | None,
        edge_weight: Tensor,
        of_attention: Tensor | None,
    ) -> Tensor:
        num_cells, num_genes, channels = x.shape
        folded = x.transpose(0, 1).reshape(num_genes, num_cells * channels)
        out = propagate(edge_index, edge_weight.to(x.dtype), folded, self.backend)
        out = out.view(num_genes, num_cells, channels).transpose(0, 1)
        if query is not None and key is not None:
            attended = self._attend_edges(edge_index, x, query, key, bias)
            out = out + self._share(attended, of_attention)
        return out

    def _attend_edges(
        self, edge_index: EdgeIndex, x: Tensor, query: Tensor, key: Tensor, bias: Tensor | None
    ) -> Tensor:
        (rowptr, col), _ = edge_index.get_csc()
        if self.in_channels == 1 and x.device.type == "cpu" and self.backend == "torch":
            u = (
                x.new_zeros(x.shape[:2])
                if bias is None
                else bias[:, 0].to(x.dtype).expand_as(x[..., 0])
            )
            parts = (query[..., 0], x[..., 0], key[..., 0], u)
            return fused_edge_attention(rowptr, col, *parts)[..., None]
        if bias is not None:
            query = torch.cat([query, torch.ones_like(query[..., :1])], dim=-1)
            key = torch.cat([key, bias.expand_as(key[..., :1])], dim=-1)
        query, key, value = (part.transpose(0, 1) for part in (query, key, x))
        accelerate = self.backend == "torch_sparse"
        out = segment_edge_attention(rowptr, col, query, key, value, accelerate)
        return out.transpose(0, 1)

    def _check(self, x: Tensor, edge_index: Tensor | None, edge_weight: Tensor | None) -> None:
        if x.dim() not in (2, 3) or x.size(-1) != self.in_channels:
            raise ValueError(
                f"'x' must have shape [num_cells, num_genes, {self.in_channels}] or "
                f"[num_genes, {self.in_channels}] (got {list(x.shape)})."
            )
        if self.num_genes is not None and x.size(-2) != self.num_genes:
            raise ValueError(
                f"'x' must hold the {self.num_genes} genes the layer was made for "
                f"(got {x.size(-2)})."
            )
        if edge_index is None:
            if self.attention != "full":
                raise ValueError(
                    f"attention={self.attention!r} needs a graph: pass 'edge_index' (got None)."
                )
            return
        if edge_index.dim() != 2 or edge_index.size(0) != 2:
            raise ValueError(
                f"'edge_index' must have shape [2, num_edges] (got {list(edge_index.shape)})."
            )
        # The fused kernels read as many rows as the EdgeIndex says, checked here and not there.
        num_genes = x.size(-2)
        if isinstance(edge_index, EdgeIndex) and edge_index.sparse_size() != (num_genes, num_genes):
            raise ValueError(
                f"An EdgeIndex must have sparse_size=({num_genes}, {num_genes}), the number of "
                f"genes in 'x' (got {tuple(edge_index.sparse_size())})."
            )
        if edge_weight is not None and edge_weight.shape != edge_index.shape[1:]:
            raise ValueError(
                f"'edge_weight' must hold one value per edge (got {list(edge_weight.shape)} for "
                f"{edge_index.size(1)} edges)."
            )

    def __repr__(self) -> str:
        aware = "" if self.num_genes is None else f", num_genes={self.num_genes}"
        return (
            f"{self.__class__.__name__}({self.in_channels}, {self.out_channels}, "
            f"attention={self.attention!r}, fusion={self.fusion!r}{aware})"
        )
