"""How the values of cells are stored, and what that costs."""

from typing import Any

import numpy as np
import scipy.sparse as sp

from genegraph.expression_matrix import AnyMatrix
from genegraph.expression_stored import StoredMatrix
from genegraph.inspection.asked import Asked
from genegraph.inspection.findings import Findings
from genegraph.interactions.wording import counted, some_of

MEBIBYTE = 2**20
LARGE = 64 * MEBIBYTE
"""Below this nobody minds how cells are stored."""


def look_at_storage(asked: Asked, X: AnyMatrix | None, found: Findings) -> str:
    """Returns how the values are stored, in words.

    Args:
        asked: What is looked at.
        X: The matrix as ``fit`` reads it; None if it cannot.
        found: Where findings go.
    """
    if not asked.adata.obs_names.is_unique:
        twice = asked.adata.obs_names[asked.adata.obs_names.duplicated()].unique()
        found.add(
            "info",
            "cells",
            f"{counted(len(twice), 'name')} of cells there more than once: {some_of(twice)}.",
            "adata.obs_names_make_unique()",
        )
    if X is None:
        return "unreadable"
    raw = asked.adata.X if asked.layer is None else asked.adata.layers[asked.layer]
    form = str(getattr(raw, "format", "") or "dense")
    form = form if form == "dense" else form.upper()
    on_disk = not isinstance(raw, np.ndarray) and not sp.issparse(raw)
    words = f"{form} {raw.dtype}, {'on disk' if on_disk else 'in memory'}"
    if isinstance(X, StoredMatrix):
        found.add("info", "storage", f"{words}, read in blocks of cells.")
        return words
    size = _bytes(X)
    found.add("info", "storage", f"{words}, {size / MEBIBYTE:,.1f} MiB.")
    if size < LARGE:
        return words
    place = asked.place
    if form == "CSC":
        found.add(
            "warning" if on_disk else "info",
            "storage",
            f"{place} is stored by genes (CSC), and cells are read by rows: fit turns all of it "
            "into CSR in memory, every time.",
            f"{asked.loaded}{place} = {place}.tocsr()",
        )
    if form == "dense" and (zeros := float(np.mean(X[:1000] == 0))) > 0.6:
        found.add(
            "info",
            "storage",
            f"{place} is dense although {zeros:.0%} of its values are zero.",
            f"import scipy.sparse; {asked.loaded}{place} = scipy.sparse.csr_matrix({place})",
        )
    return words


def _bytes(X: Any) -> int:
    parts = (X,) if isinstance(X, np.ndarray) else (X.data, X.indices, X.indptr)
    return int(sum(part.nbytes for part in parts))
