"""Do explanations find what was planted?  Simulated studies, of which the truth is known.

    python benchmarks/explain.py

The prior holds the planted edges, which join genes of one module, and as many decoys, all of the
same weight.  Ranked by importance, the planted edges must come first: area under the
precision-recall curve, to be compared with the prevalence (0.5), and with a control in which the
planted edges were rewired, so that nothing is there to be found.  Decoys come in two kinds:

- ``same degree``: the planted edges rewired once more, so that every gene has as many decoys as
  planted partners and only what the network made of an edge can tell;
- ``any genes``: pairs of random genes, STRING's faint edges.  Most of their genes have few edges,
  which the symmetric normalisation makes heavy: degree tells too, and it points the wrong way.

``coexpression`` is what a plain correlation over the training cells gives, without any network.
Genes are ranked for each class by importance; planted are those of modules that are more active
in it than in the mean class, by a standard deviation or more.  ``faithfulness`` are areas
of deletion and insertion curves, by importance and in random orders.

The learned graph is asked the same, of networks with attention: whether planted edges of the prior
get more attention than decoys, and whether the pairs that are learned but not in the prior join
genes of one module more often than chance does.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from anndata import AnnData, read_h5ad
from common import RESULTS, record
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from genegraph import GeneGCNClassifier, GeneGraph, read_stringdb
from genegraph.datasets import simulate
from genegraph.explain import (
    attention,
    edge_importance,
    faithfulness,
    gene_importance,
    over_classes,
)
from genegraph.rewire import rewire_pairs

STUDIES = {
    "faint": {"effect": 0.35, "zeros": 0.9, "n_cells": 1_500},
    "clear": {"effect": 0.7, "zeros": 0.8, "n_cells": 3_000},
}
ATTENTION = {
    "full": {"attention": "full", "gene_aware": True},
    "edges": {"attention": "edges", "gene_aware": True},
    "shared": {"attention": "shared"},
}
PARTS = ("importance", "attention")
PRIORS = tuple(
    (decoys, rewired) for decoys in ("same degree", "any genes") for rewired in (False, True)
)
Pairs = NDArray[np.int64]


def main(argv: list[str] | None = None) -> None:
    """Runs every study, prior and seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", nargs="+", choices=STUDIES, default=list(STUDIES))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--interacting", type=int, default=400)
    parser.add_argument("--types", type=int, default=8)
    parser.add_argument("--modules", type=int, default=16)
    parser.add_argument("--cells", type=int, help="instead of each study's own number")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--max-cells", type=int, default=50)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS / "explain.jsonl")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    for name in args.studies:
        for seed in args.seeds:
            cells, planted, faint = _study(name, seed, args)
            key = {"study": name, "seed": seed}
            for decoys, rewired in PRIORS if "importance" in args.parts else ():
                result = _run(cells, planted, faint, decoys, rewired, seed, args)
                this = {**key, "decoys": decoys, "rewired": rewired}
                record(args.results, "cpu", benchmark="explain", **this, **result)
            for kind in ATTENTION if "attention" in args.parts else ():
                result = _learned(cells, planted, kind, seed, args)
                record(args.results, "cpu", benchmark="attention", **key, kind=kind, **result)


def _study(name: str, seed: int, args: argparse.Namespace) -> tuple[AnnData, Pairs, Pairs]:
    """Returns cells, the planted edges and as many pairs of random genes."""
    options: dict[str, Any] = dict(STUDIES[name])
    if args.cells is not None:
        options["n_cells"] = args.cells
    with tempfile.TemporaryDirectory() as folder:
        study = simulate(
            f"{folder}/study",
            n_genes=args.genes,
            n_interacting=args.interacting,
            n_types=args.types,
            n_modules=args.modules,
            n_hidden=args.modules // 2,
            random_state=seed,
            verbose=False,
            **options,
        )
        cells = read_h5ad(study.cells)
        table = read_stringdb(study.links, study.info, min_score=1)
    place = {gene: i for i, gene in enumerate(cells.var_names)}
    pairs = np.array([table["gene_a"].map(place), table["gene_b"].map(place)], dtype=np.int64)
    planted = table["score"].to_numpy() >= 0.7
    return cells, pairs[:, planted], pairs[:, ~planted]


