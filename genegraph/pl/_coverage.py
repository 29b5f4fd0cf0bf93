"""What is won by naming fewer cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genegraph.pl import style
from genegraph.reliability import Reliability

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from genegraph.classifier import GeneGCNClassifier

_MARKS = {0.5: "o", 0.8: "s", 0.9: "D", 0.95: "^", 0.99: "v"}
_WITHOUT_NOISE = 20  # of fewer cells a share jumps with every one


def coverage(
    model: GeneGCNClassifier | Reliability,
    *,
    ax: Axes | None = None,
    show: bool | None = None,
    save: style.PathLike | None = None,
) -> Axes:
    """Shows the share of cells labelled right among those named, the surest first.

    Args:
        model: A fitted classifier, whose held-out cells are drawn, or what
            :meth:`~genegraph.GeneGCNClassifier.reliability` returned for other labelled cells.
        ax: Where to draw; by default a new figure.
        show: See :func:`genegraph.pl.confusion`.
        save: See :func:`genegraph.pl.confusion`.

    Returns:
        The axes.

    Raises:
        ValueError: If no cells were held out in fit.

    Example:
        >>> shown = Reliability.of(["T", "B"] * 50, ["T"] * 100, [0.95, 0.6] * 50)
        >>> " ".join(coverage(shown).get_title(loc="left").split())
        '50.0% right if all cells are named, 100.0% among the surest half'
    """
    shown = model if isinstance(model, Reliability) else model.reliability()
    table = shown.coverage()
    own = ax is None
    ax = style.new_axes(5.0, 3.6) if ax is None else ax
    named, right = 100 * table["coverage"], 100 * table["accuracy"]
    steady = named * len(shown.confidence) / 100 >= min(_WITHOUT_NOISE, len(shown.confidence))
    ax.plot(named[steady], right[steady], color=style.FIRST, linewidth=1.8)
    for least, marker in _MARKS.items():
        kept = table.index[table["min_confidence"] >= least]
        if len(kept) == 0 or not steady[kept[-1]]:
            continue
        x, y = named[kept[-1]], right[kept[-1]]
        says = f"confidence ≥ {least:g}: {x:.1f} % named, {y:.1f} % of them right"
        ax.plot(x, y, marker, color=style.FIRST, markersize=6, label=says, clip_on=False)
        ax.lines[-1].set_markerfacecolor("white")
        ax.lines[-1].set_linestyle("none")
    style.tidy(ax, "cells named, %", "named cells labelled right, %")
    lowest = float(right[steady].min())
    ax.set_xlim(0, 100)
    # Room below the curve for the marks' legend, and never a curve that fills the picture for
    # a difference of a tenth of a point.
    ax.set_ylim(max(0.0, lowest - max(2.0, 1.2 * (100 - lowest))), 100)
    ax.grid(color=style.RULE, linewidth=0.6)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize=style.SMALL_SIZE, labelcolor=style.INK, loc="lower left")
    half = np.count_nonzero(shown.correct[: -(-len(shown.correct) // 2)])
    surest = half / -(-len(shown.correct) // 2)
    finding = (
        f"{shown.correct.mean():.1%} right if all cells are named, {surest:.1%} among the surest "
        "half"
    )
    style.headline(ax, finding, f"{len(shown.confidence):,} labelled cells", own=own)
    return style.hand_over(ax, own, show, save)
