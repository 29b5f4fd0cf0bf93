import copy

import pytest
import torch
from by_hand import count_cells
from torch_geometric.explain import CaptumExplainer, Explainer, GNNExplainer

from genegraph.nn import Autoencoder, GeneGCN, ResidualHead


def small_network(**options):
    return GeneGCN(40, 3, hidden_channels=(8, 4), **options).double()


def cells(num_cells=5, channels=None):
    x = torch.from_numpy(count_cells(num_cells, 40, density=0.5))
    return x if channels is None else torch.stack([x] * channels, dim=-1)


@pytest.mark.parametrize("attention", ["full", "edges", None])
@pytest.mark.parametrize(("channels", "aware"), [(1, False), (1, True), (3, False)])
def test_logits_have_one_column_per_class(toy_graph, attention, channels, aware):
    network = small_network(
        attention=attention, in_channels=channels, gene_aware=aware, num_layers=2, num_graphs=2
    )
    x = cells(channels=channels)
    assert network(x, *toy_graph).shape == (5, 3)
    assert network.smooth(x, *toy_graph).shape == (5, 40 * channels)


def test_one_feature_may_come_without_its_dimension(toy_graph):
    network = small_network()
    assert torch.equal(network(cells(), *toy_graph), network(cells(channels=1), *toy_graph))


def test_no_layers_leave_the_head_alone(toy_graph):
    network = small_network(num_layers=0)
    assert torch.equal(network(cells(), *toy_graph), network.head(cells()))
    assert torch.equal(network(cells()), network.head(cells()))


@pytest.mark.parametrize("residual", [True, False])
def test_layers_and_graphs_by_hand(toy_graph, residual):
    network = small_network(num_layers=2, num_graphs=3, residual=residual)
    features = cells(channels=1)
    for a, b, c in network.layers:
        smoothed = sum(conv(features, *toy_graph).relu() for conv in (a, b, c))
        features = features + smoothed if residual else smoothed
    torch.testing.assert_close(network.smooth(cells(), *toy_graph), features[..., 0])
    torch.testing.assert_close(network(cells(), *toy_graph), network.head(features[..., 0]))


def test_graphs_have_parameters_of_their_own():
    (a, b), (c, _) = small_network(num_layers=2, num_graphs=2).layers
    assert len({conv.weight.item() for conv in (a, b, c)}) == 3


def test_options_reach_every_layer():
    options = {"attention": "edges", "fusion": "gate", "tolerance": 1e-3, "init": "uniform"}
    network = small_network(**options, reference=True, attention_channels=5, gene_aware=True)
    conv = network.layers[0][0]
    assert {name: getattr(conv, name) for name in options} == options
    assert conv.reference
    assert conv.attention_channels == 5
    assert conv.num_genes == 40


