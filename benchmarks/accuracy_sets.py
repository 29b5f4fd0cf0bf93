"""What is learned from and what is named: data sets, conditions, splits.

Half of the cells of each data set on which the default was chosen (see ``docs/choices.md``) were
scored while choosing it.  Test cells come from the other half only.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData, read_h5ad
from sklearn.model_selection import StratifiedShuffleSplit
from unseen_cells import one_donor, read_unseen

from genegraph import GeneGraph, read_edges, read_stringdb
from genegraph.datasets import pbmc

LABELS = pd.read_csv(Path(__file__).parent / "accuracy_labels.csv")
"""Which label of one data set is which of another; cells of types without a counterpart are left
out of the test."""


@dataclass(frozen=True)
class Cells:
    """A data set.

    Attributes:
        name: Its file is ``name.h5ad`` in the folder of cells; ``pbmc700`` comes with scanpy, and
            those of :data:`UNSEEN` are fetched.
        species: Whose network: ``"human"`` or ``"mouse"``; none where genes have no names.
        counts: Whether there are raw counts, which can be thinned.
        scored: Whether half of it was scored while the default was chosen.
        splits: How many splits are due.
    """

    name: str
    species: str | None
    counts: bool
    scored: bool = True
    splits: int = 5


SETS = {
    cells.name: cells
    for cells in (
        Cells("zheng_facs_pbmc", "human", True),
        Cells("pbmc3k", "human", True),
        Cells("mouse_immune_actinn", "mouse", True, splits=20),
        Cells("mouse_mop_dot", "mouse", True),
        Cells("pbmc_symphony_3tech", "human", False, scored=False, splits=20),
        Cells("pbmc700", "human", False, scored=False, splits=20),
    )
}

UNSEEN = {
    cells.name: cells
    for cells in (
        Cells("pancreas_human", "human", True, scored=False),
        Cells("pancreas_mouse", "mouse", True, scored=False),
        Cells("cortex_mouse", None, True, scored=False),
        Cells("cord_blood", None, True, scored=False),
        Cells("cell_lines", "human", False, scored=False),
        Cells("tissues_and_lines", "human", False, scored=False),
    )
}
"""Nothing was chosen on them, not even looked at, before the default was what it is."""

SHARES = {"all reads": 1.0, "20 % of reads": 0.2, "5 % of reads": 0.05}
DEEPER = {f"{condition}, reference of all": SHARES[condition] for condition in list(SHARES)[1:]}
"""Learned from cells of all reads, and tested on thinned ones."""
FEW = {"10 per type": 10, "50 per type": 50}
READS = {f"{reads} reads": reads for reads in (25, 50, 100, 200, 400, 800)}
"""Thinned to so many reads in the median cell, for the figure."""

TRANSFERS = {
    "zheng_facs_pbmc to pbmc3k": ("zheng_facs_pbmc", "pbmc3k"),
    "zheng_facs_pbmc to pbmc_symphony_3tech": ("zheng_facs_pbmc", "pbmc_symphony_3tech"),
    "two chemistries to 3pv1": ("3pv1", None),
    "two chemistries to 3pv2": ("3pv2", None),
    "two chemistries to 5p": ("5p", None),
}
DONORS = {"three donors to one": False, "one donor to three": True}
"""The human pancreas, and whether the one is learned from."""
TRANSFER_SPLITS = 5
"""Each time another 80 % of the reference cells are learned from."""


@dataclass
class Case:
    """One comparison: every method learns from ``train`` and names ``test``.

    Attributes:
        key: What tells it from the others: ``data``, ``condition``, ``split``.
        train: Labelled cells, ``obs["cell_type"]``.
        test: Cells to name, with their labels in the same words.
        graph: The prior.
        values: What the numbers are: ``"counts"`` or ``"log1p"``.
        others: Cells that are neither tested nor labelled, where only some training cells are; None
            elsewhere.
    """

    key: dict[str, object]
    train: AnnData
    test: AnnData
    graph: GeneGraph | None
    values: str
    others: AnnData | None = None


class Library:
    """Reads each file once.

    Args:
        cells: Folder of the ``.h5ad`` files.
        links: STRING links of human, with ``info``.
        info: STRING info of human.
        mouse: An edge table of mouse genes.
        min_score: Least combined score of an interaction.
    """

    def __init__(self, cells: Path, links: Path, info: Path, mouse: Path, min_score: int) -> None:
        self.folder, self.links, self.info, self.mouse = cells, links, info, mouse
        self.min_score = min_score
        self._cells: dict[str, AnnData] = {}
        self._tables: dict[str, pd.DataFrame] = {}

    def cells(self, name: str) -> AnnData:
        """Returns a data set, with text labels."""
        if name not in self._cells:
            if name in UNSEEN:
                adata = read_unseen(name)
            else:
                adata = pbmc() if name == "pbmc700" else read_h5ad(self.folder / f"{name}.h5ad")
            adata.obs["cell_type"] = adata.obs["cell_type"].astype(str)
            self._cells[name] = adata
        return self._cells[name]

    def graph(self, species: str | None, genes: pd.Index) -> GeneGraph | None:
        """Returns the prior of a species for some genes, if they are named."""
        if species is None:
            return None
        if species not in self._tables:
            self._tables[species] = (
                read_stringdb(self.links, self.info, min_score=self.min_score)
                if species == "human"
                else read_edges(self.mouse)
            )
        return GeneGraph.from_interactions(self._tables[species], genes=genes)


def files_parser(description: str) -> argparse.ArgumentParser:
    """A command line that names the files."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--cells", type=Path, required=True, help="folder of the .h5ad files")
    parser.add_argument("--links", type=Path, required=True, help="STRING links of human")
    parser.add_argument("--info", type=Path, required=True, help="STRING info of human")
    parser.add_argument("--mouse", type=Path, required=True, help="edge table of mouse genes")
    parser.add_argument("--min-score", type=int, default=700)
    return parser


