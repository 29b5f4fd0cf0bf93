"""What does it cost to train on a file larger than memory?  Cells per second, and memory.

    python -c "from genegraph.datasets import simulate; simulate('study', n_cells=1_000_000)"
    python benchmarks/feeding.py study/cells.h5ad reading loaders training fit
    python benchmarks/feeding.py study/cells.h5ad training --unpacked

``reading``: the file's two long arrays from the beginning, block by block, in turn as the package
unpacks gzip and as HDF5 does.  ``loaders``: batches of 64 alone, ours against AnnData's and
annbatch's, where these are installed (annbatch needs zarr, Python 3.12 or newer, and a copy of the
cells that it writes itself).
``training``: the default network with no graph, in turn from the file and from its first cells in
memory, pair by pair, in seconds and in CPU seconds.  A round should be several windows (16,384 of
these cells): the first is waited for, and the one after the last is read in vain.  ``fit``: a whole
fit from the file, and its peak memory.  Run each in a process of its own: peak memory is that of
the process.  ``--unpacked`` measures on a copy without compression, as AnnData writes by default,
that it makes beside the file and leaves there.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from anndata import AnnData, read_h5ad
from anndata.io import sparse_dataset
from common import RESULTS, record, reset_peak
from lightning.pytorch.callbacks import Callback

from genegraph import GeneGCNClassifier
from genegraph.batches import CellLoader, dense
from genegraph.expression import labels_from_obs
from genegraph.expression_matrix import AnyMatrix, as_float32, tidy
from genegraph.expression_stored import BLOCK_BYTES, StoredMatrix
from genegraph.packed_values import PackedValues, unpackable
from genegraph.recipe import Recipe
from genegraph.resampling import ResampledCells
from genegraph.splitting import split_folds
from genegraph.training import CellTypeTask, train

BATCH = 64
COPIED = 16_777_216  # values at a time
PARTS = ("reading", "loaders", "training", "fit")


def main(argv: list[str] | None = None) -> None:
    """Measures the parts asked for and appends one line for each to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cells", type=Path, help="raw counts, .h5ad, CSR")
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--labels", default="cell_type")
    parser.add_argument("--memory", type=int, default=100_000, help="first cells, held in memory")
    parser.add_argument("--measured", type=int, default=98_304, help="cells a round")
    parser.add_argument("--seconds", type=float, default=30, help="longest round of a loader")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--unpacked", action="store_true", help="a copy without compression")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--results", type=Path, default=RESULTS / "feeding.jsonl")
    args = parser.parse_args(argv)
    if args.unpacked:
        args.cells = unpacked(args.cells)
    measure = {"reading": reading, "loaders": loaders, "training": training, "fit": fit}
    for part in args.parts:
        cells = read_h5ad(args.cells, backed="r")
        about = {
            "benchmark": "feeding",
            "part": part,
            "cells": cells.n_obs,
            "genes": cells.n_vars,
            "nonzero": round(cells.X.group["data"].shape[0] / cells.n_obs / cells.n_vars, 3),
            "compression": cells.X.group["data"].compression,
            "shuffle": cells.X.group["data"].shuffle,
        }
        reset_peak("cpu")
        record(args.results, args.device, **about, **measure[part](cells, args))


def unpacked(path: Path) -> Path:
    """A copy of the file beside it, its cells without compression."""
    copy = path.with_stem(f"{path.stem}_unpacked")
    if copy.exists():
        return copy
    part = copy.with_suffix(".part")
    with h5py.File(path) as old, h5py.File(part, "w") as new:
        new.attrs.update(old.attrs)
        for name in old.keys() - {"X"}:
            old.copy(name, new)
        cells = new.create_group("X")
        cells.attrs.update(old["X"].attrs)
        old.copy("X/indptr", cells)
        for name in ("data", "indices"):
            packed = old["X"][name]
            plain = cells.create_dataset(name, packed.shape, packed.dtype)
            for first in range(0, len(packed), COPIED):
                plain[first : first + COPIED] = packed[first : first + COPIED]
    return part.rename(copy)


