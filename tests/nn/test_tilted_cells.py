import copy

import numpy as np
import pytest
import torch
from by_hand import (
    full_attention_by_hand,
    gene_aware_logits,
    gradients_of,
    make_cells,
    relative_error,
)

from genegraph.nn import GeneGraphConv
from genegraph.nn.full_attention import gene_aware_attention, scalar_attention
from genegraph.nn.tilted_cells import _distinct

KINDS = ["counts", "continuous", "signed", "zero", "constant"]
FUNCTIONS = ["embedded_dot", "dot", "gaussian"]
# k R^2, R the range of the cell's values; a / 2k, where 1 lets the mass follow the gene's own
# value; c / k R.
GAUSSIANS = [
    (1e-3, 1.0, 0.1),
    (1.0, -2.0, 0.5),
    (30.0, 1.0, 0.0),
    (215.0, 0.4, 0.5),
    (215.0, -1.0, -3.0),
    (1e4, 1.0, 0.0),
    (1e4, 0.1, 1.0),
    (1e4, 30.0, -2.0),
    (1e6, 1.0, 0.0),
    (1e6, -0.5, 0.7),
]


def errors_against_hand(x, a, c, k, g):
    """Largest relative errors of values, gradient of x, and gradients of a, c and k together."""
    x = x.clone().requires_grad_()
    numbers = torch.tensor([a, c, k], dtype=torch.float64, requires_grad=True)
    out = scalar_attention(x[None], *numbers, 1e-6)[0]
    out.backward(g)
    values, *of_slope, of_x, of_k = full_attention_by_hand(x.detach().numpy(), a, c, g.numpy(), k)
    size = g.numpy() @ values  # a layer's gradients hold this one too
    return {
        "values": relative_error(out.detach(), values),
        "numbers": relative_error([*numbers.grad, size], [*of_slope, of_k, size]),
        "x": relative_error(x.grad, of_x),
    }


def coefficients(x, width, ratio, shift):
    """a, c and k; a cell without a range takes its value, or 1, for it."""
    spread = (x.max() - x.min()).item() or x.max().item() or 1.0
    k = width / spread**2
    return 2 * k * ratio, k * spread * shift, k


@pytest.mark.parametrize("num_genes", [1, 2, 7, 300, 2000])
@pytest.mark.parametrize(("width", "ratio", "shift"), GAUSSIANS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_gaussian_in_linear_time_equals_the_materialized_one(
    kind, width, ratio, shift, num_genes
):
    x = make_cells(kind, 1, num_genes)[0]
    errors = errors_against_hand(x, *coefficients(x, width, ratio, shift), torch.randn_like(x))
    assert max(errors.values()) <= 1e-5, errors


@pytest.mark.parametrize("num_genes", [1, 2, 7, 300, 2000])
@pytest.mark.parametrize("kind", KINDS)
def test_a_dot_product_in_linear_time_equals_the_materialized_one(kind, num_genes):
    x = make_cells(kind, 1, num_genes)[0]
    errors = errors_against_hand(x, 1.0, 0.0, 0.0, torch.randn_like(x))
    assert max(errors.values()) <= 1e-5, errors


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["counts", "continuous"])
@pytest.mark.parametrize(("width", "ratio", "shift"), [(215.0, 0.4, 0.5), (1e4, 1.0, 0.0)])
def test_a_gaussian_of_20499_genes_equals_the_materialized_one(kind, width, ratio, shift):
    x = make_cells(kind, 1, 20_499)[0]
    errors = errors_against_hand(x, *coefficients(x, width, ratio, shift), torch.randn_like(x))
    assert max(errors.values()) <= 1e-5, errors


@pytest.mark.parametrize("far", [10.0, 1e3])
def test_values_far_from_zero_keep_their_digits(far):
    """Logits are then large numbers of small difference."""
    x = far + make_cells("signed", 1, 300)[0]
    errors = errors_against_hand(x, 2.0, -1.0, 1.0, torch.randn_like(x))
    assert max(errors.values()) <= 1e-5, errors


def test_three_genes_by_hand():
    """a = 1, c = 0, k = 1/2: the logits of a gene at 0 are 0, 0, -2, of the gene at 2 0, 0, 2."""
    x = torch.tensor([[0.0, 0.0, 2.0]], dtype=torch.float64)
    numbers = [torch.tensor(v, dtype=torch.float64) for v in (1.0, 0.0, 0.5)]
    zero, two = (2 * np.exp(logit) / (2 + np.exp(logit)) for logit in (-2.0, 2.0))
    expected = torch.tensor([[zero, zero, two]], dtype=torch.float64)
    torch.testing.assert_close(scalar_attention(x, *numbers, 1e-6), expected)


def randomize(conv, size=0.5):
    with torch.no_grad():
        for name, parameter in conv.named_parameters():
            if name.startswith("gene_"):
                parameter.add_(size * torch.randn_like(parameter))


