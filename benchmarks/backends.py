"""Which backend is faster, torch or torch-sparse with torch-scatter?

The product along the prior's edges and the attention over them, forward and backward, both
backends checked equal first.  Results are appended to results/backends.jsonl.

    python benchmarks/backends.py
    python benchmarks/backends.py --genes 500 --cells 8 --edges 2000 --results /tmp/quick.jsonl
"""

import argparse
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from common import RESULTS, check_equal, count_cells, median_ms, random_graph, record
from torch import Tensor

from genegraph.nn import GeneGraphConv
from genegraph.nn.propagation import BACKENDS, check_backend, propagate


def compare(
    function: Callable[[Tensor, Tensor, str], Tensor], weight: Tensor, x: Tensor, repeats: int
) -> dict[str, float]:
    """Checks values and gradients equal, then times forward and backward, in ms."""

    def step(backend: str) -> tuple[Tensor, Tensor, Tensor]:
        weights, features = weight.detach().requires_grad_(), x.detach().requires_grad_()
        out = function(weights, features, backend)
        out.sum().backward()
        assert weights.grad is not None
        assert features.grad is not None
        return out, weights.grad, features.grad

    for ours, theirs in zip(*map(step, BACKENDS), strict=True):
        check_equal("backends", ours, theirs)
    ways = {backend: (lambda backend=backend: step(backend)) for backend in BACKENDS}
    return median_ms(ways, repeats=repeats)


def main(argv: Sequence[str] | None = None) -> None:
    """Compares the backends on the product and on edge attention with 1 and 3 features."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--genes", type=int, default=20_499)
    parser.add_argument("--cells", type=int, default=64)
    parser.add_argument("--edges", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--results", type=Path, default=RESULTS / "backends.jsonl")
    arguments = parser.parse_args(argv)
    try:
        check_backend("torch_sparse")
    except ImportError as error:
        raise SystemExit(f"Nothing to compare: {error}") from None
    torch.set_num_threads(arguments.threads)
    device, repeats = arguments.device, arguments.repeats
    edge_index, weight = (p.to(device) for p in random_graph(arguments.genes, arguments.edges))
    expression = count_cells(arguments.cells, arguments.genes).to(device)

    def product(weights: Tensor, features: Tensor, backend: str) -> Tensor:
        return propagate(edge_index, weights, features, backend)

    parts = {"prior": compare(product, weight, expression.T.contiguous(), repeats)}
    for channels in (1, 3):
        torch.manual_seed(0)
        conv = GeneGraphConv(channels, channels, attention="edges").to(device)

        def attention(
            weights: Tensor, features: Tensor, backend: str, conv: GeneGraphConv = conv
        ) -> Tensor:
            conv.backend = backend
            out: Tensor = conv(features, edge_index, weights)
            return out

        # Three features of 16 attention channels each: fewer cells, or memory runs out.
        cells = expression if channels == 1 else expression[: max(1, len(expression) // 8)]
        x = cells[..., None].repeat(1, 1, channels) + torch.arange(channels, device=device)
        parts[f"edge attention, in_channels={channels}"] = compare(attention, weight, x, repeats)
    for part, times in parts.items():
        record(
            arguments.results,
            device,
            benchmark="backends",
            part=part,
            genes=arguments.genes,
            cells=max(1, arguments.cells // 8) if part.endswith("3") else arguments.cells,
            edges=edge_index.size(1),
            ms=times,
            torch_sparse_over_torch=round(times["torch_sparse"] / times["torch"], 2),
            torch_sparse=version("torch_sparse"),
            torch_scatter=version("torch_scatter"),
        )


if __name__ == "__main__":
    main()
