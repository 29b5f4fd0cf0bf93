"""Whether confidence means what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genegraph.pl import style
from genegraph.reliability import Reliability, wilson_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from genegraph.classifier import GeneGCNClassifier


def reliability(
    model: GeneGCNClassifier | Reliability,
    *,
    num_bins: int = 10,
    ax: Axes | None = None,
    show: bool | None = None,
    save: style.PathLike | None = None,
) -> Axes:
    """Shows the share of cells labelled right against the confidence they were labelled with.

    Cells are sorted by confidence and cut into bins of equal size; a bar is the 95 % interval of
    a bin's share, after Wilson.  On the diagonal, confidence is what it says.

    Args:
        model: A fitted classifier, whose held-out cells are drawn, or what
            :meth:`~genegraph.GeneGCNClassifier.reliability` returned for other labelled cells.
        num_bins: How many bins; fewer where there are fewer cells.
        ax: Where to draw; by default a new figure.
        show: See :func:`genegraph.pl.confusion`.
        save: See :func:`genegraph.pl.confusion`.

    Returns:
        The axes.

    Raises:
        ValueError: If no cells were held out in fit.

    Example:
        >>> shown = Reliability.of(["T", "B", "B", "T"], ["T", "B", "T", "T"], [0.9, 0.8, 0.5, 0.8])
        >>> ax = reliability(shown, num_bins=2)
        >>> " ".join(ax.get_title(loc="left").split())
        'Confidence and accuracy differ by 15.0 points on average'
    """
    shown = model if isinstance(model, Reliability) else model.reliability()
    curve = shown.curve(num_bins)
    own = ax is None
    ax = style.new_axes(4.4, 4.2) if ax is None else ax
    ax.plot([0, 100], [0, 100], "--", color=style.MUTED, linewidth=1, label="as confident as right")
    total = curve["cells"].to_numpy()
    right = 100 * curve["accuracy"].to_numpy()
    low, high = wilson_interval(curve["accuracy"].to_numpy() * total, total)
    # Rounding must not put an end of the interval on the wrong side of the share itself.
    below, above = np.maximum(right - 100 * low, 0), np.maximum(100 * high - right, 0)
    ax.errorbar(
        100 * curve["confidence"],
        right,
        yerr=[below, above],
        fmt="o",
        color=style.FIRST,
        markersize=5,
        elinewidth=1.2,
        capsize=2.5,
        clip_on=False,
        label=f"{_about(curve['cells'])} cells each, 95 % interval",
    )
    style.tidy(ax, "mean confidence, %", "cells labelled right, %")
    ax.set(xlim=(0, 100), ylim=(0, 100), aspect="equal", anchor="W")
    ax.grid(color=style.RULE, linewidth=0.6)
    ax.legend(frameon=False, fontsize=style.SMALL_SIZE, labelcolor=style.INK, loc="upper left")
    off = 100 * shown.expected_calibration_error(num_bins)
    finding = f"Confidence and accuracy differ by {off:.1f} points on average"
    style.headline(ax, finding, f"{len(shown.confidence):,} labelled cells", own=own)
    return style.hand_over(ax, own, show, save)


def _about(cells: object) -> str:
    least, most = int(np.min(cells)), int(np.max(cells))  # type: ignore[call-overload]
    return f"{least:,}" if least == most else f"{least:,} or {most:,}"
