"""The interactions around a cell type or a gene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genegraph.pl import style
from genegraph.pl.pairs import Pairs, pair_names, read_pairs
from genegraph.pl.placing import lay_out
from genegraph.pl.sums import Key, source_of, sum_by_class

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes

_SMALLEST, _LARGEST, _PLAIN = 3.0, 13.0, 7.0  # radius of a node, in points
_THINNEST, _WIDEST = 0.6, 5.0  # width of an edge, in points
_GAP = 5.0  # points between one node's name and the next


def subnetwork(
    table: pd.DataFrame,
    around: object,
    adata: AnnData | None = None,
    key: Key = "genegraph",
    *,
    layer: str | None = None,
    top: int = 30,
    ax: Axes | None = None,
    show: bool | None = None,
    save: style.PathLike | None = None,
) -> Axes:
    """Draws the strongest pairs of genes for a class, or around a gene.

    The wider an edge, the larger the importance (or attention) of the pair, whatever its sign.  An
    edge is solid if the pair is in the prior, and dashed if it was learned only; an arrow points
    to the gene that pays attention.  The larger a node, the larger the gene's mean
    expression over the cells of the class, or over all cells around a gene.

    Args:
        table: As :mod:`genegraph.explain` gives it: ``gene_a``, ``gene_b`` (or ``source``,
            ``target``), ``importance`` (or ``attention``), ``prior_weight``, ``in_prior`` and
            possibly ``class`` and ``specific``, which then counts around a class.
        around: A value of the column ``class``; or else a gene, of which first its own pairs are
            drawn, then those among its partners, each with its strongest class.
        adata: Cells to size the nodes by; None draws all alike.
        key: Column of ``adata.obs`` with the cells' classes, true or as ``annotate`` wrote them,
            or one class per cell.
        layer: The layer that holds the expression; None: ``adata.X``.
        top: How many pairs to draw at most.
        ax: Where to draw; by default a new figure, large enough for the names.
        show: See :func:`genegraph.pl.confusion`.
        save: See :func:`genegraph.pl.confusion`.

    Returns:
        The axes.

    Raises:
        KeyError: If ``adata`` has no such column.
        TypeError: If ``table`` is no DataFrame.
        ValueError: If the table lacks a column, ``around`` is neither one of its classes nor one
            of its genes, or no cell is of the class.

    Example:
        >>> rows = {"gene_a": ["CD3D", "CD3D"], "gene_b": ["CD3E", "LCK"], "class": "T cell"}
        >>> rows = {**rows, "importance": [0.5, 0.2], "prior_weight": [0.9, 0.0]}
        >>> table = pd.DataFrame({**rows, "in_prior": [True, False]})
        >>> " ".join(subnetwork(table, "T cell").get_title(loc="left").split())
        'CD3D–CD3E is the strongest of 2 pairs for T cell, 1 not in the prior'
    """
    if top < 1:
        raise ValueError(f"'top' must be at least 1 (got {top!r}).")
    pairs, is_class = _choose(table, around, top)
    genes = sorted({*pairs.table["a"], *pairs.table["b"]})
    mean = None
    if adata is not None:
        mean = _mean_expression(adata, key, layer, around if is_class else None, genes)
    radius = np.full(len(genes), _PLAIN)
    if mean is not None:
        share = mean.to_numpy() / max(float(mean.max()), 1e-12)
        radius = _SMALLEST + (_LARGEST - _SMALLEST) * np.sqrt(np.clip(share, 0, None))
    own = ax is None
    ax = style.new_axes(3.0, 3.0) if ax is None else ax
    style.bare(ax)
    texts = [ax.text(0, 0, style.plain(gene), ha="center", va="top") for gene in genes]
    places, size = _lay_out(pairs.table, genes, radius, texts)
    ax.set(xlim=(0, size[0]), ylim=(0, size[1]), aspect="equal", anchor="NW")
    if own:
        style.root(ax).set_size_inches(*(1.06 * size / 72 + 2 * style.PAD))
    style.side_legend(ax, _legend(pairs, mean), own=own, spacing=1.9)
    finding, size_of = _finding(pairs, around, is_class)
    detail = "" if mean is None else f"size of a node: mean of {source_of(layer)} over {size_of}"
    style.headline(ax, finding, detail, own=own)
    # On axes that are too small for the names everything shrinks alike.
    scale = min(1.0, ax.get_window_extent().width / style.root(ax).dpi * 72 / size[0])
    at, wide = (dict(zip(genes, part, strict=True)) for part in (places, radius))
    _draw_edges(ax, pairs, at, wide, scale)
    _draw_nodes(ax, places, radius, texts, scale)
    return style.hand_over(ax, own, show, save)


def _choose(table: pd.DataFrame, around: object, top: int) -> tuple[Pairs, bool]:
    if isinstance(table, pd.DataFrame) and "class" in table and (table["class"] == around).any():
        pairs = read_pairs(table, around)
        return pairs._replace(table=pairs.table.head(top)), True
    pairs = read_pairs(table)
    first = (pairs.table["a"] == around) | (pairs.table["b"] == around)
    if not first.any():
        raise ValueError(
            f"'around' must be a class or a gene of the table (got {around!r}, which is neither)."
        )
    own = pairs.table[first].head(top)
    near = {*own["a"], *own["b"]}
    among = pairs.table[~first & pairs.table["a"].isin(near) & pairs.table["b"].isin(near)]
    return pairs._replace(table=pd.concat([own, among.head(top - len(own))])), False


def _mean_expression(
    adata: AnnData, key: Key, layer: str | None, label: object, genes: list[str]
) -> pd.Series[float]:
    sums, cells = sum_by_class(adata, None if label is None else key, layer)
    if label is not None and label not in sums.index:
        where = f"adata.obs[{key!r}]" if isinstance(key, str) else "'key'"
        raise ValueError(f"{where} must hold cells of the class {label!r} (got none).")
    row = 0 if label is None else list(sums.index).index(label)
    mean = sums.iloc[row] / cells.iloc[row]
    # A gene that the cells lack is one that they were not seen to express.
    return mean.reindex(genes).fillna(0.0)


def _lay_out(
    pairs: pd.DataFrame, genes: list[str], radius: NDArray[Any], texts: list[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the places of the nodes and the size of it all, in points."""
    for text in texts:
        text.set_fontsize(style.SMALL_SIZE)
    dpi = style.root(texts[0].axes).dpi
    boxes = [text.get_window_extent() for text in texts]
    names = np.array([[box.width, box.height] for box in boxes]) * 72 / dpi
    sizes = np.column_stack([np.maximum(2 * radius, names[:, 0]), 2 * radius + names[:, 1]]) + _GAP
    centres = lay_out(list(zip(pairs["a"], pairs["b"], strict=True)), genes, sizes)
    low, high = (centres - sizes / 2).min(axis=0), (centres + sizes / 2).max(axis=0)
    # The node takes the upper part of its box, its name the lower one.
    up = np.column_stack([np.zeros(len(genes)), sizes[:, 1] / 2 - _GAP / 2 - radius])
    return centres + up - low, high - low


