"""Checks and small operations on gene names and edges, shared by the graph modules."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor


def check_genes(genes: Iterable[str]) -> tuple[str, ...]:
    """Turns any ordered collection of gene names into a tuple, or says what is wrong.

    Args:
        genes: Gene names, for example ``adata.var_names``.

    Raises:
        TypeError: If ``genes`` has no order, or holds something that is not a string.
        ValueError: If there are no genes, or a name is empty or not unique.

    Example:
        >>> check_genes(["TP53", "MDM2"])
        ('TP53', 'MDM2')
    """
    if isinstance(genes, str | bytes | set | frozenset | dict) or not isinstance(genes, Iterable):
        raise TypeError(
            "'genes' must be an ordered collection of gene names, such as a list or "
            f"adata.var_names (got {type(genes).__name__})."
        )
    names = tuple(genes)
    for position, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(
                f"'genes' must hold strings (got {name!r}, a {type(name).__name__}, at position "
                f"{position}); convert the names first, for example with astype(str)."
            )
        if not name:
            raise ValueError(
                f"'genes' must hold names that are not empty (got '' at position {position}); "
                "drop that gene or give it a name."
            )
    if not names:
        raise ValueError("'genes' must hold at least one gene (got none).")
    _check_unique(names)
    return tuple(map(str, names))  # numpy's own strings become plain ones


def check_edges(edge_index: Any, edge_weight: Any, num_genes: int) -> tuple[Tensor, Tensor]:
    """Copies edges into int64 and float32 tensors on the CPU, or says what is wrong.

    Args:
        edge_index: Source and target of every edge; anything torch can read as integers.
        edge_weight: One weight per edge, or None for ones.
        num_genes: Number of genes that ``edge_index`` may refer to.

    Shapes:
        - ``edge_index``: ``(2, num_edges)``
        - ``edge_weight``: ``(num_edges,)``

    Raises:
        TypeError: If ``edge_index`` does not hold integers.
        ValueError: If a shape, an index or a weight is not valid.

    Example:
        >>> check_edges([[0], [1]], None, num_genes=2)
        (tensor([[0],
                [1]]), tensor([1.]))
    """
    index = _copy_index(edge_index)
    if index.dim() != 2 or index.size(0) != 2:
        raise ValueError(
            f"'edge_index' must have shape [2, num_edges] (got {list(index.shape)}); "
            "row 0 holds the sources, row 1 the targets."
        )
    if index.numel() and (int(index.min()) < 0 or int(index.max()) >= num_genes):
        worst = int(index.min()) if int(index.min()) < 0 else int(index.max())
        raise ValueError(
            f"'edge_index' refers to gene {worst}, "
            f"but the graph has {num_genes} genes (0 to {num_genes - 1})."
        )
    return index, _copy_weight(edge_weight, index.size(1))


def coalesce(
    edge_index: Tensor, edge_weight: Tensor, num_nodes: int, reduce: Literal["max", "sum"] = "max"
) -> tuple[Tensor, Tensor]:
    """Sorts edges by target, then source, and merges those listed more than once.

    Args:
        edge_index: Source (row 0) and target (row 1) of every edge.
        edge_weight: Weight of every edge.
        num_nodes: Number of nodes.
        reduce: Whether a merged edge gets the largest weight or the sum.

    Shapes:
        - ``edge_index``: ``(2, num_edges)``
        - ``edge_weight``: ``(num_edges,)``
        - output: the same two, possibly shorter

    Example:
        >>> edges = torch.tensor([[1, 0, 1], [0, 1, 0]])
        >>> coalesce(edges, torch.tensor([0.2, 0.5, 0.7]), num_nodes=2)
        (tensor([[1, 0],
                [0, 1]]), tensor([0.7000, 0.5000]))
    """
    key, order = (edge_index[1] * num_nodes + edge_index[0]).sort(stable=True)
    first = torch.ones_like(key, dtype=torch.bool)
    first[1:] = key[1:] != key[:-1]
    key, group = key[first], first.cumsum(0) - 1
    merged = edge_weight.new_zeros(key.numel()).scatter_reduce(
        0, group, edge_weight[order], "amax" if reduce == "max" else "sum", include_self=False
    )
    return torch.stack([key % num_nodes, key // num_nodes]), merged


def mirrored(edge_index: Tensor, edge_weight: Tensor | None, num_nodes: int) -> bool:
    """Tells whether every edge has its reverse, of the same weight if weights are given.

    Args:
        edge_index: Coalesced edges, as :func:`coalesce` returns them.
        edge_weight: Weight of every edge, or None to look at the edges only.
        num_nodes: Number of nodes.

    Example:
        >>> both_ways = torch.tensor([[1, 0], [0, 1]])
        >>> mirrored(both_ways, None, 2), mirrored(both_ways, torch.tensor([0.1, 0.2]), 2)
        (True, False)
    """
    reverse_key, order = (edge_index[0] * num_nodes + edge_index[1]).sort()
    if not torch.equal(reverse_key, edge_index[1] * num_nodes + edge_index[0]):
        return False
    return edge_weight is None or torch.equal(edge_weight[order], edge_weight)


def count_neighbors(edge_index: Tensor, num_nodes: int) -> Tensor:
    """Counts the other nodes that each node shares an edge with, whatever its direction.

    Args:
        edge_index: Source (row 0) and target (row 1) of every edge.
        num_nodes: Number of nodes.

    Shapes:
        - ``edge_index``: ``(2, num_edges)``
        - output: ``(num_nodes,)``

    Example:
        >>> count_neighbors(torch.tensor([[0, 1, 0, 2], [1, 0, 2, 2]]), 4)
        tensor([2, 1, 1, 0])
    """
    either_way = torch.cat([edge_index, edge_index.flip(0)], dim=1)
    pairs = coalesce(either_way, torch.ones(either_way.size(1)), num_nodes)[0]
    return torch.bincount(pairs[1, pairs[0] != pairs[1]], minlength=num_nodes)


def _check_unique(names: tuple[str, ...]) -> None:
    if len(set(names)) == len(names):
        return
    repeated = [(name, count) for name, count in Counter(names).most_common() if count > 1]
    shown = ", ".join(f"{name!r} ({count} times)" for name, count in repeated[:3])
    more = f" and {len(repeated) - 3:,} more" if len(repeated) > 3 else ""
    raise ValueError(
        f"'genes' must be unique (got {shown}{more}); "
        "for an AnnData call adata.var_names_make_unique() first."
    )


def _copy_index(edge_index: Any) -> Tensor:
    # A PyG EdgeIndex is unwrapped: operations on it would return EdgeIndex again.
    plain = edge_index.as_tensor() if hasattr(edge_index, "as_tensor") else edge_index
    if isinstance(plain, list | tuple):
        plain = np.asarray(plain, dtype=np.int64 if not any(map(len, plain)) else None)
    index = torch.as_tensor(plain)
    if index.is_floating_point() or index.is_complex() or index.dtype == torch.bool:
        raise TypeError(f"'edge_index' must hold integers (got {index.dtype}).")
    return index.detach().to("cpu", torch.int64, copy=True).contiguous()


def _copy_weight(edge_weight: Any, num_edges: int) -> Tensor:
    if edge_weight is None:
        return torch.ones(num_edges)
    weight = torch.as_tensor(edge_weight).detach().to("cpu", torch.float32, copy=True)
    if tuple(weight.shape) != (num_edges,):
        found = f"{weight.numel()} values for {num_edges} edges"
        if weight.dim() != 1:
            found = f"shape {list(weight.shape)} for {num_edges} edges"
        raise ValueError(f"'edge_weight' must hold one value per edge (got {found}).")
    wrong = ~(weight.isfinite() & (weight >= 0))
    if bool(wrong.any()):
        first = int(wrong.nonzero()[0])
        raise ValueError(
            f"'edge_weight' must be finite and at least 0 (got {float(weight[first])} for edge "
            f"{first}, {int(wrong.sum()):,} such values in all); drop or repair these edges."
        )
    return weight
