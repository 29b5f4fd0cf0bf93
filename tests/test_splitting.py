import numpy as np
import pytest

from genegraph.splitting import split_folds, split_validation


def split(counts, fraction, seed=0):
    y = np.repeat(np.arange(len(counts)), counts)
    train, val = split_validation(y, fraction, np.random.RandomState(seed))
    return y, train, val


def test_every_class_gives_its_share_and_every_cell_is_used_once():
    y, train, val = split([100, 50, 10], 0.1)
    assert np.bincount(y[val]).tolist() == [10, 5, 1]
    assert sorted([*train, *val]) == list(range(160))


def test_classes_too_small_to_share_stay_in_training():
    y, _, val = split([100, 3, 1], 0.1)
    assert set(y[val]) == {0}


def test_a_class_never_leaves_training_altogether():
    y, train, _ = split([2, 2], 0.9)
    assert set(y[train]) == {0, 1}


def test_nothing_is_set_aside_at_zero():
    assert len(split([30, 30], 0)[2]) == 0


@pytest.mark.parametrize("fraction", [-0.1, 1, 2])
def test_other_fractions_are_refused(fraction):
    with pytest.raises(ValueError, match=r"'validation_fraction' must be at least 0 and less"):
        split([5, 5], fraction)


def test_folds_hold_a_like_share_of_every_class():
    y = np.repeat([0, 1, 2], [60, 13, 1])
    fold = split_folds(y, 6, np.random.RandomState(0))
    assert np.bincount(fold[y == 0]).tolist() == [10] * 6
    assert sorted(np.bincount(fold[y == 1], minlength=6)) == [2, 2, 2, 2, 2, 3]
    assert fold[y == 2].tolist() == [-1]


def test_folds_keep_groups_together_and_a_class_of_one_group_in_training():
    rng = np.random.default_rng(0)
    groups = rng.choice(["d1", "d2", "d3"], 300)
    y = rng.integers(0, 3, 300)
    y[groups == "d1"] = np.where(y[groups == "d1"] == 2, 3, y[groups == "d1"])  # 3 in d1 alone
    fold = split_folds(y, 6, np.random.RandomState(0), groups)
    assert (fold[y == 3] == -1).all()
    shared = y != 3
    assert sorted(np.unique(fold[shared])) == [0, 1, 2]
    for group in ("d1", "d2", "d3"):
        assert len(np.unique(fold[shared & (groups == group)])) == 1


def test_validation_keeps_groups_together():
    rng = np.random.default_rng(0)
    groups, y = rng.choice(list("abcdefghij"), 500), rng.integers(0, 3, 500)
    train, val = split_validation(y, 0.1, np.random.RandomState(0), groups)
    assert not set(groups[train]) & set(groups[val])
    assert sorted([*train, *val]) == list(range(500))
    assert 20 < len(val) < 90
