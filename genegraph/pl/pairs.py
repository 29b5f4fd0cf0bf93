"""Tables of explanations, as pictures read them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from genegraph.pl.style import EN_DASH, plain


class Pairs(NamedTuple):
    """Pairs of genes, each once.

    Attributes:
        table: Columns ``a``, ``b``, ``value``, ``prior_weight``, ``in_prior`` and ``ignored``
            (see :func:`read_pairs`); the largest values first, whatever their sign unless they are
            specific.
        value: What ``value`` is: ``"importance"``, ``"specific importance"`` or ``"attention"``.
        directed: Whether ``a`` is a source and ``b`` a target.
    """

    table: pd.DataFrame
    value: str
    directed: bool


def read_pairs(table: pd.DataFrame, label: object = None) -> Pairs:
    """Reads a table of :mod:`genegraph.explain`, whichever it is.

    Args:
        table: Columns ``gene_a`` and ``gene_b``, or ``source`` and ``target``; ``importance`` or
            ``attention``; ``prior_weight`` and ``in_prior``; possibly ``class``, ``specific`` and
            ``in_top_k``.  A pair of the prior counts as ignored if it is not in the top k; without
            that column, if its value is below the median.
        label: Only the rows of this class, by what they say of it alone (``specific``) where the
            table has that; None: of each pair the class in which it is strongest.

    Raises:
        TypeError: If it is no DataFrame.
        ValueError: If a column is missing, there are no rows, a value is not finite, or there is
            no such class.

    Example:
        >>> rows = {"gene_a": ["A"], "gene_b": ["B"], "importance": [0.5]}
        >>> pairs = read_pairs(pd.DataFrame({**rows, "prior_weight": [0.9], "in_prior": [True]}))
        >>> pairs.value, pairs.directed
        ('importance', False)
    """
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"'table' must be a DataFrame (got {type(table).__name__}).")
    directed = "source" in table
    ends = ("source", "target") if directed else ("gene_a", "gene_b")
    value = "attention" if "attention" in table else "importance"
    needed = [*ends, value, "prior_weight", "in_prior"]
    missing = [name for name in needed if name not in table]
    if missing:
        raise ValueError(
            f"'table' must have the columns {', '.join(needed)} (it lacks {', '.join(missing)}); "
            "genegraph.explain.edge_importance and genegraph.explain.attention give such tables."
        )
    rows = table if label is None else table[_is_class(table, label)]
    specific = label is not None and "specific" in table
    if specific:
        rows = rows.assign(importance=rows["specific"])
    if rows.empty:
        raise ValueError("'table' must have at least one row (got none).")
    numbers = rows[[value, "prior_weight"]].to_numpy(dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{value!r} and 'prior_weight' must be finite (got NaN or infinity).")
    names = {ends[0]: "a", ends[1]: "b", value: "value"}
    flags = ["in_prior", *(["in_top_k"] if "in_top_k" in rows else [])]
    kept = [*needed, *flags[1:]]
    pairs = rows[kept].rename(columns=names).astype(dict.fromkeys(flags, bool))
    if not directed:  # A and B are B and A
        swap = pairs["a"] > pairs["b"]
        pairs.loc[swap, ["a", "b"]] = pairs.loc[swap, ["b", "a"]].to_numpy()
    size = pairs["value"] if specific else pairs["value"].abs()  # what speaks against it is last
    order = size.sort_values(ascending=False, kind="stable").index
    pairs = pairs.loc[order].drop_duplicates(["a", "b"]).reset_index(drop=True)
    low = ~pairs["in_top_k"] if "in_top_k" in pairs else pairs["value"] < pairs["value"].median()
    pairs["ignored"] = pairs["in_prior"] & low
    return Pairs(pairs, "specific importance" if specific else value, directed)


def pair_names(directed: bool, pairs: pd.DataFrame) -> list[str]:
    """Returns what to call each pair of a :class:`Pairs` table."""
    between = " → " if directed else EN_DASH
    return [f"{plain(a)}{between}{plain(b)}" for a, b in zip(pairs["a"], pairs["b"], strict=True)]


def _is_class(table: pd.DataFrame, label: object) -> pd.Series[bool]:
    classes = list(pd.unique(table["class"])) if "class" in table else []
    if label not in classes:
        raise ValueError(
            f"'table' has no class {label!r} (it has {classes[:10]}"
            + (f" and {len(classes) - 10} more)." if classes[10:] else ").")
        )
    return table["class"] == label
