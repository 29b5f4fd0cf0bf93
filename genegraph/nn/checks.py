"""What the graph layer refuses, at the door."""

from __future__ import annotations

from torch import Tensor
from torch_geometric import EdgeIndex

from genegraph.nn.attention_functions import ATTENTION_FUNCTIONS

ATTENTION = ("full", "edges", "shared", None)
FUSION = ("sum", "gate")
INIT = ("absolute", "uniform")


def check_choices(attention: str | None, function: str, fusion: str, init: str) -> None:
    """Raises a ValueError for an unknown option."""
    for name, value, choices in (
        ("attention", attention, ATTENTION),
        ("attention_function", function, ATTENTION_FUNCTIONS),
        ("fusion", fusion, FUSION),
        ("init", init, INIT),
    ):
        if value not in choices:
            raise ValueError(f"{name!r} must be one of {choices} (got {value!r}).")


def check_attention(
    attention: str | None, function: str, in_channels: int, num_genes: int | None
) -> None:
    """Raises a ValueError for options that do not go together."""
    if function == "additive" and attention in ("full", "shared"):
        raise ValueError(
            f"attention={attention!r} needs an attention function made of products (got "
            "attention_function='additive', which has no linear-time form); use it with "
            "attention='edges'."
        )
    if attention == "shared":
        if num_genes is None:
            raise ValueError(
                "attention='shared' learns an embedding of each gene and must know how many there "
                "are (got num_genes=None); pass 'num_genes'."
            )
        return
    if num_genes is None:
        return
    if in_channels != 1:
        raise ValueError(
            f"Gene-aware attention needs in_channels=1 (got {in_channels}); "
            "leave out 'num_genes' or use one feature per gene."
        )
    if function == "additive" and attention is not None:
        raise ValueError(
            "Gene-aware attention needs an attention function made of products (got "
            "attention_function='additive'); leave out 'num_genes' or use another function."
        )


def check_input(
    x: Tensor,
    edge_index: Tensor | None,
    edge_weight: Tensor | None,
    in_channels: int,
    num_genes: int | None,
    attention: str | None,
) -> None:
    """Raises a ValueError for cells or a graph of the wrong shape, or no graph where needed."""
    if x.dim() not in (2, 3) or x.size(-1) != in_channels:
        raise ValueError(
            f"'x' must have shape [num_cells, num_genes, {in_channels}] or "
            f"[num_genes, {in_channels}] (got {list(x.shape)})."
        )
    if num_genes is not None and x.size(-2) != num_genes:
        raise ValueError(
            f"'x' must hold the {num_genes} genes the layer was made for (got {x.size(-2)})."
        )
    if edge_index is None:
        if attention in ("edges", None):
            raise ValueError(
                f"attention={attention!r} needs a graph: pass 'edge_index' (got None)."
            )
        return
    if edge_index.dim() != 2 or edge_index.size(0) != 2:
        raise ValueError(
            f"'edge_index' must have shape [2, num_edges] (got {list(edge_index.shape)})."
        )
    # The fused kernels read as many rows as the EdgeIndex says, checked here and not there.
    expected = (x.size(-2), x.size(-2))
    if isinstance(edge_index, EdgeIndex) and edge_index.sparse_size() != expected:
        raise ValueError(
            f"An EdgeIndex must have sparse_size={expected}, the number of genes in 'x' "
            f"(got {tuple(edge_index.sparse_size())})."
        )
    if edge_weight is not None and edge_weight.shape != edge_index.shape[1:]:
        raise ValueError(
            f"'edge_weight' must hold one value per edge (got {list(edge_weight.shape)} for "
            f"{edge_index.size(1)} edges)."
        )
