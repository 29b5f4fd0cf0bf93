"""Cells larger than memory: read from disk in blocks, trained on and named like others."""

import anndata
import numpy as np
import pytest
import scipy.sparse as sp
import torch

from genegraph import GeneGCNClassifier, batches, expression_stored
from genegraph.batches import BatchOrder, CellLoader, CellRows, dense
from genegraph.expression import read_anndata
from genegraph.expression_stored import StoredMatrix
from genegraph.held_rows import HeldRows
from genegraph.resampling import ResampledCells

SMALL = {
    "hidden_channels": (16,),
    "batch_size": 8,
    "max_epochs": 12,
    "random_state": 0,
    "verbose": False,
}


@pytest.fixture
def reads(monkeypatch):
    """Files count as large from a few values on; what is read from them is noted, in rows."""
    found = []
    read = StoredMatrix._read

    def noting(self, rows):
        found.append(int(rows[-1] - rows[0] + 1))
        return read(self, rows)

    monkeypatch.setattr(StoredMatrix, "_read", noting)
    monkeypatch.setattr(expression_stored, "BLOCK_BYTES", 800)
    monkeypatch.setattr(expression_stored, "WINDOW_BYTES", 4000)
    monkeypatch.setattr(expression_stored, "_chunk_bytes", lambda X: 0)
    return found


def on_disk(adata, folder, form="h5ad"):
    """The same cells, their matrix in a file."""
    if form == "h5ad":
        adata.write_h5ad(folder / "cells.h5ad")
        return anndata.read_h5ad(folder / "cells.h5ad", backed="r")
    zarr = pytest.importorskip("zarr")
    adata.write_zarr(folder / "cells.zarr")
    group = zarr.open(folder / "cells.zarr", mode="r")["X"]
    X = anndata.io.sparse_dataset(group) if sp.issparse(adata.X) else group
    return anndata.AnnData(X, obs=adata.obs, var=adata.var)


FORMS = [
    ("h5ad", sp.csr_matrix),
    ("h5ad", np.asarray),
    ("zarr", sp.csr_matrix),
    ("zarr", np.asarray),
]
pytestmark = pytest.mark.filterwarnings("ignore:Writing zarr v2 data")


@pytest.mark.parametrize(("form", "make"), FORMS)
def test_rows_come_as_they_would_from_memory(adata, tmp_path, reads, form, make):
    whole = adata.X.toarray()
    adata.X = make(whole)
    X = read_anndata(on_disk(adata, tmp_path, form)).X
    assert isinstance(X, StoredMatrix)
    assert X.shape == (120, 12)
    for rows in (slice(5, 60), [7], [100, 3, 4, 5, 99, 0], np.arange(119, -1, -1), slice(None)):
        part = X[rows]
        assert sp.issparse(part) == (make is sp.csr_matrix)
        np.testing.assert_array_equal(part.toarray() if sp.issparse(part) else part, whole[rows])
    odd = X.take(np.arange(1, 120, 2)).then(lambda part, rows: part * 2)
    part = odd[[3, 0]]
    np.testing.assert_array_equal(part.toarray() if sp.issparse(part) else part, 2 * whole[[7, 1]])
    assert max(reads) <= X.block_rows


def test_small_files_and_those_stored_gene_by_gene_are_read_into_memory(adata, tmp_path, reads):
    few = on_disk(adata[:20].copy(), tmp_path)
    assert sp.issparse(read_anndata(few).X)
    few.file.close()
    adata.X = sp.csc_matrix(adata.X)
    assert sp.issparse(read_anndata(on_disk(adata, tmp_path)).X)


