import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from genegraph.expression import (
    is_anndata,
    labels_from_obs,
    match_genes,
    prepare,
    read_anndata,
    recognise_values,
    resolve_values,
)
from genegraph.expression_matrix import take_columns

anndata = pytest.importorskip("anndata")

CELLS = Path(__file__).parents[1].parent / "shared" / "data" / "cells"
X = np.array([[1.0, 2.0, 0.0], [0.0, 4.0, 6.0]], dtype="float32")


def make_adata(X=X, genes=("A", "B", "C"), **obs):
    X = X if X is None or sp.issparse(X) else np.asarray(X)
    num_cells = 2 if X is None else X.shape[0]
    return anndata.AnnData(
        X,
        obs=pd.DataFrame(obs, index=[f"cell{i}" for i in range(num_cells)]),
        var=pd.DataFrame(index=list(genes)),
    )


def real_cells(name):
    path = CELLS / name
    if not path.exists():
        pytest.skip(f"{name} is not here; it is part of the shared real data")
    return anndata.read_h5ad(path)


# Reading


@pytest.mark.parametrize("make", [np.asarray, sp.csr_matrix, sp.csc_matrix, sp.csr_array])
def test_matrix_and_gene_names_come_out(make):
    cells = read_anndata(make_adata(make(X)))
    np.testing.assert_array_equal(cells.X.toarray() if sp.issparse(cells.X) else cells.X, X)
    assert sp.issparse(cells.X) == sp.issparse(make(X))
    assert list(cells.genes) == ["A", "B", "C"]
    assert cells.genes.dtype == object


def test_dense_matrices_come_in_c_order():
    assert read_anndata(make_adata(np.asfortranarray(X))).X.flags.c_contiguous


def test_views_become_plain_matrices():
    for make in (np.asarray, sp.csr_matrix):
        cells = read_anndata(make_adata(make(X))[[1, 0]][:, ["C", "A"]])
        assert type(cells.X) in (np.ndarray, sp.csr_matrix)
        matrix = cells.X.toarray() if sp.issparse(cells.X) else cells.X
        np.testing.assert_array_equal(matrix, [[6, 0], [0, 1]])


def test_a_layer_is_taken_by_name():
    adata = make_adata()
    adata.layers["counts"] = X * 2
    np.testing.assert_array_equal(read_anndata(adata, "counts").X, X * 2)
    with pytest.raises(KeyError, match=r"No layer 'count' in adata.layers; did you mean 'counts'"):
        read_anndata(adata, "count")


@pytest.mark.parametrize("make", [np.asarray, sp.csr_matrix, sp.csc_matrix])
def test_backed_files_are_read_into_memory(make, tmp_path):
    adata = make_adata(make(X))
    adata.layers["double"] = make(X * 2)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    backed = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    try:
        cells, double = read_anndata(backed), read_anndata(backed, "double")
        part = read_anndata(backed[[1]])
    finally:
        backed.file.close()
    for matrix, expected in [(cells.X, X), (double.X, X * 2), (part.X, X[[1]])]:
        assert type(matrix) is (np.ndarray if make is np.asarray else sp.csr_matrix)
        np.testing.assert_array_equal(sp.csr_matrix(matrix).toarray(), expected)


UNREADABLE = [
    (lambda: make_adata(None), ValueError, r"adata.X must hold .*got None.*has: none"),
    (lambda: make_adata(X[:0]), ValueError, "at least one cell.*got 0 cells and 3 genes"),
    (lambda: make_adata(X[:, :0], ()), ValueError, "got 2 cells and 0 genes"),
    (lambda: make_adata(X > 1), TypeError, r"adata.X must hold real numbers \(got dtype bool\)"),
    (lambda: make_adata(X * 1j), TypeError, "got dtype complex64"),
    (lambda: make_adata(X.astype(object)), TypeError, "got dtype object"),
    (
        lambda: make_adata(sp.csr_matrix(np.where(X == 4, np.nan, X))),
        ValueError,
        r"got 1 NaN or infinite, the first in cell 'cell1', gene 'B'",
    ),
    (lambda: X, TypeError, r"'adata' must be an AnnData \(got ndarray\)"),
]


