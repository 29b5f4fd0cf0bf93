"""Linear discriminants against scikit-learn's and by hand, and how much they count."""

import warnings

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from genegraph import GeneGCNClassifier, classifier_calibration, classifier_fit
from genegraph.discriminants import fit_discriminants, weight_beside, without_each_fold
from genegraph.nn import Committee

SMALL = {
    "hidden_channels": (16,),
    "batch_size": 16,
    "max_epochs": 4,
    "n_top_genes": 8,
    "random_state": 0,
    "verbose": False,
    "device": "cpu",
    "discriminant": True,
}


def clouds(num_cells, num_features, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.arange(num_cells) % 3
    mixed = rng.normal(size=(num_features, num_features))
    x = (
        rng.normal(size=(num_cells, num_features)) @ mixed
        + 2 * rng.normal(size=(3, num_features))[codes]
    )
    return x.astype(np.float32), codes


def test_scikit_learn_says_the_same():
    x, codes = clouds(198, 8)  # as many of each class: its covariance weighs classes, not cells
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.6).fit(x, codes)
    [(weight, bias)] = fit_discriminants(x[None], codes, [np.arange(198)])
    scores = theirs.decision_function(x)
    ours = x @ weight[0].T + bias
    np.testing.assert_allclose(ours, scores - scores.mean(1, keepdims=True), rtol=1e-4, atol=1e-4)


def test_fewer_cells_than_features():
    x, codes = clouds(12, 30)
    [(weight, bias)] = fit_discriminants(x[None], codes, [np.arange(12)])
    wide = x.astype(np.float64)
    means = np.stack([wide[codes == k].mean(0) for k in range(3)])
    rest = wide - means[codes]
    within = rest.T @ rest / 12
    inverse = np.linalg.inv(0.4 * within + 0.6 * np.trace(within) / 9 * np.eye(30))
    apart = means - means.mean(0)
    scores = np.stack(
        [
            (wide - (mean + means.mean(0)) / 2) @ inverse @ d
            for mean, d in zip(means, apart, strict=True)
        ],
        axis=1,
    )
    scores -= scores.mean(1, keepdims=True)
    np.testing.assert_allclose(x @ weight[0].T + bias, scores, rtol=1e-4, atol=1e-3)


