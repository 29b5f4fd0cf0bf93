"""The reads behind the values, as far as they can be had."""

import numpy as np
from numpy.typing import NDArray

from genegraph.expression import number_from_obs
from genegraph.expression_counts import CountedCells, count_cells
from genegraph.expression_matrix import AnyMatrix, take_rows
from genegraph.expression_values import Kind
from genegraph.inspection.asked import Asked
from genegraph.inspection.findings import Findings
from genegraph.inspection.other_values import depth_column, other_values

RUNS, RUN = 20, 100
"""Reads are looked for behind the logarithms of so many runs of so many cells, spread over all: on
disk, cells that lie apart cost a seek each."""


def look_at_reads(asked: Asked, X: AnyMatrix, extent: str, found: Findings) -> float | None:
    """Says whether log1p values show the reads behind them; returns what they were normalised to.

    Args:
        asked: What is looked at.
        X: The matrix.
        extent: Smallest and largest value, in words.
        found: Where findings go.
    """
    rows = _some_rows(X)
    counted = found.refused(
        "depth", lambda: _depth_line(asked), lambda: _count(asked, X, "log1p", rows)
    )
    place, line = other_values(asked, "counts")
    if isinstance(counted, np.ndarray):
        found.add(
            "warning",
            "values",
            f"{len(counted):,} of {len(rows):,} cells looked at do not show how many reads they "
            "have, so fit would not use the graph before the logarithm. Pass raw counts, or name "
            "the column of adata.obs that holds each cell's total count: depth='total_counts'.",
            line or _depth_line(asked),
        )
    elif place:
        found.add("info", "values", f"{place} holds raw counts.", line)
    if not isinstance(counted, CountedCells):
        found.add("info", "values", f"log1p of normalised counts, {extent}.")
        return None
    reads = np.median(counted.depth)
    found.add(
        "info",
        "values",
        f"log1p of counts normalised to {counted.target_sum:,.6g} a cell, {extent}; they show "
        f"{reads:,.0f} reads a cell (median).",
    )
    return counted.target_sum


def check_depth(asked: Asked, X: AnyMatrix, found: Findings) -> None:
    """Notes where the depth that was named does not fit the counts."""
    if asked.depth is not None:
        rows = np.arange(X.shape[0])
        found.refused("depth", lambda: _depth_line(asked), lambda: _count(asked, X, "counts", rows))


def shows_reads(X: AnyMatrix) -> bool:
    """Whether the values are logarithms of counts, each cell's of one step."""
    return isinstance(count_cells(take_rows(X, _some_rows(X)), "log1p"), CountedCells)


def _count(
    asked: Asked, X: AnyMatrix, kind: Kind, rows: NDArray[np.int64]
) -> CountedCells | NDArray[np.int64]:
    depth = None if asked.depth is None else number_from_obs(asked.adata, asked.depth)[rows]
    return count_cells(X if kind == "counts" else take_rows(X, rows), kind, depth)


def _depth_line(asked: Asked) -> str:
    column = depth_column(asked.adata)
    return "" if column in (None, asked.depth) else asked.model_line(depth=column)


def _some_rows(X: AnyMatrix) -> NDArray[np.int64]:
    starts = np.linspace(0, max(0, X.shape[0] - RUN), RUNS).astype(np.int64)
    rows: NDArray[np.int64] = np.unique(starts[:, None] + np.arange(RUN))
    return rows[: np.searchsorted(rows, X.shape[0])]
