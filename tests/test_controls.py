"""The comparison with controls finds a graph that helps, and does not find one that does not."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import stats

from genegraph import GeneGCNClassifier, GeneGraph
from genegraph.controls import Comparison, compare

SMALL = {"hidden_channels": (16,), "max_epochs": 3, "num_heads": 1, "verbose": False}


def shared(adata):
    table = pd.DataFrame(
        {"gene_a": adata.var_names[:-1], "gene_b": adata.var_names[1:], "score": 1.0}
    )
    return GeneGraph.from_interactions(table, adata.var_names)


def test_every_cell_is_tested_once_with_each_graph(adata):
    shown = compare(GeneGCNClassifier(shared(adata), **SMALL), adata, "cell_type", cv=3)
    assert shown.scores["split"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert shown.scores["graph"].tolist() == ["real", "rewired", "none"] * 3
    assert shown.test_share == 0.5
    assert ((shown.scores["accuracy"] >= 0) & (shown.scores["accuracy"] <= 1)).all()


def test_the_model_is_left_as_it_is_and_the_result_repeats(adata):
    model = GeneGCNClassifier(shared(adata), random_state=7, **SMALL)
    tables = [compare(model, adata, "cell_type", cv=2).scores for _ in range(2)]
    pd.testing.assert_frame_equal(*(t.drop(columns="seconds") for t in tables))
    assert model.random_state == 7
    assert not hasattr(model, "network_")


def test_groups_stay_together(adata, monkeypatch):
    groups = np.arange(adata.n_obs) % 4
    met = []
    fit, predict = GeneGCNClassifier.fit, GeneGCNClassifier.predict

    def noting(self, X, y=None, **more):
        met.append(set(X.obs["group"]))
        return fit(self, X, y, **more)

    def asked(self, X, **more):
        met[-1] = (met[-1], set(X.obs["group"]))
        return predict(self, X, **more)

    monkeypatch.setattr(GeneGCNClassifier, "fit", noting)
    monkeypatch.setattr(GeneGCNClassifier, "predict", asked)
    adata.obs["group"] = groups
    compare(GeneGCNClassifier(shared(adata), **SMALL), adata, "cell_type", groups="group", cv=4)
    assert len(met) == 12
    assert all(learned.isdisjoint(tested) for learned, tested in met)


def scores_of(gain):
    rows = []
    for split, more in enumerate(gain):
        rows += [(split, "real", 0.8 + more, 0.8 + more, 1.0)]
        rows += [(split, other, 0.8, 0.8, 1.0) for other in ("rewired", "none")]
    columns = ["split", "graph", "accuracy", "macro_f1", "seconds"]
    return Comparison(pd.DataFrame(rows, columns=columns), 0.25)


def test_the_interval_is_that_of_the_corrected_t_test():
    gain = np.array([0.01, 0.03, 0.02, 0.04, 0.00])
    found = scores_of(gain).differences().iloc[0]
    half = stats.t.ppf(0.975, 4) * np.sqrt((1 / 5 + 0.25) * gain.var(ddof=1))
    assert found["mean"] == pytest.approx(0.02)
    assert found["high"] - found["mean"] == pytest.approx(half)
    assert found["mean"] - found["low"] == pytest.approx(half)


def test_words_follow_the_interval():
    assert "better than a rewired graph" in str(scores_of([0.02, 0.021, 0.02]))
    assert "worse than no graph" in str(scores_of([-0.02, -0.021, -0.02]))
    assert str(scores_of([-0.02, 0.021, 0.0])).count("can be told from chance") == 4


@pytest.mark.parametrize(
    ("change", "options", "error", "match"),
    [
        ({"graph": None}, {}, ValueError, "'model' must have a graph"),
        ({}, {"cv": 1}, ValueError, "'cv' must be at least 2"),
        ({}, {"cv": 100}, ValueError, "Every cell type needs at least cv=100 cells"),
        ({}, {"groups": ["a", "b"] * 60, "cv": 3}, ValueError, "at least cv=3 groups"),
        ({}, {"labels": "kind"}, KeyError, "kind"),
    ],
)
def test_what_cannot_be_compared_is_refused(adata, change, options, error, match):
    model = GeneGCNClassifier(**{"graph": shared(adata), **SMALL, **change})
    with pytest.raises(error, match=match):
        compare(model, adata, **{"labels": "cell_type", **options})


def test_cells_must_be_an_anndata(adata):
    with pytest.raises(TypeError, match="must be an AnnData"):
        compare(GeneGCNClassifier(shared(adata)), adata.X, ["a"] * adata.n_obs)


@pytest.fixture
def shallow():
    """Cells of 15 reads, whose types differ in modules of ten genes each; the modules."""
    rng = np.random.default_rng(0)
    module = np.repeat(np.arange(20), 10)
    rate = np.exp(0.5 * rng.normal(size=(4, 20)))[:, module] * np.exp(0.5 * rng.normal(size=200))
    y = np.arange(480) % 4
    X = rng.poisson(15 * (rate / rate.sum(1, keepdims=True))[y]).astype("float32")
    cells = AnnData(X, var=pd.DataFrame(index=[f"G{i}" for i in range(200)]))
    cells.obs["kind"] = [f"type {k}" for k in y]
    pairs = [(i, j) for i in range(200) for j in range(i) if module[i] == module[j]]
    return cells[X.sum(1) > 0].copy(), pairs


def test_a_true_graph_is_told_from_a_false_one(shallow):
    cells, pairs = shallow
    a, b = np.array(pairs).T
    graph = GeneGraph(cells.var_names, np.stack([np.r_[a, b], np.r_[b, a]]))
    model = GeneGCNClassifier(graph, hidden_channels=(16,), max_epochs=10, verbose=False)
    gains = {}
    for name, other in (("true", graph), ("false", graph.rewire(5))):
        shown = compare(model.set_params(graph=other), cells, "kind", cv=3)
        gains[name] = shown.differences().iloc[0]
    assert gains["true"]["low"] > 0
    assert gains["false"]["low"] < 0 < gains["false"]["high"]
