"""Where else an AnnData holds counts or their logarithms, and how many reads its cells have."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from genegraph.expression import source_of
from genegraph.expression_matrix import as_matrix
from genegraph.expression_values import check_values, recognise_values
from genegraph.inspection.asked import Asked

if TYPE_CHECKING:
    from anndata import AnnData

CELLS = 1_000
"""Layers and ``raw`` are told by their first cells."""

DEPTH_COLUMNS = ("total_counts", "n_counts", "nCount_RNA", "n_umis", "nUMI", "n_umi", "total_umis")


def other_values(asked: Asked, kind: str) -> tuple[str, str]:
    """The matrix beside the one looked at that holds such values, and the line that takes it.

    Args:
        asked: What is looked at.
        kind: ``"counts"`` or ``"log1p"``.

    Returns:
        Its place and the line; both empty where there is none.
    """
    adata = asked.adata
    layers = [None, *adata.layers] if adata.X is not None else list(adata.layers)
    for layer in layers:
        X = adata.X if layer is None else adata.layers[layer]
        if layer != asked.layer and _are(X, kind):
            return source_of(adata, layer), asked.fit_line(layer=layer)
    if adata.raw is not None and _are(adata.raw.X, kind):
        return "adata.raw", f"{asked.loaded}adata = adata.raw.to_adata()"
    return "", ""


def depth_column(adata: "AnnData") -> str | None:
    """The column of ``obs`` that holds each cell's reads, by its name."""
    for name in DEPTH_COLUMNS:
        if name in adata.obs.columns and pd.api.types.is_numeric_dtype(adata.obs[name]):
            return name
    return None


def _are(X: Any, kind: str) -> bool:
    try:
        some = as_matrix(X[:CELLS], "X")
        found = recognise_values(some)
        if kind == "log1p" and found is None:  # of some of the genes, or of another target sum
            check_values(some, "log1p")
            return True
    except (TypeError, ValueError):
        return False
    return found == kind
