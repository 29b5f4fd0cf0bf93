r"""The tilted mean of :mod:`genegraph.nn.tilted` on CUDA, in Triton.

Four steps, each of one launch for the whole batch:

1. *Collect* the genes that are not zero as keys, segment by segment of the genes; the others are
   one key, whose weight is the sum of theirs.
2. *Nodes*: a cell's slopes are cut into *pieces*, each with one slope in every lane, at which mean
   and covariance are summed over all keys.  Where few panels of :math:`h R \le 2` are enough, a
   piece is such a panel and its slopes are the Chebyshev nodes.  Where slopes are so steep that
   panels would outnumber the genes, a piece is simply the next few genes, and nothing is
   approximated.
3. *Interpolate* each gene from its panel, or copy it.
4. Backward, where keys want a gradient: what genes send to each node, and each node to the keys.

Panels or genes is decided cell by cell, on the device, from the cell's own values: nothing waits
for the CPU, and a result never depends on the other cells of a batch.  All is computed in the type
of the features, from differences to the key that is heaviest at each slope, so that digits hold at
steep slopes too.  Every number is written by one program: the same bits every time.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from genegraph.nn.chebyshev import HALF_WIDTH, chebyshev, num_nodes
from genegraph.nn.cuda import tilted_kernels as kernels

SEGMENT = 4096
"""Genes that are collected together."""

KEYS, WARPS = 256, 8
"""Keys that are summed over at a time, and groups of 32 threads that do so."""

SPLITS = 8
"""Programs that share the pieces of a cell."""

GENES = 1024
"""Genes that are interpolated together."""


@cache
def _padded(tolerance: float, device: torch.device) -> tuple[Tensor, Tensor, int]:
    """Chebyshev nodes, the matrix from values to coefficients, and their size, a power of two."""
    num = num_nodes(tolerance)
    size: int = triton.next_power_of_2(num)
    nodes, matrix = np.zeros(size), np.zeros((size, size))  # the others count nothing
    nodes[:num], matrix[:num, :num] = chebyshev(num)
    return torch.from_numpy(nodes).to(device), torch.from_numpy(matrix).to(device), size


class _Run:
    """One batch on its way: what the steps share, and what backward needs of it."""

    def __init__(self, x: Tensor, tolerance: float, keep: bool) -> None:
        (num_cells, num_genes), new = x.shape, x.new_empty
        self.keep, self.num_cells, self.num_genes = keep, num_cells, num_genes
        self.nodes, self.matrix, self.size = _padded(tolerance, x.device)
        self.num_segments: int = triton.cdiv(num_genes, SEGMENT)
        self.num_states: int = triton.cdiv(num_genes, self.size) * self.size
        # Of each cell: whether its pieces are panels, and how many; lowest slope and half-width.
        self.pieces = torch.empty(num_cells, 2, dtype=torch.int32, device=x.device)
        self.slopes = torch.empty(num_cells, 2, dtype=torch.float64, device=x.device)
        self.states = new(num_cells if keep else 0, self.num_states, kernels.NUM_STATES.value)

    def forward(self, s: Tensor, x: Tensor, y: Tensor, u: Tensor, *numbers: Tensor) -> list[Tensor]:
        """Returns the mean and its derivative by the slope; ``numbers`` a, c and k come first."""
        new, plane = x.new_empty, self.num_cells * self.num_segments * SEGMENT
        keys, statistics = new(3, plane), new(self.num_cells, self.num_segments, 6)
        counts = torch.empty_like(statistics[..., 0], dtype=torch.int32)
        by_segment = (self.num_cells, self.num_segments)
        kernels.collect[by_segment](
            s, x, y, u, *u.stride(), *(numbers or (x, x, x)), keys, counts, statistics,
            self.num_genes, plane, bool(numbers), SEGMENT, num_warps=WARPS,
        )  # fmt: skip
        values = new(self.num_cells, self.num_states, 2)
        kernels.nodes[(self.num_cells, SPLITS)](
            s, keys, counts, statistics, self.nodes, self.matrix, values, self.states,
            self.pieces, self.slopes, self.num_genes, self.num_states, plane, HALF_WIDTH,
            self.num_segments, self.keep, self.size, KEYS, SEGMENT,
            triton.next_power_of_2(self.num_segments), num_warps=WARPS,
        )  # fmt: skip
        out, cov = torch.empty_like(x), torch.empty_like(x)
        kernels.interpolate[(self.num_cells, triton.cdiv(self.num_genes, GENES))](
            s, values, self.pieces, self.slopes, out, cov, self.num_genes, self.num_states,
            self.size, GENES, num_warps=4,
        )  # fmt: skip
        return [out, cov]

    def of_keys(
        self, s: Tensor, x: Tensor, y: Tensor, u: Tensor, grad: Tensor, *curvature: Tensor
    ) -> Tensor:
        """Returns what x, y and u receive of the genes' gradients, one after another."""
        kernels.shares[(self.num_cells, SPLITS)](
            s, grad.contiguous(), self.pieces, self.slopes, self.matrix, self.states,
            self.num_genes, self.num_states, self.size, GENES, num_warps=4,
        )  # fmt: skip
        found = x.new_empty(3, *x.shape)
        kernels.of_keys[(self.num_cells, triton.cdiv(self.num_genes, KEYS))](
            x, y, u, *u.stride(), *(curvature or (x,)), self.pieces, self.states, *found,
            self.num_genes, self.num_states, bool(curvature), self.size, KEYS, num_warps=WARPS,
        )  # fmt: skip
        return found


