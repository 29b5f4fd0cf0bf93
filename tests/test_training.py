import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback

from genegraph.batches import CellRows
from genegraph.nn import GeneGCN
from genegraph.recipe import Recipe
from genegraph.training import CellTypeTask, train


@pytest.fixture
def cells():
    rng = np.random.default_rng(0)
    X = rng.random((64, 6)).astype("float32")
    return X, (X[:, 0] > X[:, 1]).astype(np.int64)


def network() -> GeneGCN:
    torch.manual_seed(0)
    return GeneGCN(6, 2, hidden_channels=(8,), num_layers=0)


def test_the_best_epoch_comes_back_not_the_last(cells):
    X, y = cells
    validation = (X[:16], y[:16])
    # So long a step that the loss jumps up and down.
    task = CellTypeTask(network(), Recipe(optimizer="adam", lr=0.5, max_epochs=12, batch_size=8))
    train(task, CellRows(X[16:], y[16:]), CellRows(*validation))
    with torch.no_grad():
        logits = task.network(torch.from_numpy(validation[0]))
        loss = F.cross_entropy(logits, torch.from_numpy(validation[1])).item()
    losses = [epoch["val_loss"] for epoch in task.history]
    assert loss == pytest.approx(min(losses), rel=1e-5)
    assert losses[-1] > min(losses)


def test_history_tells_the_loss_of_validation_cells(cells):
    X, y = cells
    task = CellTypeTask(network(), Recipe(lr=0.0, max_epochs=1, batch_size=10))
    train(task, CellRows(X[16:], y[16:]), CellRows(X[:16], y[:16]))
    with torch.no_grad():
        logits = task.network(torch.from_numpy(X[:16]))
    epoch = task.history[0]
    expected = F.cross_entropy(logits, torch.from_numpy(y[:16])).item()
    assert epoch["val_loss"] == pytest.approx(expected, rel=1e-5)
    assert epoch["val_accuracy"] == pytest.approx(
        (logits.argmax(1).numpy() == y[:16]).mean(), rel=1e-5
    )


def test_patience_stops_early(cells):
    X, y = cells
    recipe = Recipe(optimizer="adam", lr=0.0, max_epochs=50, patience=3)
    task = CellTypeTask(network(), recipe)
    train(task, CellRows(X[16:], y[16:]), CellRows(X[:16], y[:16]))
    assert len(task.history) == 4


def test_without_validation_the_last_weights_stay(cells):
    task = CellTypeTask(network(), Recipe(max_epochs=3))
    train(task, CellRows(*cells), None)
    assert len(task.history) == 3
    assert "val_loss" not in task.history[0]


def test_a_loss_that_is_no_number_stops_training(cells):
    X, y = cells
    task = CellTypeTask(network(), Recipe(optimizer="adam", lr=1e30, max_epochs=5, batch_size=8))
    with pytest.raises(FloatingPointError, match="use a smaller 'lr'"):
        train(task, CellRows(X, y), None)


def test_class_weight_weighs_the_loss(cells):
    X, y = cells
    weight = torch.tensor([1.0, 5.0])
    task = CellTypeTask(network(), Recipe(), class_weight=weight)
    batch = {"x": torch.from_numpy(X), "y": torch.from_numpy(y)}
    loss, _ = task.compute(batch)
    expected = F.cross_entropy(task.network(batch["x"]), batch["y"], weight=weight)
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_mixed_precision_trains_and_clips(cells, optimizer):
    task = CellTypeTask(network(), Recipe(optimizer, lr=0.05, max_epochs=20, batch_size=8))
    train(task, CellRows(*cells), None, trainer_options={"precision": "bf16-mixed"})
    assert task.history[-1]["train_loss"] < 0.8 * task.history[0]["train_loss"]


def test_a_head_learns_nothing_from_the_cells_it_is_kept_from(cells):
    X, y = cells
    fold = np.arange(64) % 2

    def heads(X):
        torch.manual_seed(0)
        network = GeneGCN(6, 2, hidden_channels=(8,), num_layers=0, num_heads=4)
        train(
            CellTypeTask(network, Recipe(max_epochs=3), num_folds=2),
            CellRows(X, y, fold=fold),
            None,
        )
        return [torch.cat([p.flatten() for p in h.parameters()]) for h in network.head.heads]

    garbled = X.copy()
    garbled[fold == 1] = 100 * np.random.default_rng(1).random((32, 6))
    before, after = heads(X), heads(garbled)
    for m in range(4):
        assert torch.equal(before[m], after[m]) == (m % 2 == 1)


def test_each_head_trains_as_if_it_were_alone(cells):
    X, y = cells
    together = GeneGCN(6, 2, hidden_channels=(8,), num_layers=0, num_heads=3)
    alone = GeneGCN(6, 2, hidden_channels=(8,), num_layers=0)
    alone.head.heads[0].load_state_dict(together.head.heads[1].state_dict())
    for network in (together, alone):
        train(CellTypeTask(network, Recipe(lr=0.5, max_epochs=5)), CellRows(X, y), None)
    for ours, theirs in zip(
        together.head.heads[1].parameters(), alone.head.heads[0].parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


class Steps(Callback):
    """Keeps the weights after each step."""

    def __init__(self):
        self.weights = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        weights = pl_module.network.parameters()
        self.weights.append([weight.detach().clone() for weight in weights])


@pytest.mark.parametrize("num_epochs", [1, 5])
def test_what_training_leaves_is_the_running_mean_of_its_steps(cells, num_epochs):
    task = CellTypeTask(network(), Recipe(max_epochs=num_epochs, batch_size=10))
    steps = Steps()
    train(task, CellRows(*cells), None, trainer_options={"callbacks": [steps]})
    assert len(steps.weights) == 7 * num_epochs
    mean = steps.weights[0]
    for k, weights in enumerate(steps.weights[1:], start=1):
        decay = min(0.99, (1 + k) / (10 + k))
        mean = [decay * m + (1 - decay) * w for m, w in zip(mean, weights, strict=True)]
    for ours, theirs in zip(task.network.parameters(), mean, strict=True):
        torch.testing.assert_close(ours.detach(), theirs)
    assert not torch.allclose(mean[0], steps.weights[-1][0], atol=1e-4)
