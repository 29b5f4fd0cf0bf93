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


def edge_attention_by_hand(edge_index, x, slope, offset, key, log_weight, curvature):
    """One gene after another, in float64; differentiable."""
    x, slope, offset, key, log_weight, curvature = (
        part.double() for part in (x, slope, offset, key, log_weight, curvature)
    )
    source, target = edge_index.as_tensor()
    s, y = slope * x + offset, key * x
    out = []
    for i in range(x.size(1)):
        j = source[target == i]
        dy = y[:, j] - y[:, j[:1]]  # differences at steep slopes are exact
        of_squares = curvature * (dy * (y[:, j] + y[:, j[:1]]))
        logits = s[:, i, None] * dy + log_weight.expand(x.size(1))[j] - of_squares
        out.append((logits.softmax(1) * x[:, j]).sum(1))
    return torch.stack(out, dim=1)


def random_parts(num_cells, num_genes, dtype=torch.float64):
    """x and the coefficients a, c, p, u and k."""
    x = torch.from_numpy(count_cells(num_cells, num_genes, density=0.5))
    parts = (x, *torch.randn(4, num_genes), torch.tensor(0.3))
    return [part.to(dtype) for part in parts]


def wanting_gradients(parts):
    return [part.detach().clone().requires_grad_() for part in parts]


def values_and_gradients(forward, parts, g):
    parts = wanting_gradients(parts)
    out = forward(*parts)
    out.backward(g.to(out.dtype))
    return [out.detach(), *(part.grad for part in parts)]


@pytest.mark.parametrize("num_cells", [1, 5, 16, 35])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
def test_equals_the_definition(toy_graph, num_cells, dtype, tolerance):
    edge_index, _ = toy_graph
    parts = random_parts(num_cells, 40, dtype)
    g = torch.randn(num_cells, 40, dtype=torch.float64)
    ours = values_and_gradients(lambda *p: fused_edge_attention(edge_index, *p), parts, g)
    theirs = values_and_gradients(lambda *p: edge_attention_by_hand(edge_index, *p), parts, g)
    for of_ours, of_theirs in zip(ours, theirs, strict=True):
        assert relative_error(of_ours, of_theirs) < tolerance


@pytest.mark.parametrize("factor", [0.01, 0.3, 1, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 5e-6)])
def test_equals_the_definition_whichever_key_logits_are_measured_from(
    toy_graph, factor, dtype, tolerance
):
    """From rows whose logits all lie near each other to rows where none do."""
    edge_index, _ = toy_graph
    parts = scale(factor, random_parts(16, 40, dtype))
    g = torch.randn(16, 40, dtype=torch.float64)
    ours = values_and_gradients(lambda *p: fused_edge_attention(edge_index, *p), parts, g)
    theirs = values_and_gradients(lambda *p: edge_attention_by_hand(edge_index, *p), parts, g)
    for of_ours, of_theirs in zip(ours, theirs, strict=True):
        assert relative_error(of_ours, of_theirs) < tolerance


def scale(factor, parts):
    return [parts[0], factor * parts[1], factor * parts[2], *parts[3:]]


def steep_weights(parts):
    """Logits that lie far apart by u alone."""
    x, slope, offset, key, log_weight, curvature = parts
    return [x, 0 * slope, 0 * offset, key, 200 * log_weight, 0 * curvature]


def steep_squares(parts):
    """Logits that lie far apart by k alone."""
    x, slope, offset, key, log_weight, curvature = parts
    return [x, 0 * slope, 0 * offset, key, 0 * log_weight, 100 + curvature]


def one_steep_cell(parts):
    return [parts[0] * torch.tensor([[0.01], [100.0], [0.01]]).to(parts[0].dtype), *parts[1:]]


def zeros(parts):
    return [torch.zeros_like(parts[0]), *parts[1:]]


def one_huge(parts):
    return [parts[0].index_fill(1, torch.tensor([3]), 1e6), *parts[1:]]


def equal(parts):
    return [torch.full_like(parts[0], 1.7), *parts[1:]]