class _TiltedAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, s: Tensor, x: Tensor, y: Tensor, u: Tensor, tolerance: float) -> Tensor:
        s, x, y = (part.contiguous() for part in (s, x, y))
        run = ctx.run = _Run(x, tolerance, any(ctx.needs_input_grad[1:4]))
        out, cov = run.forward(s, x, y, u)
        ctx.save_for_backward(s, x, y, u, cov)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        *parts, cov = ctx.saved_tensors
        of_keys = ctx.run.of_keys(*parts, grad) if ctx.run.keep else (None, None, None)
        return grad * cov, *of_keys, None


class _ScalarAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, c: Tensor, k: Tensor, tolerance: float) -> Tensor:
        x, s = x.contiguous(), torch.empty_like(x, memory_format=torch.contiguous_format)
        keep = ctx.needs_input_grad[0] or ctx.needs_input_grad[3]
        run = ctx.run = _Run(x, tolerance, keep)
        out, cov = run.forward(s, x, x, x, a, c, k)
        ctx.save_for_backward(s, x, a, k, cov)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        s, x, a, k, cov = ctx.saved_tensors
        run = ctx.run
        sums = run.slopes.new_empty(run.num_cells, run.num_segments, 2)
        kernels.of_slopes[(run.num_cells, run.num_segments)](
            x, grad, cov, *grad.stride(), sums, run.num_genes, SEGMENT, num_warps=WARPS
        )
        of_a, of_c = sums.sum((0, 1)).to(x.dtype)
        of_x = of_k = None
        if run.keep:
            as_x, as_y, of_u = run.of_keys(s, x, x, x, grad, k)
            of_k = -(of_u.double() * x.double().square()).sum().to(x.dtype)
            of_x = as_x + as_y - 2 * k * x * of_u + a * (grad * cov)
        return of_x, of_a, of_c, of_k, None


@torch.compiler.disable
def tilted_attention(s: Tensor, x: Tensor, y: Tensor, u: Tensor, tolerance: float) -> Tensor:
    r"""Returns :math:`\sum_j \mathrm{softmax}_j(s_i y_j + u_j)\, x_j` on CUDA.

    In linear time wherever slopes are not steep, else exactly in quadratic time; memory is linear.

    Args:
        s: Slope of each gene, ``[num_cells, num_genes]``, float32 or float64.
        x: What is averaged, same shape.
        y: Key of each gene, same shape.
        u: Log-weight of each gene, same shape; may be expanded.
        tolerance: Largest error, relative to the range of the cell's values.
    """
    if x.numel() == 0:
        return torch.zeros_like(x)
    out: Tensor = _TiltedAttention.apply(s, x, y, u, tolerance)  # type: ignore[no-untyped-call]
    return out


@torch.compiler.disable
def scalar_attention(
    x: Tensor, slope: Tensor, offset: Tensor, curvature: Tensor, tolerance: float
) -> Tensor:
    r"""Returns :math:`\sum_j \mathrm{softmax}_j((a x_i + c) x_j - k x_j^2)\, x_j` on CUDA.

    Args:
        x: One feature per gene, ``[num_cells, num_genes]``, float32 or float64.
        slope: :math:`a`, a 0-d tensor.
        offset: :math:`c`, a 0-d tensor.
        curvature: :math:`k`, a 0-d tensor.
        tolerance: Largest error, relative to the range of the cell's values.
    """
    if x.numel() == 0:
        return torch.zeros_like(x)
    numbers = (part.to(x.dtype) for part in (slope, offset, curvature))
    out: Tensor = _ScalarAttention.apply(x, *numbers, tolerance)  # type: ignore[no-untyped-call]
    return out
