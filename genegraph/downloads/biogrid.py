"""Fetches a release of the BioGRID database."""

import os
import re
from pathlib import Path

from genegraph.downloads.cache import cached
from genegraph.downloads.remote_file import Publisher, RemoteFile, check_version

BIOGRID = Publisher(
    "https://downloads.thebiogrid.org", frozenset({"downloads.thebiogrid.org", "thebiogrid.org"})
)


def fetch_biogrid(
    version: str = "5.0.261", *, cache_dir: str | os.PathLike[str] | None = None
) -> Path:
    """Fetches the interactions of all organisms in one release of BioGRID.

    The release's ``BIOGRID-ORGANISM`` zip has one TAB3 table per organism; ``read_biogrid`` reads
    the one of its ``taxon`` in place. It is fetched once, over HTTPS, into the cache folder;
    nothing incomplete is ever kept there. BioGRID publishes no checksums: the SHA-256 of the first
    download is recorded beside the file, and each later use is held against it. A file that was
    put into the folder by hand, under BioGRID's name for it, is used as it is once all its parts
    have been unpacked.

    Args:
        version: The release. BioGRID makes one a month; the default is a fixed one, so that
            results can be repeated.
        cache_dir: Folder for the file; by default that of the environment variable
            ``GENEGRAPH_CACHE_DIR``, else ``genegraph`` in the user's cache folder.

    Returns:
        Path of the zip, for ``read_biogrid(path, taxon=...)``.

    Raises:
        ValueError: If ``version`` is not of the form 5.0.261.
        DownloadError: An ``OSError``: if the file has to be fetched and cannot be, as when
            offline. The message has the address to fetch by hand and the folder to put it in.

    Warns:
        UserWarning: If the file in the cache is damaged and is fetched again.

    Example:
        With the file in the folder no connection is made:

        >>> import pathlib, tempfile, zipfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "BIOGRID-ORGANISM-5.0.261.tab3.zip"
        ...     with zipfile.ZipFile(path, "w") as archive:
        ...         archive.writestr("BIOGRID-ORGANISM-Homo_sapiens-5.0.261.tab3.txt", "...")
        ...     fetch_biogrid(cache_dir=folder).name
        'BIOGRID-ORGANISM-5.0.261.tab3.zip'

    References:
        BioGRID is published under the MIT License. Oughtred et al., "The BioGRID database",
        Protein Science 30, 2021. https://doi.org/10.1002/pro.3978
    """
    check_version(version, "5.0.261", numbers=3)
    name = f"BIOGRID-ORGANISM-{version}.tab3.zip"
    file = RemoteFile(
        name,
        f"{BIOGRID.base}/Download/BioGRID/Release-Archive/BIOGRID-{version}/{name}",
        BIOGRID.hosts,
        "zip",
        rf"^[^/]*-{re.escape(version)}\.tab3\.txt$",
        "read_biogrid(path) or genegraph fit --biogrid",
    )
    return cached(file, cache_dir)