@pytest.mark.parametrize("form", ["h5ad", "zarr"])
def test_prediction_is_the_same_and_reads_no_more_than_a_block(adata, graph, tmp_path, reads, form):
    model = GeneGCNClassifier(graph, **SMALL).fit(adata, "cell_type")
    expected, novelty = model.predict_proba(adata), model.novelty(adata)
    stored = on_disk(adata, tmp_path, form)
    assert not reads
    np.testing.assert_array_equal(model.predict_proba(stored), expected)
    np.testing.assert_array_equal(model.novelty(stored), novelty)
    assert sum(reads) == 4 * 120  # twice checked, twice asked about
    assert max(reads) <= 16
    assert model.score(stored, "cell_type") == model.score(adata, "cell_type")


def test_annotate_writes_beside_the_cells_and_leaves_the_file_alone(adata, graph, tmp_path, reads):
    model = GeneGCNClassifier(graph, **SMALL).fit(adata, "cell_type")
    stored = on_disk(adata, tmp_path)
    before = (tmp_path / "cells.h5ad").read_bytes()
    model.annotate(stored, majority_voting="batch")
    model.annotate(adata, majority_voting="batch")
    assert (stored.obs == adata.obs).all(axis=None)
    np.testing.assert_array_equal(stored.obsm["genegraph_proba"], adata.obsm["genegraph_proba"])
    stored.file.close()
    assert (tmp_path / "cells.h5ad").read_bytes() == before


def test_genes_are_matched_and_filled_on_disk_too(adata, graph, tmp_path, reads):
    model = GeneGCNClassifier(graph, genes="interacting", **SMALL).fit(adata, "cell_type")
    other = adata[:, np.random.default_rng(0).permutation(12)[:11]].copy()
    with pytest.warns(UserWarning, match="lack 1 of the 12 genes"):
        expected = model.predict_proba(other)
    with pytest.warns(UserWarning, match="lack 1 of the 12 genes"):
        found = model.predict_proba(on_disk(other, tmp_path))
    np.testing.assert_array_equal(found, expected)


