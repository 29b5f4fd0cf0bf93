"""Which of the write-up's claims hold?  Every system it describes, many times over, in one table.

    python benchmarks/writeup.py --data simulate --cells 2000 --seeds 3 --epochs 3
    python benchmarks/writeup.py --data cells.h5ad --graph 9606.protein.links.full.v12.0.txt.gz \
        --info 9606.protein.info.v12.0.txt.gz --min-score 700 --table writeup future controls

Every row sees the same cells in the same splits (30 % held out; with seed s: split s and initial
weights s).  Results are appended to a file of JSON lines, and a row that stands there already is
never run again: stop and start as you like.  At the end the tables are printed and drawn.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
from anndata import read_h5ad
from common import RESULTS, machine
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from writeup_fit import Study, fit_row, make_study
from writeup_priors import Sources
from writeup_rows import TABLES, Row
from writeup_table import draw, summarise

from genegraph import GeneGraph, read_edges, read_stringdb
from genegraph.datasets import simulate


def main(argv: list[str] | None = None) -> None:
    """Runs what is missing, prints and draws the tables."""
    args = _parser().parse_args(argv)
    name, study = (_simulated if args.data == "simulate" else _read)(args)
    rows = {row.name: row for table in args.table for row in TABLES[table]}  # some are in two
    _run(study, [row for row in rows.values() if study.sources.has(row.prior)], name, args)
    for table in args.table:
        found = summarise(read_results(args.results), TABLES[table], name, args.epochs)
        print(f"\n{table}: {name}, at most {args.epochs} epochs\n{found.to_string()}")
        figure = args.results.parent / f"writeup-{table}-{name.replace(' ', '-')}.png"
        draw(read_results(args.results), TABLES[table], name, args.epochs, figure)
        print(f"drawn: {figure}")


def read_results(path: Path) -> pd.DataFrame:
    """Reads the results so far; a line cut short when the process was killed is taken off."""
    if not path.exists():
        return pd.DataFrame({"data": [], "row": [], "seed": [], "max_epochs": []})
    whole, _, rest = path.read_bytes().rpartition(b"\n")
    if rest:
        print(f"{path}: the last line was cut short; its row will be run again.")
        path.write_bytes(whole + b"\n" if whole else b"")
    return pd.DataFrame([json.loads(line) for line in whole.splitlines()])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", required=True, metavar="simulate|CELLS.h5ad")
    add("--labels", default="cell_type", help="column of obs (default: cell_type)")
    add("--graph", type=Path, help="STRING links (with --info) or a table of edges")
    add("--info", type=Path, help="STRING info beside --graph")
    add("--min-score", type=float, default=700)
    add("--other-species", type=Path, help="a table of edges of another species, as a control")
    add("--table", nargs="+", choices=list(TABLES), default=["writeup"])
    add("--seeds", type=int, default=5)
    add("--epochs", type=int, default=20, help="longest training (default: 20)")
    add("--device", default="cpu", choices=["cpu", "cuda"])
    add("--results", type=Path, default=RESULTS / "writeup.jsonl")
    simulated = parser.add_argument_group("simulated study").add_argument
    simulated("--cells", type=int, default=3000)
    simulated("--genes", type=int, default=20_499)
    simulated("--interacting", type=int, default=1_817)
    simulated("--types", type=int, default=46)
    simulated("--modules", type=int, default=60)
    simulated("--hidden", type=int, default=90)
    simulated("--effect", type=float, default=0.35)
    simulated("--zeros", type=float, default=0.9)
    simulated("--graph-signal", type=float, default=1.0)
    simulated("--studies", type=Path, default=Path(".studies"), help="where studies are kept")
    return parser


def _simulated(args: argparse.Namespace) -> tuple[str, Study]:
    """The study, written once, and beside it the network of another species."""
    size = {
        "n_genes": args.genes,
        "n_interacting": args.interacting,
        "n_types": args.types,
        "n_modules": args.modules,
        "n_hidden": args.hidden,
        "effect": args.effect,
        "zeros": args.zeros,
    }
    name = f"simulated {args.cells} x {args.genes}, signal {args.graph_signal:g}"
    folder = args.studies / name.replace(" ", "-").replace(",", "")
    for taxon, n_cells in ((9606, args.cells), (10090, 4 * args.types)):
        if not (folder / str(taxon)).exists():
            folder.mkdir(parents=True, exist_ok=True)
            settings = {"graph_signal": args.graph_signal, "taxon": taxon, "random_state": 0}
            simulate(folder / str(taxon), n_cells=n_cells, **settings, **size)
    cells = read_h5ad(next((folder / "9606").glob("*.h5ad")))
    ours, theirs = (
        read_stringdb(
            next((folder / taxon).glob("*links*")), next((folder / taxon).glob("*info*")),
            min_score=args.min_score,
        )
        for taxon in ("9606", "10090")
    )  # fmt: skip
    with warnings.catch_warnings():  # that few genes interact is how the study was made
        warnings.filterwarnings("ignore", message="Only .* of the .* given genes are in")
        graph = GeneGraph.from_interactions(ours, genes=cells.var_names)
    return name, make_study(cells, "cell_type", Sources(graph, theirs, related=False))


def _read(args: argparse.Namespace) -> tuple[str, Study]:
    if args.graph is None:
        raise SystemExit("--data with a file needs --graph, the interactions to use.")
    cells = read_h5ad(args.data)
    if args.info is None:
        table = read_edges(args.graph)
    else:
        table = read_stringdb(args.graph, args.info, min_score=args.min_score)
    other = None if args.other_species is None else read_edges(args.other_species)
    graph = GeneGraph.from_interactions(table, genes=cells.var_names)
    return Path(args.data).stem, make_study(cells, args.labels, Sources(graph, other))


def _run(study: Study, rows: list[Row], data: str, args: argparse.Namespace) -> None:
    """Runs every row with every seed that has no result yet, seed by seed."""
    found = read_results(args.results)
    done = set(zip(found["data"], found["row"], found["seed"], found["max_epochs"], strict=True))
    # Seed by seed: whenever it is stopped, the rows that are compared have run equally often.
    tasks = [
        (row, seed)
        for seed in range(max([args.seeds, *(row.one_split for row in rows)]))
        for row in rows
        if seed < (row.one_split or args.seeds) and (data, row.name, seed, args.epochs) not in done
    ]
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=console, disable=not console.is_terminal,
    ) as progress:  # fmt: skip
        bar = progress.add_task("", total=len(tasks))
        for row, seed in tasks:
            progress.update(bar, description=f"{row.name}, seed {seed}")
            result = fit_row(study, row, seed, args.epochs, args.device)
            key = {"data": data, "row": row.name, "seed": seed, "max_epochs": args.epochs}
            _append(args.results, {**key, **result, **machine(args.device)})
            progress.advance(bar)


def _append(path: Path, result: dict[str, Any]) -> None:
    """One line, on the disk before the next row begins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(result) + "\n")
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    main()
