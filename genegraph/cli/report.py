"""``genegraph report``: what a model says of cells, and what that is worth, in one HTML file."""

import argparse
from pathlib import Path
from typing import Any

from genegraph.cli.options import adapted, add_adapt, add_limits, check_limits, read_cells
from genegraph.cli.output import Output
from genegraph.cli.usage import check_inputs, check_output


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "report",
        parents=[shared],
        help="write a report on a model and cells: one HTML file",
        description="Names the cells and writes one HTML file that needs no network: the data as "
        "understood, the graph, training, scores, what confidence is worth, unknown cells, the "
        "interactions that speak for each type, settings and versions.",
    )
    option = parser.add_argument
    option("cells", type=Path, metavar="CELLS.h5ad", help="cells to report on")
    option("--model", required=True, type=Path, metavar="FILE", help="saved by genegraph fit")
    option("--out", required=True, type=Path, metavar="OUT.html", help="the report")
    option("--labels", metavar="COLUMN", help="column of obs with the true types, if known")
    option("--no-interactions", action="store_true", help="leave out what takes longest")
    option("--force", action="store_true", help="replace the report if there is one")
    add_adapt(parser)
    add_limits(parser)
    parser.set_defaults(command=run)


def run(args: argparse.Namespace, output: Output) -> None:
    """Runs it."""
    check_limits(args)
    check_output(args.out, args.force, (".html",))
    check_inputs(args.cells, args.model)
    from genegraph.classifier import GeneGCNClassifier

    model = GeneGCNClassifier.load(args.model)
    cells = read_cells(args.cells, output)
    model = adapted(args, output, model, cells)
    with output.waiting("writing the report"):
        model.report(
            cells,
            args.out,
            y=args.labels,
            interactions=not args.no_interactions,
            min_confidence=args.min_confidence,
            max_error=args.max_error,
            max_novelty=args.max_novelty,
        )
    output.say(f"wrote {args.out}")
    output.result(out=args.out, cells=cells.n_obs)
