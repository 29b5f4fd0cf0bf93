"""Finds the genes and the score among the columns of a user's table."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from genegraph.interactions.delimited import DelimitedReader
from genegraph.interactions.text_files import open_text, read_header
from genegraph.interactions.wording import some_of

MAX_COLUMNS = 1000


class EdgeColumns(NamedTuple):
    """Names of the columns to use."""

    gene_a: str
    gene_b: str
    score: str | None


def read_table(path: Path, sep: str | None) -> pd.DataFrame:
    """Reads a delimited file as text, so that a gene called ``NA`` stays one."""
    if sep is not None and len(sep) != 1:
        raise ValueError(f"'sep' must be one character (got {sep!r}).")
    with open_text(path) as stream:
        header = read_header(stream, path.name)
        sep = sep or next((mark for mark in "\t,; " if mark in header), "\t")
        columns = [name.strip().strip('"') for name in header.lstrip("#").split(sep)]
        if header.lstrip().startswith("<"):
            raise ValueError(f"{path.name} is a web page; download the table itself.")
        if len(columns) < 2 or len(set(columns)) < len(columns):
            raise ValueError(
                f"{path.name}, line 1: expected two or more columns with different names (got "
                f"{some_of(columns)}); say what separates them with sep=."
            )
        if len(columns) > MAX_COLUMNS:
            raise ValueError(
                f"{path.name}, line 1: expected the names of at most {MAX_COLUMNS:,} columns (got "
                f"{len(columns):,}); a matrix is no table with one row per pair."
            )
        numbers = [name for name in columns if _is_number(name)]
        if numbers:
            raise ValueError(
                f"{path.name}, line 1: expected the names of the columns (got the number "
                f"{numbers[0]!r}); add a header such as 'gene_a{sep}gene_b{sep}score'."
            )
        reader = DelimitedReader(stream, path.name, columns=columns, sep=sep, text=columns)
        frames = [frame.astype(str).map(_unquoted) for frame in reader]
    return pd.concat(frames, ignore_index=True)


def choose_columns(
    frame: pd.DataFrame, gene_a: str | None, gene_b: str | None, score: str | None
) -> EdgeColumns:
    """Applies the rule that ``read_edges`` documents."""
    names = list(frame.columns)
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(
            f"A table of edges must have two or more columns with different names (has: "
            f"{', '.join(map(repr, names)) or 'none'})."
        )
    if (gene_a is None) != (gene_b is None):
        raise ValueError("Give both 'gene_a' and 'gene_b', or neither.")
    for name in (gene_a, gene_b, score):
        if name is not None and name not in names:
            raise KeyError(f"No column {name!r} in the table (has: {', '.join(map(repr, names))})")
    if gene_a is None or gene_b is None:
        named = {"gene_a", "gene_b"} <= set(names)
        gene_a, gene_b = ("gene_a", "gene_b") if named else (names[0], names[1])
    if score is None:
        rest = [name for name in ("score", "weight") if name in names]
        score = next((name for name in rest if name not in (gene_a, gene_b)), None)
    if len({gene_a, gene_b, score}) < 3:
        raise ValueError(
            f"The two genes and the score must be different columns (got {gene_a!r}, {gene_b!r} "
            f"and {score!r})."
        )
    return EdgeColumns(gene_a, gene_b, score)


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return name.lower() not in ("nan", "inf", "infinity")


def _unquoted(field: str) -> str:
    field = field.strip()
    return field[1:-1] if len(field) > 1 and field[0] == field[-1] == '"' else field
