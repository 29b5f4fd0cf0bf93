"""Turns a table of interactions into edges between numbered genes."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

COLUMNS = ("gene_a", "gene_b", "score")
OUTSIDE = "outside the given genes"
ZERO_SCORE = "score of zero"
REPEATED = "pair listed more than once"

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


def check_table(table: pd.DataFrame) -> tuple[NDArray[Any], NDArray[Any], FloatArray]:
    """Takes the two gene columns and the score out of a table, or says what is wrong.

    Args:
        table: Interactions with the columns ``gene_a``, ``gene_b`` and ``score``.

    Raises:
        TypeError: If ``table`` is not a DataFrame.
        ValueError: If it has no rows, lacks a column or holds unusable values.

    Example:
        >>> table = pd.DataFrame({"gene_a": ["A"], "gene_b": ["B"], "score": [0.5]})
        >>> check_table(table)[2]
        array([0.5])
    """
    if not isinstance(table, pd.DataFrame):
        raise TypeError(
            f"'table' must be a DataFrame of interactions (got {type(table).__name__}); "
            "read one with read_stringdb or read_biogrid."
        )
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise ValueError(
            f"'table' must have the columns {', '.join(COLUMNS)} (lacks {', '.join(missing)}; "
            f"has {', '.join(map(str, table.columns[:8])) or 'none'}); rename its columns."
        )
    if table.empty:
        raise ValueError("'table' must hold at least one interaction (got no rows).")
    names = [_gene_column(table[column], column) for column in COLUMNS[:2]]
    return names[0], names[1], _score_column(table["score"])


def match_genes(genes: Sequence[str], known: Sequence[str], where: str) -> int:
    """Counts the genes that are known, and refuses to go on if none is.

    Args:
        genes: Unique genes asked for.
        known: Unique genes of the other side.
        where: What the other side is, for the messages.

    Raises:
        ValueError: If no gene is known.

    Warns:
        UserWarning: If fewer than one in ten are known.

    Example:
        >>> match_genes(["TP53", "MDM2"], ["MDM2", "INS"], "the graph")
        1
    """
    matched = len(set(genes).intersection(known))
    if matched == 0:
        from genegraph.interactions.identifiers import explain_mismatch

        raise ValueError(explain_mismatch(genes, known, label_b=where))
    if matched < 0.1 * len(genes):
        warnings.warn(
            f"Only {matched:,} of the {len(genes):,} given genes are in {where}; "
            "the others have no edges. Check that both use the same kind of names.",
            stacklevel=3,
        )
    return matched


def number_pairs(
    first: NDArray[Any], second: NDArray[Any], score: FloatArray, genes: Sequence[str]
) -> tuple[IntArray, FloatArray, dict[str, int]]:
    """Replaces names by positions in ``genes`` and leaves out what is no edge.

    Args:
        first: Name of one gene of every interaction.
        second: Name of the other.
        score: Score of every interaction; 0 is no edge.
        genes: Unique genes of the graph.

    Shapes:
        - ``first``, ``second``, ``score``: ``(num_interactions,)``
        - output: ``(2, num_kept)``, ``(num_kept,)`` and reason -> number left out.
          Pairs listed again are counted there, but still among the kept ones.

    Example:
        >>> number_pairs(np.array(["A", "X"]), np.array(["B", "A"]), np.ones(2), ["A", "B"])
        (array([[0],
               [1]]), array([1.]), {'outside the given genes': 1})
    """
    index = pd.Index(list(genes), dtype=object)
    pairs = np.stack([index.get_indexer(pd.Index(first)), index.get_indexer(pd.Index(second))])
    inside, zero = (pairs >= 0).all(axis=0), score == 0
    kept = pairs[:, inside & ~zero].astype(np.int64)
    different = np.unique(kept.min(axis=0) * len(genes) + kept.max(axis=0)).size
    left_out = {
        OUTSIDE: int((~inside).sum()),
        ZERO_SCORE: int((inside & zero).sum()),
        REPEATED: kept.shape[1] - different,
    }
    return kept, score[inside & ~zero], {why: n for why, n in left_out.items() if n}


def _gene_column(column: "pd.Series[Any]", name: str) -> NDArray[Any]:
    names = column.to_numpy(dtype=object)
    wrong = [row for row, gene in enumerate(names) if not isinstance(gene, str) or not gene]
    if wrong:
        raise ValueError(
            f"'{name}' must hold gene names as strings (got {names[wrong[0]]!r} in row "
            f"{wrong[0]}, {len(wrong):,} such rows in all); drop or convert these rows."
        )
    return names


def _score_column(column: "pd.Series[Any]") -> FloatArray:
    if not pd.api.types.is_numeric_dtype(column):
        raise ValueError(f"'score' must hold numbers (got {column.dtype}); convert the column.")
    score = column.to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.flatnonzero(~((score >= 0) & (score <= 1)))
    if wrong.size:
        raise ValueError(
            f"'score' must lie between 0 and 1 (got {score[wrong[0]]:g} in row {wrong[0]}, "
            f"{wrong.size:,} such rows in all); rescale it, for example divide STRING's by 1000."
        )
    return score
