"""Scales the weights of a graph: by the largest, symmetrically, or per target.

Pure functions on ``(edge_index, edge_weight, num_nodes)`` that return a new
``(edge_index, edge_weight)``.  Row 0 of ``edge_index`` is the source :math:`j`,
row 1 the target :math:`i`, so that edge ``e`` is the entry
:math:`A_{ij}` with ``i = edge_index[1, e]`` and ``j = edge_index[0, e]``.
Gradients flow through to ``edge_weight``; sums are taken in double precision.
"""

from typing import Any, Literal, get_args

import torch
from torch import Tensor

Normalization = Literal["max", "sym", "row"]


def normalize_edges(
    edge_index: Tensor,
    edge_weight: Tensor,
    num_nodes: int,
    method: Normalization | None,
    self_loops: bool = False,
) -> tuple[Tensor, Tensor]:
    r"""Prepares a graph for a layer: one scaling, with or without self-loops.

    Whatever is on the diagonal is removed first.  With :math:`A` the rest and
    :math:`w = \max_{i \neq j} A_{ij}`, and :math:`s = 1` if ``self_loops``
    else :math:`s = 0`, the result is

    =========  ==============================================================
    ``"max"``  :math:`A / w + s I` (so the diagonal is set *after* scaling)
    ``"sym"``  :math:`D^{-1/2} B D^{-1/2}` of :math:`B = A / w + s I`
    ``"row"``  :math:`D^{-1} B` of the same :math:`B`
    ``None``   :math:`A + s I`
    =========  ==============================================================

    with :math:`D_{ii} = \sum_j B_{ij}`.  A node without any edge has a row of
    zeros if ``self_loops`` is false; otherwise it only sees itself.

    Args:
        edge_index: Source (row 0) and target (row 1) of every edge.
        edge_weight: Weights, at least 0.
        num_nodes: Number of nodes.
        method: Which of the scalings above.
        self_loops: Whether every node gets an edge of weight 1 to itself.

    Shapes:
        - ``edge_index``: ``(2, num_edges)``
        - ``edge_weight``: ``(num_edges,)``
        - output: the same two, with self-loops at the end

    Raises:
        ValueError: If ``method`` is unknown, or the edges are not valid.

    Example:
        >>> edge_index = torch.tensor([[0, 1], [1, 0]])
        >>> edge_weight = torch.tensor([4.0, 4.0])
        >>> normalize_edges(edge_index, edge_weight, 2, "sym", self_loops=True)[1]
        tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """
    if method not in ("max", "sym", "row", None):
        raise ValueError(f"'method' must be 'max', 'sym', 'row' or None (got {method!r}).")
    edges = set_diagonal(edge_index, edge_weight, num_nodes, 0.0)
    if method is not None:
        edges = normalize_max(*edges, num_nodes)
    if self_loops:
        edges = set_diagonal(*edges, num_nodes, 1.0)
    if method == "sym":
        return normalize_sym(*edges, num_nodes)
    return normalize_row(*edges, num_nodes) if method == "row" else edges


def check_normalization(done: Any) -> None:
    """Refuses what :meth:`~genegraph.GeneGraph.normalize` does not note, as a file may hold.

    Args:
        done: None, or a dict of ``method`` and ``self_loops``.

    Raises:
        ValueError: If it is anything else.

    Example:
        >>> check_normalization({"method": "sym", "self_loops": True})
    """
    methods = (*get_args(Normalization), None)
    fits = isinstance(done, dict) and done.keys() == {"method", "self_loops"}
    if done is not None and not (
        fits and done["method"] in methods and isinstance(done["self_loops"], bool)
    ):
        raise ValueError(f"'normalization' must be what normalize() notes (got {done!r:.80})")


def normalize_max(edge_index: Tensor, edge_weight: Tensor, num_nodes: int) -> tuple[Tensor, Tensor]:
    r"""Divides every weight by the largest one between two different nodes.

    .. math::
        A_{ij}' = A_{ij} \,/ \max_{k \neq l} A_{kl}

    A graph without such an edge, or with zeros only, is returned unchanged.

    Args:
        edge_index: Source (row 0) and target (row 1) of every edge.
        edge_weight: Weights, at least 0.
        num_nodes: Number of nodes.

    Shapes:
        - ``edge_index``: ``(2, num_edges)``
        - ``edge_weight``: ``(num_edges,)``
        - output: the same two

    Raises:
        ValueError: If the edges are not valid.

    Example:
        >>> normalize_max(torch.tensor([[0, 1], [1, 0]]), torch.tensor([1.0, 4.0]), 2)[1]
        tensor([0.2500, 1.0000])
    """
    _check_edges(edge_index, edge_weight, num_nodes)
    off_diagonal = edge_weight[edge_index[0] != edge_index[1]]
    if off_diagonal.numel() == 0 or not bool((off_diagonal > 0).any()):
        return edge_index, edge_weight
    return edge_index, edge_weight / off_diagonal.max()


