"""Which edges of the prior speak for a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from genegraph.explain.gradients import integrated_gradients
from genegraph.explain.pairs import Edges, check_uses_graph
from genegraph.explain.subject import Subject, spread

if TYPE_CHECKING:
    from genegraph.classifier import GeneGCNClassifier


def edge_importance(
    model: GeneGCNClassifier,
    adata: Any,
    *,
    groupby: str | Sequence[Any] | None = None,
    classes: Sequence[Any] | None = None,
    steps: int = 32,
    max_cells: int | None = 200,
) -> pd.DataFrame:
    r"""Says what each edge of the prior adds to the margin of a class, in the cells of the class.

    Integrated gradients of the margin (see :class:`~genegraph.explain.subject.Subject`) as the
    prior's weights go from 0 to their value, wherever the network uses them: before the logarithm
    (:class:`~genegraph.nn.GraphShrinkage`) and in its layers.  Weights are those in use, after
    normalisation; both directions of an edge are added.  With ``attention="edges"`` this is the
    prior's part of what passes along an edge; :func:`~genegraph.explain.attention` has the other.

    An edge from a gene that is highly expressed everywhere carries much into all cells, and
    that is said in ``importance``.  What it says *of this class* is in ``specific``: what it adds
    to the margin in the cells of the class, less what it adds to the same margin in cells of
    the others.

    Args:
        model: A fitted classifier with a graph.
        adata: Cells, as its ``predict`` takes them.
        groupby: Which cells are of which class: a column of ``obs`` or a label per cell; None:
            what the model says.
        classes: The classes wanted; None: all that have cells.
        steps: Points of the integral.
        max_cells: Cells of each class at most, evenly spread, and about as many of all others
            together; None: all.

    Returns:
        One row per class and edge: ``class``, ``gene_a``, ``gene_b``, ``importance``,
        ``specific``, ``prior_weight`` (the table's score, before normalisation), ``in_prior``; by
        class, from most to least ``importance``.  ``attrs`` say how it was made: importance sums
        to the mean margin above the one without weights, up to ``attrs["completeness_gap"]``.

    Raises:
        ImportError: If captum (extra ``explain``) is not installed.
        ValueError: If the network uses no graph, or there are no cells of a class.

    Example:
        >>> import numpy as np
        >>> from genegraph import GeneGCNClassifier, GeneGraph
        >>> X, y = np.array([[9.0, 0.0, 1.0], [0.0, 9.0, 1.0]] * 20), ["T", "B"] * 20
        >>> graph = GeneGraph(["CD3E", "CD19", "CD3D"], [[0, 2], [2, 0]])
        >>> model = GeneGCNClassifier(graph, hidden_channels=(8,), random_state=0, verbose=False)
        >>> table = edge_importance(model.fit(X, y), X)
        >>> table[["class", "gene_a", "gene_b"]].values.tolist()
        [['B', 'CD3E', 'CD3D'], ['T', 'CD3E', 'CD3D']]
    """
    subject = Subject(model, adata)
    check_uses_graph(subject)
    rows = subject.cells_by_class(groupby, classes, max_cells)
    # A class is compared with all others, also with those whose own edges are not wanted.
    everyone = rows if classes is None else subject.cells_by_class(groupby, None, max_cells)
    edges = Edges(subject)
    tables, gap = [], 0.0
    for label, of_class in rows.items():
        target = model.classes_.tolist().index(label)
        mine, gap_of_mine = _of_edges(subject, of_class, edges, target, steps)
        others, gap_of_others = np.zeros_like(mine), 0.0
        compared = _others(everyone, label, max_cells)
        if len(compared):
            others, gap_of_others = _of_edges(subject, compared, edges, target, steps)
        gap = max(gap, gap_of_mine, gap_of_others)
        table = edges.table(label, importance=mine, specific=mine - others)
        tables.append(table.sort_values("importance", ascending=False, kind="stable"))
    out = pd.concat(tables, ignore_index=True)
    out.attrs = {
        "output": "margin",
        "method": "integrated gradients",
        "baseline": "prior weights of 0",
        "steps": steps,
        "cells": {str(label): len(of_class) for label, of_class in rows.items()},
        "completeness_gap": gap,
    }
    return out


def _others(
    rows: dict[Any, NDArray[np.int64]], label: Any, max_cells: int | None
) -> NDArray[np.int64]:
    """Returns cells of all other classes, about as many of each as of any."""
    others = [of_class for other, of_class in rows.items() if other != label]
    each = None if max_cells is None else -(-max_cells // max(len(others), 1))
    chosen = [spread(of_class, each) for of_class in others]
    return np.concatenate(chosen) if chosen else np.empty(0, dtype=np.int64)


def _of_edges(
    subject: Subject, rows: NDArray[np.int64], edges: Edges, target: int, steps: int
) -> tuple[NDArray[np.float64], float]:
    """Returns mean importance of each pair of genes, and by how much the sum misses."""
    weights = edges.weight[None]
    nothing = torch.zeros_like(weights)
    total = torch.zeros(weights.size(1), dtype=torch.float64)
    gap = 0.0
    for x, depth in subject.batches(rows):

        def margin(weight: Tensor, x: Tensor = x, depth: Tensor | None = depth) -> Tensor:
            # All cells share the edges: their margins are summed, and so are the gradients.
            return subject.margins(x, depth, (edges.index, weight[0]))[:, target].sum()[None]

        found = integrated_gradients(margin, weights, nothing, steps)[0]
        with torch.no_grad():
            gained = margin(weights) - margin(nothing)
        gap += float(found.sum() - gained)
        total += found.double().cpu()
    return edges.by_pair(total.numpy()) / len(rows), abs(gap) / len(rows)