def same_for_all_genes(parts):
    x, slope, offset, key, log_weight, curvature = parts  # one weight for all has no effect
    return [x, slope[0], offset[0], key[0], log_weight, curvature]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    "change",
    [
        lambda p: scale(30, p),
        lambda p: scale(1e6, p),
        steep_weights,
        steep_squares,
        one_steep_cell,
        zeros,
        one_huge,
        equal,
        same_for_all_genes,
    ],
)
def test_equals_the_definition_at_the_extremes(toy_graph, dtype, change):
    edge_index, _ = toy_graph
    parts = change(random_parts(3, 40, dtype))
    g = torch.randn(3, 40, dtype=torch.float64)
    ours = values_and_gradients(lambda *p: fused_edge_attention(edge_index, *p), parts, g)
    theirs = values_and_gradients(lambda *p: edge_attention_by_hand(edge_index, *p), parts, g)
    for of_ours, of_theirs in zip(ours, theirs, strict=True):
        torch.testing.assert_close(
            of_ours.double(), of_theirs.double(), rtol=0, atol=1e-5 * of_theirs.abs().max() + 1e-12
        )


def test_a_gene_that_hears_all_is_right_in_single_precision():
    """Twenty thousand equal terms: a sum in float32 alone would be wrong by 1e-4."""
    num_genes = 20_000
    edge_index = EdgeIndex(
        torch.stack([torch.arange(num_genes), torch.zeros(num_genes, dtype=torch.int64)]),
        sparse_size=(num_genes, num_genes),
        sort_order="col",
    )
    x = torch.zeros(2, num_genes)
    x[:, 7] = 3.0
    numbers = [torch.tensor(number) for number in (0.4, 0.3, 1.0, 0.2)]
    parts = [x, *numbers[:3], torch.zeros(num_genes), numbers[3]]
    g = torch.zeros(2, num_genes, dtype=torch.float64)
    g[:, 0] = 1
    ours = values_and_gradients(lambda *p: fused_edge_attention(edge_index, *p), parts, g)

    def by_hand(x, slope, offset, key, log_weight, curvature):
        y = key * x
        logits = (slope * x[:, :1] + offset) * y + log_weight - curvature * y * y
        mean = (logits.softmax(1) * x).sum(1)
        return torch.cat([mean[:, None], torch.zeros(2, num_genes - 1).double()], dim=1)

    theirs = values_and_gradients(by_hand, [part.double() for part in parts], g)
    for of_ours, of_theirs in zip(ours, theirs, strict=True):
        assert relative_error(of_ours, of_theirs) < 1e-5


def test_a_gene_heard_by_all_is_right_in_single_precision():
    """The same the other way round: its gradient is a sum of twenty thousand thirds."""
    num_genes = 20_000
    target = torch.arange(3, num_genes)
    edge_index = EdgeIndex(
        torch.stack([torch.tensor([0, 1, 2]).repeat(len(target)), target.repeat_interleave(3)]),
        sparse_size=(num_genes, num_genes),
        sort_order="col",
    )
    x = torch.zeros(1, num_genes, requires_grad=True)
    numbers = (torch.tensor(number) for number in (0.4, 0.3, 1.0, 0.0, 0.0))
    fused_edge_attention(edge_index, x, *numbers).sum().backward()
    expected = torch.zeros_like(x).index_fill(1, torch.tensor([0, 1, 2]), len(target) / 3)
    assert relative_error(x.grad, expected) < 1e-6


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_one_gene_that_hears_itself(dtype):
    edge_index = EdgeIndex([[0], [0]], sparse_size=(1, 1), sort_order="col")
    parts = wanting_gradients([part[..., :1] for part in random_parts(3, 8, dtype)[:5]])
    curvature = torch.tensor(0.3, dtype=dtype)
    out = fused_edge_attention(edge_index, *parts, curvature)
    assert torch.equal(out, parts[0])
    out.sum().backward()
    assert torch.equal(parts[0].grad, torch.ones_like(out))
    assert all((part.grad == 0).all() for part in parts[1:])


def test_no_edges_give_zero():
    edge_index = EdgeIndex(torch.empty(2, 0).long(), sparse_size=(40, 40), sort_order="col")
    parts = wanting_gradients(random_parts(3, 40))
    out = fused_edge_attention(edge_index, *parts)
    out.sum().backward()
    assert (out == 0).all()
    assert all((part.grad == 0).all() for part in parts)


