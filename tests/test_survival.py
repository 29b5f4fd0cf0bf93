"""Whatever breaks while training, nothing learned is lost, and the truth is told."""

import os
import resource
import shutil
import signal
import threading
import warnings

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from mishaps import (
    PATIENT,
    At,
    In,
    PowerCutError,
    ctrl_c,
    make,
    out_of_memory,
    poison,
    power_cut,
    same,
)

from genegraph import GeneGCNClassifier
from genegraph.checkpoint_folder import BEFORE, LAST
from genegraph.checkpoint_io import SafeCheckpointIO

pytestmark = pytest.mark.usefixtures("ctrl_c_interrupts")


def cut(adata, graph, folder, epoch=4, **settings):
    """Leaves the folder as a fit leaves it whose process dies in an epoch."""
    with pytest.raises(PowerCutError):
        make(graph, At(epoch, 2, power_cut), **settings).fit(
            adata, "cell_type", checkpoint_dir=folder
        )


UNINTERRUPTED = {}


def uninterrupted(adata, graph, **settings):
    """The model of a fit that nothing interrupts; made once for all tests."""
    key = str(settings)
    if key not in UNINTERRUPTED:
        UNINTERRUPTED[key] = make(graph, **settings).fit(adata, "cell_type")
    return UNINTERRUPTED[key]


@pytest.fixture
def whole(adata, graph):
    return uninterrupted(adata, graph)


# --- checkpoints -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.pop("optimizer_states"),
        lambda state: state.pop("history"),
        lambda state: state.pop("loops"),
        lambda state: state["callbacks"].pop("Fingerprint"),
        lambda state: state["state_dict"].popitem(),
        lambda state: state["state_dict"].update(strange=torch.zeros(3)),
        lambda state: state.update(rng_state="hello"),
        lambda state: state["optimizer_states"][0]["param_groups"].pop(),
    ],
)
def test_a_whole_checkpoint_with_the_wrong_content_is_refused(adata, graph, tmp_path, change):
    cut(adata, graph, tmp_path)
    state = SafeCheckpointIO().load_checkpoint(tmp_path / LAST)
    change(state)
    SafeCheckpointIO().save_checkpoint(state, tmp_path / LAST)
    before = (tmp_path / LAST).read_bytes()
    with pytest.raises(ValueError, match=r"last.ckpt is whole, but training cannot go on .*afresh"):
        make(graph).fit(adata, "cell_type", checkpoint_dir=tmp_path)
    assert (tmp_path / LAST).read_bytes() == before


@pytest.mark.parametrize("training", [1, 2])
def test_pretraining_goes_on_too(adata, graph, tmp_path, training):
    whole = uninterrupted(adata, graph, pretrain=True)
    with pytest.raises(PowerCutError):
        make(graph, In(training, 4, 1, power_cut), pretrain=True).fit(
            adata, "cell_type", checkpoint_dir=tmp_path
        )
    first = []
    model = make(graph, In(1, 1, 1, lambda _: first.append(1)), pretrain=True)
    assert same(model.fit(adata, "cell_type", checkpoint_dir=tmp_path), whole)
    assert not first  # what was pretrained is not pretrained again


def test_the_last_two_checkpoints_are_kept(adata, graph, tmp_path):
    cut(adata, graph, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([BEFORE, LAST])
    epochs = [
        SafeCheckpointIO().load_checkpoint(tmp_path / name)["epoch"] for name in (BEFORE, LAST)
    ]
    assert epochs == [1, 2]  # counted from 0


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1000])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, lambda path: path.write_bytes(b"")])
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(
    adata, graph, tmp_path, whole, damage
):
    cut(adata, graph, tmp_path)
    damage(tmp_path / LAST)
    with pytest.warns(UserWarning, match=rf"cannot be read: .*{LAST}.* one before, .*{BEFORE}"):
        model = make(graph).fit(adata, "cell_type", checkpoint_dir=tmp_path)
    assert same(model, whole)


