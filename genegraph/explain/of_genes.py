"""Which genes speak for a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from genegraph.explain.gradients import integrated_gradients
from genegraph.explain.subject import Subject

if TYPE_CHECKING:
    from genegraph.classifier import GeneGCNClassifier

BASELINES = ("mean", "zero")


def gene_importance(
    model: GeneGCNClassifier,
    adata: Any,
    *,
    groupby: str | Sequence[Any] | None = None,
    classes: Sequence[Any] | None = None,
    baseline: str = "mean",
    steps: int = 32,
    max_cells: int | None = 200,
) -> pd.DataFrame:
    r"""Says what each gene's expression adds to the margin of a class, in the cells of the class.

    Integrated gradients of the margin (see :class:`~genegraph.explain.subject.Subject`) from a
    baseline to the cell, in log-normalised expression, averaged over the cells.  The cell's
    depth stays as it is.  All genes' importance sums to how far the class's mean margin in its
    cells lies above that at the baseline: a table knows how nearly, in
    ``attrs["completeness_gap"]``; more ``steps`` close the gap.

    Args:
        model: A fitted classifier.
        adata: Cells, as its ``predict`` takes them.
        groupby: Which cells are of which class: a column of ``obs`` or a label per cell; None:
            what the model says.
        classes: The classes wanted; None: all that have cells.
        baseline: ``"mean"``, the mean expression of all these cells: what is high or low where
            others are not; ``"zero"``, no expression at all.
        steps: Points of the integral.
        max_cells: Cells of each class at most, evenly spread; None: all.

    Returns:
        One row per class and gene, ``class``, ``gene``, ``importance``, ``expression`` (mean
        log-normalised expression in these cells) and ``baseline``; by class, from most to least
        important.  ``attrs`` say how it was made.

    Raises:
        ImportError: If captum (extra ``explain``) is not installed.
        ValueError: If ``baseline`` is unknown, or there are no cells of a class.

    Example:
        >>> import numpy as np
        >>> from genegraph import GeneGCNClassifier
        >>> X, y = np.array([[9.0, 0.0], [0.0, 9.0]] * 20), ["T", "B"] * 20
        >>> model = GeneGCNClassifier(hidden_channels=(8,), random_state=0, verbose=False)
        >>> table = gene_importance(model.fit(X, y), X, classes=["T"])
        >>> sorted(table["gene"]), bool((table["importance"] > 0).all())
        (['0', '1'], True)
    """
    subject = Subject(model, adata)
    base = baseline_expression(subject, baseline)
    rows = subject.cells_by_class(groupby, classes, max_cells)
    tables, gap = [], 0.0
    for label, of_class in rows.items():
        target = model.classes_.tolist().index(label)
        found, mean, missed = _of_genes(subject, of_class, base, target, steps)
        gap = max(gap, missed)
        table = pd.DataFrame(
            {
                "class": label,
                "gene": subject.genes,
                "importance": found.cpu().numpy(),
                "expression": mean.cpu().numpy(),
                "baseline": base.cpu().numpy(),
            }
        )
        tables.append(table.sort_values("importance", ascending=False, kind="stable"))
    out = pd.concat(tables, ignore_index=True)
    out.attrs = {
        "output": "margin",
        "method": "integrated gradients",
        "baseline": f"{baseline} expression",
        "steps": steps,
        "cells": {str(label): len(of_class) for label, of_class in rows.items()},
        "completeness_gap": gap,
    }
    return out


def baseline_expression(subject: Subject, baseline: str) -> Tensor:
    """Returns the expression of each gene that importance is measured from, ``[num_genes]``."""
    if baseline not in BASELINES:
        raise ValueError(f"'baseline' must be one of {BASELINES} (got {baseline!r}).")
    mean = subject.mean_expression()
    return mean if baseline == "mean" else torch.zeros_like(mean)


def _of_genes(
    subject: Subject, rows: NDArray[np.int64], base: Tensor, target: int, steps: int
) -> tuple[Tensor, Tensor, float]:
    """Returns mean importance and expression of each gene, and by how much the sum misses."""
    total, expression = torch.zeros_like(base), torch.zeros_like(base)
    gap = 0.0

    def margin(x: Tensor, depth: Tensor | None) -> Tensor:
        return subject.margins(x, depth)[:, target]

    for x, depth in subject.batches(rows):
        baseline = base.expand_as(x)
        found = integrated_gradients(margin, x, baseline, steps, (depth,))
        with torch.no_grad():
            gained = margin(x, depth) - margin(baseline, depth)
        gap += float((found.sum(1) - gained).sum())
        total += found.sum(0)
        expression += x.sum(0)
    return total / len(rows), expression / len(rows), abs(gap) / len(rows)
