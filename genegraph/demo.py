"""``genegraph demo``: from labelled blood cells to a picture, a table and a saved model."""

import os
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split

from genegraph.classifier import GeneGCNClassifier
from genegraph.datasets import complexes, pbmc
from genegraph.files import write_whole
from genegraph.graph import GeneGraph
from genegraph.interactions import read_stringdb
from genegraph.pl import confusion
from genegraph.reliability import wilson_interval

if TYPE_CHECKING:
    from anndata import AnnData

PathLike = str | os.PathLike[str]


def run_demo(
    out: PathLike = "genegraph-demo",
    links: PathLike | None = None,
    info: PathLike | None = None,
    *,
    max_epochs: int | None = None,
    console: Console | None = None,
) -> pd.DataFrame:
    """Trains three classifiers on 490 blood cells and compares them on 210 others.

    Logistic regression (its penalty chosen by cross-validation on the training cells) is the bar to
    beat, the fully connected head shows what the graph adds, the gene GCN is what this package is
    for. Into ``out`` go ``confusion.png`` and ``predictions.csv`` of the gene GCN and the trained
    model, ``pbmc.genegraph``; files of these names are replaced. Needs no network.

    Args:
        out: Folder for the results; made if it is not there.
        links: A STRING links file to take the graph from; by default the graph is the small
            built-in one of :func:`genegraph.datasets.complexes`.
        info: The STRING info file beside ``links``, which names its proteins.
        max_epochs: Epochs of the two networks; None leaves it to the classifier.
        console: Where to print; by default the terminal.

    Returns:
        One row per classifier: ``accuracy`` with its 95% interval ``low`` to ``high``,
        ``macro_f1``, all on the held-out cells, and the ``seconds`` of training and predicting.

    Raises:
        FileExistsError: If ``out`` is a file.
        ImportError: If scanpy, which holds the cells, is not installed.
        ValueError: If ``info`` comes without ``links``.
    """
    if info is not None and links is None:
        raise ValueError("'info' names the proteins of a links file; pass 'links' as well.")
    console = console or Console()
    folder = _make_folder(Path(out))
    train, test = _split(pbmc())
    graph = _build_graph(train, links, info)
    console.print(f"{train.n_obs} cells to learn from, {test.n_obs} held out", highlight=False)
    console.print(f"{graph.report()}", highlight=False)

    rows, model = _compare(train, test, graph, max_epochs, console)
    console.print(_as_rich(rows))
    _save(folder, model, test)
    _explain(console, rows, folder, built_in=links is None)
    return rows


def _make_folder(folder: Path) -> Path:
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"'out' must be a folder, but {folder} is a file; name another.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _split(cells: "AnnData") -> tuple["AnnData", "AnnData"]:
    labels = cells.obs["cell_type"]
    train, test = train_test_split(
        np.arange(cells.n_obs), test_size=0.3, stratify=labels, random_state=0
    )
    return cells[train].copy(), cells[test].copy()


def _build_graph(cells: "AnnData", links: PathLike | None, info: PathLike | None) -> GeneGraph:
    table = complexes() if links is None else read_stringdb(links, info=info)
    return GeneGraph.from_interactions(table, genes=cells.var_names)


def _compare(
    train: "AnnData", test: "AnnData", graph: GeneGraph, max_epochs: int | None, console: Console
) -> tuple[pd.DataFrame, GeneGCNClassifier]:
    settings: dict[str, Any] = {"values": "log1p", "max_epochs": max_epochs, "random_state": 0}
    labels = train.obs["cell_type"].astype(str)
    gcn = GeneGCNClassifier(graph, **settings)
    trials: dict[str, tuple[Any, tuple[Any, Any], Any]] = {
        "logistic regression": (_logistic_regression(), (train.X, labels), test.X),
        "fully connected head": (GeneGCNClassifier(**settings), (train, "cell_type"), test),
        "gene GCN": (gcn, (train, "cell_type"), test),
    }
    rows = {}
    for name, (model, known, unknown) in trials.items():
        console.print(f"training: {name}", highlight=False)
        start = perf_counter()
        model.fit(*known)
        rows[name] = _judge(test, model.predict(unknown), perf_counter() - start)
    return pd.DataFrame.from_dict(rows, orient="index"), gcn


def _logistic_regression() -> GridSearchCV:
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    grid = {"C": [0.01, 0.03, 0.1, 0.3, 1.0]}
    return GridSearchCV(LogisticRegression(max_iter=2000), grid, cv=folds)


def _judge(test: "AnnData", predicted: NDArray[Any], seconds: float) -> dict[str, float]:
    truth = test.obs["cell_type"].astype(str).to_numpy()
    low, high = wilson_interval(int((truth == predicted).sum()), len(truth))
    return {
        "accuracy": accuracy_score(truth, predicted),
        "low": low,
        "high": high,
        "macro_f1": f1_score(truth, predicted, average="macro"),
        "seconds": seconds,
    }


def _as_rich(rows: pd.DataFrame) -> Table:
    table = Table(title="on the held-out cells", title_justify="left")
    table.add_column("")
    for title in ("accuracy", "95% interval", "macro-F1", "seconds"):
        table.add_column(title, justify="right")
    for name, row in rows.iterrows():
        interval = f"{row['low']:.1%} to {row['high']:.1%}"
        numbers = f"{row['accuracy']:.1%}", interval, f"{row['macro_f1']:.1%}"
        table.add_row(str(name), *numbers, f"{row['seconds']:.1f}")
    return table


def _save(folder: Path, model: GeneGCNClassifier, test: "AnnData") -> None:
    model.annotate(test, key="predicted")
    found = test.obs[["cell_type", "predicted", "predicted_confidence"]]
    found = found.rename(columns={"predicted_confidence": "confidence"})
    table = found.to_csv(index_label="cell", float_format="%.4f")
    write_whole(folder / "predictions.csv", table.encode())
    true, named = found["cell_type"].astype(str), found["predicted"].astype(str)
    confusion(true, named, save=folder / "confusion.png")
    model.save(folder / "pbmc.genegraph")


def _explain(console: Console, rows: pd.DataFrame, folder: Path, *, built_in: bool) -> None:
    points = 50 * (rows["high"] - rows["low"]).max()
    console.print(
        f"With so few held-out cells an accuracy is uncertain by about ±{points:.0f} points, and "
        "rare types count in macro-F1 as much as common ones: this shows that everything runs, "
        "not which method is better.",
        highlight=False,
    )
    if built_in:
        console.print(
            "The graph here is the small built-in one of textbook complexes; for real use take "
            "STRING:\n  genegraph demo --links 9606.protein.links.v12.0.txt.gz "
            "--info 9606.protein.info.v12.0.txt.gz",
            highlight=False,
            soft_wrap=True,
        )
    for name in ("confusion.png", "predictions.csv", "pbmc.genegraph"):
        console.print(f"wrote {folder / name}", highlight=False, soft_wrap=True)
