"""The weights of attention in a network's layers, averaged over groups of cells."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.utils import softmax

from genegraph.explain.cell_groups import CellGroup
from genegraph.explain.pairs import Floats, Integers
from genegraph.explain.subject import Subject
from genegraph.nn.gene_graph_conv import GeneGraphConv

GENES_AT_ONCE = 64
"""Targets whose attention over all genes is in memory at once."""


def layers(
    subject: Subject, rows: NDArray[np.int64]
) -> Iterator[tuple[int, int, GeneGraphConv, Tensor]]:
    """Yields layer, number of graph, its convolution and what that reads of cells, float64."""
    network, parts = subject.network, []
    for x, depth in subject.batches(rows):
        taken = subject.network_input(x, depth)
        parts.append(network.features_by_layer(taken, *subject.edges, depth)[:-1])
    for layer, features in enumerate(zip(*parts, strict=True)):
        graphs = network.layers[layer]
        assert isinstance(graphs, torch.nn.ModuleList)
        read = torch.cat(features).double()
        for number, conv in enumerate(graphs):
            assert isinstance(conv, GeneGraphConv)
            yield layer, number, copy.deepcopy(conv).double(), read


def over_all_genes(
    conv: GeneGraphConv, features: Tensor, targets: Integers, groups: list[CellGroup]
) -> Iterator[tuple[Integers, list[Floats]]]:
    """Yields a few targets and each group's mean attention of these over all genes.

    Args:
        conv: Its attention is full, its parameters are of the features' type.
        features: ``[num_cells, num_genes, channels]``.
        targets: Positions of genes.
        groups: Which cells are averaged.
    """
    query, key, bias = conv._query_key_bias(features)
    bias = features.new_zeros(()) if bias is None else bias
    bias = bias.expand(features.shape[:2])
    for first in range(0, len(targets), GENES_AT_ONCE):
        block = targets[first : first + GENES_AT_ONCE]
        asking = query[:, torch.from_numpy(block).to(query.device)]

        def of_cell(cell: int, asking: Tensor = asking) -> Tensor:
            return (asking[cell] @ key[cell].T + bias[cell]).softmax(dim=-1)

        yield block, _means(of_cell, groups)


def over_edges(
    conv: GeneGraphConv, features: Tensor, edge_index: Any, groups: list[CellGroup]
) -> tuple[Integers, Integers, list[Floats]]:
    """Returns source and target of each edge, and each group's mean attention along it."""
    source, target = edge_index.as_tensor()
    query, key, bias = conv._query_key_bias(features)
    bias = None if bias is None else bias.expand(features.shape[:2])

    def of_cell(cell: int) -> Tensor:
        of_key = None if bias is None else bias[cell, source, None]
        logits = conv._logits(query[cell, target], key[cell, source], of_key)
        alpha: Tensor = softmax(logits, target, num_nodes=features.size(1))
        return alpha

    return source.cpu().numpy(), target.cpu().numpy(), _means(of_cell, groups)


def _means(of_cell: Any, groups: list[CellGroup]) -> list[Floats]:
    """Averages over the cells of each group; each cell is asked once for all its groups."""
    members: dict[int, list[tuple[int, float]]] = {}
    for number, group in enumerate(groups):
        for cell, weight in zip(group.rows.tolist(), group.weights.tolist(), strict=True):
            members.setdefault(cell, []).append((number, weight))
    means: list[Any] = [0.0] * len(groups)
    for cell, shares in sorted(members.items()):
        found = of_cell(cell)
        for number, weight in shares:
            means[number] = means[number] + weight * found
    return [mean.cpu().numpy() for mean in means]
