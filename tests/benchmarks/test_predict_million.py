"""A hundredth of the million cells is named from disk, as in memory, in little of it."""

import json
from pathlib import Path

import numpy as np
import pytest

from genegraph import expression_stored

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "predict_million.py"


def test_ten_thousand_cells(script, tmp_path, monkeypatch):
    monkeypatch.setattr(expression_stored, "WINDOW_BYTES", 2**20)
    # What the tests before have left in memory is none of its business; what it adds is.
    monkeypatch.setattr(script, "LIMIT_MIB", 2**20)
    folder, results = tmp_path / "data", tmp_path / "results.jsonl"
    script.main(["--cells=10000", f"--folder={folder}", f"--results={results}"])
    line = json.loads(results.read_text())
    assert line["on_disk"]
    assert line["accuracy"] > 0.9
    assert line["resident_peak_mib"] - line["resident_before_mib"] < 256
    assert not list(folder.iterdir())  # the cells are gone
    monkeypatch.setattr(script, "LIMIT_MIB", 10)
    with pytest.raises(SystemExit, match="at most 10 may be"):
        script.main(["--cells=3000", f"--folder={folder}", f"--results={results}"])


def test_every_cell_has_the_reads_asked_for(script):
    blocks = list(script.drawn(script.AT_ONCE + 50))
    assert [block.shape[0] for block in blocks] == [script.AT_ONCE, 50]
    for block in blocks:
        assert (np.asarray(block.sum(1)) == script.READS).all()
