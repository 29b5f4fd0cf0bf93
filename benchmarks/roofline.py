"""How close does each kernel come to what the machine can do?

The machine's limits are measured first: bytes a second of a copy far larger than the caches, and
operations a second of a matrix product.  Of each part of a training step (forward and backward)
the least work is written down: bytes that must be read or written at all, and arithmetic.  The
share of the limit is the least time by those two limits over the time taken; the product along
edges is also given with its gathers, one row of all cells per edge, which caches may serve faster
than memory could.  Results are appended to results/roofline.jsonl.

    python benchmarks/roofline.py
    python benchmarks/roofline.py --genes 500 --cells 8 --edges 2000 --results /tmp/quick.jsonl
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from common import count_cells, device_ms, median_ms, random_graph, record, sizes

from genegraph.nn import GeneGraphConv
from genegraph.nn.propagation import propagate

FLOAT, INDEX = 4, 8
"""Bytes of a number and of an index."""

COPIED = 2**26
"""Numbers in the copy: 256 MiB."""

SIDE = 2048
"""Rows of the matrices in the product."""

EXPONENTIAL = 12
"""Operations of one exponential: reduction of the range and a polynomial."""


def milliseconds(
    device: str, ways: Mapping[str, Callable[[], object]], repeats: int
) -> dict[str, float]:
    """Median times; on CUDA those of the device, as Python's would hide them."""
    measure = median_ms if device == "cpu" else device_ms
    return measure(ways, repeats=repeats)


def limits(device: str, repeats: int) -> tuple[float, float]:
    """Returns bytes and operations a second."""
    source = torch.rand(COPIED, device=device)
    target = torch.empty_like(source)
    matrix = torch.rand(SIDE, SIDE, device=device)
    times = milliseconds(
        device,
        {"copy": lambda: target.copy_(source), "product": lambda: matrix @ matrix},
        repeats,
    )
    return 2 * FLOAT * COPIED / times["copy"] * 1e3, 2 * SIDE**3 / times["product"] * 1e3


def main(argv: Sequence[str] | None = None) -> None:
    """Measures the limits, then every part."""
    parser = sizes(__doc__.splitlines()[0], "roofline.jsonl", repeats=15)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    bandwidth, arithmetic = limits(args.device, args.repeats)
    x = count_cells(args.cells, args.genes).to(args.device)
    edge_index, weight = (p.to(args.device) for p in random_graph(args.genes, args.edges))
    gene_major = x.T.contiguous()
    upstream = torch.rand_like(gene_major)
    full, edges = (
        GeneGraphConv(1, 1, attention=kind).to(args.device) for kind in ("full", "edges")
    )
    head = torch.nn.Linear(args.genes, 256, device=args.device)

    def product() -> None:
        propagate(edge_index, weight, gene_major.detach().requires_grad_(), "auto").backward(
            upstream
        )

    def layer(conv: GeneGraphConv, *graph: torch.Tensor) -> Callable[[], None]:
        cells = gene_major.T[..., None]
        return lambda: conv(cells, *graph).sum().backward()

    one = args.genes * args.cells * FLOAT  # one number per gene and cell
    graph = edge_index.size(1) * (INDEX + FLOAT)
    pairs = edge_index.size(1) * args.cells
    weights = args.genes * 256 * FLOAT
    parts: dict[str, tuple[Callable[[], object], float, float]] = {
        "product along edges": (product, 4 * one + 2 * graph, 4 * pairs),
        "product along edges, with gathers": (
            product,
            2 * (pairs * FLOAT + one + graph),
            4 * pairs,
        ),
        "attention along edges and product": (
            layer(edges, edge_index, weight),
            5 * one + 2 * graph,
            (2 * EXPONENTIAL + 16) * pairs,
        ),
        "full attention": (layer(full), 5 * one, 0.0),
        "first layer of the head": (
            lambda: head(x).sum().backward(),
            2 * one + 3 * weights,
            4 * args.genes * 256 * args.cells,
        ),
    }
    steps = {name: step for name, (step, _, _) in parts.items()}
    times = milliseconds(args.device, steps, args.repeats)
    for name, (_, moved, operations) in parts.items():
        least = 1e3 * max(moved / bandwidth, operations / arithmetic)
        record(
            args.results,
            args.device,
            benchmark="roofline",
            part=name,
            genes=args.genes,
            cells=args.cells,
            edges=edge_index.size(1),
            copy_gb_per_s=round(bandwidth / 1e9, 1),
            product_gflop_per_s=round(arithmetic / 1e9, 1),
            moved_mb=round(moved / 1e6, 1),
            mflop=round(operations / 1e6, 1),
            ms=times[name],
            least_ms=round(least, 4),
            share_of_limit=round(least / times[name], 3),
        )


if __name__ == "__main__":
    main()
