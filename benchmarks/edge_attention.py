"""How fast is attention over the graph's edges, against torch-geometric's softmax and scatter?

Forward and backward with gradients of x, theta and phi, on single-cell-like expression and a
random graph.  The plain way holds tensors of edges times cells; so that it is not slowed down by
attention channels it need not have, it too is given the logits as one product of scalars.  Values
and gradients of both are compared with the plain way in float64 first.  Ways take turns; the peak
of resident memory is measured in a process of each way's own, beyond what it held before the step
(on CUDA in one process, by torch's own count).
Lines are appended to results/edge_attention.jsonl.

    python benchmarks/edge_attention.py
    python benchmarks/edge_attention.py --genes 500 --cells 8 --edges 2000 --results /tmp/e.jsonl
"""

import argparse
import copy
import os
import subprocess
import sys
from collections.abc import Sequence

import torch
from common import (
    check_equal,
    count_cells,
    peak_mib,
    random_graph,
    record,
    relative_error,
    reset_peak,
    sizes,
    timings,
)
from torch import Tensor
from torch.nn import Linear
from torch_geometric import EdgeIndex
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import softmax

from genegraph.nn import GeneGraphConv
from genegraph.nn.attention_functions import scalar_coefficients
from genegraph.nn.edge_attention import fused_edge_attention

CHANNELS = 16
TOLERANCE = 1e-5


class Fused(torch.nn.Module):
    """Ours; x is ``[num_cells, num_genes]`` in either layout."""

    def __init__(self, theta: Linear, phi: Linear) -> None:
        super().__init__()
        self.theta, self.phi = theta, phi

    def forward(self, x: Tensor, edge_index: EdgeIndex) -> Tensor:
        """Attends over neighbours."""
        slope, offset, curvature = scalar_coefficients("embedded_dot", x, self.theta, self.phi)
        key, log_weight = x.new_ones(()), x.new_zeros(())
        return fused_edge_attention(edge_index, x, slope, offset, key, log_weight, curvature)


class Plain(MessagePassing):
    """What a user would write; x is ``[num_cells, num_genes]`` or transposed (``node_dim=0``)."""

    def __init__(self, theta: Linear, phi: Linear, node_dim: int) -> None:
        super().__init__(aggr="add", node_dim=node_dim)
        self.theta, self.phi = theta, phi

    def forward(self, x: Tensor, edge_index: EdgeIndex) -> Tensor:
        """Attends over neighbours."""
        slope, offset, _ = scalar_coefficients("embedded_dot", x, self.theta, self.phi)
        return self.propagate(edge_index.as_tensor(), x=x, query=slope * x + offset)

    def message(self, x_j: Tensor, query_i: Tensor, index: Tensor, size_i: int) -> Tensor:
        """One message per edge and cell."""
        alpha = softmax(query_i * x_j, index, num_nodes=size_i, dim=self.node_dim)
        return alpha * x_j


def ways(x: Tensor) -> dict[str, tuple[torch.nn.Module, Tensor]]:
    """Each way with its layout of the same cells ``[num_cells, num_genes]``."""
    torch.manual_seed(0)
    parts = Linear(1, CHANNELS).to(x.device), Linear(1, CHANNELS).to(x.device)
    gene_major = x.t().contiguous()
    return {
        "fused_gene_major": (Fused(*parts), gene_major.t()),
        "fused_cell_major": (Fused(*parts), x),
        "plain_gene_major": (Plain(*parts, node_dim=0), gene_major),
        "plain_cell_major": (Plain(*parts, node_dim=-1), x),
    }


def step(module: torch.nn.Module, x: Tensor, edge_index: EdgeIndex) -> list[Tensor]:
    """Forward and backward; returns the output and the gradients of x, theta and phi."""
    module.zero_grad()
    x = x.detach().requires_grad_()
    out = module(x, edge_index)
    out.sum().backward()
    gradients = [module.theta.weight.grad, module.theta.bias.grad, module.phi.weight.grad]
    return [out.detach(), x.grad, *gradients]


def errors(x: Tensor, edge_index: EdgeIndex) -> dict[str, float]:
    """Each way's largest relative error of values and gradients against float64."""
    every = ways(x)
    module, cells = every["plain_cell_major"]
    exact = step(copy.deepcopy(module).double(), cells.double(), edge_index)
    found = {}
    for name, (module, cells) in every.items():
        results = step(module, cells, edge_index)
        if name == "plain_gene_major":
            results[:2] = [part.t() for part in results[:2]]
        found[name] = max(map(relative_error, results, exact))
    if not max(found["fused_gene_major"], found["fused_cell_major"]) <= TOLERANCE:
        raise SystemExit(f"relative errors {found}; nothing was timed.")
    return {name: float(f"{error:.1e}") for name, error in found.items()}


