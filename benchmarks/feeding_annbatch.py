"""How fast is annbatch on the same cells?  For an environment of its own (Python 3.12 or newer).

    pip install "annbatch[zarrs,numba]" h5py psutil
    python benchmarks/feeding_annbatch.py study/cells.h5ad

It reads zarr only, so the first cells are copied to a zarr store first; that it refuses the h5ad
file is noted.  Blocks of 256 cells, 64 of them at once: a window as large as ours.  Whatever is
imported here is part of that environment, so this script knows nothing of genegraph.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import anndata
import numpy as np
import zarr
from annbatch import Loader

BATCH, BLOCK, BLOCKS = 64, 256, 64


def main(argv: list[str] | None = None) -> None:
    """Appends one line to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cells", type=Path, help="raw counts, .h5ad, CSR")
    parser.add_argument("--measured", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--results", type=Path, default=Path(__file__).parent / "results" / "feeding.jsonl"
    )
    args = parser.parse_args(argv)
    cells = anndata.read_h5ad(args.cells, backed="r")
    number = min(args.measured, cells.n_obs)
    with tempfile.TemporaryDirectory(dir=args.cells.parent) as folder:
        few = anndata.AnnData(cells.X[:number], obs=cells.obs[:number].copy(), var=cells.var)
        few.write_zarr(Path(folder) / "cells.zarr")
        X = anndata.io.sparse_dataset(zarr.open(Path(folder) / "cells.zarr", mode="r")["X"])
        rates = {
            name: statistics.median(
                rate(anndata.AnnData(X, obs=few.obs), number) for _ in range(args.rounds)
            )
            for name in codecs()
        }
    line = {
        "benchmark": "feeding",
        "part": "annbatch",
        "genes": cells.n_vars,
        "batch": BATCH,
        "measured": number,
        "h5ad": refusal(cells),
        **{f"{name}_cells_per_s": round(value) for name, value in rates.items()},
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "versions": {name: version(name) for name in ("annbatch", "anndata", "zarr", "numpy")},
    }
    print(json.dumps(line))
    with args.results.open("a") as stream:
        stream.write(json.dumps(line) + "\n")


def codecs() -> Iterator[str]:
    """Which decoders to measure, each set for all of zarr when its turn comes."""
    for name, path in (("zarr", None), ("zarrs", "zarrs.ZarrsCodecPipeline")):
        if path is not None:
            zarr.config.set({"codec_pipeline.path": path})
        yield name


def loader(cells: anndata.AnnData) -> Loader:
    """Shuffled over a window of blocks, as ours."""
    rng = np.random.default_rng(0)
    options = {"chunk_size": BLOCK, "preload_nchunks": BLOCKS, "batch_size": BATCH, "rng": rng}
    return Loader(shuffle=True, **options).add_adata(cells)


def rate(cells: anndata.AnnData, number: int) -> float:
    """Cells per second, from the first that is asked for."""
    start = time.perf_counter()
    met = sum(batch["X"].shape[0] for batch in loader(cells))
    if met != number:
        raise SystemExit(f"annbatch gave {met} of {number} cells; nothing was measured.")
    return number / (time.perf_counter() - start)


def refusal(cells: anndata.AnnData) -> str:
    """What it says to the backed h5ad file."""
    try:
        next(iter(loader(cells)))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "read"


if __name__ == "__main__":
    main()
