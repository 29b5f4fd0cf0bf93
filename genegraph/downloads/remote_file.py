"""What is known of a file before it is fetched, and the error of a fetch that failed."""

import re
from pathlib import Path
from typing import Any, Literal, NamedTuple


class Publisher(NamedTuple):
    """Where a publisher's files begin, and the hosts that may hand them out."""

    base: str
    hosts: frozenset[str]


class RemoteFile(NamedTuple):
    """One file of a publisher: its name there and here, and the arguments that take it.

    ``holds`` is a regular expression for how its text begins, or for a name in its zip.
    """

    name: str
    url: str
    hosts: frozenset[str]
    packing: Literal["gzip", "zip"]
    holds: str
    argument: str


class DownloadError(OSError):
    """A file could not be fetched; the message says why, and how to get it by hand."""


def failed(file: RemoteFile, folder: Path, why: object) -> DownloadError:
    """The one error of every fetch that did not succeed."""
    return DownloadError(
        f"{file.name} could not be fetched: {why}. Fetch {file.url} by hand and put it into "
        f"{folder} under that name, or give its path: {file.argument}. The folder is chosen "
        "with cache_dir or the environment variable GENEGRAPH_CACHE_DIR."
    )


def check_version(version: Any, example: str, numbers: int = 2) -> None:
    """Refuses what is not as many numbers with dots between them."""
    shape = r"\d+" + r"\.\d+" * (numbers - 1)
    if not isinstance(version, str) or not re.fullmatch(shape, version, re.ASCII):
        raise ValueError(f"'version' must be a string such as {example!r} (got {version!r}).")
