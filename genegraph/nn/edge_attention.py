r"""Attention of every gene over its neighbours in the graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import Linear
from torch_geometric import EdgeIndex

from genegraph.nn import additive_kernels, edge_kernels
from genegraph.nn.threads import for_blocks, for_cell_blocks

Array = np.ndarray[Any, Any]


@torch.compiler.disable  # kernels: there is nothing in them that it could trace
def fused_edge_attention(
    edge_index: EdgeIndex,
    x: Tensor,
    slope: Tensor,
    offset: Tensor,
    key: Tensor,
    log_weight: Tensor,
    curvature: Tensor,
) -> Tensor:
    r"""Returns each gene's mean of its neighbours under the softmax of scalar logits.

    On the CPU, and on CUDA where Triton is.

    .. math::
        o_i = \sum_j \mathrm{softmax}_j(s_i y_j + u_j - k y_j^2)\, x_j, \qquad
        s_i = a_i x_i + c_i, \quad y_j = p_j x_j

    Args:
        edge_index: Sorted by target (``sort_order="col"``), best with a filled cache.
        x: One feature per gene, ``[num_cells, num_genes]``; on the CPU the result has its strides.
        slope: :math:`a`, of each gene, ``[num_genes]``, or one for all.
        offset: :math:`c`, likewise.
        key: :math:`p`, likewise.
        log_weight: :math:`u`, likewise.
        curvature: :math:`k`, one number.
    """
    parts = [part.to(x.dtype).expand(x.size(1)) for part in (slope, offset, key, log_weight)]
    keys_too = any(part.requires_grad for part in (key, log_weight, curvature))
    constants = (torch.stack(parts, dim=1), curvature.to(x.dtype), keys_too)
    if x.is_cuda:
        from genegraph.nn.cuda.edge_attention import edge_attention

        return edge_attention(edge_index, x, *constants)
    (rowptr, col), _ = edge_index.get_csc()
    out: Tensor = _EdgeAttention.apply(rowptr, col, x, *constants)  # type: ignore[no-untyped-call]
    return out


@torch.compiler.disable
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


def _side_by_side(cells: Array) -> Array:
    """Copies up to CELLS cells, each a row, into the columns of an array; the rest is zero."""
    out = np.zeros((cells.shape[1], edge_kernels.CELLS), cells.dtype)
    out[:, : len(cells)] = cells.T
    return out


class _EdgeAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, rowptr: Tensor, col: Tensor, x: Tensor, genes: Tensor, k: Tensor, keys_too: bool
    ) -> Tensor:
        out = torch.empty_like(x)
        constants = (genes.detach().numpy(), k.detach().numpy()[()])
        graph, cells, to = (rowptr.numpy(), col.numpy()), x.detach().numpy(), out.numpy()

        def kernel(first: int, last: int) -> None:
            block = _side_by_side(cells[first:last])
            result = np.empty_like(block)
            edge_kernels.forward(*graph, *constants, block, result)
            to[first:last] = result.T[: last - first]

        for_blocks(kernel, len(x), edge_kernels.CELLS)
        ctx.save_for_backward(x, genes, k)
        ctx.graph, ctx.keys_too = graph, keys_too
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, genes, k = ctx.saved_tensors
        x_too = ctx.needs_input_grad[2]  # not where x is data
        x_grad = torch.empty_like(x) if x_too else x[:0]
        constants = (genes.detach().numpy(), k.detach().numpy()[()])
        cells, g, to = x.detach().numpy(), grad.numpy(), x_grad.numpy()
        num_blocks = -(-len(x) // edge_kernels.CELLS)
        of_genes, of_k = np.zeros((num_blocks, *genes.shape)), np.zeros(num_blocks)

        def kernel(first: int, last: int) -> None:
            n = first // edge_kernels.CELLS
            blocks = [_side_by_side(part[first:last]) for part in (cells, g)]
            # A gene that thousands hear adds up thousands of terms.
            result = np.zeros(blocks[0].shape if x_too else (0, edge_kernels.CELLS))
            of_k[n] = edge_kernels.backward(
                *ctx.graph, *constants, *blocks, result, of_genes[n], x_too, ctx.keys_too
            )
            if x_too:
                to[first:last] = result.T[: last - first]

        for_blocks(kernel, len(x), edge_kernels.CELLS)
        genes_grad = torch.from_numpy(of_genes.sum(0)).to(genes.dtype)
        k_grad = k.new_tensor(of_k.sum())
        return None, None, x_grad if x_too else None, genes_grad, k_grad, None


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
