import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from genegraph import GeneGCNClassifier, GeneGraph

SMALL = {
    "hidden_channels": (16,),
    "batch_size": 16,
    "max_epochs": 30,
    "random_state": 0,
    "verbose": False,
}


@parametrize_with_checks([GeneGCNClassifier(max_epochs=60, hidden_channels=(16, 16))])
def test_scikit_learn_contract(estimator, check):
    with warnings.catch_warnings():
        # Checks that hand over data in odd orders or numbers warn of their own accord.
        warnings.simplefilter("ignore")
        check(estimator)


def test_learns_separable_cells_and_labels_new_ones(adata, graph):
    model = GeneGCNClassifier(graph, **SMALL).fit(adata[::2], "cell_type")
    assert model.score(adata[1::2], "cell_type") > 0.95
    assert model.classes_.tolist() == ["B cell", "NK cell", "T cell"]
    assert model.values_ == "counts"
    assert model.n_iter_ == len(model.history_) == 30
    assert model.history_[-1]["train_loss"] < model.history_[0]["train_loss"]


@pytest.mark.parametrize(
    "options",
    [
        {"attention": None},
        {"attention": "full"},
        {"attention": "edges"},
        {"attention": "full", "fusion": "gate"},
        {"attention": "full", "num_layers": 2, "num_graphs": 2},
        {"normalize": "max", "self_loops": True},
        {"normalize": "row"},
        {"normalize": None},
        {"genes": "interacting"},
        {"optimizer": "adam", "lr": 0.01},
        {"attention": "full", "attention_function": "gaussian"},
        {"attention": "edges", "attention_function": "additive"},
        {"attention": "shared", "num_neighbors": 3},
        {"attention": "shared", "num_neighbors": 3, "attention_function": "dot"},
        {"attention": "full", "gene_aware": True},
        {"attention": "edges", "gene_aware": True},
        {"residual": False, "max_epochs": 60},
        {"norm": True},
        {"pretrain": True},
        {"pretrain": "frozen", "optimizer": "adam", "lr": 0.01},
        {"class_weight": "balanced"},
        {"patience": 2},
        {"hidden_channels": ()},
    ],
    ids=str,
)
def test_every_option_trains_a_layer_with_a_gradient(adata, graph, options):
    if "hidden_channels" in options and not options["hidden_channels"]:
        options = {**options, "max_epochs": 20}
    model = GeneGCNClassifier(graph, **{**SMALL, **options}).fit(adata, "cell_type")
    assert model.score(adata, "cell_type") > 0.9
    assert np.allclose(model.predict_proba(adata).sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("seed", range(20))
def test_the_graph_layer_has_a_gradient_when_fit_starts(adata, graph, seed):
    model = GeneGCNClassifier(
        graph, attention="full", **{**SMALL, "max_epochs": 1, "lr": 1e-12, "random_state": seed}
    ).fit(adata, "cell_type")
    x = torch.from_numpy(np.log1p(adata.X.toarray()))
    edges = (model.graph_.to_edge_index(), model.graph_.edge_weight)
    model.network_(x, *edges).square().sum().backward()
    conv = model.network_.layers[0][0]
    assert conv.weight.grad.abs().sum() > 0
    assert conv.theta.weight.grad.abs().sum() > 0


def test_neighbours_of_a_shared_graph_are_chosen_again_every_epoch(adata, graph, monkeypatch):
    from genegraph.nn.shared_graph import SharedGraph

    chosen, refresh = [], SharedGraph.refresh

    def counting(self):
        refresh(self)
        chosen.append(self.neighbors.clone())

    monkeypatch.setattr(SharedGraph, "refresh", counting)
    options = {**SMALL, "max_epochs": 5, "optimizer": "adam", "lr": 0.3}
    model = GeneGCNClassifier(graph, attention="shared", num_neighbors=3, **options)
    model.fit(adata, "cell_type")
    assert len(chosen) == 1 + 5  # when it is made, and as each epoch begins
    assert not torch.equal(chosen[0], chosen[-1])
    assert torch.equal(model.network_.layers[0][0].shared_graph.neighbors, chosen[-1])


def test_without_graph_and_attention_genes_do_not_mix(adata):
    model = GeneGCNClassifier(**SMALL).fit(adata, "cell_type")
    assert len(list(model.network_.layers)) == 0
    x = torch.rand(2, 12)
    share = x / x.sum(1, keepdim=True).clamp(min=1)
    expected = torch.stack([torch.log1p(unit * share) for unit in (1e3, 1e4, 1e3)])
    torch.testing.assert_close(model.network_.smooth(x), expected)


def test_attention_alone_needs_no_graph(adata):
    model = GeneGCNClassifier(attention="full", **SMALL).fit(adata, "cell_type")
    assert model.graph_ is None
    assert model.score(adata, "cell_type") > 0.9


def test_genes_are_matched_by_name_in_any_order(adata, graph):
    model = GeneGCNClassifier(graph, **SMALL).fit(adata, "cell_type")
    shuffled = adata[:, np.random.default_rng(0).permutation(12)].copy()
    assert np.allclose(model.predict_proba(shuffled), model.predict_proba(adata), atol=1e-6)


def test_a_few_missing_genes_are_filled_and_said(adata, graph):
    model = GeneGCNClassifier(graph, **SMALL).fit(adata, "cell_type")
    fewer = adata[:, :11].copy()
    with pytest.warns(UserWarning, match="lack 1 of the 12 genes"):
        named = model.predict(fewer)
    assert (named == adata.obs["cell_type"]).mean() > 0.9


def test_storage_does_not_matter(adata, graph, tmp_path):
    import anndata

    model = GeneGCNClassifier(graph, **SMALL).fit(adata, "cell_type")
    expected = model.predict_proba(adata)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    others = [adata.copy(), adata.copy(), anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")]
    others[0].X = adata.X.toarray()
    others[1].X = sp.csc_matrix(adata.X)
    for other in others:
        assert np.array_equal(model.predict_proba(other), expected)


def test_cells_do_not_see_each_other(adata, graph):
    model = GeneGCNClassifier(graph, attention="full", **SMALL).fit(adata, "cell_type")
    whole = model.predict_proba(adata)
    order = np.random.default_rng(0).permutation(120)
    assert np.allclose(model.predict_proba(adata[order]), whole[order], atol=1e-6)
    alone = np.vstack([model.predict_proba(adata[i : i + 1]) for i in range(5)])
    assert np.allclose(alone, whole[:5], atol=1e-6)


def test_same_seed_same_model_and_other_seed_another(adata, graph):
    def fitted(seed):
        return GeneGCNClassifier(graph, **{**SMALL, "random_state": seed}).fit(adata, "cell_type")

    assert np.array_equal(fitted(1).predict_proba(adata), fitted(1).predict_proba(adata))
    assert not np.array_equal(fitted(1).predict_proba(adata), fitted(2).predict_proba(adata))


def test_fit_leaves_the_callers_randomness_alone(adata):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    GeneGCNClassifier(**SMALL).fit(adata, "cell_type")
    assert torch.equal(torch.rand(3), expected)


def test_annotate_writes_labels_confidence_and_probabilities(adata, graph, tmp_path):
    model = GeneGCNClassifier(graph, **SMALL).fit(adata, "cell_type")
    query = adata.copy()
    assert model.annotate(query, key="ours") is None
    assert query.obs["ours"].cat.categories.tolist() == ["B cell", "NK cell", "T cell"]
    assert (query.obs["ours"].astype(str) == model.predict(query)).all()
    proba = query.obsm["ours_proba"]
    assert query.uns["ours"]["classes"] == model.classes_.tolist()
    assert np.array_equal(query.obs["ours_confidence"], proba.max(1))
    query.write_h5ad(tmp_path / "named.h5ad")


def test_arrays_sparse_and_frames_agree(counts, genes):
    X, y = counts
    frame = pd.DataFrame(X, columns=genes)
    by_array = GeneGCNClassifier(values="counts", **SMALL).fit(X, y).predict_proba(X)
    sparse = sp.csr_matrix(X)
    by_sparse = GeneGCNClassifier(values="counts", **SMALL).fit(sparse, y).predict_proba(sparse)
    by_frame = GeneGCNClassifier(values="counts", **SMALL).fit(frame, y).predict_proba(frame)
    assert np.array_equal(by_array, by_frame)
    assert np.allclose(by_array, by_sparse, atol=1e-6)


def test_a_frame_matches_the_graph_by_name(counts, genes, graph):
    X, y = counts
    frame = pd.DataFrame(X[:, ::-1], columns=genes[::-1])
    model = GeneGCNClassifier(graph, **SMALL).fit(frame, y)
    assert model.graph_.genes == tuple(genes[::-1])


def test_interacting_genes_only(adata, graph):
    extended = graph.align([*graph.genes[:6], *graph.genes[6:]])
    cut = GeneGraph(extended.genes, [[0, 1], [1, 0]], [1.0, 1.0])
    model = GeneGCNClassifier(cut, genes="interacting", **SMALL).fit(adata, "cell_type")
    assert model.network_.num_genes == 2
    assert model.n_features_in_ == 12
    assert model.predict(adata).shape == (120,)


def test_clone_grid_search_and_pipeline(counts, graph):
    X, y = counts
    model = GeneGCNClassifier(graph, **{**SMALL, "max_epochs": 3})
    assert clone(model).get_params()["graph"] == graph
    search = GridSearchCV(model, {"normalize": ["sym", "row"]}, cv=2).fit(X, y)
    assert search.best_params_["normalize"] in ("sym", "row")
    pipeline = make_pipeline(MaxAbsScaler(), GeneGCNClassifier(graph, **SMALL)).fit(X, y)
    assert pipeline.score(X, y) > 0.9


def test_a_rare_class_stays_in_training(counts):
    X, y = counts
    y = y.astype(object)
    y[0] = "single cell"
    model = GeneGCNClassifier(patience=5, **SMALL).fit(X, y)
    assert "single cell" in model.classes_
    assert "val_loss" in model.history_[0]


def test_patience_sets_cells_aside_and_without_it_all_are_learned_from(counts):
    X, y = counts
    stuck = {**SMALL, "max_epochs": 200, "lr": 0.0}  # nothing gets better
    watched = GeneGCNClassifier(patience=2, **stuck).fit(X, y)
    assert "val_loss" in watched.history_[0]
    assert watched.n_iter_ == 3
    assert "val_loss" not in GeneGCNClassifier(**SMALL).fit(X, y).history_[0]
    with pytest.warns(UserWarning, match="No class has cells enough"):
        GeneGCNClassifier(patience=2, **SMALL).fit(X[::30], y[::30])
    with pytest.raises(ValueError, match="above 0 with 'patience'"):
        GeneGCNClassifier(patience=2, validation_fraction=0, **SMALL).fit(X, y)


@pytest.mark.parametrize(
    "options",
    [
        {"attention": "full", "genes": "interacting", "class_weight": "balanced"},
        {"attention": "shared", "num_neighbors": 3, "fusion": "gate"},
        {"attention": "full", "attention_function": "gaussian", "gene_aware": True},
        {"attention": "edges", "attention_function": "additive", "num_layers": 2},
        {"pretrain": "frozen", "init": "uniform", "residual": False, "norm": True},
    ],
    ids=str,
)
def test_save_and_load_give_the_same_probabilities(adata, graph, tmp_path, options):
    model = GeneGCNClassifier(graph, **options, **SMALL).fit(adata, "cell_type")
    model.save(tmp_path / "model.genegraph")
    loaded = GeneGCNClassifier.load(tmp_path / "model.genegraph")
    assert np.array_equal(loaded.predict_proba(adata), model.predict_proba(adata))
    assert loaded.classes_.tolist() == model.classes_.tolist()
    assert loaded.classes_.dtype == model.classes_.dtype
    assert loaded.history_ == model.history_
    assert loaded.graph_ == model.graph_
    assert loaded.feature_names_in_.tolist() == model.feature_names_in_.tolist()
    again = clone(loaded).fit(adata, "cell_type")
    assert np.array_equal(again.predict_proba(adata), model.predict_proba(adata))


@pytest.mark.parametrize("labels", [[3, 1], [True, False], ["b", "a"], [2.0, 1.0]], ids=str)
def test_labels_keep_their_kind_through_a_file(counts, labels, tmp_path):
    X, _ = counts
    y = np.array(labels * 60)
    model = GeneGCNClassifier(**{**SMALL, "max_epochs": 1}).fit(X, y)
    model.save(tmp_path / "m")
    loaded = GeneGCNClassifier.load(tmp_path / "m")
    assert loaded.predict(X).dtype == model.predict(X).dtype
    assert loaded.predict(X).tolist() == model.predict(X).tolist()


def test_a_checkpointed_fit_resumes_to_the_same_weights(adata, graph, tmp_path):
    from lightning.pytorch.callbacks import Callback

    class Interrupt(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch == 4:
                raise RuntimeError("power cut")

    options = {**SMALL, "max_epochs": 8}
    expected = GeneGCNClassifier(graph, **options).fit(adata, "cell_type").predict_proba(adata)
    broken = GeneGCNClassifier(graph, trainer_options={"callbacks": [Interrupt()]}, **options)
    with pytest.raises(RuntimeError, match="power cut"):
        broken.fit(adata, "cell_type", checkpoint_dir=tmp_path)
    model = GeneGCNClassifier(graph, **options)
    model.fit(adata, "cell_type", checkpoint_dir=tmp_path)
    assert model.n_iter_ == 8
    assert np.array_equal(model.predict_proba(adata), expected)
    other = GeneGCNClassifier(graph, **{**options, "lr": 0.5})
    with pytest.raises(ValueError, match="must belong to this very fit"):
        other.fit(adata, "cell_type", checkpoint_dir=tmp_path)


def test_a_fit_without_a_seed_resumes_with_the_same_validation_cells(adata, tmp_path):
    from lightning.pytorch.callbacks import Callback

    class Interrupt(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch == 3:
                raise RuntimeError("power cut")

    options = {**SMALL, "max_epochs": 6, "patience": 6, "random_state": None}
    whole = GeneGCNClassifier(**options).fit(adata, "cell_type", checkpoint_dir=tmp_path / "a")
    broken = GeneGCNClassifier(trainer_options={"callbacks": [Interrupt()]}, **options)
    with pytest.raises(RuntimeError, match="power cut"):
        broken.fit(adata, "cell_type", checkpoint_dir=tmp_path / "b")
    model = GeneGCNClassifier(**options).fit(adata, "cell_type", checkpoint_dir=tmp_path / "b")
    assert np.array_equal(model.predict_proba(adata), whole.predict_proba(adata))


def test_plugins_of_the_users_do_not_bring_pickled_checkpoints_back(adata, tmp_path):
    from genegraph.safefile import read_safe

    options = {**SMALL, "max_epochs": 1, "trainer_options": {"plugins": []}}
    GeneGCNClassifier(**options).fit(adata, "cell_type", checkpoint_dir=tmp_path)
    assert read_safe(tmp_path / "last.ckpt", kind="checkpoint", version=1)


def test_unfitted_says_so(adata):
    with pytest.raises(NotFittedError):
        GeneGCNClassifier().predict(adata)


def test_fit_returns_self_and_accepts_labels_beside_anndata(adata):
    model = GeneGCNClassifier(**{**SMALL, "max_epochs": 1})
    assert model.fit(adata, adata.obs["cell_type"]) is model
    assert model.score(adata, adata.obs["cell_type"]) >= 0


def test_a_layer_is_remembered(adata, graph):
    adata.layers["counts"] = adata.X.copy()
    adata.X = adata.X * 0
    model = GeneGCNClassifier(graph, **SMALL).fit(adata, "cell_type", layer="counts")
    assert model.score(adata, "cell_type") > 0.9
    del adata.layers["counts"]
    with pytest.raises(KeyError, match="No layer 'counts'"):
        model.predict(adata)


def _logged(adata):
    logged = adata.copy()
    values = sp.csr_matrix(adata.X).toarray()
    logged.X = np.log1p(1e4 * values / values.sum(1, keepdims=True)).astype("float32")
    return logged


def test_logarithms_and_counts_give_the_same_model(adata, graph):
    logged = _logged(adata)
    by_counts, by_logs = (
        GeneGCNClassifier(graph, **SMALL).fit(cells, "cell_type") for cells in (adata, logged)
    )
    assert by_logs.values_ == "log1p"
    assert by_logs.counted_
    expected = by_counts.predict_proba(adata)
    np.testing.assert_allclose(by_logs.predict_proba(logged), expected, atol=1e-5)


def test_a_cell_alone_is_named_as_among_others(adata, graph, tmp_path):
    some = _logged(adata)[:, :10].copy()  # of a single cell nobody can tell what it summed to
    model = GeneGCNClassifier(graph, values="log1p", **SMALL).fit(some, "cell_type")
    model.save(tmp_path / "model")
    expected = model.predict_proba(some)[:1]
    for each in (model, GeneGCNClassifier.load(tmp_path / "model")):
        np.testing.assert_allclose(each.predict_proba(some[:1]), expected, atol=1e-6)


def test_cells_that_do_not_show_their_reads_are_asked_for_their_depth(adata, graph):
    rng = np.random.default_rng(0)
    blurred = adata.copy()
    blurred.X = adata.X.toarray() * rng.uniform(0.5, 1.5, adata.shape)
    blurred = _logged(blurred)
    with pytest.warns(
        UserWarning, match=r"do not show how many reads.*depth='total_counts'.*is not used"
    ):
        model = GeneGCNClassifier(graph, **SMALL).fit(blurred, "cell_type")
    assert model.network_.shrinkage is None
    assert len(model.network_.layers) == 0
    layered = GeneGCNClassifier(graph, num_layers=1, shrinkage=None, **SMALL)
    assert len(layered.fit(blurred, "cell_type").network_.layers) == 1
    counted = GeneGCNClassifier(graph, **SMALL).fit(adata, "cell_type")
    with pytest.raises(ValueError, match="raw counts"):
        counted.predict(blurred)
    logged = _logged(adata)
    with pytest.raises(ValueError, match="fitted on cells that do"):
        GeneGCNClassifier(graph, **SMALL).fit(logged, "cell_type").predict(blurred)


def test_depth_comes_from_a_column(adata, graph):
    adata.obs["total_counts"] = np.asarray(adata.X.sum(1)).ravel() * 3.0
    deep = GeneGCNClassifier(graph, depth="total_counts", **SMALL).fit(adata, "cell_type")
    shallow = GeneGCNClassifier(graph, **SMALL).fit(adata, "cell_type")
    assert not np.allclose(deep.predict_proba(adata), shallow.predict_proba(adata), atol=1e-5)
    with pytest.raises(KeyError, match="did you mean 'total_counts'"):
        GeneGCNClassifier(graph, depth="total_count", **SMALL).fit(adata, "cell_type")
    with pytest.raises(TypeError, match="must hold numbers"):
        GeneGCNClassifier(graph, depth="cell_type", **SMALL).fit(adata, "cell_type")
    X, y = adata.X, adata.obs["cell_type"].to_numpy()
    with pytest.raises(TypeError, match="only an AnnData has"):
        GeneGCNClassifier(depth="total_counts", values="counts", **SMALL).fit(X, y)


def test_the_head_reads_as_many_genes_as_asked(adata, graph):
    model = GeneGCNClassifier(graph, n_top_genes=5, **SMALL).fit(adata, "cell_type")
    assert model.network_.head.heads[0].hidden[0].in_features == 5
    assert model.score(adata, "cell_type") > 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shrinkage": 0.0}, "'shrinkage' must be a number of reads above 0, or None"),
        ({"n_top_genes": 0}, "'n_top_genes' must be at least 1, or None"),
    ],
)
def test_new_options_that_cannot_be_are_refused(adata, options, message):
    with pytest.raises(ValueError, match=message):
        GeneGCNClassifier(**options, **SMALL).fit(adata, "cell_type")


def _noisy(adata, share=0.5):
    """Some labels are wrong, so that confidence has something to say."""
    cells = adata.copy()
    labels = cells.obs["cell_type"].astype(str).to_numpy().copy()
    rng = np.random.default_rng(0)
    wrong = rng.random(len(labels)) < share
    labels[wrong] = rng.permutation(labels[wrong])
    cells.obs["cell_type"] = labels
    return cells


def test_held_out_cells_are_named_by_heads_that_have_not_learned_from_them(adata, graph):
    cells = _noisy(adata)
    options = {**SMALL, "max_epochs": 150, "batch_size": 8, "weight_decay": 0.0}
    # A discriminant would be listened to instead of heads that learn by heart.
    options["discriminant"] = False
    model = GeneGCNClassifier(graph, **options).fit(cells, "cell_type")
    held = model.held_out_
    assert held.index.tolist() == list(range(120))
    assert (held["label"] == cells.obs["cell_type"].to_numpy()).all()
    # The noise can be learned by heart, but not guessed.
    right = (held["label"] == held["predicted"]).mean()
    assert 0.4 < right < model.score(cells, "cell_type") - 0.05
    reliability = model.reliability()
    assert reliability.correct.mean() == right
    assert model.temperature_ > 1


def test_reliability_on_new_cells(adata, graph):
    model = GeneGCNClassifier(graph, **SMALL).fit(adata[::2], "cell_type")
    shown = model.reliability(adata[1::2], "cell_type")
    assert shown.correct.mean() == model.score(adata[1::2], "cell_type")
    renamed = np.array(["another"] * 60)
    assert not model.reliability(adata[1::2], renamed).correct.any()
    with pytest.raises(ValueError, match="'X' and 'y' must be given together"):
        model.reliability(adata)


def test_one_head_holds_nothing_out_unless_it_is_patient(adata):
    model = GeneGCNClassifier(num_heads=1, **SMALL).fit(adata, "cell_type")
    assert model.temperature_ == 1
    with pytest.raises(ValueError, match="No cells were held out in fit"):
        model.reliability()
    patient = GeneGCNClassifier(num_heads=1, patience=5, **SMALL).fit(adata, "cell_type")
    assert len(patient.held_out_) == 12
    assert patient.temperature_ != 1


def test_unsure_cells_are_unknown(adata, graph, tmp_path):
    cells = _noisy(adata)
    model = GeneGCNClassifier(graph, **SMALL).fit(cells, "cell_type")
    sure = model.predict_proba(cells).max(1)
    threshold = float(np.median(sure))
    named = model.predict(cells, min_confidence=threshold)
    assert ((named == "unknown") == (sure < threshold)).all()
    assert 0 < (named == "unknown").sum() < 120
    model.annotate(cells, min_confidence=threshold)
    assert (cells.obs["genegraph"].astype(str) == named).all()
    assert cells.obs["genegraph"].cat.categories[-1] == "unknown"
    cells.write_h5ad(tmp_path / "named.h5ad")
    with pytest.raises(ValueError, match="Only one of"):
        model.predict(cells, min_confidence=0.5, max_error=0.1)


def test_numbered_types_become_words_beside_unknown(counts, genes, tmp_path):
    anndata = pytest.importorskip("anndata")
    X, y = counts
    cells = anndata.AnnData(X, var=pd.DataFrame(index=genes))
    model = GeneGCNClassifier(**SMALL).fit(cells, np.unique(y, return_inverse=True)[1])
    model.annotate(cells)
    assert cells.obs["genegraph"].cat.categories.tolist() == [0, 1, 2]
    model.annotate(cells, min_confidence=0.999)
    assert cells.obs["genegraph"].cat.categories.tolist() == ["0", "1", "2", "unknown"]
    cells.write_h5ad(tmp_path / "named.h5ad")


def test_a_threshold_can_be_asked_for_by_error_rate(adata, graph):
    cells = _noisy(adata)
    model = GeneGCNClassifier(graph, **SMALL).fit(cells, "cell_type")
    threshold = model.reliability().min_confidence(0.35)
    by_error = model.predict(cells, max_error=0.35)
    assert (by_error == model.predict(cells, min_confidence=threshold)).all()
    with pytest.raises(ValueError, match="'max_error' must be at least"):
        model.predict(cells, max_error=0.001)


def test_majority_voting_is_written_beside(adata, graph):
    model = GeneGCNClassifier(graph, **SMALL).fit(adata, "cell_type")
    adata.obs["leiden"] = adata.obs["cell_type"].astype(str).to_numpy()
    model.annotate(adata, majority_voting="leiden")
    voted = adata.obs["genegraph_majority"].astype(str)
    assert voted.groupby(adata.obs["leiden"], observed=True).nunique().max() == 1
    with pytest.raises(KeyError, match=r"scanpy.pp.neighbors"):
        model.annotate(adata, majority_voting="connectivities")


def test_a_type_that_was_not_learned_is_new(adata, graph):
    cells = adata.copy()
    gone = (cells.obs["cell_type"] == cells.obs["cell_type"].iloc[0]).to_numpy()
    model = GeneGCNClassifier(graph, **SMALL).fit(cells[~gone], "cell_type")
    assert len(model.novelty_.distances) == (~gone).sum()
    novelty = model.novelty(cells)
    assert novelty.min() >= 0
    assert novelty.max() < 1
    assert np.median(novelty[gone]) > 0.95
    assert (novelty[~gone] > 0.9).mean() < 0.2
    named = model.predict(cells, max_novelty=0.9)
    assert np.array_equal(named == "unknown", novelty > 0.9)
    cells.obs["leiden"] = np.where(gone, "0", "1")
    model.annotate(cells, max_novelty=0.9, majority_voting="leiden")
    assert np.array_equal(cells.obs["genegraph_novelty"], novelty)
    assert np.array_equal(cells.obs["genegraph"], named)
    assert np.array_equal(cells.obs["genegraph_majority"] == "unknown", gone)
    with pytest.raises(ValueError, match=r"'max_novelty' must be less than 0\.9"):
        model.predict(cells, max_novelty=0.999)


@pytest.mark.parametrize("part", ["directions", "means", "distances"])
def test_a_file_whose_novelty_does_not_fit_is_refused(adata, graph, tmp_path, part):
    model = GeneGCNClassifier(graph, **SMALL).fit(adata, "cell_type")
    cut = {part: getattr(model.novelty_, part)[..., None]}
    model.novelty_ = dataclasses.replace(model.novelty_, **cut)
    model.save(tmp_path / "m.genegraph")
    with pytest.raises(ValueError, match="Novelty must be of"):
        GeneGCNClassifier.load(tmp_path / "m.genegraph")


def test_groups_are_held_out_together(adata, graph):
    donors = np.array(["d1", "d2", "d3", "d4"])[np.arange(120) % 4]
    adata.obs["donor"] = donors
    by_name = GeneGCNClassifier(graph, **SMALL).fit(adata, "cell_type", groups="donor")
    by_values = GeneGCNClassifier(graph, **SMALL).fit(adata, "cell_type", groups=donors)
    assert np.array_equal(by_name.predict_proba(adata), by_values.predict_proba(adata))
    patient = GeneGCNClassifier(graph, **SMALL).set_params(patience=3, num_heads=1)
    held = patient.fit(adata, "cell_type", groups="donor").held_out_
    assert len({*donors[held.index]}) == 1
    for groups, error, message in (
        ("doner", KeyError, "did you mean 'donor'"),
        (donors[:5], ValueError, r"one value per cell \(got shape \(5,\) for 120 cells\)"),
        (["d1"] * 120, ValueError, "at least 2 groups"),
    ):
        with pytest.raises(error, match=message):
            GeneGCNClassifier(graph, **SMALL).fit(adata, "cell_type", groups=groups)
    with pytest.raises(ValueError, match="where the cells are no AnnData"):
        GeneGCNClassifier(**SMALL).fit(np.ones((4, 2)), [0, 1, 0, 1], groups="donor")


def test_what_was_held_out_survives_a_file(adata, graph, tmp_path):
    model = GeneGCNClassifier(graph, **SMALL).fit(_noisy(adata), "cell_type")
    model.save(tmp_path / "m.genegraph")
    again = GeneGCNClassifier.load(tmp_path / "m.genegraph")
    assert again.temperature_ == model.temperature_
    pd.testing.assert_frame_equal(again.held_out_, model.held_out_)
    assert np.array_equal(again.novelty(adata), model.novelty(adata))
    assert np.array_equal(again.predict_proba(adata), model.predict_proba(adata))


@pytest.mark.parametrize("options", [{"num_heads": 0}])
def test_a_committee_of_none_is_refused(adata, options):
    with pytest.raises(ValueError, match="'num_heads' must be at least 1"):
        GeneGCNClassifier(**options).fit(adata, "cell_type")
