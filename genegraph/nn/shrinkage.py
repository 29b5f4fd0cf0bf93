r"""Counts of reads to log rates, with the graph as what is believed before the reads are seen."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.nn import MessagePassing

from genegraph.nn.checks import check_input
from genegraph.nn.propagation import check_backend, propagate_cells

TARGET_SUM = 1e3
"""Reads per cell in whose unit the logarithm is taken.  The field's 10,000 makes every count of a
shallow cell look alike: at 80 reads one read is log1p(125), two are log1p(250)."""


class GraphShrinkage(MessagePassing):
    r"""Estimates each gene's rate from its own reads and its neighbours', and takes the logarithm.

    A gene's count in a cell of :math:`T` reads is taken as Poisson with mean
    :math:`T\lambda_i`.  The graph says that :math:`\lambda_i` resembles what is seen at the
    gene's neighbours; as a Gamma prior of mean :math:`(A r)_i`, :math:`r = c / T`, and strength
    :math:`\kappa`, counted in reads, this gives the posterior mean

    .. math::
        \lambda_i = \frac{c_i + \kappa (A r)_i}{T + \kappa}, \qquad
        x_i = \log(1 + 10^3 \lambda_i)

    So a shallow cell leans on the graph and a deep one hardly notices it.  A gene without
    neighbours has :math:`\kappa = 0`, and so has every gene where there is no graph.  With a
    row-normalised :math:`A` the prior's mean is the neighbours' mean; with the symmetric form
    the hubs count for less.

    Args:
        kappa: Where :math:`\kappa` starts, in reads; it is learned as ``log_kappa``.
        target_sum: What takes the place of the :math:`10^3`.
        backend: ``"torch"`` or ``"torch_sparse"``, see :class:`~genegraph.nn.GeneGraphConv`.

    Shapes:
        - ``counts``: ``[num_cells, num_genes]``
        - ``edge_index``: ``[2, num_edges]``, from source to target; None for no graph
        - ``edge_weight``: ``[num_edges]``; None for ones
        - ``depth``: ``[num_cells]``, reads of each cell; None: the sum of its counts.  To be
          given where the cell has reads in genes that are not here.
        - ``genes``: ``[num_wanted]``, positions of the genes wanted; None: all
        - output: ``[num_cells, num_genes]`` or ``[num_cells, num_wanted]``

    Raises:
        ValueError: If shapes do not fit together, or ``kappa`` or ``target_sum`` is not above 0.

    Example:
        >>> import torch
        >>> counts = torch.tensor([[8.0, 0.0, 2.0]])
        >>> edge_index = torch.tensor([[0, 1], [1, 0]])
        >>> GraphShrinkage(kappa=10.0, target_sum=100.0)(counts, edge_index).expm1().round()
        tensor([[40., 40., 20.]], grad_fn=<RoundBackward0>)
    """

    SUPPORTS_FUSED_EDGE_INDEX = True

    def __init__(
        self, kappa: float = 100.0, *, target_sum: float = TARGET_SUM, backend: str = "torch"
    ) -> None:
        check_backend(backend)
        for name, value in (("kappa", kappa), ("target_sum", target_sum)):
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name!r} must be a number above 0 (got {value!r}).")
        super().__init__(aggr="add", node_dim=-2)
        self.initial_kappa, self.target_sum, self.backend = float(kappa), target_sum, backend
        self.log_kappa = torch.nn.Parameter(torch.empty(()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        torch.nn.init.constant_(self.log_kappa, math.log(self.initial_kappa))

    @property
    def kappa(self) -> float:
        """Strength of the prior, in reads."""
        return float(self.log_kappa.detach().exp())

    def forward(
        self,
        counts: Tensor,
        edge_index: Tensor | EdgeIndex | None = None,
        edge_weight: Tensor | None = None,
        depth: Tensor | None = None,
        genes: Tensor | None = None,
    ) -> Tensor:
        if counts.dim() != 2:
            raise ValueError(
                f"'counts' must have shape [num_cells, num_genes] (got {list(counts.shape)})."
            )
        reads = counts.sum(1) if depth is None else depth.to(counts.dtype)
        if reads.shape != counts.shape[:1]:
            raise ValueError(
                f"'depth' must hold one number per cell (got {list(reads.shape)} for "
                f"{len(counts)} cells)."
            )
        reads = reads.clamp(min=1)[:, None]  # an empty cell stays zero
        if edge_index is None:
            return torch.log1p(_of(genes, counts) * (self.target_sum / reads))
        rate = (counts / reads).unsqueeze(-1)
        check_input(rate, edge_index, edge_weight, 1, None, None)
        if edge_weight is None:
            edge_weight = rate.new_ones(edge_index.size(1))
        size = (counts.size(1), counts.size(1))
        prior = self.propagate(edge_index, size=size, x=rate, edge_weight=edge_weight)[..., 0]
        counts, prior = _of(genes, counts), _of(genes, prior)
        kappa = self.log_kappa.exp() * _of(genes, _has_neighbours(edge_index, rate)[None])
        return torch.log1p(self.target_sum * (counts + kappa * prior) / (reads + kappa))

    def message(self, x_j: Tensor, edge_weight: Tensor) -> Tensor:
        return edge_weight.view(1, -1, 1) * x_j

    def message_and_aggregate(
        self, edge_index: EdgeIndex, x: Tensor, edge_weight: Tensor
    ) -> Tensor:
        return propagate_cells(edge_index, edge_weight, x, self.backend)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(kappa={self.kappa:.4g}, target_sum={self.target_sum:g})"


def _of(genes: Tensor | None, x: Tensor) -> Tensor:
    return x if genes is None else x[:, genes]


def _has_neighbours(edge_index: Tensor, rate: Tensor) -> Tensor:
    """One for each gene that an edge points to, else zero."""
    if isinstance(edge_index, EdgeIndex):
        (rowptr, _), _ = edge_index.get_csc()
        starts: Tensor = rowptr
        return (starts.diff() > 0).to(rate.dtype)
    mask = rate.new_zeros(rate.size(1))
    mask[edge_index[1]] = 1
    return mask
