"""Options that several commands share, and what they read."""

import argparse
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genegraph.cli.output import Output
from genegraph.cli.usage import UsageError, check_inputs
from genegraph.files import whole_file, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from anndata import AnnData

    from genegraph.classifier import GeneGCNClassifier
    from genegraph.graph import GeneGraph


def add_interactions(parser: argparse.ArgumentParser) -> Any:
    """Adds the files that a graph is built from; returns the group's ``add_argument``."""
    graph = parser.add_argument_group(
        "graph", "Files of several kinds are joined into one graph."
    ).add_argument
    graph("--links", type=Path, metavar="FILE", help="STRING links (any of its links files)")
    graph("--info", type=Path, metavar="FILE", help="STRING info, which names the proteins")
    graph("--aliases", type=Path, metavar="FILE", help="STRING aliases, in place of --info")
    graph("--min-score", type=float, default=400, help="lowest STRING score (default: 400)")
    graph("--biogrid", type=Path, metavar="FILE", help="BioGRID interactions (tab3)")
    graph("--taxon", type=int, default=9606, help="organism in BioGRID (default: 9606, human)")
    graph("--edges", type=Path, metavar="FILE", help="table of gene_a, gene_b and score")
    return graph


def add_graph(parser: argparse.ArgumentParser) -> None:
    """Adds the files of a graph, or a graph that is built already."""
    graph = add_interactions(parser)
    graph("--graph", type=Path, metavar="FILE", help="a graph saved by genegraph graph build")


def check_graph(args: argparse.Namespace) -> None:
    """Refuses graph options that do not go together, and files that are not there."""
    whole = getattr(args, "graph", None)
    if whole is not None and (args.links or args.biogrid or args.edges):
        raise UsageError("--graph is a whole graph; give it, or the files to build one from.")
    if args.links is None and (args.info or args.aliases):
        raise UsageError("--info and --aliases name the proteins of --links; give --links as well.")
    check_inputs(whole, args.links, args.info, args.aliases, args.biogrid, args.edges)


def read_graph(
    args: argparse.Namespace, output: Output, genes: "Iterable[str] | None"
) -> "GeneGraph | None":
    """Reads the graph that the options name, for these genes; None where they name none."""
    from genegraph.graph import GeneGraph

    if getattr(args, "graph", None) is not None:
        saved = GeneGraph.load(args.graph)
        return saved if genes is None else saved.align(genes)
    names = None if genes is None else list(genes)
    graphs = [GeneGraph.from_interactions(table, names) for table in _read_tables(args, output)]
    return reduce(GeneGraph.combine, graphs) if graphs else None


def _read_tables(args: argparse.Namespace, output: Output) -> "list[pd.DataFrame]":
    from genegraph.interactions import read_biogrid, read_edges, read_stringdb

    tables = []
    with output.waiting("reading interactions"):
        if args.links:
            names = (args.info, args.aliases)
            tables.append(read_stringdb(args.links, *names, min_score=args.min_score))
        if args.biogrid:
            tables.append(read_biogrid(args.biogrid, taxon=args.taxon))
        if args.edges:
            tables.append(read_edges(args.edges))
    return tables


def reads(text: str) -> float | tuple[float, ...]:
    """Reads one number, or the least and the most."""
    found = tuple(map(float, text.split(",")))
    return found if len(found) > 1 else found[0]


def add_training(parser: argparse.ArgumentParser) -> None:
    """Adds what training depends on."""
    parser.add_argument(
        "--labels", required=True, metavar="COLUMN", help="column of obs with the cell types"
    )
    train = parser.add_argument_group("training").add_argument
    train("--groups", metavar="COLUMN", help="column of obs: donor, lane or batch, held out whole")
    train(
        "--unlabeled",
        type=Path,
        metavar="CELLS.h5ad",
        help="cells without labels to learn from too (the query itself, say): helps where labels "
        "are few, or technology or depth another",
    )
    train(
        "--thin-to",
        type=reads,
        metavar="READS",
        help="reads of the median cell to be named, or LEAST,MOST: learn from cells as shallow",
    )
    train("--values", default="auto", choices=["auto", "counts", "log1p", "features"])
    train("--epochs", type=int, metavar="N", help="longest training")
    train("--seed", type=int, default=0, help="random state (default: 0)")
    train("--device", default="auto", choices=["auto", "cpu", "cuda"])