def gene_aware_by_hand(conv, x):
    """The docstring's formula with the whole matrix."""
    alpha = gene_aware_logits(conv, x).softmax(-1)
    return (alpha @ x[..., None])[..., 0] * conv.weight.item()


@pytest.mark.parametrize("num_genes", [1, 2, 60, 700])
@pytest.mark.parametrize("size", [0.5, 4.0])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_gene_aware_attention_equals_the_materialized_one(kind, size, num_genes, function):
    conv = GeneGraphConv(1, 1, num_genes=num_genes, attention_function=function).double()
    randomize(conv, size)
    x = make_cells(kind, 3, num_genes)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    g = torch.randn_like(x)
    out = conv(ours[..., None])[..., 0]
    out.backward(g)
    of_parameters = gradients_of(conv)
    conv.zero_grad()
    expected = gene_aware_by_hand(conv, theirs)
    expected.backward(g)
    conv.weight.grad = ((g * expected).sum() / conv.weight).detach()
    assert relative_error(out.detach(), expected.detach()) <= 1e-5
    assert relative_error(of_parameters, gradients_of(conv)) <= 1e-5
    assert relative_error(ours.grad, theirs.grad) <= 1e-5


@pytest.mark.parametrize("favourite", [-1, 0, 5])
def test_gene_aware_attention_survives_extreme_log_weights(favourite):
    conv = GeneGraphConv(1, 1, num_genes=50).double()
    with torch.no_grad():
        conv.gene_log_weight.uniform_(-80, -20)
        conv.gene_log_weight[favourite] = 300
        conv.gene_slope.mul_(30)
    x = make_cells("counts", 4, 50, seed=3)
    out = conv(x[..., None])[..., 0]
    assert relative_error(out.detach(), gene_aware_by_hand(conv, x).detach()) <= 1e-5


@pytest.mark.parametrize("size", [1e3, 1e5])
@pytest.mark.parametrize("kind", KINDS)
def test_log_weights_of_any_size_neither_under_nor_overflow(kind, size):
    x = make_cells(kind, 2, 200)
    parts = [torch.randn_like(x), x, torch.randn_like(x), size * torch.randn_like(x)]
    s, x, y, u = (part.requires_grad_() for part in parts)
    g = torch.randn_like(x)
    out = gene_aware_attention(s, x, y, u, 1e-6)
    ours = [out, *torch.autograd.grad(out, (s, x, y, u), g)]
    logits = s[:, :, None] * y[:, None, :] + u[:, None, :]
    out = (logits.softmax(-1) @ x[..., None])[..., 0]
    theirs = [out, *torch.autograd.grad(out, (s, x, y, u), g)]
    most = max(part.abs().max().item() for part in theirs)
    for part, expected in zip(ours, theirs, strict=True):
        assert (part - expected).abs().max() <= 1e-5 * max(most, 1e-300)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_gene_aware_attention_starts_as_the_plain_layer(kind, function):
    plain = GeneGraphConv(1, 1, attention_function=function).double()
    aware = GeneGraphConv(1, 1, attention_function=function, num_genes=200).double()
    aware.load_state_dict(plain.state_dict(), strict=False)
    x = make_cells(kind, 3, 200)[..., None]
    torch.testing.assert_close(aware(x), plain(x), rtol=1e-6, atol=1e-6)


def test_renaming_genes_permutes_the_output():
    conv = GeneGraphConv(1, 1, num_genes=120).double()
    randomize(conv)
    x = make_cells("counts", 3, 120)[..., None]
    order = torch.randperm(120)
    renamed = copy.deepcopy(conv)
    for name, parameter in renamed.named_parameters():
        if name.startswith("gene_"):
            parameter.data = parameter.data[order]
    torch.testing.assert_close(renamed(x[:, order]), conv(x)[:, order], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("num_genes", [5, 40])
def test_gradient_of_gene_aware_attention(num_genes):
    x = make_cells("counts", 2, num_genes, seed=4)
    s, y = torch.randn_like(x), 0.5 * x
    u = torch.randn_like(x)
    parts = [part.requires_grad_() for part in (s, x, y, u)]
    assert torch.autograd.gradcheck(lambda *args: gene_aware_attention(*args, 1e-11), parts)


@pytest.mark.parametrize("kind", ["counts", "continuous", "signed", "zero", "constant"])
@pytest.mark.parametrize("num_genes", [1, 2, 511, 512, 513, 514, 3000])
def test_distinct_values_are_found_whether_few_or_many(kind, num_genes):
    x = make_cells(kind, 1, num_genes)[0].numpy()
    x[num_genes // 2] = -3.0
    values, counts, genes, which, zero = _distinct(x)
    expected, how_often = np.unique(x, return_counts=True)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(counts, how_often)
    assert sorted(genes) == np.flatnonzero(x).tolist()
    np.testing.assert_array_equal(values[which], x[genes])
    assert (zero >= 0) == (x == 0).any()
    assert zero < 0 or values[zero] == 0
