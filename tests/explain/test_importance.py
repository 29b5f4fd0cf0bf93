"""Integrated gradients: exact where the network is linear, complete where it is not."""

import numpy as np
import pytest
import torch
from linear_case import X, Y
from torch_geometric.explain import CaptumExplainer, Explainer, GNNExplainer

from genegraph.explain import edge_importance, gene_importance, over_classes
from genegraph.explain.gradients import integrated_gradients
from genegraph.explain.subject import Subject, spread

# Of two classes a margin is half the difference of their logits.
OF_T = np.array([2.0, -2.0, 1.0]) / 2


@pytest.mark.parametrize("baseline", ["mean", "zero"])
def test_genes_of_a_linear_network_count_weight_times_distance(linear_model, baseline):
    table = gene_importance(linear_model, X, groupby=Y, baseline=baseline, steps=1)
    base = X.mean(0) if baseline == "mean" else np.zeros(3)
    for label, sign in (("T", 1), ("B", -1)):
        mine = table[table["class"] == label].set_index("gene").loc[["0", "1", "2"]]
        expected = sign * OF_T * (X[label == Y].mean(0) - base)
        np.testing.assert_allclose(mine["importance"], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(mine["expression"], X[label == Y].mean(0), rtol=1e-6)
    assert table.attrs["completeness_gap"] < 1e-5


def test_an_edge_of_a_linear_network_counts_what_it_carries(smoothing_model):
    table = edge_importance(smoothing_model, X, groupby=Y, steps=1).set_index("class")
    assert table[["gene_a", "gene_b"]].values.tolist() == [["A", "C"]] * 2
    assert table["in_prior"].all()
    np.testing.assert_allclose(table["prior_weight"], 0.8, rtol=1e-6)
    # A is given 0.5 * 0.8 * C, and C the same of A.
    for_t = 0.4 * (OF_T[0] * X[:, 2] + OF_T[2] * X[:, 0])
    of_t, of_b = for_t[Y == "T"].mean(), for_t[Y == "B"].mean()
    np.testing.assert_allclose(table.loc["T", "importance"], of_t, rtol=1e-5)
    np.testing.assert_allclose(table.loc["B", "importance"], -of_b, rtol=1e-5)
    np.testing.assert_allclose(table["specific"], of_t - of_b, rtol=1e-5)


def test_edges_have_all_that_shrinkage_changes(adata, graph, fitted):
    model = fitted()
    subject = Subject(model, adata)
    table = edge_importance(model, adata, groupby="cell_type", steps=256)
    weight = subject.edges[1]
    for label in model.classes_:
        k = model.classes_.tolist().index(label)
        rows = np.flatnonzero(adata.obs["cell_type"] == label)
        with torch.no_grad():
            ((x, depth),) = [
                tuple(torch.cat(parts) for parts in zip(*subject.batches(rows), strict=True))
            ]
            there = subject.margins(x, depth)[:, k]
            gone = subject.margins(x, depth, (subject.edges[0], torch.zeros_like(weight)))[:, k]
        total = table.loc[table["class"] == label, "importance"].sum()
        assert abs(float((there - gone).mean())) > 1e-3
        np.testing.assert_allclose(total, float((there - gone).mean()), rtol=1e-3, atol=1e-3)
    assert table.attrs["completeness_gap"] < 1e-3
    assert len(table) == 3 * graph.num_edges


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"genes": "interacting", "num_heads": 1},
        {"shrinkage": None, "num_layers": 2},
        {"attention": "full", "gene_aware": True},
        {"attention": "edges", "fusion": "gate"},
        {"attention": "shared", "num_neighbors": 3},
        {"n_top_genes": 5},
    ],
    ids=str,
)
def test_importance_sums_to_the_difference_of_margins(adata, fitted, options):
    # Without hidden layers there is no kink on the way, and few steps do.
    model = fitted(hidden_channels=(), **options)
    genes = gene_importance(model, adata, steps=32, max_cells=10)
    # From no weight at all the logarithm rises steeply.
    edges = edge_importance(model, adata, steps=128, max_cells=10)
    subject = Subject(model, adata)
    base = subject.mean_expression()
    for k, label in enumerate(model.classes_):
        rows = subject.cells_by_class(None, None, 10).get(label)
        if rows is None:
            continue
        gained = []
        for x, depth in subject.batches(rows):
            with torch.no_grad():
                gain = subject.margins(x, depth) - subject.margins(base.expand_as(x), depth)
            gained.append(gain[:, k])
        total = genes.loc[genes["class"] == label, "importance"].sum()
        np.testing.assert_allclose(total, float(torch.cat(gained).mean()), rtol=1e-4, atol=1e-4)
    assert genes.attrs["completeness_gap"] < 1e-4
    assert edges.attrs["completeness_gap"] < 1e-4


def test_margins_sum_to_zero_and_the_model_is_left_alone(adata, counted_model):
    before = counted_model.predict_proba(adata)
    gradients = [p.grad.clone() for p in counted_model.network_.parameters()]
    subject = Subject(counted_model, adata)
    x, depth = next(subject.batches())
    assert subject.margins(x, depth).sum(1).abs().max() < 1e-5
    np.testing.assert_allclose(subject.probabilities().numpy(), before, atol=1e-5)
    edge_importance(counted_model, adata, steps=2, max_cells=3)
    for p, grad in zip(counted_model.network_.parameters(), gradients, strict=True):
        assert p.requires_grad
        assert torch.equal(p.grad, grad)
    assert np.array_equal(counted_model.predict_proba(adata), before)


