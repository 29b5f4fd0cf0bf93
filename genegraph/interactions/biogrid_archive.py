"""Opens a BioGRID download: plain text, gzip, or one member of a release's zip."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from genegraph.archives import FREE_BYTES, check_members, check_size
from genegraph.interactions.text_files import damage_named, open_text
from genegraph.interactions.wording import some_of

# As BioGRID writes organisms in the member names of BIOGRID-ORGANISM-*.zip.
ORGANISM_OF_TAXON = {
    3702: "Arabidopsis_thaliana_Columbia",
    6239: "Caenorhabditis_elegans",
    7227: "Drosophila_melanogaster",
    7955: "Danio_rerio",
    9031: "Gallus_gallus",
    9606: "Homo_sapiens",
    9913: "Bos_taurus",
    10090: "Mus_musculus",
    10116: "Rattus_norvegicus",
    284812: "Schizosaccharomyces_pombe_972h",
    511145: "Escherichia_coli_K12_MG1655",
    559292: "Saccharomyces_cerevisiae_S288c",
}


@contextmanager
def open_biogrid(path: Path, taxon: int) -> Iterator[tuple[IO[bytes], str]]:
    """Yields the stream and the name of the table inside; nothing is written to disk."""
    with path.open("rb") as raw:
        is_zip = raw.read(4).startswith(b"PK")
    if not is_zip:
        with open_text(path) as stream:
            yield stream, path.name
        return
    with damage_named(path.name), zipfile.ZipFile(path) as archive:
        check_members(archive, path.name)
        member = _choose_member(archive, path.name, taxon)
        check_size(archive, member, path.name, FREE_BYTES)
        with archive.open(member) as stream:
            yield stream, member.filename.rpartition("/")[2]


def _choose_member(archive: zipfile.ZipFile, label: str, taxon: int) -> zipfile.ZipInfo:
    members = [m for m in archive.infolist() if not m.is_dir() and m.filename.endswith(".txt")]
    tables = [m for m in members if ".tab" in m.filename.lower()] or members
    if not tables:
        inside = some_of(m.filename for m in archive.infolist()) or "nothing"
        raise ValueError(f"{label} must hold a BioGRID table ending in .txt (holds: {inside}).")
    if len(tables) == 1:
        return tables[0]
    organism = ORGANISM_OF_TAXON.get(taxon)
    mine = [m for m in tables if organism and f"-{organism}-" in m.filename]
    if len(mine) == 1:
        return mine[0]
    raise ValueError(
        f"{label} holds {len(tables)} tables and {len(mine) or 'none'} could be recognised as "
        f"that of taxon {taxon}; unpack the one you want and give its path "
        f"(holds: {', '.join(m.filename for m in tables)})."
    )
