import copy

import numpy as np
import pytest
import torch
from by_hand import make_cells, relative_error

from genegraph.nn import GeneGraphConv
from genegraph.nn.full_attention import gene_aware_attention, tilted_or_dense_attention
from genegraph.nn.tilted_torch import MOST_PANELS, panels_needed, tilted_attention

KINDS = ["counts", "continuous", "signed", "zero", "constant"]
SLOPES = [(1e-6, -1e-6), (0.3, 0.7), (-1.0, 2.0), (1.2, -5.0), (1e-6, 1e4), (0.0, -1e6)]


def parts_of(kind, num_cells, num_genes, a, c, curvature=0.0, seed=0):
    """s, x, y and u with logits (a x_i + c) x_j + u_j - k x_j^2."""
    x = make_cells(kind, num_cells, num_genes, seed)
    return [a * x + c, x, x, torch.randn_like(x) - curvature * x * x]


def values_and_gradients(attend, parts, g):
    parts = [part.detach().clone().requires_grad_() for part in parts]
    out = attend(*parts)
    return [out.detach(), *torch.autograd.grad(out, parts, g.to(out.device))]


def by_hand(s, x, y, u):
    origin = torch.where(s >= 0, y.amax(1, keepdim=True), y.amin(1, keepdim=True)).detach()
    logits = s[:, :, None] * (y[:, None, :] - origin[:, :, None]) + u[:, None, :]
    return (logits.softmax(-1) @ x[..., None])[..., 0]


def assert_close(ours, theirs, steepest, tolerance=1e-5):
    """Relative to the largest; gradients smaller than rounding makes them are not compared."""
    of_values, of_x = (theirs[k].abs().max() for k in (0, 2))
    least = 1e-9 * (1 + steepest) * max(of_values, of_x)
    for part, expected in zip(ours, theirs, strict=True):
        most = max(expected.abs().max(), least)
        assert (part.cpu() - expected).abs().max() <= tolerance * most


@pytest.mark.parametrize("num_genes", [1, 2, 7, 300, 1000])
@pytest.mark.parametrize(("a", "c"), SLOPES)
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_materialized_softmax(kind, a, c, num_genes, device):
    parts = parts_of(kind, 3, num_genes, a, c)
    assert panels_needed(*parts[::2]).max() <= MOST_PANELS
    g = torch.randn_like(parts[0])
    theirs = values_and_gradients(by_hand, parts, g)
    parts = [part.to(device) for part in parts]
    ours = values_and_gradients(lambda *p: tilted_attention(*p, 1e-6), parts, g)
    assert_close(ours, theirs, parts[0].abs().max().cpu())


@pytest.mark.parametrize("curvature", [0.5, 5.0])
@pytest.mark.parametrize("kind", ["counts", "signed"])
def test_slopes_that_need_many_panels(kind, curvature, device):
    x = make_cells(kind, 4, 200)
    a = 4 * (MOST_PANELS - 1) / (x.amax(1) - x.amin(1)).max() ** 2
    parts = parts_of(kind, 4, 200, a, -1.0, curvature)
    needed = panels_needed(*parts[::2])
    assert needed.max() == MOST_PANELS - 1
    assert len(needed.unique()) > 1
    g = torch.randn_like(x)
    theirs = values_and_gradients(by_hand, parts, g)
    parts = [part.to(device) for part in parts]
    ours = values_and_gradients(lambda *p: tilted_attention(*p, 1e-6), parts, g)
    assert_close(ours, theirs, parts[0].abs().max().cpu())


def test_keys_of_their_own_equal_the_sorted_kernels():
    s, x, y, u = torch.randn(4, 3, 400, dtype=torch.float64)
    g = torch.randn_like(x)
    theirs = values_and_gradients(lambda *p: gene_aware_attention(*p, 1e-6), (s, x, y, u), g)
    ours = values_and_gradients(lambda *p: tilted_attention(*p, 1e-6), (s, x, y, u), g)
    assert_close(ours, theirs, s.abs().max(), 1e-6)


def test_gradient():
    x = make_cells("counts", 2, 40, seed=4)
    parts = [
        part.requires_grad_() for part in (torch.randn_like(x), x, 0.5 * x, torch.randn_like(x))
    ]
    assert torch.autograd.gradcheck(lambda *args: tilted_attention(*args, 1e-11), parts)


def test_steep_and_spoilt_cells_are_right_among_others(device):
    """Each cell takes its own way; one that is no number spoils nothing but itself."""
    x = make_cells("continuous", 5, 60)
    parts = [torch.tensor([0.5, 1e3, 0.1, 1e6, 2.0])[:, None] * x, x, x, torch.randn_like(x)]
    assert (panels_needed(*parts[::2]) > MOST_PANELS).tolist() == [False, True, False, True, False]
    g = torch.randn_like(x)
    theirs = values_and_gradients(by_hand, parts, g)
    spoilt = [part.to(device).clone() for part in parts]
    spoilt[1][2, 7] = spoilt[2][2, 7] = np.inf
    attend = lambda *p: tilted_or_dense_attention(*p, 1e-6)  # noqa: E731
    ours = values_and_gradients(attend, spoilt, g)
    assert ours[0][2].isnan().any()
    for b in (0, 1, 3, 4):
        of_cell = ([part[b] for part in results] for results in (ours, theirs))
        assert_close(*of_cell, parts[0][b].abs().max())


def test_a_cell_does_not_depend_on_the_other_cells_of_its_batch():
    parts = [part.float() for part in parts_of("continuous", 6, 500, 0.4, 0.2)]
    parts[0][2] *= 9
    together = tilted_or_dense_attention(*parts, 1e-6)
    alone = [tilted_or_dense_attention(*(p[b : b + 1] for p in parts), 1e-6) for b in range(6)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_sums_are_in_double_precision_whatever_the_type(dtype):
    parts = [part.to(dtype) for part in parts_of("counts", 2, 3000, 0.3, 0.7)]
    exact = values_and_gradients(by_hand, [part.double() for part in parts], torch.ones(2, 3000))
    ours = values_and_gradients(
        lambda *p: tilted_attention(*p, 1e-6), parts, torch.ones(2, 3000, dtype=dtype)
    )
    for part, expected in zip(ours, exact, strict=True):
        assert part.dtype == dtype
        assert relative_error(part.float(), expected.float()) <= 2 * torch.finfo(dtype).eps


@pytest.mark.parametrize("function", ["embedded_dot", "dot", "gaussian"])
@pytest.mark.parametrize("aware", [False, True])
def test_the_layer_takes_it_where_the_cpu_kernels_are_not(aware, function, monkeypatch):
    """The very call a layer makes on CUDA, made here."""
    conv = GeneGraphConv(1, 1, num_genes=90 if aware else None, attention_function=function)
    conv, x = conv.double(), make_cells("counts", 3, 90)[..., None]
    query, key, bias = conv._query_key_bias(x)
    u = torch.zeros_like(x[..., 0]) if bias is None else bias.expand(3, 90)
    out = tilted_or_dense_attention(query[..., 0], x[..., 0], key[..., 0], u, 1e-6)
    expected = copy.deepcopy(conv)(x)[..., 0] / conv.weight[0, 0]
    assert relative_error(out.detach(), expected.detach()) <= 1e-5
