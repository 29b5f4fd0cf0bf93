"""How many neighbours genes have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genegraph.edges import count_neighbors
from genegraph.pl import style
from genegraph.pl._graph_coverage import prior_of
from genegraph.pl.style import EN_DASH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from genegraph.classifier import GeneGCNClassifier
    from genegraph.graph import GeneGraph


def degrees(
    graph: GeneGraph | GeneGCNClassifier,
    *,
    ax: Axes | None = None,
    show: bool | None = None,
    save: style.PathLike | None = None,
) -> Axes:
    """Shows how many genes have how many neighbours.

    Bins double: 1, 2 to 3, 4 to 7 and so on, as degrees spread over orders of magnitude.

    Args:
        graph: The graph, or a fitted classifier that has one.
        ax: Where to draw; by default a new figure.
        show: See :func:`genegraph.pl.confusion`.
        save: See :func:`genegraph.pl.confusion`.

    Returns:
        The axes.

    Raises:
        ValueError: If the classifier has no graph.

    Example:
        >>> from genegraph import GeneGraph
        >>> degrees(GeneGraph(["A", "B", "C"], [[0, 1], [1, 0]])).get_title(loc="left")
        '2 of 3 genes have neighbours, half of these at most 1'
    """
    prior = prior_of(graph)
    degree = count_neighbors(prior.edge_index, prior.num_genes).numpy()
    some = degree[degree > 0]
    own = ax is None
    ax = style.new_axes(5.6, 3.2) if ax is None else ax
    last = int(np.log2(some.max())) if len(some) else 0
    heights = np.bincount(np.log2(some).astype(int), minlength=last + 1)
    heights = np.concatenate([[len(degree) - len(some)], heights])
    bars = ax.bar(np.arange(last + 2), heights, width=0.8, color=style.FIRST)
    bars[0].set(facecolor="white", edgecolor=style.FIRST, hatch="////", linewidth=1)
    names = ["none"]
    for low in 2 ** np.arange(last + 1):
        names.append("1" if low == 1 else f"{low:,}{EN_DASH}\n{2 * low - 1:,}")
    style.tidy(ax, "neighbours of a gene", "genes")
    ax.set_xticks(np.arange(last + 2), names)
    ax.yaxis.set_major_formatter("{x:,.0f}")
    for place, height in enumerate(heights):
        text = ax.annotate(f"{height:,}", (place, height), (0, 2), textcoords="offset points")
        text.set(ha="center", va="bottom", color=style.INK, fontsize=style.SMALL_SIZE)
    ax.set_ylim(0, 1.1 * max(1, heights.max()))
    finding = f"{len(some):,} of {len(degree):,} genes have neighbours"
    if len(some):
        finding += f", half of these at most {np.median(some):,.0f}"
    style.headline(ax, finding, own=own)
    return style.hand_over(ax, own, show, save)
