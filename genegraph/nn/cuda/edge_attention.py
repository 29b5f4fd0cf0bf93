r"""Attention over each gene's graph neighbours on CUDA, in Triton.

The same function as :mod:`genegraph.nn.edge_kernels`.  Forward, a program takes one gene and a
strip of cells, and goes through the gene's edges once, with running maximum and sums; kept are only
the mean and the logarithm of the sum of weights, for each gene and cell.  Backward, the program of
a gene goes through the edges it hears, for its slope, and through those that it is heard by, for
its key, so that no two programs add to one number: the same bits every time.

Logits are in float64, whose digits hold at steep slopes too; exponentials and sums are in the type
of the features.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch_geometric import EdgeIndex

EDGES, WIDTH, WARPS = 4, 64, 1
"""Edges fetched at a time, cells of a strip, and groups of 32 threads of a program."""

NUM_CONSTANTS = tl.constexpr(5)
"""Gradients that are added up over cells: of a, c, p and u of each gene, and its share of k's."""


@triton.jit
def _slope(genes, i, x):
    return tl.load(genes + 4 * i).to(tl.float64) * x + tl.load(genes + 4 * i + 1).to(tl.float64)


@triton.jit
def _forward(
    rowptr, col, genes, curvature, x, out, log_total,
    width, EDGES: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    dtype: tl.constexpr = out.dtype.element_ty
    i = tl.program_id(0).to(tl.int64)
    cells = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    inside = cells < width
    slope = _slope(genes, i, tl.load(x + i * width + cells, mask=inside, other=0.0))
    k = tl.load(curvature).to(tl.float64)
    first, last = tl.load(rowptr + i), tl.load(rowptr + i + 1)
    top = tl.full((WIDTH,), float("-inf"), tl.float64)
    total = tl.zeros((WIDTH,), dtype=dtype)
    of_x = tl.zeros((WIDTH,), dtype=dtype)
    for start in range(first, last, EDGES):
        edge = start + tl.arange(0, EDGES)
        here = edge < last
        j = tl.load(col + edge, mask=here, other=0)
        sent = tl.load(
            x + j[:, None] * width + cells[None, :],
            mask=here[:, None] & inside[None, :],
            other=0.0,
        )
        y = tl.load(genes + 4 * j + 2).to(tl.float64)[:, None] * sent
        u = tl.load(genes + 4 * j + 3).to(tl.float64)[:, None]
        logit = slope[None, :] * y + (u - k * y * y)
        logit = tl.where(here[:, None], logit, float("-inf"))
        higher = tl.maximum(top, tl.max(logit, axis=0))
        weight = tl.exp((logit - higher[None, :]).to(dtype))
        before = tl.exp((top - higher).to(dtype))
        total = total * before + tl.sum(weight, axis=0)
        of_x = of_x * before + tl.sum(weight * sent, axis=0)
        top = higher
    none = first == last
    mean = tl.where(none, 0.0, of_x / tl.where(none, 1.0, total))
    tl.store(out + i * width + cells, mean, mask=inside)
    tl.store(log_total + i * width + cells, top + tl.log(total.to(tl.float64)), mask=inside)


@triton.jit
def _backward(
    rowptr, col, colptr, row, genes, curvature, x, out,
    log_total, g, g_gene, g_cell, x_grad, constants, width,
    X_TOO: tl.constexpr, KEYS_TOO: tl.constexpr, EDGES: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    dtype: tl.constexpr = out.dtype.element_ty
    this = tl.program_id(0).to(tl.int64)
    cells = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    inside = cells < width
    x_this = tl.load(x + this * width + cells, mask=inside, other=0.0)
    key = tl.load(genes + 4 * this + 2).to(tl.float64)
    y_this = key * x_this
    k = tl.load(curvature).to(tl.float64)
    own_weight = tl.load(genes + 4 * this + 3).to(tl.float64) - k * y_this * y_this

    # As a gene that hears others: its slope.
    slope = _slope(genes, this, x_this)
    mean = tl.load(out + this * width + cells, mask=inside, other=0.0)
    log_z = tl.load(log_total + this * width + cells, mask=inside, other=0.0)
    upstream = tl.load(g + this * g_gene + cells * g_cell, mask=inside, other=0.0)
    of_slope = tl.zeros((WIDTH,), dtype=dtype)
    left = tl.zeros((WIDTH,), dtype=dtype)  # what rounding the mean leaves of the sum of deviations
    of_y = tl.zeros((WIDTH,), dtype=dtype)
    last = tl.load(rowptr + this + 1)
    for start in range(tl.load(rowptr + this), last, EDGES):
        edge = start + tl.arange(0, EDGES)
        both = (edge < last)[:, None] & inside[None, :]
        j = tl.load(col + edge, mask=edge < last, other=0)
        sent = tl.load(x + j[:, None] * width + cells[None, :], mask=both, other=0.0)
        y = tl.load(genes + 4 * j + 2).to(tl.float64)[:, None] * sent
        u = tl.load(genes + 4 * j + 3).to(tl.float64)[:, None]
        logit = slope[None, :] * y + (u - k * y * y) - log_z[None, :]
        alpha = tl.where(both, tl.exp(logit.to(dtype)), 0.0)
        deviation = alpha * (sent - mean[None, :])
        of_slope += tl.sum(deviation * y.to(dtype), axis=0)
        left += tl.sum(deviation, axis=0)
        of_y += tl.sum(alpha * y.to(dtype), axis=0)
    of_slope = (of_slope - left * of_y) * upstream

    # As a gene that others hear: its key, its weight and what it sends.
    of_x = of_slope * tl.load(genes + 4 * this)
    if X_TOO or KEYS_TOO:
        pulls = tl.zeros((WIDTH,), dtype=dtype)
        of_y = tl.zeros((WIDTH,), dtype=dtype)  # from here on, the gradient of its key
        steep = (2 * k * y_this).to(dtype)
        last = tl.load(colptr + this + 1)
        for start in range(tl.load(colptr + this), last, EDGES):
            edge = start + tl.arange(0, EDGES)
            both = (edge < last)[:, None] & inside[None, :]
            i = tl.load(row + edge, mask=edge < last, other=0)[:, None]
            at = i * width + cells[None, :]
            slopes = _slope(genes, i, tl.load(x + at, mask=both, other=0.0))
            log_zs = tl.load(log_total + at, mask=both, other=0.0)
            means = tl.load(out + at, mask=both, other=0.0)
            gs = tl.load(g + i * g_gene + cells[None, :] * g_cell, mask=both, other=0.0)
            logit = slopes * y_this[None, :] + own_weight[None, :] - log_zs
            p = tl.where(both, gs * tl.exp(logit.to(dtype)), 0.0)
            pull = p * (x_this[None, :] - means)
            of_x += tl.sum(p, axis=0)
            of_y += tl.sum(pull * (slopes.to(dtype) - steep[None, :]), axis=0)
            pulls += tl.sum(pull, axis=0)
        of_x += of_y * key.to(dtype)
        if KEYS_TOO:
            to = constants + (tl.program_id(1) * tl.num_programs(0) + this) * NUM_CONSTANTS
            of_y64, pulls64 = of_y.to(tl.float64), pulls.to(tl.float64)
            tl.store(to + 2, tl.sum(tl.where(inside, of_y64 * x_this, 0.0), axis=0))
            tl.store(to + 3, tl.sum(tl.where(inside, pulls64, 0.0), axis=0))
            tl.store(to + 4, -tl.sum(tl.where(inside, pulls64 * y_this * y_this, 0.0), axis=0))
    if X_TOO:
        tl.store(x_grad + this * width + cells, of_x, mask=inside)
    to = constants + (tl.program_id(1) * tl.num_programs(0) + this) * NUM_CONSTANTS
    of_slope64 = tl.where(inside, of_slope.to(tl.float64), 0.0)
    tl.store(to, tl.sum(of_slope64 * x_this, axis=0))
    tl.store(to + 1, tl.sum(of_slope64, axis=0))


class _EdgeAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, edge_index: EdgeIndex, x: Tensor, genes: Tensor, k: Tensor, keys_too: bool
    ) -> Tensor:
        x = x.t().contiguous()  # genes outermost
        (rowptr, col), _ = edge_index.get_csc()
        out, width = torch.empty_like(x), x.size(1)
        log_total = torch.empty_like(x, dtype=torch.float64)
        grid = (len(x), triton.cdiv(width, WIDTH))
        if out.numel():
            _forward[grid](
                rowptr, col, genes, k, x, out, log_total, width, EDGES, WIDTH, num_warps=WARPS
            )
        ctx.save_for_backward(x, genes, k, out, log_total)
        ctx.edge_index, ctx.keys_too = edge_index, keys_too
        return out.t()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, genes, k, out, log_total = ctx.saved_tensors
        x_too = ctx.needs_input_grad[1]  # not where x is data
        (rowptr, col), _ = ctx.edge_index.get_csc()
        (colptr, row), _ = ctx.edge_index.get_csr()
        x_grad = torch.empty_like(x) if x_too else x
        num_strips = triton.cdiv(x.size(1), WIDTH)
        constants = x.new_zeros((num_strips, len(x), NUM_CONSTANTS.value), dtype=torch.float64)
        if x.numel():
            _backward[(len(x), num_strips)](
                rowptr, col, colptr, row, genes, k, x, out, log_total, grad, grad.stride(1),
                grad.stride(0), x_grad, constants, x.size(1), x_too, ctx.keys_too, EDGES, WIDTH,
                num_warps=WARPS,
            )  # fmt: skip
        of_genes = constants.sum(0)
        genes_grad, k_grad = of_genes[:, :4].to(genes.dtype), of_genes[:, 4].sum().to(k.dtype)
        return None, x_grad.t() if x_too else None, genes_grad, k_grad, None


def edge_attention(
    edge_index: EdgeIndex, x: Tensor, genes: Tensor, curvature: Tensor, keys_too: bool
) -> Tensor:
    r"""Returns :math:`o_i = \sum_j \mathrm{softmax}_j(s_i y_j + u_j - k y_j^2)\, x_j`.

    Args:
        edge_index: Sorted by target, best with a filled cache.
        x: One feature per gene, ``[num_cells, num_genes]``, best a view of gene-major storage.
        genes: :math:`a, c, p, u` of each gene, ``[num_genes, 4]``, with
            :math:`s_i = a_i x_i + c_i` and :math:`y_j = p_j x_j`.
        curvature: :math:`k`, one number.
        keys_too: Whether p, u or k want a gradient.
    """
    out: Tensor = _EdgeAttention.apply(edge_index, x, genes.contiguous(), curvature, keys_too)  # type: ignore[no-untyped-call]
    return out