def _draw_edges(
    ax: Axes, pairs: Pairs, places: dict[str, Any], radius: dict[str, float], scale: float
) -> None:
    from matplotlib.patches import FancyArrowPatch

    strength = pairs.table["value"].abs()
    width = _THINNEST + (_WIDEST - _THINNEST) * strength / max(float(strength.max()), 1e-300)
    rows = zip(pairs.table["a"], pairs.table["b"], pairs.table["in_prior"], width, strict=True)
    for a, b, known, wide in rows:
        edge = FancyArrowPatch(
            places[a],
            places[b],
            # Of a pair that attends to each other both arrows are seen.
            connectionstyle="arc3,rad=0.12" if pairs.directed else "arc3",
            arrowstyle="-|>" if pairs.directed else "-",
            mutation_scale=9 * scale,
            shrinkA=radius[a] * scale,
            shrinkB=radius[b] * scale,
            linewidth=wide * scale,
            linestyle="solid" if known else (0, (2.2, 1.2)),
            color=style.FIRST if known else style.SECOND,
            capstyle="butt",
            zorder=1,
        )
        ax.add_patch(edge)


def _draw_nodes(
    ax: Axes, places: NDArray[Any], radius: NDArray[Any], texts: list[Any], scale: float
) -> None:
    from matplotlib.patheffects import withStroke

    area = (2 * radius * scale) ** 2
    x, y = places.T
    nodes = ax.scatter(x, y, s=area, zorder=2, clip_on=False, linewidth=0.8)
    nodes.set(facecolor=style.PALE_TO_DEEP[2], edgecolor=style.INK)
    for text, (x, y), r in zip(texts, places, radius, strict=True):
        text.set(position=(x, y - r), color=style.INK, zorder=3)
        _shrink(text, scale)
        text.set_path_effects([withStroke(linewidth=2.2 * scale, foreground="white")])


def _shrink(text: Any, scale: float) -> None:
    """Scales a name, and further until it keeps to the room that the layout gave it."""
    room = (text.get_window_extent().size + _GAP * style.root(text.axes).dpi / 72) * scale
    text.set_fontsize(style.SMALL_SIZE * scale)
    # Small letters are drawn on whole pixels, which makes some names wider than their size says.
    while (text.get_window_extent().size > room).any() and text.get_fontsize() > 1:
        text.set_fontsize(0.95 * text.get_fontsize())


def _legend(pairs: Pairs, mean: pd.Series[float] | None) -> list[Any]:
    from matplotlib.lines import Line2D

    handles = []
    if pairs.table["in_prior"].any():
        handles.append(Line2D([], [], color=style.FIRST, linewidth=2, label="in the prior"))
    if not pairs.table["in_prior"].all():
        handles.append(Line2D([], [], color=style.SECOND, linewidth=2, label="learned only"))
        handles[-1].set_linestyle((0, (2.2, 1.2)))
    strength = pairs.table["value"].abs()
    for value, width in ((strength.max(), _WIDEST), (strength.max() / 2, _WIDEST / 2)):
        handles.append(Line2D([], [], color=style.MUTED, linewidth=width))
        handles[-1].set_label(f"{pairs.value} {value:.2g}")
    if mean is not None and mean.max() > 0:
        for share in (1.0, 0.25):
            size = 2 * (_SMALLEST + (_LARGEST - _SMALLEST) * np.sqrt(share))
            node = Line2D([], [], marker="o", linestyle="none", markersize=size)
            node.set(color=style.PALE_TO_DEEP[2], markeredgecolor=style.INK)
            node.set_label(f"mean expression {share * mean.max():.2g}")
            handles.append(node)
    return handles


def _finding(pairs: Pairs, around: object, is_class: bool) -> tuple[str, str]:
    table, name = pairs.table, style.plain(around)
    learned = int((~table["in_prior"]).sum())
    strongest = pair_names(pairs.directed, table.head(1))[0]
    of = f"for {name}" if is_class else f"around {name}"
    finding = f"{strongest} is the strongest of {len(table)} pairs {of}"
    finding += f", {learned} not in the prior" if learned else ", all in the prior"
    if len(table) == 1:
        finding = f"{strongest} is the only pair {of}"
    cells = f"cells of {name}" if is_class else "all cells"
    return finding, cells
