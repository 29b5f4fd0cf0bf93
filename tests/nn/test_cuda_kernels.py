"""The kernels of CUDA: on a device where there is one, else by Triton's interpreter."""

import copy

import pytest
import torch
from by_hand import dense_matrix, gradients_of, make_cells, relative_error
from test_edge_attention import (
    edge_attention_by_hand,
    random_parts,
    scale,
    values_and_gradients,
)
from test_tilted_torch import KINDS, SLOPES, assert_close, by_hand, parts_of
from torch_geometric import EdgeIndex

from genegraph.nn import GeneGCN, GeneGraphConv

ON_CUDA = torch.cuda.is_available()
pytest.importorskip("triton", reason="Triton is not installed")

from genegraph.nn.cuda import edge_attention, product, tilted  # noqa: E402

DEVICE = torch.device("cuda" if ON_CUDA else "cpu")
needs_cuda = pytest.mark.skipif(not ON_CUDA, reason="torch sees no CUDA device")

pytestmark = [
    # Where a lane is masked out the interpreter computes all the same.
    pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning"),
]


def hub_graph():
    """Gene 0 hears all others, some twice; genes 50 to 59 hear nobody."""
    generator = torch.Generator().manual_seed(2)
    few = torch.randint(0, 60, (2, 150), generator=generator)
    few[1] = few[1] % 50
    edges = torch.cat([torch.stack([torch.arange(60), torch.zeros(60, dtype=torch.long)]), few], 1)
    edges = edges[:, edges[1].argsort(stable=True)]
    index = EdgeIndex(edges, sparse_size=(60, 60), sort_order="col")
    return index.fill_cache_(), torch.rand(210, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("width", [1, 64, 70])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_products_equal_the_dense_ones(width, dtype):
    edge_index, weight = hub_graph()
    x, g = torch.randn(2, 60, width, dtype=dtype)
    matrix = dense_matrix(edge_index, weight.to(dtype), 60)
    (rowptr, col), _ = edge_index.get_csc()
    (colptr, row), perm = edge_index.get_csr()
    source, target = edge_index.as_tensor()
    to = lambda *parts: [part.to(DEVICE) for part in parts]  # noqa: E731
    weight = weight.to(dtype)
    out = product.product(*to(rowptr, col), None, *to(weight, x))
    torch.testing.assert_close(out.cpu(), matrix @ x)
    out = product.product(*to(colptr, row, perm, weight, g))
    torch.testing.assert_close(out.cpu(), matrix.T @ g)
    out = product.sampled_product(*to(target, source, g, x))
    torch.testing.assert_close(out.cpu(), (g[target] * x[source]).sum(1), rtol=1e-4, atol=1e-5)


def test_products_over_no_edges_and_no_cells():
    nobody, rowptr = torch.empty(0, dtype=torch.long, device=DEVICE), torch.zeros(5, device=DEVICE)
    x, none = torch.rand(4, 3, device=DEVICE), torch.empty(0, device=DEVICE)
    out = product.product(rowptr.long(), nobody, None, none, x)
    assert out.tolist() == torch.zeros(4, 3).tolist()
    assert product.sampled_product(nobody, nobody, x, x).shape == (0,)
    assert product.product(rowptr.long(), nobody, None, none, x[:, :0]).shape == (4, 0)


def along_edges(edge_index):
    def attend(x, a, c, p, u, k):
        genes = torch.stack([a, c, p, u], dim=1)
        return edge_attention.edge_attention(edge_index, x, genes, k, True)

    return attend


@pytest.mark.parametrize(("num_cells", "factor"), [(1, 0.01), (5, 1), (70, 0.3), (70, 3)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-5)])
def test_edge_attention_equals_the_definition(num_cells, factor, dtype, tolerance):
    edge_index, _ = hub_graph()
    index = edge_index.to(DEVICE)
    parts = scale(factor, random_parts(num_cells, 60, dtype))
    g = torch.randn(num_cells, 60, dtype=torch.float64)
    theirs = values_and_gradients(lambda *p: edge_attention_by_hand(edge_index, *p), parts, g)
    parts, g = [part.to(DEVICE) for part in parts], g.to(DEVICE)
    ours = values_and_gradients(along_edges(index), parts, g)
    for of_ours, of_theirs in zip(ours, theirs, strict=True):
        assert relative_error(of_ours.cpu(), of_theirs) < tolerance
    assert (ours[0][:, 50:] == 0).all()


