r"""One sparse product for the whole batch: what the prior graph passes along its edges."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch_geometric import EdgeIndex

BACKENDS = ("torch", "torch_sparse")
"""``"torch"`` needs nothing; ``"torch_sparse"`` needs the extra ``genegraph[accelerate]``."""

EDGES_PER_BLOCK = 65536

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
                    "pip install 'genegraph[accelerate]' or use backend='torch'."
                )


def propagate(edge_index: EdgeIndex, edge_weight: Tensor, x: Tensor, backend: str) -> Tensor:
    r"""Returns :math:`A x`, :math:`A_{ij}` the weight of the edge from j to i.

    All cells share one topology, so their features stand side by side and nothing is copied per
    cell.  The gradient of ``edge_weight`` is a sampled product (one dot product per edge), never
    a dense matrix; the transpose for the gradient of ``x`` comes from the cache of ``edge_index``.

    Args:
        edge_index: Sorted by target (``sort_order="col"``), best with a filled cache.
        edge_weight: ``[num_edges]``.
        x: ``[num_genes, num_cells * channels]``.
        backend: One of :data:`BACKENDS`.
    """
    (rowptr, col), _ = edge_index.get_csc()
    if backend == "torch":
        out: Tensor = _Product.apply(edge_index, rowptr, col, edge_weight, x)  # type: ignore[no-untyped-call]
        return out
    import torch_sparse  # noqa: F401  (registers the operators)

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
    out = propagate(edge_index, edge_weight.to(x.dtype), folded, backend)
    return out.view(num_genes, num_cells, channels).transpose(0, 1)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, edge_index: EdgeIndex, rowptr: Tensor, col: Tensor, weight: Tensor, x: Tensor
    ) -> Tensor:
        ctx.edge_index = edge_index
        ctx.save_for_backward(weight, x)
        return _matrix(rowptr, col, weight, len(x)) @ x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight, x = ctx.saved_tensors
        grad_weight = grad_x = None
        if ctx.needs_input_grad[3]:
            grad_weight = _sampled_product(ctx.edge_index.as_tensor(), grad, x)
        if ctx.needs_input_grad[4]:
            (colptr, row), perm = ctx.edge_index.get_csr()
            transposed = weight if perm is None else weight[perm]
            grad_x = _matrix(colptr, row, transposed, len(x)) @ grad
        return None, None, None, grad_weight, grad_x


def _matrix(rowptr: Tensor, col: Tensor, weight: Tensor, size: int) -> Tensor:
    return torch.sparse_csr_tensor(
        rowptr, col, weight.detach(), size=(size, size), check_invariants=False
    )


def _sampled_product(edge_index: Tensor, grad: Tensor, x: Tensor) -> Tensor:
    """One dot product per edge, in blocks of edges so that memory stays bounded."""
    blocks = edge_index.split(EDGES_PER_BLOCK, dim=1)
    return torch.cat([(grad[target] * x[source]).sum(-1) for source, target in blocks])
