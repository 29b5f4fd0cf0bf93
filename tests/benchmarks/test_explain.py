"""The benchmark of explanations runs, and its control has nothing to find."""

import json
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "explain.py"


def test_one_small_step(script, tmp_path):
    pytest.importorskip("captum", reason="captum is not installed")
    results = tmp_path / "explain.jsonl"
    script.main(
        (
            "--studies clear --seeds 0 --genes 120 --interacting 40 --types 3 --modules 4 "
            f"--cells 90 --epochs 1 --max-cells 3 --steps 2 --results {results}"
        ).split()
    )
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    learned = [row for row in rows if row["benchmark"] == "attention"]
    rows = [row for row in rows if row["benchmark"] == "explain"]
    assert [row["kind"] for row in learned] == list(script.ATTENTION)
    assert all(0 < row["planted_in_prior"] <= 1 for row in learned)
    assert [(row["decoys"], row["rewired"]) for row in rows] == list(script.PRIORS)
    for row in rows:
        assert row["edges"]["prevalence"] == pytest.approx(0.5, abs=0.05)
        assert 0 < row["edges"]["importance"] <= 1
    assert 0 < rows[0]["genes"]["importance"] <= 1
    assert 0 <= rows[0]["faithfulness_of_edges"]["deletion_better"] <= 1


def test_decoys_of_the_same_degree_are_no_planted_edges(script):
    rng = np.random.default_rng(0)
    pairs = np.array([(i, (i + step) % 30) for i in range(30) for step in (1, 2)]).T
    decoys = script._rewired(pairs, 30, rng, pairs)
    assert np.array_equal(np.bincount(decoys.ravel()), np.bincount(pairs.ravel()))
    keys = {frozenset(pair) for pair in pairs.T.tolist()}
    assert sum(frozenset(pair) in keys for pair in decoys.T.tolist()) == 0
