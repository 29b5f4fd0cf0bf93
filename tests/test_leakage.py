"""Cells that must not be learned from are swapped for garbage: what was learned is the same bytes.

Cells that are not handed to ``fit`` cannot reach it.  Those that are, but are set aside there, may
decide when training stops and how sure the probabilities are, nothing else.
"""

import anndata
import numpy as np
import pytest
import scipy.sparse as sp
from lightning.pytorch.callbacks import Callback

from genegraph import GeneGCNClassifier, classifier_fit

SMALL = {
    "hidden_channels": (16,),
    "batch_size": 16,
    "max_epochs": 4,
    "n_top_genes": 8,
    "random_state": 0,
    "verbose": False,
    "device": "cpu",
}
KINDS = [
    {},
    {"attention": "full"},
    {"shrinkage": None, "attention": "edges", "class_weight": "balanced"},
    {"values": "log1p"},
    {"thin_to": 20},
    {"graph": None},
]


def garbage(X, mean):
    return np.random.default_rng(0).poisson(mean, X.shape) + 1


def swapped(adata, rows, labels, options):
    """The same cells, but for those in ``rows``, whose counts are huge."""
    X = adata.X.toarray()
    # Logarithms of huge counts would be refused: their float32 no longer show the single reads.
    X[rows] = garbage(X[rows], 3 if "values" in options else 1e6)
    other = adata.copy()
    other.X = sp.csr_matrix(X)
    obs = other.obs["cell_type"].astype(object).to_numpy()
    obs[rows] = labels
    other.obs["cell_type"] = obs
    return other


def as_logarithms(adata):
    X = adata.X.toarray()
    adata.X = sp.csr_matrix(np.log1p(1e4 * X / X.sum(1, keepdims=True)).astype("float32"))
    return adata


def model(graph, options, **more):
    return GeneGCNClassifier(**{"graph": graph, **SMALL, **options, **more})


def learned(network):
    return {name: part.numpy().tobytes() for name, part in network.state_dict().items()}


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("stored", ["memory", "backed"])
def test_cells_not_handed_to_fit_change_no_byte_of_the_model(
    adata, graph, tmp_path, options, stored
):
    rows = np.arange(120) % 3 > 0
    files = []
    for number, cells in enumerate(
        (adata.copy(), swapped(adata, ~rows, [f"new {i}" for i in range(40)], options))
    ):
        if "values" in options:
            cells = as_logarithms(cells)
        cells.obs["cell_type"] = cells.obs["cell_type"].astype("category")
        if stored == "backed":
            cells.write_h5ad(tmp_path / f"{number}.h5ad")
            cells = anndata.read_h5ad(tmp_path / f"{number}.h5ad", backed="r")
        model(graph, options).fit(cells[rows], "cell_type").save(tmp_path / f"{number}")
        files.append((tmp_path / f"{number}").read_bytes())
        if stored == "backed":
            cells.file.close()
    assert files[0] == files[1]


class EveryEpoch(Callback):
    """Keeps what the network is after each epoch."""

    def __init__(self):
        self.epochs = []

    def on_train_epoch_end(self, trainer, pl_module):
        self.epochs.append(learned(pl_module.network))


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_validation_cells_change_no_byte_but_when_to_stop(adata, graph, monkeypatch, options):
    train, val = np.flatnonzero(np.arange(120) % 5), np.flatnonzero(np.arange(120) % 5 == 0)
    # Which cells are set aside follows from all labels, so that every class has its share.
    monkeypatch.setattr(classifier_fit, "split_validation", lambda *_: (train, val))
    labels = np.random.default_rng(0).permutation(adata.obs["cell_type"].to_numpy()[val])
    fits = []
    for cells in (adata.copy(), swapped(adata, val, labels, options)):
        if "values" in options:
            cells = as_logarithms(cells)
        kept = EveryEpoch()
        options = {**options, "patience": 10, "trainer_options": {"callbacks": [kept]}}
        fits.append((model(graph, options).fit(cells, "cell_type"), kept.epochs))
    (ours, epochs), (theirs, epochs_of_theirs) = fits
    assert len(epochs) == 4
    assert epochs == epochs_of_theirs  # genes chosen, centre, unit and all weights
    assert [e["train_loss"] for e in ours.history_] == [e["train_loss"] for e in theirs.history_]
    # The garbage was there: what watches these cells saw it.
    assert ours.history_[0]["val_loss"] != theirs.history_[0]["val_loss"]
    assert ours.temperature_ != theirs.temperature_


def test_a_head_learns_nothing_from_the_labels_it_is_kept_from(adata, monkeypatch):
    fold = np.random.default_rng(0).permutation(120) % 6
    monkeypatch.setattr(classifier_fit, "split_folds", lambda codes, *_: fold[: len(codes)])
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    lied = labels.copy()
    lied[fold == 2] = np.random.default_rng(1).permutation(labels[fold == 2])
    assert (lied != labels).sum() > 5
    heads = []
    for y in (labels, lied):
        fitted = model(None, {}).fit(adata, y)
        heads.append([learned(head) for head in fitted.network_.head.heads])
    same = [ours == theirs for ours, theirs in zip(*heads, strict=True)]
    assert same == [m == 2 for m in range(6)]
