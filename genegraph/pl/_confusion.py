"""Which cell types are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform
from sklearn.metrics import confusion_matrix
from sklearn.utils.multiclass import unique_labels

from genegraph.pl import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Labels = Sequence[Any] | NDArray[Any]

LARGEST, SMALLEST = 0.5, 0.22  # a field's side, in inches
WIDE = 8.0  # where many fields get smaller so as not to exceed this together


def confusion(
    y_true: Labels,
    y_pred: Labels,
    classes: Labels | None = None,
    *,
    normalize: bool = True,
    ax: Axes | None = None,
    show: bool | None = None,
    save: style.PathLike | None = None,
) -> Axes:
    """Shows which cell types are taken for which.

    A row holds the cells of one true type, a column the cells given one predicted type, so the
    diagonal holds the cells labelled right. Fields without cells stay empty.

    Args:
        y_true: True label of every cell.
        y_pred: Predicted label of every cell.
        classes: Labels to show, in this order; by default every label that occurs, sorted, and
            those that are taken for each other side by side.
        normalize: Give each field as its share of the row in percent, so that the diagonal is each
            type's recall; otherwise as its number of cells.
        ax: Where to draw; by default a new figure, large enough for the labels.
        show: True shows the picture now; None does so in a notebook, unless ``ax`` or ``save`` is
            given.
        save: A file to write, whose ending says which kind: ``"confusion.png"``, ``".svg"``,
            ``".pdf"``.

    Returns:
        The axes. A new figure is unknown to pyplot, so nothing needs closing.

    Raises:
        ValueError: If there are no cells, the two lengths differ, or ``classes`` leaves out a label
            that occurs.

    Example:
        >>> ax = confusion(["B cell", "NK", "NK"], ["B cell", "NK", "B cell"])
        >>> ax.get_title(loc="left")
        '66.7% of 3 cells labelled right'
    """
    labels, given = _check_labels(y_true, y_pred, classes)
    counts = confusion_matrix(np.asarray(y_true), np.asarray(y_pred), labels=labels)
    if not given:
        order = similar_together(counts)
        labels, counts = [labels[i] for i in order], counts[np.ix_(order, order)]
    totals = counts.sum(axis=1)
    values = 100 * counts / np.maximum(totals, 1)[:, None] if normalize else counts
    own = ax is None
    field = min(LARGEST, max(SMALLEST, WIDE / len(labels)))
    if ax is None:
        names = 0.085 * max(len(str(label)) for label in labels)
        fields = field * len(labels)
        ax = style.new_axes(max(fields, 2.0) + names + 1.9, max(fields, 1.0) + 0.75 * names + 1.2)
        ax.set_anchor("W")
    _draw_fields(ax, values, 100 if normalize else counts.max(), field)
    _name_axes(ax, labels, totals)
    right = np.trace(counts) / counts.sum()
    finding = f"{right:.1%} of {counts.sum():,} cells labelled right"
    unit = "percent of the row's cells" if normalize else "number of cells"
    style.headline(ax, finding, unit, own=own)
    return style.hand_over(ax, own, show, save)


def similar_together(counts: NDArray[Any]) -> list[int]:
    r"""Returns an order of classes in which those that are confused are neighbours.

    Classes are joined by average linkage over :math:`1 - (p_{ij} + p_{ji}) / 2`, with the share
    :math:`p_{ij}` of class i that is named j; otherwise they keep their order.

    Args:
        counts: ``[num_classes, num_classes]``, a row for each true class.

    Example:
        >>> similar_together(np.array([[9, 0, 1], [0, 8, 0], [2, 0, 7]]))
        [0, 2, 1]
    """
    if len(counts) < 3:
        return list(range(len(counts)))
    shares = counts / np.maximum(counts.sum(axis=1), 1)[:, None]
    distance = 1 - (shares + shares.T) / 2
    np.fill_diagonal(distance, 0)
    groups = {i: [i] for i in range(len(counts))}
    joins = linkage(squareform(distance, checks=False), "average")
    for number, (a, b, apart, _) in enumerate(joins, start=len(counts)):
        if apart >= 1:  # these, and all that follow, are never confused
            break
        first, second = sorted((groups.pop(int(a)), groups.pop(int(b))), key=min)
        groups[number] = first + second
    return [i for group in sorted(groups.values(), key=min) for i in group]


def _check_labels(y_true: Labels, y_pred: Labels, classes: Labels | None) -> tuple[list[Any], bool]:
    if len(y_true) != len(y_pred) or len(y_true) == 0:
        raise ValueError(
            "'y_true' and 'y_pred' must hold one label for each of the same cells, at least one "
            f"(got {len(y_true):,} and {len(y_pred):,} labels)."
        )
    found: list[Any] = unique_labels(np.asarray(y_true), np.asarray(y_pred)).tolist()
    if classes is None:
        return found, False
    left_out = [label for label in found if label not in list(classes)]
    if left_out:
        raise ValueError(
            f"'classes' must name every label that occurs (it lacks {left_out[0]!r}"
            + (f" and {len(left_out) - 1} more)." if left_out[1:] else ").")
        )
    return list(classes), True


def _draw_fields(ax: Axes, values: NDArray[Any], top: float, field: float) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    colors = LinearSegmentedColormap.from_list("genegraph", style.PALE_TO_DEEP)
    shown = np.ma.masked_equal(values, 0)
    ax.imshow(shown, cmap=colors.with_extremes(bad=style.EMPTY), vmin=0, vmax=top)
    longest = len(f"{values.max():,.0f}")
    size = min(style.TEXT_SIZE, 72 * field / (0.72 * max(longest, 3)))
    for row, column in zip(*np.nonzero(values), strict=True):
        value = values[row, column]
        text = "<1" if value < 0.5 else f"{value:,.0f}"
        if text == "<1" and field < LARGEST:
            continue  # its colour says so, and the numbers that matter are easier to find
        ink = "white" if value > 0.45 * top else style.INK
        ax.text(column, row, text, ha="center", va="center", color=ink, fontsize=size)


def _name_axes(ax: Axes, labels: list[Any], totals: NDArray[Any]) -> None:
    places = np.arange(len(labels))
    names = [style.plain(label) for label in labels]
    style.tidy(ax, "predicted type", "true type (cells)")
    ax.set_xticks(places, names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(places, [f"{name} ({n:,})" for name, n in zip(names, totals, strict=True)])
    # White gaps set the fields apart; a frame and tick marks would only add ink.
    ax.set_xticks(np.arange(len(labels) + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(labels) + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=2 if len(labels) <= 20 else 1)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
