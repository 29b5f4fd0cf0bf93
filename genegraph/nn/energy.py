r"""How smooth features are over a graph: what too many layers lose."""

from __future__ import annotations

import torch
from torch import Tensor


def dirichlet_energy(x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
    r"""Returns each cell's Dirichlet energy over an undirected graph, relative to its size.

    .. math::
        E(x) = \frac{1}{2 \lVert x \rVert^2} \sum_{ij} A_{ij}
            \Big( \frac{x_i}{\sqrt{d_i}} - \frac{x_j}{\sqrt{d_j}} \Big)^2
             = \frac{x^\top (I - D^{-1/2} A D^{-1/2})\, x}{x^\top x} \in [0, 2]

    0 for features that are perfectly smooth, about 1 for features that know nothing of the graph
    [1]_.  Only genes with an edge count: the others have no neighbours to resemble.

    Args:
        x: Features, ``[num_cells, num_genes]``; a cell of zeros has energy 0.
        edge_index: Both directions of every edge, ``[2, num_edges]``.
        edge_weight: Its weights before normalisation, ``[num_edges]``.

    Example:
        Two genes that interact, alike in one cell and not in the other:

        >>> edges = torch.tensor([[0, 1], [1, 0]])
        >>> dirichlet_energy(torch.tensor([[1.0, 1.0], [1.0, -1.0]]), edges, torch.ones(2)).tolist()
        [0.0, 2.0]

    References:
        .. [1] Cai & Wang, "A Note on Over-Smoothing for Graph Neural Networks", 2020.
           https://arxiv.org/abs/2006.13318
    """
    x, weight = x.double(), edge_weight.double()
    source, target = edge_index
    degree = weight.new_zeros(x.size(1)).index_add(0, target, weight)
    x = x * (degree > 0)
    scaled = x / degree.clamp(min=torch.finfo(x.dtype).tiny).sqrt()
    # x.(I - D^(-1/2) A D^(-1/2)) x, the second term edge by edge.
    size = x.square().sum(1)
    along_edges = (scaled[:, source] * scaled[:, target]) @ weight
    energy: Tensor = (size - along_edges) / size.clamp(min=torch.finfo(x.dtype).tiny)
    return energy
