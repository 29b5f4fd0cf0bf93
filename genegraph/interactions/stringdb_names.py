"""Names of STRING proteins: from the info file, or from the aliases file."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pandas as pd

from genegraph.interactions.delimited import DelimitedReader
from genegraph.interactions.stringdb_layout import advice_for
from genegraph.interactions.text_files import open_text, read_header
from genegraph.interactions.wording import counted, some_of

ALIAS_SOURCES = (
    "Ensembl_HGNC_symbol",
    "Ensembl_HGNC",
    "BioMart_HUGO",
    "Ensembl_EntrezGene",
    "Ensembl_WikiGene",
    "BLAST_KEGG_NAME",
    "UniProt_GN_Name",
    "Ensembl_UniProt_GN",
    "BLAST_UniProt_GN_Name",
    "BLAST_UniProt_GN",
)


@dataclass
class ProteinNames:
    """Which symbol each protein goes by, and how we know."""

    name_of: dict[str, str]
    file: str
    notes: list[str] = field(default_factory=list)
    alias_source: str | None = None

    @property
    def taxa(self) -> list[str]:
        """Taxa of the proteins, in order."""
        return sorted({protein.partition(".")[0] for protein in self.name_of})


def read_info(path: Path) -> ProteinNames:
    """Reads ``protein.info``: one preferred name per protein."""
    names = ProteinNames({}, path.name)
    with open_text(path) as stream:
        header = read_header(stream, path.name)
        columns = header.lstrip("# ").split("\t")
        if columns[0] not in ("string_protein_id", "protein_external_id") or (
            "preferred_name" not in columns
        ):
            raise ValueError(_unexpected(path, header, "string_protein_id preferred_name", "info"))
        text = [columns[0], "preferred_name"]
        for frame in DelimitedReader(stream, path.name, columns=columns, sep="\t", text=text):
            for protein, name in zip(*(frame[column].astype(str) for column in text), strict=True):
                if names.name_of.setdefault(protein, name.strip()) != name.strip():
                    raise ValueError(
                        f"{path.name} gives {protein!r} two names: "
                        f"{names.name_of[protein]!r} and {name!r}; keep one of the two rows."
                    )
    names.name_of = {protein: name for protein, name in names.name_of.items() if name}
    return names


def read_aliases(path: Path) -> ProteinNames:
    """Reads ``protein.aliases``, from the first of ``ALIAS_SOURCES`` that the file has."""
    with open_text(path) as stream:
        header = read_header(stream, path.name)
        found = _collect_aliases(stream, path, header)
    source = next((source for source in ALIAS_SOURCES if source in found), None)
    if source is None:
        raise ValueError(
            f"{path.name} holds gene symbols from none of the sources {', '.join(ALIAS_SOURCES)}; "
            "give STRING's info file instead."
        )
    aliases = found[source]
    several = sorted(protein for protein, names in aliases.items() if len(names) > 1)
    names = ProteinNames({protein: min(names) for protein, names in aliases.items()}, path.name)
    names.alias_source = source
    names.notes.append(f"Symbols are the aliases of source {source} in {path.name}.")
    if several:
        names.notes.append(
            f"{counted(len(several), 'protein')} had more than one {source} alias; the first in "
            f"alphabetical order was taken: {some_of(several)}."
        )
    return names


def alias_columns(header: str, path: Path) -> list[str]:
    """Returns the columns of an aliases file."""
    # v11.0 writes '## string_protein_id ## alias ## source ##' over tab-separated rows.
    marked = header.startswith("##")
    columns = [name.strip() for name in header.strip("# ").split("##" if marked else "\t")]
    if columns != ["string_protein_id", "alias", "source"]:
        raise ValueError(_unexpected(path, header, "string_protein_id alias source", "aliases"))
    return columns


def _collect_aliases(stream: IO[bytes], path: Path, header: str) -> dict[str, dict[str, set[str]]]:
    columns = alias_columns(header, path)
    found: dict[str, dict[str, set[str]]] = {}
    for frame in DelimitedReader(stream, path.name, columns=columns, sep="\t", text=columns):
        # Before v11.5 one row names all its sources, separated by spaces.
        sources = {text: _known(str(text).split()) for text in frame["source"].cat.categories}
        useful = [text for text, known in sources.items() if known]
        rows: pd.DataFrame = frame[frame["source"].isin(useful)].astype(str)
        for protein, alias, text in rows.itertuples(index=False, name=None):
            for source in sources[text]:
                if alias.strip():
                    by_protein = found.setdefault(source, {})
                    by_protein.setdefault(protein, set()).add(alias.strip())
    return found


def _known(sources: Iterable[str]) -> list[str]:
    return [source for source in sources if source in ALIAS_SOURCES]


def _unexpected(path: Path, header: str, columns: str, argument: str) -> str:
    return (
        f"{path.name}, line 1: expected the columns '{columns}' of a STRING {argument} file "
        f"(got {header[:80]!r}).{advice_for(header)}"
    )