def library_of(args: argparse.Namespace) -> Library:
    """Returns the files that :func:`files_parser` names."""
    return Library(args.cells, args.links, args.info, args.mouse, args.min_score)


def thin(adata: AnnData, share: float) -> AnnData:
    """Keeps each read with probability ``share``; cells left with none are left out."""
    counts = sp.csr_matrix(adata.X).astype(np.float32)
    if share < 1:
        rng = np.random.default_rng(0)
        counts.data = rng.binomial(counts.data.astype(int), share).astype(np.float32)
        counts.eliminate_zeros()
    thinned = AnnData(counts, obs=adata.obs, var=adata.var[[]])
    return thinned[np.asarray(counts.sum(1)).ravel() > 0].copy()


def cases(library: Library, name: str, condition: str, split: int) -> Case:
    """Returns one split of one data set under one condition."""
    data = (SETS | UNSEEN)[name]
    adata = library.cells(name)
    whole = thin(adata, 1.0) if condition in DEEPER else None
    if data.counts:
        share = {**SHARES, **DEEPER}.get(condition, 1.0)
        if condition in READS:
            share = READS[condition] / float(np.median(np.asarray(adata.X.sum(1))))
        adata = thin(adata, share)
    train, test = _split(adata.obs["cell_type"].to_numpy(), split, data.scored)
    others = None
    if condition in FEW:
        pool = train
        train = _few(adata.obs["cell_type"].to_numpy(), pool, FEW[condition], split)
        others = adata[np.setdiff1d(pool, train)].copy()
        others.obs = others.obs[[]]
    key = {"data": name, "condition": condition, "split": split}
    values = "counts" if data.counts else "log1p"
    graph = library.graph(data.species, adata.var_names)
    reference = adata[train].copy() if whole is None else whole[adata.obs_names[train]].copy()
    return Case(key, reference, adata[test].copy(), graph, values, others)


