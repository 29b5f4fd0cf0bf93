"""The hash of a file at its first download, kept beside it.

Neither STRING nor BioGRID publishes checksums. So the first download is trusted, as TLS allows, and
every later use is held against it. A record is only ever made of a file that was hashed here.
"""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from genegraph.files import write_whole
from genegraph.version import __version__


class Record(NamedTuple):
    """SHA-256 of a file, when it was taken, and whether of a download or a file found there."""

    sha256: str
    date: str
    origin: str


def record_path(path: Path) -> Path:
    """Where the record of a file lies: beside it."""
    return path.with_name(f"{path.name}.record.json")


def read_record(path: Path) -> Record | None:
    """Gives the record of a file, None if there is none.

    Raises:
        ValueError: If the record is damaged.
    """
    beside = record_path(path)
    try:
        content = beside.read_bytes()
    except FileNotFoundError:
        return None
    try:
        known = json.loads(content)
        record = Record(known["sha256"], known["date"], known["origin"])
        if not re.fullmatch("[0-9a-f]{64}", record.sha256):
            raise ValueError("no SHA-256")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{beside} must hold the SHA-256 of {path.name} (got {content[:40]!r}); delete it to "
            "have the file checked and recorded anew"
        ) from error
    return record


def write_record(path: Path, sha256: str, origin: str) -> None:
    """Keeps the hash of a file, as just computed."""
    known = {
        "file": path.name,
        "sha256": sha256,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "origin": origin,
        "genegraph": __version__,
    }
    write_whole(record_path(path), (json.dumps(known, indent=1) + "\n").encode())
