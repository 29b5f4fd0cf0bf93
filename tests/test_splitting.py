import numpy as np
import pytest

from genegraph.splitting import split_validation


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