def test_blocks_of_cells_change_nothing(adata, counted_model):
    once = edge_importance(counted_model, adata, steps=8)
    counted_model.batch_size = 7
    again = edge_importance(counted_model, adata, steps=8)
    keys = ["class", "gene_a", "gene_b"]
    both = once.merge(again, on=keys)
    assert len(both) == len(once)
    np.testing.assert_allclose(both["importance_x"], both["importance_y"], atol=1e-5)


def test_edges_into_genes_that_nobody_reads_count_nothing(adata, fitted):
    model = fitted(n_top_genes=2)
    read = set(np.array(adata.var_names)[model.network_.head_input.columns.numpy()])
    table = edge_importance(model, adata, steps=4)
    unread = ~table["gene_a"].isin(read) & ~table["gene_b"].isin(read)
    assert unread.any()
    assert (table.loc[unread, "importance"] == 0).all()
    assert (table.loc[~unread, "importance"] != 0).any()


def test_over_classes_cancels_what_is_common():
    import pandas as pd

    table = pd.DataFrame(
        {
            "class": ["B", "B", "T", "T"],
            "gene_a": ["A", "B"] * 2,
            "gene_b": ["C", "D"] * 2,
            "importance": [3.0, 1.0, -3.0, 2.0],
            "specific": [1.0, 1.0, -1.0, 1.0],
            "prior_weight": 0.5,
            "in_prior": True,
        }
    )
    out = over_classes(table)
    assert out[["gene_a", "gene_b"]].values.tolist() == [["B", "D"], ["A", "C"]]
    assert out["importance"].tolist() == [1.5, 0.0]
    assert out["agreement"].tolist() == [1.0, 0.0]


def test_pygs_captum_explainer_says_the_same_of_the_network(adata, counted_model):
    network = counted_model.network_.eval()
    index, weight = counted_model.graph_.to_edge_index(), counted_model.graph_.edge_weight
    edge_index = index.as_tensor()
    x = torch.from_numpy(adata.X[:1].toarray())
    depth = x.sum(1)
    explainer = Explainer(
        network,
        algorithm=CaptumExplainer("IntegratedGradients", n_steps=32),
        explanation_type="model",
        edge_mask_type="object",
        node_mask_type="attributes",
        model_config={
            "mode": "multiclass_classification", "task_level": "graph", "return_type": "raw",
        },
    )  # fmt: skip
    theirs = explainer(x, edge_index, edge_weight=weight, depth=depth)
    assert theirs.node_mask.shape == x.shape
    explainer = Explainer(
        network,
        algorithm=CaptumExplainer("IntegratedGradients", n_steps=32),
        explanation_type="model",
        edge_mask_type="object",
        model_config={
            "mode": "multiclass_classification", "task_level": "graph", "return_type": "raw",
        },
    )  # fmt: skip
    theirs = explainer(x, edge_index, edge_weight=weight, depth=depth).edge_mask
    best = int(network(x, index, weight, depth).argmax())

    def logit(w):
        return network(x, index, w[0], depth)[:, best]

    ours = integrated_gradients(logit, weight[None], torch.zeros(1, len(weight)), 32)[0]
    assert ours.abs().max() > 1e-3
    torch.testing.assert_close(theirs, ours, rtol=1e-3, atol=1e-5)


def test_gnn_explainer_masks_the_edges_of_shrinkage(adata, counted_model):
    network = counted_model.network_.eval()
    edge_index, weight = counted_model.graph_.edge_index, counted_model.graph_.edge_weight
    x = torch.from_numpy(adata.X[:1].toarray())
    before = network(x, edge_index, weight)
    explainer = Explainer(
        network,
        algorithm=GNNExplainer(epochs=5),
        explanation_type="model",
        edge_mask_type="object",
        model_config={
            "mode": "multiclass_classification", "task_level": "graph", "return_type": "raw",
        },
    )  # fmt: skip
    explanation = explainer(x, edge_index, edge_weight=weight)
    assert explanation.edge_mask.shape == weight.shape
    assert explanation.edge_mask.max() > 0
    assert torch.equal(network(x, edge_index, weight), before)


def test_what_cannot_be_explained_is_refused(linear_model, adata, counted_model):
    with pytest.raises(ValueError, match="must use a prior graph"):
        edge_importance(linear_model, X)
    with pytest.raises(ValueError, match=r"'baseline' must be one of .* \(got 'median'\)"):
        gene_importance(linear_model, X, baseline="median")
    with pytest.raises(ValueError, match=r"'steps' must be at least 1 \(got 0\)"):
        gene_importance(linear_model, X, steps=0)
    with pytest.raises(ValueError, match=r"classes that the model knows.*got \['NK'\]"):
        gene_importance(linear_model, X, classes=["NK"])
    with pytest.raises(ValueError, match="the cells are no AnnData"):
        gene_importance(linear_model, X, groupby="cell_type")
    with pytest.raises(ValueError, match="No cell is labelled 'B'"):
        gene_importance(linear_model, X[Y == "T"], groupby=["T"] * 10, classes=["B"])
    with pytest.raises(ValueError, match="one label per cell"):
        gene_importance(linear_model, X, groupby=["T"])
    with pytest.raises(KeyError, match="leiden"):
        gene_importance(counted_model, adata, groupby="leiden")
    with pytest.raises(ValueError, match="'max_cells' must be at least 1"):
        spread(np.arange(3), 0)


def test_without_captum_the_extra_is_named(linear_model, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "captum.attr", None)
    with pytest.raises(ImportError, match=r"genegraph\[explain\]"):
        gene_importance(linear_model, X)
