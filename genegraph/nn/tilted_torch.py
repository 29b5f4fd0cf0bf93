r"""The tilted mean of :mod:`genegraph.nn.tilted` in plain torch operations, for other devices.

The same panels and the same power sums (:mod:`genegraph.nn.tilted_sums`), for all cells of a batch
at once.  Nothing is sorted: a panel takes all keys, and a cell has as many panels of one width as
:math:`h R \le 2` asks for, from its own slopes and keys.  That is linear in the genes where they
are few, as with weights of ordinary size; cells that need more than
:data:`MOST_PANELS`, or hold something that is not finite, are for
:func:`torch.nn.functional.scaled_dot_product_attention`.

All sums are in float64, whatever the features' type.  Tensors are ``[num_cells, num_genes]``,
one after another, never one per node.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from genegraph.nn.chebyshev import HALF_WIDTH, chebyshev, num_nodes
from genegraph.nn.tilted import FLAT
from genegraph.nn.tilted_sums import NUM_POWERS, power_series

MOST_PANELS = 32
"""Panels of a cell that are still worth their while: each reads all genes some hundred times."""


def panels_needed(s: Tensor, y: Tensor) -> Tensor:
    """Returns how many panels each cell needs, as floating numbers; NaN where that is undefined."""
    s, y = s.detach().double(), y.detach().double()
    spread = y.amax(1) - y.amin(1)
    return ((s.amax(1) - s.amin(1)) * spread / (2 * HALF_WIDTH) - 1e-9).ceil().clamp(min=1)


def tilted_attention(s: Tensor, x: Tensor, y: Tensor, u: Tensor, tolerance: float) -> Tensor:
    r"""Returns :math:`\sum_j \mathrm{softmax}_j(s_i y_j + u_j)\, x_j` in linear time, any device.

    Args:
        s: Slope of each gene, ``[num_cells, num_genes]``; no cell may need more than
            :data:`MOST_PANELS`.
        x: What is averaged, same shape.
        y: Key of each gene, same shape.
        u: Log-weight of each gene, same shape.
        tolerance: Largest error, relative to the range of the cell's values.
    """
    out: Tensor = _TiltedAttention.apply(s, x, y, u, tolerance)  # type: ignore[no-untyped-call]
    return out


class _Panel(NamedTuple):
    """One panel of those cells that have as many; all but ``cells`` are float64."""

    cells: Tensor
    inside: Tensor  # whether a gene's slope lies here
    t: Tensor  # where, from -1 to 1
    centre: Tensor  # [num_cells, 1], as is half
    half: Tensor
    weight: Tensor  # of each key in the middle, the heaviest has 1
    dx: Tensor  # from the heaviest
    z: Tensor  # half-width times the key, from the heaviest
    x_top: Tensor


def _panels(s: Tensor, x: Tensor, y: Tensor, u: Tensor) -> Iterator[_Panel]:
    """Goes through the panels; cells with the most come first."""
    spread = y.amax(1, keepdim=True) - y.amin(1, keepdim=True)
    low, high = s.amin(1, keepdim=True), s.amax(1, keepdim=True)
    needed = panels_needed(s, y).long()
    half = (high - low) / (2 * needed[:, None])
    half = half.maximum(FLAT / torch.where(spread > 0, spread, 1.0))
    of_slope = ((s - low) / (2 * half)).floor().long().clamp(max=needed[:, None] - 1)
    for panel in range(int(needed.max())):
        cells = (needed > panel).nonzero()[:, 0]
        h, first, x_, y_, u_ = (part[cells] for part in (half, low, x, y, u))
        centre = first + (2 * panel + 1) * h
        # Measured from an extreme key, differences at steep slopes are exact.
        origin = torch.where(centre >= 0, y_.amax(1, keepdim=True), y_.amin(1, keepdim=True))
        top = (u_ + centre * (y_ - origin)).argmax(1, keepdim=True)
        dy = y_ - y_.gather(1, top)
        weight = (u_ - u_.gather(1, top) + centre * dy).exp_()
        t = ((s[cells] - centre) / h).clamp_(-1, 1)
        x_top = x_.gather(1, top)
        inside = of_slope[cells] == panel
        yield _Panel(cells, inside, t, centre, h, weight, x_ - x_top, h * dy, x_top)


def _node_moments(panel: _Panel, series: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean of x less x_top, covariance, and sum of weights, at all nodes of a panel."""
    ones, xs = [], []
    one, of_x = panel.weight.clone(), panel.weight * panel.dx
    for _ in range(NUM_POWERS):
        ones.append(one.sum(1))
        xs.append(of_x.sum(1))
        one *= panel.z
        of_x *= panel.z
    sums = torch.stack([torch.stack(ones, 1), torch.stack(xs, 1)])
    z, zx = sums @ series.T
    zy, zxy = sums[..., 1:] @ series[:, :-1].T  # a power more of z_j, half times the key
    mean = zx / z
    return mean, (zxy / z - mean * (zy / z)) / panel.half, z


