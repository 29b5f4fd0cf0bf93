"""The learned graph equals the softmax written out; gates are what was learned."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from genegraph import GeneGraph
from genegraph.explain import attention, gates


def shrunk(model, adata):
    """What the graph layer reads, float64, from the formula."""
    counts = adata.X.toarray().astype(np.float64)
    depth = counts.sum(1, keepdims=True)
    n = adata.n_vars
    A = np.zeros((n, n))
    source, target = model.graph_.edge_index.numpy()
    A[target, source] = model.graph_.edge_weight.numpy()
    kappa = model.network_.shrinkage.kappa * (A > 0).any(1)
    return np.log1p(1e3 * (counts + kappa * (counts / depth) @ A.T) / (depth + kappa)), A


def logits(conv, x):
    """(a x_i + c) times key x_j + log-weight, of one cell: rows are targets."""
    part = {name: p.detach().double().numpy() for name, p in conv.named_parameters()}
    theta, phi = part["theta.weight"][:, 0], part["phi.weight"][:, 0]
    root = np.sqrt(len(phi))
    slope, offset = theta @ phi / root, part["theta.bias"] @ phi / root
    one = np.ones(len(x))
    query = slope * part.get("gene_slope", one) * x + offset + part.get("gene_offset", 0 * one)
    return np.outer(query, part.get("gene_key", one) * x) + part.get("gene_log_weight", 0 * one)


def stir(model):
    """Moves what is learned per gene away from its start, so that genes differ."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, p in model.network_.layers.named_parameters():
            if "gene_" in name:
                p += 0.3 * torch.randn(p.shape, generator=generator)


def weights_of(table, names, **key):
    for column, value in key.items():
        table = table[table[column] == value]
    out = np.zeros((len(names), len(names)))
    place = {name: i for i, name in enumerate(names)}
    for row in table.itertuples():
        out[place[row.target], place[row.source]] = row.attention
    return out, table


def test_full_attention_equals_the_softmax_written_out(adata, fitted, monkeypatch):
    monkeypatch.setattr("genegraph.explain.weights.GENES_AT_ONCE", 5)  # 12 genes: three blocks
    model = fitted(attention="full", gene_aware=True)
    stir(model)
    x, A = shrunk(model, adata)
    conv = model.network_.layers[0][0]
    alpha = np.stack([softmax(logits(conv, cell), axis=1) for cell in x])
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    table = attention(model, adata, "cell_type", top_k=12, max_cells=None)
    means = []
    for label in np.unique(labels):
        found, part = weights_of(table, adata.var_names, **{"class": label})
        means.append(alpha[labels == label].mean(0))
        np.testing.assert_allclose(found, means[-1], rtol=1e-4, atol=1e-7)
        assert len(part) == 144
        assert (
            part.groupby("target")["rank"].apply(list).map(lambda r: r == [*range(1, 13)])
        ).all()
    overall, part = weights_of(table, adata.var_names, **{"class": "all"})
    np.testing.assert_allclose(overall, np.mean(means, axis=0), rtol=1e-4, atol=1e-7)
    assert part["in_prior"].sum() == (A > 0).sum()
    np.testing.assert_allclose(part.loc[part["in_prior"], "prior_weight"], 0.8, rtol=1e-6)
    assert (part.loc[~part["in_prior"], "prior_weight"] == 0).all()


def test_top_sources_are_listed_and_the_priors_edges_that_are_ignored(adata, fitted, graph):
    model = fitted(attention="full", gene_aware=True)
    stir(model)
    whole = attention(model, adata, top_k=12)
    few = attention(model, adata, top_k=2)
    key = ["class", "target", "source"]
    kept = whole[(whole["rank"] <= 2) | whole["in_prior"]]
    assert few.set_index(key).index.equals(kept.set_index(key).index)
    np.testing.assert_array_equal(few["attention"], kept["attention"])
    assert few["in_top_k"].equals(few["rank"] <= 2)
    ignored = few[few["in_prior"] & ~few["in_top_k"]]
    learned = few[~few["in_prior"]]
    assert len(ignored) > 0
    assert len(learned) > 0
    assert few.groupby("class")["in_prior"].sum().eq(24).all()


def test_single_cells_and_single_targets(adata, fitted):
    model = fitted(attention="full", gene_aware=True)
    stir(model)
    x, _ = shrunk(model, adata)
    conv = model.network_.layers[0][0]
    table = attention(model, adata, top_k=12, cells=["cell7", "cell100"], genes=["G3"])
    assert table["cell"].unique().tolist() == ["cell7", "cell100"]
    assert set(table["target"]) == {"G3"}
    for cell, part in table.groupby("cell"):
        expected = softmax(logits(conv, x[int(cell[4:])])[3])
        found = part.set_index("source").loc[list(adata.var_names), "attention"]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("gene_aware", [True, False])
