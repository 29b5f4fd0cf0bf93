"""Writes the parts of a graph to one ``.npz`` file and reads them back, checked."""

import json
import os
import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genegraph.files import write_whole

FORMAT = "genegraph graph"
FORMAT_VERSION = 1

Arrays = dict[str, NDArray[Any]]


def write_graph(path: str | os.PathLike[str], arrays: Arrays, header: dict[str, Any]) -> None:
    """Writes arrays and a JSON header, so that the file is there whole or not at all.

    Args:
        path: Where to write; taken as it is, no suffix is added.
        arrays: Named arrays of numbers.
        header: Anything JSON can hold.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_graph(f"{folder}/graph.npz", {"a": np.arange(3)}, {"genes": ["TP53"]})
        ...     read_graph(f"{folder}/graph.npz", ["a"])
        ({'a': array([0, 1, 2])}, {'genes': ['TP53']})
    """
    text = json.dumps({"format": FORMAT, "format_version": FORMAT_VERSION, **header})
    encoded = np.frombuffer(text.encode(), dtype=np.uint8)
    content = BytesIO()
    np.savez_compressed(content, header=encoded, **arrays)  # type: ignore[arg-type]
    write_whole(path, content.getvalue())


def read_graph(path: str | os.PathLike[str], names: list[str]) -> tuple[Arrays, dict[str, Any]]:
    """Reads what :func:`write_graph` wrote; nothing in the file is ever executed.

    Args:
        path: File to read.
        names: Names of the arrays it must hold.

    Raises:
        OSError: If the file cannot be opened.
        ValueError: If it is not a graph file, is damaged, or comes from a newer version.
    """
    content = Path(path).read_bytes()
    try:
        found = _read_arrays(content, ["header", *names]) if content.startswith(b"PK") else {}
    except _UNREADABLE as error:
        message = f"{path}: damaged ({error}); copy or make the file again."
        raise ValueError(message) from error
    header = _parse_header(path, found.pop("header", None))
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"{path}: damaged ({missing[0]!r} is missing); make the file again.")
    return found, header


# What zipfile, zlib and numpy raise for bytes that are not what they should be.
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    SyntaxError,
    ValueError,
)


def _read_arrays(content: bytes, names: list[str]) -> Arrays:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        present = set(archive.namelist())
        # read() checks a member's checksum before numpy sees a byte of it.
        return {
            name: np.load(BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)
            for name in names
            if f"{name}.npy" in present
        }


def _parse_header(path: str | os.PathLike[str], encoded: NDArray[Any] | None) -> dict[str, Any]:
    try:
        header = json.loads(encoded.tobytes()) if encoded is not None else None
    except ValueError:
        header = None
    if not isinstance(header, dict) or header.pop("format", None) != FORMAT:
        raise ValueError(f"{path}: not a genegraph graph file; write one with GeneGraph.save().")
    version = header.pop("format_version", None)
    if not isinstance(version, int) or version < 1:
        raise ValueError(f"{path}: damaged (format version {version!r}); make the file again.")
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{path}: written in format {version} by a newer genegraph; this one reads up to "
            f"format {FORMAT_VERSION}. Upgrade genegraph to read it."
        )
    return header
