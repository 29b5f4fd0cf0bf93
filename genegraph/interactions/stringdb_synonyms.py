"""What a STRING aliases file knows of the genes' other names."""

from pathlib import Path

from genegraph.interactions.delimited import DelimitedReader
from genegraph.interactions.identifiers import KINDS, strip_versions
from genegraph.interactions.stringdb_names import ALIAS_SOURCES, alias_columns
from genegraph.interactions.text_files import open_text, read_header

ENTREZ_SOURCES = (
    "Ensembl_HGNC_entrez_id",
    "UniProt_DR_GeneID",
    "KEGG_GENEID",
    "Ensembl_HGNC_Entrez_Gene_ID",  # the last three until v11.0
    "Ensembl_UniProt_DR_GeneID",
    "BLAST_UniProt_DR_GeneID",
)


def read_string_names(path: Path, to: str, names: set[str]) -> dict[str, set[str]]:
    """Returns what each of some names may stand for: aliases of one protein are one gene.

    Symbols are the aliases of the best source that the file has, as in ``read_stringdb``; Ensembl
    ids are known by their form, Entrez ids by their source.

    Args:
        path: ``protein.aliases``.
        to: ``"symbol"``, ``"ensembl"`` or ``"entrez"``.
        names: The names to look for.
    """
    wanted = names | set(strip_versions(sorted(names))[0])
    proteins: dict[str, set[str]] = {}  # of each name
    meant: dict[str, dict[str, set[str]]] = {}  # source -> protein -> names wanted
    with open_text(path) as stream:
        columns = alias_columns(read_header(stream, path.name), path)
        for frame in DelimitedReader(stream, path.name, columns=columns, sep="\t", text=columns):
            known = frame[frame["alias"].isin(wanted)].astype(str)
            for protein, alias, text in known.itertuples(index=False, name=None):
                # Numbers of other data bases are among the aliases: OMIM's, for one.
                if not alias.isdecimal() or _sources(text.split(), "entrez"):
                    proteins.setdefault(alias, set()).add(protein)
            sources = frame["source"].cat.categories
            useful = {text: _sources(str(text).split(), to) for text in sources}
            rows = frame[frame["source"].isin([text for text, kept in useful.items() if kept])]
            for protein, alias, text in rows.astype(str).itertuples(index=False, name=None):
                if alias.strip() and (to != "ensembl" or KINDS["ensembl_gene"].fullmatch(alias)):
                    for source in useful[text]:
                        meant.setdefault(source, {}).setdefault(protein, set()).add(alias.strip())
    best = next((meant[source] for source in _preference(to) if source in meant), None)
    if best is None:
        raise ValueError(f"{path.name} holds no names of the kind to={to!r}.")
    targets = {
        name: set().union(*(best.get(protein, set()) for protein in mine))
        for name, mine in proteins.items()
    }
    # A name that is wanted as it is means itself, whatever else was once called so.
    official = {name for found in best.values() for name in found}
    targets |= {name: {name} for name in official & wanted}
    return {name: found for name, found in targets.items() if found}


def _preference(to: str) -> tuple[str, ...]:
    return {"symbol": ALIAS_SOURCES, "entrez": ENTREZ_SOURCES, "ensembl": ("any",)}[to]


def _sources(sources: list[str], to: str) -> list[str]:
    return ["any"] if to == "ensembl" else [text for text in sources if text in _preference(to)]
