r"""Attention of every gene over its neighbours in the graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import Linear

from genegraph.nn import additive_kernels, edge_kernels
from genegraph.nn.threads import for_cell_blocks


def fused_edge_attention(
    rowptr: Tensor, col: Tensor, s: Tensor, x: Tensor, y: Tensor, u: Tensor
) -> Tensor:
    r"""Returns :math:`o_i = \sum_j \mathrm{softmax}_j(s_i y_j + u_j)\, x_j`, on the CPU.

    Args:
        rowptr: Where each target's edges begin, ``[num_genes + 1]``.
        col: Source of each edge, ``[num_edges]``.
        s: Slope of each gene, ``[num_cells, num_genes]``.
        x: What is averaged, same shape.
        y: Key of each gene, same shape.
        u: Log-weight of each gene, same shape.
    """
    out: Tensor = _EdgeAttention.apply(rowptr, col, s, x, y, u)  # type: ignore[no-untyped-call]
    return out


def additive_edge_attention(
    rowptr: Tensor, col: Tensor, x: Tensor, theta: Linear, phi: Linear, att: Tensor
) -> Tensor:
    r"""Returns :math:`o_i = \sum_j \mathrm{softmax}_j(f(x_i, x_j))\, x_j`, on the CPU.

    .. math::
        f(x_i, x_j) = \mathrm{att}^\top \mathrm{leaky\_relu}(\theta(x_i) + \phi(x_j))

    Args:
        rowptr: Where each target's edges begin, ``[num_genes + 1]``.
        col: Source of each edge, ``[num_edges]``.
        x: One feature per gene, ``[num_cells, num_genes]``.
        theta: From the target's one feature to the attention channels.
        phi: The same for the source's.
        att: Weight of each channel, ``[attention_channels]``.
    """
    weights = torch.stack([theta.weight[:, 0], phi.weight[:, 0], theta.bias + phi.bias, att])
    out: Tensor = _AdditiveAttention.apply(rowptr, col, x, weights)  # type: ignore[no-untyped-call]
    return out


def segment_edge_attention(
    rowptr: Tensor, row: Tensor, logits: Tensor, value: Tensor, accelerate: bool
) -> Tensor:
    r"""Returns the mean of each target's values under the softmax of its logits, on any device.

    Args:
        rowptr: Where each target's edges begin, ``[num_genes + 1]``.
        row: Target of each edge, ``[num_edges]``, rising.
        logits: ``[num_edges, num_cells]``.
        value: What each edge's source sends, ``[num_edges, num_cells, channels]``.
        accelerate: Use torch-scatter's segment operations instead of torch's.
    """
    top = _segment(logits.detach(), rowptr, row, "max", accelerate)
    weight = (logits - top[row]).exp()
    total = _segment(weight, rowptr, row, "sum", accelerate)
    messages = (weight / total[row]).unsqueeze(-1) * value
    return _segment(messages, rowptr, row, "sum", accelerate)


def _segment(src: Tensor, rowptr: Tensor, row: Tensor, reduce: str, accelerate: bool) -> Tensor:
    if accelerate:
        from torch_scatter import segment_csr

        out: Tensor = segment_csr(src, rowptr, reduce=reduce)
        return out
    size = (len(rowptr) - 1, *src.shape[1:])
    index = row.view(-1, *[1] * (src.dim() - 1)).expand_as(src)
    reduce = {"max": "amax"}.get(reduce, reduce)
    return src.new_zeros(size).scatter_reduce(0, index, src, reduce, include_self=False)


class _EdgeAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rowptr: Tensor, col: Tensor, *parts: Tensor) -> Tensor:
        parts = tuple(part.contiguous() for part in parts)
        out = torch.empty_like(parts[0])
        graph = (rowptr.numpy(), col.numpy())
        arrays = [part.detach().numpy() for part in (*parts, out)]

        def kernel(i: int, j: int) -> None:
            edge_kernels.forward(*graph, *(part[i:j] for part in arrays))

        for_cell_blocks(kernel, len(out))
        ctx.save_for_backward(*parts)
        ctx.graph = graph
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        parts = ctx.saved_tensors
        keys_too = any(ctx.needs_input_grad[3:])  # not where x is data: half of the work
        gradients = grad.new_zeros((4 if keys_too else 1, *grad.shape))
        arrays = [part.detach().numpy() for part in (*parts, grad.contiguous())]
        to = gradients.numpy()

        def kernel(i: int, j: int) -> None:
            of_parts = [to[min(k, len(to) - 1), i:j] for k in range(4)]
            edge_kernels.backward(*ctx.graph, *(part[i:j] for part in arrays), *of_parts, keys_too)

        for_cell_blocks(kernel, len(grad))
        if not keys_too:
            return None, None, gradients[0], None, None, None
        return None, None, *gradients


class _AdditiveAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rowptr: Tensor, col: Tensor, x: Tensor, weights: Tensor) -> Tensor:
        x = x.contiguous()
        out = torch.empty_like(x)
        constants = (rowptr.numpy(), col.numpy(), weights.detach().double().numpy())
        data, to = x.detach().numpy(), out.numpy()

        def kernel(i: int, j: int) -> None:
            additive_kernels.forward(*constants, data[i:j], to[i:j])

        for_cell_blocks(kernel, len(x))
        ctx.save_for_backward(x, weights)
        ctx.constants = constants
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weights = ctx.saved_tensors
        x_grad = torch.zeros_like(x)
        of_cells = weights.new_zeros((len(x), *weights.shape), dtype=torch.float64)
        data, g = x.detach().numpy(), grad.contiguous().numpy()
        gx, gw, x_too = x_grad.numpy(), of_cells.numpy(), ctx.needs_input_grad[2]

        def kernel(i: int, j: int) -> None:
            additive_kernels.backward(*ctx.constants, data[i:j], g[i:j], gx[i:j], gw[i:j], x_too)

        for_cell_blocks(kernel, len(x))
        return None, None, x_grad if x_too else None, of_cells.sum(0).to(weights.dtype)