def _run(
    cells: AnnData,
    planted: Pairs,
    faint: Pairs,
    decoys: str,
    rewired: bool,
    seed: int,
    args: argparse.Namespace,
) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    others = faint if decoys == "any genes" else _rewired(planted, cells.n_vars, rng, planted)
    true = _rewired(planted, cells.n_vars, rng, others) if rewired else planted
    model, train, test = _fitted(cells, true, others, seed, args)
    how = {"max_cells": args.max_cells}
    start = time.perf_counter()
    of_edges = edge_importance(model, test, steps=args.steps, **how)
    seconds = time.perf_counter() - start
    result: dict[str, Any] = {
        "accuracy": round(model.score(test, "cell_type"), 4),
        "edges": _of_edges(of_edges, true, train),
        "edges_gap": of_edges.attrs["completeness_gap"],
        "seconds_of_edges": round(seconds, 1),
    }
    if rewired or decoys == "any genes":
        return result
    of_genes = gene_importance(model, test, steps=args.steps, **how)
    result["genes"] = _of_genes(of_genes, cells)
    result["genes_gap"] = of_genes.attrs["completeness_gap"]
    for name, table in (("genes", of_genes), ("edges", of_edges)):
        result[f"faithfulness_of_{name}"] = _areas(model, test, table, args)
    return result