def transfer(library: Library, name: str, split: int) -> Case:
    """Returns one split of a transfer between technologies or donors."""
    source, target = TRANSFERS.get(name, (None, None))
    if name in DONORS:
        three, one = library.cells("pancreas_human"), one_donor()
        three = three[(three.obs["batch"] != "human1").to_numpy()]
        reference, query = (one, three) if DONORS[name] else (three, one)
        known = query.obs["cell_type"].isin(reference.obs["cell_type"]).to_numpy()
        reference, query, values = reference.copy(), query[known].copy(), "counts"
    elif target is None:
        both = library.cells("pbmc_symphony_3tech")
        new = (both.obs["batch"] == source).to_numpy()
        reference, query, values = both[~new], both[new].copy(), "log1p"
        reference = reference.copy()
    else:
        reference, query = library.cells(source).copy(), library.cells(target).copy()
        words = LABELS[(LABELS["source"] == source) & (LABELS["target"] == target)]
        reference.obs["cell_type"] = _renamed(reference, words, "source_label")
        query.obs["cell_type"] = _renamed(query, words, "target_label")
        reference = reference[reference.obs["cell_type"].notna().to_numpy()]
        query = query[query.obs["cell_type"].notna().to_numpy()].copy()
        shared = reference.var_names.intersection(query.var_names)
        reference, query = reference[:, shared].copy(), query[:, shared].copy()
        values = "counts"
        if target == "pbmc_symphony_3tech":  # its values are logarithms: the reference's likewise
            import scanpy

            whole = library.cells(source)[reference.obs_names].copy()
            scanpy.pp.normalize_total(whole, 1e4)
            scanpy.pp.log1p(whole)
            reference.X, values = whole[:, shared].X, "log1p"
    labels = reference.obs["cell_type"].astype(str).to_numpy()
    several = reference.obs.groupby("cell_type")["cell_type"].transform("size").to_numpy() > 1
    rows = np.flatnonzero(several)  # a type with one cell is always learned from
    splitter = StratifiedShuffleSplit(1, train_size=0.8, random_state=split)
    train, _ = next(splitter.split(rows, labels[rows]))
    train = np.append(rows[train], np.flatnonzero(~several))
    condition = "another donor" if name in DONORS else "transfer"
    key = {"data": name, "condition": condition, "split": split}
    graph = library.graph("human", reference.var_names)
    return Case(key, reference[np.sort(train)].copy(), query, graph, values)


def _renamed(adata: AnnData, words: pd.DataFrame, column: str) -> pd.Series:
    """The common word for each cell's label, or nothing."""
    table = words.dropna(subset=[column]).drop_duplicates(column).set_index(column)["label"]
    return adata.obs["cell_type"].map(table)


def _split(labels: np.ndarray, split: int, scored: bool) -> tuple[np.ndarray, np.ndarray]:
    rows = np.arange(len(labels))
    share = 0.3
    if scored:
        halves = StratifiedShuffleSplit(1, test_size=0.5, random_state=999)
        _, rows = next(halves.split(labels, labels))
        share = 0.6
    splitter = StratifiedShuffleSplit(1, test_size=share, random_state=split)
    _, chosen = next(splitter.split(rows, labels[rows]))
    test = np.sort(rows[chosen])
    return np.setdiff1d(np.arange(len(labels)), test), test


def _few(labels: np.ndarray, train: np.ndarray, number: int, split: int) -> np.ndarray:
    rng = np.random.default_rng(split)
    kept = [rng.permutation(train[labels[train] == label])[:number] for label in np.unique(labels)]
    return np.sort(np.concatenate(kept))


def due(conditions: list[str], sets: list[str]) -> Iterator[tuple[str, str, int]]:
    """Every data set, condition and split that is asked for, split by split."""
    every = SETS | UNSEEN
    for split in range(max(data.splits for data in every.values())):
        for condition in conditions:
            if condition in ("transfer", "another donor"):
                if split < TRANSFER_SPLITS:
                    names = TRANSFERS if condition == "transfer" else DONORS
                    yield from ((name, condition, split) for name in names)
                continue
            for name in sets:
                data = every[name]
                thinned = condition in READS or {**SHARES, **DEEPER}.get(condition, 1.0) < 1
                many = condition == "all reads" and split < data.splits
                if (many or split < 5) and (data.counts or not thinned):
                    yield name, condition, split
