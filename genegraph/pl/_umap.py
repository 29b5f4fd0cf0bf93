"""Cells on a map, and what they were named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genegraph.annotation import UNKNOWN
from genegraph.colors import class_colors
from genegraph.expression import check_anndata
from genegraph.pl import style
from genegraph.pl.placing import number_points

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes

_SUFFIX = {"label": "", "confidence": "_confidence", "novelty": "_novelty"}
_SCALES = {
    "confidence": "probability of the named class",
    "novelty": "share of training cells nearer to their type",
}


def umap(
    adata: AnnData,
    key: str = "genegraph",
    color: Literal["label", "confidence", "novelty"] = "label",
    *,
    basis: str = "X_umap",
    ax: Axes | None = None,
    show: bool | None = None,
    save: style.PathLike | None = None,
) -> Axes:
    """Shows annotated cells on a map; cells named ``"unknown"`` are crosses.

    A class has a colour and a number, which stands at the median of its cells, so that classes can
    be told apart without the colours.

    Args:
        adata: Cells that :meth:`~genegraph.GeneGCNClassifier.annotate` named.
        key: The key given to it: ``obs[key]``, ``obs[key + "_confidence"]`` and
            ``obs[key + "_novelty"]`` are read.  Colours come from ``uns[key + "_colors"]`` where
            it is there, as scanpy has it.
        color: ``"label"``, ``"confidence"`` or ``"novelty"``.
        basis: Which of ``adata.obsm`` is the map.
        ax: Where to draw; by default a new figure.
        show: See :func:`genegraph.pl.confusion`.
        save: See :func:`genegraph.pl.confusion`.

    Returns:
        The axes.

    Raises:
        KeyError: If the map or a column is missing.
        TypeError: If ``adata`` is no AnnData.
        ValueError: If ``color`` is unknown or the map does not have two columns.
    """
    from matplotlib.patheffects import withStroke

    check_anndata(adata)
    if color not in _SUFFIX:
        raise ValueError(f"'color' must be one of {', '.join(_SUFFIX)} (got {color!r}).")
    places = _places(adata, basis)
    labels = _column(adata, key, key)
    unknown = (labels == UNKNOWN).to_numpy() | labels.isna().to_numpy()
    own = ax is None
    ax = style.new_axes(5.0, 4.6) if ax is None else ax
    style.bare(ax)
    ax.set_xlabel(f"{basis.removeprefix('X_').upper()} 1")
    ax.set_ylabel(f"{basis.removeprefix('X_').upper()} 2")
    ax.xaxis.label.set_color(style.MUTED)
    ax.yaxis.label.set_color(style.MUTED)
    size = float(np.clip(60_000 / len(places), 1.5, 30))
    handles: list[Any] = []
    if color == "label":
        handles, badges = _draw_classes(ax, adata, key, places, labels.mask(unknown), size)
    else:
        values = _column(adata, key + _SUFFIX[color], key).to_numpy(np.float64)
        _draw_values(ax, places[~unknown], values[~unknown], size, color)
        badges = {}
    if unknown.any():
        x, y = places[unknown].T
        cross = ax.scatter(x, y, marker="x", s=max(size, 9), c=style.INK, linewidth=0.7)
        cross.set(rasterized=True, label=f"unknown ({unknown.sum():,})")
        cross.set_path_effects([withStroke(linewidth=2.2, foreground="white")])
        handles.append(cross)
    if color == "label":
        style.side_legend(ax, handles, own=own)
    style.headline(ax, *_finding(adata, key, color, labels, unknown), own=own)
    number_points(ax, np.array(list(badges.values())), list(badges))
    return style.hand_over(ax, own, show, save)


def _places(adata: AnnData, basis: str) -> NDArray[np.float64]:
    if basis not in adata.obsm:
        make = "sc.pp.pca(adata); sc.pp.neighbors(adata); sc.tl.umap(adata)"
        raise KeyError(
            f"adata.obsm has no {basis!r} (it has {sorted(adata.obsm)}). Make the map first, of "
            f"normalised and logarithmised values: import scanpy as sc; {make}"
        )
    places = np.asarray(adata.obsm[basis], dtype=np.float64)
    if places.ndim != 2 or places.shape[1] < 2:
        raise ValueError(f"adata.obsm[{basis!r}] must have two columns (got shape {places.shape}).")
    return places[:, :2]


def _column(adata: AnnData, column: str, key: str) -> pd.Series[Any]:
    if column not in adata.obs:
        raise KeyError(
            f"adata.obs has no column {column!r}; model.annotate(adata, key={key!r}) writes it."
        )
    values: pd.Series[Any] = adata.obs[column]
    return values


def _draw_classes(
    ax: Axes,
    adata: AnnData,
    key: str,
    places: NDArray[np.float64],
    labels: pd.Series[Any],
    size: float,
) -> tuple[list[Any], dict[str, NDArray[np.float64]]]:
    from matplotlib.lines import Line2D

    categories = pd.Categorical(labels)
    names = [name for name in categories.categories if (categories == name).any()]
    colors = _colors(adata, key, labels, names)
    shown = np.flatnonzero(~labels.isna().to_numpy())
    # In random order, so that no class lies on top of all others.
    shown = np.random.default_rng(0).permutation(shown)
    ink = np.array([colors[name] for name in categories[shown]], dtype=object)
    x, y = places[shown].T
    ax.scatter(x, y, s=size, c=ink.tolist(), linewidth=0, rasterized=True)
    handles, badges = [], {}
    for number, name in enumerate(names, start=1):
        theirs = categories == name
        says = f"{number}  {style.plain(name)} ({theirs.sum():,})"
        handles.append(Line2D([], [], marker="o", linestyle="none", label=says))
        handles[-1].set(color=colors[name], markersize=6)
        badges[str(number)] = np.median(places[theirs], axis=0)
    return handles, badges


def _colors(adata: AnnData, key: str, labels: pd.Series[Any], names: list[Any]) -> dict[Any, str]:
    given = adata.uns.get(f"{key}_colors")
    column = adata.obs[key]
    if given is not None and isinstance(column.dtype, pd.CategoricalDtype):
        known = list(column.cat.categories)
        if len(given) >= len(known):
            return dict(zip(known, map(str, given), strict=False))
    return dict(zip(names, class_colors(len(names)), strict=True))


def _draw_values(
    ax: Axes, places: NDArray[np.float64], values: NDArray[np.float64], size: float, color: str
) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    # The cells in doubt are dark and drawn last.
    doubt = np.argsort(-values if color == "confidence" else values, kind="stable")
    ramp = style.PALE_TO_DEEP[1:]
    colors = LinearSegmentedColormap.from_list(
        "doubt", ramp[::-1] if color == "confidence" else ramp
    )
    x, y = places[doubt].T
    drawn = ax.scatter(x, y, s=size, c=values[doubt], cmap=colors, vmin=0, vmax=1)
    drawn.set(linewidth=0, rasterized=True)
    bar = ax.figure.colorbar(drawn, ax=ax, shrink=0.6, pad=0.02, anchor=(0, 0))
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=style.SMALL_SIZE, labelcolor=style.INK)
    bar.set_label(_SCALES[color], color=style.MUTED, fontsize=style.SMALL_SIZE)


def _finding(
    adata: AnnData, key: str, color: str, labels: pd.Series[Any], unknown: NDArray[np.bool_]
) -> tuple[str, str]:
    cells = f"{len(labels):,} cells"
    where = f"adata.obs['{style.plain(key + _SUFFIX[color])}']"
    if color == "label":
        num = labels[~unknown].nunique()
        finding = f"{cells} named, {num} classes"
        if unknown.any():
            finding = f"{unknown.mean():.1%} of {cells} unknown, the others of {num} classes"
        return finding, where
    if unknown.any():
        where += f"; crosses: {unknown.sum():,} unknown cells"
    values = _column(adata, key + _SUFFIX[color], key).to_numpy(np.float64)
    if color == "confidence":
        return f"{(values >= 0.9).mean():.1%} of {cells} named with confidence 0.9 or more", where
    return f"{(values > 0.95).mean():.1%} of {cells} have a novelty above 0.95", where
