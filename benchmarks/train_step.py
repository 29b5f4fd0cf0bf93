"""What does a training step of the whole network cost, against the fully connected head alone?

One step of Adam (forward, backward, update) on single-cell-like expression of all genes and a
random graph.  ``head, gradient of its input`` is the floor for every network that learns something
before the head: the head alone with a gradient for what it reads.  Results are appended to
results/train_step.jsonl.

    python benchmarks/train_step.py
    python benchmarks/train_step.py --genes 500 --cells 8 --edges 2000 --results /tmp/quick.jsonl
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from common import count_cells, random_graph, record, sizes, timings
from torch import Tensor
from torch_geometric import EdgeIndex

from genegraph.nn import GeneGCN

HEAD, FLOOR = "head", "head, gradient of its input"
NETWORKS: dict[str, dict[str, Any]] = {
    HEAD: {"num_layers": 0},
    FLOOR: {"num_layers": 0},
    "prior": {"attention": None},
    "full attention and prior": {"attention": "full"},
    "gene-aware full attention and prior": {"attention": "full", "gene_aware": True},
    "edge attention and prior": {"attention": "edges"},
    "full attention and prior, two layers": {"attention": "full", "num_layers": 2},
}


def training_step(
    name: str, x: Tensor, edge_index: EdgeIndex, weight: Tensor
) -> Callable[[], None]:
    """Returns a function that takes one step."""
    torch.manual_seed(0)
    network = GeneGCN(x.size(1), 10, **NETWORKS[name]).to(x.device)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    labels = torch.arange(len(x), device=x.device) % 10

    def step() -> None:
        optimizer.zero_grad()
        cells = x.detach().requires_grad_(name == FLOOR)
        logits = network(cells, edge_index, weight)
        torch.nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()

    return step


def main(argv: Sequence[str] | None = None) -> None:
    """Times a step of every network."""
    parser = sizes(__doc__.splitlines()[0], "train_step.jsonl", repeats=15)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    x = count_cells(arguments.cells, arguments.genes).to(arguments.device)
    edge_index, weight = random_graph(arguments.genes, arguments.edges)
    graph = (edge_index.to(arguments.device), weight.to(arguments.device))
    steps = {name: training_step(name, x, *graph) for name in NETWORKS}
    found = timings(arguments.device, steps, repeats=arguments.repeats)
    over = {}
    for kind, times in found.items():
        on_device = "" if kind == "ms" else "_on_device"
        for name, base in (("over_head", HEAD), ("over_floor", FLOOR)):
            over[name + on_device] = {way: round(ms / times[base], 2) for way, ms in times.items()}
    record(
        arguments.results,
        arguments.device,
        benchmark="train_step",
        genes=arguments.genes,
        cells=arguments.cells,
        edges=edge_index.size(1),
        **found,
        **over,
    )


if __name__ == "__main__":
    main()
