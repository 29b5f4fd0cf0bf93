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
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from genegraph.nn.chebyshev import HALF_WIDTH, chebyshev, num_nodes

SEGMENT = 4096
"""Genes that are collected together."""

KEYS, WARPS = 256, 8
"""Keys that are summed over at a time, and groups of 32 threads that do so."""

SPLITS = 8
"""Programs that share the pieces of a cell."""

GENES = 1024
"""Genes that are interpolated together."""

NUM_STATISTICS = tl.constexpr(6)
"""Of a segment: lowest and highest slope and key; log-weight and number of those at zero."""

NUM_STATES = tl.constexpr(7)
"""Of a slope: itself; x, y, u of the heaviest key; mean of x less that; sum of weights; share."""


@triton.jit
def _collect(
    s, x, y, u, u_cell, u_gene, a, c, k, keys, counts, statistics, num_genes, plane,
    SCALAR: tl.constexpr, SEGMENT: tl.constexpr,
):  # fmt: skip
    dtype: tl.constexpr = keys.dtype.element_ty
    cell, segment = tl.program_id(0).to(tl.int64), tl.program_id(1)
    num_segments = tl.num_programs(1)
    gene = segment * SEGMENT + tl.arange(0, SEGMENT)
    here = gene < num_genes
    at = cell * num_genes + gene
    x_ = tl.load(x + at, mask=here, other=0.0)
    if SCALAR:
        y_ = x_
        u_ = tl.where(here, -tl.load(k) * x_ * x_, float("-inf"))
        s_ = tl.load(a) * x_ + tl.load(c)
        tl.store(s + at, s_, mask=here)
    else:
        y_ = tl.load(y + at, mask=here, other=0.0)
        u_ = tl.load(u + cell * u_cell + gene * u_gene, mask=here, other=float("-inf"))
        s_ = tl.load(s + at, mask=here, other=0.0)
    is_key = tl.where(x_ != 0, 1, tl.where(y_ != 0, 1, 0))  # a NaN is one
    to = keys + cell * num_segments * SEGMENT + segment * SEGMENT + tl.cumsum(is_key, axis=0) - 1
    tl.store(to, x_, mask=is_key > 0)
    tl.store(to + plane, y_, mask=is_key > 0)
    tl.store(to + 2 * plane, u_, mask=is_key > 0)
    tl.store(counts + cell * num_segments + segment, tl.sum(is_key, axis=0))

    u_ = tl.where(is_key > 0, float("-inf"), u_)
    most = tl.max(u_, axis=0)
    weight = tl.sum(tl.exp(u_ - tl.where(most > float("-inf"), most, 0.0)), axis=0)
    low, high = tl.full((), float("inf"), dtype), tl.full((), float("-inf"), dtype)
    to = statistics + (cell * num_segments + segment) * NUM_STATISTICS
    tl.store(to, tl.min(tl.where(here, s_, low), axis=0))
    tl.store(to + 1, tl.max(tl.where(here, s_, high), axis=0))
    tl.store(to + 2, tl.min(tl.where(here, y_, low), axis=0))
    tl.store(to + 3, tl.max(tl.where(here, y_, high), axis=0))
    tl.store(to + 4, most)
    tl.store(to + 5, weight)