def peak_beyond(way: str, x: Tensor, edge_index: EdgeIndex) -> int:
    """What one step adds to this process's resident memory at its peak, in MiB."""
    few = random_graph(20, 50)[0].to(x.device)
    step(*ways(count_cells(2, 20).to(x.device))[way], few)  # compile and load what all need
    module, cells = ways(x)[way]
    device = x.device.type
    reset_peak(device)
    before = peak_mib(device)
    step(module, cells, edge_index)
    return peak_mib(device) - before


def peak_of_own_process(way: str, arguments: argparse.Namespace) -> int:
    """Runs :func:`peak_beyond` in a fresh process whose freed memory goes back at once."""
    size = [f"--{name}={getattr(arguments, name)}" for name in ("genes", "cells", "edges")]
    threads = f"--threads={arguments.threads}"
    done = subprocess.run(
        [sys.executable, __file__, "--memory-of", way, threads, *size],
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return int(done.stdout)


def layer_step(conv: GeneGraphConv, x: Tensor, edge_index: Tensor, weight: Tensor) -> None:
    """Forward and backward of the whole layer, which adds the prior and multiplies by W."""
    conv.zero_grad()
    conv(x.detach().requires_grad_(), edge_index, weight).sum().backward()


def layer_ms(
    x: Tensor, edge_index: EdgeIndex, weight: Tensor, repeats: int
) -> dict[str, dict[str, float]]:
    """The layer, one number per gene and gene-aware, and its own gather-scatter reference."""
    cells = x.t().contiguous().t()[..., None]
    plain = edge_index.as_tensor()
    conv = GeneGraphConv(1, 1, attention="edges").to(x.device)
    aware = GeneGraphConv(1, 1, attention="edges", num_genes=x.size(1)).to(x.device)
    reference = copy.deepcopy(conv)
    reference.reference = True
    check_equal(
        "layer", conv(cells, edge_index, weight), reference(cells, plain, weight), TOLERANCE
    )
    steps = {
        "fused": lambda: layer_step(conv, cells, edge_index, weight),
        "fused_gene_aware": lambda: layer_step(aware, cells, edge_index, weight),
        "gather_scatter": lambda: layer_step(reference, cells, plain, weight),
    }
    return timings(x.device.type, steps, repeats=repeats)


def main(argv: Sequence[str] | None = None) -> None:
    """Checks, times and measures memory."""
    parser = sizes(__doc__.splitlines()[0], "edge_attention.jsonl", repeats=9)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--memory-of", help="print the MiB that one step of this way takes")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    device = arguments.device
    x = count_cells(arguments.cells, arguments.genes).to(device)
    edge_index, weight = (
        part.to(device) for part in random_graph(arguments.genes, arguments.edges)
    )
    if arguments.memory_of:
        print(peak_beyond(arguments.memory_of, x, edge_index))
        return
    error = errors(x, edge_index)
    every = ways(x)
    steps = {name: (lambda way=way: step(*way, edge_index)) for name, way in every.items()}
    found = timings(device, steps, repeats=arguments.repeats)
    if device == "cpu":
        memory = {name: peak_of_own_process(name, arguments) for name in every}
    else:  # counted by torch itself
        memory = {name: peak_beyond(name, x, edge_index) for name in every}
    size = {
        "benchmark": "edge_attention",
        "genes": arguments.genes,
        "cells": arguments.cells,
        "edges": edge_index.size(1),
        "nonzeros_per_cell": round(x.count_nonzero().item() / len(x)),
    }
    plain = [name for name in every if name.startswith("plain")]
    ratios = {
        "plain_over_fused" + ("" if kind == "ms" else "_on_device"): round(
            min(times[name] for name in plain) / times["fused_gene_major"], 1
        )
        for kind, times in found.items()
    }
    record(
        arguments.results,
        device,
        **size,
        part="attention",
        **found,
        **ratios,
        step_mib=memory,
        relative_error=error,
    )
    layer = layer_ms(x, edge_index, weight, arguments.repeats)
    ratios = {
        "gather_scatter_over_fused" + ("" if kind == "ms" else "_on_device"): round(
            times["gather_scatter"] / times["fused"], 1
        )
        for kind, times in layer.items()
    }
    record(arguments.results, device, **size, part="layer", **layer, **ratios)


if __name__ == "__main__":
    main()
