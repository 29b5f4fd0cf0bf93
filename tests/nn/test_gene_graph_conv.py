import copy

import pytest
import torch
from by_hand import count_cells, gradients_of, make_cells, relative_error
from torch_geometric import EdgeIndex
from torch_geometric.nn import GCNConv, MessagePassing

from genegraph.nn import GeneGraphConv

ATTENTION = ["full", "edges", None]


def double_conv(in_channels=1, out_channels=1, **options):
    return GeneGraphConv(in_channels, out_channels, **options).double()


def test_prior_part_is_a_x_w(triangle):
    conv = double_conv(2, 2, attention=None)
    x = torch.randn(5, 3, 2, dtype=torch.float64)
    a = torch.tensor([[0.0, 0.5, 0.25], [2.0, 0.0, 0.0], [0.0, 3.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(conv(x, *triangle), a @ x @ conv.weight)


def test_without_attention_it_is_a_graph_convolution(toy_graph, device):
    edge_index, edge_weight = (part.to(device) for part in toy_graph)
    conv = double_conv(3, 4, attention=None).to(device)
    gcn = GCNConv(3, 4, normalize=False, bias=False).double().to(device)
    gcn.lin.weight.data = conv.weight.data.T.clone()
    x = torch.randn(40, 3, dtype=torch.float64, device=device)
    expected = gcn(x, edge_index.as_tensor(), edge_weight)
    torch.testing.assert_close(conv(x, edge_index, edge_weight), expected)


def test_it_is_a_message_passing_layer_of_torch_geometric():
    assert isinstance(GeneGraphConv(1, 1), MessagePassing)


@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("channels", [1, 3])
class TestSymmetry:
    def test_cells_do_not_see_each_other(self, toy_graph, attention, channels):
        conv = double_conv(channels, 2, attention=attention)
        x = torch.randn(4, 40, channels, dtype=torch.float64)
        out = conv(x, *toy_graph)
        for cell, expected in zip(x, out, strict=True):
            torch.testing.assert_close(conv(cell[None], *toy_graph)[0], expected)

    def test_one_cell_may_come_without_its_dimension(self, toy_graph, attention, channels):
        conv = double_conv(channels, 2, attention=attention)
        x = torch.randn(40, channels, dtype=torch.float64)
        out = conv(x, *toy_graph)
        assert out.shape == (40, 2)
        assert torch.equal(out, conv(x[None], *toy_graph)[0])

    def test_gene_major_storage_gives_the_same(self, toy_graph, attention, channels):
        conv = double_conv(channels, 2, attention=attention)
        x = torch.randn(4, 40, channels, dtype=torch.float64)
        gene_major = x.transpose(0, 1).contiguous().transpose(0, 1)
        assert gene_major.stride() != x.stride()
        torch.testing.assert_close(conv(gene_major, *toy_graph), conv(x, *toy_graph))

    def test_the_order_of_edges_does_not_matter(self, toy_graph, attention, channels):
        edge_index, edge_weight = toy_graph
        conv = double_conv(channels, 2, attention=attention)
        x = torch.randn(4, 40, channels, dtype=torch.float64)
        order = torch.randperm(len(edge_weight))
        shuffled = edge_index.as_tensor()[:, order]
        expected = conv(x, edge_index, edge_weight)
        torch.testing.assert_close(conv(x, shuffled, edge_weight[order]), expected)
        unsorted = EdgeIndex(shuffled, sparse_size=(40, 40))
        torch.testing.assert_close(conv(x, unsorted, edge_weight[order]), expected)
        for direction in ("row", "col"):
            resorted, perm = unsorted.sort_by(direction)
            out = conv(x, resorted, edge_weight[order][perm])
            torch.testing.assert_close(out, expected)

    def test_renaming_genes_permutes_the_output(self, toy_graph, attention, channels):
        edge_index, edge_weight = toy_graph
        conv = double_conv(channels, 2, attention=attention)
        x = torch.randn(4, 40, channels, dtype=torch.float64)
        order = torch.randperm(40)
        place = torch.empty_like(order)
        place[order] = torch.arange(40)
        renamed = conv(x[:, order], place[edge_index.as_tensor()], edge_weight)
        torch.testing.assert_close(renamed, conv(x, *toy_graph)[:, order], rtol=1e-6, atol=1e-6)

    def test_no_weights_means_ones(self, toy_graph, attention, channels):
        edge_index, edge_weight = toy_graph
        conv = double_conv(channels, 2, attention=attention)
        x = torch.randn(4, 40, channels, dtype=torch.float64)
        expected = conv(x, edge_index, torch.ones_like(edge_weight))
        torch.testing.assert_close(conv(x, edge_index), expected)

    def test_fused_equals_unfused_with_all_gradients(self, toy_graph, attention, channels, device):
        edge_index, edge_weight = (part.to(device) for part in toy_graph)
        conv = double_conv(channels, 2, attention=attention, fusion="gate").to(device)
        x = torch.randn(4, 40, channels, dtype=torch.float64, device=device)
        results = []
        for edges in (edge_index, edge_index.as_tensor()):
            conv.zero_grad()
            features = x.clone().requires_grad_()
            weights = edge_weight.clone().requires_grad_()
            out = conv(features, edges, weights)
            out.square().sum().backward()
            results.append((out, features.grad, weights.grad, gradients_of(conv)))
        for fused, unfused in zip(*results, strict=True):
            torch.testing.assert_close(fused, unfused)

    def test_a_hook_on_messages_sees_them(self, toy_graph, attention, channels):
        edge_index, edge_weight = toy_graph
        conv = double_conv(channels, 2, attention=attention)
        x = torch.randn(4, 40, channels, dtype=torch.float64)
        fused, seen = conv(x, edge_index, edge_weight), []
        handle = conv.register_message_forward_hook(lambda conv, args, out: seen.append(out))
        torch.testing.assert_close(conv(x, edge_index, edge_weight), fused)
        handle.remove()
        assert [message.shape for message in seen] == [(4, 200, channels)]
        conv(x, edge_index, edge_weight)
        assert len(seen) == 1

    def test_an_explainers_mask_weighs_the_messages(self, toy_graph, attention, channels):
        edge_index, edge_weight = toy_graph
        conv = double_conv(channels, 2, attention=attention)
        x = torch.randn(4, 40, channels, dtype=torch.float64)
        fused = conv(x, edge_index, edge_weight)
        conv.explain, conv._apply_sigmoid = True, False
        conv._edge_mask = torch.ones(200, dtype=torch.float64)
        torch.testing.assert_close(conv(x, edge_index, edge_weight), fused)
        conv._edge_mask = torch.zeros(200, dtype=torch.float64)
        alone = conv(x) if attention == "full" else torch.zeros_like(fused)
        torch.testing.assert_close(conv(x, edge_index, edge_weight), alone)

    def test_reference_computes_the_same(self, toy_graph, attention, channels):
        conv = double_conv(channels, 2, attention=attention)
        reference = copy.deepcopy(conv)
        reference.reference = True
        x = torch.randn(4, 40, channels, dtype=torch.float64)
        expected = reference(x, *toy_graph)
        torch.testing.assert_close(conv(x, *toy_graph), expected, rtol=1e-6, atol=1e-6)

    def test_single_precision_is_close_to_double(self, toy_graph, attention, channels):
        edge_index, edge_weight = toy_graph
        conv = GeneGraphConv(channels, 2, attention=attention)
        x = torch.randn(4, 40, channels)
        single = conv(x, edge_index, edge_weight.float()).detach()
        double = conv.double()(x.double(), edge_index, edge_weight.float().double()).detach()
        assert relative_error(single, double) < 1e-5


def test_isolated_genes_get_nothing_from_the_prior(toy_graph):
    out = double_conv(attention=None)(torch.ones(2, 40, 1, dtype=torch.float64), *toy_graph)
    assert out[:, 37:].count_nonzero() == 0


@pytest.mark.parametrize("fused", [True, False])
def test_edges_given_twice_add_up_and_self_loops_count(fused):
    edge_index = torch.tensor([[0, 0, 1], [1, 1, 1]])
    if fused:
        edge_index = EdgeIndex(edge_index, sparse_size=(2, 2), sort_order="col")
    conv = GeneGraphConv(1, 1, attention=None)
    torch.nn.init.ones_(conv.weight)
    out = conv(torch.tensor([[10.0], [1.0]]), edge_index, torch.tensor([1.0, 2.0, 5.0]))
    assert out.tolist() == [[0.0], [35.0]]


@pytest.mark.parametrize("attention", ["full", "edges"])
def test_the_gate_leads_from_the_prior_to_attention(toy_graph, attention):
    edge_index, edge_weight = toy_graph
    conv = double_conv(attention=attention, fusion="gate")
    x = make_cells("counts", 3, 40)[..., None]
    summed, prior = copy.deepcopy(conv), double_conv(attention=None)
    summed.fusion = "sum"
    prior.weight = conv.weight
    of_prior = prior(x, edge_index, edge_weight)
    of_attention = summed(x, edge_index, torch.zeros_like(edge_weight))
    torch.testing.assert_close(conv(x, *toy_graph), (of_attention + of_prior) / 2)
    for logit, expected in ((-50.0, of_prior), (50.0, of_attention)):
        torch.nn.init.constant_(conv.gate_logit, logit)
        torch.testing.assert_close(conv(x, *toy_graph), expected)


def test_the_gate_is_learned_and_needs_two_parts(toy_graph):
    conv = double_conv(fusion="gate")
    x = make_cells("counts", 3, 40)[..., None]
    conv(x, *toy_graph).square().sum().backward()
    assert conv.gate_logit.grad.abs() > 0
    torch.testing.assert_close(conv(x), double_copy(conv, "sum")(x))


def double_copy(conv, fusion):
    other = copy.deepcopy(conv)
    other.fusion = fusion
    return other


@pytest.mark.parametrize(("init", "fewest", "most"), [("absolute", 0, 0), ("uniform", 70, 130)])
def test_seeds_that_start_dead_on_non_negative_features(init, fewest, most):
    x = torch.from_numpy(count_cells(2, 30)).float()[..., None]
    dead = 0
    for seed in range(200):
        torch.manual_seed(seed)
        conv = GeneGraphConv(1, 1, init=init)
        assert conv.weight.abs() <= 1
        conv(x).relu().sum().backward()
        dead += int(conv.weight.grad.item() == 0)
    assert fewest <= dead <= most


@pytest.mark.parametrize("in_channels", [1, 4])
def test_initial_weights_lie_within_the_bound(in_channels):
    weight = GeneGraphConv(in_channels, 500, init="uniform").weight.detach()
    bound = in_channels**-0.5
    assert -bound <= weight.min() < -0.9 * bound
    assert 0.9 * bound < weight.max() <= bound


def test_gradients_of_the_whole_layer(triangle):
    edge_index, edge_weight = triangle
    for attention, fusion in (("full", "gate"), ("edges", "sum")):
        conv = double_conv(
            1, 1, attention=attention, fusion=fusion, num_genes=3, attention_channels=2
        )
        conv.tolerance = 1e-11
        edges = EdgeIndex(edge_index, sparse_size=(3, 3), sort_order="col")
        x = torch.rand(2, 3, 1, dtype=torch.float64, requires_grad=True)
        weights = edge_weight.clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda x, w: conv(x, edges, w), (x, weights))  # noqa: B023


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": "all"}, r"'attention' must be one of .* \(got 'all'\)"),
        ({"fusion": "mean"}, r"'fusion' must be one of .* \(got 'mean'\)"),
        ({"init": "zeros"}, r"'init' must be one of .* \(got 'zeros'\)"),
        ({"backend": "numpy"}, r"'backend' must be one of .* \(got 'numpy'\)"),
        ({"tolerance": 0.0}, r"'tolerance' must lie strictly between 0 and 1 \(got 0.0\)"),
        ({"tolerance": 1.0}, r"'tolerance' must lie strictly between 0 and 1 \(got 1.0\)"),
        ({"in_channels": 2, "num_genes": 9}, r"needs in_channels=1 \(got 2\)"),
    ],
)
def test_bad_options_are_refused(options, message):
    options = {"in_channels": 1, "out_channels": 1, **options}
    with pytest.raises(ValueError, match=message):
        GeneGraphConv(**options)


