"""Does a classifier know what it has not seen?  Each cell type is left out of training in turn.

    python benchmarks/unknown.py --cells DIR --links LINKS --info INFO --mouse EDGES

Test cells of the type left out are compared with the others, by confidence and, where the method
has it, by novelty: the area under the receiver operating characteristic is the probability that a
cell of an unseen type is less sure, or newer, than one of a seen type.  One split a type;
``docs/unknown.md`` is written from the rows.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from accuracy_features import Named
from accuracy_methods import HEADS, METHODS
from accuracy_sets import SETS, Case, cases, files_parser, library_of
from common import RESULTS, machine
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, roc_auc_score

FILE = RESULTS / "unknown.jsonl"
PAGE = Path(__file__).parents[1] / "docs" / "unknown.md"
COMPARED = (HEADS, "logistic regression", "CellTypist")
DATA = ("zheng_facs_pbmc", "pbmc3k", "mouse_immune_actinn")
AIM = 0.85
NEW = 0.95
"""Cells of a higher novelty are called new."""


def main(argv: list[str] | None = None) -> None:
    """Computes what is missing and writes the page."""
    parser = files_parser(__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(DATA))
    parser.add_argument("--results", type=Path, default=FILE)
    parser.add_argument("--page", type=Path, default=PAGE)
    args = parser.parse_args(argv)

    library = library_of(args)
    lines = args.results.read_text().splitlines() if args.results.exists() else []
    done = {(r["data"], r["left_out"], r["method"]) for r in map(json.loads, lines)}
    for name in args.sets:
        case = cases(library, name, "all reads", 0)
        for kind in sorted(case.train.obs["cell_type"].unique()):
            for method in COMPARED:
                if (name, kind, method) not in done:
                    _run(case, kind, method, args.results)
    args.page.write_text(page(args.results))
    print(args.page.read_text())


def _run(case: Case, kind: str, method: str, results: Path) -> None:
    start = time.perf_counter()
    known = case.train[(case.train.obs["cell_type"] != kind).to_numpy()].copy()
    named = METHODS[method](Case(case.key, known, case.test, case.graph, case.values), 0)
    truth = case.test.obs["cell_type"].to_numpy()
    unseen = truth == kind
    assert named.confidence is not None
    row = {
        "data": case.key["data"],
        "left_out": kind,
        "method": method,
        "auroc": roc_auc_score(unseen, -named.confidence),
        **_novelty(named, unseen),
        "accuracy_on_seen": accuracy_score(truth[~unseen], named.labels[~unseen]),
        "unseen": int(unseen.sum()),
        "seen": int((~unseen).sum()),
        "seconds": round(time.perf_counter() - start, 1),
        **machine("cpu"),
    }
    with results.open("a") as file:
        file.write(json.dumps(row) + "\n")
    print(f"{row['data']} without {kind}, {method}: AUROC {row['auroc']:.3f}", flush=True)


def _novelty(named: Named, unseen: NDArray[np.bool_]) -> dict[str, float]:
    if named.novelty is None:
        return {}
    new = named.novelty > NEW
    return {
        "auroc_novelty": roc_auc_score(unseen, named.novelty),
        "unseen_called_new": float(new[unseen].mean()),
        "seen_called_new": float(new[~unseen].mean()),
    }


def page(results: Path) -> str:
    """Returns the table, every type, and what fails."""
    rows = pd.DataFrame([json.loads(line) for line in results.read_text().splitlines()])
    kinds = ["data", "left_out"]
    table = rows.pivot_table(index=kinds, columns="method", values="auroc")
    table = table[[method for method in COMPARED if method in table]]
    ours = rows[rows["method"] == HEADS].set_index(kinds)
    table.insert(0, f"{HEADS}, novelty", ours["auroc_novelty"])
    table = table.dropna()
    ours = ours.loc[table.index]
    lines = [
        "# Types that were not learned",
        "",
        "Each type is left out of training in turn. Area under the ROC curve of *low confidence*,",
        "or of *novelty*, for *not seen*, on test cells: the probability that a cell of the type",
        "left out is less sure of its name, or newer, than one of the others. The heads alone are",
        "the default without its linear discriminant, of which novelty takes no notice. Made by",
        "`benchmarks/unknown.py` from",
        "[results](../benchmarks/results/unknown.jsonl); one split, all reads.",
        "",
        "| data | left out | " + " | ".join(table.columns) + " |",
        "|---" * (2 + len(table.columns)) + "|",
    ]
    for (data, kind), row in table.iterrows():
        lines.append(f"| {data} | {kind} | " + " | ".join(f"{v:.3f}" for v in row) + " |")
    for data, part in table.groupby("data"):
        lines.append(f"| **{data}** | mean | " + " | ".join(f"{v:.3f}" for v in part.mean()) + " |")
    lines.append("| **all** | mean | " + " | ".join(f"{v:.3f}" for v in table.mean()) + " |")
    best = f"{HEADS}, novelty"
    low = table[table[best] < AIM][best]
    failing = [f"{kind} ({data}, {value:.2f})" for (data, kind), value in low.items()]
    lines += ["", f"Below {AIM} with {best}: {', '.join(failing) or 'none'}."]
    found, lost = (ours[f"{part}_called_new"].mean() for part in ("unseen", "seen"))
    lines += [
        "",
        f"With `max_novelty={NEW}`, {found:.0%} of the cells of types left out are called unknown,",
        f"and {lost:.1%} of the others (means over the types).",
    ]
    versions = ", ".join(f"{k} {v}" for k, v in rows["versions"].iloc[-1].items())
    lines += ["", f"Machine: {rows['device'].iloc[-1]}; {versions}."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
