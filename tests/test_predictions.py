"""A cell's prediction is its own: not of its neighbours, of threads, or of how it is stored."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from anndata import AnnData, io, read_h5ad

from genegraph import GeneGCNClassifier, GeneGraph

NUM_CELLS, NUM_GENES = 150, 400
KINDS = {
    "default": {},
    "no graph": {"graph": None},
    "full attention": {"attention": "full"},
    "gene-aware full attention": {"attention": "full", "gene_aware": True},
    "edge attention": {"attention": "edges"},
    "additive edge attention": {"attention": "edges", "attention_function": "additive"},
    "shared graph": {"attention": "shared", "num_neighbors": 5},
    "two layers after the logarithm": {"shrinkage": None, "num_layers": 2},
    "logarithms": {"values": "log1p"},
    "features": {"values": "features"},
}
pytestmark = [
    pytest.mark.filterwarnings("ignore:Writing zarr v2 data"),
    pytest.mark.filterwarnings("ignore:1 of .* cells in .* have no counts at all"),
]


@pytest.fixture(scope="module")
def prior():
    rng = np.random.default_rng(1)
    edges = np.unique(rng.integers(0, NUM_GENES - 20, (2, 3000)), axis=1)
    both = np.unique(np.hstack([edges, edges[::-1]]), axis=1)
    return GeneGraph([f"G{i}" for i in range(NUM_GENES)], both)


@pytest.fixture(scope="module")
def counted():
    """Cells of all depths, one of them empty."""
    rng = np.random.default_rng(0)
    kind = np.arange(NUM_CELLS) % 3
    rate = rng.gamma(0.3, 2.0, (3, NUM_GENES))[kind] * rng.lognormal(0, 1, (NUM_CELLS, 1))
    X = rng.poisson(rate).astype("float32")
    X[7] = 0
    obs = pd.DataFrame({"type": [f"t{k}" for k in kind]}, index=[f"c{i}" for i in range(NUM_CELLS)])
    return AnnData(
        sp.csr_matrix(X), obs=obs, var=pd.DataFrame(index=[f"G{i}" for i in range(NUM_GENES)])
    )


@pytest.fixture(scope="module", params=KINDS)
def fitted(request, prior, counted):
    """A model of each kind and cells for it."""
    options = {"graph": prior, "max_epochs": 1, "random_state": 0, "verbose": False}
    options |= {"hidden_channels": (16,), **KINDS[request.param]}
    cells = counted.copy()
    if "values" in options:
        depth = np.maximum(np.asarray(cells.X.sum(axis=1)), 1)
        cells.X = sp.csr_matrix(cells.X.multiply(1e4 / depth).log1p().astype("float32"))
    return GeneGCNClassifier(**options).fit(cells, "type"), cells


def test_neither_order_nor_company_nor_batch_size_matters(fitted):
    model, cells = fitted
    expected = model.predict_proba(cells)
    assert np.unique(expected.round(4), axis=0).shape[0] > NUM_CELLS / 2  # cells do differ
    order = np.random.default_rng(0).permutation(NUM_CELLS)
    some = order[:11]
    for size in (1, 7, 1000):
        model.set_params(batch_size=size)
        for rows in (order, some, some[:1]):
            found = model.predict_proba(cells[rows])
            np.testing.assert_allclose(found, expected[rows], rtol=0, atol=1e-6)
    model.set_params(batch_size=64)


def test_the_number_of_threads_does_not_matter(fitted):
    model, cells = fitted
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            found.append((model.predict_proba(cells), model.novelty(cells)))
    finally:
        torch.set_num_threads(before)
    for proba, novelty in found[1:]:
        np.testing.assert_allclose(proba, found[0][0], rtol=0, atol=1e-6)
        np.testing.assert_allclose(novelty, found[0][1], rtol=0, atol=1e-6)


def _shuffled(X):
    """The same matrix, each row's columns in no order."""
    X, rng = X.copy(), np.random.default_rng(0)
    for first, last in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        order = first + rng.permutation(last - first)
        X.indices[first:last], X.data[first:last] = X.indices[order], X.data[order]
    X.has_sorted_indices = False
    return X


def _with_stored_zeros(X):
    dense = X.toarray()
    rows, columns = np.indices(dense.shape).reshape(2, -1)
    return sp.csr_matrix((dense.ravel(), (rows, columns)), shape=dense.shape)


def _in_halves(X):
    """Every value stored as two that add up to it."""
    both = sp.csr_matrix(
        (np.repeat(X.data / 2, 2), np.repeat(X.indices, 2), 2 * X.indptr), shape=X.shape
    )
    assert not both.has_canonical_format
    return both


READ_IN_THREE_WAYS = pytest.mark.parametrize(
    "fitted", ["default", "logarithms", "features"], indirect=True
)
IN_MEMORY = {
    "dense": lambda X: X.toarray(),
    "dense, column by column": lambda X: np.asfortranarray(X.toarray()),
    "dense, a view": lambda X: np.repeat(X.toarray(), 2, axis=1)[:, ::2],
    "CSC": sp.csc_matrix,
    "CSR array": sp.csr_array,
    "64-bit": lambda X: X.astype("float64"),
    "64-bit indices": lambda X: sp.csr_matrix(
        (X.data, X.indices.astype("i8"), X.indptr.astype("i8"))
    ),
    "columns in no order": _shuffled,
    "stored zeros": _with_stored_zeros,
    "duplicates": _in_halves,
}


@READ_IN_THREE_WAYS
@pytest.mark.parametrize("form", IN_MEMORY)
def test_how_cells_are_held_in_memory_does_not_matter(fitted, form):
    model, cells = fitted
    other = cells.copy()
    other.X = IN_MEMORY[form](cells.X)
    np.testing.assert_array_equal(model.predict_proba(other), model.predict_proba(cells))
    assert (other.X != cells.X).sum() == 0  # and they were left as they were


@pytest.mark.parametrize("kind", ["int32", "uint16", "float64", ">f4"])
def test_the_number_format_of_counts_does_not_matter(counted, prior, kind):
    options = {"max_epochs": 1, "random_state": 0, "verbose": False}
    model = GeneGCNClassifier(prior, **options).fit(counted, "type")
    other = counted.copy()
    other.X = counted.X.toarray().astype(kind)
    np.testing.assert_array_equal(model.predict_proba(other), model.predict_proba(counted))


@READ_IN_THREE_WAYS
@pytest.mark.parametrize("make", [sp.csr_matrix, sp.csc_matrix, lambda X: X.toarray()])
@pytest.mark.parametrize("file", ["h5ad", "zarr", "backed h5ad", "backed zarr"])
def test_the_file_does_not_matter(fitted, file, make, tmp_path):
    model, cells = fitted
    other = cells.copy()
    other.X = make(cells.X)
    path = tmp_path / f"cells.{file[-4:]}"
    if file.endswith("h5ad"):
        other.write_h5ad(path)
        stored = read_h5ad(path, backed="r" if file.startswith("backed") else None)
    else:
        zarr = pytest.importorskip("zarr")
        other.write_zarr(path)
        stored = io.read_zarr(path)
        if file.startswith("backed"):
            group = zarr.open(path, mode="r")["X"]
            X = io.sparse_dataset(group) if sp.issparse(other.X) else group
            stored = AnnData(X, obs=cells.obs, var=cells.var)
    np.testing.assert_array_equal(model.predict_proba(stored), model.predict_proba(cells))
    if stored.isbacked:
        stored.file.close()