@pytest.mark.parametrize("attention", ["full", "edges", None])
@pytest.mark.parametrize("aware", [False, True])
def test_training_lowers_the_loss(toy_graph, attention, aware):
    network = small_network(attention=attention, gene_aware=aware, fusion="gate")
    x, y = cells(30), torch.arange(30) % 3
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(20):
        loss = torch.nn.functional.cross_entropy(network(x, *toy_graph), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_parameters_travel_through_a_state_dict(toy_graph):
    options = {"gene_aware": True, "fusion": "gate", "num_layers": 2}
    network, other = small_network(**options), small_network(**options)
    assert not torch.equal(network(cells(), *toy_graph), other(cells(), *toy_graph))
    other.load_state_dict(network.state_dict())
    assert torch.equal(network(cells(), *toy_graph), other(cells(), *toy_graph))


def test_a_deep_copy_computes_the_same_and_is_independent(toy_graph):
    network = small_network()
    expected = network(cells(), *toy_graph)
    other = copy.deepcopy(network)
    assert torch.equal(other(cells(), *toy_graph), expected)
    torch.nn.init.zeros_(other.layers[0][0].weight)
    assert torch.equal(network(cells(), *toy_graph), expected)


@pytest.mark.parametrize("attention", ["full", "edges", None])
def test_torch_geometric_explains_the_network(toy_graph, attention):
    edge_index, edge_weight = toy_graph
    network = small_network(attention=attention).eval()
    expected = network(cells(1), edge_index, edge_weight)
    explainer = Explainer(
        network,
        algorithm=GNNExplainer(epochs=5),
        explanation_type="model",
        edge_mask_type="object",
        model_config={
            "mode": "multiclass_classification", "task_level": "graph", "return_type": "raw",
        },
    )  # fmt: skip
    explanation = explainer(cells(1), edge_index, edge_weight=edge_weight)
    assert explanation.edge_mask.shape == (200,)
    assert explanation.edge_mask.max() > 0
    assert torch.equal(network(cells(1), edge_index, edge_weight), expected)


def test_captum_explains_the_network(toy_graph):
    pytest.importorskip("captum", reason="captum is not installed")
    edge_index, edge_weight = toy_graph
    explainer = Explainer(
        small_network().eval(),
        algorithm=CaptumExplainer("IntegratedGradients"),
        explanation_type="model",
        edge_mask_type="object",
        model_config={
            "mode": "multiclass_classification", "task_level": "graph", "return_type": "raw",
        },
    )  # fmt: skip
    explanation = explainer(cells(1), edge_index, edge_weight=edge_weight)
    assert explanation.edge_mask.shape == (200,)


@pytest.mark.parametrize("shape", [(5, 39), (5, 40, 2), (40,), (5, 1, 40)])
def test_cells_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"'x' must have shape \[num_cells, 40\] or"):
        small_network()(torch.rand(shape, dtype=torch.float64))


@pytest.mark.parametrize("options", [{"num_layers": -1}, {"num_graphs": 0}])
def test_impossible_numbers_of_layers_are_refused(options):
    with pytest.raises(ValueError, match="'num_layers' must be at least 0 and 'num_graphs'"):
        small_network(**options)


def test_the_head_by_hand():
    head = ResidualHead(4, 2, hidden_channels=(3,))
    x = torch.randn(6, 4)
    hidden, out = head.hidden[0], head.out
    expected = (x @ hidden.weight.T + hidden.bias).clamp(min=0) @ out.weight.T + out.bias
    torch.testing.assert_close(head(x), expected)


def test_a_head_without_hidden_layers_is_linear():
    head = ResidualHead(4, 2, hidden_channels=())
    x = torch.randn(6, 4)
    torch.testing.assert_close(head(x), x @ head.out.weight.T + head.out.bias)


def test_initial_weights_lie_within_the_write_ups_bound():
    weight = ResidualHead(100, 2, hidden_channels=(50,)).hidden[0].weight.detach()
    assert 0.095 < weight.abs().max() <= 0.1


def test_sizes_below_one_are_refused():
    with pytest.raises(ValueError, match=r"at least 1 \(got \[4, 0\]\)"):
        ResidualHead(4, 2, hidden_channels=(0,))


def test_an_autoencoder_learns_to_restore():
    network = Autoencoder(20, (10, 5))
    x = torch.rand(30, 3) @ torch.rand(3, 20)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        loss = (network(x) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_the_decoder_mirrors_the_encoder():
    shapes = [tuple(p.shape) for p in Autoencoder(20, (10, 5)).parameters() if p.dim() == 2]
    assert shapes == [(10, 20), (5, 10), (10, 5), (20, 10)]


def test_the_network_starts_from_an_encoder(toy_graph):
    network, autoencoder = small_network(), Autoencoder(40, (8, 4)).double()
    network.init_from(autoencoder)
    smooth = network.smooth(cells(), *toy_graph)
    assert torch.equal(network.head.hidden(smooth), autoencoder.encoder(smooth))
    assert torch.equal(network(cells(), *toy_graph), network.head.out(autoencoder.encoder(smooth)))
    torch.nn.init.zeros_(autoencoder.encoder[0].weight)
    assert network.head.hidden[0].weight.count_nonzero() > 0


@pytest.mark.parametrize(("genes", "hidden"), [(40, (8, 5)), (41, (8, 4)), (40, (8,))])
def test_an_encoder_of_other_sizes_is_refused(genes, hidden):
    with pytest.raises(ValueError, match="must have the head's hidden layers"):
        small_network().init_from(Autoencoder(genes, hidden))
