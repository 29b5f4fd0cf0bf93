import numpy as np
import pytest
from anndata import read_h5ad

from genegraph import datasets
from genegraph.datasets import SimulatedStudy, simulate


def content(study):
    return {path.name: path.read_bytes() for path in study.folder.iterdir()}


def test_a_study_is_four_files_named_as_their_sources_name_them(study):
    assert isinstance(study, SimulatedStudy)
    paths = [study.links, study.info, study.biogrid, study.cells]
    assert [path.name for path in paths] == [
        "9606.protein.links.full.v12.0.txt.gz",
        "9606.protein.info.v12.0.txt.gz",
        "BIOGRID-ORGANISM-Homo_sapiens-4.4.240.tab3.txt",
        "cells.h5ad",
    ]
    assert sorted(paths) == sorted(study.folder.iterdir())
    assert sorted(entry.name for entry in study.folder.parent.iterdir()) == ["study"]


def test_the_same_seed_gives_the_same_bytes(tmp_path, small, study):
    assert content(simulate(tmp_path / "again", **small)) == content(study)


def test_another_seed_gives_another_study(tmp_path, small, study):
    other = simulate(tmp_path / "other", **small, random_state=1)
    one, two = content(study), content(other)
    assert all(one[name] != two[name] for name in one)
    assert (read_h5ad(study.cells).X != read_h5ad(other.cells).X).nnz > 0


def test_missing_parents_are_made_and_an_empty_folder_is_used(tmp_path, small):
    folder = tmp_path / "deep" / "study"
    folder.mkdir(parents=True)
    simulate(folder, **small)
    simulate(tmp_path / "deeper" / "still" / "study", **small)
    assert len(list(folder.iterdir())) == 4


def test_nothing_is_overwritten(tmp_path, small):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(FileExistsError, match=r"must be empty or new.*holds 'mine\.txt'\)"):
        simulate(tmp_path, **small)
    with pytest.raises(FileExistsError, match="is a file"):
        simulate(tmp_path / "mine.txt", **small)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


def test_a_folder_filled_meanwhile_is_left_alone(tmp_path, small, monkeypatch):
    folder = tmp_path / "study"

    def intrude(*_):
        folder.mkdir()
        (folder / "other.txt").write_text("precious")

    monkeypatch.setattr("genegraph.simulation.study.write_info", intrude)
    with pytest.raises(FileExistsError, match=r"holds 'other\.txt'"):
        simulate(folder, **small)
    assert [path.name for path in tmp_path.rglob("*")] == ["study", "other.txt"]


@pytest.mark.parametrize("reason", [KeyboardInterrupt, OSError])
def test_interrupted_writing_leaves_nothing_behind(tmp_path, small, monkeypatch, reason):
    seen = []

    def interrupted(blocks, *_):
        yield next(iter(blocks))
        seen.extend(tmp_path.rglob("*.h5ad"))
        raise reason

    monkeypatch.setattr("genegraph.simulation.study.watched", interrupted)
    with pytest.raises(reason):
        simulate(tmp_path / "study", **small)
    assert len(seen) == 1
    assert list(tmp_path.iterdir()) == []


BAD_ARGUMENTS = {
    "part of a cell": ({"n_cells": 10.5}, TypeError, "'n_cells' must be a whole number"),
    "truth as a number": ({"n_types": True}, TypeError, "'n_types' must be a whole number"),
    "no module": ({"n_modules": 0}, ValueError, r"'n_modules' must be at least 1 .*\(got 0\)"),
    "a word": ({"effect": "large"}, TypeError, r"'effect' must be a number \(got 'large'\)"),
    "percent": ({"zeros": 90}, ValueError, r"'zeros' must be from 0 to 1 .*\(got 90\)"),
    "not a number": ({"noise": np.nan}, ValueError, r"'noise' must be at least 0 .*\(got nan\)"),
    "infinite": ({"effect": np.inf}, ValueError, r"'effect' must be .* finite \(got inf\)"),
    "negative": ({"graph_signal": -1}, ValueError, r"'graph_signal' must be from 0 to 1"),
    "no seed": ({"random_state": None}, TypeError, r"'random_state' must be a whole number"),
    "huge seed": ({"random_state": 2**32}, ValueError, r"from 0 to 4,294,967,295"),
    "few cells": ({"n_cells": 19}, ValueError, r"at least 20, as n_types=5 needs 4 cells"),
    "few genes": ({"n_interacting": 15}, ValueError, r"at least 16, as n_modules=4 needs 4 inter"),
    "fewer than interact": ({"n_genes": 79}, ValueError, r"'n_interacting', which is 80 \(got 79"),
    "many hidden": ({"n_hidden": 60}, ValueError, r"'n_hidden' must be at most 55, .* 220 genes"),
    "taxon": ({"taxon": 4932}, ValueError, r"'taxon' must be one .*\(got 4932\); .*559292"),
    "zeros out of reach": ({"zeros": 0.0001}, ValueError, "'zeros' must lie between"),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_arguments_are_refused_before_anything_is_written(tmp_path, small, case):
    changed, error, message = BAD_ARGUMENTS[case]
    with pytest.raises(error, match=message):
        simulate(tmp_path / "study", **(small | changed))
    assert list(tmp_path.iterdir()) == []


def test_numpy_numbers_are_numbers(tmp_path, small, study):
    whole = {name: np.int64(value) for name, value in small.items() if name != "verbose"}
    again = simulate(tmp_path / "study", **whole, noise=np.float32(0.5), verbose=False)
    assert content(again) == content(study)


@pytest.mark.parametrize("extreme", [{"effect": 100}, {"effect": 0, "noise": 0}])
def test_extreme_effects_still_give_counts(tmp_path, small, extreme):
    cells = read_h5ad(simulate(tmp_path / "study", **small, **extreme, zeros=0.97).cells)
    assert np.isfinite(cells.X.data).all()
    assert cells.X.nnz > 0


def test_smallest_study_there_is(tmp_path):
    size = {"n_cells": 4, "n_genes": 4, "n_interacting": 4, "n_types": 1, "n_modules": 1}
    study = simulate(tmp_path / "study", **size, n_hidden=0, zeros=0.5)
    assert read_h5ad(study.cells).shape == (4, 4)


def test_simulate_is_among_the_datasets():
    assert {"simulate", "SimulatedStudy"} <= set(datasets.__all__)
