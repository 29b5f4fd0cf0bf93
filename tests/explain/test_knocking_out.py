"""Knock-outs equal what the model says of cells and graphs without that."""

import numpy as np
import pytest
import torch
from linear_case import X, Y
from scipy.sparse import csr_matrix
from scipy.special import expit

from genegraph.explain import knock_out


def test_a_gene_of_a_linear_network(linear_model):
    table = knock_out(linear_model, X, genes=["0"], groupby=Y).set_index("class")
    for_t = X @ np.array([2.0, -2.0, 1.0])
    without = for_t - 2 * X[:, 0]
    assert table.loc["T", "before"] == pytest.approx(expit(for_t[Y == "T"]).mean(), abs=1e-5)
    assert table.loc["T", "after"] == pytest.approx(expit(without[Y == "T"]).mean(), abs=1e-5)
    assert table.loc["B", "after"] == pytest.approx(expit(-without[Y == "B"]).mean(), abs=1e-5)
    change = table["after"] - table["before"]
    np.testing.assert_allclose(table["difference"], change)
    moved = np.sign(for_t) != np.sign(without)
    assert table.loc["T", "renamed"] == pytest.approx(moved[Y == "T"].mean())


@pytest.mark.parametrize(
    "options", [{}, {"shrinkage": None, "num_layers": 1}, {"attention": "full"}], ids=str
)
def test_a_gene_is_taken_away_before_anything_is_normalised(adata, fitted, options):
    model = fitted(**options)
    table = knock_out(
        model, adata, genes=["G0"], modules={"both": ["G1", "G5"]}, groupby="cell_type"
    )
    for name, genes in (("G0", [0]), ("both", [1, 5])):
        without = adata.copy()
        counts = without.X.toarray()
        counts[:, genes] = 0
        without.X = csr_matrix(counts)
        for k, label in enumerate(model.classes_):
            rows = (adata.obs["cell_type"] == label).to_numpy()
            row = table[(table["knocked_out"] == name) & (table["class"] == label)].iloc[0]
            expected = model.predict_proba(without)[rows, k].mean()
            assert row["after"] == pytest.approx(expected, abs=2e-5)
            assert row["before"] == pytest.approx(
                model.predict_proba(adata)[rows, k].mean(), abs=2e-5
            )
            assert row["num_cells"] == 40
    assert table["difference"].abs().max() > 1e-3
    assert table["kind"].unique().tolist() == ["gene", "module"]


def test_logarithms_lose_the_same_reads_as_counts(adata, fitted):
    counts = adata.X.toarray()
    logs = adata.copy()
    logs.X = csr_matrix(np.log1p(1e4 * counts / counts.sum(1, keepdims=True)))
    model = fitted()
    theirs = knock_out(model, adata, genes=["G0"], groupby="cell_type")
    from_logs = type(model)(**(model.get_params() | {"values": "log1p"})).fit(logs, "cell_type")
    ours = knock_out(from_logs, logs, genes=["G0"], groupby="cell_type")
    np.testing.assert_allclose(ours["after"], theirs["after"], atol=1e-3)


@pytest.mark.parametrize("options", [{}, {"attention": "edges"}], ids=str)
def test_an_edge_is_removed_both_ways(adata, fitted, options):
    model = fitted(**options)
    table = knock_out(model, adata, edges=[("G1", "G0")], groupby="cell_type")
    assert table["knocked_out"].unique().tolist() == ["G1 - G0"]
    edges, weight = model.graph_.edge_index, model.graph_.edge_weight
    kept = ~((edges < 2).all(0))
    assert (~kept).sum() == 2
    x = torch.from_numpy(adata.X.toarray())
    with torch.no_grad():
        logits = model.network_(x, edges[:, kept], weight[kept], x.sum(1))
    expected = (logits / model.temperature_).softmax(1).numpy()
    for k, label in enumerate(model.classes_):
        rows = (adata.obs["cell_type"] == label).to_numpy()
        found = table[table["class"] == label]["after"].item()
        assert found == pytest.approx(expected[rows, k].mean(), abs=1e-5)
    assert table["difference"].abs().max() > 1e-6


def test_what_is_not_there_cannot_be_taken_away(adata, counted_model, linear_model):
    with pytest.raises(ValueError, match="what to take away"):
        knock_out(counted_model, adata)
    with pytest.raises(ValueError, match="got 1 that are not: 'CD3E'"):
        knock_out(counted_model, adata, genes=["CD3E"])
    with pytest.raises(ValueError, match="Module 'm' must be genes"):
        knock_out(counted_model, adata, modules={"m": ["CD3E"]})
    with pytest.raises(ValueError, match="'G0' and 'G7', which it does not join"):
        knock_out(counted_model, adata, edges=[("G0", "G7")])
    with pytest.raises(ValueError, match="a list of names"):
        knock_out(counted_model, adata, genes="G0")
    with pytest.raises(ValueError, match="must use a prior graph"):
        knock_out(linear_model, X, edges=[("0", "1")])


def test_cells_on_disk_are_explained_as_in_memory(adata, counted_model, tmp_path):
    anndata = pytest.importorskip("anndata")
    adata.write_h5ad(tmp_path / "cells.h5ad")
    backed = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    for groupby in (None, "cell_type"):
        theirs = knock_out(counted_model, adata, genes=["G0"], groupby=groupby)
        ours = knock_out(counted_model, backed, genes=["G0"], groupby=groupby)
        np.testing.assert_allclose(ours["after"], theirs["after"], atol=1e-6)
    backed.file.close()
