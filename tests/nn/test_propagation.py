import importlib.util

import pytest
import torch
from by_hand import dense_matrix, gradients_of, relative_error
from torch_geometric import EdgeIndex

from genegraph.nn import GeneGCN, GeneGraphConv, propagation
from genegraph.nn.propagation import check_backend, propagate

ACCELERATED = all(importlib.util.find_spec(name) for name in ("torch_sparse", "torch_scatter"))
needs_torch_sparse = pytest.mark.skipif(
    not ACCELERATED, reason="torch-sparse and torch-scatter are not installed"
)
BACKENDS = ["auto", "torch", pytest.param("torch_sparse", marks=needs_torch_sparse)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_product_by_hand(triangle, backend):
    edge_index, edge_weight = triangle
    edge_index = EdgeIndex(edge_index, sparse_size=(3, 3), sort_order="col")
    x = torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]], dtype=torch.float64)
    out = propagate(edge_index, edge_weight, x, backend)
    assert out.tolist() == [[2.0, 20.0], [2.0, 20.0], [6.0, 60.0]]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("block", [7, 65536])
@pytest.mark.parametrize("threads", [1, 3])
def test_values_and_gradients_equal_the_dense_product(
    toy_graph, backend, block, threads, monkeypatch, device
):
    monkeypatch.setattr(propagation, "EDGES_PER_BLOCK", block)
    monkeypatch.setattr(propagation, "GENES_PER_BLOCK", block)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    edge_index, edge_weight = (part.to(device) for part in toy_graph)
    x, g = torch.randn(2, 40, 6, dtype=torch.float64, device=device)
    results = []
    for product in (
        lambda w, x: propagate(edge_index, w, x, backend),
        lambda w, x: dense_matrix(edge_index.cpu(), w.cpu(), 40).to(device) @ x,
    ):
        weights, features = edge_weight.clone().requires_grad_(), x.clone().requires_grad_()
        out = product(weights, features)
        out.backward(g)
        results.append((out, weights.grad, features.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradient(toy_graph, backend):
    edge_index, edge_weight = toy_graph
    x = torch.randn(40, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda w, x: propagate(edge_index, w, x, backend), (edge_weight.requires_grad_(), x)
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_weights_may_differ_in_the_two_directions_of_an_undirected_graph(backend):
    source, target = (torch.rand(12, 12) < 0.3).nonzero(as_tuple=True)
    both = torch.stack([torch.cat([source, target]), torch.cat([target, source])]).unique(dim=1)
    both = both[:, both[1].argsort(stable=True)]
    edge_index = EdgeIndex(both, sparse_size=(12, 12), sort_order="col", is_undirected=True)
    edge_index.fill_cache_()
    weight = torch.rand(both.size(1), dtype=torch.float64)
    x = torch.randn(12, 2, dtype=torch.float64, requires_grad=True)
    out = propagate(edge_index, weight, x, backend)
    matrix = dense_matrix(both, weight, 12)
    torch.testing.assert_close(out, matrix @ x)
    g = torch.randn_like(out)
    out.backward(g)
    torch.testing.assert_close(x.grad, matrix.T @ g)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_graph_without_edges_passes_nothing_on(backend):
    empty = EdgeIndex(
        torch.empty(2, 0, dtype=torch.long), sparse_size=(4, 4), sort_order="col"
    ).fill_cache_()
    x = torch.randn(4, 3, requires_grad=True)
    weight = torch.empty(0, requires_grad=True)
    out = propagate(empty, weight, x, backend)
    out.sum().backward()
    assert torch.equal(out, torch.zeros(4, 3))
    assert torch.equal(x.grad, torch.zeros(4, 3))


@pytest.mark.parametrize("backend", BACKENDS)
def test_single_precision_is_close_to_double(toy_graph, backend):
    edge_index, edge_weight = toy_graph
    x = torch.randn(40, 5)
    single = propagate(edge_index, edge_weight.float(), x, backend)
    double = propagate(edge_index, edge_weight.float().double(), x.double(), backend)
    assert relative_error(single, double) < 1e-6


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_single(backend, dtype):
    # 300 neighbours of weight and value one: bfloat16 cannot count beyond 256 by itself.
    edges = torch.stack([torch.arange(1, 301), torch.zeros(300, dtype=torch.long)])
    edge_index = EdgeIndex(edges, sparse_size=(301, 301), sort_order="col").fill_cache_()
    x = torch.ones(301, 2, dtype=dtype, requires_grad=True)
    weight = torch.ones(300, dtype=dtype, requires_grad=True)
    out = propagate(edge_index, weight, x, backend)
    assert out.dtype == dtype
    assert out[0].tolist() == torch.full((2,), 300.0, dtype=dtype).tolist()
    out.sum().backward()
    assert x.grad.dtype == weight.grad.dtype == dtype
    assert weight.grad.tolist() == [2.0] * 300


def test_infinities_and_nan_stay_what_they_are():
    edges = torch.tensor([[1, 2, 3, 3], [0, 0, 0, 1]])
    edge_index = EdgeIndex(edges, sparse_size=(4, 4), sort_order="col").fill_cache_()
    x = torch.tensor([[0.0, 0.0], [torch.inf, 1.0], [-torch.inf, torch.nan], [1.0, torch.inf]])
    out = propagate(edge_index, torch.ones(4), x, "auto")
    assert out[0].isnan().all()
    assert out[1].tolist() == [1.0, torch.inf]


def test_unknown_backends_are_refused():
    with pytest.raises(ValueError, match=r"'backend' must be one of .* \(got 'numpy'\)"):
        check_backend("numpy")


@pytest.mark.parametrize("missing", ["torch_sparse", "torch_scatter"])
def test_a_backend_that_is_not_installed_says_how_to_install_it(monkeypatch, missing):
    monkeypatch.setattr(
        propagation, "find_spec", lambda name: None if name == missing else object()
    )
    with pytest.raises(ImportError, match=rf"needs {missing}, .*genegraph\[accelerate\]"):
        GeneGraphConv(1, 1, backend="torch_sparse")


@needs_torch_sparse
@pytest.mark.parametrize("attention", [None, "edges", "full"])
@pytest.mark.parametrize(("channels", "aware"), [(1, False), (1, True), (3, False)])
def test_both_backends_compute_the_same_layer(toy_graph, attention, channels, aware):
    edge_index, edge_weight = toy_graph
    conv = GeneGraphConv(channels, 2, attention=attention, num_genes=40 if aware else None)
    conv = conv.double()
    if aware and attention is not None:
        torch.nn.init.normal_(conv.gene_log_weight)
    x = torch.randn(3, 40, channels, dtype=torch.float64)
    g = torch.randn(3, 40, 2, dtype=torch.float64)
    results = []
    for backend in ("auto", "torch_sparse"):
        conv.backend = backend
        conv.zero_grad()
        features, weights = x.clone().requires_grad_(), edge_weight.clone().requires_grad_()
        out = conv(features, edge_index, weights)
        out.backward(g)
        results.append((out, features.grad, weights.grad, gradients_of(conv)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


@needs_torch_sparse
def test_a_network_hands_the_backend_to_its_layers(toy_graph):
    network = GeneGCN(40, 2, backend="torch_sparse", num_layers=2, hidden_channels=(4,))
    assert {conv.backend for graphs in network.layers for conv in graphs} == {"torch_sparse"}
    edge_index, edge_weight = toy_graph
    network(torch.rand(3, 40), edge_index, edge_weight.float()).sum().backward()
