"""Cells in a file that points at other files."""

import anndata
import h5py
import numpy as np
import pytest

from genegraph.cli import main
from genegraph.cli.own_bytes import check_own_bytes


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret.bin"
    path.write_bytes(np.arange(4, dtype="float32").tobytes())
    return path


def test_values_in_another_file_are_refused(secret, tmp_path):
    with h5py.File(tmp_path / "cells.h5ad", "w") as file:
        group = file.create_group("layers")
        group.create_dataset("counts", (2, 2), "float32", external=[(str(secret), 0, 16)])
    with pytest.raises(ValueError, match=r"/layers/counts lies in another file .*secret\.bin"):
        check_own_bytes(tmp_path / "cells.h5ad")


def test_a_link_into_another_file_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["X"] = np.zeros((2, 2))
    with h5py.File(tmp_path / "cells.h5ad", "w") as file:
        file["X"] = h5py.ExternalLink("other.h5", "/X")
    with pytest.raises(ValueError, match=r"/X lies in another file \('other\.h5'\)"):
        check_own_bytes(tmp_path / "cells.h5ad")


def test_a_view_of_another_file_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["X"] = np.zeros((2, 2))
    layout = h5py.VirtualLayout((2, 2), "float64")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "X", (2, 2))
    with h5py.File(tmp_path / "cells.h5ad", "w") as file:
        file.create_virtual_dataset("X", layout)
    with pytest.raises(ValueError, match="/X lies in another file"):
        check_own_bytes(tmp_path / "cells.h5ad")


def test_rings_of_groups_and_soft_links_end(tmp_path):
    with h5py.File(tmp_path / "cells.h5ad", "w") as file:
        file["X"] = np.zeros(2)
        file["also"] = h5py.SoftLink("/X")
        file["nothing"] = h5py.SoftLink("/not/there")
        file.create_group("a")["back"] = file["/"]  # a hard link to where it came from
    check_own_bytes(tmp_path / "cells.h5ad")


def test_the_command_line_asks(secret, tmp_path, capsys):
    path = tmp_path / "cells.h5ad"
    anndata.AnnData(np.zeros((2, 2), "float32")).write_h5ad(path)
    with h5py.File(path, "a") as file:
        said = dict(file["X"].attrs)
        del file["X"]
        file.create_dataset("X", (2, 2), "float32", external=[(str(secret), 0, 16)])
        file["X"].attrs.update(said)
    assert anndata.read_h5ad(path).X[1, 1] == 3  # what the other file holds
    assert main(["inspect", str(path)]) == 1
    assert "X lies in another file" in capsys.readouterr().err