def sized(num_genes):
    return EdgeIndex([[0, 1], [1, 2]], sparse_size=(num_genes, num_genes), sort_order="col")


@pytest.mark.parametrize(
    ("options", "shape", "graph", "message"),
    [
        ({}, (4,), (), r"'x' must have shape \[num_cells, num_genes, 1\] .* \(got \[4\]\)"),
        ({}, (2, 4, 3), (), r"'x' must have shape .* \(got \[2, 4, 3\]\)"),
        ({}, (1, 2, 4, 1), (), r"'x' must have shape .* \(got \[1, 2, 4, 1\]\)"),
        ({"num_genes": 5}, (2, 4, 1), (), r"must hold the 5 genes .* \(got 4\)"),
        ({"attention": None}, (4, 1), (), r"attention=None needs a graph"),
        ({"attention": "edges"}, (4, 1), (), r"attention='edges' needs a graph"),
        ({}, (4, 1), (torch.ones(3, 7, dtype=torch.long),), r"\[2, num_edges\] \(got \[3, 7\]\)"),
        ({}, (4, 1), (torch.ones(2, dtype=torch.long),), r"\[2, num_edges\] \(got \[2\]\)"),
        (
            {},
            (4, 1),
            (torch.ones(2, 7, dtype=torch.long), torch.ones(6)),
            r"one value per edge \(got \[6\] for 7 edges\)",
        ),
        ({}, (4, 1), (sized(3),), r"sparse_size=\(4, 4\).* \(got \(3, 3\)\)"),
        ({}, (4, 1), (sized(9),), r"sparse_size=\(4, 4\).* \(got \(9, 9\)\)"),
        ({}, (4, 1), (sized(None),), r"sparse_size=\(4, 4\).* \(got \(None, None\)\)"),
        ({}, (4, 1), (torch.tensor([[0], [4]]),), "got '4'"),
    ],
)
def test_bad_input_is_refused(options, shape, graph, message):
    conv = GeneGraphConv(1, 1, **options)
    with pytest.raises(ValueError, match=message):
        conv(torch.rand(shape), *graph)


