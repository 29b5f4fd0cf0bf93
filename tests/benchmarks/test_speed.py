"""Each timing benchmark runs, checks its own results and writes a line that can be read."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
DATA = Path(__file__).parents[3] / "shared" / "data"


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


@pytest.mark.skipif(not DATA.exists(), reason="the real cells are not there")
def test_end_to_end_times_each_method_in_a_process_of_its_own(tmp_path):
    pytest.importorskip("scanpy")
    results = tmp_path / "results.jsonl"
    string = DATA / "string"
    words = ["--cells", DATA / "cells", "--set", "pbmc700", "--rounds", 1, "--threads", 1]
    words += ["--links", string / "9606.protein.links.full.v12.0.subset.txt.gz"]
    words += ["--info", string / "9606.protein.info.v12.0.subset.txt.gz"]
    words += ["--mouse", string / "string_pathfindR_mouse_symbols.tsv.gz"]
    words += ["--methods", "linear SVM", "--results", results]
    command = [sys.executable, BENCHMARKS / "end_to_end.py", *words]
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert [line["method"] for line in lines] == ["linear SVM"]
    assert lines[0]["over linear SVM"] == 1
    for line in lines:
        assert line["seconds"] > 0
        assert 0.7 < line["accuracy"] < 1