def test_edge_attention_equals_the_softmax_over_neighbours(adata, fitted, gene_aware):
    model = fitted(attention="edges", gene_aware=gene_aware)
    stir(model)
    x, A = shrunk(model, adata)
    conv = model.network_.layers[0][0]
    table = attention(model, adata, "cell_type", top_k=1, max_cells=None)
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    alpha = np.stack([softmax(np.where(A > 0, logits(conv, c), -np.inf), axis=1) for c in x])
    for label in np.unique(labels):
        found, part = weights_of(table, adata.var_names, **{"class": label})
        np.testing.assert_allclose(found, alpha[labels == label].mean(0), rtol=1e-4, atol=1e-7)
        assert part["in_prior"].all()
        assert part["in_top_k"].sum() == 12


def test_additive_attention_sums_to_one_over_neighbours(adata, fitted):
    table = attention(fitted(attention="edges", attention_function="additive"), adata)
    sums = table.groupby(["class", "target"])["attention"].sum()
    np.testing.assert_allclose(sums, 1)


def test_a_shared_graph_is_one_for_all_cells(adata, fitted):
    model = fitted(attention="shared", num_neighbors=3)
    table = attention(model, adata, top_k=2)
    graph = model.network_.layers[0][0].shared_graph
    assert set(table["class"]) == {"all"}
    expected = np.zeros((12, 12))
    np.put_along_axis(expected, graph.neighbors.numpy(), graph.weights().detach().numpy(), axis=1)
    for row in table.itertuples():
        i, j = int(row.target[1:]), int(row.source[1:])
        assert row.attention == pytest.approx(expected[i, j], abs=1e-6)
        assert row.rank == 1 + (expected[i] > expected[i, j]).sum() or row.attention == 0
    assert table["in_prior"].sum() == 24
    assert (table.groupby("target")["in_top_k"].sum() == 2).all()


def test_layers_and_graphs_are_listed_apart(adata, fitted):
    model = fitted(attention="edges", num_layers=2, num_graphs=2)
    table = attention(model, adata)
    assert table.groupby(["layer", "graph"]).ngroups == 4


def test_attention_that_knows_no_genes_is_refused(adata, fitted):
    with pytest.raises(ValueError, match=r"does not know one gene from another.*gene_aware=True"):
        attention(fitted(attention="full"), adata)
    with pytest.raises(ValueError, match=r"no attention.*edge_importance"):
        attention(fitted(), adata)
    model = fitted(attention="edges")
    with pytest.raises(ValueError, match="'top_k' must be at least 1"):
        attention(model, adata, top_k=0)
    with pytest.raises(ValueError, match=r"'genes' must be genes that the model reads.*'CD3E'"):
        attention(model, adata, genes=["CD3E"])
    with pytest.raises(ValueError, match=r"'cells' must name cells.*got 'nobody'"):
        attention(model, adata, cells=["nobody"])


def test_gates_list_what_was_learned(fitted):
    model = fitted(attention="full", fusion="gate", num_graphs=2)
    network = model.network_
    with torch.no_grad():
        network.layers[0][1].gate_logit.fill_(np.log(3.0))
        network.gate_logits.copy_(torch.tensor([[0.0, np.log(2.0), 0.0]]))
        network.shrinkage.log_kappa.fill_(np.log(40.0))
        network.layers[0][0].weight.fill_(0.25)
    table = gates(model).set_index(["name", "graph"])["value"]
    assert table["kappa"].item() == pytest.approx(40)
    assert table["attention", 1] == pytest.approx(0.75)
    assert table["graph", 0] == pytest.approx(0.75)
    assert table["graph", 1] == pytest.approx(1.5)
    assert table["original"].item() == pytest.approx(0.75)
    assert table["W", 0] == 0.25
    conv = network.layers[0][0]
    slope = conv.theta.weight[:, 0] @ conv.phi.weight[:, 0] / 4
    assert table["slope", 0] == pytest.approx(slope.item())
    assert gates(model).set_index("name")["start"]["kappa"] == 100
    assert set(gates(model)["name"]) >= {"temperature"}


def test_gates_of_the_default_are_its_views(counted_model):
    table = gates(counted_model)
    kappa = table[table["name"] == "kappa"]
    assert kappa["start"].tolist() == [100, 100, 1000]
    np.testing.assert_allclose(kappa["value"], counted_model.network_.shrinkage.kappa)
    assert kappa["view"].tolist() == [0, 1, 2]


def test_the_priors_weights_are_found_where_genes_were_left_out(adata):
    pairs = [[5, 9, 2, 9], [9, 5, 9, 2]]
    graph = GeneGraph(adata.var_names, pairs, [0.3, 0.3, 0.9, 0.9])
    from genegraph import GeneGCNClassifier

    model = GeneGCNClassifier(
        graph, genes="interacting", attention="full", gene_aware=True, max_epochs=1,
        random_state=0, verbose=False,
    ).fit(adata, "cell_type")  # fmt: skip
    table = attention(model, adata)
    found = table[(table["class"] == "all") & table["in_prior"]]
    said = {(r.source, r.target): round(float(r.prior_weight), 6) for r in found.itertuples()}
    assert said == {
        ("G5", "G9"): 0.3, ("G9", "G5"): 0.3, ("G2", "G9"): 0.9, ("G9", "G2"): 0.9,
    }  # fmt: skip
