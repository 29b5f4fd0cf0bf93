import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from by_hand import (
    full_attention_by_hand,
    gradients_of,
    make_cells,
    relative_error,
    set_slope_offset,
)

from genegraph.nn import GeneGraphConv
from genegraph.nn.full_attention import (
    dense_attention,
    materialized_attention,
    scalar_attention,
)

KINDS = ["counts", "continuous", "signed", "zero", "constant"]
SLOPES = [
    (1e-6, -1e-6),
    (0.3, 0.7),
    (-1.0, 2.0),
    (8.0, -12.0),
    (-100.0, 90.0),
    (1e-6, 1e4),
    (-1e4, 1e-6),
    (1e6, -1e6),
    (-1e6, -1e6),
]


def errors_against_hand(conv, x, a, c, g):
    """Largest relative errors of the layer: values, parameters' gradients, gradient of x."""
    x = x.clone().requires_grad_()
    out = conv(x[..., None])[..., 0]
    out.backward(g)
    w = conv.weight.item()
    by_hand = [
        full_attention_by_hand(cell, a, c, w * up)
        for cell, up in zip(x.detach().numpy(), g.numpy(), strict=True)
    ]
    means, of_a, of_c, of_x, _ = (np.stack(part) for part in zip(*by_hand, strict=True))
    theta_w, theta_b, phi_w = (
        p.detach().numpy().ravel() for p in (conv.theta.weight, conv.theta.bias, conv.phi.weight)
    )
    scale = conv.attention_channels**-0.5
    expected = {
        "weight": [(g.numpy() * means).sum()],
        "theta.weight": scale * of_a.sum() * phi_w,
        "theta.bias": scale * of_c.sum() * phi_w,
        "phi.weight": scale * (of_a.sum() * theta_w + of_c.sum() * theta_b),
        "phi.bias": np.zeros_like(phi_w),
    }
    expected = np.concatenate([expected[name] for name, _ in conv.named_parameters()])
    return {
        "values": relative_error(out.detach(), w * means),
        "parameters": relative_error(gradients_of(conv), expected),
        "x": relative_error(x.grad, of_x),
    }


def layer_with(a, c, **options):
    conv = GeneGraphConv(1, 1, **options).double()
    set_slope_offset(conv, a, c)
    key = conv.phi.weight[:, 0] / conv.attention_channels**0.5
    a, c = (conv.theta.weight[:, 0] @ key).item(), (conv.theta.bias @ key).item()
    return conv, a, c


def test_the_tests_own_gradients_are_those_of_autograd():
    x = torch.randn(9, dtype=torch.float64, requires_grad=True)
    numbers = torch.tensor([-1.3, 0.4, 0.7], dtype=torch.float64, requires_grad=True)
    a, c, k = numbers.unbind()
    g = torch.randn(9, dtype=torch.float64)
    out = ((a * x + c)[:, None] * x - k * x * x).softmax(1) @ x
    expected = [out, *torch.autograd.grad(out @ g, (a, c, x, k))]
    numbers = (a.item(), c.item(), g.numpy(), k.item())
    by_hand = full_attention_by_hand(x.detach().numpy(), *numbers, rows_at_once=4)
    for ours, theirs in zip(by_hand, expected, strict=True):
        assert relative_error(ours, theirs.detach()) < 1e-12


@pytest.mark.parametrize("num_genes", [1, 2, 7, 300, 2000])
@pytest.mark.parametrize(("a", "c"), SLOPES)
@pytest.mark.parametrize("kind", KINDS)
def test_linear_time_equals_the_materialized_softmax(kind, a, c, num_genes):
    conv, a, c = layer_with(a, c)
    x = make_cells(kind, 2 if num_genes < 2000 else 1, num_genes)
    errors = errors_against_hand(conv, x, a, c, torch.randn_like(x))
    assert max(errors.values()) <= 1e-5, errors


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["counts", "continuous"])
def test_linear_time_equals_the_materialized_softmax_at_20499_genes(kind):
    conv, a, c = layer_with(-0.8, 1.5)
    x = make_cells(kind, 1, 20_499)
    errors = errors_against_hand(conv, x, a, c, torch.randn_like(x))
    assert max(errors.values()) <= 1e-5, errors


@pytest.mark.parametrize(("a", "c"), [(0.3, 0.7), (-3.0, 5.0), (20.0, -20.0)])
def test_a_tighter_tolerance_gives_a_smaller_error(a, c):
    x = make_cells("continuous", 1, 3000)
    g = torch.randn_like(x)
    loose, tight = [], []
    for tolerance, errors in ((1e-3, loose), (1e-10, tight)):
        torch.manual_seed(0)
        conv, exact_a, exact_c = layer_with(a, c, tolerance=tolerance)
        errors += errors_against_hand(conv, x, exact_a, exact_c, g).values()
    for before, after in zip(loose, tight, strict=True):
        assert after < before / 1000
        assert before <= 1e-3
        assert after <= 1e-10