def test_the_one_before_serves_where_a_kill_left_no_last(adata, graph, tmp_path, whole):
    cut(adata, graph, tmp_path)
    (tmp_path / LAST).unlink()
    (tmp_path / ".next.ckpt.0123.tmp.ckpt").write_bytes(b"half a checkpoint")
    model = make(graph).fit(adata, "cell_type", checkpoint_dir=tmp_path)
    assert same(model, whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([BEFORE, LAST])


def test_without_a_checkpoint_that_can_be_read_nothing_starts_afresh(adata, graph, tmp_path):
    cut(adata, graph, tmp_path)
    for name in (BEFORE, LAST):
        truncate(tmp_path / name)
    with pytest.raises(ValueError, match=r"No checkpoint .* can be read: .* Empty the folder"):
        make(graph).fit(adata, "cell_type", checkpoint_dir=tmp_path)


@pytest.mark.parametrize("settings", [{}, PATIENT, {**PATIENT, "patience": 1, "lr": 5.0}], ids=str)
def test_a_fit_killed_after_its_training_takes_no_further_step(adata, graph, tmp_path, settings):
    model = make(graph, **settings).fit(adata, "cell_type", checkpoint_dir=tmp_path)
    if settings.get("patience") == 1:
        assert model.n_iter_ < 6  # patience did end it
    again = make(graph, **settings).fit(adata, "cell_type", checkpoint_dir=tmp_path)
    assert same(again, model)


class Losses(Callback):
    def __init__(self):
        self.losses = {}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.losses[trainer.global_step] = outputs["loss"].item()


def test_with_two_threads_ten_steps_after_resuming_agree(adata, graph, tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        seen, resumed = Losses(), Losses()
        make(graph, seen).fit(adata, "cell_type")
        cut(adata, graph, tmp_path, epoch=3)
        make(graph, resumed).fit(adata, "cell_type", checkpoint_dir=tmp_path)
    finally:
        torch.set_num_threads(threads)
    steps = sorted(resumed.losses)[:10]
    assert steps == list(range(9, 19))  # after two epochs of four
    ours, theirs = ([each.losses[step] for step in steps] for each in (resumed, seen))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    assert len(set(theirs)) == 10


# --- Ctrl-C ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "step", "steps"),
    [
        ({}, 1, 4),
        ({}, 4, 4),  # the last of its epoch
        (PATIENT, 2, 3),
        ({"attention": "shared", "num_neighbors": 3}, 3, 4),  # neighbours chosen every epoch
    ],
    ids=str,
)
def test_ctrl_c_stops_after_the_step_and_the_fit_goes_on_from_there(
    adata, graph, tmp_path, settings, step, steps
):
    before = signal.getsignal(signal.SIGINT)
    stopped = make(graph, At(3, step, ctrl_c), **settings)
    with pytest.warns(UserWarning, match=r"^Training was stopped after .* goes on from there"):
        stopped.fit(adata, "cell_type", checkpoint_dir=tmp_path)
    assert signal.getsignal(signal.SIGINT) is before
    stopped.save(tmp_path / "model")  # a whole model
    loaded = GeneGCNClassifier.load(tmp_path / "model")
    assert np.array_equal(loaded.predict_proba(adata), stopped.predict_proba(adata))
    assert np.isfinite(stopped.predict_proba(adata)).all()
    seen = Losses()
    resumed = make(graph, seen, **settings).fit(adata, "cell_type", checkpoint_dir=tmp_path)
    assert min(seen.losses) == 2 * steps + step + 1  # no step twice, none left out
    assert same(resumed, uninterrupted(adata, graph, **settings))


def test_ctrl_c_goes_on_within_an_epoch_read_from_disk(adata, graph, tmp_path, monkeypatch):
    import anndata

    monkeypatch.setattr("genegraph.expression_stored.WINDOW_BYTES", 3_000)
    monkeypatch.setattr("genegraph.expression_stored.BLOCK_BYTES", 1_000)
    monkeypatch.setattr("genegraph.expression_stored._chunk_bytes", lambda X: 0)
    adata.write_h5ad(tmp_path / "cells.h5ad")

    def cells():
        return anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")

    with pytest.warns(UserWarning, match="Training was stopped after 10 steps"):
        make(graph, At(3, 2, ctrl_c)).fit(cells(), "cell_type", checkpoint_dir=tmp_path / "s")
    resumed = make(graph).fit(cells(), "cell_type", checkpoint_dir=tmp_path / "s")
    assert same(resumed, make(graph).fit(cells(), "cell_type"))


def test_ctrl_c_without_a_folder_says_what_would_help(adata, graph, capfd):
    model = make(graph, At(2, 1, ctrl_c))
    with pytest.warns(UserWarning, match=r"after 5 steps, which are 1\.25 of 6 .*checkpoint_dir"):
        model.fit(adata, "cell_type")
    assert "Stopping after this step; Ctrl-C again interrupts at once." in capfd.readouterr().err
    assert model.n_iter_ == 1
    assert set(model.predict(adata)) <= set(model.classes_)


def test_ctrl_c_in_the_last_step_ends_training_as_planned(adata, graph, whole):
    model = make(graph, At(6, 4, ctrl_c)).fit(adata, "cell_type")
    assert same(model, whole)


def test_ctrl_c_twice_interrupts_at_once(adata, graph):
    def twice(module):
        ctrl_c(module)
        ctrl_c(module)
        raise AssertionError("went on")

    with pytest.raises(KeyboardInterrupt):
        make(graph, At(2, 1, twice)).fit(adata, "cell_type")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_before_a_cell_can_be_named_interrupts(adata, graph):
    with pytest.raises(KeyboardInterrupt):
        make(graph, At(2, 1, ctrl_c), pretrain=True).fit(adata, "cell_type")


def test_whoever_handles_ctrl_c_still_does(adata, graph):
    calls = []
    before = signal.signal(signal.SIGINT, lambda *_: calls.append(1))
    try:
        model = make(graph, At(2, 1, ctrl_c)).fit(adata, "cell_type")
    finally:
        signal.signal(signal.SIGINT, before)
    assert calls == [1]
    assert model.n_iter_ == 6


def test_a_fit_in_another_thread_leaves_ctrl_c_alone(adata, graph, whole):
    handlers, models = [], []

    def look(_):
        handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(
        target=lambda: models.append(make(graph, At(2, 1, look)).fit(adata, "cell_type"))
    )
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]
    assert same(models[0], whole)


