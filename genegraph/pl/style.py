"""How every picture looks, and how it is handed over."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from genegraph.files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

PathLike = str | os.PathLike[str]

# From pale green to deep blue in even steps of the perceptual space OKLab, lightness 0.95 to 0.29.
PALE_TO_DEEP = ["#e3f1ee", "#b8dadd", "#8cc3cb", "#5cacba", "#3a92a8"]
PALE_TO_DEEP += ["#357595", "#305982", "#293d6f", "#22215c"]
EMPTY, INK, MUTED, RULE = "#f6f6f8", "#22223a", "#6b6b80", "#d9d9e0"
# Two series differ in lightness (0.29 and 0.74), not in hue alone.
FIRST, SECOND = PALE_TO_DEEP[-1], "#fd8358"

TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 12.0, 9.0, 8.0
EN_DASH = "\u2013"
DPI = 160
PAD = 0.15  # inches around everything


def plain(name: Any) -> str:
    r"""Returns a name as text in which a dollar sign is a dollar sign, and no formula begins.

    Example:
        >>> print(plain("T $cell$"))
        T \$cell\$
    """
    return str(name).replace("$", r"\$")


def new_axes(width: float, height: float) -> Axes:
    """Returns axes on a Figure of its own: no window, no global state, any backend.

    Args:
        width: Of the whole picture, in inches.
        height: Likewise.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=PAD, h_pad=PAD)
    return Figure(figsize=(width, height), dpi=DPI, layout=layout).add_subplot()


def tidy(ax: Axes, xlabel: str = "", ylabel: str = "") -> None:
    """Leaves the axes with two thin spines and quiet names."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(RULE)
    ax.tick_params(length=0, labelcolor=INK, labelsize=TEXT_SIZE)
    ax.set_xlabel(xlabel, color=MUTED)
    ax.set_ylabel(ylabel, color=MUTED)


def bare(ax: Axes) -> None:
    """Leaves the axes without ticks and spines, where places mean nothing by themselves."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


def side_legend(ax: Axes, handles: Sequence[Any], *, own: bool, spacing: float = 0.5) -> None:
    """Puts the legend to the right of the axes, and widens a figure of our own by as much."""
    columns = -(-len(handles) // 30)
    legend = ax.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1.02, 1),
        borderaxespad=0,
        frameon=False,
        ncols=columns,
        fontsize=SMALL_SIZE,
        labelspacing=spacing,
        handletextpad=0.5 + spacing / 2,
        labelcolor=INK,
    )
    if own:
        figure = root(ax)
        needed = legend.get_window_extent()
        width, height = figure.get_size_inches()
        tall = needed.height / figure.dpi + 0.9
        figure.set_size_inches(width + needed.width / figure.dpi + 0.1, max(height, tall))


def headline(ax: Axes, finding: str, detail: str = "", *, own: bool) -> None:
    """Writes what the picture shows above it, wrapped to the room there is.

    Call it after everything that takes room is drawn: a figure of our own grows by the lines.

    Args:
        ax: The axes.
        finding: What was found, a sentence.
        detail: What the finding is of, or the unit; smaller.
        own: Whether the figure is our own; then the title may reach to its right edge.
    """
    figure = root(ax)
    figure.draw_without_rendering()
    inches = 1 / figure.dpi
    left, right = ax.get_window_extent().x0, ax.get_window_extent().x1
    if own:
        right = figure.bbox.x1 - PAD * figure.dpi
    above = 0.1
    if detail:
        place = (0, 72 * above)
        small = ax.annotate(detail, (0, 1), place, "axes fraction", textcoords="offset points")
        small.set(color=MUTED, fontsize=SMALL_SIZE, va="bottom")
        wrap(small, detail, right - left)
        above += small.get_window_extent().height * inches + 0.05
    title = ax.set_title(finding, loc="left", pad=72 * above)
    title.set(color=INK, fontsize=TITLE_SIZE, va="bottom")
    wrap(title, finding, right - left)
    if own:
        width, height = figure.get_size_inches()
        figure.set_size_inches(width, height + above + title.get_window_extent().height * inches)
    figure.draw_without_rendering()


def wrap(text: Text, words: str, room: float) -> None:
    """Breaks a text into lines no wider than the room, in pixels, where it has spaces."""
    lines: list[str] = []
    for word in words.split():
        longer = f"{lines[-1]} {word}" if lines else word
        text.set_text(longer)
        if lines and text.get_window_extent().width <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    text.set_text("\n".join(lines))


def root(ax: Axes) -> Figure:
    """Returns the figure that the axes are on."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def hand_over(ax: Axes, own: bool, show: bool | None, save: PathLike | None) -> Axes:
    """Saves and shows the picture where that is asked for, and returns its axes.

    Args:
        ax: The axes.
        own: Whether the figure is our own.
        show: True: now, in the notebook or a window.  None: only a picture of its own in a
            notebook, as the value of a cell would be.
        save: A file, whose ending says which kind.
    """
    figure = root(ax)
    if save is not None:
        with whole_file(save) as draft:
            figure.savefig(draft)
    if show is None:
        show = own and save is None and _in_notebook()
    if show and _in_notebook():
        _display(figure)
    elif show:
        from matplotlib import pyplot

        pyplot.figure(figure)
        pyplot.show()
    return ax


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def _display(figure: Figure) -> None:
    from io import BytesIO

    from IPython.display import Image, display  # type: ignore[import-not-found]

    content = BytesIO()
    figure.savefig(content, format="png")
    width = round(100 * figure.get_size_inches()[0])
    display(Image(data=content.getvalue(), format="png", width=width))
