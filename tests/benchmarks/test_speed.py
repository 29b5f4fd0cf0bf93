"""Each timing benchmark runs, checks its own results and writes a line that can be read."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize(
    ("script", "ways"),
    [
        ("propagate.py", ("ours, genes outermost", "gather and scatter, cells outermost")),
        ("train_step.py", ("head", "full attention and prior")),
        ("roofline.py", None),
    ],
)
def test_a_benchmark_runs_for_one_small_step(script, ways, tmp_path):
    results = tmp_path / "results.jsonl"
    sizes = ["--genes=300", "--cells=4", "--edges=1200", "--repeats=1", "--threads=1"]
    subprocess.run(
        [sys.executable, BENCHMARKS / script, *sizes, f"--results={results}"],
        check=True,
        capture_output=True,
    )
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert lines
    for line in lines:
        assert line["genes"] == 300
        assert line["versions"]["torch"]
        times = line["ms"] if ways else {line["part"]: line["ms"]}
        assert set(ways or ()) <= set(times)
        assert all(ms > 0 for ms in times.values())
