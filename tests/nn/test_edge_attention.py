import numpy as np
import pytest
import torch
from by_hand import count_cells, gradients_of, layer_by_hand, make_cells, relative_error
from torch_geometric import EdgeIndex
from torch_geometric.utils import softmax

from genegraph.nn import GeneGraphConv
from genegraph.nn.edge_attention import (
    additive_edge_attention,
    fused_edge_attention,
    segment_edge_attention,
)


def pointers(edge_index):
    (rowptr, col), _ = edge_index.get_csc()
    return rowptr, col


def edge_attention_by_hand(edge_index, s, x, y, u):
    """One gene after another, in numpy; s, x, y of one cell."""
    out = np.zeros(len(x))
    source, target = edge_index.as_tensor().numpy()
    for i in range(len(x)):
        j = source[target == i]
        if len(j):
            logits = s[i] * y[j] + u[j]
            alpha = np.exp(logits - logits.max())
            out[i] = alpha @ x[j] / alpha.sum()
    return out


def random_parts(num_cells, num_genes):
    s = torch.randn(num_cells, num_genes, dtype=torch.float64)
    x = torch.from_numpy(count_cells(num_cells, num_genes, density=0.5))
    return s, x, 0.7 * x, torch.randn(num_cells, num_genes, dtype=torch.float64)


def test_equals_the_definition(toy_graph):
    edge_index, _ = toy_graph
    s, x, y, u = random_parts(5, 40)
    out = fused_edge_attention(*pointers(edge_index), s, x, y, u)
    for b in range(5):
        expected = edge_attention_by_hand(edge_index, *(p[b].numpy() for p in (s, x, y, u)))
        assert relative_error(out[b], expected) < 1e-12


def test_weights_of_each_gene_sum_to_one(toy_graph):
    edge_index, _ = toy_graph
    s, _, y, u = random_parts(3, 40)
    out = fused_edge_attention(*pointers(edge_index), s, torch.ones_like(s), y, u)
    hears_somebody = torch.zeros(40, dtype=torch.float64)
    hears_somebody[edge_index.as_tensor()[1]] = 1
    assert 0 < hears_somebody.sum() < 40
    torch.testing.assert_close(out, hears_somebody.expand(3, -1))


def test_one_neighbour_gets_all_attention():
    edge_index = EdgeIndex([[1], [0]], sparse_size=(3, 3), sort_order="col")
    conv = GeneGraphConv(1, 1, attention="edges")
    x = torch.tensor([[3.0], [5.0], [7.0]])
    out = conv(x, edge_index, torch.zeros(1))
    torch.testing.assert_close(out, conv.weight * torch.tensor([[5.0], [0.0], [0.0]]))


@pytest.mark.parametrize("size", [1e3, 1e6, 1e150])
def test_huge_logits_do_not_overflow(toy_graph, size):
    edge_index, _ = toy_graph
    s, x, y, u = random_parts(2, 40)
    parts = [part.requires_grad_() for part in (size * s, x, y, u)]
    out = fused_edge_attention(*pointers(edge_index), *parts)
    out.sum().backward()
    assert out.isfinite().all()
    assert out.max() <= x.max()
    assert all(part.grad.isfinite().all() for part in parts)


def test_gradient(toy_graph):
    edge_index, _ = toy_graph
    parts = [part.requires_grad_() for part in random_parts(2, 40)]
    rowptr, col = pointers(edge_index)
    assert torch.autograd.gradcheck(lambda *p: fused_edge_attention(rowptr, col, *p), parts)


