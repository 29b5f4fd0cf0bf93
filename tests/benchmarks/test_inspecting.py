"""The inspecting benchmark runs on a small study, and its lines say what they should."""

import json
from pathlib import Path

from genegraph.datasets import simulate

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "inspecting.py"


def test_every_way_is_timed(script, tmp_path):
    size = {"n_cells": 200, "n_types": 4, "n_genes": 300, "n_interacting": 80, "n_modules": 4}
    simulate(tmp_path / "study", n_hidden=2, verbose=False, **size)
    results = tmp_path / "r.jsonl"
    script.main([str(tmp_path / "study"), "--repeats", "1", "--results", str(results)])
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert [line["way"] for line in lines] == ["file", "memory", "memory_log1p"]
    assert all(line["cells"] == 200 and line["seconds"] >= 0 for line in lines)
