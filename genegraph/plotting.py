"""Pictures of what a classifier got right and wrong."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix
from sklearn.utils.multiclass import unique_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Labels = Sequence[Any] | NDArray[Any]

# From pale green to deep blue in even steps of the perceptual space OKLab, lightness 0.95 to 0.29.
_COLORS = ["#e3f1ee", "#b8dadd", "#8cc3cb", "#5cacba", "#3a92a8"]
_COLORS += ["#357595", "#305982", "#293d6f", "#22215c"]
_EMPTY, _INK, _MUTED = "#f6f6f8", "#22223a", "#6b6b80"


def plot_confusion(
    y_true: Labels,
    y_pred: Labels,
    classes: Labels | None = None,
    *,
    ax: "Axes | None" = None,
    normalize: bool = True,
) -> "Axes":
    """Shows which cell types are taken for which.

    A row holds the cells of one true type, a column the cells given one predicted type, so the
    diagonal holds the cells labelled right. Fields without cells stay empty.

    Args:
        y_true: True label of every cell.
        y_pred: Predicted label of every cell.
        classes: Labels to show, in this order; by default every label that occurs, sorted.
        ax: Where to draw; by default a new figure, large enough for the labels.
        normalize: Give each field as its share of the row in percent, so that the diagonal is each
            type's recall; otherwise as its number of cells.

    Returns:
        The axes. Save the picture with ``ax.figure.savefig("confusion.png")``; a new figure is
        unknown to pyplot, so nothing needs closing.

    Raises:
        ValueError: If there are no cells, the two lengths differ, or ``classes`` leaves out a label
            that occurs.

    Example:
        >>> ax = plot_confusion(["B cell", "NK", "NK"], ["B cell", "NK", "B cell"])
        >>> ax.get_title(loc="left")
        '66.7% of 3 cells labelled right'
    """
    labels = _check_labels(y_true, y_pred, classes)
    counts = confusion_matrix(np.asarray(y_true), np.asarray(y_pred), labels=labels)
    totals = counts.sum(axis=1)
    values = 100 * counts / np.maximum(totals, 1)[:, None] if normalize else counts
    ax = _new_axes(labels) if ax is None else ax
    _draw_fields(ax, values, 100 if normalize else counts.max())
    _name_axes(ax, labels, totals)
    right = np.trace(counts) / counts.sum()
    unit = "percent of the row's cells" if normalize else "number of cells"
    ax.set_title(f"{right:.1%} of {counts.sum():,} cells labelled right", loc="left", pad=24)
    ax.annotate(unit, (0, 1), (0, 8), "axes fraction", textcoords="offset points", color=_MUTED)
    return ax


def _check_labels(y_true: Labels, y_pred: Labels, classes: Labels | None) -> list[Any]:
    if len(y_true) != len(y_pred) or len(y_true) == 0:
        raise ValueError(
            "'y_true' and 'y_pred' must hold one label for each of the same cells, at least one "
            f"(got {len(y_true):,} and {len(y_pred):,} labels)."
        )
    found: list[Any] = unique_labels(np.asarray(y_true), np.asarray(y_pred)).tolist()
    if classes is None:
        return found
    left_out = [label for label in found if label not in list(classes)]
    if left_out:
        raise ValueError(
            f"'classes' must name every label that occurs (it lacks {left_out[0]!r}"
            + (f" and {len(left_out) - 1} more)." if left_out[1:] else ").")
        )
    return list(classes)


def _new_axes(labels: list[Any]) -> "Axes":
    # A Figure of its own instead of pyplot: no window, no global state, any backend.
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    fields = 0.5 * len(labels)
    names = 0.085 * max(len(str(label)) for label in labels)
    size = (max(fields, 2.0) + names + 1.9, max(fields, 1.0) + 0.75 * names + 1.8)
    layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.15)
    return Figure(figsize=size, dpi=160, layout=layout).add_subplot()


def _draw_fields(ax: "Axes", values: NDArray[Any], top: float) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    colors = LinearSegmentedColormap.from_list("genegraph", _COLORS).with_extremes(bad=_EMPTY)
    ax.imshow(np.ma.masked_equal(values, 0), cmap=colors, vmin=0, vmax=top)
    for row, column in zip(*np.nonzero(values), strict=True):
        value = values[row, column]
        text = "<1" if value < 0.5 else f"{value:,.0f}"
        ink = "white" if value > 0.45 * top else _INK
        ax.text(column, row, text, ha="center", va="center", color=ink, fontsize=9)


def _name_axes(ax: "Axes", labels: list[Any], totals: NDArray[Any]) -> None:
    places = np.arange(len(labels))
    names = [str(label) for label in labels]
    ax.set_xticks(places, names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(places, [f"{name} ({n:,})" for name, n in zip(names, totals, strict=True)])
    ax.set_xlabel("predicted type", color=_MUTED)
    ax.set_ylabel("true type (cells)", color=_MUTED)
    # White gaps set the fields apart; a frame and tick marks would only add ink.
    ax.set_xticks(np.arange(len(labels) + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(labels) + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=2)
    ax.tick_params(which="both", length=0, labelcolor=_INK)
    ax.spines[:].set_visible(False)
