r"""One sparse product for the whole batch: what the prior graph passes along its edges."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch_geometric import EdgeIndex

from genegraph.nn import product_kernels
from genegraph.nn.cuda import takes_kernels
from genegraph.nn.precision import HALF, widened
from genegraph.nn.threads import for_blocks

BACKENDS = ("auto", "torch", "torch_sparse")
"""``"auto"``: own kernels on the CPU and on CUDA, torch elsewhere; ``"torch"``: torch everywhere;
``"torch_sparse"``: needs the extra ``genegraph[accelerate]``."""

EDGES_PER_BLOCK = 65536
GENES_PER_BLOCK = 1024

# torch says this once per process of every CSR tensor; users can do nothing about it.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")


def check_backend(backend: str) -> None:
    """Raises a ValueError for an unknown backend, an ImportError for one not installed."""
    if backend not in BACKENDS:
        raise ValueError(f"'backend' must be one of {BACKENDS} (got {backend!r}).")
    if backend == "torch_sparse":
        for name in ("torch_sparse", "torch_scatter"):
            if find_spec(name) is None:
                raise ImportError(
                    f"backend='torch_sparse' needs {name}, which is not installed; "
                    "pip install 'genegraph[accelerate]' or use backend='auto'."
                )


@torch.compiler.disable  # kernels: there is nothing in them that it could trace
def propagate(edge_index: EdgeIndex, edge_weight: Tensor, x: Tensor, backend: str) -> Tensor:
    r"""Returns :math:`A x`, :math:`A_{ij}` the weight of the edge from j to i.

    All cells share one topology, so their features stand side by side and nothing is copied per
    cell.  The gradient of ``edge_weight`` is a sampled product (one dot product per edge), never
    a dense matrix; the transpose for the gradient of ``x`` comes from the cache of ``edge_index``.
    Sums are made in float32 where ``x`` is of half precision.

    Args:
        edge_index: Sorted by target (``sort_order="col"``), best with a filled cache.
        edge_weight: ``[num_edges]``.
        x: ``[num_genes, num_cells * channels]``, of the same dtype.
        backend: One of :data:`BACKENDS`.
    """
    if x.dtype in HALF:
        out: Tensor = propagate(edge_index, widened(edge_weight), widened(x), backend)
        return out.to(x.dtype)
    if backend != "torch_sparse":
        kernels = backend == "auto" and (x.device.type == "cpu" or takes_kernels(x))
        out = _Product.apply(edge_index, edge_weight, x, kernels)  # type: ignore[no-untyped-call]
        return out
    import torch_sparse  # noqa: F401  (registers the operators)

    (rowptr, col), _ = edge_index.get_csc()
    (colptr, _), perm = edge_index.get_csr()
    if perm is None:  # sorted by both: the transpose keeps the order
        perm = torch.arange(len(col), device=col.device)
    row = edge_index.as_tensor()[1]
    product: Tensor = torch.ops.torch_sparse.spmm_sum(
        row, rowptr, col, edge_weight, colptr, perm, x.contiguous()
    )
    return product


def propagate_cells(edge_index: EdgeIndex, edge_weight: Tensor, x: Tensor, backend: str) -> Tensor:
    """The same for cells ``[num_cells, num_genes, channels]``, folded side by side."""
    num_cells, num_genes, channels = x.shape
    folded = x.transpose(0, 1).reshape(num_genes, num_cells * channels)
    out: Tensor = propagate(edge_index, edge_weight.to(x.dtype), folded, backend)
    return out.view(num_genes, num_cells, channels).transpose(0, 1)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, edge_index: EdgeIndex, weight: Tensor, x: Tensor, kernels: bool
    ) -> Tensor:
        ctx.edge_index, ctx.kernels = edge_index, kernels
        ctx.save_for_backward(weight, x)
        (rowptr, col), _ = edge_index.get_csc()
        return _multiply(rowptr, col, None, weight, x, kernels)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight, x = ctx.saved_tensors
        grad_weight = grad_x = None
        if ctx.needs_input_grad[1]:
            sampled = _kernel_sampled_product if ctx.kernels else _sampled_product
            grad_weight = sampled(ctx.edge_index, grad, x)
        if ctx.needs_input_grad[2]:
            (colptr, row), perm = ctx.edge_index.get_csr()
            grad_x = _multiply(colptr, row, perm, weight, grad, ctx.kernels)
        return None, grad_weight, grad_x, None


def _multiply(
    rowptr: Tensor, col: Tensor, perm: Tensor | None, weight: Tensor, x: Tensor, kernels: bool
) -> Tensor:
    if not kernels:
        values = weight.detach() if perm is None else weight.detach()[perm]
        size = (len(x), len(x))
        matrix = torch.sparse_csr_tensor(rowptr, col, values, size=size, check_invariants=False)
        return matrix @ x
    if x.is_cuda:
        from genegraph.nn.cuda.product import product

        return product(rowptr, col, perm, weight.detach(), x.detach())
    place = np.empty(0, np.int64) if perm is None else perm.numpy()
    out = torch.empty(x.shape, dtype=x.dtype)
    graph = (rowptr.numpy(), col.numpy(), place)
    arrays = [part.detach().contiguous().numpy() for part in (weight, x)]
    to = out.numpy()
    for_blocks(
        lambda i, j: product_kernels.product(*graph, *arrays, to, i, j), len(x), GENES_PER_BLOCK
    )
    return out


def _kernel_sampled_product(edge_index: EdgeIndex, grad: Tensor, x: Tensor) -> Tensor:
    (rowptr, col), _ = edge_index.get_csc()
    if x.is_cuda:
        from genegraph.nn.cuda.product import sampled_product

        return sampled_product(edge_index.as_tensor()[1], col, grad, x.detach())
    out = torch.empty(len(col), dtype=x.dtype)
    arrays = [part.contiguous().numpy() for part in (rowptr, col, grad, x.detach())]
    to = out.numpy()
    for_blocks(
        lambda i, j: product_kernels.sampled_product(*arrays, to, i, j), len(x), GENES_PER_BLOCK
    )
    return out


def _sampled_product(edge_index: EdgeIndex, grad: Tensor, x: Tensor) -> Tensor:
    """One dot product per edge, in blocks of edges so that memory stays bounded."""
    blocks = edge_index.as_tensor().split(EDGES_PER_BLOCK, dim=1)
    return torch.cat([(grad[target] * x[source]).sum(-1) for source, target in blocks])
