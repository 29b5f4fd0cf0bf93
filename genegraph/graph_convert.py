"""Converts between graphs of genes, networkx graphs, PyG data and plain JSON."""

import json
import os
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genegraph.files import write_whole

if TYPE_CHECKING:
    import networkx as nx

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


def networkx_edges(g: "nx.Graph", weight: str) -> tuple[IntArray, FloatArray]:
    """Numbers the nodes of a networkx graph in its own order and lists its edges.

    Args:
        g: A graph of any networkx kind.
        weight: Name of the edges' weight; edges without it weigh 1.

    Shapes:
        - output: ``(2, num_edges)`` and ``(num_edges,)``

    Raises:
        ValueError: If a weight is not a number.

    Example:
        >>> import networkx as nx
        >>> networkx_edges(nx.path_graph(2), "weight")
        (array([[0],
               [1]]), array([1.]))
    """
    place = {node: position for position, node in enumerate(g)}
    edges = list(g.edges(data=weight, default=None))
    try:
        value = [1.0 if w is None else float(w) for *_, w in edges]
    except (TypeError, ValueError) as error:
        raise ValueError(f"Every edge's '{weight}' must be a number ({error}).") from None
    index = np.array([(place[u], place[v]) for u, v, _ in edges], dtype=np.int64)
    return index.reshape(-1, 2).T, np.array(value, dtype=np.float64)


def write_networkx(g: "nx.Graph", path: str | os.PathLike[str]) -> None:
    """Writes a networkx graph for other tools, whole or not at all.

    Args:
        g: The graph; what its nodes and edges carry is written too.
        path: ``.graphml`` writes GraphML (Gephi, igraph, yEd), ``.cyjs`` Cytoscape's JSON.

    Raises:
        OSError: If the file cannot be written.
        ValueError: If the name ends otherwise.

    Example:
        >>> import tempfile
        >>> import networkx as nx
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_networkx(nx.path_graph(3), f"{folder}/path.graphml")
        ...     print(nx.read_graphml(f"{folder}/path.graphml"))
        Graph with 3 nodes and 2 edges
    """
    formats = {".graphml": as_graphml, ".cyjs": as_cytoscape}
    suffix = Path(path).suffix
    if suffix not in formats:
        raise ValueError(f"A graph is written as .graphml or .cyjs (got {Path(path).name!r}).")
    write_whole(path, formats[suffix](g))


def as_graphml(g: "nx.Graph") -> bytes:
    """Returns a networkx graph as a GraphML file."""
    import networkx as nx

    content = BytesIO()
    nx.write_graphml(g, content)
    return content.getvalue()


def as_cytoscape(g: "nx.Graph") -> bytes:
    """Returns a networkx graph as Cytoscape's JSON.

    Raises:
        ValueError: If an attribute is not finite, which JSON cannot say.
    """
    import networkx as nx

    return json.dumps(nx.cytoscape_data(g), indent=1, allow_nan=False).encode()


def plain_json(provenance: Any) -> dict[str, Any]:
    """Copies a provenance as JSON would give it back, so that it can be stored.

    Args:
        provenance: A dict; numpy's numbers and paths become plain ones.

    Raises:
        TypeError: If it is not a dict, or holds what JSON cannot hold.

    Example:
        >>> plain_json({"rows": np.int64(3), "file": Path("links.txt"), "filters": (1, 2)})
        {'rows': 3, 'file': 'links.txt', 'filters': [1, 2]}
    """
    if not isinstance(provenance, dict):
        raise TypeError(f"'provenance' must be a dict (got {type(provenance).__name__}).")
    try:
        plain: dict[str, Any] = json.loads(json.dumps(provenance, default=_plain_value))
    except (TypeError, ValueError) as error:
        raise TypeError(f"'provenance' must hold only what JSON can hold ({error}).") from None
    return plain


def _plain_value(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"got a {type(value).__name__}")