def _fitted(
    cells: AnnData, true: Pairs, others: Pairs, seed: int, args: argparse.Namespace, **options: Any
) -> tuple[GeneGCNClassifier, AnnData, AnnData]:
    """Returns a classifier, the cells it learned from, and others."""
    edges = np.concatenate([true, others], axis=1)
    graph = GeneGraph(cells.var_names, np.concatenate([edges, edges[::-1]], axis=1))
    train, test = cells[: len(cells) * 2 // 3].copy(), cells[len(cells) * 2 // 3 :].copy()
    options |= {"max_epochs": args.epochs, "random_state": seed, "verbose": False}
    return GeneGCNClassifier(graph, **options).fit(train, "cell_type"), train, test


def _learned(
    cells: AnnData, planted: Pairs, kind: str, seed: int, args: argparse.Namespace
) -> dict[str, Any]:
    """What attention makes of planted edges and decoys of the same degree, and of other pairs."""
    decoys = _rewired(planted, cells.n_vars, np.random.default_rng(seed), planted)
    model, _, test = _fitted(cells, planted, decoys, seed, args, **ATTENTION[kind])
    start = time.perf_counter()
    table = attention(model, test, max_cells=args.max_cells)
    seconds = time.perf_counter() - start
    table = table[table["class"] == "all"]
    one, two, is_true = _marked(table, "source", "target", planted, cells)
    inside = table["in_prior"].to_numpy()
    module = cells.var["module"].cat.codes.to_numpy()
    joined = (module[one] == module[two]) & (module[one] >= 0)
    sizes = np.bincount(module[module >= 0])
    learned = ~inside & table["in_top_k"].to_numpy()
    result = {
        "planted_in_prior": average_precision_score(is_true[inside], table["attention"][inside]),
        "prevalence": is_true[inside].mean(),
        "prior_in_top_10": table["in_top_k"][inside].mean(),
        "pairs_in_one_module": (sizes * (sizes - 1)).sum() / (cells.n_vars * (cells.n_vars - 1)),
    }
    if learned.any():
        result["learned_in_one_module"] = joined[learned].mean()
        result["sources_learned"] = len(np.unique(one[learned]))
    accuracy = model.score(test, "cell_type")
    return {**_rounded(accuracy=accuracy, **result), "seconds_of_attention": round(seconds, 1)}


def _rewired(pairs: Pairs, num_genes: int, rng: np.random.Generator, beside: Pairs) -> Pairs:
    return rewire_pairs(pairs, num_genes, rng, beside=beside)


def _of_edges(table: pd.DataFrame, true: Pairs, train: AnnData) -> dict[str, float]:
    """Areas under the precision-recall curve of the planted edges."""

    def marked(rows: pd.DataFrame) -> tuple[Any, Any, Any]:
        return _marked(rows, "gene_a", "gene_b", true, train)

    overall = over_classes(table)
    one, two, is_true = marked(overall)
    by_class = [
        {
            column: average_precision_score(marked(part)[2], part[column])
            for column in ("importance", "specific")
        }
        for _, part in table.groupby("class")
    ]
    return _rounded(
        prevalence=is_true.mean(),
        importance=average_precision_score(is_true, overall["importance"]),
        agreement=average_precision_score(is_true, overall["agreement"]),
        importance_in_one_class=np.mean([part["importance"] for part in by_class]),
        specific_in_one_class=np.mean([part["specific"] for part in by_class]),
        first_100=is_true[:100].mean(),
        first_100_by_agreement=is_true[np.argsort(-overall["agreement"].to_numpy())[:100]].mean(),
        coexpression=average_precision_score(is_true, _correlation(train)[one, two]),
    )


def _marked(
    table: pd.DataFrame, one: str, other: str, true: Pairs, cells: AnnData
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Returns the positions of a table's genes, and which pairs are among the true ones."""
    place = {gene: i for i, gene in enumerate(cells.var_names)}
    a, b = (table[side].map(place).to_numpy() for side in (one, other))
    keys = {frozenset(pair) for pair in true.T.tolist()}
    pairs = zip(a.tolist(), b.tolist(), strict=True)
    return a, b, np.array([frozenset(pair) in keys for pair in pairs])


def _correlation(train: AnnData) -> NDArray[np.float64]:
    counts = train.X.toarray().astype(np.float64)
    x = np.log1p(1e4 * counts / np.maximum(counts.sum(1, keepdims=True), 1))
    x -= x.mean(0)
    size = np.linalg.norm(x, axis=0)
    return (x.T @ x) / np.maximum(np.outer(size, size), np.finfo(float).tiny)


def _of_genes(table: pd.DataFrame, cells: AnnData) -> dict[str, float]:
    """Mean over classes of the area of the genes of modules that are active in the class."""
    activities = cells.uns["simulation"]["activities"]
    activities = activities - activities.mean()
    modules = cells.var["module"]
    areas, prevalences, first = [], [], []
    for label, part in table.groupby("class"):
        active = activities.columns[activities.loc[label] > 1]
        is_true = modules.loc[part["gene"]].isin(active).to_numpy()
        if is_true.any():
            areas.append(average_precision_score(is_true, part["importance"]))
            prevalences.append(is_true.mean())
            first.append(is_true[:20].mean())  # the table is sorted
    return _rounded(
        importance=np.mean(areas), prevalence=np.mean(prevalences), first_20=np.mean(first)
    )


def _areas(
    model: GeneGCNClassifier, test: AnnData, table: pd.DataFrame, args: argparse.Namespace
) -> dict[str, float]:
    """Areas under deletion and insertion curves, means over the classes."""
    found = faithfulness(model, test, table, max_cells=args.max_cells, points=10).summary
    out = {}
    for curve, part in found.groupby("curve"):
        out[f"{curve}"] = part["area"].mean()
        out[f"{curve}_random"] = part["random_area"].mean()
        out[f"{curve}_random_sd"] = part["random_sd"].mean()
        out[f"{curve}_better"] = (part["gain"] > 0).mean()
    return _rounded(**out)


def _rounded(**values: Any) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in values.items()}


if __name__ == "__main__":
    main()
