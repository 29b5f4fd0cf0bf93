"""The classes to be learned."""

import warnings
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import check_classification_targets

from genegraph.annotation import UNKNOWN
from genegraph.classifier_checks import check_classes
from genegraph.expression import labels_from_obs
from genegraph.inspection.asked import Asked
from genegraph.inspection.findings import Findings
from genegraph.interactions.wording import counted, some_of

if TYPE_CHECKING:
    from anndata import AnnData

NO_TYPES = (
    "nan",
    "na",
    "none",
    "null",
    "unassigned",
    "unlabeled",
    "unlabelled",
    "doublet",
    UNKNOWN,
)
LABEL_WORDS = ("cell_type", "celltype", "cell type", "annotation", "label", "cluster", "leiden")
FEW = 10
"""Fewer cells of a class show little of how well it is told."""


def look_at_labels(asked: Asked, found: Findings) -> dict[str, int] | None:
    """Returns the number of cells of each class, the largest first.

    Args:
        asked: What is looked at.
        found: Where findings go.
    """
    adata, labels = asked.adata, asked.labels
    if adata.n_obs == 0:
        return None
    if labels is None:
        column = likely_column(adata, LABEL_WORDS)
        given = "" if asked.graph is None else ", graph"
        line = "" if column is None else f"genegraph.inspect(adata{given}, labels={column!r})"
        found.add("info", "labels", "no column of adata.obs was named.", line)
        return None
    found.refused("labels", lambda: _mend(asked, labels), lambda: _labels_for_fit(adata, labels))
    if labels not in adata.obs.columns:
        return None
    column = adata.obs[labels].dropna()
    sizes = column[column.astype(str).str.strip() != ""].value_counts()
    sizes = sizes[sizes > 0]  # a categorical may have categories without cells
    if sizes.empty:
        return {}
    classes = {str(name): int(size) for name, size in sizes.items()}
    found.add(
        "info",
        "labels",
        f"{counted(len(classes), 'class', 'classes')}, {sizes.min():,} to {sizes.max():,} cells: "
        f"{some_of(classes)}.",
    )
    _look_at_sizes(sizes, labels, found)
    _look_at_words(list(sizes.index), labels, found)
    return classes


def likely_column(adata: "AnnData", words: Sequence[str], but: str | None = None) -> str | None:
    """The column of ``obs`` that divides the cells, by the first of some words in its name."""
    names = [name for name in adata.obs.columns if isinstance(name, str) and name != but]
    for word in words:
        for name in sorted(names, key=lambda name: (name.lower() != word, len(name))):
            if word in name.lower() and 1 < adata.obs[name].nunique() <= adata.n_obs / 2:
                return name
    return None


def close_column(adata: "AnnData", name: str) -> str | None:
    """The column of ``obs`` whose name is nearest to a misspelt one."""
    close = get_close_matches(name, [str(known) for known in adata.obs.columns], n=1)
    return close[0] if close else None


def whole_line(adata: "AnnData", key: str) -> str:
    """The line that leaves out cells for which a column says nothing; empty if there are none."""
    column, place = adata.obs[key], f"adata.obs[{key!r}]"
    if (column.dropna().astype(str).str.strip() == "").any():
        return f'adata = adata[{place}.notna() & ({place}.astype(str).str.strip() != "")].copy()'
    return f"adata = adata[{place}.notna()].copy()" if column.isna().any() else ""


def _labels_for_fit(adata: "AnnData", key: str) -> Any:
    labels = labels_from_obs(adata, key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of too many classes, told elsewhere
        check_classification_targets(labels)
    check_classes(np.unique(labels))
    return labels


def _mend(asked: Asked, key: str) -> str:
    """The line for labels that ``fit`` refuses."""
    adata = asked.adata
    if key not in adata.obs.columns:
        other = close_column(adata, key) or likely_column(adata, LABEL_WORDS)
        return "" if other is None else asked.fit_line(labels=other)
    if line := whole_line(adata, key):
        return line
    if adata.obs[key].nunique() < 2:
        other = likely_column(adata, LABEL_WORDS, but=key)
        return "" if other is None else asked.fit_line(labels=other)
    return f"adata.obs[{key!r}] = adata.obs[{key!r}].astype(str)"


def _look_at_sizes(sizes: "pd.Series[int]", labels: str, found: Findings) -> None:
    place = f"adata.obs[{labels!r}]"
    single, few = sizes[sizes == 1], sizes[(sizes > 1) & (sizes < FEW)]
    if len(sizes) > 2 and sizes.sum() < 2 * len(sizes):
        found.add(
            "warning",
            "labels",
            f"There is hardly more than one cell to a class ({sizes.sum():,} cells, {len(sizes):,} "
            f"classes): is {labels!r} the column of cell types?",
        )
        return
    for small, least, words in (
        (single, 2, "a single cell, which is never held out: nothing shows how well it is told"),
        (few, FEW, f"fewer than {FEW} cells, too few to show how well they are told"),
    ):
        if len(small):
            found.add(
                "warning",
                "labels",
                f"{counted(len(small), 'class has', 'classes have')} {words}: "
                f"{some_of(small.index)}.",
                f"adata = adata[{place}.map({place}.value_counts()).astype(int) >= {least}].copy()",
            )


def _look_at_words(classes: list[Any], labels: str, found: Findings) -> None:
    place = f"adata.obs[{labels!r}]"
    words = [name for name in classes if isinstance(name, str)]
    odd = [name for name in words if name.strip().lower() in NO_TYPES]
    if odd:
        found.add(
            "warning",
            "labels",
            f"{some_of(odd)} would be learned as a cell type of its own.",
            f"adata = adata[~{place}.isin({odd!r})].copy()",
        )
    times = Counter(map(_folded, words))
    alike = sorted((name for name in words if times[_folded(name)] > 1), key=_folded)
    if alike:
        found.add(
            "warning",
            "labels",
            f"{counted(len(alike), 'class', 'classes')} differ only in case or spaces, and are "
            f"taken for different: {some_of(alike)}.",
            f'{place} = {place}.astype(str).str.split().str.join(" ").str.lower()',
        )


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()
