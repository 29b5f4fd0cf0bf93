"""Cells met as shallow as those that will be named."""

import h5py
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from mishaps import At, PowerCutError, make, power_cut
from scipy import stats

from genegraph import GeneGCNClassifier
from genegraph.batches import dense
from genegraph.expression_stored import StoredMatrix
from genegraph.resampling import ResampledCells
from genegraph.thinning import thin

pytestmark = pytest.mark.filterwarnings("ignore:The cells have .* reads .median")
FORMS = [np.asarray, sp.csr_matrix, sp.csr_array]


def as_array(X):
    return X.toarray() if sp.issparse(X) else X


def some_counts(num_cells=50, num_genes=30):
    rng = np.random.default_rng(0)
    return rng.poisson(rng.gamma(1, 20, num_genes), (num_cells, num_genes)).astype("float32")


def alike(share, number):
    return np.full(number, share, dtype="float32")


def thinned(adata, share, seed=0):
    other = adata.copy()
    kept = np.random.default_rng(seed).binomial(adata.X.toarray().astype(int), share)
    other.X = sp.csr_matrix(kept.astype("float32"))
    return other


# --- reads left out by chance ------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_each_read_stays_with_the_same_probability(form):
    X = form(np.full((400, 25), 100, dtype="float32"))
    found, depth = thin(X, alike(2500, 400), alike(0.2, 400), seed=0)
    assert type(found) is type(X)
    assert found.dtype == np.float32
    kept = as_array(found)
    assert (kept == np.rint(kept)).all()
    # Binomial(100, 0.2): mean 20 and variance 16, of 10,000 draws each.
    assert kept.mean() == pytest.approx(20, abs=4 * 4 / 100)
    assert kept.var() == pytest.approx(16, rel=0.06)
    np.testing.assert_array_equal(depth, kept.sum(1))
    assert (as_array(X) == 100).all()
    correlation = np.corrcoef(kept.T)[np.triu_indices(25, 1)]
    assert abs(correlation).max() < 5 / 20  # genes are thinned independently


def test_a_cell_keeps_the_same_reads_however_it_is_stored(tmp_path, monkeypatch):
    X = some_counts()
    depth, share = X.sum(1), np.linspace(0.1, 0.9, 50, dtype="float32")
    expected, deep = thin(X, depth, share, seed=5)
    for form in FORMS[1:]:
        found, same = thin(form(X), depth, share, seed=5)
        np.testing.assert_array_equal(found.toarray(), expected)
        np.testing.assert_array_equal(same, deep)
        assert found.has_canonical_format
        assert found.nnz == np.count_nonzero(expected)
    monkeypatch.setattr("genegraph.expression_stored.BLOCK_BYTES", 800)
    with h5py.File(tmp_path / "cells.h5", "w") as file:
        stored, same = thin(StoredMatrix(file.create_dataset("X", data=X)), depth, share, seed=5)
        assert isinstance(stored, StoredMatrix)
        np.testing.assert_array_equal(same, deep)
        for rows in (slice(None), [40, 3, 4, 0], np.arange(49, -1, -1)):
            np.testing.assert_array_equal(stored[rows], expected[rows])
        np.testing.assert_array_equal(stored.take(np.array([7, 30]))[[1, 0]], expected[[30, 7]])


def test_another_seed_keeps_other_reads_and_all_of_them_keep_all():
    X = some_counts()
    depth = X.sum(1)
    first, second = (thin(X, depth, alike(0.3, 50), seed)[0] for seed in (0, 1))
    assert (first != second).mean() > 0.5
    found, same = thin(X, depth, alike(1, 50), seed=0)
    np.testing.assert_array_equal(found, X)
    np.testing.assert_array_equal(same, depth)


def test_reads_of_genes_that_are_not_looked_at_are_thinned_too():
    X = np.zeros((2000, 3), dtype="float32")
    X[:, 0] = 10
    _, depth = thin(X, alike(100, 2000), alike(0.25, 2000), seed=0)
    assert depth.mean() == pytest.approx(25, abs=4 * np.sqrt(100 * 0.25 * 0.75 / 2000))
    assert depth.var() == pytest.approx(18.75, rel=0.15)


# --- as training meets them --------------------------------------------------------------------


def of_one_type(X, share, form=np.asarray):
    zeros = np.zeros(len(X), dtype=np.int64)
    ends = np.broadcast_to(np.float32(share), (2, len(X))).T
    return ResampledCells(form(X), zeros, X.sum(1), zeros - 1, 0, share=ends)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reads", [80, 4000])
def test_cells_are_met_with_their_share_of_reads_other_ones_each_time(form, reads):
    rng = np.random.default_rng(0)
    X = rng.multinomial(reads, np.full(20, 1 / 20), 60).astype("float32")
    cells = of_one_type(X, 0.25, form=form)
    orders = [rng.permutation(60) for _ in range(40)]
    batches = [cells[order.tolist()] for order in orders]
    met = np.stack([dense(b).numpy()[np.argsort(o)] for b, o in zip(batches, orders, strict=True)])
    assert all((b["depth"] == reads / 4).all() for b in batches)
    error = np.sqrt(reads / 4 / met[..., 0].size)
    assert met.sum(-1).mean() == pytest.approx(reads / 4, abs=4 * error)
    np.testing.assert_allclose(met.mean((0, 1)), X.mean(0) / 4, atol=5 * np.sqrt(reads / 80 / 2400))
    assert (met[0] != met[1]).mean() > 0.5


