import copy

import pytest
import torch
from by_hand import gradients_of, layer_by_hand, make_cells, relative_error
from test_propagation import BACKENDS
from torch_geometric.nn import GATv2Conv

from genegraph.nn import GeneGraphConv

# attention, attention_function, in_channels, gene-aware
LAYERS = [
    *[
        (attention, function, channels, False)
        for attention in ("full", "edges", "shared")
        for function in ("embedded_dot", "dot", "gaussian")
        for channels in (1, 3)
    ],
    *[
        (attention, function, 1, True)
        for attention in ("full", "edges")
        for function in ("embedded_dot", "dot", "gaussian")
    ],
    ("edges", "additive", 1, False),
    ("edges", "additive", 3, False),
]
every_layer = pytest.mark.parametrize(("attention", "function", "channels", "aware"), LAYERS)


def layer(attention, function, channels=1, aware=False, num_genes=40, **options):
    conv = GeneGraphConv(
        channels,
        2,
        attention=attention,
        attention_function=function,
        num_genes=num_genes if aware or attention == "shared" else None,
        num_neighbors=5,
        attention_channels=4,
        **options,
    ).double()
    if conv.shared_graph is not None:
        conv.shared_graph.refresh()
    with torch.no_grad():
        for name, parameter in conv.named_parameters():
            if name.startswith("gene_"):
                parameter.add_(0.5 * torch.randn_like(parameter))
    return conv


def cells(channels, num_cells=3, num_genes=40):
    if channels == 1:
        return make_cells("counts", num_cells, num_genes)[..., None]
    return torch.randn(num_cells, num_genes, channels, dtype=torch.float64)


def results(conv, forward, x, edge_weight, g):
    """Values, and gradients of x, of the edges' weights and of every parameter."""
    conv.zero_grad()
    features, weights = x.clone().requires_grad_(), edge_weight.clone().requires_grad_()
    out = forward(features, weights)
    out.backward(g)
    return out.detach(), features.grad, weights.grad, gradients_of(conv)


