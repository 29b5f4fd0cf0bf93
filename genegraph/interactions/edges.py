"""Reads a user's own table of interactions."""

import os
from typing import Any

import numpy as np
import pandas as pd

from genegraph.interactions.edge_columns import EdgeColumns, choose_columns, read_table
from genegraph.interactions.identifiers import describe_identifiers
from genegraph.interactions.pairs import Floats, collapse, pair_table, rank_names
from genegraph.interactions.provenance import Provenance
from genegraph.interactions.text_files import checked_path, sha256_of
from genegraph.interactions.wording import counted


def read_edges(
    path_or_frame: str | os.PathLike[str] | pd.DataFrame,
    *,
    gene_a: str | None = None,
    gene_b: str | None = None,
    score: str | None = None,
    max_score: float | None = None,
    sep: str | None = None,
) -> pd.DataFrame:
    """Reads gene interactions from your own table, one row per undirected pair.

    Columns are chosen by name and position, never by their values: the genes are the columns
    ``gene_a`` and ``gene_b`` where the table has both, else its first two; the score is the
    column ``score``, else ``weight``, else every pair scores 1.  The first line of a file is its
    header.

    A gene paired with itself is dropped, and a pair listed more than once, in either direction,
    is kept once with its largest score; both are counted in ``attrs``.

    Args:
        path_or_frame: A DataFrame, or the path of a delimited text file, plain or gzip.
        gene_a: Column of one gene; give ``gene_b`` too.
        gene_b: Column of the other gene.
        score: Column of the score, which must be 0 or more.
        max_score: The score that stands for certainty; scores are divided by it.  None expects
            scores in 0..1.  Pass 1000 for STRING's scale.
        sep: What separates the columns of a file.  None looks at the header: a tab if there is
            one, else a comma, else a semicolon, else a space.

    Returns:
        A table with the columns ``gene_a``, ``gene_b`` (``gene_a < gene_b``) and ``score`` in
        0..1, sorted by pair.  ``attrs`` says where it came from and what was left out.

    Raises:
        KeyError: If a named column is not in the table.
        ValueError: If a gene is missing, if a score is missing, negative, not finite or above
            ``max_score``, if a line has another number of columns than the header, or if no
            interaction is left.
        TypeError: If the genes are neither text nor whole numbers.
        FileNotFoundError: If the file is not there.

    Example:
        >>> frame = pd.DataFrame(
        ...     {"from": ["TP53", "MDM2", "CD3D"], "to": ["MDM2", "TP53", "CD3E"],
        ...      "weight": [0.7, 0.9, 0.5]}
        ... )
        >>> read_edges(frame)
          gene_a gene_b  score
        0   CD3D   CD3E    0.5
        1   MDM2   TP53    0.9
    """
    origin = Provenance("user table")
    if isinstance(path_or_frame, pd.DataFrame):
        if sep is not None:
            raise ValueError("'sep' is for files; leave it out when passing a DataFrame.")
        frame = path_or_frame
    else:
        path = checked_path(path_or_frame)
        frame = read_table(path, sep)
        origin.file, origin.sha256 = path.name, sha256_of(path)
    columns = choose_columns(frame, gene_a, gene_b, score)
    origin.filters = {
        "score": None if columns.score is None else str(columns.score),
        "max_score": None if max_score is None else float(max_score),
    }
    return _build_table(frame, columns, max_score, origin)


def _build_table(
    frame: pd.DataFrame, columns: EdgeColumns, max_score: float | None, origin: Provenance
) -> pd.DataFrame:
    ends = [_gene_names(frame, column, origin) for column in (columns.gene_a, columns.gene_b)]
    values = _scores(frame, columns.score, max_score, origin)
    genes, rank = rank_names([*ends[0], *ends[1]])
    a, b = rank[: len(frame)], rank[len(frame) :]
    different = a != b
    origin.rows_read = len(frame)
    origin.drop("gene paired with itself", int(np.count_nonzero(~different)))
    pairs = collapse(a[different], b[different], {"score": values[different]}, len(genes))
    if pairs.num_repeated:
        origin.notes.append(
            f"{counted(pairs.num_repeated, 'row')} repeated a pair; the largest score was kept "
            f"({counted(pairs.num_disagreeing, 'pair')} had more than one score)."
        )
    origin.identifiers = describe_identifiers(genes).kind if genes else "symbol"
    return origin.attach(pair_table(pairs, genes))


def _gene_names(frame: pd.DataFrame, column: str, origin: Provenance) -> list[str]:
    values: list[Any] = frame[column].tolist()
    missing = [row for row, value in enumerate(values) if _is_missing(value)]
    if missing:
        raise ValueError(
            f"{_place(origin, missing[0])}: {column!r} must name a gene (got nothing), and so in "
            f"{counted(len(missing), 'row')}; remove these rows or name the genes."
        )
    odd = next((v for v in values if isinstance(v, bool) or not isinstance(v, (str, int))), None)
    if odd is not None:
        raise TypeError(
            f"{column!r} must hold gene names (got {odd!r} of type {type(odd).__name__}); "
            "say which columns hold the genes with gene_a= and gene_b=."
        )
    return [str(value).strip() for value in values]


def _is_missing(value: Any) -> bool:
    # NaN is the one value that differs from itself.
    return value is None or value is pd.NA or value != value or not str(value).strip()


def _scores(
    frame: pd.DataFrame, column: str | None, max_score: float | None, origin: Provenance
) -> Floats:
    if max_score is not None and not 0 < max_score < np.inf:
        raise ValueError(f"'max_score' must be a positive number (got {max_score}).")
    if column is None:
        if max_score is not None:
            raise ValueError("'max_score' was given, but the table has no score; name its column.")
        return np.ones(len(frame))
    values = pd.to_numeric(frame[column], errors="coerce").to_numpy(
        dtype=np.float64, na_value=np.nan
    )
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if len(bad):
        raise ValueError(
            f"{_place(origin, int(bad[0]))}: {column!r} must be a finite number, 0 or more (got "
            f"{frame[column].iloc[bad[0]]!r}), and so in {counted(len(bad), 'row')}."
        )
    top = float(values.max()) if len(values) else 0.0
    if top > (1.0 if max_score is None else max_score):
        if max_score is not None:
            raise ValueError(f"{column!r} goes up to {top:g}, above max_score={max_score:g}.")
        raise ValueError(
            f"{column!r} must lie in 0..1, but goes up to {top:g}; pass max_score= with the "
            "largest possible score (1000 for STRING's scale), or divide the column yourself."
        )
    return values / (max_score or 1.0)


def _place(origin: Provenance, row: int) -> str:
    return f"row {row}" if origin.file is None else f"{origin.file}, row {row + 1} after the header"