def test_edge_attention_takes_any_layout_of_cells_and_of_the_gradient():
    edge_index, _ = hub_graph()
    index, attend = edge_index.to(DEVICE), along_edges(edge_index.to(DEVICE))
    x, *rest = (part.to(DEVICE) for part in random_parts(3, 60))
    leaf = x.clone().requires_grad_()
    attend(leaf, *rest).sum().backward()  # a gradient without strides
    strided = x.t().contiguous().t().requires_grad_()
    attend(strided, *rest).backward(torch.ones(60, 3, dtype=x.dtype, device=DEVICE).t())
    torch.testing.assert_close(leaf.grad, strided.grad, rtol=0, atol=0)
    data = [part.clone().requires_grad_(n < 3) for n, part in enumerate([x, *rest])][1:]
    genes = torch.stack(data[:4], dim=1)
    out = edge_attention.edge_attention(index, x, genes, data[4], False)
    out.sum().backward()  # x is data, keys are constants
    every = [part.clone().requires_grad_() for part in (x, *rest)]
    attend(*every).sum().backward()
    torch.testing.assert_close(data[0].grad, every[1].grad, rtol=0, atol=0)
    torch.testing.assert_close(data[1].grad, every[2].grad, rtol=0, atol=0)


def test_gradient_of_edge_attention():
    edge_index, _ = hub_graph()
    parts = [part.to(DEVICE).requires_grad_() for part in random_parts(1, 60)]
    assert torch.autograd.gradcheck(along_edges(edge_index.to(DEVICE)), parts, fast_mode=True)


def full(*parts):
    return tilted.tilted_attention(*parts, 1e-6)


@pytest.mark.parametrize("num_genes", [7, 300])
@pytest.mark.parametrize(("a", "c"), SLOPES)
@pytest.mark.parametrize("kind", KINDS)
def test_full_attention_equals_the_materialized_softmax(kind, a, c, num_genes):
    parts = parts_of(kind, 2, num_genes, a, c)
    g = torch.randn_like(parts[0])
    theirs = values_and_gradients(by_hand, parts, g)
    ours = values_and_gradients(full, [part.to(DEVICE) for part in parts], g.to(DEVICE))
    assert_close(ours, theirs, parts[0].abs().max())


@pytest.mark.parametrize("kind", ["counts", "continuous"])
@pytest.mark.parametrize(("a", "c"), [(0.3, 0.7), (-1.0, 2.0), (30.0, -5.0)])
def test_full_attention_in_single_precision(kind, a, c):
    parts = [part.float() for part in parts_of(kind, 2, 1000, a, c, curvature=0.2)]
    g = torch.randn_like(parts[0])
    exact = values_and_gradients(by_hand, [part.double() for part in parts], g.double())
    ours = values_and_gradients(full, [part.to(DEVICE) for part in parts], g.to(DEVICE))
    for of_ours, of_theirs in zip(ours, exact, strict=True):
        assert relative_error(of_ours.cpu(), of_theirs) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("a", "c", "k"), [(0.3, 0.7, 0.0), (-1.0, 2.0, 0.4), (1e-6, 1e4, 2.0)])
def test_one_slope_and_offset_for_all_genes(kind, a, c, k):
    """The same function as with slopes, keys and weights written out."""
    x, g = make_cells(kind, 2, 300), torch.randn(2, 300, dtype=torch.float64)
    numbers = [torch.tensor(number, dtype=torch.float64) for number in (a, c, k)]
    theirs = values_and_gradients(
        lambda x, a, c, k: by_hand(a * x + c, x, x, -k * x * x), [x, *numbers], g
    )
    ours = values_and_gradients(
        lambda *p: tilted.scalar_attention(*p, 1e-6),
        [part.to(DEVICE) for part in (x, *numbers)],
        g.to(DEVICE),
    )
    least = 1e-8 * (1 + abs(c)) * x.abs().max().square()
    for of_ours, of_theirs in zip(ours, theirs, strict=True):
        most = max(of_theirs.abs().max(), least)
        assert (of_ours.cpu() - of_theirs).abs().max() <= 1e-5 * most


