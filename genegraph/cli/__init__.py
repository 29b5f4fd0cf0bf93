"""The command line: ``genegraph COMMAND``; one module for each command.

Every command is a thin layer over the Python API. Heavy imports wait inside the commands, so that
``genegraph --help`` answers at once.
"""

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from genegraph.cli import annotate, demo, explain, fetch, fit, graph, inspect, predict, report
from genegraph.cli.output import Output
from genegraph.cli.usage import UsageError
from genegraph.version import __version__

COMMANDS = (demo, fetch, inspect, graph, fit, predict, annotate, explain, report)

# What a wrong file, value or device raises: told in one line, and in full with --debug.
FAILURES = (ValueError, KeyError, OSError, ImportError, TypeError, RuntimeError)

EPILOG = """\
To begin:
  genegraph demo                          everything once, on built-in cells
  genegraph fetch string                  downloads STRING, and says where it lies
  genegraph annotate REFERENCE.h5ad QUERY.h5ad --labels cell_type \\
      --links 9606.protein.links.v12.0.txt.gz --info 9606.protein.info.v12.0.txt.gz \\
      --out annotated.h5ad

Exit status: 0 all went well, 1 it failed, 2 the command was wrong, 130 interrupted.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: The words after ``genegraph``; by default those of the command line.

    Returns:
        The exit status: 0 if all went well, 1 if it failed (a file that is not there or not what it
        must be, say), 2 if the command itself was wrong, 130 if interrupted.

    Example:
        >>> main(["predict", "cells.h5ad", "--model", "m.genegraph", "--out", "labels.txt"])
        2
    """
    args = make_parser().parse_args(argv)
    output = Output(as_json=args.json)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _teller()
            status: int | None = args.command(args, output)
    except KeyboardInterrupt:
        print("genegraph: interrupted", file=sys.stderr)
        return 130
    except FAILURES as error:
        if args.debug:
            raise
        print(f"genegraph: error: {_one_line(error)}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    output.end()
    return status or 0


def make_parser() -> argparse.ArgumentParser:
    """Builds the parser of all commands.

    Example:
        >>> make_parser().parse_args(["demo"]).out
        PosixPath('genegraph-demo')
    """
    parser = argparse.ArgumentParser(
        prog="genegraph",
        description="Cell types from single-cell expression, "
        "with a gene interaction graph as prior knowledge.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"genegraph {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    every = shared.add_argument_group("for every command").add_argument
    every("--json", action="store_true", help="end with one JSON object; the rest goes to stderr")
    every("--debug", action="store_true", help="show the traceback of an error")
    for command in COMMANDS:
        command.add(commands, shared)
    return parser


def _teller() -> Callable[..., None]:
    """Returns what tells warnings as errors are told, without a line of code, each of them once."""
    told = set()

    def tell(message: Warning | str, *_: Any, **__: Any) -> None:
        text = _one_line(str(message))
        if text not in told:
            print(f"genegraph: warning: {text}", file=sys.stderr)
        told.add(text)

    return tell


def _one_line(error: BaseException | str) -> str:
    # str() of a KeyError is the repr of its message; an OSError has the message it was made for.
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return " ".join(text.split()) or type(error).__name__
