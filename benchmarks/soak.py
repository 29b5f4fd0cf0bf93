"""Does memory stay flat over a long life: hundreds of fits, thousands of predictions, one process?

Every round fits one model, saves and loads it, and asks it a hundred times, from cells in memory
and in a backed file.  What is resident after each round is fitted by a line over the second half of
all rounds; threads and open files are counted after the first round and after the last.  The
result is appended to results/soak.jsonl, and the script fails if it is not as it should be.

    python benchmarks/soak.py
    python benchmarks/soak.py --fits 2 --predictions 10 --results /tmp/quick.jsonl
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from common import RESULTS, record

from genegraph import GeneGCNClassifier, GeneGraph, expression_stored

NUM_CELLS, NUM_GENES, NUM_EDGES = 120, 200, 1000
LIMIT = 64.0
"""KiB that may be added for each fit and its predictions: over a thousand fits 63 MiB."""

KINDS: tuple[dict[str, Any], ...] = (
    {},
    {"attention": "full"},
    {"attention": "edges"},
    {"attention": "shared", "patience": 2},
    {"graph": None},
)


def study() -> tuple[anndata.AnnData, GeneGraph]:
    """Counts of three types and a random graph."""
    rng = np.random.default_rng(0)
    kind = np.arange(NUM_CELLS) % 3
    X = rng.poisson(rng.gamma(0.5, 2.0, (3, NUM_GENES))[kind]).astype("float32")
    genes = [f"G{i}" for i in range(NUM_GENES)]
    obs = pd.DataFrame({"type": [f"t{k}" for k in kind]}, index=[f"c{i}" for i in range(NUM_CELLS)])
    edges = rng.integers(0, NUM_GENES, (2, NUM_EDGES))
    both = np.unique(np.hstack([edges, edges[::-1]]), axis=1)
    cells = anndata.AnnData(sp.csr_matrix(X), obs=obs, var=pd.DataFrame(index=genes))
    return cells, GeneGraph(genes, both)


def in_use() -> dict[str, int]:
    """Threads, open files and resident KiB of this process (Linux)."""
    status = Path("/proc/self/status").read_text().splitlines()
    resident = next(line for line in status if line.startswith("VmRSS:"))
    return {
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "open_files": len(list(Path("/proc/self/fd").iterdir())),
        "resident_kib": int(resident.split()[1]),
    }


def one_round(
    number: int, predictions: int, cells: anndata.AnnData, graph: GeneGraph, folder: Path
) -> None:
    """Fits, saves, loads and asks, of memory and of a file in turn."""
    options = {"graph": graph, "max_epochs": 2, "hidden_channels": (16,), "verbose": False}
    options |= {"random_state": number, "device": "cpu", **KINDS[number % len(KINDS)]}
    GeneGCNClassifier(**options).fit(cells, "type").save(folder / "model")
    model = GeneGCNClassifier.load(folder / "model")
    stored = anndata.read_h5ad(folder / "cells.h5ad", backed="r")
    for turn in range(predictions):
        model.predict(stored if turn % 2 else cells)
    stored.file.close()


def slope(resident: Sequence[int]) -> float:
    """KiB added per round, by least squares over the second half of the rounds."""
    half = np.asarray(resident[len(resident) // 2 :], dtype=float)
    return float(np.polyfit(np.arange(len(half)), half, 1)[0]) if len(half) > 1 else 0.0


def main(argv: Sequence[str] | None = None) -> None:
    """Runs all rounds and records what was left behind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=200)
    parser.add_argument("--predictions", type=int, default=20_000, help="of all fits together")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS / "soak.jsonl")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    expression_stored.WINDOW_BYTES = 40_000  # the file counts as large, and is read ahead
    cells, graph = study()
    each = arguments.predictions // arguments.fits
    resident, start = [], time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        cells.write_h5ad(Path(folder) / "cells.h5ad")
        for number in range(arguments.fits):
            one_round(number, each, cells, graph, Path(folder))
            gc.collect()
            resident.append(in_use()["resident_kib"])
            if number == 0:
                first = in_use()
    last = in_use()
    found = slope(resident)
    record(
        arguments.results,
        "cpu",
        benchmark="soak",
        fits=arguments.fits,
        predictions=each * arguments.fits,
        cells=NUM_CELLS,
        genes=NUM_GENES,
        seconds=round(time.perf_counter() - start, 1),
        slope_kib_per_fit=round(found, 2),
        limit_kib_per_fit=LIMIT,
        resident_mib=[
            round(kib / 1024, 1)
            for kib in (resident[0], *resident[:: max(1, arguments.fits // 10)])
        ],
        first=first,
        last=last,
    )
    for name in ("threads", "open_files"):
        if last[name] > first[name]:
            raise SystemExit(f"{last[name] - first[name]} {name} were left behind.")
    if found > LIMIT and arguments.fits >= 100:
        raise SystemExit(f"Memory grew by {found:.0f} KiB per fit; at most {LIMIT:.0f} may be.")


if __name__ == "__main__":
    main()
