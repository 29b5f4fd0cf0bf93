"""How Sphinx makes the site: ``sphinx-build -W -n docs site``, with ``genegraph[docs]`` installed.

Pages are Markdown (MyST); the reference comes from the docstrings. Nothing is run here and nothing
is fetched: ``tests/test_docs.py`` runs the code of every page.
"""

import argparse
import os
import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive

from genegraph.cli import make_parser
from genegraph.version import __version__

project = "genegraph"
author = copyright = "genegraph developers"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

html_theme = "sphinx_book_theme"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"genegraph {__version__}"
html_theme_options = {"home_page_in_toc": True, "navbar_persistent": []}

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_inherit_docstrings = False  # what torch says of ``forward`` is no news
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # else every attribute of a dataclass is described twice
napoleon_use_rtype = False
napoleon_custom_sections = ["Shapes"]

# Names of other projects are not looked up, as the build needs no network.
_OTHERS = "numpy|np|pandas|pd|torch|torch_geometric|anndata|networkx|nx|sklearn|matplotlib|scipy"
nitpick_ignore_regex = [
    ("py:class", r"(dict|tuple)\[str"),  # one type, cut at its comma
    ("py:class", r"Key|Labels|Target|style\.PathLike"),  # names that modules give to types
    ("py:.*", rf"({_OTHERS})\..*"),
    ("py:.*", r"(AnnData|Axes|Data|EdgeIndex|Figure|Tensor|NDArray|Linear|MessagePassing)"),
    ("py:.*", r"(optional|collections\.abc\..*|os\.PathLike.*|pathlib\..*|typing\..*)"),
]


def _name_footnotes(
    app: Any, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Makes a docstring's footnotes its own: several docstrings make one page."""
    own = name.rpartition(".")[2].lower()
    lines[:] = [re.sub(r"\[(\d+)\](_|(?= \w))", rf"[#{own}-\1]\2", line) for line in lines]


def _keep_underscores(
    app: Any, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Keeps ``classes_`` from being read as a link to *classes*."""
    lines[:] = [re.sub(r"^(\s*:ivar \w+)_:", r"\1\_:", line) for line in lines]


def _skip_fields(
    app: Any, what: str, name: str, obj: object, skip: bool, options: object
) -> bool | None:
    """Leaves out what namedtuple says of its fields: the class describes them."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field") else None


class CommandHelp(Directive):
    """Writes what ``--help`` says of every command."""

    def run(self) -> list[nodes.Node]:
        """Called by docutils."""
        os.environ["COLUMNS"] = "86"  # else as wide as the terminal of the build
        found: list[nodes.Node] = []
        for parser in _leaves(make_parser()):
            title = nodes.title(text=parser.prog)
            text = parser.format_help()
            section = nodes.section("", title, nodes.literal_block(text, text, language="none"))
            section["ids"].append(nodes.make_id(parser.prog))
            found.append(section)
        return found


def _leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    parts = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not parts:
        yield parser
    for part in parts:
        for command in part.choices.values():
            yield from _leaves(command)


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.add_directive("command-help", CommandHelp)
    app.connect("autodoc-process-docstring", _name_footnotes)
    app.connect("autodoc-process-docstring", _keep_underscores, priority=900)  # after napoleon
    app.connect("autodoc-skip-member", _skip_fields)