def test_labelled_cells_are_thinned_and_others_come_as_they_are():
    X = np.full((4, 5), 1e6, dtype="float32")
    batch = of_one_type(X, [0.1, 1, 0.1, 1])[[0, 1, 2, 3]]
    met = batch["x"].numpy()
    np.testing.assert_array_equal(met[[1, 3]], X[[1, 3]])
    np.testing.assert_allclose(met[[0, 2]], 1e5, rtol=0.02)
    np.testing.assert_allclose(batch["depth"], [5e5, 5e6, 5e5, 5e6])


def test_between_two_shares_one_is_drawn_each_time_evenly_by_its_logarithm():
    X = np.full((200, 10), 1e5, dtype="float32")
    cells = of_one_type(X, np.array([[0.01], [1]]))
    orders = [np.random.default_rng(i).permutation(200).tolist() for i in range(20)]
    batches = [cells[order] for order in orders]
    logs = np.concatenate([np.log(b["depth"].numpy() / 1e6) for b in batches])
    assert stats.kstest(logs / np.log(0.01), "uniform").pvalue > 0.01
    for batch in batches:
        np.testing.assert_allclose(batch["x"].sum(1), batch["depth"], rtol=0.05)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("share", [0.1, np.array([[0.02], [0.8]])])
def test_a_batch_shared_by_processes_is_the_batch_of_one(form, share):
    cells = of_one_type(some_counts(), share, form=form)
    rows = np.random.default_rng(1).permutation(50)[:16].tolist()
    whole = cells[rows]
    for number in range(3):
        part = cells.part(rows, slice(number, None, 3))
        np.testing.assert_array_equal(dense(part), dense(whole)[number::3])
        np.testing.assert_array_equal(part["depth"], whole["depth"][number::3])


# --- in the classifier -------------------------------------------------------------------------


def test_a_shallow_query_is_named_better_and_as_surely_as_it_may_be():
    rng = np.random.default_rng(0)
    y = np.arange(480) % 4
    rates = rng.gamma(1, 1, 200) * rng.lognormal(0, 0.5, (4, 200))
    X = rng.poisson(2000 * rates[y] / rates.sum(1)[y, None]).astype("float32")
    shallow = thin(X[240:], X[240:].sum(1), alike(0.01, 240), seed=1)[0]
    right, error = {}, {}
    for thin_to in (None, np.median(shallow.sum(1))):
        model = make(None, thin_to=thin_to, values="counts", max_epochs=20).fit(X[:240], y[:240])
        proba = model.predict_proba(shallow)
        right[thin_to] = (proba.argmax(1) == y[240:]).mean()
        error[thin_to] = proba.max(1).mean() - right[thin_to]
    assert right[thin_to] > right[None] + 0.05, right
    assert abs(error[thin_to]) < abs(error[None]) / 2, error
    assert abs(error[thin_to]) < 0.08, error


def test_of_cells_as_shallow_as_those_met_nothing_is_said(adata, graph, recwarn):
    query = thinned(adata, 0.25)
    model = make(graph, thin_to=12).fit(adata, "cell_type")
    assert model.median_depths_ == pytest.approx((12, 12))
    model.annotate(query)
    assert not [w for w in recwarn if "reads (median)" in str(w.message)]
    with pytest.warns(
        UserWarning, match=r"12 reads \(median\), those learned from 48.*thin_to=12 "
    ):
        make(graph).fit(adata, "cell_type").annotate(query)
    with pytest.warns(UserWarning, match="those learned from 12"):
        model.annotate(thinned(adata, 0.05))
    with pytest.warns(
        UserWarning, match=r"48 reads \(median\), those learned from 12.*larger thin"
    ):
        model.annotate(adata)
    with pytest.warns(UserWarning, match=r"though they are deeper.*adapt\(query\).* up for it\.$"):
        make(graph).fit(query, "cell_type").annotate(adata)


@pytest.mark.parametrize("thin_to", [49, 1e6])
def test_where_training_cells_have_no_more_reads_nothing_changes(adata, graph, thin_to):
    expected = make(graph).fit(adata, "cell_type")
    model = make(graph, thin_to=thin_to).fit(adata, "cell_type")
    assert model.median_depths_ == expected.median_depths_ < (49, 49)
    np.testing.assert_array_equal(model.predict_proba(adata), expected.predict_proba(adata))


