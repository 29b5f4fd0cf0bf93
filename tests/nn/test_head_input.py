"""What the head reads."""

import h5py
import numpy as np
import pytest
import scipy.sparse as sp
import torch

from genegraph import head_statistics
from genegraph.batches import CellRows
from genegraph.expression_stored import StoredMatrix
from genegraph.head_statistics import settle_head_input
from genegraph.nn import GeneGCN
from genegraph.nn.head_input import HeadInput
from genegraph.recipe import Recipe


def test_as_it_comes_it_changes_nothing():
    x = torch.rand(3, 4)
    assert torch.equal(HeadInput(4)(x), x)


def test_the_features_that_vary_most_are_read_centred_and_scaled():
    torch.manual_seed(0)
    X = torch.rand(300, 6) * torch.tensor([0.1, 5.0, 0.2, 3.0, 0.0, 0.3]) + 7
    network = GeneGCN(6, 2, hidden_channels=(3,), num_layers=0, head_features=2)
    edges, device = (None, None), torch.device("cpu")
    settle_head_input(network, CellRows(X.numpy()), edges, Recipe(), device)
    assert network.head_input.columns.tolist() == [1, 3]
    read = network.head_input(X)
    torch.testing.assert_close(read.mean(0), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(read.square().sum(1).mean(), torch.tensor(18.0))  # (3 sqrt(2))^2
    settle_head_input(network, CellRows(X.numpy()), edges, Recipe("adam"), device)
    assert torch.equal(network.head_input(X), X[:, [1, 3]])


def settled(cells, seed=0):
    network = GeneGCN(6, 2, hidden_channels=(3,), num_layers=0, head_features=4, shrinkage=10.0)
    settle_head_input(network, cells, (None, None), Recipe(seed=seed), torch.device("cpu"))
    return network.head_input


def stored(X):
    file = h5py.File("cells", "w", driver="core", backing_store=False)
    return StoredMatrix(file.create_dataset("X", data=X))


@pytest.mark.parametrize("make", [np.asarray, sp.csr_matrix, stored])
def test_of_many_cells_some_are_looked_at_drawn_by_the_seed(monkeypatch, make):
    monkeypatch.setattr(head_statistics, "MOST_CELLS", 150)
    rng = np.random.default_rng(0)
    X = rng.poisson(rng.gamma(1, 3, 6), (1000, 6)).astype(np.float32)
    depth = rng.uniform(20, 60, 1000).astype(np.float32)
    read = settled(CellRows(make(X), depth=depth), seed=5)
    rows = np.random.default_rng(5).choice(1000, 150, replace=False)
    of_these = settled(CellRows(X[rows], depth=depth[rows]))
    assert torch.equal(read.columns, of_these.columns)
    torch.testing.assert_close(read.center, of_these.center)
    torch.testing.assert_close(read.scale, of_these.scale)
    of_others = settled(CellRows(make(X), depth=depth), seed=6)
    assert not torch.allclose(read.center, of_others.center)
    monkeypatch.undo()
    of_all = settled(CellRows(make(X), depth=depth))
    torch.testing.assert_close(read.scale, of_all.scale, rtol=0.2, atol=0)
