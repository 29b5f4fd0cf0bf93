r"""Attention of every gene over all genes of its cell, without the N x N matrix.

Five ways to the same function:

* one feature per gene on the CPU: :mod:`genegraph.nn.tilted`, time linear in the genes;
* one feature per gene on CUDA: :mod:`genegraph.nn.cuda.tilted`, likewise, except for cells with
  steep slopes;
* one feature per gene on other devices: :mod:`genegraph.nn.tilted_torch`, likewise;
* anything else: :func:`torch.nn.functional.scaled_dot_product_attention`, memory linear;
* ``materialized_attention``: the definition, kept as reference.

``torch.compile`` leaves the first three as they are: there is nothing in them that it could trace.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from genegraph.nn.chebyshev import chebyshev, num_nodes
from genegraph.nn.cuda import takes_kernels
from genegraph.nn.threads import for_cell_blocks
from genegraph.nn.tilted_cells import (
    gene_aware_backward,
    gene_aware_forward,
    scalar_backward,
    scalar_forward,
    slope_backward,
)
from genegraph.nn.tilted_torch import MOST_PANELS, panels_needed, tilted_attention


def materialized_attention(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None
) -> Tensor:
    r"""Returns softmax(query key^T + bias) value with the whole matrix in memory.

    Shapes:
        - ``query``, ``key``: ``[num_cells, num_genes, attention_channels]``, already scaled
        - ``value``: ``[num_cells, num_genes, channels]``
        - ``bias``: ``[num_genes]`` or ``[num_cells, num_genes]``, added to the logits of each
          key, or None
        - output: ``[num_cells, num_genes, channels]``
    """
    logits = query @ key.transpose(-1, -2)
    if bias is not None:
        logits = logits + bias.unsqueeze(-2)
    return logits.softmax(dim=-1) @ value


def dense_attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    """The same function with memory linear in the genes (time stays quadratic).

    The log-weights of the keys travel as one more channel, and query, key and value are padded
    to one width: torch's CPU kernel builds the N x N matrix where widths differ.
    """
    if bias is not None:
        query = torch.cat([query, torch.ones_like(query[..., :1])], dim=-1)
        key = torch.cat([key, bias[..., None].expand_as(key[..., :1])], dim=-1)
    width = max(query.size(-1), value.size(-1))
    width += -width % 8  # CUDA's fused kernels want a multiple of 8
    q, k, v = (F.pad(part, (0, width - part.size(-1)))[:, None] for part in (query, key, value))
    out = F.scaled_dot_product_attention(q, k, v, scale=1.0)[:, 0]
    return out[..., : value.size(-1)]


@torch.compiler.disable
def scalar_attention(
    x: Tensor, slope: Tensor, offset: Tensor, curvature: Tensor, tolerance: float
) -> Tensor:
    r"""Returns :math:`\sum_j \mathrm{softmax}_j((a x_i + c) x_j - k x_j^2)\, x_j` in linear time.

    Equal values share one slope and one key, so a cell of counts costs as many terms as it has
    distinct values, squared, and no approximation at all.

    Args:
        x: One feature per gene, ``[num_cells, num_genes]``, on the CPU or, where Triton is, on
            CUDA.
        slope: :math:`a`, a 0-d tensor.
        offset: :math:`c`, a 0-d tensor.
        curvature: :math:`k`, a 0-d tensor.
        tolerance: Largest error, relative to the range of the cell's values.

    Raises:
        ValueError: If ``tolerance`` is not in (0, 1).
    """
    out: Tensor
    if takes_kernels(x):
        from genegraph.nn.cuda import tilted

        out = tilted.scalar_attention(x, slope, offset, curvature, tolerance)
        return out
    out = _ScalarAttention.apply(x, slope, offset, curvature, tolerance)  # type: ignore[no-untyped-call]
    return out


@torch.compiler.disable
def gene_aware_attention(s: Tensor, x: Tensor, y: Tensor, u: Tensor, tolerance: float) -> Tensor:
    r"""Returns :math:`\sum_j \mathrm{softmax}_j(s_i y_j + u_j)\, x_j` in linear time, cell by cell.

    Genes at zero (``x == y == 0``) enter as one key.

    Args:
        s: Slope of each gene, ``[num_cells, num_genes]``, on the CPU.
        x: What is averaged, same shape.
        y: Key of each gene, same shape.
        u: Log-weight of each gene, same shape.
        tolerance: Largest error, relative to the range of the cell's values.
    """
    out: Tensor = _GeneAwareAttention.apply(s, x, y, u, tolerance)  # type: ignore[no-untyped-call]
    return out


@torch.compiler.disable
def tilted_or_dense_attention(
    s: Tensor, x: Tensor, y: Tensor, u: Tensor, tolerance: float
) -> Tensor:
    r"""Returns :math:`\sum_j \mathrm{softmax}_j(s_i y_j + u_j)\, x_j` on any device.

    In linear time for every cell whose slopes need few panels, else (steep slopes, or something
    not finite) in linear memory.  Which of the two is decided cell by cell, from its own values.

    Args:
        s: Slope of each gene, ``[num_cells, num_genes]``.
        x: What is averaged, same shape.
        y: Key of each gene, same shape.
        u: Log-weight of each gene, same shape.
        tolerance: Largest error, relative to the range of the cell's values.
    """
    if takes_kernels(x):
        from genegraph.nn.cuda import tilted

        on_cuda: Tensor = tilted.tilted_attention(s, x, y, u, tolerance)
        return on_cuda
    few = panels_needed(s, y) <= MOST_PANELS  # not so for a NaN
    out = torch.zeros_like(x)
    for chosen, is_tilted in ((few, True), (~few, False)):
        cells = chosen.nonzero()[:, 0]
        if len(cells) == 0:
            continue
        of_s, of_x, of_y, of_u = (part[cells] for part in (s, x, y, u))
        if is_tilted:
            found = tilted_attention(of_s, of_x, of_y, of_u, tolerance)
        else:
            query, key, value = of_s[..., None], of_y[..., None], of_x[..., None]
            found = dense_attention(query, key, value, of_u)[..., 0]
        out = out.index_copy(0, cells, found)
    return out


class _ScalarAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, slope: Tensor, offset: Tensor, curvature: Tensor, tolerance: float
    ) -> Tensor:
        x = x.contiguous()
        out, var = torch.empty_like(x), torch.empty_like(x)
        coefficients = (float(slope), float(offset), float(curvature))
        plan = (*coefficients, tolerance, *chebyshev(num_nodes(tolerance)))
        data, to, spread = x.detach().numpy(), out.numpy(), var.numpy()
        for_cell_blocks(lambda i, j: scalar_forward(data[i:j], *plan, to[i:j], spread[i:j]), len(x))
        ctx.save_for_backward(x, var)
        ctx.plan = plan
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, var = ctx.saved_tensors
        of_numbers = torch.zeros(3, len(x), dtype=torch.float64)
        keys_too = ctx.needs_input_grad[0] or ctx.needs_input_grad[3]  # x is data: half of the work
        x_grad = torch.empty_like(x if keys_too else x[:, :0])
        to = x_grad.numpy()
        arrays = [part.detach().numpy() for part in (x, grad.contiguous(), var)]
        of_a, of_c, of_k = of_numbers.numpy()

        def kernel(i: int, j: int) -> None:
            cells = [part[i:j] for part in arrays]
            scalar_backward(*cells, *ctx.plan, to[i:j], of_k[i:j])

        slope_backward(*arrays, of_a, of_c)  # done before threads would have started
        if keys_too:
            for_cell_blocks(kernel, len(x))
        return x_grad if keys_too else None, *of_numbers.sum(1).to(x.dtype), None


class _GeneAwareAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, s: Tensor, x: Tensor, y: Tensor, u: Tensor, tolerance: float) -> Tensor:
        parts = [part.contiguous() for part in (s, x, y, u)]
        out, cov = torch.empty_like(parts[1]), torch.empty_like(parts[1])
        plan = (tolerance, *chebyshev(num_nodes(tolerance)))
        arrays = [part.detach().numpy() for part in parts]
        to, spread = out.numpy(), cov.numpy()

        def kernel(i: int, j: int) -> None:
            gene_aware_forward(*(part[i:j] for part in arrays), *plan, to[i:j], spread[i:j])

        for_cell_blocks(kernel, len(out))
        ctx.save_for_backward(*parts, cov)
        ctx.plan = plan
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        *parts, cov = ctx.saved_tensors
        grad = grad.contiguous()
        gradients = grad.new_empty((3, *grad.shape))
        arrays = [part.detach().numpy() for part in (*parts, grad)]
        to = gradients.numpy()

        def kernel(i: int, j: int) -> None:
            gene_aware_backward(*(part[i:j] for part in arrays), *ctx.plan, to[:, i:j])

        for_cell_blocks(kernel, len(grad))
        return grad * cov, *gradients, None
