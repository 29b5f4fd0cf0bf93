"""Can the whole human STRING network be read in little time and memory?

Writes a links file and an info file of the real size (13,715,404 rows, 19,699 proteins, the
real shares of scores) to a temporary folder, reads them in a fresh process for each cut-off,
checks the result, and appends one JSON line for each to results/read_stringdb.jsonl.

    python benchmarks/read_stringdb.py
    python benchmarks/read_stringdb.py --rows 20000 --results /tmp/quick.jsonl
"""

import argparse
import gzip
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import genegraph
from genegraph.interactions import read_stringdb

NUM_ROWS = 13_715_404
NUM_PROTEINS = 19_699
# Shares of the rows of 9606.protein.links.v12.0 below 400, in 400..699 and from 700 on.
SHARES = (0.8645, 0.1010, 0.0345)
BOUNDS = (150, 400, 700, 1000)
ROWS_AT_ONCE = 500_000


def write_network(folder: Path, num_rows: int, seed: int = 0) -> tuple[Path, Path, np.ndarray]:
    """Writes links (both directions, sorted by the first protein) and info; returns scores."""
    rng = np.random.default_rng(seed)
    proteins = np.array([f"9606.ENSP{number:011d}" for number in range(NUM_PROTEINS)])
    pairs = rng.choice(NUM_PROTEINS * (NUM_PROTEINS - 1) // 2, num_rows // 2, replace=False)
    # Pair k of the triangle below the diagonal lies in row i, where i (i - 1) / 2 <= k.
    i = np.floor((1 + np.sqrt(1 + 8 * pairs.astype(float))) / 2).astype(np.int64)
    j = pairs - i * (i - 1) // 2
    band = rng.choice(len(SHARES), len(pairs), p=SHARES)
    scores = rng.integers(np.array(BOUNDS)[band], np.array(BOUNDS)[band + 1])
    order = np.argsort(np.concatenate([i, j]) * NUM_PROTEINS + np.concatenate([j, i]))
    links = folder / "9606.protein.links.v12.0.txt.gz"
    with gzip.open(links, "wt", compresslevel=1) as stream:
        stream.write("protein1 protein2 combined_score\n")
        for start in range(0, len(order), ROWS_AT_ONCE):
            rows = order[start : start + ROWS_AT_ONCE]
            pair, forward = rows % len(pairs), rows < len(pairs)
            first = proteins[np.where(forward, i[pair], j[pair])]
            second = proteins[np.where(forward, j[pair], i[pair])]
            lines = zip(first, second, scores[pair].tolist(), strict=True)
            stream.writelines(f"{a} {b} {score}\n" for a, b, score in lines)
    info = folder / "9606.protein.info.v12.0.txt.gz"
    with gzip.open(info, "wt") as stream:
        stream.write("#string_protein_id\tpreferred_name\tprotein_size\tannotation\n")
        stream.writelines(f"{name}\tGENE{n}\t100\tnone\n" for n, name in enumerate(proteins))
    return links, info, scores


def measure(links: str, info: str, min_score: int) -> dict[str, Any]:
    """Reads once, in this process."""
    before = peak_rss_mib()
    start, start_cpu = time.perf_counter(), time.process_time()
    table = read_stringdb(links, info, min_score=min_score)
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    return {
        "pairs": len(table),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "peak_rss_mib": peak_rss_mib(),
        "rss_after_imports_mib": before,
    }


def peak_rss_mib() -> int:
    """Largest resident memory of this process; Linux only."""
    # Not resource.getrusage: its maximum starts at what the parent held before exec.
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return round(int(line.split()[1]) / 1024)


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "versions": {
            "genegraph": genegraph.__version__,
            "numpy": np.__version__,
            "pandas": pd.__version__,
            "python": platform.python_version(),
        },
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Writes the network, then reads it at each cut-off in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=NUM_ROWS, help="rows of the links file")
    parser.add_argument("--min-scores", type=int, nargs="+", default=[400, 0])
    default = Path(__file__).parent / "results" / "read_stringdb.jsonl"
    parser.add_argument("--results", type=Path, default=default)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.measure:
        links, info, min_score = arguments.measure
        print(json.dumps(measure(links, info, int(min_score))))
        return
    with tempfile.TemporaryDirectory() as folder:
        links, info, scores = write_network(Path(folder), arguments.rows)
        for min_score in arguments.min_scores:
            command = [sys.executable, __file__, "--measure", links, info, str(min_score)]
            here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
            output = subprocess.run(command, capture_output=True, check=True, text=True, env=here)
            result = json.loads(output.stdout)
            assert result["pairs"] == np.count_nonzero(scores >= min_score), "wrong table"
            record = {"benchmark": "read_stringdb", "rows": 2 * len(scores), "min_score": min_score}
            record |= {"file_mib": round(links.stat().st_size / 2**20), **result, **machine()}
            print(json.dumps(record))
            arguments.results.parent.mkdir(parents=True, exist_ok=True)
            with arguments.results.open("a") as stream:
                stream.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
