r"""Attention of every gene over its neighbours in the graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from genegraph.nn import edge_kernels
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


def segment_edge_attention(
    rowptr: Tensor, col: Tensor, query: Tensor, key: Tensor, value: Tensor, accelerate: bool
) -> Tensor:
    r"""The same for any number of channels and any device, through segment operations.

    Args:
        rowptr: Where each target's edges begin, ``[num_genes + 1]``.
        col: Source of each edge, ``[num_edges]``.
        query: ``[num_genes, num_cells, attention_channels]``, already scaled.
        key: Same shape.
        value: ``[num_genes, num_cells, channels]``.
        accelerate: Use torch-scatter's segment operations instead of torch's.
    """
    row = torch.repeat_interleave(rowptr.diff())
    logits = (query[row] * key[col]).sum(-1)
    top = _segment(logits.detach(), rowptr, row, "max", accelerate)
    weight = (logits - top[row]).exp()
    total = _segment(weight, rowptr, row, "sum", accelerate)
    messages = (weight / total[row]).unsqueeze(-1) * value[col]
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
