"""``genegraph predict``: cells and a model in, labels out."""

import argparse
from pathlib import Path
from typing import Any

from genegraph.cli.options import add_naming, check_limits, name, read_cells
from genegraph.cli.output import Output
from genegraph.cli.usage import check_inputs, check_output


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "predict",
        parents=[shared],
        help="label cells with a trained classifier",
        description="Labels cells. A .csv gets one row per cell: cell, predicted, confidence, "
        "novelty. An .h5ad gets the cells with the labels in obs[KEY], obs[KEY_confidence] and "
        "obs[KEY_novelty], and the probabilities in obsm[KEY_proba]. Cells are named 'unknown' "
        "where --min-confidence, --max-error or --max-novelty asks for it.",
    )
    option = parser.add_argument
    option("cells", type=Path, metavar="QUERY.h5ad", help="cells to label")
    option("--model", required=True, type=Path, metavar="FILE", help="saved by genegraph fit")
    option("--layer", metavar="NAME", help="layer with the values (default: as in fit; X for X)")
    add_naming(parser)
    parser.set_defaults(command=run)


def run(args: argparse.Namespace, output: Output) -> None:
    """Runs it."""
    check_limits(args)
    check_output(args.out, args.force, (".csv", ".h5ad"))
    check_inputs(args.cells, args.model)
    from genegraph.classifier import GeneGCNClassifier

    model = GeneGCNClassifier.load(args.model)
    if args.layer is not None:
        model.layer_ = None if args.layer == "X" else args.layer
    name(args, output, model, read_cells(args.cells, output))