def reading(cells: AnnData, args: argparse.Namespace) -> dict[str, Any]:
    """Values unpacked from the first cells measured, MiB per second of both arrays."""
    arrays = [cells.X.group[name] for name in ("data", "indices")]
    if not all(unpackable(array) for array in arrays):
        raise SystemExit("'reading' compares ways to unpack gzip: give a file packed with it.")
    end = int(cells.X.group["indptr"][min(args.measured, cells.n_obs)])
    step = BLOCK_BYTES // 8
    size = sum(array.dtype.itemsize for array in arrays) * end / 2**20

    def rate(readers: list[Any]) -> float:
        start = time.perf_counter()
        for reader in readers:
            for first in range(0, end, step):
                reader[first : min(first + step, end)]
        return size / (time.perf_counter() - start)

    packed = [PackedValues(array) for array in arrays]
    for reader, array in zip(packed, arrays, strict=True):
        np.testing.assert_array_equal(reader[0 : min(step, end)], array[0 : min(step, end)])
    pairs = [(rate(packed), rate(arrays)) for _ in range(args.rounds)]
    return {
        "measured": min(args.measured, cells.n_obs),
        "libdeflate_mib_per_s": round(statistics.median(ours for ours, _ in pairs)),
        "hdf5_mib_per_s": round(statistics.median(theirs for _, theirs in pairs)),
        "ratio": round(statistics.median(ours / theirs for ours, theirs in pairs), 2),
        "ratios": [round(ours / theirs, 2) for ours, theirs in pairs],
    }


def loaders(cells: AnnData, args: argparse.Namespace) -> dict[str, Any]:
    """Batches alone: cells per second, each loader for so many cells or seconds."""
    few = first_cells(cells, min(args.memory, args.measured))
    found: dict[str, Any] = {"batch": BATCH, "measured": args.measured}
    with tempfile.TemporaryDirectory(dir=args.cells.parent) as folder:
        ways: dict[str, Callable[[], Iterable[Any]]] = {
            "memory": lambda: CellLoader(rows(few.X, few, args.labels), BATCH, seed=0),
            "h5ad": lambda: CellLoader(rows(stored(cells.X), cells, args.labels), BATCH, seed=0),
            "h5ad_in_turn": lambda: CellLoader(rows(stored(cells.X), cells, args.labels), BATCH),
            "annloader": lambda: annloader(cells),
        }
        try:
            import zarr
        except ImportError:
            found["zarr"] = "not installed"
        else:
            few.write_zarr(Path(folder) / "cells.zarr")
            group = zarr.open(Path(folder) / "cells.zarr", mode="r")["X"]
            X = sparse_dataset(group)
            ways["zarr"] = lambda: CellLoader(rows(stored(X), few, args.labels), BATCH, seed=0)
        for name, way in ways.items():
            rates = [loading_rate(way(), args) for _ in range(args.rounds)]
            found[f"{name}_cells_per_s"] = round(statistics.median(rates))
    check_batches(stored(cells.X), few, args.labels)
    return found


def annloader(cells: AnnData) -> Iterable[Any]:
    """AnnData's own: a random cell is a read of its own."""
    from anndata.experimental import AnnLoader

    loader = AnnLoader(cells, batch_size=BATCH, shuffle=True)
    return ({"y": batch.X} for batch in loader)  # X is read when it is asked for


def loading_rate(loader: Iterable[Any], args: argparse.Namespace) -> float:
    """Cells per second, from the first that is asked for."""
    start, number = time.perf_counter(), 0
    for batch in loader:
        number += len(batch["y"])
        if number >= args.measured or time.perf_counter() - start > args.seconds:
            break
    return number / (time.perf_counter() - start)


def check_batches(X: StoredMatrix, few: AnnData, labels: str) -> None:
    """Stops the benchmark if the batches from disk are not those of the same cells in memory."""
    number = min(10 * BATCH, few.n_obs)
    disk = CellLoader(rows(X.take(np.arange(number)), few, labels), BATCH, seed=1)
    memory = CellLoader(rows(few.X[:number], few, labels), BATCH, seed=1)
    for ours, theirs in itertools.islice(zip(disk, memory, strict=True), 3):
        if not torch.equal(dense(ours), dense(theirs)):
            raise SystemExit("batches from the file differ from those in memory")


