"""Checks what a study is asked to be, before anything is drawn or written."""

import math
import numbers
from typing import Any, NamedTuple

from genegraph.interactions.biogrid_archive import ORGANISM_OF_TAXON
from genegraph.simulation.model import LEAST

_WHOLE = {
    "n_cells": (1, math.inf),
    "n_genes": (1, math.inf),
    "n_interacting": (1, math.inf),
    "n_types": (1, math.inf),
    "n_modules": (1, math.inf),
    "n_hidden": (0, math.inf),
    "taxon": (1, math.inf),
    "random_state": (0, 2**32 - 1),
}
_REAL = {
    "graph_signal": (0, 1),
    "effect": (0, math.inf),
    "noise": (0, math.inf),
    "zeros": (0, 1),
}


class Arguments(NamedTuple):
    """What a study is asked to be; see :func:`genegraph.datasets.simulate`."""

    n_cells: int
    n_genes: int
    n_interacting: int
    n_types: int
    n_modules: int
    n_hidden: int
    graph_signal: float
    effect: float
    noise: float
    zeros: float
    taxon: int
    random_state: int


def checked_arguments(**arguments: Any) -> Arguments:
    """Refuses arguments of the wrong kind, out of range, or that do not fit together.

    Args:
        **arguments: The fields of ``Arguments``, as any kind of number.

    Returns:
        The arguments as plain numbers.

    Raises:
        TypeError: If one is of the wrong kind.
        ValueError: If one is out of range, or too small for another.
    """
    plain: dict[str, Any] = {}
    for name, (low, high) in _WHOLE.items():
        _check_kind(name, arguments[name], numbers.Integral, "a whole number")
        _check_range(name, arguments[name], low, high)
        plain[name] = int(arguments[name])
    for name, (low, high) in _REAL.items():
        _check_kind(name, arguments[name], numbers.Real, "a number")
        _check_range(name, arguments[name], low, high)
        plain[name] = float(arguments[name])
    _check_taxon(plain["taxon"])
    _check_room(plain, "n_cells", "n_types", "cells of every type")
    _check_room(plain, "n_interacting", "n_modules", "interacting genes in every module")
    if plain["n_genes"] < plain["n_interacting"]:
        raise ValueError(
            f"'n_genes' must be at least 'n_interacting', which is {plain['n_interacting']:,} "
            f"(got {plain['n_genes']:,}); ask for more genes, or for fewer that interact."
        )
    others = plain["n_genes"] - plain["n_interacting"]
    if others < LEAST * plain["n_hidden"]:
        raise ValueError(
            f"'n_hidden' must be at most {others // LEAST:,}, as each hidden module needs {LEAST} "
            f"of the {others:,} genes that do not interact (got {plain['n_hidden']:,}); raise "
            "'n_genes' or lower 'n_hidden'."
        )
    return Arguments(**plain)


def _check_kind(name: str, value: Any, kind: type, wanted: str) -> None:
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(f"{name!r} must be {wanted} (got {value!r}).")


def _check_range(name: str, value: Any, low: float, high: float) -> None:
    if low <= value <= high and math.isfinite(value):
        return
    bounds = f"at least {low}" if high == math.inf else f"from {low} to {high:,}"
    raise ValueError(f"{name!r} must be {bounds} and finite (got {value}).")


def _check_taxon(taxon: int) -> None:
    if taxon not in ORGANISM_OF_TAXON:
        known = ", ".join(map(str, ORGANISM_OF_TAXON))
        raise ValueError(
            f"'taxon' must be one that BioGRID has a file of (got {taxon}); choose among {known}."
        )


def _check_room(arguments: dict[str, Any], name: str, parts: str, what: str) -> None:
    needed = LEAST * arguments[parts]
    if arguments[name] < needed:
        raise ValueError(
            f"{name!r} must be at least {needed:,}, as {parts}={arguments[parts]:,} needs {LEAST} "
            f"{what} (got {arguments[name]:,}); raise {name!r} or lower {parts!r}."
        )