def test_no_genes_give_nothing():
    edge_index = EdgeIndex(torch.empty(2, 0).long(), sparse_size=(0, 0), sort_order="col")
    parts = wanting_gradients([part[..., :0] for part in random_parts(3, 40)[:5]])
    out = fused_edge_attention(edge_index, *parts, torch.tensor(0.3).double())
    out.sum().backward()
    assert out.shape == parts[0].grad.shape == (3, 0)


def test_weights_of_each_gene_sum_to_one(toy_graph):
    """Adding a constant to x and taking its effect on the logits away adds it to the mean."""
    edge_index, _ = toy_graph
    x, _, offset, _, log_weight, _ = random_parts(3, 40)
    flat = torch.zeros((), dtype=torch.float64)
    one_key = flat + 0.7
    before = fused_edge_attention(edge_index, x, flat, offset, one_key, log_weight, flat)
    after = fused_edge_attention(edge_index, x + 2, flat, offset, one_key, log_weight, flat)
    hears_somebody = torch.zeros(40, dtype=torch.float64)
    hears_somebody[edge_index.as_tensor()[1]] = 1
    assert 0 < hears_somebody.sum() < 40
    torch.testing.assert_close(after - before, 2 * hears_somebody.expand(3, -1))


def test_gene_major_storage_is_kept_and_changes_nothing(toy_graph):
    edge_index, _ = toy_graph
    parts = random_parts(20, 40, torch.float32)
    results = []
    for x in (parts[0], parts[0].t().contiguous().t()):
        x = x.detach().requires_grad_()
        out = fused_edge_attention(edge_index, x, *parts[1:])
        out.square().sum().backward()
        assert out.stride() == x.grad.stride() == x.stride()
        results.append((out, x.grad))
    assert all(map(torch.equal, *results))


def test_cells_do_not_depend_on_their_neighbours_in_the_batch(toy_graph):
    edge_index, _ = toy_graph
    parts = random_parts(40, 40, torch.float32)
    together = fused_edge_attention(edge_index, *parts)
    alone = [fused_edge_attention(edge_index, cell[None], *parts[1:]) for cell in parts[0]]
    assert torch.equal(together, torch.cat(alone))


def test_one_neighbour_gets_all_attention():
    edge_index = EdgeIndex([[1], [0]], sparse_size=(3, 3), sort_order="col")
    conv = GeneGraphConv(1, 1, attention="edges")
    x = torch.tensor([[3.0], [5.0], [7.0]])
    out = conv(x, edge_index, torch.zeros(1))
    torch.testing.assert_close(out, conv.weight * torch.tensor([[5.0], [0.0], [0.0]]))


@pytest.mark.parametrize("size", [1e3, 1e6, 1e150])
def test_huge_logits_do_not_overflow(toy_graph, size):
    edge_index, _ = toy_graph
    parts = wanting_gradients(scale(size, random_parts(2, 40)))
    out = fused_edge_attention(edge_index, *parts)
    out.sum().backward()
    assert out.isfinite().all()
    assert out.max() <= parts[0].max()
    assert all(part.grad.isfinite().all() for part in parts)


def test_gradient(toy_graph):
    edge_index, _ = toy_graph
    parts = wanting_gradients(random_parts(2, 40))
    assert torch.autograd.gradcheck(lambda *p: fused_edge_attention(edge_index, *p), parts)


def test_gradients_nobody_wants_are_not_made(toy_graph):
    edge_index, _ = toy_graph
    parts = random_parts(3, 40)
    every = wanting_gradients(parts)
    fused_edge_attention(edge_index, *every).sum().backward()
    for wanted in ([0], [1, 2], [3], [4], [5]):
        some = [part.detach().requires_grad_(n in wanted) for n, part in enumerate(parts)]
        fused_edge_attention(edge_index, *some).sum().backward()
        for n in range(6):
            if n in wanted:
                assert torch.equal(some[n].grad, every[n].grad)
            else:
                assert some[n].grad is None


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
    parts = random_parts(50, 40, torch.float32)
    conv = additive().float()
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            conv.zero_grad()
            x = parts[0].clone().requires_grad_()
            wanting = wanting_gradients(parts)
            out = fused_edge_attention(edge_index, *wanting)
            out.square().sum().backward()
            of_additive = conv(x[..., None], edge_index)
            of_additive.square().sum().backward()
            gradients = [part.grad for part in wanting]
            results.append([out, *gradients, of_additive, x.grad, gradients_of(conv)])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))
