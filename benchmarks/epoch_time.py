"""What does the graph cost?  Time per epoch against the fully connected head, and peak memory.

    python benchmarks/epoch_time.py cells.h5ad --links 9606.protein.links.full.v12.0.txt.gz \
        --info 9606.protein.info.v12.0.txt.gz

All genes, batch 64, full attention plus prior.  The two are trained in turn, several times, in one
process; the ratio is taken pair by pair.  Peak memory is that of a process of its own.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from anndata import AnnData
from common import cells_and_links, peak_mib, read_cells_and_graph, record

from genegraph import GeneGCNClassifier, GeneGraph

RESULTS = Path(__file__).parent / "results" / "epoch_time.jsonl"
WRITE_UP = {
    "shrinkage": None,
    "n_top_genes": None,
    "hidden_channels": (256, 128),
    "num_heads": 1,
}
"""The write-up's network: one head on all genes, the graph after the logarithm."""


def main(argv: list[str] | None = None) -> None:
    """Times the two in turn and appends one line to the results."""
    parser = cells_and_links(__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--peak", choices=["head", "gcn"], help=argparse.SUPPRESS)
    args = parser.parse_args(argv)

    cells, graph = read_cells_and_graph(args)
    priors = {"head": None, "gcn": graph}
    if args.peak:
        _seconds(cells, args.labels, priors[args.peak], args.device, 1)
        print(peak_mib(args.device))
        return
    for prior in priors.values():  # compile the kernels, fill the caches
        _seconds(cells, args.labels, prior, args.device, 1)
    pairs = [
        [_seconds(cells, args.labels, prior, args.device, args.epochs) for prior in priors.values()]
        for _ in range(args.rounds)
    ]
    words = sys.argv[1:] if argv is None else argv
    peaks = {
        name: int(subprocess.check_output([sys.executable, __file__, *words, "--peak", name]))
        for name in priors
    }
    record(
        RESULTS,
        args.device,
        benchmark="epoch_time",
        data=args.cells.stem,
        cells=cells.n_obs,
        genes=cells.n_vars,
        edges=graph.num_edges,
        head_s=round(statistics.median(head for head, _ in pairs), 3),
        gcn_s=round(statistics.median(gcn for _, gcn in pairs), 3),
        ratio=round(statistics.median(gcn / head for head, gcn in pairs), 2),
        ratios=[round(gcn / head, 2) for head, gcn in pairs],
        head_peak_mib=peaks["head"],
        gcn_peak_mib=peaks["gcn"],
    )


def _seconds(
    cells: AnnData, labels: str, prior: GeneGraph | None, device: str, epochs: int
) -> float:
    """Seconds per epoch, validation included, start-up of the trainer too."""
    model = GeneGCNClassifier(
        prior,
        attention=None if prior is None else "full",
        **WRITE_UP,
        max_epochs=epochs,
        device=device,
        random_state=0,
        verbose=False,
    )
    start = time.perf_counter()
    model.fit(cells, labels)
    return (time.perf_counter() - start) / epochs


if __name__ == "__main__":
    main()
