"""The layer's mathematics written down a second time, for the tests to compare with."""

import numpy as np
import torch


def count_cells(num_cells, num_genes, seed=0, density=0.15):
    """Cells like those of a sequencer: mostly zero, few distinct values."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(0.3, 8.0, (num_cells, num_genes)))
    counts = counts * (rng.random((num_cells, num_genes)) < density)
    depth = np.maximum(counts.sum(1, keepdims=True), 1)
    return np.log1p(counts / depth * 1e4)


def make_cells(kind, num_cells, num_genes, seed=0):
    rng = np.random.default_rng(seed)
    shape = (num_cells, num_genes)
    cells = {
        "counts": lambda: count_cells(*shape, seed),
        "continuous": lambda: rng.gamma(2.0, 1.0, shape),
        "signed": lambda: rng.normal(size=shape),
        "zero": lambda: np.zeros(shape),
        "constant": lambda: np.full(shape, 1.7),
    }[kind]()
    return torch.from_numpy(cells)


def full_attention_by_hand(x, a, c, g, rows_at_once=32):
    """Softmax attention of one cell with logits (a x_i + c) x_j, from the definition.

    Returns the output and what the upstream gradient ``g`` becomes for a, c and x.  The matrix
    is built in blocks of rows, so that 20,499 genes fit into memory.
    """
    slopes = a * x + c
    out, grad_slope, grad_x = np.empty_like(x), np.empty_like(x), np.zeros_like(x)
    for first in range(0, len(x), rows_at_once):
        rows = slice(first, first + rows_at_once)
        s = slopes[rows, None]
        top = np.where(s >= 0, x.max(), x.min())
        alpha = s * (x - top)
        np.exp(alpha, out=alpha)
        alpha /= alpha.sum(1, keepdims=True)
        mean = alpha @ x
        away = x - mean[:, None]
        out[rows] = mean
        grad_slope[rows] = g[rows] * (alpha * away * away).sum(1)
        alpha *= 1 + s * away
        grad_x += g[rows] @ alpha
    return out, grad_slope @ x, grad_slope.sum(), grad_x + a * grad_slope


def dense_matrix(edge_index, edge_weight, num_genes):
    matrix = torch.zeros(num_genes, num_genes, dtype=edge_weight.dtype)
    edge_index = edge_index.as_subclass(torch.Tensor)
    return matrix.index_put((edge_index[1], edge_index[0]), edge_weight, accumulate=True)


def set_slope_offset(conv, a, c):
    """Scales theta so that the slope of gene i is ``a x_i + c``."""
    with torch.no_grad():
        key = conv.phi.weight[:, 0] / conv.attention_channels**0.5
        conv.theta.weight.mul_(a / (conv.theta.weight[:, 0] @ key))
        conv.theta.bias.mul_(c / (conv.theta.bias @ key))


def relative_error(ours, theirs):
    """Largest error in units of the largest reference value."""
    ours, theirs = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    assert ours.shape == theirs.shape
    assert np.isfinite(ours).all()
    error, size = np.abs(ours - theirs).max(initial=0), np.abs(theirs).max(initial=0)
    return error if size == 0 else error / size


def gradients_of(module):
    """Every parameter's gradient as one vector; None counts as zero."""
    return torch.cat(
        [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in module.parameters()]
    )
