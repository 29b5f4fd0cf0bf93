"""``genegraph demo``: everything once, on built-in cells."""

import argparse
from pathlib import Path
from typing import Any

from genegraph.cli.output import Output
from genegraph.cli.usage import UsageError, check_inputs


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "demo",
        parents=[shared],
        help="train and compare on built-in blood cells; needs no files",
        description="Trains three classifiers on built-in blood cells, compares them on held-out "
        "cells and writes a picture, the predictions and the model.",
    )
    option = parser.add_argument
    option("--out", type=Path, default=Path("genegraph-demo"), help="folder for the results")
    option(
        "--graph",
        choices=["built-in", "string"],
        default="built-in",
        help="the small built-in graph, or STRING's, which is downloaded once",
    )
    option("--links", type=Path, metavar="FILE", help="STRING links, instead of --graph")
    option("--info", type=Path, metavar="FILE", help="STRING info beside --links")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace, output: Output) -> None:
    """Runs it."""
    if args.info is not None and args.links is None:
        raise UsageError("--info names the proteins of --links; give --links as well.")
    check_inputs(args.links, args.info)
    if args.graph == "string":
        if args.links is not None:
            raise UsageError("--graph string downloads what --links names; give one of them.")
        from genegraph.datasets import fetch_string

        args.links, args.info, _ = fetch_string()
    from rich.console import Console

    from genegraph.demo import run_demo

    rows = run_demo(args.out, args.links, args.info, console=Console(stderr=output.as_json))
    output.result(out=args.out, held_out=rows.to_dict("index"))