OPTIONS = [
    {},
    {"patience": 3},
    {"num_heads": 1, "shrinkage": None, "attention": "full"},
    {"genes": "interacting", "class_weight": "balanced"},
    {"pretrain": True},
    {"thin_to": 20},
    {"thin_to": (10, 30)},
    {"values": "log1p", "depth": "reads"},
    {"values": "log1p"},
    {"values": "features"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_one_window_gives_the_very_fit_of_memory(
    adata, graph, tmp_path, reads, monkeypatch, options
):
    monkeypatch.setattr(StoredMatrix, "window_rows", 1000)
    options = {**SMALL, "max_epochs": 2, **options}
    adata.obs["reads"] = np.asarray(adata.X.sum(axis=1)).ravel()
    if "values" in options:
        adata.X = adata.X.multiply(1e4 / adata.X.sum(axis=1)).tocsr().astype("float32").log1p()
    ours = GeneGCNClassifier(graph, **options).fit(on_disk(adata, tmp_path), "cell_type")
    theirs = GeneGCNClassifier(graph, **options).fit(adata, "cell_type")
    assert sum(reads) > 120 * 4
    for name, weight in theirs.network_.state_dict().items():
        assert torch.equal(ours.network_.state_dict()[name], weight), name
    assert ours.history_ == theirs.history_
    assert ours.temperature_ == theirs.temperature_
    assert ours.held_out_ is theirs.held_out_ or ours.held_out_.equals(theirs.held_out_)
    np.testing.assert_array_equal(ours.novelty_.distances, theirs.novelty_.distances)


def test_windows_learn_as_well_though_the_file_is_sorted_by_type(adata, graph, tmp_path, reads):
    assert (adata.obs["cell_type"].to_numpy()[:40] == "B cell").all()
    half = np.arange(120) // 2 % 2 == 0
    known, new = adata[half].copy(), adata[~half].copy()
    stored = on_disk(known, tmp_path)
    model = GeneGCNClassifier(graph, **SMALL).fit(stored, "cell_type", groups="batch")
    theirs = GeneGCNClassifier(graph, **SMALL).fit(known, "cell_type", groups="batch")
    assert max(reads) <= 16
    for fitted in (model, theirs):
        assert fitted.score(new, "cell_type") > 0.95
        assert len(fitted.held_out_) == 60
        assert (fitted.held_out_["label"] == fitted.held_out_["predicted"]).mean() > 0.95


def test_the_same_seed_gives_the_same_model_from_h5ad_and_zarr(adata, graph, tmp_path, reads):
    def fitted(form):
        options = {**SMALL, "max_epochs": 2}
        model = GeneGCNClassifier(graph, **options).fit(on_disk(adata, tmp_path, form), "cell_type")
        return model.predict_proba(adata)

    np.testing.assert_array_equal(fitted("h5ad"), fitted("zarr"))


def test_a_fit_from_disk_that_was_interrupted_goes_on(adata, graph, tmp_path, reads):
    from lightning.pytorch.callbacks import Callback

    stored = on_disk(adata, tmp_path)
    options = {**SMALL, "max_epochs": 4}
    whole = GeneGCNClassifier(graph, **options).fit(stored, "cell_type")

    class Interrupt(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch == 2:
                raise RuntimeError("power cut")

    cut = {"trainer_options": {"callbacks": [Interrupt()]}}
    with pytest.raises(RuntimeError, match="power cut"):
        GeneGCNClassifier(graph, **options, **cut).fit(
            stored, "cell_type", checkpoint_dir=tmp_path / "state"
        )
    resumed = GeneGCNClassifier(graph, **options).fit(
        stored, "cell_type", checkpoint_dir=tmp_path / "state"
    )
    np.testing.assert_array_equal(resumed.predict_proba(adata), whole.predict_proba(adata))


def _with_nan(X):
    X.data[100] = np.nan
    return X


BROKEN = [
    (_with_nan, {}),
    (lambda X: X - sp.csr_matrix(np.eye(120, 12)) * 20, {}),
    (lambda X: X * 0.3, {}),
    (lambda X: X * 0.3, {"values": "counts"}),
    (lambda X: X, {"values": "log1p"}),
    (lambda X: X, {"depth": "few"}),
]


@pytest.mark.parametrize(("spoil", "options"), BROKEN)
def test_bad_cells_are_refused_in_the_same_words(adata, tmp_path, reads, spoil, options):
    adata.obs["few"] = 1.0
    adata.X = sp.csr_matrix(spoil(adata.X))
    messages = []
    for cells in (adata, on_disk(adata, tmp_path)):
        with pytest.raises(ValueError, match=r"\w") as caught:
            GeneGCNClassifier(**options, **SMALL).fit(cells, "cell_type")
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_a_file_that_cannot_be_read_stops_the_loader(adata, tmp_path, reads):
    stored = on_disk(adata, tmp_path)
    cells = CellRows(read_anndata(stored).X)
    batches = iter(CellLoader(cells, 8))
    next(batches)
    stored.file.close()
    with pytest.raises((ValueError, RuntimeError, OSError, KeyError)):
        list(batches)


def test_every_cell_comes_once_in_windows_of_blocks_and_full_batches(
    adata, tmp_path, reads, monkeypatch
):
    monkeypatch.setattr(expression_stored, "GAP", 0)  # blocks this small would be read along
    X = read_anndata(on_disk(adata, tmp_path)).X
    reads.clear()
    loader = CellLoader(CellRows(X, np.arange(120)), 8, seed=5)
    loader.sampler.set_epoch(2)
    batches = list(loader)
    met = torch.cat([batch["y"] for batch in batches]).numpy()
    assert sorted(met) == list(range(120))
    assert sum(reads) == 120
    assert len(loader) == len(batches) == 15
    for batch in batches:
        np.testing.assert_array_equal(dense(batch), X[batch["y"].numpy()].toarray())
    windows = list(loader.sampler)
    assert len(windows) > 2
    assert max(len(window.rows) for window in windows) <= X.window_rows


@pytest.mark.parametrize("as_array", [False, True])
def test_rows_that_are_held_are_those_of_the_file(adata, tmp_path, monkeypatch, as_array):
    if as_array:
        adata.X = adata.X.toarray()
    monkeypatch.setattr(expression_stored, "WINDOW_BYTES", 16)
    X = read_anndata(on_disk(adata, tmp_path)).X
    monkeypatch.setattr(expression_stored, "BLOCK_BYTES", 1)
    whole = adata.X if as_array else adata.X.toarray()
    rows = np.arange(0, 120, 3)
    held = np.arange(40) % 4 > 0
    some = HeldRows(X, rows, held)
    asked = np.random.default_rng(0).permutation(np.flatnonzero(held))[:17]
    found = some[asked]
    assert some.shape == (40, 12)
    np.testing.assert_array_equal(found if as_array else found.toarray(), whole[rows[asked]])
    with pytest.raises(IndexError):
        some[np.array([1, 4])]  # the second is not held
    assert some[np.array([], int)].shape == (0, 12)
    none = HeldRows(X, rows, np.zeros(40, bool))
    assert none[np.array([], int)].shape == (0, 12)
    turned = HeldRows(X.take(np.arange(120)[::-1]), np.arange(4), np.ones(4, bool))
    found = turned[np.arange(4)]
    np.testing.assert_array_equal(found if as_array else found.toarray(), whole[:-5:-1])


def test_in_their_order_no_more_than_a_block_is_in_memory_beside_the_next(adata, tmp_path, reads):
    X = read_anndata(on_disk(adata, tmp_path)).X
    windows = list(CellLoader(CellRows(X), 8).sampler)
    assert len(windows) > 5
    assert max(len(window.rows) for window in windows) <= max(8, X.block_rows)
    met = np.concatenate([window.rows[window.order] for window in windows])
    np.testing.assert_array_equal(met, np.arange(120))


def test_windows_hold_blocks_from_all_over_and_orders_repeat():
    def windows(epoch, seed=1):
        order = BatchOrder(1000, 10, seed, block=22, window=200)
        order.set_epoch(epoch)
        return [window.rows[window.order] for window in order]

    first = windows(0)
    assert [len(rows) for rows in first] == [200] * 5
    for rows in first:
        starts = np.unique(rows // 20)
        assert len(starts) == 10
        assert np.ptp(starts) > 25
        assert (np.sort(rows) != rows).any()
    assert sorted(np.concatenate(first)) == list(range(1000))
    for once, again in zip(first, windows(0), strict=True):
        np.testing.assert_array_equal(once, again)
    assert (np.concatenate(windows(1)) != np.concatenate(first)).any()
    in_turn = windows(0, None)
    np.testing.assert_array_equal(np.concatenate(in_turn), np.arange(1000))


@pytest.mark.parametrize(("processes", "most"), [(2, 1 / 2), (4, 1 / 4), (6, 1 / 2), (3, 1)])
def test_each_process_reads_its_own_share(adata, tmp_path, reads, monkeypatch, processes, most):
    monkeypatch.setattr(expression_stored, "GAP", 0)
    X = read_anndata(on_disk(adata, tmp_path)).X
    monkeypatch.setattr(expression_stored, "BLOCK_BYTES", 1)
    monkeypatch.setattr(expression_stored, "WINDOW_BYTES", 5000)
    y = np.arange(120) % 3
    depth, fold = np.full(120, 50.0, np.float32), np.zeros(120, np.int64)
    cells = ResampledCells(X, y, depth, fold, seed=1)
    whole, shared = list(CellLoader(cells, 8, seed=5)), []
    windows = [len(window.rows) for window in CellLoader(cells, 8, seed=5).sampler]
    assert windows == [64, 56]
    for number in range(processes):
        monkeypatch.setattr(batches, "this_process", lambda n=number: (n, processes))
        reads.clear()
        shared.append(list(CellLoader(cells, 8, seed=5, share=True)))
        assert sum(reads) == most * 120
    for step, batch in enumerate(whole):
        together = torch.cat([dense(part[step]) for part in shared])
        assert sorted(together.tolist()) == sorted(dense(batch).tolist())
