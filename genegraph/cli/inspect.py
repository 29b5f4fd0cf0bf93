"""``genegraph inspect``: what cells are, and what would go wrong."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from genegraph.cli.as_options import as_options
from genegraph.cli.options import add_graph, check_graph, open_cells, read_graph
from genegraph.cli.output import Output
from genegraph.cli.usage import check_inputs


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "inspect",
        parents=[shared],
        help="look at cells before training: values, genes, labels, what would go wrong",
        description="Says what the values and the genes' names are, how many genes the graph "
        "covers, which labels there are, and what 'genegraph fit' would refuse, each with the "
        "line to type. Changes nothing. The exit status is 1 if fit would refuse the cells.",
    )
    option = parser.add_argument
    option("cells", type=Path, metavar="CELLS.h5ad", help="labelled or unlabelled cells")
    option("--labels", metavar="COLUMN", help="column of obs with the cell types")
    option("--groups", metavar="COLUMN", help="column of obs with donor, lane or batch")
    option("--layer", metavar="NAME", help="layer to take the values from (default: X)")
    option("--values", default="auto", choices=["auto", "counts", "log1p", "features"])
    add_graph(parser)
    parser.set_defaults(command=run)


def run(args: argparse.Namespace, output: Output) -> int:
    """Runs it."""
    check_graph(args)
    check_inputs(args.cells)
    from genegraph.inspection import inspect

    cells = open_cells(args.cells)
    graph = read_graph(args, output, None)
    with output.waiting("looking at the cells"):
        seen = inspect(cells, graph, args.labels, args.groups, args.layer, values=args.values)
    findings = seen.findings.assign(advice=seen.findings["advice"].map(as_options))
    seen = replace(seen, findings=findings)
    output.say(seen)
    in_python = findings["advice"].str.len().gt(0) & ~findings["advice"].str.startswith("--")
    if in_python.any():
        output.say(f"Lines of Python after >: adata = anndata.read_h5ad({str(args.cells)!r})")
    output.result(**seen.to_dict())
    return 0 if seen.ok else 1
