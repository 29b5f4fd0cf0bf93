"""The numbers that a network learned to weigh graph, attention and expression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from genegraph.nn.gene_graph_conv import GeneGraphConv

if TYPE_CHECKING:
    from genegraph.classifier import GeneGCNClassifier

COLUMNS = ["name", "layer", "graph", "view", "value", "start"]


@torch.no_grad()
def gates(model: GeneGCNClassifier) -> pd.DataFrame:
    r"""Lists every single number that decides how much the graph counts.

    ==================  ==========================================================================
    name                meaning
    ==================  ==========================================================================
    ``kappa``           reads that the prior is worth before the logarithm, of each view
                        (:class:`~genegraph.nn.GraphShrinkage`)
    ``attention``       share :math:`g` of attention in a graph layer; the prior has the rest
                        (``fusion="gate"``)
    ``graph``           weight of a graph in its layer's sum (``fusion="gate"``); all are 1 at first
    ``original``        weight of the original expression in that sum
    ``W``               what a graph layer multiplies its smoothed expression by
    ``slope``           :math:`a` in the logits :math:`(a x_i + c) x_j - k x_j^2` of attention
    ``offset``          :math:`c`
    ``curvature``       :math:`k`, of ``attention_function="gaussian"``
    ``temperature``     :math:`\tau`, by which the logits are divided
    ==================  ==========================================================================

    Args:
        model: A fitted classifier.

    Returns:
        One row a number: ``name``, ``layer``, ``graph``, ``view`` (counted from 0; missing where
        there is none), ``value``, and ``start``, the value before training where all trainings
        start from the same.

    Example:
        >>> import numpy as np
        >>> from genegraph import GeneGCNClassifier, GeneGraph
        >>> X, y = np.array([[9.0, 0.0, 1.0], [0.0, 9.0, 1.0]] * 20), ["T", "B"] * 20
        >>> graph = GeneGraph(["A", "B", "C"], [[0, 2], [2, 0]])
        >>> options = {"attention": "full", "fusion": "gate", "max_epochs": 1, "verbose": False}
        >>> table = gates(GeneGCNClassifier(graph, **options).fit(X, y))
        >>> table["name"].tolist()
        ['attention', 'W', 'slope', 'offset', 'graph', 'original', 'temperature']
    """
    check_is_fitted(model)
    network = model.network_
    rows: list[dict[str, Any]] = []
    if network.shrinkage is not None and model.graph_ is not None:
        shrinkage = network.shrinkage
        starts = shrinkage.initial_kappa.reshape(-1).tolist()
        for view, value in enumerate(shrinkage.log_kappa.exp().reshape(-1).tolist()):
            rows.append({"name": "kappa", "view": view, "value": value, "start": starts[view]})
    for i, graphs in enumerate(network.layers):
        assert isinstance(graphs, torch.nn.ModuleList)
        for g, conv in enumerate(graphs):
            assert isinstance(conv, GeneGraphConv)
            rows += [{"layer": i, "graph": g, **row} for row in _of_conv(conv, model)]
        if network.gate_logits is not None:
            shares = network.gate_logits[i].softmax(0) * network.gate_logits.size(1)
            for g, value in enumerate(shares.tolist()):
                one = {"name": "graph", "graph": g} if g < len(graphs) else {"name": "original"}
                rows.append({**one, "layer": i, "value": value, "start": 1.0})
    rows.append({"name": "temperature", "value": float(model.temperature_), "start": 1.0})
    table = pd.DataFrame(rows, columns=COLUMNS)
    whole = dict.fromkeys(("layer", "graph", "view"), "Int64")
    return table.astype({**whole, "value": np.float64, "start": np.float64})


def _of_conv(conv: GeneGraphConv, model: GeneGCNClassifier) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    if conv.attention is not None and conv.fusion == "gate" and model.graph_ is not None:
        rows.append({"name": "attention", "value": float(conv.gate_logit.sigmoid()), "start": 0.5})
    rows.append({"name": "W", "value": float(conv.weight)})
    if conv.theta is not None and conv.attention_function != "additive":
        found: tuple[Tensor, ...] = conv._coefficients(conv.weight)
        names = ("slope", "offset", "curvature")
        kept = names if conv.attention_function == "gaussian" else names[:2]
        rows += [{"name": n, "value": float(v)} for n, v in zip(kept, found, strict=False)]
    return rows
