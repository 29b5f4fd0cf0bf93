"""Groups of cells, over which attention is averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genegraph.explain.subject import Subject, spread

OVERALL = "all"
"""The group of all groups, each of which counts the same."""


class CellGroup(NamedTuple):
    """Some of the cells that were read.

    Attributes:
        key: What a table says of them.
        rows: Their positions among those read.
        weights: What each counts for; they sum to 1.
    """

    key: dict[str, Any]
    rows: NDArray[np.int64]
    weights: NDArray[np.float64]


def cell_groups(
    subject: Subject,
    groupby: str | Sequence[Any] | None,
    cells: Sequence[Any] | None,
    max_cells: int | None,
) -> tuple[NDArray[np.int64], list[CellGroup]]:
    """Returns the positions of the cells to read, and the groups they make.

    Args:
        subject: The cells.
        groupby: See :meth:`~genegraph.explain.subject.Subject.labels`.
        cells: Names of cells that make a group each; None: groups by label, and one of all.
        max_cells: Cells of each label at most.

    Raises:
        ValueError: If a cell is not there.
    """
    labels = subject.labels(groupby)
    if cells is not None:
        return _single(subject, labels, cells)
    names = sorted(pd.unique(labels).tolist())
    parts = [spread(np.flatnonzero(labels == name), max_cells) for name in names]
    rows = np.concatenate(parts)
    groups, first = [], 0
    for name, part in zip(names, parts, strict=True):
        places = np.arange(first, first + len(part))
        groups.append(CellGroup({"class": name}, places, np.full(len(part), 1 / len(part))))
        first += len(part)
    overall = np.concatenate([group.weights for group in groups]) / len(groups)
    return rows, [*groups, CellGroup({"class": OVERALL}, np.arange(len(rows)), overall)]


def _single(
    subject: Subject, labels: NDArray[Any], cells: Sequence[Any]
) -> tuple[NDArray[np.int64], list[CellGroup]]:
    place = {name: i for i, name in enumerate(subject.names.tolist())}
    strange = [cell for cell in cells if cell not in place]
    if strange or len(cells) == 0:
        raise ValueError(
            f"'cells' must name cells that are there, such as {subject.names[0]!r} (got "
            f"{strange[0] if strange else 'none'!r})."
        )
    rows = np.array([place[cell] for cell in cells], dtype=np.int64)
    groups = [
        CellGroup({"class": labels[row], "cell": cell}, np.array([i]), np.ones(1))
        for i, (cell, row) in enumerate(zip(cells, rows, strict=True))
    ]
    return rows, groups