# --- the disk ----------------------------------------------------------------------------------


def test_a_full_disk_is_told_and_training_goes_on(adata, graph, tmp_path, whole):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(_):
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, hard))

    try:
        with pytest.warns(UserWarning, match=r"No checkpoint .* in epoch 3: .*too large") as told:
            model = make(graph, At(3, 1, fill)).fit(adata, "cell_type", checkpoint_dir=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(told) == 1  # once, not after every epoch
    assert same(model, whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([BEFORE, LAST])
    assert SafeCheckpointIO().load_checkpoint(tmp_path / LAST)["epoch"] == 1
    assert same(make(graph).fit(adata, "cell_type", checkpoint_dir=tmp_path), whole)


def test_ctrl_c_on_a_full_disk_still_leaves_a_model(adata, graph, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_and_stop(_):
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, hard))
        ctrl_c(_)

    model = make(graph, At(3, 1, fill_and_stop))
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", UserWarning)
            model.fit(adata, "cell_type", checkpoint_dir=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    first, second = (str(each.message) for each in told if each.category is UserWarning)
    assert "No checkpoint could be written in epoch 3" in first
    assert "the checkpoint could not be written" in second
    assert np.isfinite(model.predict_proba(adata)).all()


@pytest.mark.parametrize("place", ["file", "file/folder"])
def test_a_folder_that_cannot_be_is_refused_before_training(adata, graph, tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    model = make(graph, At(1, 1, power_cut))  # not reached
    with pytest.raises(OSError, match="'checkpoint_dir' must be a folder that can be written to"):
        model.fit(adata, "cell_type", checkpoint_dir=tmp_path / place)


def test_a_read_only_folder_is_refused_before_training(adata, graph, tmp_path, monkeypatch):
    def refuse(path, content):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("genegraph.checkpoint_folder.write_whole", refuse)
    with pytest.raises(PermissionError, match=r"'checkpoint_dir' must be .*Permission denied"):
        make(graph, At(1, 1, power_cut)).fit(adata, "cell_type", checkpoint_dir=tmp_path)


def test_a_folder_removed_meanwhile_is_made_again_and_told(adata, graph, tmp_path, whole):
    folder = tmp_path / "state"

    def remove(_):
        shutil.rmtree(folder)

    with pytest.warns(UserWarning, match="'checkpoint_dir' .* is gone; it is made again"):
        model = make(graph, At(4, 2, remove)).fit(adata, "cell_type", checkpoint_dir=folder)
    assert same(model, whole)
    assert SafeCheckpointIO().load_checkpoint(folder / LAST)["epoch"] == 5


def test_a_folder_that_became_a_file_costs_no_training(adata, graph, tmp_path, whole):
    folder = tmp_path / "state"

    def replace(_):
        shutil.rmtree(folder)
        folder.write_text("in the way")

    with pytest.warns(UserWarning, match="No checkpoint could be written in epoch 4"):
        model = make(graph, At(4, 2, replace)).fit(adata, "cell_type", checkpoint_dir=folder)
    assert same(model, whole)


# --- memory and numbers ------------------------------------------------------------------------


def test_a_device_without_memory_for_a_batch_says_what_to_set(adata, graph):
    model = make(graph, At(1, 1, out_of_memory))
    with pytest.raises(torch.OutOfMemoryError) as told:
        model.fit(adata, "cell_type")
    assert "does not hold a batch of 32 cells: set a smaller 'batch_size'" in str(told.value)
    assert "try 16" in str(told.value)
    assert "keeps" not in str(told.value)


def test_a_device_out_of_memory_later_leaves_what_was_learned(adata, graph):
    model = make(graph, At(3, 2, out_of_memory))
    with pytest.raises(torch.OutOfMemoryError, match="keeps what it had learned in 9 steps"):
        model.fit(adata, "cell_type")
    stopped = make(graph, At(3, 1, ctrl_c))
    with pytest.warns(UserWarning, match="after 9 steps"):
        stopped.fit(adata, "cell_type")
    assert same(model, stopped)  # of which we know that it is a model


def test_a_device_without_memory_to_predict_says_what_to_set(adata, whole, monkeypatch):
    monkeypatch.setattr(type(whole.network_), "read", lambda *_: out_of_memory(None))
    with pytest.raises(torch.OutOfMemoryError, match="does not hold a batch of 32 cells"):
        whole.predict(adata)


@pytest.mark.parametrize("settings", [{}, PATIENT], ids=str)
def test_a_loss_that_is_no_number_names_its_step_and_the_best_weights_return(
    adata, graph, settings
):
    model = make(graph, At(4, 2, poison), **settings)
    steps = 3 if settings else 4
    text = rf"loss became nan in epoch 4, at step 2 of {steps}; .* keeps the weights of epoch 3\."
    with pytest.raises(FloatingPointError, match=text):
        model.fit(adata, "cell_type")
    assert np.isnan(model.history_[-1]["train_loss"])
    stopped = make(graph, At(3, steps, ctrl_c), **settings)
    with pytest.warns(UserWarning, match=f"after {3 * steps} steps"):
        stopped.fit(adata, "cell_type")
    assert np.array_equal(model.predict_proba(adata), stopped.predict_proba(adata))


def test_a_loss_that_is_no_number_in_the_first_epoch_leaves_nothing_to_keep(adata, graph):
    text = r"in epoch 1, at step 3 of 4; use a smaller 'lr' \(got 0\.05\)\.$"
    with pytest.raises(FloatingPointError, match=text):
        make(graph, At(1, 3, poison)).fit(adata, "cell_type")


def test_weights_that_are_no_numbers_never_reach_a_checkpoint(adata, graph, tmp_path):
    class Poison(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if trainer.current_epoch == 2 and batch_idx == 3:  # the loss was one to the end
                poison(pl_module)

    with pytest.raises(FloatingPointError, match="weights became nan in epoch 3"):
        make(graph, Poison()).fit(adata, "cell_type", checkpoint_dir=tmp_path)
    assert SafeCheckpointIO().load_checkpoint(tmp_path / LAST)["epoch"] == 1


def test_ctrl_c_after_a_loss_that_is_no_number_saves_nothing(adata, graph, tmp_path):
    poisoned = make(graph, At(3, 1, poison), At(3, 2, ctrl_c))
    with pytest.raises(FloatingPointError, match="epoch 3, at step 1 of 4"):
        poisoned.fit(adata, "cell_type", checkpoint_dir=tmp_path)
    assert SafeCheckpointIO().load_checkpoint(tmp_path / LAST)["epoch"] == 1


def test_the_progress_bar_is_closed_when_training_breaks(adata, graph, monkeypatch):
    from rich.progress import Progress

    ended = []
    monkeypatch.setattr(Progress, "stop", lambda self: ended.append(True))
    with pytest.raises(PowerCutError):
        make(graph, At(2, 1, power_cut), verbose=True).fit(adata, "cell_type")
    assert ended


def test_nothing_is_said_where_nothing_happens(adata, graph, tmp_path, capfd, caplog):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        make(graph).fit(adata, "cell_type", checkpoint_dir=tmp_path)
    assert not [each for each in told if "heckpoint" in str(each.message)]
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("deterministic", [False, True])
def test_deterministic_algorithms_are_asked_for_while_training_only(
    adata, graph, whole, monkeypatch, deterministic
):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    seen = []

    def look(_):
        config = os.environ.get("CUBLAS_WORKSPACE_CONFIG")
        seen.append((torch.are_deterministic_algorithms_enabled(), config))
        if len(seen) == 2:
            raise PowerCutError

    looks = At(2, 1, look), At(3, 1, look)
    with pytest.raises(PowerCutError):
        make(graph, *looks, deterministic=deterministic).fit(adata, "cell_type")
    assert seen == 2 * [(True, ":4096:8") if deterministic else (False, None)]
    assert not torch.are_deterministic_algorithms_enabled()
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    again = make(graph, deterministic=deterministic).fit(adata, "cell_type")
    assert same(again, whole)  # on the CPU the bits are the same anyway
