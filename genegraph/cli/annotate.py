"""``genegraph annotate``: labelled cells, unlabelled cells and a graph in, labels out."""

import argparse
from pathlib import Path
from typing import Any

from genegraph.cli.options import (
    add_graph,
    add_naming,
    add_training,
    check_graph,
    check_limits,
    name,
    read_cells,
    train,
)
from genegraph.cli.output import Output
from genegraph.cli.usage import check_inputs, check_output


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "annotate",
        parents=[shared],
        help="learn from labelled cells and label others, in one go",
        description="Trains on the reference as 'genegraph fit' does and labels the query as "
        "'genegraph predict' does. To label further cells later, keep the model with --model.",
    )
    option = parser.add_argument
    option("reference", type=Path, metavar="REFERENCE.h5ad", help="labelled cells")
    option("query", type=Path, metavar="QUERY.h5ad", help="cells to label")
    option("--model", type=Path, metavar="OUT", help="save the model as well")
    option("--layer", metavar="NAME", help="layer with the values of both files (default: X)")
    add_training(parser)
    add_naming(parser)
    add_graph(parser)
    parser.set_defaults(command=run)


def run(args: argparse.Namespace, output: Output) -> None:
    """Runs it."""
    check_graph(args)
    check_limits(args)
    check_output(args.out, args.force, (".csv", ".h5ad"))
    if args.model is not None:
        check_output(args.model, args.force)
    check_inputs(args.reference, args.query, args.unlabeled)
    query = read_cells(args.query, output)
    model = train(args, output, read_cells(args.reference, output), args.layer)
    if args.model is not None:
        model.save(args.model)
        output.say(f"wrote {args.model}")
        output.result(model=args.model)
    name(args, output, model, query)
