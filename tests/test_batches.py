import numpy as np
import scipy.sparse as sp
import torch

from genegraph.batches import BatchOrder, CellLoader, CellRows, dense


def test_batches_hold_the_rows_asked_for_dense_and_sparse():
    X = np.array([[1, 0, 2], [0, 0, 0], [0, 3, 0], [4, 5, 6], [0, 0, 7]], dtype="float32")
    y = np.arange(5)
    for matrix in (X, sp.csr_matrix(X), sp.csr_array(X)):
        batches = list(CellLoader(CellRows(matrix, y), batch_size=2))
        assert [len(batch["y"]) for batch in batches] == [2, 2, 1]
        assert torch.equal(torch.cat([dense(b) for b in batches]), torch.from_numpy(X))
        assert torch.equal(torch.cat([b["y"] for b in batches]), torch.from_numpy(y))


def test_shuffled_rows_keep_their_labels():
    X = np.arange(50, dtype="float32")[:, None] * np.ones((1, 3), "float32")
    for batch in CellLoader(CellRows(X, np.arange(50)), batch_size=7, seed=3):
        assert torch.equal(dense(batch)[:, 0].long(), batch["y"])


def test_depth_travels_with_its_cell():
    X = np.arange(50, dtype="float32")[:, None] * np.ones((1, 3), "float32")
    cells = CellRows(X, depth=np.arange(50, dtype="float32"))
    for batch in CellLoader(cells, batch_size=7, seed=3):
        assert torch.equal(dense(batch)[:, 0], batch["depth"])
        assert "y" not in batch


def test_order_depends_on_seed_and_epoch_only():
    def order(seed, epoch):
        sampler = BatchOrder(20, 6, seed)
        sampler.set_epoch(epoch)
        return [position for window in sampler for position in window.rows[window.order]]

    assert order(1, 4) == order(1, 4)
    assert order(1, 4) != order(1, 5)
    assert order(1, 4) != order(2, 4)
    assert sorted(order(1, 4)) == list(range(20))
    assert order(None, 4) == list(range(20))
