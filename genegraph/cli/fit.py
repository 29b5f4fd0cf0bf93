"""``genegraph fit``: labelled cells and a graph in, a model out."""

import argparse
from pathlib import Path
from typing import Any

from genegraph.cli.options import add_graph, add_training, check_graph, read_cells, train
from genegraph.cli.output import Output
from genegraph.cli.usage import check_inputs, check_output


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "fit",
        parents=[shared],
        help="train a classifier on labelled cells",
        description="Trains a classifier on labelled cells and saves it. Without a graph the "
        "classifier has no prior.",
    )
    option = parser.add_argument
    option("cells", type=Path, metavar="CELLS.h5ad", help="labelled cells")
    option("--model", required=True, type=Path, metavar="OUT", help="where to save the model")
    option("--layer", metavar="NAME", help="layer to take the values from (default: X)")
    option("--force", action="store_true", help="replace the model file if there is one")
    add_training(parser)
    add_graph(parser)
    parser.set_defaults(command=run)


def run(args: argparse.Namespace, output: Output) -> None:
    """Runs it."""
    check_graph(args)
    check_output(args.model, args.force)
    check_inputs(args.cells, args.unlabeled)
    model = train(args, output, read_cells(args.cells, output), args.layer)
    model.save(args.model)
    output.say(f"wrote {args.model}")
    output.result(model=args.model)
