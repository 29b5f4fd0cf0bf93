"""Sums of expression over the cells of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from genegraph.expression import labels_from_obs, read_anndata
from genegraph.expression_matrix import blocks

if TYPE_CHECKING:
    from anndata import AnnData


Key = str | Sequence[Any] | NDArray[Any]


def sum_by_class(
    adata: AnnData, key: Key | None, layer: str | None = None
) -> tuple[pd.DataFrame, pd.Series[int]]:
    """Adds up expression, in memory or on disk, over the cells of each class.

    Args:
        adata: The cells.
        key: The column of ``obs`` with their classes, or one class per cell; None: one class,
            ``"all cells"``.
        layer: The layer to add up; None: ``adata.X``.

    Returns:
        The sums, a row for each class and a column for each gene; and the number of cells.

    Example:
        >>> import anndata
        >>> obs = pd.DataFrame({"type": ["B", "T", "B"]}, index=list("abc"))
        >>> cells = anndata.AnnData(np.eye(3, dtype="float32"), obs)
        >>> sum_by_class(cells, "type")[0].to_numpy().tolist()
        [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    matrix, genes = read_anndata(adata, layer)
    names, codes = np.unique(_labels(adata, key), return_inverse=True)
    sums = np.zeros((len(names), len(genes)))
    for rows, block in blocks(matrix):
        theirs = codes[rows]
        member = sp.csr_array(
            (np.ones(len(theirs)), (theirs, np.arange(len(theirs)))), (len(names), len(theirs))
        )
        part = member @ block
        sums += part.toarray() if sp.issparse(part) else np.asarray(part)
    cells = pd.Series(np.bincount(codes, minlength=len(names)), index=names)
    return pd.DataFrame(sums, index=names, columns=genes), cells


def source_of(layer: str | None) -> str:
    """Returns what to call the matrix that was added up."""
    return "adata.X" if layer is None else f"adata.layers['{layer}']"


def _labels(adata: AnnData, key: Key | None) -> NDArray[Any]:
    if key is None:
        return np.repeat("all cells", adata.n_obs)
    if isinstance(key, str):
        return labels_from_obs(adata, key)
    labels = np.asarray(key)
    if labels.shape != (adata.n_obs,):
        raise ValueError(
            f"'key' must name a column of adata.obs or hold one class per cell (got shape "
            f"{labels.shape} for {adata.n_obs} cells)."
        )
    return labels
