"""Every script in examples/ runs, with tiny settings, and does what it says."""

import importlib.util
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_cells(num_cells, seed, genes=None):
    """Two cell types, each with more reads in its own half of eight genes."""
    rng = np.random.default_rng(seed)
    names = [f"GENE{i}" for i in range(8)]
    labels = np.where(np.arange(num_cells) % 2 == 0, "B cell", "T cell")
    own = (labels[:, None] == "B cell") == (np.arange(8)[None, :] < 4)
    adata = anndata.AnnData(
        rng.poisson(np.where(own, 20, 2)).astype("float32"),
        obs=pd.DataFrame({"cell_type": labels}, index=[f"cell{i}" for i in range(num_cells)]),
        var=pd.DataFrame(index=names),
    )
    return adata[:, genes].copy() if genes else adata


def write_string_files(folder):
    """The genes of each half as one module, both directions of every pair."""
    links, info = folder / "9606.protein.links.v12.0.txt", folder / "9606.protein.info.v12.0.txt"
    pairs = [(i, j) for i in range(8) for j in range(8) if i != j and i // 4 == j // 4]
    rows = [f"9606.ENSP{i} 9606.ENSP{j} 900" for i, j in pairs]
    links.write_text("\n".join(["protein1 protein2 combined_score", *rows]) + "\n")
    names = [f"9606.ENSP{i}\tGENE{i}\t100\tmade up" for i in range(8)]
    header = "#string_protein_id\tpreferred_name\tprotein_size\tannotation"
    info.write_text("\n".join([header, *names]) + "\n")
    return links, info


def test_every_example_is_run_here():
    tested = {name.removeprefix("test_").removesuffix("_runs") for name in globals()}
    assert {path.stem for path in EXAMPLES.glob("*.py")} <= tested


def test_quickstart_runs(capsys):
    pytest.importorskip("scanpy")
    accuracy = load("quickstart").main(max_epochs=2)
    assert 0 <= accuracy <= 1
    printed = capsys.readouterr().out
    assert "of 765 genes interact" in printed
    assert "genegraph_confidence" in printed


def test_annotate_cells_runs(tmp_path):
    links, info = write_string_files(tmp_path)
    make_cells(60, seed=0).write_h5ad(tmp_path / "reference.h5ad")
    query = make_cells(20, seed=1, genes=[f"GENE{i}" for i in (7, 3, 1, 0, 2, 4, 6, 5)])
    query.write_h5ad(tmp_path / "query.h5ad")
    files = [links, info, tmp_path / "reference.h5ad", tmp_path / "query.h5ad"]
    load("annotate_cells").main([*map(str, files), str(tmp_path / "out.h5ad"), "--epochs", "20"])
    found = anndata.read_h5ad(tmp_path / "out.h5ad")
    assert (found.obs["genegraph"].astype(str) == query.obs["cell_type"]).mean() > 0.9
    assert found.obs["genegraph_confidence"].between(0.5, 1).all()
    assert found.obsm["genegraph_proba"].shape == (20, 2)


def test_custom_layer_runs():
    assert load("custom_layer").main(epochs=30, num_cells=200) > 0.7


def test_reproduce_writeup_runs(capsys):
    small = {"n_cells": 120, "n_genes": 300, "n_interacting": 60, "n_modules": 5, "n_hidden": 5}
    example = load("reproduce_writeup")
    table = example.main(max_epochs=2, num_seeds=1, study={**small, "n_types": 4, "zeros": 0.8})
    assert table["accuracy"].between(0, 100).all()
    assert table.index.tolist() == list(example.SYSTEMS)
    assert "60 of 300 genes interact" in capsys.readouterr().out


def test_pyg_network_runs():
    example = load("pyg_network")
    found = example.main(epochs=2)
    assert found.keys() == example.LAYERS.keys()
    assert all(0 <= accuracy <= 1 for accuracy in found.values())


def test_scikit_learn_runs():
    scores, table = load("scikit_learn").main(max_epochs=2)
    assert scores.shape == (4,)
    assert (scores > 0.25).all()  # four types: better than chance
    assert table["graph"].tolist() == ["real", "rewired", "none"]


def test_examples_are_short_and_have_a_main():
    for path in EXAMPLES.glob("*.py"):
        text = path.read_text()
        assert 30 <= text.count("\n") <= 80, path.name
        assert "\ndef main(" in text, path.name