@pytest.mark.parametrize(("make", "error", "message"), UNREADABLE)
def test_unreadable_data_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        read_anndata(make())


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_repeated_gene_names_are_refused_with_advice():
    with pytest.raises(ValueError, match=r"got 1 repeated: 'A'.*make_unique"):
        read_anndata(make_adata(genes=("A", "B", "A")))


def test_dask_arrays_are_refused(monkeypatch):
    class Lazy:
        __module__ = "dask.array.core"

    adata = make_adata()
    monkeypatch.setattr(type(adata), "X", Lazy())
    with pytest.raises(TypeError, match=r"dask array.*\.compute\(\)"):
        read_anndata(adata)


def test_asking_for_an_anndata_does_not_import_it():
    assert is_anndata(make_adata())
    assert not is_anndata(X)
    program = (
        "import sys; from genegraph.expression import is_anndata; "
        "print(is_anndata(1), 'anndata' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split("\n")[0] == "False False", done.stderr


# Aligning


def align_cells(X, genes, wanted, **options):
    columns = match_genes(genes, wanted, **options)
    return X if columns is None else take_columns(X, columns)


@pytest.mark.parametrize("make", [np.asarray, sp.csr_matrix, sp.csr_array])
def test_columns_follow_the_training_in_any_order(make):
    aligned = align_cells(make(X), ["A", "B", "C"], ["C", "A"])
    assert type(aligned) is type(make(X))
    assert aligned.dtype == np.float32
    np.testing.assert_array_equal(sp.csr_matrix(aligned).toarray(), [[0, 1], [6, 0]])
    if sp.issparse(aligned):
        assert aligned.has_canonical_format


@pytest.mark.parametrize("make", [np.asarray, sp.csr_matrix])
def test_missing_genes_are_zero_with_a_warning(make):
    wanted = ["C", "D", "A", "E", "B", "F"]
    with pytest.warns(
        UserWarning, match=r"lack 3 of the 6 genes.*\(50.0%\): 'D', 'E', 'F'. They are filled"
    ):
        aligned = align_cells(make(X), ["A", "B", "C"], wanted, max_missing=0.5)
    np.testing.assert_array_equal(
        sp.csr_matrix(aligned).toarray(), [[0, 0, 1, 0, 2, 0], [6, 0, 0, 0, 4, 0]]
    )


def test_too_many_missing_genes_are_refused():
    with pytest.raises(ValueError, match=r"lack 3 of the 6 .*At most 20% may be missing"):
        align_cells(X, ["A", "B", "C"], ["C", "D", "A", "E", "B", "F"])


def test_sparse_and_dense_align_alike_on_random_cells():
    rng = np.random.default_rng(0)
    cells = rng.poisson(0.3, (30, 50)).astype("float32")
    genes = [f"g{i}" for i in rng.permutation(50)]
    wanted = [f"g{i}" for i in rng.permutation(60)][:40]
    with pytest.warns(UserWarning, match="filled with zeros"):
        dense = align_cells(cells, genes, wanted, max_missing=1)
    with pytest.warns(UserWarning, match="filled with zeros"):
        sparse = align_cells(sp.csr_matrix(cells), genes, wanted, max_missing=1)
    np.testing.assert_array_equal(sparse.toarray(), dense)
    assert sparse.has_canonical_format
    expected = pd.DataFrame(cells, columns=genes).reindex(columns=wanted, fill_value=0)
    np.testing.assert_array_equal(dense, expected)


def test_genes_in_place_are_not_copied():
    assert align_cells(X, ["A", "B", "C"], np.array(["A", "B", "C"], dtype=object)) is X


def test_totals_count_genes_that_the_training_lacks():
    aligned = align_cells(prepare(X, "counts"), ["A", "B", "C"], ["A"])
    np.testing.assert_allclose(aligned, np.log1p([[1e4 / 3], [0]]), rtol=1e-6)


def test_no_shared_gene_is_explained(monkeypatch):
    name = "genegraph.interactions.identifiers"
    fake = types.SimpleNamespace(explain_mismatch=lambda a, b, **_: f"{list(a)} against {list(b)}")
    monkeypatch.setitem(sys.modules, name, fake)
    with pytest.raises(ValueError, match=r"\['A', 'B', 'C'\] against \['D'\]"):
        align_cells(X, ["A", "B", "C"], ["D"])
    with pytest.raises(ValueError, match=r"transposed; pass adata.T"):
        align_cells(X, ["c1", "c2", "c3"], ["TP53", "MYC"], obs_names=["MYC", "EGFR"])


def test_other_kinds_of_names_are_recognised():
    genes = ["ENSG00000141510", "ENSG00000136997", "ENSG00000146648"]
    with pytest.raises(ValueError, match=r"Ensembl gene ids.*the model has gene symbols"):
        align_cells(X, genes, ["TP53", "MYC"])


@pytest.mark.parametrize(
    ("genes", "wanted", "message"),
    [
        (["A", "B", "A"], ["A"], "'genes' must name each gene once"),
        (["A", "B", "C"], ["A", "A"], "'target_genes' must name each gene once"),
    ],
)
def test_names_that_do_not_fit_are_refused(genes, wanted, message):
    with pytest.raises(ValueError, match=message):
        align_cells(X, genes, wanted)


# Labels


@pytest.mark.parametrize(
    ("column", "expected", "dtype"),
    [
        (["T", "B"], ["T", "B"], object),
        (pd.Categorical(["T", "B"], categories=["B", "NK", "T"]), ["T", "B"], object),
        (pd.Categorical([3, 1]), [3, 1], np.int64),
        (pd.array(["T", "B"], dtype="string"), ["T", "B"], object),
        (pd.array([3, 1], dtype="Int64"), [3, 1], np.int64),
        (pd.array([True, False], dtype="boolean"), [True, False], np.bool_),
        (np.array([2, 7]), [2, 7], np.int64),
    ],
)
def test_labels_come_in_their_own_format(column, expected, dtype):
    labels = labels_from_obs(make_adata(label=column), "label")
    assert isinstance(labels, np.ndarray)
    assert labels.dtype == dtype
    assert labels.tolist() == expected


@pytest.mark.parametrize(
    "column", [["T", np.nan], ["T", None], ["T", ""], ["T", "  "], pd.Categorical(["T", None])]
)
def test_missing_labels_are_counted(column):
    adata = make_adata(label=column)
    with pytest.raises(ValueError, match=r"got 1 of 2 without a label, first 'cell1'.*notna"):
        labels_from_obs(adata, "label")


def test_missing_numbers_are_counted():
    with pytest.raises(ValueError, match="got 1 of 2 without a label, first 'cell0'"):
        labels_from_obs(make_adata(label=[np.nan, 1.0]), "label")


def test_mixed_labels_are_refused():
    with pytest.raises(ValueError, match=r"labels of one kind.*got int and str"):
        labels_from_obs(make_adata(label=["T", 1]), "label")


def test_an_unknown_column_is_met_with_a_guess():
    adata = make_adata(cell_type=["T", "B"], batch=[1, 2])
    with pytest.raises(KeyError) as caught:
        labels_from_obs(adata, "celltype")
    assert caught.value.args[0] == (
        "No column 'celltype' in adata.obs; did you mean 'cell_type'? (has: 'cell_type', 'batch')"
    )


# Real cells


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("zheng_facs_pbmc.h5ad", "counts"),
        ("pbmc3k.h5ad", "counts"),
        ("mouse_immune_actinn.h5ad", "counts"),
        ("mouse_mop_dot.h5ad", "counts"),
        ("pbmc_symphony_3tech.h5ad", None),
    ],
)
def test_real_cells_are_recognised(name, kind):
    adata = real_cells(name)
    cells = read_anndata(adata)
    assert recognise_values(cells.X) == kind
    assert len(labels_from_obs(adata, "cell_type")) == adata.n_obs
    if kind is None:
        with pytest.raises(ValueError, match="neither raw counts"):
            resolve_values(cells.X)
        assert prepare(cells.X, "log1p").dtype == np.float32
    else:
        assert recognise_values(prepare(cells.X)) == "log1p"


def test_scanpy_s_example_is_scaled_and_its_raw_is_a_gene_subset():
    scanpy = pytest.importorskip("scanpy")
    adata = scanpy.datasets.pbmc68k_reduced()
    with pytest.raises(ValueError, match=r"looks scaled.*adata.raw.to_adata\(\)"):
        resolve_values(read_anndata(adata).X)
    raw = read_anndata(adata.raw.to_adata()).X
    with pytest.raises(ValueError, match="neither raw counts nor log1p"):
        resolve_values(raw)
    prepared = prepare(raw, "log1p")
    np.testing.assert_array_equal(prepared.toarray(), raw.toarray())
