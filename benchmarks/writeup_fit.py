"""Trains one row on one split and says what came out."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from anndata import AnnData
from common import peak_mib, reset_peak
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedShuffleSplit
from writeup_priors import Sources
from writeup_rows import INTERACTING, Row

from genegraph import GeneGCNClassifier, GeneGraph
from genegraph.expression import labels_from_obs, prepare, read_anndata, resolve_values
from genegraph.nn import dirichlet_energy

TEST_SHARE = 0.3
NUM_PROBED = 64
"""Test cells in which the Dirichlet energy of each layer is measured."""


@dataclass(frozen=True)
class Study:
    """Cells, log1p of counts per 10,000 over all genes, with their labels and the graph."""

    cells: AnnData
    labels: NDArray[Any]
    sources: Sources

    def split(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns training and test positions of a split, the same for every row."""
        splitter = StratifiedShuffleSplit(number + 1, test_size=TEST_SHARE, random_state=0)
        return list(splitter.split(self.labels, self.labels))[-1]

    def genes_of(self, row: Row) -> AnnData:
        """Returns the cells with the genes a row may see."""
        if row.genes != INTERACTING:
            return self.cells
        return self.cells[:, list(self.sources.graph.interacting().genes)]


def make_study(cells: AnnData, labels: str, sources: Sources) -> Study:
    """Normalises each cell by itself, so that no cell learns of another."""
    names = labels_from_obs(cells, labels).astype(str)
    matrix, genes = read_anndata(cells)
    values = prepare(matrix, resolve_values(matrix, "auto", True))
    normalised = AnnData(sp.csr_matrix(values))
    normalised.var_names, normalised.obs_names = list(genes), cells.obs_names
    return Study(normalised, names, sources)


def fit_row(study: Study, row: Row, seed: int, max_epochs: int, device: str) -> dict[str, Any]:
    """Trains and tests one row with one seed.

    Returns:
        What is measured; for a prior that cannot be used only ``refused``, the error's text.
    """
    train, test = study.split(0 if row.one_split else seed)
    cells = study.genes_of(row)
    reset_peak(device)
    started = time.perf_counter()
    with warnings.catch_warnings(record=True):  # what they say is in the results: genes_matched
        warnings.simplefilter("always")
        try:
            prior = study.sources.prior(row.prior, seed)
        except ValueError as error:
            return {"refused": str(error)}
        model = GeneGCNClassifier(prior, **_options(row, seed, max_epochs), device=device)
        fitting = time.perf_counter()
        model.fit(cells[train], study.labels[train])
        seconds = time.perf_counter() - fitting
        found = model.predict(cells[test])
    probe = cells[test[:NUM_PROBED]]
    energy, dead = _inspect(model, probe, study.sources.graph)
    return {
        "accuracy": accuracy_score(study.labels[test], found),
        "macro_f1": f1_score(study.labels[test], found, average="macro"),
        "epochs": model.n_iter_,
        "seconds_per_epoch": round(seconds / model.n_iter_, 3),
        "seconds": round(time.perf_counter() - started, 2),
        "peak_mib": peak_mib(device),
        "dead": dead,
        "energy": energy,
        "edges": 0 if model.graph_ is None else model.graph_.num_edges,
        "genes_matched": None if prior is None else prior.report().genes_matched,
    }


def _options(row: Row, seed: int, max_epochs: int) -> dict[str, Any]:
    few = max(1, max_epochs // 10)
    return {
        "optimizer": "adam",
        "values": "log1p",
        "shrinkage": None,
        "n_top_genes": None,
        "hidden_channels": (256, 128),
        "num_heads": 1,
        "max_epochs": few if row.few_epochs else max_epochs,
        "patience": None if row.few_epochs else 5,
        "random_state": seed + row.shift,
        "verbose": False,
        **row.options,
    }


def _inspect(
    model: GeneGCNClassifier, cells: AnnData, graph: GeneGraph
) -> tuple[list[float], bool | None]:
    """Dirichlet energy of the features by layer, and whether the first layer adds nothing."""
    network = model.network_
    if len(network.layers) == 0:
        return [], None
    edges: tuple[Any, Any] = (None, None)
    if model.graph_ is not None:
        edges = (model.graph_.to_edge_index(), model.graph_.edge_weight)
    x = torch.from_numpy(cells.X.toarray())
    with torch.no_grad():
        smoothed = [conv(x[..., None], *edges).relu() for conv in network.layers[0]]
        features = network.features_by_layer(x, *edges)
    true = graph.align(cells.var_names)
    energy = [
        dirichlet_energy(f[..., 0], true.edge_index, true.edge_weight).mean().item()
        for f in features
    ]
    return [round(value, 4) for value in energy], not any(bool(z.any()) for z in smoothed)
