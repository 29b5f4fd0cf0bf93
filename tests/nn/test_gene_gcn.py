import copy

import pytest
import torch
from by_hand import count_cells, dense_matrix
from torch_geometric.explain import CaptumExplainer, Explainer, GNNExplainer

from genegraph.nn import Autoencoder, GeneGCN, ResidualHead, dirichlet_energy


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


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("residual", [True, False])
def test_layers_and_graphs_by_hand(toy_graph, residual, norm):
    network = small_network(num_layers=2, num_graphs=3, residual=residual, norm=norm)
    original = features = cells(channels=1)
    for a, b, c in network.layers:
        smoothed = sum(conv(features, *toy_graph).relu() for conv in (a, b, c))
        if norm:
            pairs = zip(smoothed, original, strict=True)
            smoothed = torch.stack([z * min(1, x0.norm() / z.norm()) for z, x0 in pairs])
        features = original + smoothed if residual else smoothed
    torch.testing.assert_close(network.smooth(cells(), *toy_graph), features[..., 0])
    torch.testing.assert_close(network(cells(), *toy_graph), network.head(features[..., 0]))


def test_one_layer_is_the_write_ups_and_several_are_normalised():
    assert not small_network().norm
    assert small_network(num_layers=2).norm


def test_gates_start_at_the_sum_and_mix_every_part(toy_graph):
    options = {"attention": None, "num_graphs": 2, "num_layers": 2, "norm": False}
    plain, gated = small_network(**options), small_network(fusion="gate", **options)
    gated.load_state_dict(plain.state_dict(), strict=False)
    torch.testing.assert_close(gated.smooth(cells(), *toy_graph), plain.smooth(cells(), *toy_graph))


@pytest.mark.parametrize("residual", [True, False])
def test_gates_by_hand(toy_graph, residual):
    network = small_network(attention=None, num_graphs=2, residual=residual, fusion="gate")
    logits = torch.tensor([[0.3, -1.2, 0.8]])[:, : 2 + residual].double()
    network.gate_logits.data = logits
    x = cells(channels=1)
    shares = logits[0].exp() / logits[0].exp().sum() * logits.numel()
    parts = [conv(x, *toy_graph).relu() for conv in network.layers[0]] + [x] * residual
    expected = sum(share * part for share, part in zip(shares, parts, strict=True))
    torch.testing.assert_close(network.smooth(cells(), *toy_graph), expected[..., 0])
    network(cells(), *toy_graph).sum().backward()
    assert network.gate_logits.grad.abs().min() > 0


def test_a_cell_of_zeros_passes_the_normalisation(toy_graph):
    network = small_network(num_layers=3, attention=None)
    x = torch.zeros(2, 40, dtype=torch.float64)
    network(x, *toy_graph).sum().backward()
    assert torch.equal(network.smooth(x, *toy_graph), x)
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


def lattice():
    """Forty genes in a circle, each with its three nearest on either side, and weights."""
    ahead = torch.arange(40).repeat(3)
    pairs = torch.stack([ahead, (ahead + torch.arange(1, 4).repeat_interleave(40)) % 40])
    weight = 0.2 + torch.rand(120, dtype=torch.float64)
    return torch.cat([pairs, pairs.flip(0)], dim=1), weight.repeat(2)


def test_depth_neither_explodes_nor_collapses_where_sums_would():
    edge_index, edge_weight = lattice()
    x, strong = cells(8), 20 * edge_weight  # like STRING over its maximum: rows sum to hundreds
    network = small_network(num_layers=8, attention=None)
    layers = [f[..., 0] for f in network.features_by_layer(x, edge_index, strong)]
    energies = [dirichlet_energy(f, edge_index, edge_weight).mean().item() for f in layers]
    assert min(energies[2:]) > 0.9 * energies[1]  # nothing is lost after the first layer
    assert (layers[-1].norm(dim=1) <= 2.001 * x.norm(dim=1)).all()

    summed = x[..., None]
    for (conv,) in network.layers:
        summed = summed + conv(summed, edge_index, strong).relu()
    collapsed = dirichlet_energy(summed[..., 0], edge_index, edge_weight).mean().item()
    assert collapsed < min(energies) / 3
    assert (summed[..., 0].norm(dim=1) > 1e6 * x.norm(dim=1)).all()


def test_the_dirichlet_energy_by_hand():
    edge_index, edge_weight = lattice()
    joined = (edge_index < 36).all(dim=0)  # the last four genes have no edge
    edge_index, edge_weight = edge_index[:, joined], edge_weight[joined]
    x = cells(3)
    matrix = dense_matrix(edge_index, edge_weight, 40)
    degree = matrix.sum(1)
    scaled = (x / degree.sqrt())[:, :36]
    gaps = (scaled[:, :, None] - scaled[:, None, :]).square()
    expected = (gaps * matrix[:36, :36]).sum((1, 2)) / 2 / x[:, :36].square().sum(1)
    torch.testing.assert_close(dirichlet_energy(x, edge_index, edge_weight), expected)
    assert dirichlet_energy(torch.zeros(1, 40), edge_index, edge_weight).item() == 0


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


def test_a_frozen_encoder_stays_and_a_free_one_does_not(toy_graph):
    for freeze in (True, False):
        network = small_network()
        network.init_from(Autoencoder(40, (8, 4)).double(), freeze=freeze)
        before = network.head.heads[0].hidden[0].weight.clone()
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        network(cells(), *toy_graph).sum().backward()
        optimizer.step()
        assert torch.equal(network.head.heads[0].hidden[0].weight, before) == freeze
        assert network.head.heads[0].out.weight.grad is not None


def test_the_network_starts_from_an_encoder(toy_graph):
    network, autoencoder = small_network(), Autoencoder(40, (8, 4)).double()
    network.init_from(autoencoder)
    smooth = network.smooth(cells(), *toy_graph)
    assert torch.equal(network.head.heads[0].hidden(smooth), autoencoder.encoder(smooth))
    assert torch.equal(
        network(cells(), *toy_graph), network.head.heads[0].out(autoencoder.encoder(smooth))
    )
    torch.nn.init.zeros_(autoencoder.encoder[0].weight)
    assert network.head.heads[0].hidden[0].weight.count_nonzero() > 0


@pytest.mark.parametrize(("genes", "hidden"), [(40, (8, 5)), (41, (8, 4)), (40, (8,))])
def test_an_encoder_of_other_sizes_is_refused(genes, hidden):
    with pytest.raises(ValueError, match="must have the head's hidden layers"):
        small_network().init_from(Autoencoder(genes, hidden))
