"""Why a cell was named so: genes, edges and attention, as tidy tables.

The network of a fitted classifier is an ordinary module of PyTorch Geometric, whose own
explainers take it as it is: its nodes are the genes, and all cells share one graph.

Example:
    >>> import numpy as np, torch
    >>> from torch_geometric.explain import Explainer, GNNExplainer
    >>> from genegraph import GeneGCNClassifier, GeneGraph
    >>> X, y = np.array([[9.0, 0.0, 1.0], [0.0, 9.0, 1.0]] * 20), ["T", "B"] * 20
    >>> graph = GeneGraph(["CD3E", "CD19", "CD3D"], [[0, 2], [2, 0]])
    >>> model = GeneGCNClassifier(graph, values="counts", max_epochs=1, verbose=False).fit(X, y)
    >>> explainer = Explainer(
    ...     model.network_.eval(),
    ...     algorithm=GNNExplainer(epochs=2),
    ...     explanation_type="model",
    ...     edge_mask_type="object",
    ...     model_config=dict(
    ...         mode="multiclass_classification", task_level="graph", return_type="raw"
    ...     ),
    ... )
    >>> cell = torch.tensor(X[:1], dtype=torch.float32)  # counts, as this network takes them
    >>> edges = {"edge_weight": model.graph_.edge_weight, "depth": cell.sum(1)}
    >>> explainer(cell, model.graph_.edge_index, **edges).edge_mask.shape
    torch.Size([2])
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
