"""How fast is each part of the layer, against the plain way to the same result?

Forward and backward on single-cell-like expression and a random graph.  The plain ways are
gather-scatter along edges and, for the whole network, the fully connected head alone.  Full
attention has a benchmark of its own, attention.py.  Results are checked equal before anything is
timed and appended to results/layer_speed.jsonl.

    python benchmarks/layer_speed.py
    python benchmarks/layer_speed.py --genes 500 --cells 8 --edges 2000 --results /tmp/quick.jsonl
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from common import (
    RESULTS,
    check_equal,
    count_cells,
    median_ms,
    random_graph,
    record,
)
from torch import Tensor
from torch_geometric import EdgeIndex

from genegraph.nn import GeneGCN, GeneGraphConv


def twins(**options: Any) -> tuple[GeneGraphConv, GeneGraphConv]:
    """The layer and its reference, with the same parameters."""
    torch.manual_seed(0)
    layer = GeneGraphConv(1, 1, **options)
    reference = GeneGraphConv(1, 1, reference=True, **options)
    reference.load_state_dict(layer.state_dict())
    return layer, reference


def along_edges(
    x: Tensor, edge_index: EdgeIndex, weight: Tensor, attention: str | None, repeats: int
) -> dict[str, Any]:
    """The fused pass, gene-major and cell-major, and torch-geometric's gather-scatter."""
    layer, reference = (conv.to(x.device) for conv in twins(attention=attention))
    gene_major = x.transpose(0, 1).contiguous().transpose(0, 1)
    plain = edge_index.as_tensor()
    check_equal(str(attention), layer(x, edge_index, weight), reference(x, plain, weight))
    check_equal("gene-major", layer(gene_major, edge_index, weight), layer(x, edge_index, weight))
    ways = {
        name: (lambda conv=conv, x=x, edges=edges: step(conv, x, edges, weight))
        for name, conv, x, edges in (
            ("fused_cell_major", layer, x, edge_index),
            ("fused_gene_major", layer, gene_major, edge_index),
            ("gather_scatter", reference, x, plain),
        )
    }
    times = median_ms(ways, repeats=repeats)
    ratio = times["gather_scatter"] / times["fused_gene_major"]
    return {"ms": times, "gather_scatter_over_fused": round(ratio, 1)}


def step(conv: torch.nn.Module, x: Tensor, edge_index: Tensor, weight: Tensor) -> None:
    """Forward and backward with a gradient for x, as a stacked layer needs it."""
    conv.zero_grad()
    conv(x.detach().requires_grad_(), edge_index, weight).sum().backward()


def whole_network(x: Tensor, edge_index: EdgeIndex, weight: Tensor, repeats: int) -> dict[str, Any]:
    """A training step of the network against one of the head alone."""
    ways = {}
    for name, options in (
        ("head_alone", {"num_layers": 0}),
        ("full", {"attention": "full"}),
        ("full_gene_aware", {"attention": "full", "gene_aware": True}),
        ("edges", {"attention": "edges"}),
        ("prior_alone", {"attention": None}),
    ):
        network = GeneGCN(x.size(1), 10, **options).to(x.device)
        optimizer = torch.optim.Adam(network.parameters())

        def train(network: GeneGCN = network, optimizer: Any = optimizer) -> None:
            optimizer.zero_grad()
            network(x[..., 0], edge_index, weight).logsumexp(dim=1).sum().backward()
            optimizer.step()

        ways[name] = train
    times = median_ms(ways, repeats=repeats)
    ratio = times["full"] / times["head_alone"]
    return {"ms": times, "full_over_head_alone": round(ratio, 2)}


def main(argv: Sequence[str] | None = None) -> None:
    """Times the parts of the layer one after another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--genes", type=int, default=20_499)
    parser.add_argument("--cells", type=int, default=64)
    parser.add_argument("--edges", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--results", type=Path, default=RESULTS / "layer_speed.jsonl")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    device = arguments.device
    x = count_cells(arguments.cells, arguments.genes)
    nonzero = round(x.count_nonzero().item() / len(x))
    x = x[..., None].to(device)
    edge_index, weight = (p.to(device) for p in random_graph(arguments.genes, arguments.edges))
    size = {
        "benchmark": "layer_speed",
        "genes": arguments.genes,
        "cells": arguments.cells,
        "edges": edge_index.size(1),
        "nonzeros_per_cell": nonzero,
    }
    graph, repeats = (edge_index, weight), arguments.repeats
    record(arguments.results, device, **size, part="prior", **along_edges(x, *graph, None, repeats))
    record(arguments.results, device, **size, part="network", **whole_network(x, *graph, repeats))
    edges = along_edges(x, *graph, "edges", repeats)
    record(arguments.results, device, **size, part="edge attention", **edges)


if __name__ == "__main__":
    main()
