"""Hashes by which data and model can be recognised."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from genegraph.expression import read_anndata
from genegraph.expression_matrix import blocks

if TYPE_CHECKING:
    from anndata import AnnData

    from genegraph.classifier import GeneGCNClassifier


def hash_of_cells(adata: AnnData, layer: str | None) -> str:
    """Returns the SHA-256 of the names of cells and genes and of all values, in hexadecimal.

    Dense or sparse, in memory or on disk: the same values have the same hash.

    Args:
        adata: The cells.
        layer: The layer with the values; None: ``adata.X``.

    Example:
        >>> import anndata
        >>> one = anndata.AnnData(np.eye(2, dtype="float32"))
        >>> other = anndata.AnnData(sp.csr_matrix(np.eye(2)))
        >>> hash_of_cells(one, None) == hash_of_cells(other, None)
        True
    """
    matrix, genes = read_anndata(adata, layer)
    names = json.dumps([list(map(str, adata.obs_names)), list(genes)])
    digest = hashlib.sha256(names.encode())
    for _, block in blocks(matrix):
        rows = sp.csr_matrix(block, copy=True)
        rows.eliminate_zeros()
        rows.sort_indices()
        digest.update(np.diff(rows.indptr).astype("<i8").tobytes())
        digest.update(rows.indices.astype("<i8").tobytes())
        digest.update(rows.data.astype("<f8").tobytes())
    return digest.hexdigest()


def hash_of_weights(model: GeneGCNClassifier) -> str:
    """Returns the SHA-256 of all that was learned, in hexadecimal.

    Args:
        model: A fitted classifier.
    """
    digest = hashlib.sha256(json.dumps([str(name) for name in model.classes_]).encode())
    for name, value in sorted(model.network_.state_dict().items()):
        values = value.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {values.dtype} {values.shape}\n".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()
