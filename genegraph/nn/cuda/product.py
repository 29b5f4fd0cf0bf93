"""The product along edges on CUDA, in Triton; see :mod:`genegraph.nn.propagation`.

A program takes one gene and a strip of the cells, and fetches the rows of several of its neighbours
at a time, so that memory always has something to do.  Sums are in the features' own type.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

EDGES, WIDTH, WARPS = 16, 64, 1
"""Neighbours fetched at a time, cells of a strip, and groups of 32 threads of a program."""


@triton.jit
def _product(
    rowptr, col, place, weight, x, out, width,
    HAS_PLACE: tl.constexpr, EDGES: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    cells = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    inside = cells < width
    last = tl.load(rowptr + row + 1)
    total = tl.zeros((WIDTH,), dtype=out.dtype.element_ty)
    for start in range(tl.load(rowptr + row), last, EDGES):
        edge = start + tl.arange(0, EDGES)
        here = edge < last
        source = tl.load(col + edge, mask=here, other=0)
        if HAS_PLACE:
            edge = tl.load(place + edge, mask=here, other=0)
        w = tl.load(weight + edge, mask=here, other=0.0)
        at = source[:, None] * width + cells[None, :]
        sent = tl.load(x + at, mask=here[:, None] & inside[None, :], other=0.0)
        total += tl.sum(w[:, None] * sent, axis=0)
    tl.store(out + row * width + cells, total, mask=inside)


@triton.jit
def _sampled_product(
    target, source, g, x, out, num_edges, width,
    EDGES: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    edge = tl.program_id(0) * EDGES + tl.arange(0, EDGES)
    here = edge < num_edges
    i = tl.load(target + edge, mask=here, other=0)[:, None] * width
    j = tl.load(source + edge, mask=here, other=0)[:, None] * width
    total = tl.zeros((EDGES,), dtype=out.dtype.element_ty)
    for first in range(0, width, WIDTH):
        cells = first + tl.arange(0, WIDTH)[None, :]
        both = here[:, None] & (cells < width)
        one = tl.load(g + i + cells, mask=both, other=0.0)
        total += tl.sum(one * tl.load(x + j + cells, mask=both, other=0.0), axis=1)
    tl.store(out + edge, total, mask=here)


def product(rowptr: Tensor, col: Tensor, place: Tensor | None, weight: Tensor, x: Tensor) -> Tensor:
    """Returns A x for a matrix in CSR form.

    Args:
        rowptr: Where each row's entries begin, ``[num_genes + 1]``.
        col: Column of each entry, ``[num_edges]``.
        place: Where each entry's weight stands in ``weight``; None: at its own place.
        weight: ``[num_edges]``.
        x: ``[num_genes, width]``, of the same type.
    """
    x, width = x.contiguous(), x.size(1)
    out = torch.empty_like(x)
    grid = (len(x), triton.cdiv(width, WIDTH))
    if out.numel():
        has_place = place is not None
        _product[grid](
            rowptr, col, place, weight.contiguous(), x, out, width, has_place, EDGES, WIDTH,
            num_warps=WARPS,
        )  # fmt: skip
    return out


def sampled_product(target: Tensor, source: Tensor, g: Tensor, x: Tensor) -> Tensor:
    """Returns g_i . x_j of every edge from j to i, ``[num_edges]``."""
    g, x, num_edges = g.contiguous(), x.contiguous(), len(source)
    out = x.new_zeros(num_edges)
    if out.numel():
        _sampled_product[(triton.cdiv(num_edges, EDGES),)](
            target, source, g, x, out, num_edges, x.size(1), EDGES, WIDTH, num_warps=WARPS
        )
    return out
