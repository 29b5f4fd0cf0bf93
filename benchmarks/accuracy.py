"""Does it label at least as well as logistic regression?  Same splits, one table.

    python benchmarks/accuracy.py cells.h5ad --links 9606.protein.links.full.v12.0.txt.gz \
        --info 9606.protein.info.v12.0.txt.gz

Every method sees the same training cells of each split and nothing of the test cells: C of the
logistic regression is chosen on a fifth of the training cells and then fitted on all of them.  A
row that stands in the results file already is not run again.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData
from common import cells_and_links, machine, read_cells_and_graph
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit

from genegraph import GeneGCNClassifier, GeneGraph
from genegraph.expression import prepare, read_anndata

RESULTS = Path(__file__).parent / "results" / "accuracy.jsonl"
GRID = {"C": [0.003, 0.01, 0.03, 0.1, 0.3]}


def main(argv: list[str] | None = None) -> None:
    """Runs what is missing and prints the table."""
    parser = cells_and_links(__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args(argv)

    cells, graph = read_cells_and_graph(args)
    splitter = StratifiedShuffleSplit(args.splits, test_size=0.3, random_state=0)
    labels = cells.obs[args.labels].astype(str).to_numpy()
    for split, (train, test) in enumerate(splitter.split(labels, labels)):
        for method in args.methods:
            key = {"data": args.cells.stem, "split": split, "method": method}
            if _done(args.results, key):
                continue
            start = time.perf_counter()
            predicted = METHODS[method](cells, labels, train, test, graph, split)
            row = {
                **key,
                "accuracy": accuracy_score(labels[test], predicted),
                "macro_f1": f1_score(labels[test], predicted, average="macro"),
                "seconds": round(time.perf_counter() - start, 1),
                "min_score": args.min_score,
                **machine("cpu"),
            }
            with args.results.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(f"{key}  accuracy {row['accuracy']:.4f}  {row['seconds']} s", flush=True)
    print(summarise(args.results, args.cells.stem))


def summarise(results: Path, data: str) -> str:
    """Mean and standard deviation over splits, and the paired difference to the first method."""
    rows = pd.read_json(results, lines=True).query("data == @data")
    accuracy = rows.pivot(index="split", columns="method", values="accuracy") * 100
    macro_f1 = rows.pivot(index="split", columns="method", values="macro_f1") * 100
    methods = [method for method in METHODS if method in accuracy]
    first = methods[0]
    out = pd.DataFrame(
        {
            "accuracy": accuracy.mean(),
            "sd": accuracy.std(),
            "macro-F1": macro_f1.mean(),
            f"minus {first}": accuracy.sub(accuracy[first], axis=0).mean(),
            "splits": accuracy.count(),
        }
    ).loc[methods]
    return out.round(2).to_string()


def _done(results: Path, key: dict[str, Any]) -> bool:
    if not results.exists():
        results.parent.mkdir(exist_ok=True)
        return False
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    return any(key.items() <= row.items() for row in rows)


def _logistic_regression(
    cells: AnnData, labels: Any, train: Any, test: Any, graph: GeneGraph, seed: int
) -> Any:
    X = prepare(read_anndata(cells).X, "counts")
    inner = StratifiedShuffleSplit(1, test_size=0.2, random_state=seed)
    search = GridSearchCV(LogisticRegression(max_iter=3000), GRID, cv=inner)
    return search.fit(X[train], labels[train]).predict(X[test])


def _ours(**options: Any) -> Any:
    def run(cells: AnnData, labels: Any, train: Any, test: Any, graph: GeneGraph, seed: int) -> Any:
        prior = {"none": None, "real": graph}.get(options.get("prior", "real"))
        if options.get("prior") == "rewired":
            prior = graph.rewire(random_state=seed)
        chosen = {k: v for k, v in options.items() if k != "prior"}
        model = GeneGCNClassifier(prior, random_state=seed, verbose=False, **chosen)
        return model.fit(cells[train], labels[train]).predict(cells[test])

    return run


METHODS: dict[str, Any] = {
    "logistic regression": _logistic_regression,
    "fully connected head": _ours(prior="none"),
    "gene GCN": _ours(),
    "gene GCN, full attention": _ours(attention="full"),
    "gene GCN, rewired prior": _ours(prior="rewired"),
    "fully connected head, Adam": _ours(prior="none", optimizer="adam"),
}


if __name__ == "__main__":
    main()
