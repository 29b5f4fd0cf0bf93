"""Cells without labels: what is learned from them, and what is not."""

import anndata
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from mishaps import SMALL, In, PowerCutError, ctrl_c, make, out_of_memory, power_cut, same

from genegraph import GeneGCNClassifier, classifier_fit, unlabeled
from genegraph.batches import CellRows
from genegraph.classifier_cells import ReadCells
from genegraph.classifier_checks import fingerprint_of
from genegraph.classifier_unlabeled import with_unlabeled
from genegraph.nn import LinearDiscriminant
from genegraph.unlabeled import choose_unlabeled, neighbor_graph, propagate, propagate_from_folds

pytestmark = pytest.mark.usefixtures("ctrl_c_interrupts")

# --- neighbours tell each other ----------------------------------------------------------------


def test_neighbours_are_mutual_and_a_cell_is_none_of_its_own():
    places = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    distance = ((places[:, None] - places) ** 2).sum(-1)
    np.fill_diagonal(distance, np.inf)
    near = np.zeros((40, 40))
    for cell, nearest in enumerate(distance.argsort(1)[:, :15]):
        near[cell, nearest] = 1
    either = np.maximum(near, near.T)
    expected = either / either.sum(1, keepdims=True)
    np.testing.assert_allclose(neighbor_graph(places).toarray(), expected, rtol=1e-12)


