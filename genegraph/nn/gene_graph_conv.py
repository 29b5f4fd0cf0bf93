r"""The layer: attention over the genes of a cell, fused with a prior graph of the genes."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.nn import MessagePassing
from torch_geometric.nn.inits import glorot
from torch_geometric.utils import softmax

from genegraph.nn.attention_functions import NEGATIVE_SLOPE, query_key_bias, scalar_coefficients
from genegraph.nn.chebyshev import num_nodes
from genegraph.nn.checks import check_attention, check_choices, check_input
from genegraph.nn.cuda import takes_kernels
from genegraph.nn.edge_attention import (
    additive_edge_attention,
    fused_edge_attention,
    segment_edge_attention,
)
from genegraph.nn.full_attention import (
    dense_attention,
    gene_aware_attention,
    materialized_attention,
    scalar_attention,
    tilted_or_dense_attention,
)
from genegraph.nn.precision import widened
from genegraph.nn.propagation import check_backend, propagate_cells
from genegraph.nn.shared_graph import SharedGraph


class GeneGraphConv(MessagePassing):
    r"""Smooths the features of genes over a learned graph and a prior graph at once.

    For one cell with features :math:`X \in \mathbb{R}^{N \times d}`:

    .. math::
        G_{ij} = \mathrm{softmax}_j f(x_i, x_j) + A_{ij}, \qquad \mathrm{out} = G X W

    where :math:`A_{ij}` is the weight of the prior's edge from j to i.  The learned graph is
    computed afresh for every cell; the prior is the same for all.  No activation is applied.
    With :math:`\theta, \phi` affine maps to :math:`\mathbb{R}^{d_k}`, ``attention_function`` is

    .. math::
        \text{embedded\_dot:} \quad & f(x_i, x_j) = \theta(x_i)^\top \phi(x_j) / \sqrt{d_k} \\
        \text{dot:} \quad & f(x_i, x_j) = x_i^\top x_j \\
        \text{gaussian:} \quad & f(x_i, x_j) = -|\theta(x_i) - \phi(x_j)|^2 / 2 \\
        \text{additive:} \quad & f(x_i, x_j) =
            \mathrm{att}^\top \mathrm{leaky\_relu}(\theta(x_i) + \phi(x_j))

    (slope 0.2, as in GATv2).  With one feature per gene the first three are, up to what cancels,
    :math:`(a x_i + c)\, x_j - k x_j^2` with the coefficients of
    :func:`~genegraph.nn.attention_functions.scalar_coefficients`, and the full softmax costs
    time linear in the genes (:mod:`genegraph.nn.tilted`).  With more features, and on devices
    that are neither CPU nor CUDA for cells with steep slopes, it is
    :func:`torch.nn.functional.scaled_dot_product_attention`: memory linear, time quadratic.

    Note that with one feature per gene :math:`\theta` and :math:`\phi` are shared by all genes:
    full attention is then a monotone function of a gene's own value within its cell and does not
    know which gene it serves.  ``num_genes`` gives each gene a slope, an offset, a key and a
    weight of its own, at a cost still linear and starting from the same function:

    .. math::
        s_i = \alpha_i a x_i + c + \gamma_i, \quad y_j = \pi_j x_j, \quad
        G_{ij} = \mathrm{softmax}_j (s_i y_j + u_j - k y_j^2)

    Args:
        in_channels: Features per gene, :math:`d`.
        out_channels: Features per gene after :math:`W`.
        attention: ``"full"``, softmax over all genes of the cell; ``"edges"``, softmax over each
            gene's neighbours in the prior; ``"shared"``, one graph for all cells from embeddings
            of the genes (:class:`~genegraph.nn.shared_graph.SharedGraph`, here the attribute
            ``shared_graph``; call its ``refresh`` once per epoch); None, the prior alone.
        attention_function: :math:`f`; ``"additive"`` is for ``"edges"`` alone, it has no
            linear-time form.
        attention_channels: :math:`d_k`.
        num_genes: Makes attention gene-aware, for exactly this many genes (``in_channels=1``,
            not ``"additive"``); with ``"shared"``, the number of embeddings and nothing else.
        num_neighbors: Neighbours of each gene with ``"shared"``.
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
        backend: What computes along edges: ``"auto"``, kernels for CPU and CUDA, torch elsewhere;
            ``"torch"``, torch everywhere; ``"torch_sparse"``, which needs torch-sparse and
            torch-scatter.

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
        attention_function: str = "embedded_dot",
        attention_channels: int = 16,
        num_genes: int | None = None,
        num_neighbors: int = 16,
        fusion: str = "sum",
        tolerance: float = 1e-6,
        reference: bool = False,
        init: str = "absolute",
        backend: str = "auto",
    ) -> None:
        super().__init__(aggr="add", node_dim=-2)
        check_choices(attention, attention_function, fusion, init)
        check_attention(attention, attention_function, in_channels, num_genes)
        num_nodes(tolerance)  # refuses a tolerance outside (0, 1)
        check_backend(backend)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.attention, self.attention_function = attention, attention_function
        self.fusion, self.init = fusion, init
        self.attention_channels, self.num_genes = attention_channels, num_genes
        self.tolerance, self.reference, self.backend = tolerance, reference, backend
        self.gene_aware = attention in ("full", "edges") and num_genes is not None
        self.weight = torch.nn.Parameter(torch.empty(in_channels, out_channels))
        self.theta: torch.nn.Linear | None = None
        self.phi: torch.nn.Linear | None = None
        self.att: torch.nn.Parameter | None = None
        if attention in ("full", "edges") and attention_function != "dot":
            self.theta = torch.nn.Linear(in_channels, attention_channels)
            self.phi = torch.nn.Linear(in_channels, attention_channels)
            # The bias of a product's keys cancels in the softmax: there is nothing to learn.
            self.phi.bias.requires_grad_(attention_function != "embedded_dot")
            if attention_function == "additive":
                self.att = torch.nn.Parameter(torch.empty(attention_channels))
        if self.gene_aware:
            assert num_genes is not None
            self.gene_slope = torch.nn.Parameter(torch.empty(num_genes))
            self.gene_offset = torch.nn.Parameter(torch.empty(num_genes))
            self.gene_key = torch.nn.Parameter(torch.empty(num_genes))
            self.gene_log_weight = torch.nn.Parameter(torch.empty(num_genes))
        if attention is not None and fusion == "gate":
            self.gate_logit = torch.nn.Parameter(torch.empty(()))
        self.shared_graph: SharedGraph | None = None
        self.reset_parameters()
        if attention == "shared":  # comes with its parameters set: seeking neighbours takes time
            assert num_genes is not None
            self.shared_graph = SharedGraph(
                num_genes,
                attention_channels,
                num_neighbors=num_neighbors,
                attention_function=attention_function,
                backend=backend,
            )

    def reset_parameters(self) -> None:
        bound = math.sqrt(1 / self.in_channels)
        torch.nn.init.uniform_(self.weight, -bound, bound)
        if self.init == "absolute":
            with torch.no_grad():
                self.weight.abs_()
        for part in (self.theta, self.phi, self.shared_graph):
            if part is not None:
                part.reset_parameters()
        if self.att is not None:
            glorot(self.att[None])
        if self.gene_aware:
            torch.nn.init.ones_(self.gene_slope)
            torch.nn.init.zeros_(self.gene_offset)
            torch.nn.init.ones_(self.gene_key)
            torch.nn.init.zeros_(self.gene_log_weight)
        if self.attention is not None and self.fusion == "gate":
            torch.nn.init.zeros_(self.gate_logit)

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor | EdgeIndex | None = None,
        edge_weight: Tensor | None = None,
    ) -> Tensor:
        made_for = (self.in_channels, self.num_genes, self.attention)
        check_input(x, edge_index, edge_weight, *made_for)
        cells = x if x.dim() == 3 else x.unsqueeze(0)
        of_attention, of_prior = self._shares(edge_index)
        parts = []
        if self.attention in ("full", "shared"):
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
        if self.attention_function == "additive":  # no product: made pair by pair in _logits
            return x, x, None
        if self.in_channels > 1:
            return query_key_bias(self.attention_function, x, self.theta, self.phi)
        slope, offset, scale, log_weight, curvature = self._scalar_logits(x)
        key = scale[..., None] * x if self.gene_aware else x
        bias: Tensor | None = log_weight if self.gene_aware else None
        if self.attention_function == "gaussian":
            bias = log_weight - curvature * key[..., 0].square()
        return slope[..., None] * x + offset[..., None], key, bias

    def _scalar_logits(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Coefficients a, c, p, u, k of logits (a_i x_i + c_i) y_j + u_j - k y_j^2, y = p x."""
        slope, offset, curvature = self._coefficients(x)
        if not self.gene_aware:
            return slope, offset, x.new_ones(()), x.new_zeros(()), curvature
        slope, offset = slope * self.gene_slope, offset + self.gene_offset
        return slope, offset, self.gene_key, self.gene_log_weight, curvature

    def _coefficients(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return scalar_coefficients(self.attention_function, x, self.theta, self.phi)

    def _attend(self, x: Tensor) -> Tensor:
        if self.shared_graph is not None:
            shared: Tensor = self.shared_graph(x, self.reference)
            return shared
        # Linear time takes float64, which MPS has not.
        if self.reference or self.in_channels > 1 or x.device.type == "mps":
            attend = materialized_attention if self.reference else dense_attention
            query, key, bias = self._query_key_bias(x)
            return attend(query, key, x, bias)
        values, on_cpu = widened(x[..., 0]), x.device.type == "cpu"
        out: Tensor
        if not self.gene_aware and (on_cpu or takes_kernels(values)):
            out = scalar_attention(values, *self._coefficients(x), self.tolerance)
            return out[..., None].to(x.dtype)
        query, key, bias = self._query_key_bias(x)
        bias = values.new_zeros(()) if bias is None else widened(bias)
        slopes, keys = widened(query[..., 0]), widened(key[..., 0])
        tilted = gene_aware_attention if on_cpu else tilted_or_dense_attention
        out = tilted(slopes, values, keys, bias.expand_as(values), self.tolerance)
        return out[..., None].to(x.dtype)

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
        if not self._is_fused(edge_index):
            if isinstance(edge_index, EdgeIndex):
                edge_index = edge_index.as_tensor()
            if self.attention == "edges":
                query, key, bias = self._query_key_bias(x)
                bias = None if bias is None else bias.expand(x.shape[:2])[..., None]
        out: Tensor = self.propagate(
            edge_index,
            size=(x.size(-2), x.size(-2)),
            x=x,
            query=query,
            key=key,
            bias=bias,
            edge_weight=self._share(edge_weight, of_prior),
            of_attention=of_attention,
        )
        return out

    def _is_fused(self, edge_index: Tensor) -> bool:
        """Whether no single messages are made: nobody wants to see them, and edges are sorted."""
        watched = (
            self.explain,
            self._message_forward_pre_hooks,
            self._message_forward_hooks,
            self._aggregate_forward_pre_hooks,
            self._aggregate_forward_hooks,
        )
        if self.reference or not self.fuse or any(watched):
            return False
        return isinstance(edge_index, EdgeIndex) and edge_index.is_sorted_by_col

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
            logits = self._logits(query_i, key_j, bias_j)
            alpha = softmax(logits, index, num_nodes=size_i, dim=1)
            weight = weight + self._share(alpha, of_attention)
        return weight.unsqueeze(-1) * x_j

    def message_and_aggregate(
        self, edge_index: EdgeIndex, x: Tensor, edge_weight: Tensor, of_attention: Tensor | None
    ) -> Tensor:
        out = propagate_cells(edge_index, edge_weight, x, self.backend)
        if self.attention == "edges":
            out = out + self._share(self._attend_edges(edge_index, x), of_attention)
        return out

    def _logits(self, query: Tensor, key: Tensor, bias: Tensor | None) -> Tensor:
        """Logits of pairs of genes, ``[pairs, cells]`` or ``[cells, pairs]``."""
        if self.theta is not None and self.phi is not None and self.att is not None:
            return F.leaky_relu(self.theta(query) + self.phi(key), NEGATIVE_SLOPE) @ self.att
        logits = (query * key).sum(-1)
        return logits if bias is None else logits + bias.squeeze(-1)

    def _attend_edges(self, edge_index: EdgeIndex, x: Tensor) -> Tensor:
        (rowptr, col), _ = edge_index.get_csc()
        out: Tensor
        if self.in_channels == 1 and self.backend == "auto":
            values, on_cpu = widened(x[..., 0]), x.device.type == "cpu"
            if self.theta is not None and self.phi is not None and self.att is not None:
                if on_cpu:
                    linear = (self.theta, self.phi, self.att)
                    out = additive_edge_attention(rowptr, col, values, *linear)
                    return out[..., None].to(x.dtype)
            elif on_cpu or takes_kernels(x):
                out = fused_edge_attention(edge_index, values, *self._scalar_logits(x))
                return out[..., None].to(x.dtype)
        row = torch.repeat_interleave(rowptr.diff())
        query, key, bias = self._query_key_bias(x)
        if bias is not None:
            bias = bias.expand(x.shape[:2])[..., None].transpose(0, 1)[col]
        query, key, value = (part.transpose(0, 1) for part in (query, key, x))
        logits = widened(self._logits(query[row], key[col], bias))
        accelerate = self.backend == "torch_sparse"
        out = segment_edge_attention(rowptr, row, logits, widened(value[col]), accelerate)
        return out.transpose(0, 1).to(x.dtype)

    def __repr__(self) -> str:
        function = ""
        if self.attention is not None and self.attention_function != "embedded_dot":
            function = f", attention_function={self.attention_function!r}"
        aware = "" if self.num_genes is None else f", num_genes={self.num_genes}"
        return (
            f"{self.__class__.__name__}({self.in_channels}, {self.out_channels}, "
            f"attention={self.attention!r}{function}, fusion={self.fusion!r}{aware})"
        )