@every_layer
@pytest.mark.parametrize("fusion", ["sum", "gate"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_way_to_compute_a_layer_agrees_with_its_definition(
    toy_graph, attention, function, channels, aware, fusion, backend
):
    edge_index, edge_weight = toy_graph
    options = {"fusion": fusion, "tolerance": 1e-10, "backend": backend}
    conv = layer(attention, function, channels, aware, **options)
    x = cells(channels)
    g = torch.randn(3, 40, 2, dtype=torch.float64)
    expected = results(
        conv, lambda x, w: layer_by_hand(conv, x, edge_index.as_tensor(), w), x, edge_weight, g
    )
    for edges, reference in (
        (edge_index, False),
        (edge_index.as_tensor(), False),
        (edge_index, True),
    ):
        conv.reference = reference
        ours = results(conv, lambda x, w: conv(x, edges, w), x, edge_weight, g)  # noqa: B023
        for part, theirs in zip(ours, expected, strict=True):
            assert relative_error(part, theirs) < 1e-8


@every_layer
def test_gradients_are_those_of_finite_differences(triangle, attention, function, channels, aware):
    if attention == "shared":
        pytest.skip("which genes are neighbours may change with the embeddings")
    edge_index, edge_weight = triangle
    conv = layer(attention, function, channels, aware, num_genes=3, tolerance=1e-11)
    names, parameters = zip(*conv.named_parameters(), strict=True)

    def forward(x, weights, *values):
        values = dict(zip(names, values, strict=True))
        return torch.func.functional_call(conv, values, (x, edge_index, weights))

    x = torch.rand(2, 3, channels, dtype=torch.float64, requires_grad=True)
    weights = edge_weight.clone().requires_grad_()
    assert torch.autograd.gradcheck(forward, (x, weights, *parameters))


@every_layer
def test_a_layer_without_a_graph(attention, function, channels, aware):
    conv = layer(attention, function, channels, aware)
    if attention == "edges":
        with pytest.raises(ValueError, match="attention='edges' needs a graph"):
            conv(cells(channels))
        return
    x = cells(channels)
    assert relative_error(conv(x).detach(), layer_by_hand(conv, x).detach()) < 1e-5


@every_layer
def test_every_device_computes_the_same_layer(
    toy_graph, attention, function, channels, aware, device
):
    conv = layer(attention, function, channels, aware)
    x = cells(channels)
    expected = conv(x, *toy_graph).detach()
    edge_index, edge_weight = (part.to(device) for part in toy_graph)
    out = conv.to(device)(x.to(device), edge_index, edge_weight).detach().cpu()
    assert relative_error(out, expected) < 1e-5


@every_layer
def test_single_precision_is_close_to_double(toy_graph, attention, function, channels, aware):
    edge_index, edge_weight = toy_graph
    conv = layer(attention, function, channels, aware)
    x = cells(channels)
    double = conv(x, edge_index, edge_weight).detach()
    single = copy.deepcopy(conv).float()(x.float(), edge_index, edge_weight.float()).detach()
    assert relative_error(single, double) < 1e-5


@every_layer
def test_a_cell_does_not_depend_on_the_others_of_its_batch(
    toy_graph, attention, function, channels, aware
):
    conv = layer(attention, function, channels, aware)
    together = cells(channels, num_cells=20)
    together[3] *= 100
    out = conv(together, *toy_graph)
    single = torch.cat([conv(cell[None], *toy_graph) for cell in together])
    torch.testing.assert_close(out, single, rtol=1e-12, atol=1e-12)


@every_layer
def test_a_module_survives_copying_and_loading(toy_graph, attention, function, channels, aware):
    conv, other = (layer(attention, function, channels, aware) for _ in range(2))
    x = cells(channels)
    expected = conv(x, *toy_graph)
    assert not torch.equal(other(x, *toy_graph), expected)
    assert torch.equal(copy.deepcopy(conv)(x, *toy_graph), expected)
    other.load_state_dict(conv.state_dict())
    assert torch.equal(other(x, *toy_graph), expected)


def test_a_dot_product_of_the_features_has_no_parameters():
    names = [name for name, _ in GeneGraphConv(1, 1, attention_function="dot").named_parameters()]
    assert names == ["weight"]
    shared = GeneGraphConv(1, 1, attention="shared", attention_function="dot", num_genes=20)
    assert {name for name, _ in shared.named_parameters()} == {"weight", "shared_graph.embedding"}


def test_the_bias_of_phi_matters_to_the_gaussian_alone(toy_graph):
    for function, matters in (("gaussian", True), ("embedded_dot", False)):
        conv = layer("full", function)
        conv(cells(1)).sum().backward()
        grad = conv.phi.bias.grad
        assert (grad is not None and grad.abs().max() > 0) == matters


def test_a_narrow_gaussian_leaves_every_gene_its_own_value():
    conv = layer("full", "gaussian")
    with torch.no_grad():
        conv.weight.fill_(1)
        conv.theta.weight.fill_(100)
        conv.phi.load_state_dict(conv.theta.state_dict())
    x = cells(1)
    torch.testing.assert_close(conv(x), x.expand(-1, -1, 2))


def test_additive_attention_is_that_of_gatv2(toy_graph):
    edge_index, edge_weight = toy_graph
    conv = layer("edges", "additive", 3)
    gat = GATv2Conv(3, 4, add_self_loops=False).double()
    gat.lin_l.load_state_dict(conv.phi.state_dict())
    gat.lin_r.load_state_dict(conv.theta.state_dict())
    gat.att.data = conv.att.data[None, None]
    x = cells(3, num_cells=1)
    source, target = edge_index.as_tensor()
    _, (_, alpha) = gat(x[0], edge_index.as_tensor(), return_attention_weights=True)
    messages = (alpha + edge_weight[:, None]) * x[0, source]
    expected = torch.zeros(40, 3, dtype=torch.float64).index_add(0, target, messages)
    torch.testing.assert_close(conv(x, edge_index, edge_weight)[0], expected @ conv.weight)


def test_the_vector_of_additive_attention_starts_within_glorots_bound():
    conv = GeneGraphConv(
        1, 1, attention="edges", attention_function="additive", attention_channels=500
    )
    bound = (6 / 501) ** 0.5
    assert 0.95 * bound < conv.att.abs().max() <= bound


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"attention_function": "cosine"},
            r"must be one of .* \(got 'cosine'\)",
        ),
        (
            {"attention_function": "additive"},
            r"no linear-time form\); use it with attention=",
        ),
        (
            {"attention_function": "additive", "attention": "shared", "num_genes": 40},
            r"attention='shared' needs .* \(got attention_function='additive'",
        ),
        (
            {"attention_function": "additive", "attention": "edges", "num_genes": 40},
            r"Gene-aware attention needs .* \(got attention_function='additive'\)",
        ),
        ({"attention": "shared"}, r"how many there are \(got num_genes=None\); pass 'num_genes'"),
        (
            {"attention": "shared", "num_genes": 16},
            r"'num_neighbors' must lie between 1 and 15, .* \(got 16\)",
        ),
        (
            {"attention": "shared", "num_genes": 40, "num_neighbors": 0},
            r"'num_neighbors' must lie between 1 and 39, .* \(got 0\)",
        ),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        GeneGraphConv(1, 1, **options)


def test_a_prior_alone_asks_for_no_attention_function(triangle):
    conv = GeneGraphConv(1, 1, attention=None, attention_function="additive")
    assert [name for name, _ in conv.named_parameters()] == ["weight"]
    conv(torch.rand(3, 1), triangle[0])


def test_the_repr_names_an_attention_function_that_is_not_the_usual_one():
    conv = GeneGraphConv(1, 1, attention_function="gaussian")
    assert "attention='full', attention_function='gaussian'" in repr(conv)
