import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "attention.py"
SMALL = ["--genes=60", "--cells=2", "--repeats=1", "--plain-repeats=1", "--threads=1"]
SMALL += ["--sizes", "40", "60"]
WAYS = {"counts", "distinct", "distinct_gradient_of_x", "gene_aware"}


def test_one_small_step_is_checked_timed_and_recorded(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "peak_of_own_process", lambda way, arguments: 1)
    results = tmp_path / "results.jsonl"
    script.main([*SMALL, "--results", str(results)])
    error, growth, plain = [json.loads(line) for line in results.read_text().splitlines()]
    assert set(error["relative_error"]) == WAYS
    assert max(max(each.values()) for each in error["relative_error"].values()) < 1e-5
    assert set(growth["ms_per_cell"]) == {"40", "60"}
    assert set(growth["exponent"]) == WAYS
    assert set(plain["ms_per_cell"]) == {*WAYS, "materialized_one_cell"}


def test_a_wrong_answer_is_not_timed(script, tmp_path, monkeypatch):
    right = script.GeneGraphConv._attend
    monkeypatch.setattr(script.GeneGraphConv, "_attend", lambda *args: 1.0001 * right(*args))
    with pytest.raises(SystemExit, match="nothing was timed"):
        script.main([*SMALL, "--results", str(tmp_path / "results.jsonl")])


def test_the_exponent_of_what_grows_in_proportion_is_one(script):
    assert script.exponent([5, 20, 60], [1.5, 6.0, 18.0]) == 1
    assert script.exponent([5, 20, 60], [25, 400, 3600]) == 2


def test_torchs_attention_kernel_is_the_same_layer(script):
    layer, x = script.prepare(script.SDPA, 2, 50, "cpu")
    reference, other = script.prepare(script.MATRIX, 2, 50, "cpu")
    assert torch.equal(x, other)
    torch.testing.assert_close(layer(x), reference(x))


def test_memory_is_measured_in_a_process_of_its_own():
    command = [sys.executable, str(SCRIPT), *SMALL, "--memory-of", "gene_aware"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 0
