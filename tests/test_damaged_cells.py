"""Sparse cells in files whose parts do not fit together are refused, wherever they are read."""

import anndata
import h5py
import numpy as np
import pytest

from genegraph import GeneGCNClassifier, expression_stored
from genegraph.expression import read_anndata

SMALL = {"hidden_channels": (8,), "max_epochs": 2, "random_state": 0, "verbose": False}


def replaced(name, change):
    """Puts something else into the place of one of the three arrays."""

    def act(X):
        values = change(X[name][()])
        del X[name]
        X[name] = values

    return act


def changed(values, place, value):
    values[place] = value
    return values


DAMAGE = {
    "rows start beyond the values": replaced("indptr", lambda v: changed(v, -1, v[-1] + 5)),
    "rows end before they start": replaced("indptr", lambda v: changed(v, 3, v[5])),
    "a row too few": replaced("indptr", lambda v: v[:-1]),
    "rows that start nowhere": replaced("indptr", lambda v: changed(v.astype("i8"), 2, -1)),
    "starts that are no whole numbers": replaced("indptr", lambda v: v.astype("f8")),
    "places that are no whole numbers": replaced("indices", lambda v: v + 0.5),
    "fewer places than values": replaced("indices", lambda v: v[:-1]),
    "values in two dimensions": replaced("data", lambda v: v[: len(v) // 2 * 2].reshape(2, -1)),
    "a place beyond the last": replaced("indices", lambda v: changed(v, 7, 120)),
    "a place before the first": replaced("indices", lambda v: changed(v, 7, -1)),
    "values that are words": replaced("data", lambda v: np.full(len(v), b"many")),
}


def fit(path):
    cells = anndata.read_h5ad(path, backed="r")
    return GeneGCNClassifier(**SMALL).fit(cells, "cell_type")


@pytest.fixture(params=["in memory", "on disk"])
def held(request, monkeypatch):
    """Whether the file is small enough to be read whole."""
    if request.param == "on disk":
        monkeypatch.setattr(expression_stored, "WINDOW_BYTES", 64)
    return request.param


@pytest.mark.parametrize("what", DAMAGE)
@pytest.mark.parametrize("form", ["csr", "csc"])
def test_parts_that_do_not_fit_are_refused(adata, tmp_path, held, what, form):
    adata.X = adata.X if form == "csr" else adata.X.tocsc()
    adata.write_h5ad(tmp_path / "cells.h5ad")
    with h5py.File(tmp_path / "cells.h5ad", "r+") as file:
        DAMAGE[what](file["X"])
    with pytest.raises((ValueError, TypeError), match=r"sparse matrix .*must (say|name|hold)"):
        fit(tmp_path / "cells.h5ad")


def test_without_damage_they_are_read(adata, tmp_path, held):
    adata.write_h5ad(tmp_path / "cells.h5ad")
    cells = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    matrix, _ = read_anndata(cells)
    assert isinstance(matrix, expression_stored.StoredMatrix) == (held == "on disk")
    np.testing.assert_array_equal(matrix[np.arange(120)].toarray(), adata.X.toarray())
    assert len(fit(tmp_path / "cells.h5ad").classes_) == 3