def test_the_repr_is_short():
    assert repr(GeneGraphConv(1, 1)) == "GeneGraphConv(1, 1, attention='full', fusion='sum')"
    assert "num_genes=7" in repr(GeneGraphConv(1, 1, num_genes=7))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("backend", ["auto", "torch"])
@pytest.mark.parametrize(
    "options",
    [
        {"attention": None},
        {"attention": "full"},
        {"attention": "full", "num_genes": 40},
        {"attention": "edges"},
        {"attention": "edges", "num_genes": 40},
        {"attention": "edges", "attention_function": "additive"},
    ],
)
def test_half_precision_in_is_half_precision_out_and_close_to_single(
    toy_graph, options, backend, dtype
):
    edge_index, edge_weight = toy_graph
    half = GeneGraphConv(1, 1, backend=backend, **options).to(dtype)
    single = copy.deepcopy(half).float()
    x = torch.rand(3, 40, 1).to(dtype)
    weights = edge_weight.to(dtype)
    results = []
    for conv, kind in ((half, dtype), (single, torch.float32)):
        cells = x.to(kind).clone().requires_grad_()
        out = conv(cells, edge_index, weights.to(kind))
        out.float().square().sum().backward()
        assert out.dtype == cells.grad.dtype == kind
        results.append((out.detach().float(), cells.grad.float()))
    for ours, theirs in zip(*results, strict=True):
        assert relative_error(ours, theirs) < 0.03
