"""What was learned beside what was known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from genegraph.pl import style
from genegraph.pl.pairs import pair_names, read_pairs
from genegraph.pl.placing import number_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STRONGEST = 100
_LEARNED, _PRIOR = "learned, not in the prior", "in the prior"
_IGNORED = "in the prior, ignored"


def attention(
    table: pd.DataFrame,
    label: object = None,
    *,
    top: int = 8,
    ax: Axes | None = None,
    show: bool | None = None,
    save: style.PathLike | None = None,
) -> Axes:
    """Shows attention between genes against the weight that the prior gives them.

    Pairs that the prior lacks stand in a strip of their own on the left.  A pair of the prior is
    drawn as ignored if its source is not among the top k of its target, as ``in_top_k`` says;
    where that column is missing, if its attention is less than the table's median.

    Args:
        table: As :func:`genegraph.explain.attention` gives it: ``source``, ``target`` (or
            ``gene_a``, ``gene_b``), ``attention`` (or ``importance``), ``prior_weight``,
            ``in_prior`` and possibly ``class``.
        label: Show this class; None: of each pair the class with the most attention.
        top: How many pairs to number and name at most: of those learned the strongest, and of
            those ignored the ones with the largest weight in the prior.
        ax: Where to draw; by default a new figure.
        show: See :func:`genegraph.pl.confusion`.
        save: See :func:`genegraph.pl.confusion`.

    Returns:
        The axes.

    Raises:
        TypeError: If ``table`` is no DataFrame.
        ValueError: If it lacks a column, has no rows or not finite values, or no such class.

    Example:
        >>> rows = {"source": ["A", "A"], "target": ["B", "C"], "attention": [0.7, 0.3]}
        >>> rows = {**rows, "prior_weight": [0.9, 0.0], "in_prior": [True, False]}
        >>> attention(pd.DataFrame(rows)).get_title(loc="left")
        '1 of the 2 pairs is not in the prior'
    """
    from matplotlib.lines import Line2D

    pairs = read_pairs(table, label)
    shown = pairs.table
    own = ax is None
    ax = style.new_axes(6.4, 4.4) if ax is None else ax
    ignored = shown["ignored"]
    scale = float(shown["prior_weight"].max()) or 1.0
    jitter = np.random.default_rng(0).uniform(-0.17, -0.05, len(shown)) * scale
    x = np.where(shown["in_prior"], shown["prior_weight"], jitter)
    looks = {
        _LEARNED: (~shown["in_prior"], "D", style.SECOND, style.SECOND),
        _PRIOR: (shown["in_prior"] & ~ignored, "o", style.FIRST, style.FIRST),
        _IGNORED: (ignored, "o", "white", style.FIRST),
    }
    for name, (rows, marker, face, edge) in looks.items():
        says = f"{name} ({rows.sum():,})"
        drawn = ax.scatter(x[rows], shown["value"][rows], marker=marker, s=22, label=says)
        drawn.set(facecolor=face, edgecolor=edge, linewidth=0.9, rasterized=True)
    style.tidy(ax, "weight in the prior", pairs.value)
    _scale_axes(ax, scale, shown["value"])
    learned = shown[~shown["in_prior"]].nlargest(top, "value")
    known = shown[ignored].nlargest(top, "prior_weight")
    numbered = pd.concat([learned, known])
    numbers = [str(number) for number in range(1, len(numbered) + 1)]
    names = [
        Line2D([], [], linestyle="none", label=f"{number}  {name}")
        for number, name in zip(numbers, pair_names(pairs.directed, numbered), strict=True)
    ]
    by_name = dict(zip(looks, ax.get_legend_handles_labels()[0], strict=True))
    handles = [by_name[_LEARNED], *names[: len(learned)], by_name[_PRIOR], by_name[_IGNORED]]
    style.side_legend(ax, [*handles, *names[len(learned) :]], own=own)
    style.headline(ax, *_finding(shown, pairs.value, label), own=own)
    points = np.column_stack([x[numbered.index], numbered["value"]])
    number_points(ax, points, numbers)
    return style.hand_over(ax, own, show, save)


def _scale_axes(ax: Axes, scale: float, value: pd.Series[float]) -> None:
    ax.axvline(-0.01 * scale, color=style.RULE, linewidth=0.8)
    ax.set_xlim(-0.21 * scale, 1.06 * scale)
    ticks = [t for t in np.linspace(0, scale, 5) if t > 0]
    ax.set_xticks([-0.11 * scale, *ticks], ["none", *(f"{tick:.2g}" for tick in ticks)])
    if value.min() > 0 and value.max() > 30 * value.min():
        ax.set_yscale("log")
    ax.margins(y=0.08)
    ax.grid(axis="y", color=style.RULE, linewidth=0.6)


def _finding(shown: pd.DataFrame, value: str, label: object) -> tuple[str, str]:
    strongest = shown.nlargest(STRONGEST, "value")
    num = int((~strongest["in_prior"]).sum())
    which = "" if len(shown) <= STRONGEST else "strongest "
    finding = f"{num} of the {len(strongest)} {which}pairs {'is' if num == 1 else 'are'} not in the"
    detail = f"{len(shown):,} pairs"
    if label is not None:
        detail += f" of {style.plain(label)}"
    how = f"{value} below their median"
    if "in_top_k" in shown:
        how = "not among those their target attends to most"
    return f"{finding} prior", f"{detail}; ignored: {how}"
