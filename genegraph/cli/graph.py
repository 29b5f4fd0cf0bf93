"""``genegraph graph``: builds a graph once, says what is in it, writes it for other tools."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genegraph.cli.options import add_interactions, check_graph, read_cells, read_graph
from genegraph.cli.output import Output
from genegraph.cli.usage import UsageError, check_inputs, check_output
from genegraph.files import write_whole

if TYPE_CHECKING:
    from genegraph.graph import GeneGraph

SEPARATORS = {".tsv": "\t", ".csv": ","}
FORMATS = (*SEPARATORS, ".graphml", ".cyjs")


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Adds the command and its parts."""
    parser = commands.add_parser(
        "graph",
        help="build a graph, describe it, convert it",
        description="Builds a graph from interaction files once, so that fit and annotate need "
        "not read these again; says what is in it; writes it for other tools.",
    )
    parts = parser.add_subparsers(title="parts", required=True, metavar="PART")

    build = parts.add_parser(
        "build",
        parents=[shared],
        help="read interactions and save the graph",
        description="Reads interaction files and saves the graph, for --graph of fit, annotate, "
        "and GeneGraph.load.",
    )
    build.add_argument("--out", required=True, type=Path, metavar="OUT.npz", help="the graph")
    build.add_argument("--cells", type=Path, metavar="CELLS.h5ad", help="for the genes of these")
    build.add_argument("--force", action="store_true", help="replace the file if there is one")
    add_interactions(build)
    build.set_defaults(command=run_build)

    report = parts.add_parser(
        "report",
        parents=[shared],
        help="say what is in a saved graph",
        description="Says how many genes and edges there are, where they come from, and what was "
        "done to them; with --cells how many of a file's genes they cover.",
    )
    report.add_argument("graph", type=Path, metavar="GRAPH.npz")
    report.add_argument("--cells", type=Path, metavar="CELLS.h5ad", help="match with these genes")
    report.set_defaults(command=run_report)

    convert = parts.add_parser(
        "convert",
        parents=[shared],
        help="write a saved graph for other tools",
        description="Writes a graph as a table of gene_a, gene_b and score (.tsv, .csv; "
        "read again by --edges), as GraphML (.graphml) or for Cytoscape (.cyjs).",
    )
    convert.add_argument("graph", type=Path, metavar="GRAPH.npz")
    convert.add_argument("out", type=Path, metavar="OUT", help="its ending says the format")
    convert.add_argument("--force", action="store_true", help="replace the file if there is one")
    convert.set_defaults(command=run_convert)


def run_build(args: argparse.Namespace, output: Output) -> None:
    """Builds and saves a graph."""
    check_graph(args)
    if not (args.links or args.biogrid or args.edges):
        raise UsageError("A graph is built from --links, --biogrid or --edges; give at least one.")
    check_output(args.out, args.force)
    check_inputs(args.cells)
    genes = None if args.cells is None else read_cells(args.cells, output).var_names
    graph = read_graph(args, output, genes)
    assert graph is not None
    graph.save(args.out)
    _describe(graph, output)
    output.say(f"wrote {args.out}")
    output.result(out=args.out)


def run_report(args: argparse.Namespace, output: Output) -> None:
    """Describes a graph."""
    check_inputs(args.graph, args.cells)
    from genegraph.graph import GeneGraph

    graph = GeneGraph.load(args.graph)
    if args.cells is not None:
        graph = graph.align(read_cells(args.cells, output).var_names)
    _describe(graph, output)


def run_convert(args: argparse.Namespace, output: Output) -> None:
    """Writes a graph in another format."""
    check_output(args.out, args.force, FORMATS)
    check_inputs(args.graph)
    from genegraph.graph import GeneGraph
    from genegraph.graph_convert import write_networkx

    graph = GeneGraph.load(args.graph)
    if args.out.suffix in SEPARATORS:
        table = graph.to_interactions().to_csv(sep=SEPARATORS[args.out.suffix], index=False)
        write_whole(args.out, table.encode())
    else:
        write_networkx(graph.to_networkx(), args.out)
    output.say(f"wrote {args.out}")
    output.result(out=args.out, edges=graph.num_edges, genes=graph.num_genes)


def _describe(graph: "GeneGraph", output: Output) -> None:
    output.say(graph.report())
    output.result(graph=graph.report().to_dict(), content_hash=graph.content_hash)