@triton.jit
def _plan(
    statistics, cell, num_segments, num_genes, width, NODES: tl.constexpr, SEGMENTS: tl.constexpr
):
    """Whether pieces are panels, how many, lowest slope, half-width; extreme keys; zero's u."""
    dtype: tl.constexpr = statistics.dtype.element_ty
    segment = tl.arange(0, SEGMENTS)
    here = segment < num_segments
    at = statistics + (cell * num_segments + segment) * NUM_STATISTICS
    low = tl.min(tl.load(at, mask=here, other=float("inf")), axis=0)
    high = tl.max(tl.load(at + 1, mask=here, other=float("-inf")), axis=0)
    lowest = tl.min(tl.load(at + 2, mask=here, other=float("inf")), axis=0)
    highest = tl.max(tl.load(at + 3, mask=here, other=float("-inf")), axis=0)
    u = tl.load(at + 4, mask=here, other=float("-inf"))
    most = tl.max(u, axis=0)
    weight = tl.load(at + 5, mask=here, other=0.0) * tl.exp(u - tl.where(most > u, most, u))
    of_zero = most + tl.log(tl.sum(weight, axis=0))
    of_zero = tl.where(most > float("-inf"), of_zero, float("-inf"))
    # A difference of two numbers may be larger than their type can hold.
    wide_low, wide_high = low.to(tl.float64), high.to(tl.float64)
    spread = (wide_high - wide_low) * (highest.to(tl.float64) - lowest.to(tl.float64))
    needed = tl.ceil(spread / (2 * width) - 1e-9)
    few = tl.maximum(needed, 1.0) * NODES * 2 <= num_genes
    is_panels = tl.where(needed >= 0, few.to(tl.int32), 0)  # not so for a NaN
    needed = tl.where(is_panels > 0, tl.maximum(needed, 1.0), 1.0)
    pieces = tl.where(is_panels > 0, needed.to(tl.int32), tl.cdiv(num_genes, NODES))
    half = tl.maximum((wide_high - wide_low) / (2 * needed), 1e-200)
    return is_panels, pieces, wide_low, half, lowest.to(dtype), highest.to(dtype), of_zero


@triton.jit
def _moments(
    slope, lowest, highest, of_zero, keys, counts, plane, num_segments,
    NODES: tl.constexpr, KEYS: tl.constexpr, SEGMENT: tl.constexpr, DTYPE: tl.constexpr,
):  # fmt: skip
    """The heaviest key at each slope; mean of x less its own, covariance, sum of weights."""
    # Measured from an extreme key, differences at steep slopes are exact.
    origin = tl.where(slope >= 0, highest, lowest)
    best = tl.full((NODES, KEYS), float("-inf"), DTYPE)
    of_best = tl.zeros((NODES, KEYS), tl.int32)
    for segment in range(num_segments):
        count = tl.load(counts + segment)
        for first in range(0, count, KEYS):
            key = first + tl.arange(0, KEYS)
            here, key = key < count, segment * SEGMENT + key
            y_ = tl.load(keys + plane + key, mask=here, other=0.0)
            u_ = tl.load(keys + 2 * plane + key, mask=here, other=float("-inf"))
            exponent = slope[:, None] * (y_[None, :] - origin[:, None]) + u_[None, :]
            higher = exponent > best
            best = tl.where(higher, exponent, best)
            of_best = tl.where(higher, key[None, :], of_best)
    most = tl.max(best, axis=1)
    heaviest = tl.max(tl.where(best == most[:, None], of_best, 0), axis=1)
    is_zero = of_zero - slope * origin > most
    is_key = most > float("-inf")
    x_top = tl.load(keys + heaviest, mask=is_key, other=0.0)
    y_top = tl.load(keys + plane + heaviest, mask=is_key, other=0.0)
    u_top = tl.load(keys + 2 * plane + heaviest, mask=is_key, other=0.0)
    x_top, y_top = tl.where(is_zero, 0.0, x_top), tl.where(is_zero, 0.0, y_top)
    u_top = tl.where(is_zero, of_zero, u_top)

    z = tl.zeros((NODES, KEYS), DTYPE)
    zx = tl.zeros((NODES, KEYS), DTYPE)
    zy = tl.zeros((NODES, KEYS), DTYPE)
    zxy = tl.zeros((NODES, KEYS), DTYPE)
    for segment in range(num_segments):
        count = tl.load(counts + segment)
        for first in range(0, count, KEYS):
            key = first + tl.arange(0, KEYS)
            here, key = key < count, segment * SEGMENT + key
            x_ = tl.load(keys + key, mask=here, other=0.0)
            y_ = tl.load(keys + plane + key, mask=here, other=0.0)
            u_ = tl.load(keys + 2 * plane + key, mask=here, other=float("-inf"))
            dx, dy = x_[None, :] - x_top[:, None], y_[None, :] - y_top[:, None]
            weight = tl.exp(slope[:, None] * dy + (u_[None, :] - u_top[:, None]))
            weight_dx = weight * dx
            z += weight
            zx += weight_dx
            zy += weight * dy
            zxy += weight_dx * dy
    weight = tl.exp((of_zero - u_top) - slope * y_top)
    total = tl.sum(z, axis=1) + weight
    mean = (tl.sum(zx, axis=1) - weight * x_top) / total
    of_y = (tl.sum(zy, axis=1) - weight * y_top) / total
    cov = (tl.sum(zxy, axis=1) + weight * x_top * y_top) / total - mean * of_y
    return x_top, y_top, u_top, mean, cov, total


