"""Reads recovered from logarithms."""

import numpy as np
import pytest
import scipy.sparse as sp

from genegraph.expression_counts import CountedCells, count_cells


def _counts(num_cells=50, num_genes=300, seed=0):
    rng = np.random.default_rng(seed)
    return rng.poisson(rng.gamma(0.3, 3.0, (num_cells, num_genes))).astype(np.float64)


def _log(counts, depth=None, target=1e4):
    depth = counts.sum(1) if depth is None else depth
    return np.log1p(target * counts / depth[:, None]).astype(np.float32)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix, sp.csr_array])
@pytest.mark.parametrize("target", [1e4, 1e6, 837.0])
def test_counts_come_back_from_their_logarithms(form, target):
    counts = _counts()
    cells = count_cells(form(_log(counts, target=target)), "log1p")
    assert isinstance(cells, CountedCells)
    found = cells.X.toarray() if sp.issparse(cells.X) else cells.X
    np.testing.assert_array_equal(found, counts)
    np.testing.assert_array_equal(cells.depth, counts.sum(1))


def test_a_subset_of_the_genes_shows_the_depth_of_all():
    counts = _counts()
    cells = count_cells(sp.csr_matrix(_log(counts)[:, :100]), "log1p")
    np.testing.assert_array_equal(cells.depth, counts.sum(1))
    np.testing.assert_array_equal(cells.X.toarray(), counts[:, :100])


def test_one_cell_with_some_of_the_genes_is_what_it_is_among_others():
    counts = _counts()
    logs = _log(counts)[:, :100]
    among_others = count_cells(logs, "log1p")
    assert among_others.target_sum == 1e4
    alone = count_cells(logs[:1], "log1p", target_sum=among_others.target_sum)
    np.testing.assert_array_equal(alone.X, among_others.X[:1])
    assert alone.depth == among_others.depth[0] == counts[0].sum()


def test_a_cell_without_single_reads():
    counts = np.array([[2.0, 3.0, 5.0, 0.0], [1.0, 0.0, 4.0, 2.0]])
    cells = count_cells(_log(counts), "log1p")
    np.testing.assert_array_equal(cells.X, counts)


def test_deep_cells():
    counts = np.array([[1.0, 60_000.0, 7.0, 40_003.0]])
    np.testing.assert_array_equal(count_cells(_log(counts), "log1p").X, counts)


def test_cells_that_are_no_counts_are_named():
    x = _log(_counts())
    x[[3, 7]] += np.where(x[[3, 7]] > 0, np.random.default_rng(0).random((2, 300)) * 0.1, 0)
    assert count_cells(x, "log1p").tolist() == [3, 7]


def test_logarithms_rounded_to_three_decimals():
    counts = _counts()
    cells = count_cells(np.round(_log(counts), 3), "log1p")
    np.testing.assert_array_equal(cells.X, counts)
    np.testing.assert_allclose(cells.depth, counts.sum(1), rtol=2e-3)


def test_depth_that_is_known_is_used():
    counts = 5.0 * _counts()  # no step of one read is to be seen
    cells = count_cells(_log(counts), "log1p", depth=counts.sum(1))
    np.testing.assert_array_equal(cells.X, counts)
    cells = count_cells(counts, "counts", depth=counts.sum(1) + 10)
    np.testing.assert_array_equal(cells.depth, counts.sum(1) + 10)


def test_a_wrong_depth_is_refused():
    counts = _counts()
    with pytest.raises(ValueError, match="at least the sum of its counts"):
        count_cells(counts, "counts", depth=counts.sum(1) - 1)
    with pytest.raises(ValueError, match="one number of reads"):
        count_cells(counts, "counts", depth=np.full(50, np.nan))
    assert len(count_cells(_log(counts), "log1p", depth=counts.sum(1) * 0.37))


def test_empty_cells_have_no_reads():
    counts = _counts()
    counts[4] = 0
    with np.errstate(invalid="ignore"):
        cells = count_cells(np.nan_to_num(_log(counts)), "log1p")
    assert cells.depth[4] == 0
    assert not cells.X[4].any()
