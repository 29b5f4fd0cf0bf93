"""Can a million cells be named from a backed file, and in how much memory?

Simulated counts of few reads are written block by block, a model is fitted on the first cells, and
all are named from the file opened with ``backed="r"``.  The answers about some of the cells must be
those of a plain call in memory, and what is resident must stay below the limit.  The file is
deleted afterwards; the result is appended to results/predict_million.jsonl.

    python benchmarks/predict_million.py --folder /tmp/million
    python benchmarks/predict_million.py --cells 10000 --folder /tmp/few --results /tmp/quick.jsonl
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from common import RESULTS, check_equal, peak_mib, record, reset_peak

from genegraph import GeneGCNClassifier, GeneGraph
from genegraph.expression import read_matrix
from genegraph.expression_stored import StoredMatrix
from genegraph.simulation.h5ad_file import write_h5ad

LIMIT_MIB = 1024
"""What may be resident while a million cells are named, libraries and answers included."""

NUM_GENES, NUM_TYPES, READS, NUM_EDGES = 2000, 10, 100, 20_000
TRAINED, CHECKED, AT_ONCE = 2000, 1000, 10_000


def drawn(num_cells: int) -> Iterator[sp.csr_matrix]:
    """Counts of so many reads each; the type of cell b is b modulo the number of types."""
    rng = np.random.default_rng(0)
    rates = rng.gamma(0.3, 1.0, (NUM_TYPES, NUM_GENES))
    reach = np.cumsum(rates / rates.sum(1, keepdims=True), axis=1)
    for first in range(0, num_cells, AT_ONCE):
        cells = np.arange(min(AT_ONCE, num_cells - first))
        kind = (first + cells) % NUM_TYPES
        gene = np.empty((len(cells), READS), np.int64)
        for k in range(NUM_TYPES):
            gene[kind == k] = np.searchsorted(reach[k], rng.random(((kind == k).sum(), READS)))
        ones = np.ones(gene.size, np.float32)
        places = (np.repeat(cells, READS), gene.clip(max=NUM_GENES - 1).ravel())
        yield sp.csr_matrix((ones, places), shape=(len(cells), NUM_GENES))  # adds up what meets


def write(path: Path, num_cells: int) -> None:
    """Writes the cells with their types."""
    names = pd.Index(np.arange(num_cells).astype(str))
    types = pd.Categorical.from_codes(
        np.arange(num_cells) % NUM_TYPES, [f"type {k}" for k in range(NUM_TYPES)]
    )
    obs = pd.DataFrame({"cell_type": types}, index=names)
    var = pd.DataFrame(index=[f"G{i}" for i in range(NUM_GENES)])
    write_h5ad(path, drawn(num_cells), obs, var, {})


def fitted(cells: anndata.AnnData) -> GeneGCNClassifier:
    """The default classifier, with a random graph."""
    edges = np.random.default_rng(1).integers(0, NUM_GENES, (2, NUM_EDGES // 2))
    both = np.unique(np.hstack([edges, edges[::-1]]), axis=1)
    graph = GeneGraph(list(cells.var_names), both)
    model = GeneGCNClassifier(graph, max_epochs=2, random_state=0, device="cpu", verbose=False)
    return model.fit(cells, "cell_type")


def main(argv: Sequence[str] | None = None) -> None:
    """Writes, fits, names and records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the file is while it is needed")
    parser.add_argument("--results", type=Path, default=RESULTS / "predict_million.jsonl")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "cells.h5ad"
        write(path, arguments.cells)
        stored = anndata.read_h5ad(path, backed="r")
        model = fitted(stored[:TRAINED].to_memory())
        on_disk = isinstance(read_matrix(stored), StoredMatrix)
        stored_values = int(stored.X.group["data"].shape[0])
        reset_peak("cpu")
        before = peak_mib("cpu")
        start = time.perf_counter()
        proba = model.predict_proba(stored)
        seconds = time.perf_counter() - start
        peak = peak_mib("cpu")
        some = stored[arguments.cells - CHECKED :].to_memory()
        check_equal(
            "from the file and in memory",
            torch.from_numpy(proba[-CHECKED:]),
            torch.from_numpy(model.predict_proba(some)),
            1e-6,
        )
        named = model.classes_[proba.argmax(1)]
        right = float((named == stored.obs["cell_type"].to_numpy()).mean())
        stored.file.close()
    record(
        arguments.results,
        "cpu",
        benchmark="predict_million",
        cells=arguments.cells,
        genes=NUM_GENES,
        stored_values=stored_values,
        types=NUM_TYPES,
        on_disk=on_disk,
        seconds=round(seconds, 1),
        cells_per_s=round(arguments.cells / seconds),
        resident_before_mib=before,
        resident_peak_mib=peak,
        limit_mib=LIMIT_MIB,
        accuracy=round(right, 4),
    )
    if peak > LIMIT_MIB:
        raise SystemExit(f"{peak} MiB were resident; at most {LIMIT_MIB} may be.")


if __name__ == "__main__":
    main()
