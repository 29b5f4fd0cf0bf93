"""``genegraph fetch``: downloads of STRING and BioGRID."""

import argparse
from pathlib import Path
from typing import Any

from genegraph.cli.output import Output
from genegraph.cli.usage import UsageError

COMMON = {"human": 9606, "mouse": 10090}
KINDS = ("links", "links.detailed", "links.full")


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Adds the command and its parts."""
    parser = commands.add_parser(
        "fetch",
        help="download the files of STRING or BioGRID",
        description="Downloads what a graph is built from, once, into the cache folder, and says "
        "where it lies. What was downloaded is checked, now and whenever it is used again.",
    )
    parts = parser.add_subparsers(title="databases", required=True, metavar="DATABASE")
    folder = argparse.ArgumentParser(add_help=False)
    folder.add_argument(
        "--cache-dir",
        type=Path,
        metavar="FOLDER",
        help="where to keep the files (default: $GENEGRAPH_CACHE_DIR, else the user's cache)",
    )

    string = parts.add_parser(
        "string",
        parents=[shared, folder],
        help="STRING: links and the names of the proteins",
        description="Downloads STRING's links of one organism and the names of its proteins.",
    )
    string.add_argument(
        "--taxon",
        default="9606",
        help="NCBI taxon, or human or mouse (default: 9606, human)",
    )
    string.add_argument(
        "--kind",
        default="links",
        choices=[physical + kind for physical in ("", "physical.") for kind in KINDS],
        help="which links file (default: links, the smallest: combined scores)",
    )
    string.add_argument("--names", default="info", choices=["info", "aliases"])
    string.add_argument("--version", default="12.0", help="release (default: 12.0)")
    string.set_defaults(command=run_string)

    biogrid = parts.add_parser(
        "biogrid",
        parents=[shared, folder],
        help="BioGRID: all organisms in one file",
        description="Downloads one release of BioGRID, all organisms in one file.",
    )
    biogrid.add_argument("--version", metavar="5.0.X", help="release (default: a recent one)")
    biogrid.set_defaults(command=run_biogrid)


def run_string(args: argparse.Namespace, output: Output) -> None:
    """Fetches STRING's files."""
    taxon = COMMON.get(args.taxon, args.taxon)
    if isinstance(taxon, str) and not taxon.isdecimal():
        raise UsageError(f"--taxon must be an NCBI taxon, human or mouse (got {taxon!r}).")
    from genegraph.datasets import fetch_string

    files = fetch_string(
        int(taxon),
        kind=args.kind,
        names=args.names,
        version=args.version,
        cache_dir=args.cache_dir,
    )
    there = {name: path for name, path in files._asdict().items() if path is not None}
    for name, path in there.items():
        output.say(f"--{name} {path}")
    output.result(**there)


def run_biogrid(args: argparse.Namespace, output: Output) -> None:
    """Fetches BioGRID's file."""
    from genegraph.datasets import fetch_biogrid

    asked = {} if args.version is None else {"version": args.version}
    path = fetch_biogrid(**asked, cache_dir=args.cache_dir)
    output.say(f"--biogrid {path}")
    output.result(biogrid=path)