def normalize_sym(edge_index: Tensor, edge_weight: Tensor, num_nodes: int) -> tuple[Tensor, Tensor]:
    r"""Divides every weight by the root of both ends' degrees, as a GCN does [1]_.

    .. math::
        A' = D^{-1/2} A D^{-1/2}, \qquad D_{ii} = \sum_j A_{ij}

    An undirected graph stays exactly symmetric and its eigenvalues lie in
    :math:`[-1, 1]`.  Of a directed graph the incoming degrees are used for both
    ends, so that an edge from a node at which nothing arrives gets weight 0.

    Args:
        edge_index: Source (row 0) and target (row 1) of every edge.
        edge_weight: Weights, at least 0.
        num_nodes: Number of nodes.

    Shapes:
        - ``edge_index``: ``(2, num_edges)``
        - ``edge_weight``: ``(num_edges,)``
        - output: the same two

    Raises:
        ValueError: If the edges are not valid.

    Example:
        A path of three nodes; the middle one has two neighbours.

        >>> edge_index = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
        >>> normalize_sym(edge_index, torch.ones(4), 3)[1]
        tensor([0.7071, 0.7071, 0.7071, 0.7071])

    References:
        .. [1] Kipf & Welling, "Semi-Supervised Classification with Graph
           Convolutional Networks", ICLR 2017. https://arxiv.org/abs/1609.02907
    """
    degree = _incoming_weight(edge_index, edge_weight, num_nodes)
    inverse_root = torch.where(degree > 0, degree, 1.0).rsqrt() * (degree > 0)
    # The product of both ends comes first: it is the same number for (i, j) and (j, i).
    scale = inverse_root[edge_index[0]] * inverse_root[edge_index[1]]
    return edge_index, (edge_weight * scale).to(edge_weight.dtype)


def normalize_row(edge_index: Tensor, edge_weight: Tensor, num_nodes: int) -> tuple[Tensor, Tensor]:
    r"""Makes the weights that arrive at a node sum to 1: a mean over neighbours.

    .. math::
        A' = D^{-1} A, \qquad D_{ii} = \sum_j A_{ij}

    A node at which nothing arrives keeps a row of zeros.

    Args:
        edge_index: Source (row 0) and target (row 1) of every edge.
        edge_weight: Weights, at least 0.
        num_nodes: Number of nodes.

    Shapes:
        - ``edge_index``: ``(2, num_edges)``
        - ``edge_weight``: ``(num_edges,)``
        - output: the same two

    Raises:
        ValueError: If the edges are not valid.

    Example:
        Node 1 listens to nodes 0 and 2, three times as much to the second.

        >>> edge_index = torch.tensor([[0, 2, 1], [1, 1, 0]])
        >>> normalize_row(edge_index, torch.tensor([0.2, 0.6, 0.9]), 3)[1]
        tensor([0.2500, 0.7500, 1.0000])
    """
    degree = _incoming_weight(edge_index, edge_weight, num_nodes)
    inverse = (degree > 0) / torch.where(degree > 0, degree, 1.0)
    return edge_index, (edge_weight * inverse[edge_index[1]]).to(edge_weight.dtype)


def set_diagonal(
    edge_index: Tensor, edge_weight: Tensor, num_nodes: int, value: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Gives every node one self-loop of the same weight, or none at all.

    Self-loops that were there are replaced.  At ``value=0`` they are only
    removed.

    Args:
        edge_index: Source (row 0) and target (row 1) of every edge.
        edge_weight: Weights, at least 0.
        num_nodes: Number of nodes.
        value: Weight of the new self-loops, at least 0.

    Shapes:
        - ``edge_index``: ``(2, num_edges)``
        - ``edge_weight``: ``(num_edges,)``
        - output: the same two, with the ``num_nodes`` self-loops at the end

    Raises:
        ValueError: If ``value`` or the edges are not valid.

    Example:
        >>> edge_index = torch.tensor([[0, 1, 1], [1, 0, 1]])
        >>> set_diagonal(edge_index, torch.tensor([0.3, 0.3, 0.8]), 2)[1]
        tensor([0.3000, 0.3000, 1.0000, 1.0000])
        >>> set_diagonal(edge_index, torch.tensor([0.3, 0.3, 0.8]), 2, value=0)[1]
        tensor([0.3000, 0.3000])
    """
    _check_edges(edge_index, edge_weight, num_nodes)
    if not value >= 0:
        raise ValueError(f"'value' must be at least 0 (got {value}).")
    keep = edge_index[0] != edge_index[1]
    edge_index, edge_weight = edge_index[:, keep], edge_weight[keep]
    if value == 0:
        return edge_index, edge_weight
    nodes = torch.arange(num_nodes, device=edge_index.device, dtype=edge_index.dtype)
    loops = edge_weight.new_full((num_nodes,), value)
    return torch.cat([edge_index, nodes.expand(2, -1)], 1), torch.cat([edge_weight, loops])


def _incoming_weight(edge_index: Tensor, edge_weight: Tensor, num_nodes: int) -> Tensor:
    _check_edges(edge_index, edge_weight, num_nodes)
    degree = edge_weight.new_zeros(num_nodes, dtype=torch.float64)
    return degree.index_add(0, edge_index[1], edge_weight.double())


def _check_edges(edge_index: Tensor, edge_weight: Tensor, num_nodes: int) -> None:
    if edge_index.dim() != 2 or edge_index.size(0) != 2:
        shape = list(edge_index.shape)
        raise ValueError(f"'edge_index' must have shape [2, num_edges] (got {shape}).")
    num_edges = edge_index.size(1)
    if tuple(edge_weight.shape) != (num_edges,):
        found = f"shape {list(edge_weight.shape)} for {num_edges} edges"
        raise ValueError(f"'edge_weight' must hold one value per edge (got {found}).")
    if num_edges == 0:
        return
    low, high = int(edge_index.min()), int(edge_index.max())
    if low < 0 or high >= num_nodes:
        worst = low if low < 0 else high
        raise ValueError(
            f"'edge_index' refers to node {worst}, "
            f"but the graph has {num_nodes} nodes (0 to {num_nodes - 1})."
        )
    if not bool((edge_weight >= 0).all()):
        raise ValueError(
            f"'edge_weight' must be at least 0 (got {float(edge_weight.min())}); "
            "drop such edges or take their absolute value."
        )
