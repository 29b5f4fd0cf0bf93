"""HTML from Python values; whatever is not marked as HTML is escaped."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_NARROW, _SHRUNK = 300, 0.7  # pixels that any screen has; how small letters can still be read


class Html(str):
    """Text that is HTML already, and only that is not escaped again."""

    __slots__ = ()


def html(value: Any) -> Html:
    """Returns a value as HTML: as it is if it is HTML already, else its text, escaped.

    Example:
        >>> html("<script>alert(1)</script>")
        '&lt;script&gt;alert(1)&lt;/script&gt;'
    """
    return value if isinstance(value, Html) else Html(escape(str(value)))


def joined(parts: Iterable[Any]) -> Html:
    """Returns parts one after the other."""
    return Html("\n".join(html(part) for part in parts))


def paragraph(*parts: Any) -> Html:
    """Returns a paragraph; parts are separated by a space."""
    return Html(f"<p>{' '.join(html(part) for part in parts)}</p>")


def code(text: str) -> Html:
    """Returns lines of code."""
    return Html(f"<pre><code>{escape(text)}</code></pre>")


def link(address: str, text: Any) -> Html:
    """Returns a link that tells the other side nothing of where it came from."""
    return Html(f'<a href="{escape(address)}" rel="noreferrer">{html(text)}</a>')


def section(name: str, title: str, *parts: Any) -> Html:
    """Returns a section with a heading; empty parts are left out.

    Args:
        name: Its anchor.
        title: Its heading.
        parts: What is in it.
    """
    inside = joined(part for part in parts if part)
    heading = f'<h2 id="{escape(name)}-title">{html(title)}</h2>'
    return Html(
        f'<section id="{escape(name)}" aria-labelledby="{escape(name)}-title">\n{heading}\n'
        f"{inside}\n</section>"
    )


def definitions(values: Mapping[str, Any]) -> Html:
    """Returns names with their values; None is left out."""
    rows = [
        f"<div><dt>{html(name)}</dt><dd>{html(value)}</dd></div>"
        for name, value in values.items()
        if value is not None
    ]
    return Html("<dl>\n" + "\n".join(rows) + "\n</dl>")


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], caption: str) -> Html:
    """Returns a table that scrolls by itself where the page is too narrow for it.

    The first cell of a row is its heading; numbers are aligned to the right.

    Args:
        columns: Names of the columns.
        rows: The cells of each row.
        caption: What the table says.
    """
    head = "".join(f'<th scope="col">{html(name)}</th>' for name in columns)
    body = []
    for first, *others in rows:
        cells = "".join(_cell(value) for value in others)
        body.append(f'<tr><th scope="row">{html(first)}</th>{cells}</tr>')
    return Html(
        f"<figure><figcaption>{escape(caption)}</figcaption>\n{_wide(caption)}<table>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n" + "\n".join(body) + "\n</tbody></table></div>"
        "</figure>"
    )


def picture(ax: Axes, caption: str) -> Html:
    """Returns a picture inside the page, described by its own title.

    On a narrow screen it shrinks to what can still be read, and scrolls by itself from there.

    Args:
        ax: What a function of :mod:`genegraph.pl` returned.
        caption: What is to be said below it.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    content = BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    shown = " ".join(ax.get_title(loc="left").replace(r"\$", "$").split())
    width = round(96 * figure.get_size_inches()[0])
    data = base64.b64encode(content.getvalue()).decode()
    readable = min(width, max(_NARROW, round(_SHRUNK * width)))
    sizes = f"--natural:{width}px;min-width:{readable}px"
    return Html(
        f'<figure>{_wide(shown)}<img alt="{escape(shown)}" width="{width}" style="{sizes}" '
        f'src="data:image/png;base64,{data}"></div>\n'
        f"<figcaption>{html(caption)}</figcaption></figure>"
    )


def _wide(label: str) -> str:
    """Begins what scrolls by itself; with the keyboard too."""
    return f'<div class="wide" role="region" aria-label="{escape(label)}" tabindex="0">'


def _cell(value: Any) -> str:
    kind = ' class="number"' if isinstance(value, int | float) else ""
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value
    return f"<td{kind}>{html(text)}</td>"
