"""Where else an AnnData holds raw counts, and how many reads its cells have."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from genegraph.expression import source_of
from genegraph.expression_matrix import as_matrix
from genegraph.expression_values import recognise_values
from genegraph.inspection.asked import Asked

if TYPE_CHECKING:
    from anndata import AnnData

CELLS = 1_000
"""Layers and ``raw`` are told by their first cells."""

RAW = "adata.raw"
DEPTH_COLUMNS = ("total_counts", "n_counts", "nCount_RNA", "n_umis", "nUMI", "n_umi", "total_umis")


def other_counts(asked: Asked) -> list[str]:
    """Names the matrices beside the one looked at that hold raw counts."""
    return [place for place, X in _others(asked).items() if _are_counts(X)]


def use_other_counts(asked: Asked) -> str:
    """The line that takes raw counts from where they are; empty where there are none."""
    places = other_counts(asked)
    if not places:
        return ""
    if places[0] == RAW:
        return f"{asked.loaded}adata = adata.raw.to_adata()"
    layers = {source_of(asked.adata, layer): layer for layer in (None, *asked.adata.layers)}
    return asked.fit_line(layer=layers[places[0]])


def depth_column(adata: "AnnData") -> str | None:
    """The column of ``obs`` that holds each cell's reads, by its name."""
    for name in DEPTH_COLUMNS:
        if name in adata.obs.columns and pd.api.types.is_numeric_dtype(adata.obs[name]):
            return name
    return None


def _others(asked: Asked) -> dict[str, Any]:
    adata = asked.adata
    layers = [None, *adata.layers] if adata.X is not None else list(adata.layers)
    others = {
        source_of(adata, layer): adata.X if layer is None else adata.layers[layer]
        for layer in layers
        if layer != asked.layer
    }
    return others if adata.raw is None else others | {RAW: adata.raw.X}


def _are_counts(X: Any) -> bool:
    try:
        return recognise_values(as_matrix(X[:CELLS], "X")) == "counts"
    except (TypeError, ValueError):
        return False
