"""Pictures, in scanpy's manner: each takes ``ax``, ``show`` and ``save``, and returns its axes.

They are legible in greyscale and to colour-blind readers: what colour says, lightness, a dash or a
marker says too.  Names never cover each other.  A new picture is a ``matplotlib.figure.Figure`` of
its own, unknown to pyplot: ``ax.figure.savefig("picture.pdf")``.
"""

from genegraph.pl._attention import attention
from genegraph.pl._confusion import confusion
from genegraph.pl._coverage import coverage
from genegraph.pl._degrees import degrees
from genegraph.pl._graph_coverage import graph_coverage
from genegraph.pl._history import history
from genegraph.pl._reliability import reliability
from genegraph.pl._subnetwork import subnetwork
from genegraph.pl._umap import umap

__all__ = [
    "attention",
    "confusion",
    "coverage",
    "degrees",
    "graph_coverage",
    "history",
    "reliability",
    "subnetwork",
    "umap",
]