def test_views_are_averaged_and_subsets_are_fitted_alone():
    first, codes = clouds(60, 6)
    second, _ = clouds(60, 6, seed=1)
    fold = np.random.default_rng(0).permutation(60) % 2
    subsets = list(without_each_fold(fold))
    assert [len(rows) for rows in subsets] == [30, 30, 60]
    together = fit_discriminants(np.stack([first, second]), codes, subsets)
    for rows, (weight, bias) in zip(subsets, together, strict=True):
        alone = [
            fit_discriminants(x[None, rows], codes[rows], [np.arange(len(rows))])[0]
            for x in (first, second)
        ]
        for v in range(2):
            np.testing.assert_allclose(weight[v], alone[v][0][0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(bias, (alone[0][1] + alone[1][1]) / 2, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("x", [np.eye(3)[np.arange(30) % 3], np.full((30, 4), np.nan)])
def test_no_covariance_no_discriminant(x):
    codes = np.arange(30) % 3
    assert fit_discriminants(x[None].astype(np.float32), codes, [np.arange(30)]) is None


def test_the_weight_is_where_held_out_labels_are_most_probable():
    rng = np.random.default_rng(0)
    codes = np.arange(400) % 4
    votes, scores = np.eye(4)[codes] * [[[1.0]], [[30.0]]] + rng.normal(
        0, [[[1]], [[20]]], (2, 400, 4)
    )

    def best(times):
        summed = votes + times * scores
        return max(
            log_softmax(summed * s, 1)[np.arange(400), codes].sum() for s in np.arange(0.2, 6, 0.05)
        )

    found = weight_beside(votes, scores, codes)
    tried = found * np.array([0.25, 0.5, 1, 2, 4])
    assert max(tried, key=best) == found


@pytest.mark.parametrize("silent", [np.zeros((5, 2)), np.full((5, 2), np.nan)])
def test_what_says_nothing_does_not_count(silent):
    codes = np.arange(5) % 2
    assert weight_beside(np.eye(2)[codes], silent, codes) == 0


def test_it_speaks_beside_the_heads():
    torch.manual_seed(0)
    committee = Committee(5, 3, (4,), num_heads=2, num_views=2, discriminant=True)
    x = torch.rand(2, 7, 5)
    alone = committee(x)
    torch.testing.assert_close(alone, committee.votes(x).mean(0))
    weight, bias = torch.rand(2, 3, 5), torch.rand(3)
    committee.discriminant.set(weight, bias)
    scores = (x[0] @ weight[0].T + x[1] @ weight[1].T) / 2 + bias
    torch.testing.assert_close(committee(x), alone + scores)


def test_a_classifier_with_a_discriminant(adata, graph, tmp_path):
    plain = GeneGCNClassifier(graph, **{**SMALL, "discriminant": False}).fit(adata, "cell_type")
    model = GeneGCNClassifier(graph, **SMALL).fit(adata, "cell_type")
    heads = [dict(m.network_.head.heads.state_dict()) for m in (plain, model)]
    assert all(torch.equal(heads[0][name], heads[1][name]) for name in heads[0])
    assert plain.network_.head.discriminant is None
    assert model.network_.head.discriminant.weight.abs().sum() > 0
    assert not np.allclose(model.predict_proba(adata), plain.predict_proba(adata), atol=1e-3)
    assert model.score(adata, "cell_type") > 0.9
    model.save(tmp_path / "model")
    again = GeneGCNClassifier.load(tmp_path / "model")
    assert np.array_equal(again.predict_proba(adata), model.predict_proba(adata))


def test_what_it_says_of_a_fold_comes_from_none_of_its_labels(adata, graph, monkeypatch):
    fold = np.random.default_rng(0).permutation(120) % 6
    monkeypatch.setattr(classifier_fit, "split_folds", lambda codes, *_: fold[: len(codes)])
    # Labels of all folds decide how much it counts.
    monkeypatch.setattr(classifier_calibration, "weight_beside", lambda *_: 1.0)
    kept = []

    def keep(*args):
        kept.append(calibrate(*args))
        return kept[-1]

    calibrate = classifier_fit.calibrate
    monkeypatch.setattr(classifier_fit, "calibrate", keep)
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    lied = labels.copy()
    lied[fold == 2] = np.random.default_rng(1).permutation(labels[fold == 2])
    for y in (labels, lied):
        # Kappa is learned from the labels of all: without a graph it is not.
        GeneGCNClassifier(None, **SMALL).fit(adata, y)
    same = [torch.equal(ours.weight, theirs.weight) for ours, theirs in zip(*kept, strict=True)]
    assert same == [n == 2 for n in range(6)]


def test_noise_is_not_learned_by_heart(adata):
    noise = np.random.default_rng(0).permutation(adata.obs["cell_type"].to_numpy())
    model = GeneGCNClassifier(None, **SMALL).fit(adata, noise)
    chance = np.mean([np.mean(noise == label) for label in np.unique(noise)])
    held = model.held_out_
    assert (held["label"] == held["predicted"]).mean() < chance + 0.15
    assert held["confidence"].mean() < chance + 0.25


def test_cells_without_labels_meet_it_too(adata, graph):
    few = adata[::4].copy()
    model = GeneGCNClassifier(graph, **SMALL).fit(few, "cell_type", unlabeled=adata)
    assert model.score(adata, "cell_type") > 0.9


@pytest.mark.parametrize(
    "setting", [{"num_heads": 1}, {"class_weight": "balanced"}, {"discriminant": "yes"}]
)
def test_what_it_cannot_be_combined_with(adata, setting):
    with pytest.raises(ValueError, match="discriminant"):
        GeneGCNClassifier(None, **{**SMALL, **setting}).fit(adata, "cell_type")


@pytest.mark.parametrize(
    ("setting", "speaks"),
    [({}, True), ({"num_heads": 1}, False), ({"class_weight": "balanced"}, False)],
)
def test_by_default_it_speaks_where_it_can(adata, setting, speaks, tmp_path):
    model = GeneGCNClassifier(None, **{**SMALL, "discriminant": None, **setting})
    model.fit(adata, "cell_type").save(tmp_path / "model")
    for each in (model, GeneGCNClassifier.load(tmp_path / "model")):
        linear = each.network_.head.discriminant
        assert (linear is not None) == speaks
        assert not speaks or linear.weight.abs().sum() > 0


def test_by_default_nothing_is_said_where_it_cannot_be_had():
    X, y = np.eye(3)[np.arange(30) % 3], list("abc") * 10
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="discriminant")
        GeneGCNClassifier(None, **{**SMALL, "discriminant": None}).fit(X, y)


def test_with_groups_validation_cells_and_a_lone_class(adata):
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    labels[0] = "lone"
    model = GeneGCNClassifier(None, **SMALL, patience=2)
    model.fit(adata, labels, groups=np.arange(120) % 4)
    assert "lone" in model.classes_
    assert len(model.held_out_) == 119
    assert np.isfinite(model.predict_proba(adata)).all()


@pytest.mark.parametrize(
    ("X", "y"),
    [(np.eye(3)[np.arange(30) % 3], list("abc") * 10), (np.eye(4), list("abcd"))],
    ids=["cells all alike", "a class a cell"],
)
def test_a_discriminant_that_cannot_be_had_is_told_of(X, y):
    model = GeneGCNClassifier(None, **SMALL)
    with pytest.warns(UserWarning, match="discriminant=True changes nothing") as told:
        model.fit(X, y)
    assert told[0].filename == __file__
    assert model.network_.head.discriminant.weight.abs().sum() == 0
    assert np.isfinite(model.predict_proba(X)).all()
