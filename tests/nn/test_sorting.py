import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genegraph.nn.sorting import sort_pairs


def assert_sorts(values):
    values = np.asarray(values, dtype=np.float64)
    before = values.copy()
    rising, order = sort_pairs(values, np.arange(len(values)))
    expected = np.argsort(values, kind="stable")
    np.testing.assert_array_equal(rising, values[expected])
    np.testing.assert_array_equal(values[order], values[expected])
    np.testing.assert_array_equal(values, before)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=True), max_size=50))
def test_sorts_numbers_of_any_size_and_sign(values):
    assert_sorts(values)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sorts_as_many_as_a_cell_has(dtype):
    values = np.random.default_rng(0).normal(size=20_499).astype(dtype)
    values[::3] = np.round(values[::3], 1)
    assert_sorts(values)


def test_equal_numbers_stay_as_they_came():
    rising, labels = sort_pairs(np.array([2.0, 1.0, 2.0, 1.0]), np.array([10, 20, 30, 40]))
    assert rising.tolist() == [1, 1, 2, 2]
    assert labels.tolist() == [20, 40, 10, 30]


def test_what_is_not_a_number_comes_last_or_first_and_nothing_is_lost():
    rising, labels = sort_pairs(np.array([np.nan, 1.0, -np.inf, -np.nan]), np.arange(4))
    assert sorted(labels) == [0, 1, 2, 3]
    assert np.isnan(rising[[0, -1]]).any()
    assert rising[~np.isnan(rising)].tolist() == [-np.inf, 1.0]