def test_propagation_agrees_with_dense_matrices_and_keeps_probabilities():
    rng = np.random.default_rng(0)
    graph = neighbor_graph(rng.normal(size=(50, 2)).astype("float32"))
    guess = rng.dirichlet([1, 1, 1], 50).astype("float32")
    known = np.arange(50) < 10
    told = guess.astype(float)
    for _ in range(20):
        told = np.where(known[:, None], guess, 0.8 * graph.toarray() @ told + 0.2 * guess)
    found = propagate(graph, guess, known, 0.8)
    np.testing.assert_allclose(found, told, atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    assert (found[known] == guess[known]).all()


def test_an_unsure_cell_among_known_ones_of_a_type_takes_their_side():
    pairs = sp.csr_matrix(np.kron(np.eye(2), (np.ones((3, 3)) - np.eye(3)) / 2))
    guess = np.float32([[1, 0], [1, 0], [0.4, 0.6], [0, 1], [0, 1], [0.5, 0.5]])
    told = propagate(pairs, guess, np.array([True, True, False, True, True, False]), 0.8)
    # One of two neighbours' worth each: Q = 0.8 * (1, 0) + 0.2 * P.
    np.testing.assert_allclose(told[[2, 5]], [[0.88, 0.12], [0.1, 0.9]], atol=1e-6)


def test_of_many_cells_fifty_thousand_are_drawn():
    rng = np.random.RandomState(0)
    chosen = choose_unlabeled(80_000, rng)
    assert len(np.unique(chosen)) == unlabeled.MOST_CELLS == 50_000
    assert (np.diff(chosen) > 0).all()
    assert chosen.mean() == pytest.approx(40_000, rel=0.01)
    assert choose_unlabeled(3, rng).tolist() == [0, 1, 2]


def told_of_two_clouds(labels, guess, share):
    """Two clouds of 40, of which 20 each are labelled; what is told of them, from two folds."""
    rng = np.random.default_rng(0)
    side = np.tile([0, 1], 40)
    graph = neighbor_graph((5 * side[:, None] + rng.normal(size=(80, 2))).astype("float32"))
    fold = np.arange(40) // 2 % 2
    found = propagate_from_folds(graph, guess, labels, fold)
    for number in range(2):
        known = np.append(fold != number, np.zeros(40, dtype=bool))
        start = guess[:, number].copy()
        start[known] = np.eye(2)[labels[known[:40]]]
        np.testing.assert_allclose(found[:, number], propagate(graph, start, known, share))
    return found


def test_neighbours_count_where_labels_are_told_best_by_them():
    labels = np.tile([0, 1], 20)
    unsure = np.full((80, 2, 2), 0.5, dtype="float32")
    told = told_of_two_clouds(labels, unsure, 0.8)
    assert (told[40:].argmax(2) == np.tile([0, 1], 20)[:, None]).all()


def test_neighbours_do_not_count_where_each_cell_is_known_better_by_itself():
    rng = np.random.default_rng(0)
    types = rng.integers(0, 2, 80)  # neighbours are of any type
    sure = np.eye(2)[types][:, None].repeat(2, 1) * 0.9 + 0.05
    told = told_of_two_clouds(types[:40], sure.astype("float32"), 0.0)
    np.testing.assert_array_equal(told[40:], sure[40:].astype("float32"))


def share_taken(graph, guess, labels, fold):
    """How much neighbours counted, as seen on the cells of fold 0."""
    found = propagate_from_folds(graph, guess, labels, fold)[:, 0]
    known = np.append(fold != 0, np.zeros(len(guess) - len(labels), dtype=bool))
    start = guess[:, 0].copy()
    start[known] = np.eye(guess.shape[2])[labels[known[: len(labels)]]]
    return [s for s in unlabeled.SHARES if np.allclose(propagate(graph, start, known, s), found)]


def test_types_count_as_they_are_among_the_cells_without_labels():
    # Cells of type 0 are told by neighbours only, types 1 and 2 live together: by themselves only.
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    places = rng.normal(size=(120, 2)) + 20 * (labels[:, None] > 0)
    apart = sp.block_diag([neighbor_graph(places.astype("float32")), sp.eye(60)]).tocsr()
    guess = np.full((180, 2, 3), 0.02, dtype="float32")
    guess[np.arange(120), :, labels] = 0.96
    guess[:120][labels == 0] = 1 / 3
    fold = np.arange(120) // 3 % 2
    taken = []
    for composition in ([0.98, 0.01, 0.01], [0.02, 0.49, 0.49]):
        guess[120:] = composition
        taken += share_taken(apart, guess, labels, fold)
    assert taken[0] > taken[1]


def test_neighbours_may_be_right_without_being_sure():
    rng = np.random.default_rng(0)
    labels = np.arange(100) % 2
    rows = [
        rng.permutation(
            np.append(
                rng.choice(np.flatnonzero(labels == y), 12),
                rng.choice(np.flatnonzero(labels != y), 4),
            )
        )
        for y in labels
    ]  # a quarter of each cell's neighbours are of the other type
    graph = sp.csr_matrix((np.full(1600, 1 / 16), np.ravel(rows), np.arange(0, 1601, 16)))
    graph = sp.block_diag([graph, sp.eye(2)]).tocsr()
    said = np.where(np.arange(100) % 25 < 2, 1 - labels, labels)  # wrong in 8 of 100, and sure
    guess = np.append(np.eye(2)[said] * 0.9 + 0.05, np.full((2, 2), 0.5), axis=0)
    guess = guess[:, None].repeat(2, 1).astype("float32")
    assert share_taken(graph, guess, labels, np.arange(100) // 2 % 2) == [0.8]


def test_where_no_label_is_held_out_neighbours_count_as_much_as_they_may():
    graph = neighbor_graph(np.random.default_rng(0).normal(size=(30, 2)).astype("float32"))
    guess = np.random.default_rng(1).dirichlet([1, 1], 30).astype("float32")[:, None]
    labels = np.arange(6) % 2
    found = propagate_from_folds(graph, guess, labels, np.full(6, -1))
    start = guess[:, 0].copy()
    start[:6] = np.eye(2)[labels]
    np.testing.assert_array_equal(found[:, 0], propagate(graph, start, np.arange(30) < 6, 0.8))


# --- what heads are told -----------------------------------------------------------------------


@pytest.fixture
def fitted(adata, graph):
    return make(graph).fit(adata, "cell_type")


def told(model, labels, adata, strangers=()):
    """What heads are to learn: 60 labelled cells in two folds, 60 without."""
    X = adata.X.toarray()
    fold = np.arange(60) % 2
    cells = CellRows(X[:60], labels, X[:60].sum(1), fold)
    new = ReadCells(X[60:], X[60:].sum(1))
    return with_unlabeled(model, cells, new, strangers, np.random.RandomState(0))


@pytest.fixture
def one_share(monkeypatch):
    """How much neighbours count is what all folds share."""
    monkeypatch.setattr(unlabeled, "SHARES", (0.8,))


@pytest.mark.usefixtures("one_share")
def test_a_discriminant_tells_the_heads_of_its_fold(adata, fitted):
    labels = np.arange(60) % 3
    sure = [LinearDiscriminant(*fitted.novelty_.directions.shape[:1], 3) for _ in range(2)]
    sure[1].bias[2] = 1e3
    plain, other = (told(fitted, labels, adata, s).target[60:] for s in ((), sure))
    np.testing.assert_array_equal(plain[:, 0], other[:, 0])
    unlikely = plain[:, 1, 2] < 0.3
    assert unlikely.any()
    assert (other[unlikely, 1, 2] > 0.5).all()


@pytest.mark.usefixtures("one_share")
def test_heads_are_told_nothing_by_the_labels_they_are_kept_from(adata, fitted):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    others = labels.copy()
    others[::2] = (labels[::2] + 1) % 3  # of fold 0
    first, then = (told(fitted, y, adata).target[60:] for y in (labels, others))
    np.testing.assert_array_equal(first[:, 0], then[:, 0])
    assert np.abs(first[:, 1] - then[:, 1]).max() > 0.01


def test_labelled_cells_stay_what_they_are_labelled(adata, fitted):
    labels = np.random.default_rng(0).integers(0, 3, 60)
    cells = told(fitted, labels, adata)
    np.testing.assert_array_equal(cells.target[:60], np.eye(3)[labels][:, None].repeat(2, 1))
    np.testing.assert_array_equal(cells.y[:60], labels)
    assert (cells.fold[60:] == -1).all()
    np.testing.assert_allclose(cells.target.sum(2), 1, atol=1e-6)
    np.testing.assert_array_equal(cells.y[60:], cells.target[60:].mean(1).argmax(1))


# --- fitting -----------------------------------------------------------------------------------


def few_and_many(seed, per_type=2, num_cells=800):
    """Four types of noisy cells, two of each labelled."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, num_cells)
    y[: 4 * per_type] = np.arange(4 * per_type) % 4
    rate = 2 * np.exp(rng.normal(0, 0.4, (4, 60)))
    labeled, rest = np.split(np.arange(num_cells), [4 * per_type])
    return rng.poisson(rate[y]).astype("float32"), y, labeled, rest


def small(**settings):
    return GeneGCNClassifier(
        **{"hidden_channels": (16,), "random_state": 0, "verbose": False, "device": "cpu"}
        | {"values": "counts", "max_epochs": 30}
        | settings
    )


def test_unlabelled_cells_show_where_types_end_that_few_labels_do_not():
    without, having = [], []
    for seed in range(3):
        X, y, labeled, rest = few_and_many(seed)
        new, query = rest[:400], rest[400:]
        few = small().fit(X[labeled], y[labeled])
        many = small().fit(X[labeled], y[labeled], unlabeled=X[new])
        without.append(few.score(X[query], y[query]))
        having.append(many.score(X[query], y[query]))
    assert np.mean(having) > np.mean(without) + 0.05, (without, having)


@pytest.mark.filterwarnings("ignore:The cells have .* though they are deeper")
def test_cells_of_another_technology_are_learned_as_what_they_are():
    without, having = [], []
    for seed in range(3):
        X, y, labeled, rest = few_and_many(seed, per_type=25)
        caught = np.random.default_rng(seed).choice([0.2, 5.0], 60)
        new, query = (
            np.random.default_rng(9).poisson(X[part] * caught) for part in (rest[:400], rest[400:])
        )
        reference = small().fit(X[labeled], y[labeled])
        model = small().fit(X[labeled], y[labeled], unlabeled=new)
        without.append(reference.score(query, y[rest[400:]]))
        having.append(model.score(query, y[rest[400:]]))
        assert model.adapted_ is None  # it has learned both, and needs no correction
        known = model.score(X[rest], y[rest])
        assert known > reference.score(X[rest], y[rest]) - 0.05
    assert np.mean(having) > np.mean(without) + 0.05, (without, having)


def test_one_labelled_cell_a_type(adata, graph):
    few = adata[~adata.obs["cell_type"].duplicated()].copy()
    model = make(graph).fit(few, "cell_type", unlabeled=adata)
    assert model.score(adata, "cell_type") > 0.8


def test_of_cells_as_shallow_as_the_unlabelled_ones_nothing_is_said(adata, graph, recwarn):
    shallow = adata.copy()
    shallow.X = sp.csr_matrix(
        np.random.default_rng(0).binomial(adata.X.toarray().astype(int), 0.25).astype("float32")
    )
    model = make(graph).fit(adata, "cell_type", unlabeled=shallow)
    reads = float(np.median(shallow.X.sum(1).A1))
    assert model.median_depths_ == pytest.approx((reads, reads))
    recwarn.clear()
    model.annotate(shallow)
    assert not [w for w in recwarn if "reads (median)" in str(w.message)]
    with pytest.warns(
        UserWarning, match=r"12 reads \(median\), those learned from 48.*thin_to=12 "
    ):
        make(graph).fit(adata, "cell_type").annotate(shallow)


def test_how_the_cells_are_stored_and_in_which_order_their_genes_are_makes_no_difference(
    adata, graph, tmp_path
):
    few, rest = adata[::10].copy(), adata[np.arange(120) % 10 > 0].copy()
    rest.obs = rest.obs[[]]  # no labels needed
    model = make(graph).fit(few, "cell_type", unlabeled=rest)
    dense = rest.copy()
    dense.X = rest.X.toarray()
    turned = rest[:, ::-1].copy()
    rest.write_h5ad(tmp_path / "rest.h5ad")
    backed = anndata.read_h5ad(tmp_path / "rest.h5ad", backed="r")
    for other in (dense, turned, backed):
        again = make(graph).fit(few, "cell_type", unlabeled=other)
        np.testing.assert_allclose(
            again.predict_proba(adata), model.predict_proba(adata), atol=1e-5
        )


@pytest.mark.parametrize(
    "settings",
    [
        {"num_heads": 1},
        {"shrinkage": None},
        {"values": "features", "attention": "full"},
        {"class_weight": "balanced", "patience": 2, "validation_fraction": 0.3},
        {"pretrain": True},
    ],
    ids=str,
)
def test_with_other_settings(adata, graph, settings):
    few, rest = adata[::5].copy(), adata[np.arange(120) % 5 > 0].copy()
    model = make(graph, **settings).fit(few, "cell_type", unlabeled=rest)
    assert model.score(rest, "cell_type") > 0.8
    assert len(model.history_) == model.n_iter_
    if model.held_out_ is not None:
        assert len(model.held_out_) <= len(few)  # calibrated on labelled cells only


def test_groups_are_kept_apart_among_the_labelled_cells(adata, graph):
    few, rest = adata[::5].copy(), adata[np.arange(120) % 5 > 0].copy()
    model = make(graph).fit(few, "cell_type", groups="batch", unlabeled=rest)
    assert model.held_out_.index.tolist() == list(range(len(few)))


def test_a_saved_model_names_cells_as_before(adata, graph, tmp_path):
    model = make(graph).fit(adata[::10].copy(), "cell_type", unlabeled=adata)
    model.save(tmp_path / "model")
    again = GeneGCNClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(adata), model.predict_proba(adata))


# --- trouble -----------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [1, 2])
def test_a_fit_that_died_goes_on_to_the_same_weights(adata, graph, tmp_path, training):
    few = adata[::4].copy()
    whole = make(graph).fit(few, "cell_type", unlabeled=adata)
    arguments = {"y": "cell_type", "unlabeled": adata, "checkpoint_dir": tmp_path}
    with pytest.raises(PowerCutError):
        make(graph, In(training, 4, 1, power_cut)).fit(few, **arguments)
    epochs = []
    model = make(graph, In(3 - training, 1, 1, lambda _: epochs.append(1)))
    assert same(model.fit(few, **arguments), whole)
    if training == 2:
        assert not epochs  # the first training is not done again


def test_other_unlabelled_cells_are_another_fit(adata, graph, tmp_path):
    few = adata[::4].copy()
    make(graph).fit(few, "cell_type", unlabeled=adata, checkpoint_dir=tmp_path)
    for other in (adata[:60].copy(), None):
        with pytest.raises(ValueError, match="this very fit"):
            make(graph).fit(few, "cell_type", unlabeled=other, checkpoint_dir=tmp_path)


def test_the_depth_of_unlabelled_cells_belongs_to_the_fit(adata, fitted):
    X = adata.X.toarray()
    cells, codes = ReadCells(X, X.sum(1)), np.zeros(120, dtype=np.int64)
    one, other = (ReadCells(X, np.float32(depth)) for depth in (X.sum(1), X.sum(1) + 1))
    found = {fingerprint_of(fitted, cells, codes, None, part) for part in (one, other, None)}
    assert len(found) == 3


@pytest.mark.parametrize("training", [1, 2])
def test_ctrl_c_leaves_a_fitted_model(adata, graph, training):
    few = adata[::4].copy()
    with pytest.warns(UserWarning, match="Training was stopped after"):
        model = make(graph, In(training, 3, 1, ctrl_c)).fit(few, "cell_type", unlabeled=adata)
    assert model.predict(adata).shape == (120,)
    assert model.n_iter_ == 4 - training  # an epoch of the first has one step, which is finished


def test_where_the_second_training_fails_the_first_is_kept(adata, graph):
    few = adata[::4].copy()
    first = make(graph).fit(few, "cell_type")
    model = make(graph, In(2, 1, 1, out_of_memory))
    with pytest.raises(torch.OutOfMemoryError, match="from the labelled cells alone"):
        model.fit(few, "cell_type", unlabeled=adata)
    np.testing.assert_array_equal(model.predict(adata), first.predict(adata))


def test_ctrl_c_between_the_trainings_keeps_the_first(adata, graph, monkeypatch):
    few = adata[::4].copy()
    first = make(graph).fit(few, "cell_type")

    def interrupted(*args):
        ctrl_c(None)
        return with_unlabeled(*args)

    monkeypatch.setattr(classifier_fit, "with_unlabeled", interrupted)
    model = make(graph)
    with pytest.warns(UserWarning, match="before unlabelled cells were met"):
        model.fit(few, "cell_type", unlabeled=adata)
    np.testing.assert_array_equal(model.predict(adata), first.predict(adata))


def test_labelled_cells_on_disk_are_refused(adata, graph, tmp_path, monkeypatch):
    from genegraph import expression_stored

    adata.write_h5ad(tmp_path / "cells.h5ad")
    monkeypatch.setattr(expression_stored, "WINDOW_BYTES", 16)
    backed = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    with pytest.raises(ValueError, match="labelled cells in memory"):
        make(graph).fit(backed, "cell_type", unlabeled=adata)


def test_what_is_no_such_cells_is_refused(adata, graph):
    few = adata[::4].copy()
    with pytest.raises(ValueError, match="at least one cell"):
        make(graph).fit(few, "cell_type", unlabeled=adata[:0].copy())
    strange = adata.copy()
    strange.var_names = [f"other{i}" for i in range(12)]
    with pytest.raises(ValueError, match="genes"):
        make(graph).fit(few, "cell_type", unlabeled=strange)
    negative = adata.copy()
    negative.X = -adata.X
    with pytest.raises(ValueError, match="negative"):
        make(graph).fit(few, "cell_type", unlabeled=negative)
    with pytest.raises(ValueError, match="features"):
        GeneGCNClassifier(**SMALL).fit(np.eye(6), [0, 1] * 3, unlabeled=np.eye(5))