@triton.jit
def _nodes(
    s, keys, counts, statistics, nodes, to_coefficients, values, states, pieces_of, slopes_of,
    num_genes, num_states, plane, width, num_segments,
    KEEP: tl.constexpr, NODES: tl.constexpr, KEYS: tl.constexpr, SEGMENT: tl.constexpr,
    SEGMENTS: tl.constexpr,
):  # fmt: skip
    dtype: tl.constexpr = values.dtype.element_ty
    cell = tl.program_id(0).to(tl.int64)
    kind, pieces, low, half, lowest, highest, of_zero = _plan(
        statistics, cell, num_segments, num_genes, width, NODES, SEGMENTS
    )
    if tl.program_id(1) == 0:
        tl.store(pieces_of + 2 * cell, kind)
        tl.store(pieces_of + 2 * cell + 1, pieces)
        tl.store(slopes_of + 2 * cell, low)
        tl.store(slopes_of + 2 * cell + 1, half)
    s, keys, counts = (
        s + cell * num_genes,
        keys + cell * num_segments * SEGMENT,
        counts + cell * num_segments,
    )
    lane = tl.arange(0, NODES)
    node = tl.load(nodes + lane)
    matrix = tl.load(to_coefficients + lane[:, None] * NODES + lane[None, :]).to(dtype)
    for piece in range(tl.program_id(1), pieces, tl.num_programs(1)):
        mine = piece * NODES + lane
        own = tl.load(s + mine, mask=(mine < num_genes) & (kind == 0), other=0.0)
        slope = tl.where(kind > 0, (low + half * (2 * piece + 1 + node)).to(dtype), own)
        x_top, y_top, u_top, mean, cov, total = _moments(
            slope, lowest, highest, of_zero, keys, counts, plane, num_segments,
            NODES, KEYS, SEGMENT, dtype,
        )  # fmt: skip
        of_x = x_top + mean
        at = cell * num_states + mine
        if KEEP:
            tl.store(states + NUM_STATES * at, slope)
            tl.store(states + NUM_STATES * at + 1, x_top)
            tl.store(states + NUM_STATES * at + 2, y_top)
            tl.store(states + NUM_STATES * at + 3, u_top)
            tl.store(states + NUM_STATES * at + 4, mean)
            tl.store(states + NUM_STATES * at + 5, total)
        if kind > 0:
            of_x = tl.sum(matrix * of_x[None, :], axis=1)
            cov = tl.sum(matrix * cov[None, :], axis=1)
        tl.store(values + 2 * at, of_x)
        tl.store(values + 2 * at + 1, cov)


@triton.jit
def _place(s, low, half, pieces, DTYPE: tl.constexpr):
    """The panel of each slope, and where in it, from -1 to 1; a NaN stays one."""
    s = s.to(tl.float64)
    panel = tl.minimum(tl.maximum(((s - low) / (2 * half)).to(tl.int32), 0), pieces - 1)
    t = (s - (low + (2 * panel + 1) * half)) / half
    return panel, tl.where(t > 1, 1.0, tl.where(t < -1, -1.0, t)).to(DTYPE)


@triton.jit
def _interpolate(
    s, values, pieces_of, slopes_of, out, cov, num_genes, num_states,
    NODES: tl.constexpr, GENES: tl.constexpr,
):  # fmt: skip
    dtype: tl.constexpr = out.dtype.element_ty
    cell = tl.program_id(0).to(tl.int64)
    gene = tl.program_id(1) * GENES + tl.arange(0, GENES)
    here, at = gene < num_genes, cell * num_genes + gene
    values = values + 2 * cell * num_states
    kind, pieces = tl.load(pieces_of + 2 * cell), tl.load(pieces_of + 2 * cell + 1)
    if kind > 0:
        low, half = tl.load(slopes_of + 2 * cell), tl.load(slopes_of + 2 * cell + 1)
        panel, t = _place(tl.load(s + at, mask=here, other=0.0), low, half, pieces, dtype)
        coefficients = values + 2 * NODES * panel
        m0 = tl.zeros((GENES,), dtype)
        m1 = tl.zeros((GENES,), dtype)
        c0 = tl.zeros((GENES,), dtype)
        c1 = tl.zeros((GENES,), dtype)
        for k in tl.static_range(NODES - 1, 0, -1):  # Clenshaw's sums
            m0, m1 = tl.load(coefficients + 2 * k) + 2 * t * m0 - m1, m0
            c0, c1 = tl.load(coefficients + 2 * k + 1) + 2 * t * c0 - c1, c0
        tl.store(out + at, tl.load(coefficients) + t * m0 - m1, mask=here)
        tl.store(cov + at, tl.load(coefficients + 1) + t * c0 - c1, mask=here)
    else:
        tl.store(out + at, tl.load(values + 2 * gene, mask=here), mask=here)
        tl.store(cov + at, tl.load(values + 2 * gene + 1, mask=here), mask=here)


