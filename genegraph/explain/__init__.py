"""Why a cell was named so: genes, edges and attention, as tidy tables.

Example:
    >>> from genegraph.explain import edge_importance, gene_importance, knock_out
"""

from genegraph.explain.curves import Faithfulness, faithfulness
from genegraph.explain.export import gene_lists, to_networkx, write_cytoscape, write_graphml
from genegraph.explain.knocking_out import knock_out
from genegraph.explain.learned_graph import attention
from genegraph.explain.of_edges import edge_importance
from genegraph.explain.of_genes import gene_importance
from genegraph.explain.over_classes import over_classes
from genegraph.explain.scalars import gates

__all__ = [
    "Faithfulness",
    "attention",
    "edge_importance",
    "faithfulness",
    "gates",
    "gene_importance",
    "gene_lists",
    "knock_out",
    "over_classes",
    "to_networkx",
    "write_cytoscape",
    "write_graphml",
]
