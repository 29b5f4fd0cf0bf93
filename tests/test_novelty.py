"""How far a cell is from every cell type."""

import warnings

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score

from genegraph.novelty import NUM_CELLS, Novelty, choose_cells


def drawn(num_cells, num_classes=4, num_features=60, seed=0):
    """Classes around means of their own, in a few correlated directions and noise."""
    fixed = np.random.default_rng(0)
    means = fixed.normal(0, 3, (num_classes, num_features))
    mixing = fixed.normal(0, 1, (8, num_features))
    rng = np.random.default_rng(seed + 1)
    codes = rng.integers(num_classes, size=num_cells)
    noise = rng.normal(0, 1, (num_cells, 8)) @ mixing + rng.normal(
        0, 0.5, (num_cells, num_features)
    )
    return (means[codes] + noise).astype(np.float32), codes


def test_distance_is_mahalanobis_to_the_nearest_mean():
    features, codes = drawn(200, num_classes=3, num_features=5)
    novelty = Novelty.of(features, codes, np.arange(200) % 5)
    # Five features are fewer than 30, so that the components are a rotation, which changes nothing.
    means = np.stack([features[codes == k].mean(0) for k in range(3)])
    around = LedoitWolf(assume_centered=True).fit(features - means[codes])
    query = np.float32([[1, 2, 3, 4, 5]])
    expected = min(mahalanobis(query[0], mean, around.precision_) for mean in means)
    place = query @ novelty.directions
    found = np.sqrt(((place - novelty.means) ** 2).sum(1)).min()
    assert found == pytest.approx(expected, rel=1e-3)


def test_novelty_is_the_share_of_nearer_training_cells():
    one = np.eye(1, dtype=np.float32)
    novelty = Novelty(one, one * 10, np.float32([1, 2, 2, 4]))
    assert novelty(np.float32([[10], [12], [12.5], [5], [14], [15]])).tolist() == [
        0,
        1 / 5,
        3 / 5,
        4 / 5,
        3 / 5,
        4 / 5,
    ]


@pytest.mark.parametrize("num_cells", [60, 400, 3000])
def test_of_known_types_the_share_promised_is_called_new(num_cells):
    shares = []
    for seed in range(10):
        features, codes = drawn(num_cells, seed=seed)
        novelty = Novelty.of(features, codes, np.arange(num_cells) % 5)
        query, _ = drawn(2000, seed=seed + 100)
        shares.append((novelty(query @ novelty.directions) > 0.9).mean())
    # Only about the share: the folds learn from fewer cells than the whole.
    assert 0.03 < np.mean(shares) < 0.15


def test_a_type_left_out_is_new():
    features, codes = drawn(1000)
    known = codes != 3
    novelty = Novelty.of(features[known], codes[known], np.arange(known.sum()) % 5)
    query, theirs = drawn(1000, seed=7)
    assert roc_auc_score(theirs == 3, novelty(query @ novelty.directions)) > 0.99


def test_cells_of_a_type_all_alike_and_types_of_one_cell():
    features = np.float32([[1, 0, 0]] * 5 + [[0, 1, 0]] * 5 + [[0, 0, 1]])
    codes = np.array([0] * 5 + [1] * 5 + [2])
    fold = np.array([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, -1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        novelty = Novelty.of(features, codes, fold)
    assert novelty(features @ novelty.directions).max() == 0
    assert novelty(np.float32([[1, 1, 1]]) @ novelty.directions) == 10 / 11


def test_rare_types_are_always_among_the_cells_chosen():
    codes = np.zeros(50_000, dtype=np.int64)
    codes[:7], codes[7:40] = 1, 2
    chosen = choose_cells(codes, np.random.RandomState(0))
    assert NUM_CELLS <= len(chosen) < NUM_CELLS + 40
    assert len(np.unique(chosen)) == len(chosen)
    assert (codes[chosen] == 1).sum() == 7
    assert 20 <= (codes[chosen] == 2).sum() < 30
    assert choose_cells(codes[:100], np.random.RandomState(0)).tolist() == list(range(100))


def test_distance_goes_on_where_novelty_ends():
    one = np.eye(1, dtype=np.float32)
    novelty = Novelty(one, one * 10, np.float32([1, 2, 2, 4]))
    usual = np.quantile([1, 2, 2, 4], 0.95)
    cells = np.float32([[10], [12], [0], [110]])
    np.testing.assert_allclose(novelty.distance(cells), [0, 2 / usual, 10 / usual, 100 / usual])
    with pytest.raises(ValueError, match="No training cells were held out"):
        Novelty(one, one, np.empty(0, np.float32)).distance(cells)


def test_what_cannot_be_is_refused():
    one = np.eye(1, dtype=np.float32)
    novelty = Novelty(one, one, np.arange(19, dtype=np.float32))
    novelty.check(0.94)
    for wrong in (0, 1, float("nan")):
        with pytest.raises(ValueError, match=r"'max_novelty' must lie between 0 and 1 \(got"):
            novelty.check(wrong)
    with pytest.raises(ValueError, match=r"'max_novelty' must be less than 0.95, the most that 19"):
        novelty.check(0.95)
    with pytest.raises(ValueError, match=r"must be of 2 features and 1 classes \(got directions"):
        novelty.check_shape(2, 1)
