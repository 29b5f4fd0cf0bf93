"""Whether a file is what its name says, to the last byte."""

import gzip
import zipfile
import zlib
from pathlib import Path
from typing import Literal

_MAGIC = {"gzip": b"\x1f\x8b", "zip": b"PK\x03\x04"}
_BLOCK = 1 << 20


def check_content(path: Path, packing: Literal["gzip", "zip"]) -> None:
    """Unpacks the file to nowhere, so that its own checksums are compared.

    Raises:
        ValueError: If it is something else, or is damaged; the message is what it is.
    """
    with path.open("rb") as raw:
        start = raw.read(64)
    if not start.startswith(_MAGIC[packing]):
        page = start.lstrip().startswith(b"<")
        found = "but a web page" if page else f"it begins with {start[:16]!r}"
        raise ValueError(f"not a {packing} file, {found}")
    try:
        _unpack(path, packing)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
        raise ValueError(f"a truncated or damaged {packing} file ({error})") from error


def _unpack(path: Path, packing: str) -> None:
    if packing == "gzip":
        with gzip.open(path) as unpacked:
            while unpacked.read(_BLOCK):
                pass
        return
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"bad checksum of {damaged}")
