"""How fast is the product along the prior's edges?

Forward and backward on single-cell-like expression and a random graph, every way checked equal
first: ours (genes outermost, cells outermost, with a gradient of the edge weights, and on torch or
torch-sparse), one bare product each way with a cached CSR matrix, and what a user would otherwise
write, torch-geometric's gather and scatter.  Results are appended to results/propagate.jsonl.

    python benchmarks/propagate.py
    python benchmarks/propagate.py --genes 500 --cells 8 --edges 2000 --results /tmp/quick.jsonl
"""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec

import torch
from common import check_equal, count_cells, random_graph, record, sizes, timings
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.nn import MessagePassing

from genegraph.nn.propagation import propagate_cells

Step = Callable[[], tuple[Tensor, Tensor]]


class GatherScatter(MessagePassing):
    """A weighted sum over neighbours, as torch-geometric's documentation writes it."""

    def __init__(self) -> None:
        super().__init__(aggr="add", node_dim=-2)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        """Returns A x for ``x``, ``[..., num_genes, channels]``."""
        return self.propagate(edge_index, x=x, edge_weight=edge_weight)

    def message(self, x_j: Tensor, edge_weight: Tensor) -> Tensor:
        """One message per edge."""
        return edge_weight.view(-1, 1) * x_j


def ways(
    expression: Tensor, upstream: Tensor, edge_index: EdgeIndex, weight: Tensor
) -> dict[str, Step]:
    """Every way as a function of nothing that returns A x and the gradient of x, gene by cell."""
    gene_major = expression.T.contiguous()
    plain, layer = edge_index.as_tensor(), GatherScatter()

    def ours(backend: str = "auto", *, cells_outermost: bool = False, learn: bool = False) -> Step:
        x = expression[..., None] if cells_outermost else gene_major.T[..., None]
        grad = upstream.T[..., None]
        grad = grad.contiguous() if cells_outermost else grad

        def step() -> tuple[Tensor, Tensor]:
            weights = weight.detach().requires_grad_(learn)
            leaf = x.detach().requires_grad_()
            out = propagate_cells(edge_index, weights, leaf, backend)
            out.backward(grad)
            assert leaf.grad is not None
            return out[..., 0].T, leaf.grad[..., 0].T

        return step

    def gather_scatter(*, cells_outermost: bool, learn: bool = False) -> Step:
        x = expression[..., None] if cells_outermost else gene_major
        grad = upstream.T[..., None].contiguous() if cells_outermost else upstream

        def step() -> tuple[Tensor, Tensor]:
            weights = weight.detach().requires_grad_(learn)
            leaf = x.detach().requires_grad_()
            out = layer(leaf, plain, weights)
            out.backward(grad)
            assert leaf.grad is not None
            if cells_outermost:
                return out[..., 0].T, leaf.grad[..., 0].T
            return out, leaf.grad

        return step

    (rowptr, col), _ = edge_index.get_csc()
    (colptr, row), perm = edge_index.get_csr()
    size = (len(gene_major), len(gene_major))
    matrix = torch.sparse_csr_tensor(rowptr, col, weight, size=size, check_invariants=False)
    transposed = torch.sparse_csr_tensor(
        colptr, row, weight[perm], size=size, check_invariants=False
    )
    every = {
        "ours, genes outermost": ours(),
        "ours, cells outermost": ours(cells_outermost=True),
        "ours, gradient of edge weights too": ours(learn=True),
        "ours on torch": ours("torch"),
        "bare CSR product each way": lambda: (matrix @ gene_major, transposed @ upstream),
        "gather and scatter, genes outermost": gather_scatter(cells_outermost=False),
        "gather and scatter, cells outermost": gather_scatter(cells_outermost=True),
        "gather and scatter, gradient of edge weights too": gather_scatter(
            cells_outermost=False, learn=True
        ),
    }
    if find_spec("torch_sparse") and find_spec("torch_scatter"):
        every["ours on torch-sparse"] = ours("torch_sparse")
        every["ours on torch-sparse, gradient of edge weights too"] = ours(
            "torch_sparse", learn=True
        )
    return every


def ratios(name: str, times: Mapping[str, float]) -> list[tuple[str, dict[str, float]]]:
    """How ours compares, by one kind of time."""
    ours, bare = times["ours, genes outermost"], times["bare CSR product each way"]
    on_device = "" if name == "ms" else "_on_device"
    plain = {
        layout: round(times[f"gather and scatter, {layout}"] / ours, 1)
        for layout in ("genes outermost", "cells outermost")
    }
    over = {
        layout: round(times[f"ours, {layout}"] / bare, 2)
        for layout in ("genes outermost", "cells outermost")
    }
    return [
        (f"times_faster_than_gather_scatter{on_device}", plain),
        (f"over_bare_products{on_device}", over),
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Times every way."""
    parser = sizes(__doc__.splitlines()[0], "propagate.jsonl", repeats=15)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    device = arguments.device
    expression = count_cells(arguments.cells, arguments.genes).to(device)
    edge_index, weight = (p.to(device) for p in random_graph(arguments.genes, arguments.edges))
    upstream = torch.rand(arguments.genes, arguments.cells, device=device)
    steps = ways(expression, upstream, edge_index, weight)
    exact = ways(expression.double(), upstream.double(), edge_index, weight.double())
    expected = exact["gather and scatter, genes outermost"]()
    for name, step in steps.items():
        for found, truth in zip(step(), expected, strict=True):
            check_equal(name, found, truth, tolerance=1e-5)
    found = timings(device, steps, repeats=arguments.repeats)
    record(
        arguments.results,
        device,
        benchmark="propagate",
        genes=arguments.genes,
        cells=arguments.cells,
        edges=edge_index.size(1),
        **found,
        **{key: value for name, times in found.items() for key, value in ratios(name, times)},
    )


if __name__ == "__main__":
    main()
