"""How much of the data a graph says something about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genegraph.edges import count_neighbors
from genegraph.graph import GeneGraph
from genegraph.pl import style
from genegraph.pl.sums import Key, source_of, sum_by_class

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes

    from genegraph.classifier import GeneGCNClassifier


def graph_coverage(
    graph: GeneGraph | GeneGCNClassifier,
    adata: AnnData,
    key: Key | None = None,
    *,
    layer: str | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    save: style.PathLike | None = None,
) -> Axes:
    """Shows which share of the genes, and of their expression, has neighbours in the graph.

    A gene is covered if it has an edge to another gene of the data; expression is the sum of
    values as they are, counts or logarithms.

    Args:
        graph: The graph, or a fitted classifier that has one; matched to the genes by name.
        adata: The cells.
        key: A column of ``obs``, or one class per cell; shows the share of expression in each
            class too.
        layer: The layer that holds the expression; None: ``adata.X``.
        ax: Where to draw; by default a new figure.
        show: See :func:`genegraph.pl.confusion`.
        save: See :func:`genegraph.pl.confusion`.

    Returns:
        The axes.

    Raises:
        KeyError: If there is no such column.
        ValueError: If there is no graph, a value is negative, or all are zero.

    Example:
        >>> import anndata
        >>> cells = anndata.AnnData(np.array([[1.0, 2.0, 5.0]], dtype="float32"))
        >>> cells.var_names = ["A", "B", "C"]
        >>> ax = graph_coverage(GeneGraph(["A", "B"], [[0, 1], [1, 0]]), cells)
        >>> " ".join(ax.get_title(loc="left").split())
        'The graph covers 66.7% of the genes and 37.5% of the expression'
    """
    aligned = prior_of(graph).align([str(gene) for gene in adata.var_names])
    covered = count_neighbors(aligned.edge_index, aligned.num_genes).numpy() > 0
    sums, cells = sum_by_class(adata, key, layer)
    values = sums.to_numpy()
    total = values.sum(axis=1)
    if values.min() < 0 or total.sum() <= 0:
        raise ValueError(
            f"{source_of(layer)} must hold counts or their logarithms, none negative and not all "
            f"zero (got sums from {values.min():.3g} to {values.max():.3g}); a share of scaled "
            "values means nothing."
        )
    inside = values[:, covered].sum(axis=1)
    genes, expression = covered.mean(), inside.sum() / total.sum()
    rows = {"genes": genes, "expression": expression}
    if key is not None:
        share = inside / np.maximum(total, 1e-300)
        # One class may have the name of another row: rows are told apart by their place.
        names = [f"{style.plain(name)} ({n:,})" for name, n in cells.items()]
    else:
        share, names = np.empty(0), []
    own = ax is None
    labels = [*rows, *names]
    if ax is None:
        longest = max(map(len, labels))
        ax = style.new_axes(3.6 + 0.085 * longest, 0.6 + 0.24 * len(labels))
    _draw_bars(ax, labels, np.concatenate([list(rows.values()), share]))
    if key is not None:
        ax.axhline(1.5, color=style.RULE, linewidth=0.8)
    finding = f"The graph covers {genes:.1%} of the genes and {expression:.1%} of the expression"
    detail = f"genes with a neighbour in the graph; their share of the sum of {source_of(layer)}"
    if key is not None:
        detail += f", below by {style.plain(key) if isinstance(key, str) else 'class'} (cells)"
    style.headline(ax, finding, detail, own=own)
    return style.hand_over(ax, own, show, save)


def prior_of(graph: GeneGraph | GeneGCNClassifier) -> GeneGraph:
    """Returns the graph, or that of a classifier, before normalisation.

    Raises:
        ValueError: If the classifier has none.
    """
    prior = graph if isinstance(graph, GeneGraph) else graph.graph
    if prior is None:
        raise ValueError("The classifier has no graph (graph=None), so there is none to show.")
    return prior


def _draw_bars(ax: Axes, labels: list[str], share: np.ndarray) -> None:
    places = list(range(len(labels)))
    colors = [style.FIRST] * 2 + [style.PALE_TO_DEEP[4]] * (len(labels) - 2)
    ax.barh(places, 100 * share, color=colors, height=0.7)
    for place, value in zip(places, share, strict=True):
        text = ax.text(100 * value + 1, place, f"{value:.1%}", va="center")
        text.set(color=style.INK, fontsize=style.SMALL_SIZE)
    style.tidy(ax, "covered, %")
    ax.set_yticks(places, labels)
    ax.set(xlim=(0, 112), ylim=(len(labels) - 0.5, -0.5))
    ax.set_xticks([0, 25, 50, 75, 100])
    ax.spines["left"].set_visible(False)
