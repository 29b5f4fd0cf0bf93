import pickle

import pytest
import torch

from genegraph.safefile import read_safe, write_safe

pl = pytest.importorskip("lightning.pytorch")
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint  # noqa: E402

from genegraph.checkpoint_io import SafeCheckpointIO  # noqa: E402


class Net(pl.LightningModule):
    def __init__(self, hidden=4):
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(3, hidden), torch.nn.BatchNorm1d(hidden), torch.nn.Linear(hidden, 2)
        )

    def loss(self, batch):
        return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def training_step(self, batch):
        return self.loss(batch)

    def validation_step(self, batch):
        self.log("val_loss", self.loss(batch))

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=0.01)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.05, total_steps=12)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


class Recorder(pl.Callback):
    """A callback with a state of its own, of whatever kind."""

    def __init__(self, state):
        self.state = state

    def state_dict(self):
        return {"seen": self.state}


def batches():
    generator = torch.Generator().manual_seed(0)
    cells = torch.randn(24, 3, generator=generator)
    data = torch.utils.data.TensorDataset(cells, (cells[:, 0] > 0).long())
    return torch.utils.data.DataLoader(data, batch_size=8)


def fit(folder, epochs, resume=None, callbacks=()):
    torch.manual_seed(0 if resume is None else 99)
    module = Net()
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        plugins=[SafeCheckpointIO()],
        callbacks=[
            EarlyStopping("val_loss", patience=5),
            ModelCheckpoint(folder, monitor="val_loss", save_last=True, save_top_k=1),
            *callbacks,
        ],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, batches(), batches(), ckpt_path=resume)
    return trainer


# torch deprecates what Lightning uses, and Lightning remarks on the folder when resuming.
quiet = pytest.mark.filterwarnings(
    "ignore:.*isinstance.treespec, LeafSpec",
    "ignore:Checkpoint directory .* exists and is not empty",
)


@quiet
def test_resumed_training_equals_training_in_one_go(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("unpickling")

    whole = fit(tmp_path / "whole", epochs=4)
    fit(tmp_path / "parts", epochs=2)
    monkeypatch.setattr(pickle, "Unpickler", refuse)
    monkeypatch.setattr(torch, "load", refuse)
    resumed = fit(tmp_path / "parts", epochs=4, resume=tmp_path / "parts" / "last.ckpt")

    assert resumed.global_step == whole.global_step == 12
    ours, theirs = (trainer.lightning_module.state_dict() for trainer in (resumed, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    ours, theirs = (trainer.optimizers[0].state_dict() for trainer in (resumed, whole))
    assert ours["param_groups"] == theirs["param_groups"]
    for index, state in theirs["state"].items():
        assert all(torch.equal(ours["state"][index][name], state[name]) for name in state)
    ours, theirs = (trainer.early_stopping_callback for trainer in (resumed, whole))
    assert torch.equal(ours.best_score, theirs.best_score)


@quiet
def test_checkpoints_come_back_as_lightning_made_them(tmp_path):
    trainer = fit(tmp_path / "a", epochs=1)
    made = trainer._checkpoint_connector.dump_checkpoint()
    plugin = SafeCheckpointIO()
    plugin.save_checkpoint(made, tmp_path / "new" / "folder" / "c.ckpt")
    found = plugin.load_checkpoint(tmp_path / "new" / "folder" / "c.ckpt")
    assert list(found) == list(made)
    assert repr(found) == repr(made)
    assert found["state_dict"]._metadata == made["state_dict"]._metadata


@quiet
def test_a_callback_with_a_function_is_refused_by_place(tmp_path):
    with pytest.raises(TypeError, match=r"^callbacks.Recorder.seen: cannot store .*function"):
        fit(tmp_path, epochs=1, callbacks=[Recorder(batches)])


@quiet
def test_old_checkpoints_are_removed(tmp_path):
    fit(tmp_path, epochs=3)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 2  # the best, and the last
    assert "last.ckpt" in names


def test_devices_are_followed_and_other_maps_refused(tmp_path):
    plugin = SafeCheckpointIO()
    plugin.save_checkpoint({"w": torch.ones(2)}, tmp_path / "c")
    assert plugin.load_checkpoint(tmp_path / "c", map_location="meta")["w"].is_meta
    assert plugin.load_checkpoint(tmp_path / "c", weights_only=False)["w"].sum() == 2
    with pytest.raises(TypeError, match=r"'map_location' must be a device or None \(got dict"):
        plugin.load_checkpoint(tmp_path / "c", map_location={"cuda:0": "cpu"})
    with pytest.raises(TypeError, match="'storage_options' must be None"):
        plugin.save_checkpoint({}, tmp_path / "d", storage_options={"key": 1})


def test_a_missing_checkpoint_says_so_and_can_be_removed(tmp_path):
    with pytest.raises(FileNotFoundError):
        SafeCheckpointIO().load_checkpoint(tmp_path / "nowhere")
    SafeCheckpointIO().remove_checkpoint(tmp_path / "nowhere")


def test_models_are_no_checkpoints(tmp_path):
    write_safe(tmp_path / "m", {}, {}, kind="model", version=1)
    with pytest.raises(ValueError, match=r"must hold a checkpoint \(got a model\)"):
        SafeCheckpointIO().load_checkpoint(tmp_path / "m")
    write_safe(tmp_path / "c", {}, {"tree": [1]}, kind="checkpoint", version=1)
    with pytest.raises(ValueError, match=r"must hold a dict \(got list\)"):
        SafeCheckpointIO().load_checkpoint(tmp_path / "c")
    assert read_safe(tmp_path / "c", kind="checkpoint", version=1)[1] == {"tree": [1]}
