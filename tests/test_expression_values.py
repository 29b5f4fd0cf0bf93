import numpy as np
import pytest
import scipy.sparse as sp

from genegraph import expression_matrix
from genegraph.expression_values import prepare, recognise_values, resolve_values

COUNTS = np.array([[1, 3, 0, 0], [0, 0, 5, 0], [2, 2, 2, 2]])
BY_HAND = np.log1p([[2500.0, 7500.0, 0, 0], [0, 0, 10000.0, 0], [2500.0] * 4])
FORMATS = {
    "dense": np.asarray,
    "fortran": np.asfortranarray,
    "csr": sp.csr_matrix,
    "csr_array": sp.csr_array,
    "csc": sp.csc_matrix,
    "coo": sp.coo_array,
}


def random_counts(num_cells=40, num_genes=30, seed=0):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.7, (num_cells, num_genes))
    counts[:, 0] += 1  # no empty cells
    return counts


def dense(X):
    return X.toarray() if sp.issparse(X) else X


@pytest.mark.parametrize("make", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64"])
def test_counts_become_log1p_of_counts_per_10000(make, dtype):
    X = prepare(make(COUNTS.astype(dtype)), "counts")
    np.testing.assert_allclose(dense(X), BY_HAND, rtol=1e-6)
    assert X.dtype == np.float32
    if sp.issparse(X):
        assert X.format == "csr"
        assert X.has_canonical_format
        assert isinstance(X, sp.sparray) == isinstance(make(COUNTS), sp.sparray)
    else:
        assert X.flags.c_contiguous


def test_prepared_cells_sum_to_10000():
    np.testing.assert_allclose(np.expm1(prepare(random_counts(), "counts")).sum(1), 1e4, rtol=1e-5)


@pytest.mark.parametrize("make", [np.asarray, sp.csr_matrix])
def test_totals_beyond_float32_are_exact(make):
    counts = np.ones((1, 1001), dtype="float32")
    counts[0, 0] = 2**24  # where float32 stops counting in ones
    expected = np.log1p(counts.astype("float64") * 1e4 / (2**24 + 1000))
    np.testing.assert_allclose(dense(prepare(make(counts), "counts")), expected, rtol=1e-6)


def test_counts_agree_with_scanpy():
    scanpy = pytest.importorskip("scanpy")
    anndata = pytest.importorskip("anndata")
    counts = random_counts(200, 50)
    adata = anndata.AnnData(sp.csr_matrix(counts.astype("float64")))
    scanpy.pp.normalize_total(adata, target_sum=1e4)
    scanpy.pp.log1p(adata)
    ours = prepare(sp.csr_matrix(counts.astype("float32")), "counts")
    np.testing.assert_allclose(ours.toarray(), adata.X.toarray(), rtol=1e-6)


def test_blocks_of_cells_change_nothing(monkeypatch):
    counts = random_counts()
    whole = [prepare(make(counts), "counts") for make in FORMATS.values()]
    monkeypatch.setattr(expression_matrix, "BLOCK_VALUES", 100)  # three cells at a time
    for make, before in zip(FORMATS.values(), whole, strict=True):
        np.testing.assert_array_equal(dense(prepare(make(counts), "counts")), dense(before))
    assert recognise_values(whole[0]) == "log1p"


@pytest.mark.parametrize("values", ["counts", "log1p", "features"])
@pytest.mark.parametrize("make", FORMATS.values(), ids=FORMATS)
def test_the_caller_s_matrix_is_left_alone(make, values):
    X = make(COUNTS.astype("float64") if values == "counts" else BY_HAND)
    before = X.copy()
    prepare(X, values)
    np.testing.assert_array_equal(dense(X), dense(before))


def test_unsorted_duplicate_entries_are_summed_without_overflow():
    X = sp.csr_matrix(
        (np.array([200, 7, 100], dtype="uint8"), np.array([1, 0, 1]), np.array([0, 3])),
        shape=(1, 2),
    )
    prepared = prepare(X, "counts")
    np.testing.assert_allclose(
        prepared.toarray(), np.log1p([[7 / 307 * 1e4, 300 / 307 * 1e4]]), rtol=1e-6
    )
    assert prepared.has_canonical_format
    assert X.nnz == 3


def test_empty_cells_stay_zero_with_a_warning():
    with pytest.warns(UserWarning, match="1 of 2 cells in adata.X have no counts"):
        X = prepare(np.array([[0, 0], [1, 1]]), "counts")
    np.testing.assert_allclose(X, [[0, 0], [np.log1p(5000)] * 2], rtol=1e-6)


def test_float32_data_is_not_copied():
    X = BY_HAND.astype("float32")
    assert np.shares_memory(prepare(X, "log1p"), X)
    csr = sp.csr_matrix(X)
    assert np.shares_memory(prepare(csr, "log1p").data, csr.data)


@pytest.mark.parametrize("make", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize(
    ("X", "kind"),
    [
        (COUNTS, "counts"),
        (COUNTS.astype("float32"), "counts"),
        ((COUNTS > 1).astype("int8"), "counts"),  # zeros and ones only
        (np.zeros((3, 2)), "counts"),
        (BY_HAND, "log1p"),
        (BY_HAND.astype("float32"), "log1p"),
        (np.vstack([BY_HAND, np.zeros((50, 4))]), "log1p"),  # empty cells do not vote
        (BY_HAND[:, 1:], None),  # a subset of the genes
        (np.log1p(COUNTS), None),  # not normalised
        (BY_HAND / np.log(2), None),  # another base
        (COUNTS - 1, None),
        (BY_HAND - 0.5, None),
        (BY_HAND * 2, None),
    ],
)
def test_values_are_recognised(make, X, kind):
    assert recognise_values(make(X)) == kind


def test_95_percent_of_the_cells_decide_within_1_percent():
    cells = np.log1p(np.tile([2500.0, 7500.0], (20, 1)))
    cells[0] = np.log1p([100.0, 100.0])
    assert recognise_values(cells) == "log1p"
    cells[1] = cells[0]
    assert recognise_values(cells) is None
    assert recognise_values(np.log1p([[2500.0, 7599.0]])) == "log1p"
    assert recognise_values(np.log1p([[2500.0, 7601.0]])) is None


def test_a_single_fraction_at_the_very_end_counts(monkeypatch):
    monkeypatch.setattr(expression_matrix, "BLOCK_VALUES", 100)
    counts = random_counts().astype("float64")
    assert recognise_values(counts) == "counts"
    counts[-1, -1] = 0.25
    assert recognise_values(counts) is None


def test_auto_resolves_once_and_arrays_are_features():
    assert resolve_values(COUNTS, "auto") == "counts"
    assert resolve_values(BY_HAND, "auto") == "log1p"
    assert resolve_values(COUNTS, "auto", is_anndata=False) == "features"
    assert resolve_values(-BY_HAND, "features") == "features"
    np.testing.assert_array_equal(prepare(COUNTS), prepare(COUNTS, "counts"))


def test_auto_describes_what_it_cannot_name():
    with pytest.raises(ValueError, match="neither raw counts nor log1p") as caught:
        resolve_values(np.array([[0.5, 3.0], [0.0, 1000.0]]))
    message = str(caught.value)
    assert "from 0 to 1000, 33% of the non-zero ones" in message
    for choice in ('values="counts"', 'values="log1p"', 'values="features"', "subset of the genes"):
        assert choice in message


REFUSED = [
    (COUNTS - 1, "auto", {}, r"must not hold negative values \(smallest -1\).*looks scaled.*raw"),
    (BY_HAND - 1, "counts", {}, "smallest -1.*adata.raw.to_adata"),
    (BY_HAND - 1, "log1p", {}, "smallest -1.*layer='counts'"),
    (BY_HAND - 1, "features", {}, "relu.*takes expression to be 0 or more"),
    (BY_HAND, "counts", {}, "values='counts' was given.*holds 7.824.*100%.*not whole"),
    (
        BY_HAND,
        "counts",
        {"fitted": True},
        "fitted on raw counts, but adata.X looks like log1p of counts per 10,000",
    ),
    (COUNTS, "log1p", {}, "looks like counts. If so, say values='counts'"),
    (COUNTS > 1, "log1p", {}, "must hold real numbers .got dtype bool"),
    ((COUNTS > 1) * 1, "log1p", {"fitted": True}, "fitted on log1p.*Normalise these cells"),
    (BY_HAND * 3, "log1p", {}, "stay below 20.*goes up to 27.6"),
    (
        BY_HAND * 3,
        "log1p",
        {"fitted": True},
        "stay below 20: the model was fitted on log1p.*Normalise",
    ),
    (np.array([[1e300, 0.5]]), "features", {}, "must stay below 1e.18"),
    (np.array([[1.1e18, 0.5]]), "features", {}, "products of larger values overflow"),
    (BY_HAND, "raw", {}, "'values' must be 'auto', 'counts', 'log1p' or 'features' .got 'raw'"),
    (np.zeros(3), "counts", {}, "must have shape .num_cells, num_genes. .got .3,.."),
    (np.array([["a"]]), "counts", {}, "must hold real numbers"),
    (COUNTS * 1j, "features", {}, "must hold real numbers"),
]


@pytest.mark.parametrize(("X", "values", "options", "message"), REFUSED)
def test_unfit_values_are_refused(X, values, options, message):
    error = TypeError if "real numbers" in message else ValueError
    with pytest.raises(error, match=f"(?s){message}"):
        prepare(X, values, **options)


@pytest.mark.parametrize("make", [np.asarray, sp.csr_matrix], ids=["dense", "csr"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted_and_located(make, bad, monkeypatch):
    monkeypatch.setattr(expression_matrix, "BLOCK_VALUES", 4)
    X = BY_HAND.copy()
    X[1, 2] = X[2, 0] = bad
    with pytest.raises(ValueError, match="got 2 NaN or infinite, the first in cell 1, gene 2"):
        prepare(make(X), "features")


def test_negative_features_pass_without_a_graph():
    X = prepare(BY_HAND - 1, "features", nonnegative=False)
    np.testing.assert_allclose(X, BY_HAND - 1, rtol=1e-6)


def test_a_gene_subset_of_log1p_data_passes_when_named():
    np.testing.assert_allclose(prepare(BY_HAND[:, 1:], "log1p"), BY_HAND[:, 1:], rtol=1e-6)


def test_the_source_is_named():
    with pytest.raises(ValueError, match=r"^adata.layers\['scaled'\] must not"):
        prepare(COUNTS - 1, source="adata.layers['scaled']")
