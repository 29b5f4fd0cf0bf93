"""How long does it take from labelled cells to named ones, and how much memory?

Learning from one split of one data set and naming its test cells, every method in a process of its
own, in turn, several rounds, in seconds and in CPU seconds of all its threads (which other jobs
disturb less).  The methods are those of ``accuracy.py`` (gene selection and tuning included), graph
networks from torch-geometric's layers trained for as many epochs as ours, and scANVI where
scvi-tools is installed.  Results are appended to results/end_to_end.jsonl.

    python benchmarks/end_to_end.py --cells DIR --links LINKS --info INFO --mouse EDGES
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import torch
from accuracy_features import Named
from accuracy_methods import HEADS, METHODS, NETWORKS, NONE, OURS
from accuracy_networks import network
from accuracy_sets import SETS, Case, cases, files_parser, library_of
from anndata import AnnData
from common import RESULTS, peak_mib, record, reset_peak
from sklearn.metrics import accuracy_score, f1_score

EPOCHS = 20
"""Of the default where there are 2,240 cells or more."""


def scanvi(case: Case, seed: int) -> Named:
    """The query's cells are among those learned from, without labels, as its tutorial does."""
    import scvi

    scvi.settings.seed = seed
    both = AnnData(
        np.concatenate([part.X.toarray() for part in (case.train, case.test)]),
        var=case.train.var,
    )
    names = case.train.obs["cell_type"].to_numpy(str)
    both.obs["label"] = np.append(names, ["unknown"] * case.test.n_obs)
    genes = np.argsort(-np.log1p(both.X).var(0))[:3000]
    both = both[:, np.sort(genes)].copy()
    scvi.model.SCVI.setup_anndata(both)
    first = scvi.model.SCVI(both)
    first.train(accelerator="cpu", enable_progress_bar=False)
    second = scvi.model.SCANVI.from_scvi_model(first, "unknown", labels_key="label")
    second.train(max_epochs=EPOCHS, accelerator="cpu", enable_progress_bar=False)
    named = np.asarray(second.predict(both), dtype=str)
    return Named(named[case.train.n_obs :])


def methods() -> dict[str, Callable[[Case, int], Named]]:
    """Every method by name."""
    trained = {
        name: network(kind, epochs=EPOCHS, patience=EPOCHS) for name, kind in NETWORKS.items()
    }
    more = {
        "GCNConv": network("gcn", epochs=EPOCHS, patience=EPOCHS),
        "TransformerConv": network("transformer", epochs=EPOCHS, patience=EPOCHS),
    }
    if find_spec("scvi"):
        more["scANVI"] = scanvi
    kept = ("logistic regression", "linear SVM", "CellTypist", "fully connected, write-up")
    ours = (OURS, HEADS, NONE)
    return {name: METHODS[name] for name in (*kept, *ours)} | trained | more


def main(argv: list[str] | None = None) -> None:
    """Runs every method."""
    parser = files_parser(__doc__.splitlines()[0])
    parser.add_argument("--set", choices=SETS, default="zheng_facs_pbmc")
    parser.add_argument("--methods", nargs="+", choices=methods(), default=list(methods()))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS / "end_to_end.jsonl")
    parser.add_argument("--one", choices=methods(), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    if args.one:
        case = cases(library_of(args), args.set, "all reads", 0)
        print(json.dumps(_run(case, args.one)))
        return
    words = sys.argv[1:] if argv is None else argv
    found: dict[str, list[dict[str, float]]] = {name: [] for name in args.methods}
    for _ in range(args.rounds):
        for name in args.methods:
            command = [sys.executable, __file__, *words, "--one", name]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[name].append(json.loads(answer.splitlines()[-1]))
    first = {
        name: median(row[name] for row in found[args.methods[0]])
        for name in ("seconds", "cpu_seconds")
    }
    for name, rows in found.items():
        table = pd.DataFrame(rows).median().to_dict()
        record(
            args.results,
            "cpu",
            benchmark="end_to_end",
            data=args.set,
            method=name,
            seconds=round(table["seconds"], 2),
            cpu_seconds=round(table["cpu_seconds"], 2),
            every_seconds=[round(row["seconds"], 2) for row in rows],
            **{f"over {args.methods[0]}": round(table["seconds"] / first["seconds"], 2)},
            **{
                f"cpu over {args.methods[0]}": round(table["cpu_seconds"] / first["cpu_seconds"], 2)
            },
            memory_mib=round(table["memory_mib"]),
            accuracy=table["accuracy"],
            macro_f1=table["macro_f1"],
        )


def _run(case: Case, method: str) -> dict[str, float]:
    reset_peak("cpu")
    before = peak_mib("cpu")
    start, busy = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        named = methods()[method](case, 0)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    truth = case.test.obs["cell_type"].astype(str).to_numpy()
    return {
        "seconds": seconds,
        "cpu_seconds": busy,
        "memory_mib": max(0, peak_mib("cpu") - before),
        "accuracy": accuracy_score(truth, named.labels),
        "macro_f1": f1_score(truth, named.labels, average="macro"),
    }


if __name__ == "__main__":
    main()
