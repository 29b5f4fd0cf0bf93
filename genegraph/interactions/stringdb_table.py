"""Turns rows of STRING proteins into the tidy table of genes."""

import re
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from genegraph.interactions.pairs import Integers, collapse, pair_table, rank_names
from genegraph.interactions.provenance import Provenance
from genegraph.interactions.stringdb_names import ProteinNames
from genegraph.interactions.stringdb_rows import StringRows
from genegraph.interactions.wording import counted, some_of

NO_NAME = ""  # sorts first, so that its rank is 0 where it occurs


def build_table(rows: StringRows, names: ProteinNames | None, origin: Provenance) -> pd.DataFrame:
    """Names the proteins, makes one row of each pair, and says what was left out."""
    origin.taxon = int(rows.taxon)
    origin.rows_read = rows.rows_read
    for reason, count in rows.dropped.items():
        origin.drop(reason, count)
    symbols = _symbols(rows, names, origin)
    _drop_unnamed(rows, symbols, origin)
    genes, rank = rank_names(symbols)
    _drop_self_pairs(rows, rank, origin)
    # First by protein, where the two directions should agree, then by symbol.
    by_protein = collapse(rows.a, rows.b, rows.columns, len(rows.proteins))
    if by_protein.num_disagreeing:
        origin.notes.append(
            f"{counted(by_protein.num_disagreeing, 'pair')} had more than one score; "
            "the largest was kept."
        )
    first, second = rank[by_protein.first], rank[by_protein.second]
    by_symbol = collapse(first, second, by_protein.columns, len(genes))
    _note_shared_symbols(rows, symbols, by_symbol.num_repeated, origin)
    return origin.attach(pair_table(by_symbol, genes))


def _symbols(rows: StringRows, names: ProteinNames | None, origin: Provenance) -> list[str]:
    if names is not None:
        if names.taxa != [rows.taxon]:
            raise ValueError(
                f"{origin.file} is about taxon {rows.taxon}, but {names.file} about "
                f"{some_of(names.taxa) or 'none'}; take both files from the same organism."
            )
        origin.filters["names_from"] = names.alias_source or "preferred_name"
        origin.notes += names.notes
        return [names.name_of.get(protein, NO_NAME) for protein in rows.proteins]
    if rows.name_of is not None:
        return [rows.name_of[protein] for protein in rows.proteins]
    plain = [protein.partition(".")[2] for protein in rows.proteins]
    ensembl = sum(re.match(r"ENS[A-Z]*P\d", protein) is not None for protein in plain)
    origin.identifiers = "ensembl_protein" if 2 * ensembl > len(plain) else "string_protein"
    origin.notes.append(
        "Genes are STRING proteins without the taxon prefix; give 'info' to name them by symbol."
    )
    return plain


def _drop_unnamed(rows: StringRows, symbols: Sequence[str], origin: Provenance) -> None:
    nameless = np.array([symbol == NO_NAME for symbol in symbols])
    unnamed = nameless[rows.a] | nameless[rows.b]
    if unnamed.any():
        origin.drop("protein without a name", int(np.count_nonzero(unnamed)))
        ends = np.unique(np.concatenate([rows.a[unnamed], rows.b[unnamed]]))
        missing = sorted(rows.proteins[code] for code in ends if nameless[code])
        origin.notes.append(
            f"{counted(len(missing), 'protein')} had no name and their rows were left out: "
            f"{some_of(missing)}."
        )
        if 2 * np.count_nonzero(unnamed) > len(unnamed):
            warnings.warn(
                f"{np.count_nonzero(unnamed):,} of {counted(len(unnamed), 'row')} of {origin.file} "
                f"name a protein without a symbol ({some_of(missing)}) and are left out; are "
                "both files of one STRING version?",
                UserWarning,
                stacklevel=4,
            )
        rows.keep(~unnamed)


def _drop_self_pairs(rows: StringRows, rank: Integers, origin: Provenance) -> None:
    same_gene = rank[rows.a] == rank[rows.b]
    if same_gene.any():
        same_protein = rows.a == rows.b
        origin.drop("protein paired with itself", int(np.count_nonzero(same_protein)))
        origin.drop("two proteins of one gene", int(np.count_nonzero(same_gene & ~same_protein)))
        rows.keep(~same_gene)


def _note_shared_symbols(
    rows: StringRows, symbols: Sequence[str], num_merged: int, origin: Provenance
) -> None:
    proteins_of: dict[str, list[str]] = {}
    for protein, symbol in zip(rows.proteins, symbols, strict=True):
        if symbol != NO_NAME:
            proteins_of.setdefault(symbol, []).append(protein)
    shared = sorted(symbol for symbol, proteins in proteins_of.items() if len(proteins) > 1)
    if shared:
        origin.notes.append(
            f"{counted(len(shared), 'symbol')} ({some_of(shared)}) named more than one protein, "
            f"as {shared[0]!r} did {some_of(sorted(proteins_of[shared[0]]))}; "
            f"{counted(num_merged, 'pair')} fell together and the largest score was kept."
        )
