"""What the values are, by the recognisers that ``fit`` uses, and what stands in the way."""

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genegraph.expression import resolve_values
from genegraph.expression_matrix import AnyMatrix, blocks, stored
from genegraph.expression_values import Kind, Summary, check_values, summarise
from genegraph.inspection.asked import Asked
from genegraph.inspection.cell_reads import check_depth, look_at_reads, shows_reads
from genegraph.inspection.findings import Findings
from genegraph.inspection.other_values import other_values
from genegraph.interactions.wording import some_of


class SeenValues(NamedTuple):
    """What ``fit`` takes the values for; None where it refuses them."""

    kind: Kind | None = None
    target_sum: float | None = None


def look_at_values(asked: Asked, X: AnyMatrix | None, found: Findings) -> SeenValues:
    """Returns what the values are.

    Args:
        asked: What is looked at.
        X: The matrix as ``fit`` reads it; None if it cannot.
        found: Where findings go.
    """
    if X is None:
        return SeenValues()
    named = (list(asked.adata.obs_names), list(asked.adata.var_names))
    summary = found.refused(
        "values", lambda: _without_infinite(asked, X), lambda: summarise(X, asked.place, *named)
    )
    if summary is None:
        return SeenValues()
    kind = found.refused("values", lambda: _say_what(asked, X, summary), lambda: _settle(asked, X))
    if kind is None:
        return SeenValues()
    target_sum = None
    extent = f"{summary.lowest:.4g} to {summary.highest:.4g}"
    if kind == "features":
        found.add("info", "values", f"features, {extent}; taken as they are.")
    elif kind == "counts":
        reads = np.median(summary.sums)
        found.add("info", "values", f"raw counts, {extent}, {reads:,.0f} reads a cell (median).")
        check_depth(asked, X, found)
    else:
        target_sum = look_at_reads(asked, X, extent, found)
    _look_for_empty_cells(asked, summary, found)
    return SeenValues(kind, target_sum)


def gene_reads(X: AnyMatrix | None, seen: SeenValues) -> NDArray[np.float64] | None:
    """Returns the reads of each gene over all cells, up to a factor; None of features."""
    if X is None or seen.kind in (None, "features"):
        return None
    sums = np.zeros(X.shape[1])
    for _, part in blocks(X):
        if seen.kind == "log1p":
            part = np.expm1(part) if isinstance(part, np.ndarray) else part.expm1()
        sums += np.asarray(part.sum(axis=0, dtype=np.float64)).ravel()
    return sums


def _settle(asked: Asked, X: AnyMatrix) -> Kind:
    kind = resolve_values(X, asked.values, source=asked.place)
    if asked.values != "auto":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of empty cells, told elsewhere by name
            check_values(X, kind, nonnegative=asked.graph is not None, source=asked.place)
    return kind


def _look_for_empty_cells(asked: Asked, summary: Summary, found: Findings) -> None:
    if summary.lowest < 0 or summary.sums.all():
        return
    empty = np.flatnonzero(summary.sums == 0)
    found.add(
        "warning",
        "values",
        f"{len(empty):,} of {len(summary.sums):,} cells hold nothing but zeros and cannot be told "
        f"apart: {some_of(asked.adata.obs_names[empty])}.",
        f"import numpy as np; {asked.loaded}"
        f"adata = adata[np.asarray({asked.place}.sum(axis=1)).ravel() > 0].copy()",
    )


def _without_infinite(asked: Asked, X: AnyMatrix) -> str:
    """The line that leaves out what is not finite: genes or cells, whichever loses less."""
    genes, cells = np.zeros(X.shape[1], dtype=bool), np.zeros(X.shape[0], dtype=bool)
    for rows, part in blocks(X):
        wrong = part.astype(np.float32)
        stored(wrong)[:] = ~np.isfinite(stored(part))
        genes |= np.asarray(wrong.sum(axis=0)).ravel() > 0
        cells[rows] = np.asarray(wrong.sum(axis=1)).ravel() > 0
    axis, before = (0, ":, ") if genes.mean() <= cells.mean() else (1, "")
    keep = f"np.isfinite(np.asarray({asked.place}.sum(axis={axis})).ravel())"
    return f"import numpy as np; {asked.loaded}adata = adata[{before}{keep}].copy()"


def _say_what(asked: Asked, X: AnyMatrix, summary: Summary) -> str:
    """The line for values that are not of the kind that was said, or of none that is known."""
    for kind in ("counts", "log1p"):
        place, line = other_values(asked, kind)
        if place and (kind == "counts" or summary.lowest < 0):
            return line
    if summary.lowest < 0:
        return asked.model_line(values="features", graph=None)
    if asked.values != "auto" and _is(X, "auto", asked):
        return asked.model_line(values="auto")
    if _is(X, "log1p", asked) and shows_reads(X):
        return asked.model_line(values="log1p")
    sums = summary.sums[summary.sums > 0]
    if len(sums) and np.ptp(sums) <= 0.01 * sums.max():  # normalised, and no logarithm taken
        return f"import numpy as np; {asked.loaded}{asked.place} = np.log1p({asked.place})"
    return asked.model_line(values="features")


def _is(X: AnyMatrix, values: str, asked: Asked) -> bool:
    try:
        check_values(X, resolve_values(X, values), source=asked.place)
    except ValueError:
        return False
    return True