def test_queries_of_several_depths(adata, graph, recwarn):
    model = make(graph, thin_to=(6, 100), max_epochs=20).fit(adata, "cell_type")
    assert model.median_depths_ == pytest.approx((6, np.median(adata.X.sum(1).A1)))
    for share in (1, 0.5, 0.25):
        assert model.score(thinned(adata, share), "cell_type") > 0.8, share
    assert not [w for w in recwarn if "reads (median)" in str(w.message)]
    with pytest.warns(UserWarning, match="those learned from 6 to 48: .*thin_to=2 "):
        model.predict(thinned(adata, 0.04))


def test_unlabelled_cells_much_shallower_say_by_themselves_what_to_thin_to(adata, graph):
    query = thinned(adata, 0.25)
    reads = float(np.median(query.X.sum(1).A1))
    found = make(graph).fit(adata, "cell_type", unlabeled=query)
    asked = make(graph, thin_to=reads).fit(adata, "cell_type", unlabeled=query)
    assert found.median_depths_ == asked.median_depths_ == pytest.approx((reads, reads))
    np.testing.assert_array_equal(found.predict_proba(query), asked.predict_proba(query))
    # Three quarters of the reads may be another composition.
    nearly = thinned(adata, 0.75)
    model = make(graph).fit(adata, "cell_type", unlabeled=nearly)
    met = []
    task = "genegraph.classifier_fit.thin"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task, lambda *args: met.append(args) or thin(*args))
        make(graph).fit(adata, "cell_type", unlabeled=nearly)
        assert not met
        make(graph, thin_to=30).fit(adata, "cell_type", unlabeled=nearly)
        assert len(met) == 1
    deep, shallow = (float(np.median(part.X.sum(1).A1)) for part in (adata, nearly))
    assert model.median_depths_ == (shallow, deep)


def test_log_values_that_show_their_counts_are_thinned_alike(adata, graph):
    logs = adata.copy()
    logs.X = adata.X.multiply(1e4 / adata.X.sum(axis=1)).tocsr().astype("float32").log1p()
    options = {"thin_to": 15}
    expected = make(graph, **options).fit(adata, "cell_type").predict_proba(adata)
    found = make(graph, values="log1p", **options).fit(logs, "cell_type").predict_proba(logs)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_interrupted_fit_goes_on_with_the_same_reads(adata, graph, tmp_path):
    whole = make(graph, thin_to=15).fit(adata, "cell_type")
    with pytest.raises(PowerCutError):
        make(graph, At(4, 2, power_cut), thin_to=15).fit(
            adata, "cell_type", checkpoint_dir=tmp_path
        )
    again = make(graph, thin_to=15).fit(adata, "cell_type", checkpoint_dir=tmp_path)
    np.testing.assert_array_equal(again.predict_proba(adata), whole.predict_proba(adata))
    with pytest.raises(ValueError, match="made with other cells, labels or parameters"):
        make(graph, thin_to=16).fit(adata, "cell_type", checkpoint_dir=tmp_path)


def test_validation_discriminant_pretraining_and_single_heads_meet_thinned_cells(adata, graph):
    for options in (
        {"patience": 3, "validation_fraction": 0.2},
        {"discriminant": True},
        {"pretrain": True},
        {"num_heads": 1},
        {"genes": "interacting", "class_weight": "balanced"},
    ):
        model = make(graph, thin_to=15, **options).fit(adata, "cell_type")
        assert model.median_depths_ == pytest.approx((15, 15), abs=1)
        assert model.score(thinned(adata, 0.3), "cell_type") > 0.6, options


def test_a_read_a_cell_is_little_but_no_error(adata, graph):
    model = make(graph, thin_to=1).fit(adata, "cell_type")
    assert np.isfinite(model.predict_proba(adata)).all()
    assert all(torch.isfinite(p).all() for p in model.network_.parameters())


@pytest.mark.parametrize("thin_to", [np.float64(15), 15, (np.float32(15), 40)])
def test_a_saved_model_knows_how_deep_it_learned(adata, graph, tmp_path, thin_to):
    model = make(graph, thin_to=thin_to).fit(adata, "cell_type")
    model.save(tmp_path / "m.genegraph")
    again = GeneGCNClassifier.load(tmp_path / "m.genegraph")
    assert (again.thin_to, again.median_depths_) == (thin_to, model.median_depths_)
    np.testing.assert_array_equal(again.predict_proba(adata), model.predict_proba(adata))


@pytest.mark.parametrize(
    "wrong",
    [0, -3, np.nan, np.inf, "80", (80, 20), (0, 80), (1, 2, 3), ("1", "2"), np.array([1, 2])],
)
def test_what_is_no_number_of_reads_is_refused(adata, graph, wrong):
    with pytest.raises(ValueError, match="'thin_to' must be the reads of the median cell"):
        make(graph, thin_to=wrong).fit(adata, "cell_type")


@pytest.mark.parametrize("options", [{"values": "features"}, {"shrinkage": None}])
def test_values_of_which_no_reads_can_be_left_out_are_refused(adata, graph, options):
    with pytest.raises(ValueError, match="'thin_to' leaves out reads by chance"):
        make(graph, thin_to=15, **options).fit(adata, "cell_type")
