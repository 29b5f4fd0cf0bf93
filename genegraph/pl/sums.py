"""Sums of expression over the cells of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy.sparse as sp

from genegraph.expression import labels_from_obs, read_anndata
from genegraph.expression_matrix import blocks

if TYPE_CHECKING:
    from anndata import AnnData


def sum_by_class(adata: AnnData, key: str | None) -> tuple[pd.DataFrame, pd.Series[int]]:
    """Adds up ``adata.X``, in memory or on disk, over the cells of each class.

    Args:
        adata: The cells.
        key: The column of ``obs`` with their classes; None: one class, ``"all cells"``.

    Returns:
        The sums, a row for each class and a column for each gene; and the number of cells.

    Example:
        >>> import anndata
        >>> obs = pd.DataFrame({"type": ["B", "T", "B"]}, index=list("abc"))
        >>> cells = anndata.AnnData(np.eye(3, dtype="float32"), obs)
        >>> sum_by_class(cells, "type")[0].to_numpy().tolist()
        [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    matrix, genes = read_anndata(adata)
    if key is None:
        names, codes = np.array(["all cells"]), np.zeros(adata.n_obs, dtype=np.int64)
    else:
        names, codes = np.unique(labels_from_obs(adata, key), return_inverse=True)
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