def train(
    args: argparse.Namespace, output: Output, cells: "AnnData", layer: str | None
) -> "GeneGCNClassifier":
    """Reads the graph and learns the cell types."""
    from genegraph.classifier import GeneGCNClassifier
    from genegraph.expression import labels_from_obs

    labels_from_obs(cells, args.labels)  # a misspelt column is told before a long read of STRING
    others = None if args.unlabeled is None else read_cells(args.unlabeled, output)
    graph = read_graph(args, output, cells.var_names)
    output.say(graph.report() if graph else "no interaction file was given: training without graph")
    model = GeneGCNClassifier(
        graph,
        values=args.values,
        thin_to=args.thin_to,
        max_epochs=args.epochs,
        device=args.device,
        random_state=args.seed,
    )
    model.fit(cells, args.labels, groups=args.groups, unlabeled=others, layer=layer)
    output.result(
        graph=graph.report().to_dict() if graph else None,
        training_cells=cells.n_obs,
        unlabeled_cells=0 if others is None else others.n_obs,
        genes=cells.n_vars,
        classes=[str(label) for label in model.classes_],
        held_out=None,
    )
    if model.held_out_ is not None:
        shown = model.reliability()
        output.say(f"held out in turn, {shown}")
        output.result(
            held_out={
                "cells": len(shown.correct),
                "accuracy": shown.correct.mean(),
                "mean_confidence": shown.confidence.mean(),
                "expected_calibration_error": shown.expected_calibration_error(),
            }
        )
    return model


def add_naming(parser: argparse.ArgumentParser) -> None:
    """Adds how cells are named, and where to."""
    add = parser.add_argument
    add("--out", required=True, type=Path, metavar="OUT", help="a .csv or an .h5ad file")
    add("--key", default="genegraph", help="name of the results in an .h5ad (default: genegraph)")
    add("--force", action="store_true", help="replace the output file if there is one")
    add("--majority-voting", metavar="NAME", help="clusters in obs or neighbours in obsp vote")
    add_adapt(parser)
    add_limits(parser)


def add_adapt(parser: argparse.ArgumentParser) -> None:
    """Adds whether the model is adapted to the cells first."""
    parser.add_argument(
        "--adapt",
        action="store_true",
        help="adapt to the cells first: for cells of another technology or depth",
    )


def adapted(
    args: argparse.Namespace, output: Output, model: "GeneGCNClassifier", cells: "AnnData"
) -> "GeneGCNClassifier":
    """Returns the model that is to name the cells; adapted to them where that is asked for."""
    if not args.adapt:
        return model
    from genegraph.classifier_adapt import describe

    with output.waiting("adapting to the cells"):
        model = model.adapt(cells)
    assert model.adapted_ is not None
    output.say(describe(model.adapted_))
    output.result(adapted=model.adapted_)
    return model


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Adds from where on a cell is unknown."""
    unknown = parser.add_argument_group("unknown cells").add_argument
    unknown("--min-confidence", type=float, metavar="P", help="name less probable ones 'unknown'")
    unknown("--max-error", type=float, metavar="E", help="the same, at this share of wrong names")
    unknown("--max-novelty", type=float, metavar="Q", help="name cells unlike all types 'unknown'")


def check_limits(args: argparse.Namespace) -> None:
    """Refuses limits that exclude each other."""
    if args.min_confidence is not None and args.max_error is not None:
        raise UsageError("Only one of --min-confidence and --max-error can be given.")


def name(
    args: argparse.Namespace, output: Output, model: "GeneGCNClassifier", cells: "AnnData"
) -> None:
    """Names cells and writes them."""
    model = adapted(args, output, model, cells)
    with output.waiting("naming cells"):
        model.annotate(
            cells,
            key=args.key,
            min_confidence=args.min_confidence,
            max_error=args.max_error,
            max_novelty=args.max_novelty,
            majority_voting=args.majority_voting,
        )
    if args.out.suffix == ".h5ad":
        with whole_file(args.out) as draft:
            cells.write_h5ad(draft)
    else:
        names = {args.key: "predicted", f"{args.key}_confidence": "confidence"}
        names[f"{args.key}_novelty"] = "novelty"
        if args.majority_voting:
            names[f"{args.key}_majority"] = "majority"
        found = cells.obs[list(names)].rename(columns=names)
        table = found.to_csv(index_label="cell", float_format="%.4f")
        write_whole(args.out, table.encode())
    named = cells.obs[args.key].value_counts()
    named = named[named > 0]
    output.say("\n".join(f"{count:>8,}  {label}" for label, count in named.items()))
    output.say(f"wrote {args.out}")
    output.result(
        out=args.out,
        named_cells=cells.n_obs,
        cell_types={str(label): int(count) for label, count in named.items()},
    )


def read_cells(path: Path, output: Output) -> "AnnData":
    """Reads an .h5ad file."""
    with output.waiting(f"reading {path.name}"):
        return _read(path, None)


def open_cells(path: Path) -> "AnnData":
    """Opens an .h5ad file; its matrix stays on disk."""
    return _read(path, "r")


def _read(path: Path, backed: str | None) -> "AnnData":
    from anndata import read_h5ad

    from genegraph.cli.own_bytes import check_own_bytes

    try:
        cells: AnnData = read_h5ad(path, backed=backed)
    except Exception as error:  # whatever h5py and anndata stumble over, without naming the file
        raise ValueError(
            f"{path} could not be read as cells ({error}); write them with adata.write_h5ad()."
        ) from error
    check_own_bytes(path)
    return cells
