"""Names genes by another kind of identifier, or by their partners in another species."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from genegraph.expression import check_anndata, check_unique_genes
from genegraph.gene_mapping_report import ALONE, SEVERAL, SHARED, GeneMapping, MappedGenes, shown
from genegraph.interactions.identifiers import explain_mismatch, strip_versions
from genegraph.interactions.name_pairs import NamePairs, Target, read_name_pairs
from genegraph.interactions.wording import counted, some_of

if TYPE_CHECKING:
    from anndata import AnnData

CHOICES = {
    "to": ("symbol", "ensembl", "entrez"),
    "ambiguous": ("error", "drop", "keep"),
    "unmapped": ("keep", "drop", "error"),
}


def map_genes(
    adata: AnnData,
    to: Target = "symbol",
    table: str | os.PathLike[str] | pd.DataFrame | None = None,
    *,
    from_column: str | None = None,
    to_column: str | None = None,
    ambiguous: Literal["error", "drop", "keep"] = "error",
    unmapped: Literal["keep", "drop", "error"] = "keep",
    original_column: str = "original_name",
    taxon: int = 9606,
) -> MappedGenes:
    """Names genes by another identifier, in a copy of the cells, and reports on every gene.

    Nothing is guessed: a name stands for another one where the table says so, letter for letter;
    only the version of an Ensembl id (``.12``) is looked past, and that is noted.  The table is one
    of these:

    - *Two columns*, one row for each pair of names, under a header: an export of Ensembl BioMart
      (``Gene stable ID``, ``Gene name``), of HGNC, or a table of one-to-one orthologs (``mouse``,
      ``human``).  A text file, plain or gzip, separated by tabs, commas, semicolons or spaces, or a
      DataFrame.  The column that holds the kind of names asked for is the one mapped to; if
      both do, as in a table of orthologs, the second.  Tables with more columns need
      ``from_column`` and ``to_column`` unless only one holds each kind of name.  An empty field is
      no name; several names of one gene in a field are separated by ``|``.
    - *STRING's* ``protein.info`` (protein to symbol) or ``protein.aliases``: aliases of one protein
      are names of one gene.
    - A *BioGRID* file: synonyms, systematic names and Entrez ids stand for official symbols.

    In the files of STRING and BioGRID a name that is itself an official one means that gene,
    whatever other gene was once called so.

    A gene is ambiguous if the table gives it several names (one-to-many), or if several genes of
    these cells would get one name (many-to-one).

    Args:
        adata: The cells, in memory or on disk; never changed.
        to: The kind of name wanted: ``"symbol"``, ``"ensembl"`` or ``"entrez"``.
        table: The table or its file.
        from_column: Its column with the names that the genes have.
        to_column: Its column with the names that they are to get.
        ambiguous: What to do with ambiguous genes: ``"error"`` refuses, ``"drop"`` leaves them
            out, ``"keep"`` leaves them under their old name.
        unmapped: The same for genes without a partner in the table.  Reads of genes that are left
            out no longer count towards a cell's total.
        original_column: Column of ``var`` that takes the old names.
        taxon: NCBI taxon of the cells, for a BioGRID file.

    Returns:
        The renamed cells, in memory, and the report.

    Raises:
        KeyError: If the table has no such column.
        TypeError: If the cells are no AnnData, or no table is given.
        ValueError: If no gene has a partner, if genes are ambiguous or without partner and that is
            to be an error, if a gene name is there twice, if ``var`` has ``original_column``
            already, or if the table cannot be understood.

    Warns:
        UserWarning: If fewer than one in ten genes have a partner.

    Example:
        >>> import anndata, numpy as np
        >>> cells = anndata.AnnData(
        ...     np.ones((2, 3), dtype="float32"), var=pd.DataFrame(index=["Cd3d", "Cd4", "Gm1"])
        ... )
        >>> orthologs = pd.DataFrame({"mouse": ["Cd3d", "Cd4"], "human": ["CD3D", "CD4"]})
        >>> mapped, report = map_genes(cells, "symbol", orthologs)
        >>> list(mapped.var_names), list(mapped.var["original_name"])
        (['CD3D', 'CD4', 'Gm1'], ['Cd3d', 'Cd4', 'Gm1'])
        >>> print(report)
        3 genes to symbol
          mapped       2: 'Cd3d -> CD3D', 'Cd4 -> CD4'
          no partner   1: 'Gm1'
    """
    options: dict[str, str] = {"to": to, "ambiguous": ambiguous, "unmapped": unmapped}
    _check(adata, table, options, original_column)
    assert table is not None
    names = [str(name) for name in adata.var_names]
    pairs = read_name_pairs(
        table, to, names, from_column=from_column, to_column=to_column, taxon=taxon
    )
    found, num_stripped = _look_up(names, pairs)
    genes = _settle(names, found, ambiguous, unmapped)
    _refuse(genes, names, pairs, options)
    kept = genes["name"].notna().to_numpy()
    view = adata[:, kept]
    mapped = view.to_memory() if adata.isbacked else view.copy()
    mapped.var[original_column] = np.array(names, dtype=object)[kept]
    new = genes["name"].to_numpy()[kept]
    mapped.var_names = pd.Index(new, dtype=object, name=adata.var_names.name)
    notes = _notes(genes, num_stripped, adata)
    return MappedGenes(mapped, GeneMapping(genes, to, pairs.source, notes))


def _check(adata: Any, table: Any, options: dict[str, str], original_column: str) -> None:
    check_anndata(adata)
    for name, allowed in CHOICES.items():
        if options[name] not in allowed:
            raise ValueError(f"{name!r} must be one of {allowed} (got {options[name]!r}).")
    if table is None:
        raise TypeError(
            "'table' must say which name stands for which: a DataFrame or a file with two columns, "
            "for example Ensembl BioMart's export of 'Gene stable ID' and 'Gene name', or STRING's "
            "aliases (got None)."
        )
    if original_column in adata.var.columns:
        raise ValueError(
            f"adata.var has a column {original_column!r} already; name another one for the old "
            "names with original_column=."
        )
    check_unique_genes(map(str, adata.var_names), "adata.var_names")


def _look_up(names: Sequence[str], pairs: NamePairs) -> tuple[list[set[str]], int]:
    """The candidates of each name; how many were found only without a version."""
    found = [pairs.targets.get(name, set()) for name in names]
    bare = strip_versions(names)[0]
    versioned = any(n != b for n, b in zip(names, bare, strict=True))
    known: dict[str, set[str]] = {}
    keys = list(pairs.targets)
    for key, stripped in zip(keys, strip_versions(keys)[0], strict=True):
        if versioned or stripped != key:
            known.setdefault(stripped, set()).update(pairs.targets[key])
    again = [place for place, mine in enumerate(found) if not mine and bare[place] in known]
    for place in again:
        found[place] = known[bare[place]]
    return found, len(again)


def _settle(
    names: Sequence[str], found: Sequence[set[str]], ambiguous: str, unmapped: str
) -> pd.DataFrame:
    """What becomes of each gene."""
    status = [SEVERAL if len(mine) > 1 else "mapped" if mine else ALONE for mine in found]
    target = [next(iter(mine)) if len(mine) == 1 else None for mine in found]
    for place, name in enumerate(names):
        if target[place] == name:
            status[place] = "unchanged"

    def names_now() -> list[str | None]:
        treatment = {SEVERAL: ambiguous, SHARED: ambiguous, ALONE: unmapped}
        now = []
        for old, new, what in zip(names, target, status, strict=True):
            kept = old if treatment.get(what) in ("keep", "error") else None
            now.append(new if what in ("mapped", "unchanged") else kept)
        return now

    # A gene that keeps its old name may meet one that is to get it, which then is ambiguous too.
    while True:
        now = names_now()
        times = Counter(name for name in now if name is not None)
        meeting = [
            place
            for place, name in enumerate(now)
            if status[place] == "mapped" and name is not None and times[name] > 1
        ]
        if not meeting:
            break
        for place in meeting:
            status[place] = SHARED
    candidates = ["|".join(sorted(mine)) for mine in found]
    columns = {"gene": list(names), "candidates": candidates, "status": status, "name": now}
    return pd.DataFrame(columns, dtype=object)


def _refuse(
    genes: pd.DataFrame, names: Sequence[str], pairs: NamePairs, options: dict[str, str]
) -> None:
    has = (genes["status"] != ALONE).sum()
    if not has:
        raise ValueError(
            explain_mismatch(names, list(pairs.targets), label_a="the cells", label_b="the table")
        )
    unclear = genes[genes["status"].isin([SEVERAL, SHARED])]
    if options["ambiguous"] == "error" and len(unclear):
        parts = [
            f"{(unclear['status'] == status).sum():,} {what}"
            for status, what in (
                (SEVERAL, "with several names in the table"),
                (SHARED, "that would share a name with another"),
            )
            if (unclear["status"] == status).any()
        ]
        examples = some_of(shown(row) for row in unclear.head(3).itertuples(index=False))
        more = f" and {len(unclear) - 3:,} more" if len(unclear) > 3 else ""
        raise ValueError(
            f"Each gene must get one name of its own (got {' and '.join(parts)}: {examples}{more})."
            " Use a table of one-to-one pairs, leave such genes out with ambiguous='drop', or under"
            " their old name with ambiguous='keep'."
        )
    alone = genes["gene"][genes["status"] == ALONE]
    if options["unmapped"] == "error" and len(alone):
        raise ValueError(
            f"Each gene must be in the table (got {counted(len(alone), 'gene')} that "
            f"{'is' if len(alone) == 1 else 'are'} not: {some_of(alone)}). Leave them out with "
            "unmapped='drop', or under their old name with unmapped='keep'."
        )
    if has < 0.1 * len(names):
        warnings.warn(
            f"Only {has:,} of the {counted(len(names), 'gene')} are in the table.", stacklevel=3
        )


def _notes(genes: pd.DataFrame, num_stripped: int, adata: AnnData) -> tuple[str, ...]:
    notes = []
    if num_stripped:
        notes.append(f"{counted(num_stripped, 'gene')} found by the Ensembl id without its version")
    if genes["name"].isna().any():
        notes.append("the reads of genes left out no longer count towards a cell's total")
    if adata.raw is not None:
        notes.append("adata.raw keeps its own gene names")
    return tuple(notes)
