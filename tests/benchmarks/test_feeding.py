"""The feeding benchmark runs on a small file, and its lines say what they should."""

import json
import sys
from pathlib import Path

import pytest
from anndata import read_h5ad

from genegraph.datasets import simulate

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data")
@pytest.mark.filterwarnings("ignore::FutureWarning")  # AnnData's own loader
def test_every_part_takes_a_small_step(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import feeding

    size = {"n_cells": 200, "n_types": 4, "n_genes": 300, "n_interacting": 80, "n_modules": 4}
    study = simulate(tmp_path / "study", n_hidden=2, verbose=False, **size)
    parts = ["reading", "loaders", "training", "fit"]
    words = [str(study.cells), *parts, "--rounds", "1", "--seconds", "5"]
    words += ["--memory", "128", "--measured", "128", "--results", str(tmp_path / "r.jsonl")]
    feeding.main(words)
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [line["part"] for line in lines] == parts
    first = lines.pop(0)
    assert first["libdeflate_mib_per_s"] > 0 < first["hdf5_mib_per_s"]
    assert first["shuffle"] is True
    rates = [value for key, value in lines[0].items() if key.endswith("cells_per_s")]
    assert len(rates) == 5
    assert min(rates) > 0
    assert lines[1]["ratios"][0] > 0
    assert lines[2]["cells"] == 200
    assert lines[2]["held_out_accuracy"] > 0
    copy = feeding.unpacked(study.cells)
    assert feeding.unpacked(study.cells) == copy  # it is not made twice
    with pytest.raises(SystemExit, match="give a file packed with it"):
        feeding.main([str(copy), "reading"])
    packed, plain = (read_h5ad(path, backed="r") for path in (study.cells, copy))
    assert plain.X.group["data"].compression is None
    assert (plain.X[:] != packed.X[:]).nnz == 0
    assert plain.obs.equals(packed.obs)
    for name in ("feeding", "common"):
        sys.modules.pop(name, None)
