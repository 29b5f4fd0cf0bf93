"""What every benchmark needs: fair timing, peak memory, the machine, one JSON line a result."""

import argparse
import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
import torch_geometric
from anndata import AnnData, read_h5ad
from torch import Tensor
from torch_geometric import EdgeIndex

import genegraph

RESULTS = Path(__file__).parent / "results"

WAITING_CYCLES = 40_000_000
"""Of a CUDA device before a way is timed on it: some 20 ms, longer than Python ever takes."""


def cells_and_links(description: str) -> argparse.ArgumentParser:
    """A command line that names labelled cells and a STRING download."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("cells", type=Path, help="raw counts, .h5ad")
    parser.add_argument("--labels", default="cell_type")
    parser.add_argument("--links", required=True)
    parser.add_argument("--info")
    parser.add_argument("--min-score", type=int, default=700)
    return parser


def read_cells_and_graph(args: argparse.Namespace) -> tuple[AnnData, genegraph.GeneGraph]:
    """Reads what :func:`cells_and_links` names."""
    cells = read_h5ad(args.cells)
    table = genegraph.read_stringdb(args.links, args.info, min_score=args.min_score)
    return cells, genegraph.GeneGraph.from_interactions(table, genes=cells.var_names)


def sizes(description: str, results: str, repeats: int) -> argparse.ArgumentParser:
    """A command line of a benchmark on made-up cells and a random graph."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--genes", type=int, default=20_499)
    parser.add_argument("--cells", type=int, default=64)
    parser.add_argument("--edges", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=repeats)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS / results)
    return parser


def median_ms(
    ways: Mapping[str, Callable[[], object]], *, repeats: int = 9, warm_up: int = 2
) -> dict[str, float]:
    """Returns each way's median time in ms.

    The ways take turns, so that whatever else the machine does falls on all of them alike:
    compare them within one call.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(warm_up + repeats):
        for name, way in ways.items():
            synchronize()
            start = time.perf_counter()
            way()
            synchronize()
            if turn >= warm_up:
                times[name].append(time.perf_counter() - start)
    return {name: round(1000 * statistics.median(every), 3) for name, every in times.items()}


def device_ms(
    ways: Mapping[str, Callable[[], object]], *, repeats: int = 9, warm_up: int = 2
) -> dict[str, float]:
    """Returns the median time that a CUDA device is busy with each way, in ms.

    It is first kept waiting until all of a way's work stands in line, so that Python's time, which
    small kernels hide behind, is not counted.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(warm_up + repeats):
        for name, way in ways.items():
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda._sleep(WAITING_CYCLES)
            start.record()
            way()
            end.record()
            end.synchronize()
            if turn >= warm_up:
                times[name].append(start.elapsed_time(end))
    return {name: round(statistics.median(every), 4) for name, every in times.items()}


def timings(
    device: str, ways: Mapping[str, Callable[[], object]], *, repeats: int
) -> dict[str, dict[str, float]]:
    """``ms`` of every way as called and, on a device, ``device_ms`` without Python's share."""
    found = {"ms": median_ms(ways, repeats=repeats)}
    if device != "cpu":
        found["device_ms"] = device_ms(ways, repeats=repeats)
    return found


def synchronize() -> None:
    """Waits for the accelerator, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_mib(device: str) -> int:
    """Largest memory since the start or :func:`reset_peak`: of the device, else resident."""
    if device != "cpu":
        return round(torch.cuda.max_memory_allocated() / 2**20)
    # Not resource.getrusage: its maximum starts at what the parent held before exec.
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return round(int(line.split()[1]) / 1024)


def reset_peak(device: str) -> None:
    """Forgets the peak so far, so that :func:`peak_mib` speaks of what comes after (Linux)."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        return
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")


def machine(device: str) -> dict[str, Any]:
    """What the numbers depend on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cpu = models[0] if models else platform.processor()
    return {
        "device": cpu if device == "cpu" else torch.cuda.get_device_name(),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),
        "versions": {
            "genegraph": genegraph.__version__,
            "torch": torch.__version__,
            "torch_geometric": torch_geometric.__version__,
            "numba": numba.__version__,
            **({} if device == "cpu" else {"triton": version("triton")}),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def record(results: Path, device: str, **result: Any) -> None:
    """Prints one result and appends it to a file as one line of JSON."""
    today = datetime.now(UTC).date().isoformat()
    line = json.dumps({**result, "peak_mib": peak_mib(device), "date": today, **machine(device)})
    print(line, flush=True)
    results.parent.mkdir(parents=True, exist_ok=True)
    with results.open("a") as stream:
        stream.write(line + "\n")


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    """Largest error in units of the largest reference value."""
    ours, theirs = ours.detach().double(), theirs.detach().double()
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def check_equal(name: str, ours: Tensor, theirs: Tensor, tolerance: float = 1e-4) -> None:
    """Stops the benchmark if two ways to one result differ: a fast wrong answer is none."""
    error = relative_error(ours, theirs)
    if not error <= tolerance:
        raise SystemExit(f"{name}: the two ways differ by {error:.1e}; nothing was timed.")


def count_cells(num_cells: int, num_genes: int, share: float = 0.15, seed: int = 0) -> Tensor:
    """Single-cell-like expression: log of normalised counts, ``share`` of the genes not zero."""
    rng = np.random.default_rng(seed)
    counts = 1 + rng.poisson(rng.gamma(0.3, 4.0, (num_cells, num_genes)))
    counts = counts * (rng.random((num_cells, num_genes)) < share)
    depth = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return torch.from_numpy(np.log1p(1e4 * counts / depth)).float()


def random_graph(num_genes: int, num_edges: int, seed: int = 0) -> tuple[EdgeIndex, Tensor]:
    """Random undirected edges sorted by target, their cache filled, and one weight each."""
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.randint(num_genes, (2, num_edges // 2), generator=generator)
    both = torch.cat([pairs, pairs.flip(0)], dim=1)
    both = both[:, both[1].argsort(stable=True)]
    edge_index = EdgeIndex(both, sparse_size=(num_genes, num_genes), sort_order="col")
    return edge_index.fill_cache_(), torch.rand(both.size(1), generator=generator)


def forward_backward(module: torch.nn.Module, *inputs: Tensor) -> None:
    """One step without the optimiser, gradients of parameters and of inputs that want one."""
    for part in (*module.parameters(), *inputs):
        part.grad = None
    module(*inputs).sum().backward()