class _TiltedAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, s: Tensor, x: Tensor, y: Tensor, u: Tensor, tolerance: float) -> Tensor:
        nodes, to_coef = chebyshev(num_nodes(tolerance))
        nodes_, to_coef_, series = (
            torch.from_numpy(part).to(x.device) for part in (nodes, to_coef, power_series(nodes))
        )
        out, cov = torch.empty_like(x, dtype=torch.float64), torch.empty_like(x)
        for panel in _panels(*(part.double() for part in (s, x, y, u))):
            mean, of_slope, _ = _node_moments(panel, series)
            for to, at_nodes in ((out, mean + panel.x_top), (cov, of_slope)):
                b1 = b2 = torch.zeros_like(panel.t)
                for coef in reversed((at_nodes @ to_coef_.T).unbind(1)):  # Clenshaw's sum
                    b1, b2 = 2 * panel.t * b1 - b2 + coef[:, None], b1
                found = (b1 - panel.t * b2).to(to.dtype)
                to[panel.cells] = torch.where(panel.inside, found, to[panel.cells])
        ctx.save_for_backward(s, x, y, u, cov, nodes_, to_coef_, series)
        return out.to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        s, x, y, u, cov, nodes, to_coef, series = ctx.saved_tensors
        if not any(ctx.needs_input_grad[1:]):  # keys and values are data
            return (grad * cov).to(s.dtype), None, None, None, None
        grads = torch.zeros(3, *x.shape, dtype=torch.float64, device=x.device)
        for panel in _panels(*(part.double() for part in (s, x, y, u))):
            mean, _, total = _node_moments(panel, series)
            before = panel.inside * grad[panel.cells].double()
            now, coef = before * panel.t, []
            for _ in nodes:  # the adjoint of interpolation
                coef.append(before.sum(1))
                before, now = now, 2 * panel.t * now - before
            share = torch.stack(coef, 1) @ to_coef / total
            slope = panel.centre + panel.half * nodes
            # Each sum over the nodes is a polynomial in z.
            parts = [(p @ series).unbind(1) for p in (share, share * mean)]
            parts += [(p @ series).unbind(1) for p in (share * slope, share * mean * slope)]
            one, of_mean, of_slope, of_both = (_polynomial(p, panel.z) for p in parts)
            grads[0, panel.cells] += panel.weight * one
            grads[1, panel.cells] += panel.weight * (panel.dx * of_slope - of_both)
            grads[2, panel.cells] += panel.weight * (panel.dx * one - of_mean)
        of_x, of_y, of_u = (g.to(part.dtype) for g, part in zip(grads, (x, y, u), strict=True))
        return (grad * cov).to(s.dtype), of_x, of_y, of_u, None


def _polynomial(coefficients: tuple[Tensor, ...], z: Tensor) -> Tensor:
    out = torch.zeros_like(z)
    for coef in reversed(coefficients):
        out = out.mul_(z).add_(coef[:, None])
    return out