@pytest.mark.parametrize("function", ["embedded_dot", "dot", "gaussian"])
@pytest.mark.parametrize("aware", [False, True])
def test_a_cell_does_not_depend_on_the_other_cells_of_its_batch(aware, function):
    conv = GeneGraphConv(1, 1, num_genes=500 if aware else None, attention_function=function)
    cells = make_cells("continuous", 20, 500).float()
    cells[7] *= 1000
    cells[8] = 0
    together, alone = cells.clone().requires_grad_(), cells.clone().requires_grad_()
    out = conv(together[..., None])
    single = torch.cat([conv(cell[None, :, None]) for cell in alone])
    assert torch.equal(out, single)
    g = torch.randn_like(out)
    out.backward(g)
    single.backward(g)
    assert torch.equal(together.grad, alone.grad)


@pytest.mark.parametrize("function", ["embedded_dot", "dot", "gaussian"])
@pytest.mark.parametrize("aware", [False, True])
def test_the_number_of_threads_changes_nothing(aware, function):
    conv = GeneGraphConv(1, 1, num_genes=300 if aware else None, attention_function=function)
    cells = make_cells("counts", 50, 300).float()[..., None]
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            x = cells.clone().requires_grad_()
            out = conv(x)
            out.square().sum().backward()
            results.append((out, x.grad))
    finally:
        torch.set_num_threads(before)
    for out, grad in results[1:]:
        assert torch.equal(out, results[0][0])
        assert torch.equal(grad, results[0][1])


@pytest.mark.parametrize("kind", ["counts", "continuous", "signed"])
@pytest.mark.parametrize("function", ["embedded_dot", "dot", "gaussian"])
@pytest.mark.parametrize("aware", [False, True])
def test_single_precision_is_close_to_double(kind, aware, function):
    conv = GeneGraphConv(1, 1, num_genes=400 if aware else None, attention_function=function)
    x = make_cells(kind, 3, 400)
    with torch.no_grad():
        double = copy.deepcopy(conv).double()(x.float().double()[..., None])
        single = conv(x.float()[..., None])
    assert single.dtype == torch.float32
    assert relative_error(single, double) < 1e-5


@pytest.mark.parametrize("function", ["embedded_dot", "dot", "gaussian"])
@pytest.mark.parametrize("aware", [False, True])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_spoils_its_own_cell_alone(bad, aware, function):
    conv = GeneGraphConv(1, 1, num_genes=30 if aware else None, attention_function=function)
    x = make_cells("counts", 3, 30).float()[..., None]
    clean = conv(x)
    x[1, 4] = bad
    out = conv(x)
    assert out[1].isnan().any()
    assert torch.equal(out[[0, 2]], clean[[0, 2]])


@pytest.mark.parametrize("curvature", [0.0, 0.4])
@pytest.mark.parametrize("num_genes", [5, 40])
def test_gradient_of_scalar_attention(num_genes, curvature):
    x = make_cells("counts", 2, num_genes, seed=4).requires_grad_()
    numbers = [
        torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (0.9, -0.6, curvature)
    ]
    assert torch.autograd.gradcheck(lambda *args: scalar_attention(*args, 1e-11), (x, *numbers))


def test_attention_with_several_features_equals_the_materialized_one(device):
    conv = GeneGraphConv(3, 2, attention_channels=5).double().to(device)
    x = torch.randn(4, 70, 3, dtype=torch.float64, device=device, requires_grad=True)
    reference = copy.deepcopy(conv)
    reference.reference = True
    other = x.detach().clone().requires_grad_()
    out, expected = conv(x), reference(other)
    torch.testing.assert_close(out, expected)
    logits = conv.theta(x) @ conv.phi(x).mT / 5**0.5
    torch.testing.assert_close(out, logits.softmax(-1) @ x @ conv.weight)
    g = torch.randn_like(out)
    out.backward(g)
    expected.backward(g)
    torch.testing.assert_close(x.grad, other.grad)
    torch.testing.assert_close(gradients_of(conv), gradients_of(reference))


@pytest.mark.parametrize("aware", [False, True])
def test_every_device_computes_the_same_function(device, aware):
    conv = GeneGraphConv(1, 1, num_genes=90 if aware else None).double()
    x = make_cells("counts", 3, 90)[..., None]
    expected = conv(x)
    out = conv.to(device)(x.to(device)).cpu()
    assert relative_error(out.detach(), expected.detach()) <= 1e-5


