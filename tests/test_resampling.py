"""Training cells met anew within their type."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from genegraph.batches import dense
from genegraph.resampling import ResampledCells


def _cells(form=np.asarray, depth=50, num_cells=40, seed=0):
    rng = np.random.default_rng(7)
    y = np.arange(num_cells) % 2
    rates = np.where(y[:, None] == 0, [0.5, 0.5, 0, 0], [0, 0, 0.9, 0.1])
    X = np.stack([rng.multinomial(depth, rate) for rate in rates]).astype("float32")
    return X, y, ResampledCells(form(X), y, X.sum(1), np.arange(num_cells) // 2 % 2, seed)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix, sp.csr_array])
def test_reads_come_from_the_own_type_and_are_about_as_many(form):
    X, y, cells = _cells(form)
    batch = cells[list(range(40))]
    met = dense(batch).numpy()
    assert torch.equal(batch["y"], torch.from_numpy(y))
    assert torch.equal(batch["depth"], torch.full((40,), 50.0))
    assert not met[y == 0][:, 2:].any()
    assert not met[y == 1][:, :2].any()
    assert (met == np.rint(met)).all()
    changed = (met != X).any(1).mean()
    assert 0.4 < changed < 0.95  # a cell of 50 reads is resampled with probability 2 / 3
    assert abs(met.sum(1).mean() - 50) < 4


def test_deep_cells_stay_as_they_are():
    X, _, cells = _cells(depth=1_000_000)
    assert np.array_equal(dense(cells[list(range(40))]).numpy(), X)


def test_the_mean_cell_of_a_type_stays_the_same():
    X, y, cells = _cells()
    met = np.concatenate([dense(cells[[*range(40), i]]).numpy()[:40] for i in range(40)])
    for label in (0, 1):
        mean = met[np.tile(y, 40) == label].mean(0)
        np.testing.assert_allclose(mean, X[y == label].mean(0), atol=1.0)


def test_what_is_drawn_depends_on_seed_and_positions_only():
    draws = [_cells(seed=seed)[2][[3, 1, 2]]["x"] for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_a_type_with_one_cell_and_an_empty_cell():
    X = np.array([[2, 3], [0, 0], [0, 0]], dtype="float32")
    cells = ResampledCells(X, np.array([0, 1, 1]), X.sum(1), np.array([-1, 0, 0]), 0)
    for i in range(20):
        met = dense(cells[[0, 1, 2, *[0] * i]]).numpy()
        assert not met[1:3].any()


def test_the_other_cell_is_of_the_same_fold():
    fold = np.arange(40) % 3 - 1
    X = np.zeros((40, 3), dtype="float32")
    X[np.arange(40), fold + 1] = 50  # a gene for each fold: reads of another would show
    cells = ResampledCells(X, np.zeros(40, dtype=np.int64), X.sum(1), fold, 0)
    batch = cells[list(range(40))]
    assert torch.equal(batch["fold"], torch.from_numpy(fold))
    assert np.array_equal(dense(batch).numpy() > 0, X > 0)
