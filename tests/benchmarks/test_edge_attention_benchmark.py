import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "edge_attention.py"
SMALL = ["--genes", "60", "--cells", "3", "--edges", "200", "--repeats", "1", "--threads", "1"]
WAYS = {"fused_gene_major", "fused_cell_major", "plain_gene_major", "plain_cell_major"}


def test_one_small_step_is_checked_timed_and_recorded(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "peak_of_own_process", lambda way, arguments: 1)
    results = tmp_path / "results.jsonl"
    script.main([*SMALL, "--results", str(results)])
    attention, layer = [json.loads(line) for line in results.read_text().splitlines()]
    assert set(attention["ms"]) == set(attention["relative_error"]) == WAYS
    assert attention["relative_error"]["fused_gene_major"] < 1e-5
    assert set(layer["ms"]) == {"fused", "fused_gene_aware", "gather_scatter"}


def test_a_wrong_answer_is_not_timed(script, tmp_path, monkeypatch):
    right = script.Fused.forward
    monkeypatch.setattr(script.Fused, "forward", lambda *args: 1.0001 * right(*args))
    with pytest.raises(SystemExit, match="nothing was timed"):
        script.main([*SMALL, "--results", str(tmp_path / "results.jsonl")])


def test_memory_is_measured_in_a_process_of_its_own():
    command = [sys.executable, str(SCRIPT), *SMALL, "--memory-of", "plain_gene_major"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 0
