"""Reads which name of a gene stands for which other one, from tables of several kinds."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pandas as pd

from genegraph.interactions.biogrid_archive import open_biogrid
from genegraph.interactions.biogrid_synonyms import read_biogrid_names
from genegraph.interactions.edge_columns import read_table
from genegraph.interactions.identifiers import IN_WORDS, describe_identifiers
from genegraph.interactions.stringdb_synonyms import read_string_names
from genegraph.interactions.text_files import checked_path, open_text, read_header, sha256_of

Target: TypeAlias = Literal["symbol", "ensembl", "entrez"]
KIND_OF: dict[str, str] = {"symbol": "symbol", "ensembl": "ensembl_gene", "entrez": "number"}


@dataclass
class NamePairs:
    """Which names stand for which.

    Attributes:
        targets: The names wanted that a name stands for; several if that is not clear.
        source: What was read: file, its hash, its layout and columns.
    """

    targets: dict[str, set[str]]
    source: dict[str, Any] = field(default_factory=dict)


def read_name_pairs(
    table: str | os.PathLike[str] | pd.DataFrame,
    to: Target,
    names: list[str],
    *,
    from_column: str | None = None,
    to_column: str | None = None,
    taxon: int = 9606,
) -> NamePairs:
    """Reads a table of names; arguments as in :func:`genegraph.map_genes`.

    Args:
        table: The table or its file.
        to: The kind of name wanted.
        names: The names to be replaced; their kind helps to find their column.
        from_column: Column with such names.
        to_column: Column with the names wanted.
        taxon: Organism, of a BioGRID file.
    """
    if isinstance(table, pd.DataFrame):
        return _of_frame(table, to, names, from_column, to_column, {})
    path = checked_path(table)
    source: dict[str, Any] = {"file": path.name, "sha256": sha256_of(path)}
    layout = _layout(path, taxon)
    if layout != "table" and (from_column is not None or to_column is not None):
        raise ValueError(
            f"{path.name} is a {layout} file: leave out 'from_column' and 'to_column'."
        )
    if layout == "STRING aliases":
        return NamePairs(read_string_names(path, to, set(names)), source | {"layout": layout})
    if layout == "BioGRID":
        source |= {"layout": layout, "taxon": taxon}
        return NamePairs(read_biogrid_names(path, to, taxon), source)
    return _of_frame(read_table(path, None), to, names, from_column, to_column, source)


def _layout(path: Path, taxon: int) -> str:
    with path.open("rb") as raw:
        if raw.read(4).startswith(b"PK"):
            with open_biogrid(path, taxon):
                return "BioGRID"
    with open_text(path) as stream:
        header = read_header(stream, path.name)
    if "Official Symbol Interactor A" in header:
        return "BioGRID"
    return "STRING aliases" if "string_protein_id" in header and "alias" in header else "table"


def _of_frame(
    frame: pd.DataFrame,
    to: Target,
    names: list[str],
    from_column: str | None,
    to_column: str | None,
    source: dict[str, Any],
) -> NamePairs:
    frame = frame.rename(columns=str)
    for column in (from_column, to_column):
        if column is not None and column not in frame.columns:
            raise KeyError(
                f"No column {column!r} in the table (has: {', '.join(map(repr, frame.columns))})"
            )
    text = {column: _texts(frame[column]) for column in frame.columns}
    kinds = {column: _kind(values) for column, values in text.items()}
    if to_column is None:
        wanted = [c for c, kind in kinds.items() if kind == KIND_OF[to] and c != from_column]
        if len(frame.columns) == 2 and len(wanted) == 2:
            wanted = wanted[1:]  # both of a kind, as orthologs are: the second are wanted
        to_column = _only(wanted, kinds, "to_column", f"the names wanted, {IN_WORDS[KIND_OF[to]]}")
    if from_column is None:
        kind = describe_identifiers(names).kind
        mine = [c for c in frame.columns if c != to_column]
        if len(mine) > 1:
            mine = [c for c in mine if kinds[c] == kind]
        from_column = _only(mine, kinds, "from_column", f"the genes' names now, {IN_WORDS[kind]}")
    if from_column == to_column:
        raise ValueError(f"'from_column' and 'to_column' must differ (got {to_column!r} for both).")
    if kinds[to_column] not in (KIND_OF[to], "mixed"):
        raise ValueError(
            f"to={to!r} was asked for, but the column {to_column!r} holds "
            f"{IN_WORDS.get(kinds[to_column], 'nothing')}; name another with to_column=, or ask "
            "for its kind."
        )
    targets: dict[str, set[str]] = {}
    for fields, target in zip(text[from_column], text[to_column], strict=True):
        for name in fields.split("|"):
            if name.strip() and target:
                targets.setdefault(name.strip(), set()).add(target)
    columns = {"from_column": from_column, "to_column": to_column}
    return NamePairs(targets, {**source, "layout": "table", **columns})


def _texts(column: "pd.Series[Any]") -> list[str]:
    values = ["" if pd.isna(value) else value for value in column]
    whole = [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]
    return [str(value).strip() for value in whole]


def _kind(values: list[str]) -> str:
    names = [name for name in values if name]
    return describe_identifiers(names).kind if names else "empty"


def _only(found: list[str], kinds: dict[str, str], argument: str, what: str) -> str:
    if len(found) == 1:
        return found[0]
    has = ", ".join(f"{c!r} ({IN_WORDS.get(kind, 'empty')})" for c, kind in kinds.items())
    raise ValueError(
        f"{len(found) or 'No'} columns of the table may hold {what}: name one with {argument}= "
        f"(has: {has})."
    )
