"""What labels best?  Data sets, conditions, methods and splits, paired; one line of JSON a result.

    python benchmarks/accuracy.py --cells DIR --links LINKS --info INFO --mouse EDGES

A result that stands in the file already is not computed again, so a run may be stopped and go on.
``--part 0 2`` and ``--part 1 2`` share the work between two processes.  ``accuracy_table.py`` makes
the tables and the figure, ``unseen_table.py`` those of the data sets that are fetched.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
from accuracy_methods import MAIN, METHODS, Named
from accuracy_sets import (
    DEEPER,
    DONORS,
    FEW,
    READS,
    SETS,
    SHARES,
    TRANSFERS,
    UNSEEN,
    Case,
    cases,
    due,
    files_parser,
    library_of,
    transfer,
)
from common import RESULTS, machine
from sklearn.metrics import accuracy_score, f1_score

FILE = RESULTS / "accuracy.jsonl"
CONDITIONS = [*SHARES, *FEW, *DEEPER, "transfer"]
WITH_CONFIDENCE = ("all reads", "5 % of reads", *DEEPER)


def main(argv: list[str] | None = None) -> None:
    """Computes what is missing."""
    parser = files_parser(__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=[*SETS, *UNSEEN], default=list(SETS))
    parser.add_argument(
        "--conditions",
        nargs="+",
        choices=[*CONDITIONS, "another donor", *READS],
        default=CONDITIONS,
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(MAIN))
    parser.add_argument("--splits", type=int, nargs=2, default=(0, 20), help="from, to")
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), help="which of how many")
    parser.add_argument("--results", type=Path, default=FILE)
    args = parser.parse_args(argv)

    library = library_of(args)
    done = _done(args.results)
    work = [w for w in due(args.conditions, args.sets) if args.splits[0] <= w[2] < args.splits[1]]
    for name, condition, split in work[args.part[0] :: args.part[1]]:
        missing = [m for m in args.methods if (name, condition, split, m) not in done]
        if not missing:
            continue
        make = transfer(library, name, split) if name in (*TRANSFERS, *DONORS) else None
        case = make or cases(library, name, condition, split)
        for method in missing:
            _run(case, method, args.results)


def _run(case: Case, method: str, results: Path) -> None:
    start = time.perf_counter()
    named = METHODS[method](case, int(str(case.key["split"])))
    row = {
        **case.key,
        "method": method,
        **_scores(case, named),
        "seconds": round(time.perf_counter() - start, 1),
        "train": case.train.n_obs,
        "test": case.test.n_obs,
        **machine("cpu"),
    }
    with results.open("a") as file:
        file.write(json.dumps(row) + "\n")
    print(
        f"{case.key} {method}: accuracy {row['accuracy']:.4f}, macro-F1 {row['macro_f1']:.4f}, "
        f"{row['seconds']} s",
        flush=True,
    )


def _scores(case: Case, named: Named) -> dict[str, object]:
    truth = case.test.obs["cell_type"].astype(str).to_numpy()
    scores: dict[str, object] = {
        "accuracy": accuracy_score(truth, named.labels),
        "macro_f1": f1_score(
            truth, named.labels, average="macro", labels=np.unique(truth), zero_division=0
        ),
    }
    if named.confidence is not None and case.key["condition"] in WITH_CONFIDENCE:
        scores["confidence_per_mille"] = np.rint(named.confidence * 1000).astype(int).tolist()
        scores["right"] = "".join("01"[int(r)] for r in truth == named.labels)
    return scores


def _done(results: Path) -> set[tuple[object, ...]]:
    if not results.exists():
        results.parent.mkdir(exist_ok=True)
        return set()
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    return {(r["data"], r["condition"], r["split"], r["method"]) for r in rows}


if __name__ == "__main__":
    main()
