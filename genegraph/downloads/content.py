"""Whether a file is what its name says, to the last byte."""

import gzip
import re
import zipfile
import zlib
from pathlib import Path
from typing import IO, Literal, cast

from genegraph.archives import LimitedStream, check_members, most_unpacked, refuse_bomb

_MAGIC = {"gzip": b"\x1f\x8b", "zip": b"PK\x03\x04"}
_BLOCK = 1 << 20
_START = 1 << 12


def check_content(path: Path, packing: Literal["gzip", "zip"], holds: str) -> None:
    """Unpacks the file to nowhere, so that its own checksums are compared.

    Args:
        path: The file.
        packing: How it is packed.
        holds: Regular expression: how its text begins, or one of the names in the zip.

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
        found = _unpack_gzip(path) if packing == "gzip" else _unpack_zip(path)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
        raise ValueError(f"a truncated or damaged {packing} file ({error})") from error
    except ValueError as error:
        raise ValueError(f"a {packing} file that is not to be trusted ({error})") from error
    if not re.search(holds, found, re.MULTILINE if packing == "zip" else 0):
        raise ValueError(f"another file: it holds {found[:80]!r}")


def _unpack_gzip(path: Path) -> str:
    """Reads all of it; returns how it begins."""
    with gzip.open(path) as unpacked:
        stream = LimitedStream(cast(IO[bytes], unpacked), "it", path.stat().st_size)
        start = block = stream.read(_BLOCK)
        while block:
            block = stream.read(_BLOCK)
    return start[:_START].decode(errors="replace")


def _unpack_zip(path: Path) -> str:
    """Reads all of it; returns the names inside."""
    packed = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        check_members(archive, "it")
        members = archive.infolist()
        if sum(member.file_size for member in members) > most_unpacked(packed):
            raise refuse_bomb("it", packed)
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"bad checksum of {damaged}")
    return "\n".join(member.filename for member in members)