def training(cells: AnnData, args: argparse.Namespace) -> dict[str, Any]:
    """The steps of training: cells per second from disk and from memory, in turn."""
    few = first_cells(cells, args.memory)
    sample = few[: min(2000, len(few))].copy()
    model = GeneGCNClassifier(max_epochs=1, device=args.device, random_state=0, verbose=False)
    network = model.fit(sample, args.labels).network_
    known = {
        "disk": rows(stored(cells.X), cells, args.labels),
        "memory": rows(few.X, few, args.labels),
    }

    def rate(name: str) -> tuple[float, float]:
        clock = Clock()
        options = {"callbacks": [clock], "limit_train_batches": -(-args.measured // BATCH)}
        task = CellTypeTask(network, Recipe(max_epochs=1, lr=1e-6), num_folds=6)
        device = {"cuda": "gpu"}.get(args.device, args.device)
        train(task, known[name], None, device=device, trainer_options=options)
        return clock.cells / clock.seconds, clock.cells / clock.cpu_seconds

    both = [(rate("disk"), rate("memory")) for _ in range(args.rounds)]
    pairs = [(disk[0], memory[0]) for disk, memory in both]
    cpu = [(disk[1], memory[1]) for disk, memory in both]
    return {
        "batch": BATCH,
        "measured": args.measured,
        "in_memory": len(few),
        "disk_cells_per_s": round(statistics.median(disk for disk, _ in pairs)),
        "memory_cells_per_s": round(statistics.median(memory for _, memory in pairs)),
        "ratio": round(statistics.median(disk / memory for disk, memory in pairs), 2),
        "ratios": [round(disk / memory, 2) for disk, memory in pairs],
        "ratio_of_cpu_time": round(statistics.median(disk / memory for disk, memory in cpu), 2),
        "ratios_of_cpu_time": [round(disk / memory, 2) for disk, memory in cpu],
    }


def fit(cells: AnnData, args: argparse.Namespace) -> dict[str, Any]:
    """A whole fit from the file, of one epoch: checks, statistics, training, calibration."""
    clock = Clock()
    model = GeneGCNClassifier(
        max_epochs=1,
        device=args.device,
        random_state=0,
        verbose=False,
        trainer_options={"callbacks": [clock]},
    )
    start = time.perf_counter()
    model.fit(cells, args.labels)
    held = model.held_out_
    return {
        "epochs": 1,
        "fit_s": round(time.perf_counter() - start),
        "epoch_s": round(clock.seconds),
        "epoch_cells_per_s": round(clock.cells / clock.seconds),
        "held_out_accuracy": round(float((held["label"] == held["predicted"]).mean()), 4),
    }


class Clock(Callback):
    """Seconds of the epochs, from the first cell asked for; CPU seconds of all threads.

    CPU time tells what the reading costs on a machine that is busy with other things.
    """

    def __init__(self) -> None:
        self.seconds, self.cpu_seconds, self.cells = 0.0, 0.0, 0

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Starts."""
        self.seconds -= time.perf_counter()
        self.cpu_seconds -= time.process_time()

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, i: int
    ) -> None:
        """Counts."""
        self.cells += len(batch["y"])

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Stops."""
        self.seconds += time.perf_counter()
        self.cpu_seconds += time.process_time()


def first_cells(cells: AnnData, number: int) -> AnnData:
    """The first cells of the file, in memory."""
    X = cells.X[: min(number, cells.n_obs)]
    return AnnData(X, obs=cells.obs[: X.shape[0]].copy(), var=cells.var)


def stored(X: Any) -> StoredMatrix:
    """A matrix that stays on disk, whatever its size."""
    return StoredMatrix(X, (lambda part, _: as_float32(tidy(part)),))


def rows(X: AnyMatrix, cells: AnnData, labels: str) -> ResampledCells:
    """The cells as the classifier's training takes them."""
    codes = np.unique(labels_from_obs(cells, labels), return_inverse=True)[1].astype(np.int64)
    codes = codes[: X.shape[0]]
    fold = split_folds(codes, 6, np.random.RandomState(0))
    depth = np.full(len(codes), 5000, np.float32)
    return ResampledCells(X, codes, depth, fold, 0)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
