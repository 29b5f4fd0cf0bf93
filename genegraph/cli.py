"""The command line: ``genegraph demo``, ``genegraph fit`` and ``genegraph predict``.

Every command is a thin layer over the Python API. Heavy imports wait inside the commands, so that
``genegraph --help`` answers at once.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genegraph.version import __version__

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from genegraph.graph import GeneGraph

# What a wrong file, argument or device raises: told in one line, and in full with --debug.
USER_ERRORS = (ValueError, KeyError, OSError, ImportError, TypeError, RuntimeError)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: The words after ``genegraph``; by default those of the command line.

    Returns:
        The exit status: 0 if all went well, 2 for bad input, 130 if interrupted.

    Example:
        >>> main(["predict", "cells.h5ad", "--model", "m.genegraph", "--out", "labels.txt"])
        2
    """
    args = make_parser().parse_args(argv)
    try:
        args.command(args)
    except KeyboardInterrupt:
        print("genegraph: interrupted", file=sys.stderr)
        return 130
    except USER_ERRORS as error:
        if args.debug:
            raise
        print(f"genegraph: error: {_one_line(error)}", file=sys.stderr)
        return 2
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Builds the parser of all commands.

    Example:
        >>> make_parser().parse_args(["demo"]).out
        PosixPath('genegraph-demo')
    """
    parser = argparse.ArgumentParser(
        "genegraph",
        description="Cell types from single-cell expression, "
        "with a gene interaction graph as prior knowledge.",
    )
    parser.add_argument("--version", action="version", version=f"genegraph {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--debug", action="store_true", help="show the traceback of an error")
    _add_demo(commands, shared)
    _add_fit(commands, shared)
    _add_predict(commands, shared)
    return parser


def _add_demo(commands: Any, shared: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "demo",
        parents=[shared],
        help="train and compare on built-in blood cells; needs no files",
        description="Trains three classifiers on built-in blood cells, compares them on held-out "
        "cells and writes a picture, the predictions and the model.",
    )
    add = parser.add_argument
    add("--out", type=Path, default=Path("genegraph-demo"), help="folder for the results")
    add("--links", type=Path, metavar="FILE", help="STRING links, in place of the built-in graph")
    add("--info", type=Path, metavar="FILE", help="STRING info beside --links")
    parser.set_defaults(command=_demo)


def _add_fit(commands: Any, shared: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "fit",
        parents=[shared],
        help="train a classifier on labelled cells",
        description="Trains a classifier on labelled cells. Interaction files of several kinds are "
        "joined into one graph; with none, the classifier has no graph.",
    )
    add = parser.add_argument
    add("cells", type=Path, metavar="CELLS.h5ad", help="labelled cells")
    add("--labels", required=True, metavar="COLUMN", help="column of obs with the cell types")
    add("--model", required=True, type=Path, metavar="OUT", help="where to save the model")
    add("--groups", metavar="COLUMN", help="column of obs: donor, lane or batch, held out whole")
    add("--layer", metavar="NAME", help="layer to take the values from (default: X)")
    add("--values", default="auto", choices=["auto", "counts", "log1p", "features"])
    add("--force", action="store_true", help="replace the model file if there is one")
    graph = parser.add_argument_group("graph").add_argument
    graph("--links", type=Path, metavar="FILE", help="STRING links")
    graph("--info", type=Path, metavar="FILE", help="STRING info, which names the proteins")
    graph("--aliases", type=Path, metavar="FILE", help="STRING aliases, in place of --info")
    graph("--min-score", type=float, default=400, help="lowest STRING score (default: 400)")
    graph("--biogrid", type=Path, metavar="FILE", help="BioGRID interactions (tab3)")
    graph("--taxon", type=int, default=9606, help="organism in BioGRID (default: 9606, human)")
    graph("--edges", type=Path, metavar="FILE", help="table of gene_a, gene_b and score")
    train = parser.add_argument_group("training").add_argument
    train("--epochs", type=int, metavar="N", help="longest training")
    train("--seed", type=int, default=0, help="random state (default: 0)")
    train("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.set_defaults(command=_fit)


def _add_predict(commands: Any, shared: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "predict",
        parents=[shared],
        help="label cells with a trained classifier",
        description="Labels cells. A .csv gets one row per cell: cell, predicted, confidence, "
        "novelty. An .h5ad gets the cells with the labels in obs[KEY], obs[KEY_confidence] and "
        "obs[KEY_novelty], and the probabilities in obsm[KEY_proba]. Cells are named 'unknown' "
        "where --min-confidence, --max-error or --max-novelty asks for it.",
    )
    add = parser.add_argument
    add("cells", type=Path, metavar="QUERY.h5ad", help="cells to label")
    add("--model", required=True, type=Path, metavar="FILE", help="model saved by genegraph fit")
    add("--out", required=True, type=Path, metavar="OUT", help="a .csv or an .h5ad file")
    add("--layer", metavar="NAME", help="layer with the values (default: as in fit; X for X)")
    sure = parser.add_mutually_exclusive_group().add_argument
    sure("--min-confidence", type=float, metavar="P", help="name less probable cells 'unknown'")
    sure("--max-error", type=float, metavar="E", help="the same, at this share of wrong names")
    add("--max-novelty", type=float, metavar="Q", help="name cells unlike all types 'unknown'")
    add("--majority-voting", metavar="NAME", help="clusters in obs or neighbours in obsp that vote")
    add("--key", default="genegraph", help="name of the results in an .h5ad (default: genegraph)")
    add("--force", action="store_true", help="replace the output file if there is one")
    parser.set_defaults(command=_predict)


def _demo(args: argparse.Namespace) -> None:
    _check_inputs(args.links, args.info)
    from genegraph.demo import run_demo

    run_demo(args.out, args.links, args.info)


def _fit(args: argparse.Namespace) -> None:
    _check_output(args.model, args.force)
    _check_inputs(args.cells, args.links, args.info, args.aliases, args.biogrid, args.edges)
    if args.links is None and (args.info or args.aliases):
        raise ValueError("--info and --aliases name the proteins of --links; give --links as well.")
    from genegraph.classifier import GeneGCNClassifier
    from genegraph.expression import labels_from_obs

    cells = _read_cells(args.cells)
    labels_from_obs(cells, args.labels)  # a misspelt column is told before a long read of STRING
    graph = _read_graph(args, cells)
    print(graph.report() if graph else "no interaction file was given: training without a graph")
    model = GeneGCNClassifier(
        graph,
        values=args.values,
        max_epochs=args.epochs,
        device=args.device,
        random_state=args.seed,
    )
    model.fit(cells, args.labels, groups=args.groups, layer=args.layer)
    model.save(args.model)
    if model.held_out_ is not None:
        print(f"held out in turn, {model.reliability()}")
    print(f"wrote {args.model}")


def _predict(args: argparse.Namespace) -> None:
    if args.out.suffix not in (".csv", ".h5ad"):
        raise ValueError(f"--out must end in .csv or .h5ad (got {args.out.name!r}).")
    _check_output(args.out, args.force)
    _check_inputs(args.cells, args.model)
    from genegraph.classifier import GeneGCNClassifier

    model = GeneGCNClassifier.load(args.model)
    if args.layer is not None:
        model.layer_ = None if args.layer == "X" else args.layer
    cells = _read_cells(args.cells)
    model.annotate(
        cells,
        key=args.key,
        min_confidence=args.min_confidence,
        max_error=args.max_error,
        max_novelty=args.max_novelty,
        majority_voting=args.majority_voting,
    )
    if args.out.suffix == ".h5ad":
        cells.write_h5ad(args.out)
    else:
        names = {args.key: "predicted", f"{args.key}_confidence": "confidence"}
        names[f"{args.key}_novelty"] = "novelty"
        if args.majority_voting:
            names[f"{args.key}_majority"] = "majority"
        found = cells.obs[list(names)].rename(columns=names)
        found.to_csv(args.out, index_label="cell", float_format="%.4f")
    print(f"wrote {args.out}")


def _check_inputs(*paths: Path | None) -> None:
    for path in paths:
        if path is not None and not path.is_file():
            what = "is a folder, not a file" if path.is_dir() else "does not exist"
            raise FileNotFoundError(f"{path} {what}.")


def _check_output(path: Path, force: bool) -> None:
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder {path.parent} for {path.name} does not exist.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file.")
    if path.exists() and not force:
        raise FileExistsError(f"{path} exists already; name another file or pass --force.")


def _read_cells(path: Path) -> "AnnData":
    from anndata import read_h5ad

    try:
        cells: AnnData = read_h5ad(path)
    except Exception as error:  # whatever h5py and anndata stumble over, without naming the file
        raise ValueError(
            f"{path} could not be read as cells ({error}); write them with adata.write_h5ad()."
        ) from error
    return cells


def _read_graph(args: argparse.Namespace, cells: "AnnData") -> "GeneGraph | None":
    from genegraph.graph import GeneGraph

    graphs = [GeneGraph.from_interactions(table, cells.var_names) for table in _read_tables(args)]
    return reduce(GeneGraph.combine, graphs) if graphs else None


def _read_tables(args: argparse.Namespace) -> "list[pd.DataFrame]":
    from genegraph.interactions import read_biogrid, read_edges, read_stringdb

    tables = []
    if args.links:
        tables.append(read_stringdb(args.links, args.info, args.aliases, min_score=args.min_score))
    if args.biogrid:
        tables.append(read_biogrid(args.biogrid, taxon=args.taxon))
    if args.edges:
        tables.append(read_edges(args.edges))
    return tables


def _one_line(error: BaseException) -> str:
    # str() of a KeyError is the repr of its message; an OSError has the message it was made for.
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return " ".join(text.split()) or type(error).__name__
