"""How Sphinx makes the site: ``sphinx-build -W -n docs site``, with ``genegraph[docs]`` installed.

Pages are Markdown (MyST); the reference comes from the docstrings. Nothing is run here and nothing
is fetched: ``tests/test_docs.py`` runs the code of every page.
"""

import re
from typing import Any

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
    ("py:.*", r"genegraph\.explain.*"),
    ("py:class", r"(dict|tuple)\[str"),  # one type, cut at its comma
    ("py:class", r"Labels|Target|style\.PathLike"),  # names that modules give to types
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


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _name_footnotes)
