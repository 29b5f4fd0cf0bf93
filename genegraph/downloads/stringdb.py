"""Fetches files of the STRING database."""

import os
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from genegraph.downloads.cache import cached
from genegraph.downloads.remote_file import Publisher, RemoteFile, check_version

_HOSTS = frozenset({"stringdb-downloads.org", "stringdb-static.org", "string-db.org"})
STRING = Publisher("https://stringdb-downloads.org", _HOSTS)
STRING_BEFORE_12 = Publisher("https://stringdb-static.org", _HOSTS)
LinksKind = Literal[
    "links",
    "links.detailed",
    "links.full",
    "physical.links",
    "physical.links.detailed",
    "physical.links.full",
]
_HEADERS = {
    "links": "protein1 protein2 ",
    "info": "#?(string_protein_id|protein_external_id)\tpreferred_name",
    "aliases": "(#string_protein_id\talias|## string_protein_id ## alias)",
}
_TAXA = {"human": 9606, "mouse": 10090}


class StringFiles(NamedTuple):
    """Paths of STRING files, in the order in which ``read_stringdb`` takes them."""

    links: Path
    info: Path | None = None
    aliases: Path | None = None


def fetch_string(
    taxon: int | Literal["human", "mouse"] = 9606,
    *,
    kind: LinksKind = "links",
    names: Literal["info", "aliases"] = "info",
    version: str = "12.0",
    cache_dir: str | os.PathLike[str] | None = None,
) -> StringFiles:
    r"""Fetches the interactions of one organism from STRING, and the names of its proteins.

    A file is fetched once, over HTTPS, into the cache folder; nothing incomplete is ever kept
    there, nor another organism's file or another kind of file. STRING publishes no checksums: the
    SHA-256 of the first download is recorded beside the file, and each later use is held against
    it. A file that was put into the folder by hand, under STRING's name for it, is used as it is
    once it has been unpacked to its end.

    Args:
        taxon: NCBI taxon of the organism, or ``"human"`` (9606) or ``"mouse"`` (10090). Baker's
            yeast is 4932 to STRING, not 559292 as to BioGRID.
        kind: ``"links"`` has the combined score only and is the smallest;
            ``"links.detailed"`` has the channels, for ``read_stringdb(channels=...)``;
            ``"links.full"`` tells direct from transferred evidence as well, and homology. With
            ``"physical."`` before it: only proteins that bind each other or share a complex.
        names: ``"info"`` for one symbol per protein, ``"aliases"`` for all its identifiers.
        version: STRING's version.
        cache_dir: Folder for the files; by default that of the environment variable
            ``GENEGRAPH_CACHE_DIR``, else ``genegraph`` in the user's cache folder.

    Returns:
        Paths of ``links`` and of ``info`` or ``aliases``; the other one is None.

    Raises:
        TypeError: If ``taxon`` is no whole number.
        ValueError: If an argument is not one of those above.
        DownloadError: An ``OSError``: if a file has to be fetched and cannot be, as when offline.
            The message has the address to fetch by hand and the folder to put the file in.

    Warns:
        UserWarning: If a file in the cache is damaged and is fetched again.

    Example:
        With both files in the folder no connection is made:

        >>> import gzip, pathlib, tempfile
        >>> from genegraph import read_stringdb
        >>> rows = {
        ...     "links": "protein1 protein2 combined_score\n9606.P1 9606.P2 901\n",
        ...     "info": "#string_protein_id\tpreferred_name\n9606.P1\tTP53\n9606.P2\tMDM2\n",
        ... }
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name, text in rows.items():
        ...         path = pathlib.Path(folder) / f"9606.protein.{name}.v12.0.txt.gz"
        ...         _ = path.write_bytes(gzip.compress(text.encode()))
        ...     table = read_stringdb(*fetch_string("human", cache_dir=folder))
        >>> print(table.to_string(index=False))
        gene_a gene_b  score
          MDM2   TP53  0.901

    References:
        STRING is published under CC BY 4.0. Szklarczyk et al., "The STRING database in 2023",
        Nucleic Acids Research 51, 2023. https://doi.org/10.1093/nar/gkac1000
    """
    number = _checked_taxon(taxon)
    if kind not in get_args(LinksKind):
        raise ValueError(f"'kind' must be one of {', '.join(get_args(LinksKind))} (got {kind!r}).")
    if names not in ("info", "aliases"):
        raise ValueError(f"'names' must be 'info' or 'aliases' (got {names!r}).")
    check_version(version, "12.0")
    links = cached(_file(number, kind, "links", version), cache_dir)
    naming = cached(_file(number, names, names, version), cache_dir)
    return StringFiles(links, **{names: naming})


def _checked_taxon(taxon: Any) -> int:
    if isinstance(taxon, str) and taxon in _TAXA:
        return _TAXA[taxon]
    if isinstance(taxon, bool) or not isinstance(taxon, (int, np.integer)):
        raise TypeError(
            "'taxon' must be the NCBI taxon of an organism, a whole number such as 9606, or "
            f"'human' or 'mouse' (got {taxon!r})."
        )
    if taxon < 1:
        raise ValueError(f"'taxon' must be a positive NCBI taxon such as 9606 (got {taxon}).")
    return int(taxon)


def _file(taxon: int, kind: str, argument: str, version: str) -> RemoteFile:
    publisher = STRING if int(version.split(".")[0]) >= 12 else STRING_BEFORE_12
    name = f"{taxon}.protein.{kind}.v{version}.txt.gz"
    return RemoteFile(
        name,
        f"{publisher.base}/download/protein.{kind}.v{version}/{name}",
        publisher.hosts,
        "gzip",
        rf"\A{_HEADERS[argument]}[^\n]*\n{taxon}\.",
        f"read_stringdb(..., {argument}=...) or genegraph fit --{argument}",
    )
