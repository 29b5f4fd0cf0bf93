"""What the compared methods read, all but ours, and what all of them answer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from anndata import AnnData
from numpy.typing import NDArray

TOP_GENES = 3000


class Named(NamedTuple):
    """What a method says of the test cells: a label each, how sure it is and how new they are."""

    labels: NDArray[Any]
    confidence: NDArray[np.float64] | None = None
    novelty: NDArray[np.float64] | None = None


def logarithms(cells: AnnData, values: str) -> sp.csr_matrix:
    """Returns log1p of reads per 10,000, the field's usual features."""
    X = sp.csr_matrix(cells.X).astype(np.float32)
    if values == "log1p":
        return X
    depth = np.maximum(np.asarray(X.sum(1)).ravel(), 1)
    return (sp.diags_array((1e4 / depth).astype(np.float32)) @ X).log1p().tocsr()


def most_varying(train: sp.csr_matrix, number: int = TOP_GENES) -> NDArray[np.int64]:
    """Returns the columns that vary most."""
    mean = np.asarray(train.mean(0)).ravel()
    variance = np.asarray(train.multiply(train).mean(0)).ravel() - mean**2
    return np.sort(np.argsort(-variance, kind="stable")[:number])