@triton.jit
def _shares(
    s, g, pieces_of, slopes_of, to_coefficients, states, num_genes, num_states,
    NODES: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    """Writes what each node receives of the genes' gradients, over its sum of weights."""
    dtype: tl.constexpr = states.dtype.element_ty
    cell = tl.program_id(0).to(tl.int64)
    s, g = s + cell * num_genes, g + cell * num_genes
    kind, pieces = tl.load(pieces_of + 2 * cell), tl.load(pieces_of + 2 * cell + 1)
    low, half = tl.load(slopes_of + 2 * cell), tl.load(slopes_of + 2 * cell + 1)
    lane = tl.arange(0, NODES)
    for piece in range(tl.program_id(1), pieces, tl.num_programs(1)):
        mine = piece * NODES + lane
        received = tl.load(g + mine, mask=(mine < num_genes) & (kind == 0), other=0.0)
        if kind > 0:
            coefficients = tl.zeros((NODES,), dtype)
            for first in range(0, num_genes, KEYS):
                gene = first + tl.arange(0, KEYS)
                here = gene < num_genes
                slope = tl.load(s + gene, mask=here, other=0.0)
                panel, t = _place(slope, low, half, pieces, dtype)
                inside = here & (panel == piece)
                if tl.sum(inside.to(tl.int32), axis=0) > 0:
                    now = tl.load(g + gene, mask=inside, other=0.0)
                    after = now * t
                    for k in tl.static_range(NODES):  # g T_k(t), by the recursion of T
                        coefficients += tl.where(lane == k, tl.sum(now, axis=0), 0.0)
                        now, after = after, 2 * t * after - now
            matrix = tl.load(to_coefficients + lane[:, None] * NODES + lane[None, :]).to(dtype)
            received = tl.sum(matrix * coefficients[:, None], axis=0)
        at = NUM_STATES * (cell * num_states + mine)
        tl.store(states + at + 6, received / tl.load(states + at + 5))


@triton.jit
def _of_keys(
    x, y, u, u_cell, u_gene, k, pieces_of, states, of_x, of_y, of_u, num_genes, num_states,
    SCALAR: tl.constexpr, NODES: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    dtype: tl.constexpr = of_x.dtype.element_ty
    cell = tl.program_id(0).to(tl.int64)
    key = tl.program_id(1) * KEYS + tl.arange(0, KEYS)
    here, at = key < num_genes, cell * num_genes + key
    x_ = tl.load(x + at, mask=here, other=0.0)
    if SCALAR:
        y_, u_ = x_, -tl.load(k) * x_ * x_
    else:
        y_ = tl.load(y + at, mask=here, other=0.0)
        u_ = tl.load(u + cell * u_cell + key * u_gene, mask=here, other=0.0)
    to_x = tl.zeros((KEYS,), dtype)
    to_y = tl.zeros((KEYS,), dtype)
    to_u = tl.zeros((KEYS,), dtype)
    lane = tl.arange(0, NODES)
    for piece in range(tl.load(pieces_of + 2 * cell + 1)):
        state = states + NUM_STATES * (cell * num_states + piece * NODES + lane)
        slope, x_top, y_top = tl.load(state), tl.load(state + 1), tl.load(state + 2)
        u_top, mean, share = tl.load(state + 3), tl.load(state + 4), tl.load(state + 6)
        dy = y_[None, :] - y_top[:, None]
        weight = tl.exp(slope[:, None] * dy + (u_[None, :] - u_top[:, None]))
        p = share[:, None] * weight
        pull = p * ((x_[None, :] - x_top[:, None]) - mean[:, None])
        to_x += tl.sum(p, axis=0)
        to_y += tl.sum(pull * slope[:, None], axis=0)
        to_u += tl.sum(pull, axis=0)
    tl.store(of_x + at, to_x, mask=here)
    tl.store(of_y + at, to_y, mask=here)
    tl.store(of_u + at, to_u, mask=here)


@cache
def _padded(tolerance: float, device: torch.device) -> tuple[Tensor, Tensor, int]:
    """Chebyshev nodes, the matrix from values to coefficients, and their size, a power of two."""
    num = num_nodes(tolerance)
    size: int = triton.next_power_of_2(num)
    nodes, matrix = np.zeros(size), np.zeros((size, size))  # the others count nothing
    nodes[:num], matrix[:num, :num] = chebyshev(num)
    return torch.from_numpy(nodes).to(device), torch.from_numpy(matrix).to(device), size


@triton.jit
def _of_slopes(x, g, cov, g_cell, g_gene, sums, num_genes, SEGMENT: tl.constexpr):
    """Adds up what a cell's genes send to a and c, segment by segment."""
    cell, segment = tl.program_id(0).to(tl.int64), tl.program_id(1)
    gene = segment * SEGMENT + tl.arange(0, SEGMENT)
    here, at = gene < num_genes, cell * num_genes + gene
    upstream = tl.load(g + cell * g_cell + gene * g_gene, mask=here, other=0.0).to(tl.float64)
    of_slope = upstream * tl.load(cov + at, mask=here, other=0.0)
    to = sums + 2 * (cell * tl.num_programs(1) + segment)
    tl.store(to, tl.sum(of_slope * tl.load(x + at, mask=here, other=0.0), axis=0))
    tl.store(to + 1, tl.sum(of_slope, axis=0))


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
        self.states = new(num_cells if keep else 0, self.num_states, NUM_STATES.value)

    def forward(self, s: Tensor, x: Tensor, y: Tensor, u: Tensor, *numbers: Tensor) -> list[Tensor]:
        """Returns the mean and its derivative by the slope; ``numbers`` a, c and k come first."""
        new, plane = x.new_empty, self.num_cells * self.num_segments * SEGMENT
        keys, statistics = new(3, plane), new(self.num_cells, self.num_segments, 6)
        counts = torch.empty_like(statistics[..., 0], dtype=torch.int32)
        by_segment = (self.num_cells, self.num_segments)
        _collect[by_segment](
            s, x, y, u, *u.stride(), *(numbers or (x, x, x)), keys, counts, statistics,
            self.num_genes, plane, bool(numbers), SEGMENT, num_warps=WARPS,
        )  # fmt: skip
        values = new(self.num_cells, self.num_states, 2)
        _nodes[(self.num_cells, SPLITS)](
            s, keys, counts, statistics, self.nodes, self.matrix, values, self.states,
            self.pieces, self.slopes, self.num_genes, self.num_states, plane, HALF_WIDTH,
            self.num_segments, self.keep, self.size, KEYS, SEGMENT,
            triton.next_power_of_2(self.num_segments), num_warps=WARPS,
        )  # fmt: skip
        out, cov = torch.empty_like(x), torch.empty_like(x)
        _interpolate[(self.num_cells, triton.cdiv(self.num_genes, GENES))](
            s, values, self.pieces, self.slopes, out, cov, self.num_genes, self.num_states,
            self.size, GENES, num_warps=4,
        )  # fmt: skip
        return [out, cov]

    def of_keys(
        self, s: Tensor, x: Tensor, y: Tensor, u: Tensor, grad: Tensor, *curvature: Tensor
    ) -> Tensor:
        """Returns what x, y and u receive of the genes' gradients, one after another."""
        _shares[(self.num_cells, SPLITS)](
            s, grad.contiguous(), self.pieces, self.slopes, self.matrix, self.states,
            self.num_genes, self.num_states, self.size, GENES, num_warps=4,
        )  # fmt: skip
        found = x.new_empty(3, *x.shape)
        _of_keys[(self.num_cells, triton.cdiv(self.num_genes, KEYS))](
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
        _of_slopes[(run.num_cells, run.num_segments)](
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
