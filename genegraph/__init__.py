"""Cell types from single-cell expression, with a gene interaction graph as prior knowledge.

Example:
    >>> from genegraph import GeneGCNClassifier, GeneGraph, read_stringdb
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from genegraph.version import __version__

if TYPE_CHECKING:
    from genegraph import controls, datasets, explain, pl
    from genegraph.classifier import GeneGCNClassifier
    from genegraph.gene_mapping import map_genes
    from genegraph.graph import GeneGraph
    from genegraph.inspection import inspect
    from genegraph.interactions import read_biogrid, read_edges, read_stringdb

__all__ = [
    "GeneGCNClassifier",
    "GeneGraph",
    "__version__",
    "controls",
    "datasets",
    "explain",
    "inspect",
    "map_genes",
    "pl",
    "read_biogrid",
    "read_edges",
    "read_stringdb",
]

_PARTS = ("controls", "datasets", "explain", "pl")
_HOMES = {
    "GeneGCNClassifier": "classifier",
    "GeneGraph": "graph",
    "inspect": "inspection",
    "map_genes": "gene_mapping",
    "read_biogrid": "interactions",
    "read_edges": "interactions",
    "read_stringdb": "interactions",
}


def __getattr__(name: str) -> Any:
    """Imports a name when it is first asked for: torch takes seconds, ``--help`` should not."""
    if name in _PARTS:
        return import_module(f"genegraph.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'genegraph' has no attribute {name!r}")
    return getattr(import_module(f"genegraph.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
