"""Where genegraph writes, a link is replaced, never followed; and a file is there whole or not."""

import os
import signal
import subprocess
import sys

import pytest

from genegraph import GeneGCNClassifier, GeneGraph
from genegraph.checkpoint_folder import NEXT, open_folder
from genegraph.checkpoint_io import SafeCheckpointIO
from genegraph.cli import main
from genegraph.downloads.record import write_record
from genegraph.files import whole_file, write_whole
from genegraph.pl.style import hand_over


@pytest.fixture
def model(counts):
    X, y = counts
    options = {"hidden_channels": (3,), "num_heads": 1, "max_epochs": 1, "random_state": 0}
    return GeneGCNClassifier(verbose=False, **options).fit(X, y)


def save_picture(path):
    from matplotlib.figure import Figure

    hand_over(Figure().add_subplot(), own=True, show=False, save=path)


WRITERS = {
    "bytes": lambda path, _: write_whole(path, b"ours"),
    "graph": lambda path, _: GeneGraph(["A", "B"], [[0, 1], [1, 0]], [0.5] * 2).save(path),
    "model": lambda path, model: model.save(path),
    "checkpoint": lambda path, _: SafeCheckpointIO().save_checkpoint({"epoch": 1}, path),
    "picture.png": lambda path, _: save_picture(path),
    "record": lambda path, _: write_record(path.with_name("record"), "0" * 64, "here"),
}


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("name", WRITERS)
def test_a_link_in_the_place_of_a_file_is_replaced(tmp_path, model, name, there):
    target = tmp_path / "elsewhere" / "precious"
    target.parent.mkdir()
    if there:
        target.write_text("precious")
    folder = tmp_path / "ours"
    folder.mkdir()
    path = folder / (f"{name}.record.json" if name == "record" else name)
    path.symlink_to(target)
    WRITERS[name](path, model)
    assert not path.is_symlink()
    assert path.stat().st_size > 0
    assert os.listdir(folder) == [path.name]
    assert os.listdir(target.parent) == (["precious"] if there else [])
    assert not there or target.read_text() == "precious"


@pytest.mark.parametrize("suffix", [".csv", ".h5ad"])
def test_the_command_line_replaces_a_link_too(tmp_path, adata, suffix):
    target, out = tmp_path / "precious", tmp_path / f"named{suffix}"
    target.write_text("precious")
    cells, model = tmp_path / "cells.h5ad", tmp_path / "m"
    adata.write_h5ad(cells)
    options = {"hidden_channels": (3,), "num_heads": 1, "max_epochs": 1, "random_state": 0}
    GeneGCNClassifier(verbose=False, **options).fit(adata, "cell_type").save(model)
    out.symlink_to(target)
    assert main(["predict", str(cells), "--model", str(model), "--out", str(out), "--force"]) == 0
    assert target.read_text() == "precious"
    assert not out.is_symlink()
    assert out.stat().st_size > 100
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_a_draft_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "cells.h5ad"
    path.write_text("old")
    with pytest.raises(OSError, match="disk full"), whole_file(path) as draft:  # noqa: PT012
        assert draft.suffix == ".h5ad"
        draft.write_text("half of the n")
        raise OSError("disk full")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["cells.h5ad"]


def test_the_draft_is_never_one_that_somebody_put_there(tmp_path, monkeypatch):
    """Names are drawn anew, and a file that is there already is not written into."""
    monkeypatch.setattr("uuid.uuid4", lambda: type("Fixed", (), {"hex": "known"}))
    target = tmp_path / "precious"
    target.write_text("precious")
    (tmp_path / ".a.known.tmp").symlink_to(target)
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "a", b"ours")
    assert target.read_text() == "precious"


def test_the_draft_of_a_process_killed_while_it_wrote_a_checkpoint_is_cleared_away(tmp_path):
    code = f"""
import os, signal
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
from genegraph.files import write_whole
write_whole({str(tmp_path / NEXT)!r}, b"half of it")
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 1  # under a name of its own
    assert not (tmp_path / NEXT).exists()
    open_folder(tmp_path)
    assert os.listdir(tmp_path) == []