@pytest.mark.parametrize("shape", [(11,), (3, 11)])
def test_dense_attention_adds_the_bias_of_each_key(device, shape):
    query, key = torch.randn(2, 3, 11, 4, dtype=torch.float64, device=device)
    value = torch.randn(3, 11, 2, dtype=torch.float64, device=device)
    bias = torch.randn(shape, dtype=torch.float64, device=device)
    torch.testing.assert_close(
        dense_attention(query, key, value, bias), materialized_attention(query, key, value, bias)
    )


# torch.compile looks at the gradient of what it hands over where a graph breaks.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize("aware", [False, True])
def test_a_compiled_layer_is_the_same_layer(aware):
    conv = GeneGraphConv(1, 1, num_genes=50 if aware else None)
    compiled = torch.compile(conv, backend="aot_eager")
    x = make_cells("counts", 3, 50).float()[..., None].requires_grad_()
    g = torch.randn_like(x)
    parts = [x, *(p for name, p in conv.named_parameters() if name != "phi.bias")]
    out, expected = compiled(x), conv(x)
    torch.testing.assert_close(out, expected)
    ours, theirs = (torch.autograd.grad(result, parts, g) for result in (out, expected))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize(
    ("attention", "function"),
    [("full", "dot"), ("edges", "embedded_dot"), ("edges", "additive"), (None, "dot")],
)
def test_a_compiled_layer_with_a_graph_is_the_same_layer(attention, function, toy_graph):
    edge_index, weight = toy_graph
    conv = GeneGraphConv(1, 1, attention=attention, attention_function=function)
    compiled = torch.compile(conv, backend="aot_eager")
    x = make_cells("counts", 3, 40).float()[..., None].requires_grad_()
    g = torch.randn_like(x)
    out, expected = compiled(x, edge_index, weight.float()), conv(x, edge_index, weight.float())
    torch.testing.assert_close(out, expected)
    ours, theirs = (torch.autograd.grad(result, x, g) for result in (out, expected))
    torch.testing.assert_close(ours, theirs)


def test_autocast_leaves_slopes_their_digits():
    conv, x = GeneGraphConv(1, 1), make_cells("counts", 3, 40).float()[..., None]
    with torch.autocast("cpu", torch.bfloat16):
        half = conv(x)
    torch.testing.assert_close(half, conv(x), rtol=1e-6, atol=0)


PEAK = """
import torch
import torch.nn.functional as F
from genegraph.nn.full_attention import dense_attention

def unpadded(query, key, value, bias):
    return F.scaled_dot_product_attention(query[:, None], key[:, None], value[:, None], scale=1.0)

def peak():
    with open("/proc/self/status") as lines:  # getrusage would start at what the parent held
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024

query, key, value = torch.randn(1, 8192, 16), torch.randn(1, 8192, 16), torch.randn(1, 8192, 3)
small = [part[:, :64] for part in (query, key, value)]
for attend in (dense_attention, unpadded):
    attend(*small, None)
    before = peak()
    attend(query, key, value, None)
    print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_attention_with_several_features_never_holds_the_matrix():
    padded, unpadded = (float(line) for line in run(PEAK).split())
    assert padded < 64  # MiB; one 8192 x 8192 matrix is 256
    assert unpadded > 250  # so the test can fail


FORK = """
import multiprocessing, torch
from torch_geometric import EdgeIndex
from genegraph.nn import GeneGraphConv
from genegraph.nn.edge_attention import fused_edge_attention

torch.set_num_threads(2)
plain, aware = GeneGraphConv(1, 1), GeneGraphConv(1, 1, num_genes=30)
x = torch.rand(40, 30, 1)
edges = EdgeIndex(torch.arange(29).repeat(2, 1), sparse_size=(30, 30), sort_order="col")

def kernels():
    parts = [x[..., 0], *torch.ones(5)]
    return [plain(x), aware(x), fused_edge_attention(edges, *parts)]

expected, whole = kernels(), plain(x, edges)
sum(out.sum() for out in [*expected, whole]).backward()

def child():  # forward only: torch itself refuses a backward pass after a fork
    assert torch.get_num_threads() == 1  # torch's own OpenMP hangs otherwise
    torch.set_num_threads(2)  # which the kernels do not mind
    assert all(map(torch.equal, kernels(), expected))
    torch.set_num_threads(1)
    assert torch.equal(plain(x, edges), whole)

process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join(60)
print("hangs" if process.is_alive() else process.exitcode)
process.kill()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_process_may_fork_after_using_the_kernels():
    assert run(FORK).strip() == "0"


def run(script):
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