@pytest.mark.parametrize("channels", [1, 3])
def test_gradient_of_the_segment_operations(toy_graph, channels):
    edge_index, _ = toy_graph
    rowptr, _ = pointers(edge_index)
    logits, value = torch.randn(200, 2), torch.randn(200, 2, channels)
    parts = [part.double().requires_grad_() for part in (logits, value)]
    row = edge_index.as_tensor()[1]
    assert torch.autograd.gradcheck(
        lambda *p: segment_edge_attention(rowptr, row, *p, accelerate=False), parts
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_segment_operations_equal_the_softmax_of_torch_geometric(toy_graph, channels, device):
    edge_index, _ = toy_graph
    edge_index = edge_index.to(device)
    logits = torch.randn(200, 6, dtype=torch.float64, device=device)
    value = torch.randn(200, 6, channels, dtype=torch.float64, device=device)
    rowptr, _ = pointers(edge_index)
    target = edge_index.as_tensor()[1]
    alpha = softmax(logits, target, num_nodes=40)
    expected = value.new_zeros(40, 6, channels).index_add(0, target, alpha[..., None] * value)
    out = segment_edge_attention(rowptr, target, logits, value, accelerate=False)
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize(("channels", "aware"), [(1, False), (1, True), (3, False)])
def test_fused_layer_equals_the_unfused_and_a_masked_softmax(toy_graph, channels, aware, device):
    edge_index, edge_weight = toy_graph
    edge_index, edge_weight = edge_index.to(device), edge_weight.to(device)
    conv = GeneGraphConv(
        channels, 2, attention="edges", num_genes=40 if aware else None, attention_channels=4
    )
    conv = conv.double().to(device)
    if aware:
        with torch.no_grad():
            for name in ("gene_slope", "gene_offset", "gene_key", "gene_log_weight"):
                getattr(conv, name).add_(torch.randn(40, device=device))
    x = torch.randn(3, 40, channels, dtype=torch.float64, device=device)
    g = torch.randn(3, 40, 2, dtype=torch.float64, device=device)
    results = []
    for edges in (edge_index, edge_index.as_tensor()):
        conv.zero_grad()
        features = x.clone().requires_grad_()
        weights = edge_weight.clone().requires_grad_()
        out = conv(features, edges, weights)
        out.backward(g)
        results.append((out, features.grad, weights.grad, gradients_of(conv)))
    for fused, unfused in zip(*results, strict=True):
        torch.testing.assert_close(fused, unfused)

    if aware:
        return
    source, target = edge_index.as_tensor()
    times = torch.zeros(40, 40, dtype=torch.float64, device=device)
    times.index_put_((target, source), torch.ones_like(edge_weight), accumulate=True)
    prior = torch.zeros_like(times).index_put_((target, source), edge_weight, accumulate=True)
    logits = conv.theta(x) @ conv.phi(x).mT / 2 + times.log()
    alpha = logits.softmax(-1).nan_to_num(0)
    torch.testing.assert_close(results[0][0], (alpha + prior) @ x @ conv.weight)


def additive(channels=1, attention_channels=4):
    options = {"attention": "edges", "attention_function": "additive"}
    return GeneGraphConv(channels, 1, attention_channels=attention_channels, **options).double()


@pytest.mark.parametrize("kind", ["counts", "continuous", "signed", "zero", "constant"])
@pytest.mark.parametrize("size", [1.0, 30.0])
def test_additive_attention_equals_its_definition(toy_graph, kind, size):
    edge_index, edge_weight = toy_graph
    conv = additive(attention_channels=16)
    with torch.no_grad():
        conv.att.mul_(size)
    x, g = make_cells(kind, 3, 40)[..., None], torch.randn(3, 40, 1, dtype=torch.float64)
    results = []
    for forward in (conv, lambda *args: layer_by_hand(conv, *args)):
        conv.zero_grad()
        features = x.clone().requires_grad_()
        out = forward(features, edge_index, edge_weight)
        out.backward(g)
        results.append((out.detach(), features.grad, gradients_of(conv)))
    for ours, theirs in zip(*results, strict=True):
        assert relative_error(ours, theirs) < 1e-12


@pytest.mark.parametrize("density", [0.3, 1.0])
def test_gradient_of_additive_attention(toy_graph, density):
    conv = additive()
    x = torch.from_numpy(count_cells(2, 40, density=density)).requires_grad_()
    names, parameters = zip(*conv.named_parameters(), strict=True)

    def forward(x, *values):
        values = dict(zip(names, values, strict=True))
        return torch.func.functional_call(conv, values, (x[..., None], toy_graph[0]))

    assert torch.autograd.gradcheck(forward, (x, *parameters))


def test_additive_attention_that_is_data_costs_no_gradient_of_x(toy_graph):
    conv, x = additive(), torch.from_numpy(count_cells(3, 40, density=0.5))
    graph = pointers(toy_graph[0])
    gradients = []
    for wanted in (False, True):
        conv.zero_grad()
        cells = x.clone().requires_grad_(wanted)
        additive_edge_attention(*graph, cells, conv.theta, conv.phi, conv.att).sum().backward()
        assert (cells.grad is not None) == wanted
        gradients.append(gradients_of(conv))
    assert torch.equal(*gradients)


def test_single_precision_is_close_to_double(toy_graph):
    edge_index, edge_weight = toy_graph
    conv = GeneGraphConv(1, 1, attention="edges")
    x = torch.from_numpy(count_cells(4, 40, density=0.5)).float()[..., None]
    single = conv(x, edge_index, edge_weight.float()).detach()
    double = conv.double()(x.double(), edge_index, edge_weight.float().double()).detach()
    assert relative_error(single, double) < 1e-5


def test_the_number_of_threads_changes_nothing(toy_graph):
    edge_index, _ = toy_graph
    parts = [part.float() for part in random_parts(50, 40)]
    conv = additive().float()
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            conv.zero_grad()
            x = parts[1].clone().requires_grad_()
            out = fused_edge_attention(*pointers(edge_index), *parts)
            of_additive = conv(x[..., None], edge_index)
            of_additive.square().sum().backward()
            results.append([out, of_additive, x.grad, gradients_of(conv)])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))
