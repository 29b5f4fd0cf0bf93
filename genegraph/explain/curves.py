"""Faithfulness: does what is said to matter matter?  Deletion and insertion curves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from genegraph.explain.of_genes import baseline_expression
from genegraph.explain.pairs import Edges, Floats, Integers, check_uses_graph
from genegraph.explain.subject import Subject, positions

if TYPE_CHECKING:
    from genegraph.classifier import GeneGCNClassifier


class Faithfulness(NamedTuple):
    """Curves and their areas.

    Attributes:
        curves: One row per point: ``class``, ``curve`` (``"deletion"`` or ``"insertion"``),
            ``order`` (``"importance"``, ``"random 0"``, ...), ``share`` of the genes or edges
            deleted or inserted, and ``probability``, the mean of the class in its cells.
        summary: One row per class and curve: ``class``, ``curve``, ``area`` under the curve by
            importance, ``random_area`` (mean over the random orders), ``random_sd``, and
            ``gain``: by how much importance does better, which is below random for deletion and
            above it for insertion.
    """

    curves: pd.DataFrame
    summary: pd.DataFrame


def faithfulness(
    model: GeneGCNClassifier,
    adata: Any,
    importance: pd.DataFrame,
    *,
    column: str = "importance",
    groupby: str | Sequence[Any] | None = None,
    baseline: str = "mean",
    points: int = 20,
    num_random: int = 5,
    max_cells: int | None = 100,
    random_state: int = 0,
) -> Faithfulness:
    """Deletes and inserts genes or edges by importance, against random orders.

    Deletion starts at the cells as they are and takes the most important away first; if these
    matter, the probability of the class falls early, and the area under the curve is small.
    Insertion starts with nothing and puts the most important in first: a large area is good.
    A gene that is deleted takes its value at the baseline, at the cell's own depth; an edge that
    is deleted takes weight 0; so the ends of the curves are those of
    :func:`~genegraph.explain.gene_importance` and :func:`~genegraph.explain.edge_importance`.

    Args:
        model: A fitted classifier.
        adata: Cells, as its ``predict`` takes them.
        importance: A table with ``class``, and ``gene`` or ``gene_a`` and ``gene_b``.  What it
            does not list stays as it is.
        column: Its column to go by, largest first.
        groupby: As it was for ``importance``.
        baseline: ``"mean"`` or ``"zero"``, as it was for ``importance``; of genes only.
        points: Points of each curve besides its start.
        num_random: Random orders.
        max_cells: Cells of each class at most, evenly spread; None: all.
        random_state: Seed of the random orders.

    Returns:
        Curves and summary.

    Raises:
        ValueError: If the table lacks a column or names what the model does not have.

    Example:
        >>> import numpy as np
        >>> from genegraph import GeneGCNClassifier
        >>> from genegraph.explain import gene_importance
        >>> X = np.array([[9.0, 0.0, 1, 1, 1], [0.0, 9.0, 1, 1, 1]] * 20)
        >>> model = GeneGCNClassifier(hidden_channels=(8,), random_state=0, verbose=False)
        >>> table = gene_importance(model.fit(X, ["T", "B"] * 20), X)
        >>> summary = faithfulness(model, X, table, points=5).summary
        >>> bool((summary["gain"] > 0).all())
        True
    """
    _check(importance, column, points, num_random)
    subject = Subject(model, adata)
    labels = importance["class"].unique().tolist()
    by_class = subject.cells_by_class(groupby, labels, max_cells)
    of_edges = "gene_a" in importance
    edges = _edges(subject) if of_edges else None
    base = baseline_expression(subject, baseline)
    rng = np.random.default_rng(random_state)
    rows = []
    for label, cells in by_class.items():
        table = importance[importance["class"] == label]
        table = table.sort_values(column, ascending=False, kind="stable")
        items = _items(subject, table, edges)
        which = model.classes_.tolist().index(label)
        orders = {"importance": items}
        orders |= {f"random {i}": rng.permutation(items) for i in range(num_random)}
        for order, ranked in orders.items():
            for curve in ("deletion", "insertion"):
                for share, gone in _steps(ranked, points, curve):
                    found = _probabilities(subject, cells, gone, base, edges)[:, which].mean()
                    rows.append((label, curve, order, share, float(found)))
    curves = pd.DataFrame(rows, columns=["class", "curve", "order", "share", "probability"])
    return Faithfulness(curves, _summary(curves))


def _check(importance: pd.DataFrame, column: str, points: int, num_random: int) -> None:
    pair = {"gene_a", "gene_b"} <= set(importance.columns)
    missing = {"class", column} - set(importance.columns)
    if missing or not (pair or "gene" in importance.columns) or len(importance) == 0:
        raise ValueError(
            f"'importance' must have rows, and the columns 'class', {column!r}, and 'gene' or "
            f"'gene_a' and 'gene_b' (got {list(importance.columns)}, {len(importance)} rows)."
        )
    if points < 1 or num_random < 1:
        raise ValueError(
            f"'points' and 'num_random' must be at least 1 (got {points} and {num_random})."
        )


def _edges(subject: Subject) -> Edges:
    check_uses_graph(subject)
    return Edges(subject)


def _items(subject: Subject, table: pd.DataFrame, edges: Edges | None) -> Integers:
    """Returns positions of the table's genes, or of its pairs of genes."""
    if edges is None:
        found: Integers = positions(table["gene"].tolist(), subject.genes, "'importance'")
        return found
    return edges.positions(table["gene_a"].tolist(), table["gene_b"].tolist())


def _steps(items: Integers, points: int, curve: str) -> Iterator[tuple[float, Integers]]:
    """Yields the share that was moved, and what is gone then."""
    for point in range(points + 1):
        moved = round(len(items) * point / points)
        gone = items[:moved] if curve == "deletion" else items[moved:]
        yield point / points, gone


@torch.no_grad()
def _probabilities(
    subject: Subject, cells: Integers, gone: Integers, base: Tensor, edges: Edges | None
) -> Tensor:
    graph, genes = None, torch.from_numpy(gone).to(subject.device)
    if edges is not None:
        lost = torch.from_numpy(np.isin(edges.pair, gone)).to(edges.weight.device)
        graph = (edges.index, edges.weight.masked_fill(lost, 0))
    parts = []
    for x, depth in subject.batches(cells):
        if edges is None:
            x = x.index_copy(1, genes, base[genes].expand(len(x), -1))
        parts.append(subject.logits(x, depth, graph))
    return torch.cat(parts).softmax(dim=1)


def _summary(curves: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (label, curve), part in curves.groupby(["class", "curve"], sort=False):
        areas = {
            order: _area(one["share"].to_numpy(), one["probability"].to_numpy())
            for order, one in part.groupby("order", sort=False)
        }
        area = areas.pop("importance")
        chance = np.array(list(areas.values()))
        gain = area - chance.mean() if curve == "insertion" else chance.mean() - area
        spread = chance.std(ddof=1) if len(chance) > 1 else np.nan
        rows.append((label, curve, area, chance.mean(), spread, gain))
    names = ["class", "curve", "area", "random_area", "random_sd", "gain"]
    return pd.DataFrame(rows, columns=names)


def _area(share: Floats, probability: NDArray[Any]) -> float:
    return float(np.trapezoid(probability, share))
