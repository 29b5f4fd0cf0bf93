import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata import read_h5ad

from genegraph.expression_values import resolve_values
from genegraph.simulation.cells import CellModel, build_model, draw_cells, find_library
from genegraph.simulation.h5ad_file import write_h5ad
from genegraph.simulation.model import draw_activities, draw_genes, draw_labels


@pytest.fixture
def cells(study):
    return read_h5ad(study.cells)


def drawn(n_cells, n_genes, effect, noise, n_types=3):
    """A model with its library size, and counts with their expectations up to the depth."""
    genes = draw_genes(n_genes, n_genes // 4, 3, 0, "SIM", random_state=0)
    activities = draw_activities(n_types, 3, random_state=0)
    labels = draw_labels(n_cells, n_types, random_state=0)
    model = build_model(genes, activities, labels, effect, noise, random_state=0)
    return genes, activities, model


def counts_of(model, library):
    return sp.vstack(list(draw_cells(model, library))).toarray()


def test_the_file_holds_counts_types_and_names(cells):
    assert cells.shape == (200, 300)
    assert cells.X.format == "csr"
    assert cells.X.dtype == np.float32
    assert resolve_values(cells.X) == "counts"
    assert cells.obs_names[[0, -1]].tolist() == ["cell000001", "cell000200"]
    assert cells.var_names[[0, -1]].tolist() == ["SIM00001", "SIM00300"]
    assert isinstance(cells.obs["cell_type"].dtype, pd.CategoricalDtype)
    assert cells.obs["cell_type"].cat.categories.tolist() == [f"type 0{t}" for t in range(1, 6)]
    assert cells.obs["cell_type"].value_counts().min() >= 4


def test_the_truth_can_be_read_back(cells):
    truth = cells.uns["simulation"]
    assert truth["n_cells"] == 200
    assert (truth["effect"], truth["noise"], truth["zeros"]) == (0.35, 0.5, 0.9)
    assert truth["library_size"] > 1
    assert truth["activities"].index.tolist() == cells.obs["cell_type"].cat.categories.tolist()
    assert truth["activities"].columns.tolist() == cells.var["module"].cat.categories.tolist()
    # 80 interacting genes, twice as many unknown ones, and two hidden modules of 20 each.
    assert cells.var["module"].notna().sum() == 280
    hidden = cells.var["module"].astype(str).str.startswith("hidden")
    assert hidden.sum() == 40
    assert not cells.var["interacting"][hidden].any()
    assert (cells.var["loading"][cells.var["module"].isna()] == 0).all()
    assert cells.var["interacting"].dtype == bool


def test_backed_cells_are_the_same(study, cells):
    backed = read_h5ad(study.cells, backed="r")
    assert (cells.X[50:60] != backed[50:60].to_memory().X).nnz == 0
    backed.file.close()


def test_the_share_of_zeros_is_the_one_asked_for():
    _, _, model = drawn(n_cells=2000, n_genes=1000, effect=0.5, noise=0.5)
    for zeros in (0.5, 0.9):
        counts = counts_of(model, find_library(model, zeros))
        assert (counts == 0).mean() == pytest.approx(zeros, abs=0.01)


@pytest.mark.parametrize("zeros", [0, 1])
def test_a_share_of_zeros_out_of_reach_is_refused(zeros):
    _, _, model = drawn(n_cells=100, n_genes=50, effect=0.5, noise=0.5)
    with pytest.raises(ValueError, match=r"'zeros' must lie between 0\.\d+ and 0\.\d+ .*\(got"):
        find_library(model, zeros)


def test_shares_are_those_worked_out_by_hand():
    model = CellModel(
        baseline=np.log([2.0, 1.0, 1.0]),
        loading=np.array([1.0, 2.0, 0.0]),
        module=np.array([0, 1, -1]),
        activity=np.array([[np.log(2), np.log(3)]]),
        noise=0.0,
        labels=np.zeros(1, np.int32),
        random_state=0,
    )
    # Rates 2 * 2, 1 * 3^2 and 1: in the module of the first gene, of the second, and in none.
    shares = model.shares(0, np.random.default_rng(0))
    assert shares == pytest.approx(np.array([4, 9, 1]) / 14)


def test_noise_is_shared_within_a_module_and_independent_between_modules():
    genes, _, model = drawn(n_cells=100, n_genes=300, effect=0.0, noise=0.7)
    rng = np.random.default_rng(0)
    logs = np.log([model.shares(0, rng) for _ in range(2000)]) - model.baseline
    logs -= logs[:, [np.flatnonzero(genes.module < 0)[0]]]  # what all genes are divided by
    member = genes.module >= 0
    z = logs[:, member] / genes.loading[member]
    one, other, third = (z[:, genes.module[member] == m] for m in range(3))
    assert np.ptp(one, axis=1).max() < 1e-9
    assert one.std() == pytest.approx(0.7, abs=0.03)
    firsts = np.stack([one[:, 0], other[:, 0], third[:, 0]])
    assert np.abs(np.corrcoef(firsts) - np.eye(3)).max() < 0.08


def test_counts_are_poisson_given_the_rates():
    # Without effect and noise all cells share their rates, and only their depths differ.
    _, _, model = drawn(n_cells=4000, n_genes=200, effect=0, noise=0)
    counts = counts_of(model, library=2000)
    shares = model.shares(0, np.random.default_rng(0))
    means = counts.sum(axis=1, keepdims=True) * shares
    frequent = shares * 2000 > 0.1
    dispersion = ((counts - means) ** 2 / (means * (1 - shares))).mean(axis=0)
    assert dispersion[frequent] == pytest.approx(1, abs=0.15)
    # No zeros beyond those that follow from the means.
    zeros = (counts == 0).mean(axis=0)
    assert zeros == pytest.approx(np.exp(-means).mean(axis=0), abs=0.03)


def test_library_sizes_vary_as_those_of_droplets_do():
    _, _, model = drawn(n_cells=2000, n_genes=300, effect=0.5, noise=0.5)
    totals = np.log(counts_of(model, library=5000).sum(axis=1))
    assert np.median(totals) == pytest.approx(np.log(5000), abs=0.04)
    assert totals.std() == pytest.approx(0.35, abs=0.02)


def test_types_differ_as_the_activities_of_their_modules_do():
    genes, activities, model = drawn(3000, 400, effect=1.0, noise=0.2, n_types=8)
    counts = counts_of(model, library=20_000)
    share = counts / counts.sum(axis=1, keepdims=True)
    means = np.array([share[model.labels == t].mean(axis=0) for t in range(8)])
    # Against the genes of no module, which leaves out what all rates of a type are divided by.
    outside = means[:, genes.module < 0].sum(axis=1, keepdims=True)
    abundant = means.min(axis=0) > 1e-4
    for gene in np.flatnonzero(abundant & genes.interacting):
        logs = np.log(means[:, gene] / outside[:, 0])
        slope, _ = np.polyfit(activities[:, genes.module[gene]], logs, 1)
        assert slope == pytest.approx(genes.loading[gene], abs=0.25)
        assert np.corrcoef(activities[:, genes.module[gene]], logs)[0, 1] > 0.97


def test_the_expected_rate_does_not_tell_who_is_in_a_module():
    genes = draw_genes(60, 60, 2, 0, "SIM", random_state=0)
    activities = np.random.default_rng(0).standard_normal((100_000, 2))
    labels = np.zeros(1, np.int32)
    model = build_model(genes, activities, labels, effect=0.6, noise=0.0, random_state=0)
    logs = model.baseline + model.loading * model.activity[:, genes.module]
    assert np.exp(logs - genes.baseline).mean(axis=0) == pytest.approx(1, abs=0.03)


def test_how_cells_are_cut_into_blocks_does_not_show(monkeypatch):
    _, _, model = drawn(n_cells=100, n_genes=60, effect=0.5, noise=0.5)
    whole = counts_of(model, library=100)
    monkeypatch.setattr("genegraph.simulation.cells.CELLS_AT_ONCE", 7)
    assert len(list(draw_cells(model, library=100))) == 15
    assert np.array_equal(counts_of(model, library=100), whole)


def test_memory_does_not_grow_with_the_counts_written(tmp_path):
    _, _, model = drawn(n_cells=4000, n_genes=2000, effect=0.5, noise=0.5)
    library = find_library(model, 0.9)
    obs = pd.DataFrame(index=[f"cell{i}" for i in range(4000)])
    var = pd.DataFrame(index=[f"gene{i}" for i in range(2000)])
    tracemalloc.start()
    try:
        write_h5ad(tmp_path / "cells.h5ad", draw_cells(model, library), obs, var, {})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    X = read_h5ad(tmp_path / "cells.h5ad").X
    assert X.nnz > 0.09 * 4000 * 2000
    assert peak < 0.5 * (X.data.nbytes + X.indices.nbytes)


def test_row_pointers_get_64_bits_where_32_are_too_few(tmp_path, monkeypatch):
    monkeypatch.setattr("genegraph.simulation.h5ad_file.pointer_type", lambda _: np.int64)
    _, _, model = drawn(n_cells=30, n_genes=40, effect=0.5, noise=0.5)
    obs, var = (pd.DataFrame(index=[str(i) for i in range(n)]) for n in (30, 40))
    write_h5ad(tmp_path / "cells.h5ad", draw_cells(model, 50), obs, var, {})
    cells = read_h5ad(tmp_path / "cells.h5ad")
    assert cells.X.indptr.dtype == np.int64
    assert np.array_equal(cells.X.toarray(), counts_of(model, 50))
