"""How long does it take to look at cells before training?  Seconds and memory, all cells.

    python -c "from genegraph.datasets import simulate; simulate('study', n_cells=100_000)"
    python benchmarks/inspecting.py study

One line each for counts in the file, counts in memory and their logarithms in memory, with the
study's STRING graph, labels and batches.  CPU seconds tell what it costs on a machine that is busy
with other things; ``added_mib`` is what the looking adds to the memory in use.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from anndata import AnnData, read_h5ad
from common import RESULTS, peak_mib, record, reset_peak

from genegraph import GeneGraph, inspect, read_stringdb


def main(argv: list[str] | None = None) -> None:
    """Times each way and appends one line for each to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path, help="folder written by genegraph.datasets.simulate")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS / "inspecting.jsonl")
    args = parser.parse_args(argv)
    (links,) = args.study.glob("*.protein.links.*")
    (info,) = args.study.glob("*.protein.info.*")
    graph = GeneGraph.from_interactions(read_stringdb(links, info))
    for way in ("file", "memory", "memory_log1p"):
        cells = read_h5ad(args.study / "cells.h5ad", backed="r" if way == "file" else None)
        if way == "memory_log1p":
            take_logarithms(cells)
        seconds, cpu_seconds = [], []
        reset_peak("cpu")
        before = peak_mib("cpu")
        for _ in range(args.repeats):
            start, cpu_start = time.perf_counter(), time.process_time()
            seen = inspect(cells, graph, "cell_type", "batch")
            seconds.append(time.perf_counter() - start)
            cpu_seconds.append(time.process_time() - cpu_start)
        if seen.values != ("log1p" if way == "memory_log1p" else "counts"):
            raise SystemExit(f"{way}: the values were taken for {seen.values}.")
        record(
            args.results,
            "cpu",
            benchmark="inspecting",
            way=way,
            cells=cells.n_obs,
            genes=cells.n_vars,
            storage=seen.storage,
            seconds=round(statistics.median(seconds), 2),
            cpu_seconds=round(statistics.median(cpu_seconds), 2),
            every_seconds=[round(second, 2) for second in seconds],
            added_mib=peak_mib("cpu") - before,
        )


def take_logarithms(cells: AnnData) -> None:
    """Counts per 10,000, then log1p, in place."""
    totals = np.asarray(cells.X.sum(axis=1)).ravel()
    scale = np.repeat(1e4 / np.maximum(totals, 1), np.diff(cells.X.indptr))
    cells.X.data = np.log1p(cells.X.data * scale).astype(np.float32)


if __name__ == "__main__":
    main()
