"""The layer's mathematics written down a second time, for the tests to compare with."""

import numpy as np
import torch
import torch.nn.functional as F


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


def full_attention_by_hand(x, a, c, g, k=0.0, rows_at_once=32):
    """Softmax attention of one cell with logits (a x_i + c) x_j - k x_j^2, from the definition.

    Returns the output and what the upstream gradient ``g`` becomes for a, c, x and k.  The matrix
    is built in blocks of rows, so that 20,499 genes fit into memory.
    """
    slopes = a * x + c
    out, grad_slope, grad_x = np.empty_like(x), np.empty_like(x), np.zeros_like(x)
    grad_k = 0.0
    for first in range(0, len(x), rows_at_once):
        rows = slice(first, first + rows_at_once)
        s = slopes[rows, None]
        top = np.where(s >= 0, x.max(), x.min())
        alpha = (s - k * (x + top)) * (x - top)  # differences at steep slopes are exact
        alpha -= alpha.max(1, keepdims=True)
        np.exp(alpha, out=alpha)
        alpha /= alpha.sum(1, keepdims=True)
        mean = alpha @ x
        away = x - mean[:, None]
        out[rows] = mean
        grad_slope[rows] = g[rows] * (alpha * away * away).sum(1)
        grad_k -= g[rows] @ (alpha * away * (x * x)).sum(1)
        alpha *= 1 + (s - 2 * k * x) * away
        grad_x += g[rows] @ alpha
    return out, grad_slope @ x, grad_slope.sum(), grad_x + a * grad_slope, grad_k


def dense_matrix(edge_index, edge_weight, num_genes):
    matrix = torch.zeros(num_genes, num_genes, dtype=edge_weight.dtype)
    edge_index = edge_index.as_subclass(torch.Tensor)
    return matrix.index_put((edge_index[1], edge_index[0]), edge_weight, accumulate=True)


def pair_logits(function, x, theta, phi, att=None):
    """f(x_i, x_j) of every pair, ``[..., num_genes, num_genes]``, as the docstring has it."""
    if function == "dot":
        return (x[..., :, None, :] * x[..., None, :, :]).sum(-1)
    of_i, of_j = theta(x)[..., :, None, :], phi(x)[..., None, :, :]
    if function == "embedded_dot":
        return (of_i * of_j).sum(-1) / of_i.size(-1) ** 0.5
    if function == "gaussian":
        return -(of_i - of_j).square().sum(-1) / 2
    return F.leaky_relu(of_i + of_j, 0.2) @ att


def gene_aware_logits(conv, x):
    """s_i y_j + u_j - k y_j^2 of every pair of genes with parameters of their own."""
    a, c, k = 1.0, 0.0, 0.0
    if conv.attention_function != "dot":
        w, v = conv.theta.weight[:, 0], conv.phi.weight[:, 0]
        scale = conv.attention_channels**0.5
        if conv.attention_function == "embedded_dot":
            a, c = (w * v).sum() / scale, (conv.theta.bias * v).sum() / scale
        else:
            a, c = (w * v).sum(), ((conv.theta.bias - conv.phi.bias) * v).sum()
            k = v.square().sum() / 2
    s = conv.gene_slope * a * x + c + conv.gene_offset
    y = conv.gene_key * x
    return s[..., :, None] * y[..., None, :] + (conv.gene_log_weight - k * y**2)[..., None, :]


def attention_by_hand(conv, x, edge_index=None):
    """The learned graph as a whole matrix for each cell."""
    function = conv.attention_function
    if conv.attention == "shared":
        graph = conv.shared_graph
        logits = pair_logits(function, graph.embedding, graph.theta, graph.phi)
        others = logits.detach().clone().fill_diagonal_(-torch.inf)
        last = others.sort(dim=1, descending=True).values[:, graph.neighbors.size(1) - 1, None]
        return logits.masked_fill(others < last, -torch.inf).softmax(-1)
    if conv.gene_aware:
        logits = gene_aware_logits(conv, x[..., 0])
    else:
        logits = pair_logits(function, x, conv.theta, conv.phi, conv.att)
    if conv.attention == "full":
        return logits.softmax(-1)
    times = dense_matrix(edge_index, torch.ones(edge_index.size(1), dtype=x.dtype), x.size(-2))
    hears = (times.sum(1, keepdim=True) > 0).to(x.dtype)
    return (logits + (times + 1 - hears).log()).softmax(-1) * hears


def layer_by_hand(conv, x, edge_index=None, edge_weight=None):
    """The whole layer from its definition, differentiable."""
    matrix = attention_by_hand(conv, x, edge_index)
    if edge_index is not None:
        prior = dense_matrix(edge_index, edge_weight, x.size(-2))
        gate = conv.gate_logit.sigmoid() if conv.fusion == "gate" else None
        matrix = matrix + prior if gate is None else gate * matrix + (1 - gate) * prior
    return matrix @ x @ conv.weight


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
