"""A fit that is killed three times ends with the very model of one that is not."""

import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kills.py"


@pytest.mark.slow
def test_a_fit_killed_three_times_ends_with_the_same_bytes(script, tmp_path):
    results = tmp_path / "kills.jsonl"
    size = ["--kills", "3", "--epochs", "9", "--cells", "120"]
    script.main([*size, "--results", str(results)])
    (line,) = [json.loads(line) for line in results.read_text().splitlines()]
    assert line["kills"] == 3
    assert line["same_bytes"] is True
    assert sum(line["fell_in"].values()) == 3
