"""How training went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pandas as pd
from sklearn.utils.validation import check_is_fitted

from genegraph.pl import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from genegraph.classifier import GeneGCNClassifier

_PARTS = {"train": "training cells", "val": "validation cells"}
_UNITS = {"loss": "cross-entropy, nats per cell", "accuracy": "cells labelled right, %"}


def history(
    model: GeneGCNClassifier,
    metric: Literal["loss", "accuracy"] = "loss",
    *,
    ax: Axes | None = None,
    show: bool | None = None,
    save: style.PathLike | None = None,
) -> Axes:
    """Shows how training went, epoch by epoch.

    Args:
        model: A fitted classifier; its ``history_`` is drawn.
        metric: ``"loss"`` (mean cross-entropy of the heads, in nats) or ``"accuracy"``.
        ax: Where to draw; by default a new figure.
        show: See :func:`genegraph.pl.confusion`.
        save: See :func:`genegraph.pl.confusion`.

    Returns:
        The axes.

    Raises:
        ValueError: If ``metric`` is unknown.

    Example:
        >>> from genegraph import GeneGCNClassifier
        >>> model = GeneGCNClassifier(hidden_channels=(8,), max_epochs=3, random_state=0)
        >>> model = model.set_params(verbose=False).fit([[9, 0], [0, 9]] * 20, ["T", "B"] * 20)
        >>> history(model).get_xlabel()
        'epoch'
    """
    from matplotlib.ticker import MaxNLocator

    check_is_fitted(model)
    if metric not in _UNITS:
        raise ValueError(f"'metric' must be 'loss' or 'accuracy' (got {metric!r}).")
    table = pd.DataFrame(model.history_)
    own = ax is None
    ax = style.new_axes(5.6, 3.2) if ax is None else ax
    looks = {"train": (style.FIRST, "-", "o"), "val": (style.SECOND, "--", "D")}
    for part, (color, dash, marker) in looks.items():
        if f"{part}_{metric}" not in table:
            continue
        values = table[f"{part}_{metric}"] * (100 if metric == "accuracy" else 1)
        ax.plot(table["epoch"], values, dash, color=color, label=_PARTS[part], linewidth=1.8)
        last = table["epoch"].iloc[-1], values.iloc[-1]
        ax.plot(*last, marker, color=color, markersize=5, clip_on=False)
    style.tidy(ax, "epoch", _UNITS[metric])
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlim(1, max(2, len(table)))
    ax.set_ylim(bottom=0) if metric == "loss" else ax.set_ylim(top=100)
    ax.grid(axis="y", color=style.RULE, linewidth=0.6)
    if f"val_{metric}" in table:
        ax.legend(frameon=False, fontsize=style.SMALL_SIZE, labelcolor=style.INK)
    style.headline(ax, _finding(table, metric), _detail(table), own=own)
    return style.hand_over(ax, own, show, save)


def _finding(table: pd.DataFrame, metric: str) -> str:
    if "val_loss" in table:
        best = table.iloc[int(table["val_loss"].argmin())]
        value = f": {best['val_loss']:.3g}"
        if metric == "accuracy":
            value = f", accuracy {best['val_accuracy']:.1%}"
        return f"Lowest validation loss in epoch {best['epoch']:.0f}{value}"
    first, last = table[f"train_{metric}"].iloc[[0, -1]]
    if metric == "loss":
        return f"Training loss went from {first:.3g} to {last:.3g} in {len(table)} epochs"
    return f"Training accuracy went from {first:.1%} to {last:.1%} in {len(table)} epochs"


def _detail(table: pd.DataFrame) -> str:
    return "" if "val_loss" in table else "training cells only; no cells were set aside to watch"