def test_keys_of_their_own_and_one_weight_for_all():
    s, x, y, u = torch.randn(4, 3, 400, dtype=torch.float64)
    u = u[:1, :1].expand(3, 400)
    g = torch.randn_like(x)
    theirs = values_and_gradients(by_hand, (s, x, y, u), g)
    ours = values_and_gradients(full, [part.to(DEVICE) for part in (s, x, y, u)], g.to(DEVICE))
    assert_close(ours, theirs, s.abs().max())
    spread = full(*(part.to(DEVICE) for part in (s, x, y)), u[0, 0].to(DEVICE).expand(3, 400))
    torch.testing.assert_close(spread, ours[0], rtol=0, atol=0)


def test_gradient_of_full_attention():
    x = make_cells("counts", 2, 40, seed=4)
    parts = [torch.randn_like(x), x, 0.5 * x, torch.randn_like(x)]
    parts = [part.to(DEVICE).requires_grad_() for part in parts]
    attend = lambda *p: tilted.tilted_attention(*p, 1e-11)  # noqa: E731
    assert torch.autograd.gradcheck(attend, parts, fast_mode=True)


def test_a_spoilt_cell_spoils_no_other_and_no_cell_depends_on_another():
    parts = [part.float() for part in parts_of("continuous", 4, 500, 0.4, 0.2)]
    parts[0][1] *= 1e5
    spoilt = [part.to(DEVICE).clone() for part in parts]
    spoilt[1][2, 7] = spoilt[2][2, 7] = torch.inf
    together = full(*spoilt)
    assert together[2].isnan().any()
    for b in (0, 1, 3):
        alone = full(*(part[b : b + 1].to(DEVICE) for part in parts))
        torch.testing.assert_close(together[b], alone[0], rtol=0, atol=0)


FUNCTIONS = [
    ("full", function, aware)
    for function in ("embedded_dot", "dot", "gaussian")
    for aware in (False, True)
]
FUNCTIONS += [("edges", function, aware) for _, function, aware in FUNCTIONS]
FUNCTIONS += [("edges", "additive", False), (None, "embedded_dot", False)]
FUNCTIONS += [("shared", "embedded_dot", True)]


@needs_cuda
@pytest.mark.parametrize(("attention", "function", "aware"), FUNCTIONS)
@pytest.mark.parametrize("half", [False, True])
def test_the_layer_is_the_one_of_the_cpu(attention, function, aware, half):
    edge_index, weight = hub_graph()
    conv = GeneGraphConv(
        1, 1, attention=attention, attention_function=function, num_genes=60 if aware else None
    )
    x, g = make_cells("counts", 5, 60)[..., None].float(), torch.randn(5, 60, 1)
    results = []
    for device in ("cpu", "cuda"):
        layer = copy.deepcopy(conv).to(device)
        cells = x.to(device).requires_grad_()
        with torch.autocast(device, torch.bfloat16, enabled=half and device == "cuda"):
            out = layer(cells, edge_index.to(device), weight.float().to(device))
        out.backward(g.to(device, out.dtype))
        results.append([out.detach().cpu(), cells.grad.cpu(), gradients_of(layer).cpu()])
    for of_cpu, of_cuda in zip(*results, strict=True):
        assert relative_error(of_cuda.float(), of_cpu) < (0.03 if half else 1e-5)


@needs_cuda
@pytest.mark.parametrize("attention", ["full", "edges", None])
def test_a_network_gives_the_same_bits_again_and_can_be_compiled(attention):
    edge_index, weight = (part.to("cuda") for part in hub_graph())
    network = GeneGCN(60, 3, attention=attention, num_layers=2).to("cuda")
    x = make_cells("counts", 5, 60).float().to("cuda")
    results = []
    for run in (network, network, torch.compile(network)):
        network.zero_grad()
        out = run(x, edge_index, weight.float())
        out.square().sum().backward()
        results.append([out.detach(), gradients_of(network)])
    for first, again, compiled in zip(*results, strict=True):
        assert torch.equal(first, again)
        torch.testing.assert_close(compiled, first, rtol=1e-4, atol=1e-5)
