r"""One attention graph for all cells, from learned embeddings of the genes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric import EdgeIndex

from genegraph.nn.attention_functions import query_key_bias
from genegraph.nn.propagation import propagate_cells

ROWS_PER_BLOCK = 512
"""Genes whose neighbours are looked for at once: 40 MiB of logits at 20,000 genes."""


class SharedGraph(torch.nn.Module):
    r"""Passes features along each gene's nearest genes by learned embedding, the same in all cells.

    .. math::
        G_{ij} = \mathrm{softmax}_{j \in \mathcal{N}(i)} f(e_i, e_j), \qquad
        \mathrm{out} = G X

    where :math:`e_i \in \mathbb{R}^{d_k}` is learned for each gene, :math:`f` is the attention
    function (see :class:`~genegraph.nn.GeneGraphConv`) with
    :math:`\theta, \phi: \mathbb{R}^{d_k} \to \mathbb{R}^{d_k}`, and :math:`\mathcal{N}(i)` are the
    ``num_neighbors`` other genes of largest :math:`f(e_i, e_j)`.  The weights follow the embeddings
    at every step; which genes are neighbours is decided at the start and by :meth:`refresh`.

    Args:
        num_genes: Number of embeddings.
        channels: :math:`d_k`.
        num_neighbors: Neighbours of each gene.
        attention_function: ``"embedded_dot"``, ``"dot"`` or ``"gaussian"``.
        backend: See :class:`~genegraph.nn.GeneGraphConv`.

    Shapes:
        - ``x``: ``[num_cells, num_genes, channels]``, any number of channels
        - ``reference``: whether to materialise the N x N matrix instead
        - output: as ``x``

    Raises:
        ValueError: If ``num_neighbors`` is not between 1 and ``num_genes - 1``.

    Example:
        >>> import torch
        >>> graph = SharedGraph(5, 2, num_neighbors=1, attention_function="dot")
        >>> with torch.no_grad():
        ...     _ = graph.embedding.copy_(torch.tensor([[1.0, 0], [3, 0], [2, 1], [0, 2], [0, 3]]))
        >>> graph.refresh()
        >>> graph.neighbors.flatten().tolist()
        [1, 2, 1, 4, 3]
        >>> graph(torch.tensor([[[1.0], [2.0], [3.0], [4.0], [5.0]]])).flatten().tolist()
        [2.0, 3.0, 2.0, 5.0, 4.0]
    """

    neighbors: Tensor

    def __init__(
        self,
        num_genes: int,
        channels: int,
        *,
        num_neighbors: int = 16,
        attention_function: str = "embedded_dot",
        backend: str = "auto",
    ) -> None:
        super().__init__()
        if not 0 < num_neighbors < num_genes:
            raise ValueError(
                f"'num_neighbors' must lie between 1 and {num_genes - 1}, the number of other "
                f"genes (got {num_neighbors})."
            )
        self.attention_function, self.backend = attention_function, backend
        self.embedding = torch.nn.Parameter(torch.empty(num_genes, channels))
        self.theta: torch.nn.Linear | None = None
        self.phi: torch.nn.Linear | None = None
        if attention_function != "dot":
            self.theta = torch.nn.Linear(channels, channels)
            self.phi = torch.nn.Linear(channels, channels)
        self.register_buffer("neighbors", torch.empty(num_genes, num_neighbors, dtype=torch.long))
        self._cached: EdgeIndex | None = None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        torch.nn.init.normal_(self.embedding)
        if self.theta is not None and self.phi is not None:
            self.theta.reset_parameters()
            self.phi.reset_parameters()
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """Looks for each gene's neighbours again; a trainer does so once per epoch."""
        query, key, bias = self._query_key_bias()
        num_genes, num_neighbors = self.neighbors.shape
        for first in range(0, num_genes, ROWS_PER_BLOCK):
            logits = query[first : first + ROWS_PER_BLOCK] @ key.T
            if bias is not None:
                logits += bias
            rows = torch.arange(len(logits), device=logits.device)
            logits[rows, first + rows] = -torch.inf
            nearest = logits.topk(num_neighbors, sorted=False).indices
            self.neighbors[first : first + len(rows)] = nearest.sort(dim=1).values

    def forward(self, x: Tensor, reference: bool = False) -> Tensor:
        if reference:
            return self._materialized(x)
        return propagate_cells(self.edge_index(), self.weights().flatten(), x, self.backend)

    def weights(self) -> Tensor:
        """Returns the weight of each neighbour, ``[num_genes, num_neighbors]``; rows sum to 1."""
        query, key, bias = self._query_key_bias()
        logits = (query.unsqueeze(1) * key[self.neighbors]).sum(-1)
        if bias is not None:
            logits = logits + bias[self.neighbors]
        return logits.softmax(dim=-1)

    def edge_index(self) -> EdgeIndex:
        """Returns the graph, row 0 the neighbours, row 1 the genes that hear them."""
        # Compared by content: loading, moving and copying a module all go their own ways.
        if self._cached is not None and self._cached.device == self.neighbors.device:
            known = self._cached.as_tensor()[0].view_as(self.neighbors)
            if torch.equal(known, self.neighbors):
                return self._cached
        num_genes, num_neighbors = self.neighbors.shape
        target = torch.arange(num_genes, device=self.neighbors.device)
        edges = torch.stack([self.neighbors.flatten(), target.repeat_interleave(num_neighbors)])
        edge_index = EdgeIndex(edges, sparse_size=(num_genes, num_genes), sort_order="col")
        self._cached = edge_index.validate().fill_cache_()
        return self._cached

    def _materialized(self, x: Tensor) -> Tensor:
        query, key, bias = self._query_key_bias()
        logits = query @ key.T
        if bias is not None:
            logits = logits + bias
        others = torch.ones_like(logits, dtype=torch.bool).scatter_(1, self.neighbors, False)
        return logits.masked_fill(others, -torch.inf).softmax(dim=-1) @ x

    def _query_key_bias(self) -> tuple[Tensor, Tensor, Tensor | None]:
        return query_key_bias(self.attention_function, self.embedding, self.theta, self.phi)
