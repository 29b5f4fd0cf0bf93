"""``genegraph explain``: the genes, interactions or attention behind the labels."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genegraph.cli.options import read_cells
from genegraph.cli.output import Output
from genegraph.cli.usage import UsageError, check_inputs, check_output
from genegraph.files import write_whole

if TYPE_CHECKING:
    import pandas as pd

PICTURES = (".png", ".svg", ".pdf")
NETWORKS = (".graphml", ".cyjs")
# Edges by what they say of one type alone; what they say of all alike is in the table beside.
RANKED_BY = {"genes": "importance", "edges": "specific", "attention": "attention"}


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "explain",
        parents=[shared],
        help="say which genes and interactions made the labels",
        description="Says what speaks for each cell type, in the cells of that type: its genes, "
        "the interactions of the prior, or the learned graph. The ending of OUT says what is "
        "written: a table (.csv), a network of one type for other tools (.graphml, .cyjs), or a "
        "picture of it (.png, .svg, .pdf).",
    )
    option = parser.add_argument
    option("cells", type=Path, metavar="CELLS.h5ad", help="cells to explain")
    option("--model", required=True, type=Path, metavar="FILE", help="saved by genegraph fit")
    option("--out", required=True, type=Path, metavar="OUT", help="a table, network or picture")
    option(
        "--what",
        default="genes",
        choices=["genes", "edges", "attention"],
        help="importance of genes (default), of the prior's interactions, or learned attention",
    )
    option("--by", metavar="COLUMN", help="column of obs: whose cells (default: as labelled here)")
    option("--label", metavar="TYPE", help="only this cell type")
    option("--top", type=int, metavar="N", help="at most N rows of each type (pictures: 30)")
    option("--max-cells", type=int, default=200, metavar="N", help="cells of each type looked at")
    option("--force", action="store_true", help="replace the output file if there is one")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace, output: Output) -> None:
    """Runs it."""
    check_output(args.out, args.force, (".csv", *NETWORKS, *PICTURES))
    if args.out.suffix != ".csv":
        if args.what == "genes":
            raise UsageError(f"{args.out.suffix} holds a network: --what edges, or attention.")
        if args.label is None:
            raise UsageError(f"{args.out.suffix} holds the network of one type; name it: --label.")
    check_inputs(args.cells, args.model)
    import pandas as pd

    from genegraph.classifier import GeneGCNClassifier

    model = GeneGCNClassifier.load(args.model)
    cells = read_cells(args.cells, output)
    with output.waiting(f"explaining by {args.what}"):
        table = _table(args, model, cells)
    by = RANKED_BY[args.what]
    if args.label is not None:
        table = _of(table, args.label)
    table = pd.concat(
        [
            part.sort_values(by, ascending=False, kind="stable").head(args.top or len(part))
            for _, part in table.groupby("class", sort=False)
        ]
    )
    if args.out.suffix == ".csv":
        write_whole(args.out, table.to_csv(index=False).encode())
    elif args.out.suffix in NETWORKS:
        from genegraph.explain import to_networkx
        from genegraph.graph_convert import write_networkx

        write_networkx(to_networkx(table), args.out)
    else:
        from genegraph.pl import subnetwork

        table = table.head(args.top or 30)
        model.annotate(cells)
        subnetwork(table, table["class"].iloc[0], cells, top=len(table), save=args.out)
    for label, part in table.groupby("class", sort=False):
        best = part.drop(columns="class").head(5)
        output.say(f"{label}\n{best.to_string(index=False, float_format='{:.4g}'.format)}")
    output.say(f"wrote {args.out}: {len(table):,} rows, of which the first of each type are above")
    output.result(out=args.out, rows=len(table), classes=[str(c) for c in table["class"].unique()])


def _table(args: argparse.Namespace, model: Any, cells: Any) -> "pd.DataFrame":
    from genegraph import explain

    options = {"groupby": args.by, "max_cells": args.max_cells}
    if args.what == "attention":
        return explain.attention(model, cells, **options)
    importance = {"genes": explain.gene_importance, "edges": explain.edge_importance}[args.what]
    return importance(model, cells, **options)


def _of(table: "pd.DataFrame", label: str) -> "pd.DataFrame":
    known = table["class"].astype(str)
    if not (known == label).any():
        raise ValueError(f"--label must be one of {sorted(known.unique())} (got {label!r}).")
    return table[known == label]
