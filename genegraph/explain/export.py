"""Tables of genes and edges, for networkx, Cytoscape, and enrichment tools."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from genegraph.files import write_whole
from genegraph.graph_convert import as_cytoscape, as_graphml

if TYPE_CHECKING:
    import networkx as nx

ENDS = (("gene_a", "gene_b"), ("source", "target"))


def to_networkx(
    table: pd.DataFrame,
    *,
    label: Any = None,
    top: int | None = None,
    nodes: pd.DataFrame | None = None,
) -> nx.Graph:
    """Makes a networkx graph of a table of edges.

    Args:
        table: Of :func:`~genegraph.explain.edge_importance` (an undirected graph) or
            :func:`~genegraph.explain.attention` (a directed one); all its columns become
            attributes of the edges.
        label: The class wanted; it may be left out where the table holds one class.
        top: Keep so many edges, those of largest absolute ``importance`` or ``attention``.
        nodes: A table with a column ``gene``, such as
            :func:`~genegraph.explain.gene_importance`'s, whose other columns become attributes of
            the genes that are there; of the same class, if it has classes.

    Raises:
        ValueError: If the table has no such columns or class, or an edge twice (several layers,
            graphs or cells: choose one first).

    Example:
        >>> columns = {"class": "T", "gene_a": ["CD3E", "CD3E"], "gene_b": ["CD3D", "LCK"]}
        >>> graph = to_networkx(pd.DataFrame({**columns, "importance": [0.5, 0.2]}), top=1)
        >>> list(graph.edges(data="importance"))
        [('CD3E', 'CD3D', 0.5)]
    """
    import networkx as nx

    ends = next((pair for pair in ENDS if set(pair) <= set(table.columns)), None)
    if ends is None:
        raise ValueError(
            "'table' must have the columns 'gene_a' and 'gene_b', or 'source' and 'target' (got "
            f"{list(table.columns)})."
        )
    table = of_class(table, label)
    if top is not None:
        by = "importance" if "importance" in table else "attention"
        table = table.loc[table[by].abs().sort_values(ascending=False, kind="stable").index[:top]]
    graph: nx.Graph = nx.Graph() if ends == ENDS[0] else nx.DiGraph()
    for row in table.to_dict("records"):
        one, other = row.pop(ends[0]), row.pop(ends[1])
        if graph.has_edge(one, other):
            raise ValueError(
                f"'table' must hold each edge once (got {one!r} and {other!r} twice); choose one "
                "layer, graph or cell first, for example table[table['layer'] == 0]."
            )
        graph.add_edge(one, other, **{str(name): _plain(value) for name, value in row.items()})
    if nodes is not None:
        known = nodes if label is None or "class" not in nodes else of_class(nodes, label)
        for row in known[known["gene"].isin(list(graph))].to_dict("records"):
            graph.nodes[row.pop("gene")].update({str(n): _plain(v) for n, v in row.items()})
    return graph


def write_graphml(table: pd.DataFrame, path: str | os.PathLike[str], **options: Any) -> None:
    """Writes a table of edges as GraphML, which Cytoscape, Gephi, igraph and yEd open.

    Args:
        table: See :func:`to_networkx`.
        path: The file.
        options: Of :func:`to_networkx`.
    """
    write_whole(path, as_graphml(to_networkx(table, **options)))


def write_cytoscape(table: pd.DataFrame, path: str | os.PathLike[str], **options: Any) -> None:
    """Writes a table of edges as Cytoscape JSON (``.cyjs``).

    Args:
        table: See :func:`to_networkx`.
        path: The file.
        options: Of :func:`to_networkx`.
    """
    write_whole(path, as_cytoscape(to_networkx(table, **options)))


def gene_lists(
    importance: pd.DataFrame, top: int = 100, *, column: str = "importance"
) -> dict[Any, list[str]]:
    """Returns the most important genes of each class, most important first.

    Only genes that speak *for* the class, whose importance is above zero.  Each list is what
    enrichment tools take, for example ``gseapy.enrichr(gene_list=lists["B cell"], ...)``.

    Args:
        importance: Of :func:`~genegraph.explain.gene_importance`.
        top: Genes of each class at most.
        column: The column to go by.

    Raises:
        ValueError: If a column is missing.

    Example:
        >>> table = pd.DataFrame({"class": "T", "gene": ["A", "B", "C"], "importance": [1, 3, -2]})
        >>> gene_lists(table)
        {'T': ['B', 'A']}
    """
    missing = {"class", "gene", column} - set(importance.columns)
    if missing:
        raise ValueError(
            f"'importance' must have the columns 'class', 'gene' and {column!r} (got "
            f"{list(importance.columns)})."
        )
    ranked = importance[importance[column] > 0].sort_values(column, ascending=False, kind="stable")
    return {
        label: ranked.loc[ranked["class"] == label, "gene"].head(top).tolist()
        for label in importance["class"].unique().tolist()
    }


def of_class(table: pd.DataFrame, label: Any) -> pd.DataFrame:
    """Returns the rows of one class; of the only one, where none is named."""
    if "class" not in table:
        return table
    labels = table["class"].unique().tolist()
    if label is None and len(labels) == 1:
        return table
    if label not in labels:
        raise ValueError(f"'label' must be one of the table's classes, {labels} (got {label!r}).")
    chosen: pd.DataFrame = table[table["class"] == label]
    return chosen


def _plain(value: Any) -> Any:
    """A number or text as Python has it; files know no other."""
    plain = value.item() if isinstance(value, np.generic) else value
    return plain if isinstance(plain, (bool, int, float)) else str(plain)
