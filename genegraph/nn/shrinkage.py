r"""Counts of reads to log rates, with the graph as what is believed before the reads are seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
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

    How much to lean on the graph, and from which rate on the logarithm bites, can be answered in
    several ways at once: the neighbours are asked only once, and each answer is a view of the
    cell.

    Args:
        kappa: Where :math:`\kappa` starts, in reads; it is learned as ``log_kappa``.  A sequence
            gives one view for each.
        target_sum: What takes the place of the :math:`10^3`; a number for all views, or one for
            each.
        backend: ``"auto"``, ``"torch"`` or ``"torch_sparse"``, see
            :class:`~genegraph.nn.GeneGraphConv`.

    Shapes:
        - ``counts``: ``[num_cells, num_genes]``
        - ``edge_index``: ``[2, num_edges]``, from source to target; None for no graph
        - ``edge_weight``: ``[num_edges]``; None for ones
        - ``depth``: ``[num_cells]``, reads of each cell; None: the sum of its counts.  To be
          given where the cell has reads in genes that are not here.
        - ``genes``: ``[num_wanted]``, positions of the genes wanted; None: all
        - output: ``[num_cells, num_genes]`` or ``[num_cells, num_wanted]``; with a sequence of
          ``kappa``, ``[num_views, num_cells, num_genes]``

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

    target_sum: Tensor

    def __init__(
        self,
        kappa: float | Sequence[float] = 100.0,
        *,
        target_sum: float | Sequence[float] = TARGET_SUM,
        backend: str = "auto",
    ) -> None:
        check_backend(backend)
        # On the CPU wherever modules are being made: on "meta" there are no values to check.
        starts = torch.tensor(kappa, dtype=torch.float64, device="cpu")
        sums = torch.tensor(target_sum, dtype=torch.float64, device="cpu")
        for name, value in (("kappa", starts), ("target_sum", sums)):
            if not ((value > 0) & value.isfinite()).all():
                raise ValueError(f"{name!r} must be a number above 0 (got {value.tolist()!r}).")
        if sums.dim() and sums.shape != starts.shape:
            raise ValueError(
                "'target_sum' must be one number, or one for each 'kappa' (got "
                f"{list(sums.shape)} for {list(starts.shape)})."
            )
        super().__init__(aggr="add", node_dim=-2)
        self.initial_kappa, self.backend = starts, backend
        self.log_kappa = torch.nn.Parameter(torch.empty(starts.shape))
        per_view = sums.expand(starts.shape).float().to(self.log_kappa.device)
        self.register_buffer("target_sum", per_view, persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        with torch.no_grad():
            self.log_kappa.copy_(self.initial_kappa.log())

    @property
    def kappa(self) -> float | list[float]:
        """Strength of the prior, in reads."""
        strength: float | list[float] = self.log_kappa.detach().exp().tolist()
        return strength

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
            sums = self.target_sum.reshape(*self.target_sum.shape, 1, 1)
            return torch.log1p(_of(genes, counts) / reads * sums)
        rate = (counts / reads).unsqueeze(-1)
        check_input(rate, edge_index, edge_weight, 1, None, None)
        if edge_weight is None:
            edge_weight = rate.new_ones(edge_index.size(1))
        size = (counts.size(1), counts.size(1))
        prior = self.propagate(edge_index, size=size, x=rate, edge_weight=edge_weight)[..., 0]
        # Genes stand outermost in the product: there choosing some is cheap, and done first.
        prior = _of(genes, prior.T, 0).T.contiguous()
        counts = _of(genes, counts)
        joined = _of(genes, _has_neighbours(edge_index, rate)[None])
        kappa, sums = self.log_kappa.exp().reshape(-1), self.target_sum.reshape(-1)
        views: Tensor = _LogRates.apply(counts, prior, reads, joined, kappa, sums)  # type: ignore[no-untyped-call]
        return views if self.log_kappa.dim() else views[0]

    def message(self, x_j: Tensor, edge_weight: Tensor) -> Tensor:
        return edge_weight.view(1, -1, 1) * x_j

    def message_and_aggregate(
        self, edge_index: EdgeIndex, x: Tensor, edge_weight: Tensor
    ) -> Tensor:
        return propagate_cells(edge_index, edge_weight, x, self.backend)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(kappa={self.kappa}, target_sum={self.target_sum.tolist()})"
        )


class _LogRates(torch.autograd.Function):
    r"""log(1 + target_sum * rate) of every view, with a gradient in closed form.

    With counts c, prior p, reads T, target sum u and strength s (kappa, 0 where a gene has no
    neighbours), and :math:`t = c + sp + (T + s)/u`:

    .. math::
        \frac{\partial}{\partial c} = \frac{1}{t}, \quad
        \frac{\partial}{\partial p} = \frac{s}{t}, \quad
        \frac{\partial}{\partial T} = -\frac{c + sp}{(T + s)\,t}, \quad
        \frac{\partial}{\partial s} = \frac{pT - c}{(T + s)\,t}

    Left to autograd it would keep a dozen tensors of the size of the batch for each view.
    """

    @staticmethod
    def forward(
        ctx: Any,
        counts: Tensor,
        prior: Tensor,
        reads: Tensor,
        joined: Tensor,
        kappa: Tensor,
        target_sum: Tensor,
    ) -> Tensor:
        out = counts.new_empty(len(kappa), *counts.shape)
        for view, strength, unit in zip(out, kappa, target_sum, strict=True):
            strengths = strength * joined
            torch.addcmul(counts, prior, strengths, out=view)
            view.div_(reads / unit + strengths / unit).log1p_()
        ctx.save_for_backward(counts, prior, reads, joined, kappa, target_sum)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        counts, prior, reads, joined, kappa, target_sum = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        into_counts = torch.zeros_like(counts) if wanted[0] else None
        into_prior = torch.zeros_like(prior) if wanted[1] else None
        into_reads = torch.zeros_like(reads) if wanted[2] else None
        into_kappa = torch.zeros_like(kappa) if wanted[4] else None
        surplus = torch.addcmul(counts, prior, reads, value=-1) if wanted[4] else None
        for v, (strength, unit) in enumerate(zip(kappa, target_sum, strict=True)):
            strengths = strength * joined
            each = torch.addcmul(counts, prior, strengths)
            shrunk = each.clone() if into_reads is not None else None
            each.add_(reads / unit).add_(strengths / unit)  # t
            torch.div(grad[v], each, out=each)
            if into_counts is not None:
                into_counts += each
            if into_prior is not None:
                into_prior += each * strengths
            if into_reads is not None:
                assert shrunk is not None
                into_reads -= shrunk.mul_(each).div_(reads + strengths).sum(1, keepdim=True)
            if into_kappa is not None:
                # Of a gene with neighbours, whose strength is the same in every cell.
                assert surplus is not None
                moved = each.mul_(surplus) @ joined[0]
                into_kappa[v] = -(moved / (reads[:, 0] + strength)).sum()
        return into_counts, into_prior, into_reads, None, into_kappa, None


def _of(genes: Tensor | None, x: Tensor, dim: int = 1) -> Tensor:
    return x if genes is None else x.index_select(dim, genes)


def _has_neighbours(edge_index: Tensor, rate: Tensor) -> Tensor:
    """One for each gene that an edge points to, else zero."""
    if isinstance(edge_index, EdgeIndex):
        (rowptr, _), _ = edge_index.get_csc()
        starts: Tensor = rowptr
        return (starts.diff() > 0).to(rate.dtype)
    mask = rate.new_zeros(rate.size(1))
    mask[edge_index[1]] = 1
    return mask
