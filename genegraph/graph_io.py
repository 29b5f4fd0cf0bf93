"""Writes the parts of a graph to one ``.npz`` file and reads them back, checked."""

import json
import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from genegraph.archives import check_members, check_size
from genegraph.files import write_whole

FORMAT = "genegraph graph"
FORMAT_VERSION = 1
FREE_BYTES = 1 << 30
"""Edges that all weigh the same pack well: so much may come out of any file."""
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

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
        ...     read_graph(f"{folder}/graph.npz", {"a": "int64"})
        ({'a': array([0, 1, 2])}, {'genes': ['TP53']})
    """
    text = json.dumps({"format": FORMAT, "format_version": FORMAT_VERSION, **header})
    encoded = np.frombuffer(text.encode(), dtype=np.uint8)
    content = BytesIO()
    np.savez_compressed(content, header=encoded, **arrays)  # type: ignore[arg-type]
    write_whole(path, content.getvalue())


def read_graph(
    path: str | os.PathLike[str], dtypes: dict[str, str]
) -> tuple[Arrays, dict[str, Any]]:
    """Reads what :func:`write_graph` wrote; nothing in the file is ever executed.

    Args:
        path: File to read.
        dtypes: Names of the arrays it must hold, and the number format of each.

    Raises:
        OSError: If the file cannot be opened.
        ValueError: If it is not a graph file, is damaged, or comes from a newer version.
    """
    with open(path, "rb") as file:
        is_zip = file.read(2) == b"PK"
        with _damage_named(path):
            archive = zipfile.ZipFile(file) if is_zip else None
            encoded = None
            if archive is not None:
                check_members(archive, "the zip")
                if "header.npy" in archive.namelist():
                    encoded = _read_array(archive, "header", "uint8")
        header = _parse_header(path, encoded)  # first: a newer file may have other arrays
        with _damage_named(path):
            assert archive is not None
            return {name: _read_array(archive, name, dtypes[name]) for name in dtypes}, header


@contextmanager
def _damage_named(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever zipfile, zlib and numpy say of bytes they cannot read
        raise ValueError(f"{path}: damaged ({error}); copy or make the file again.") from error


def _read_array(archive: zipfile.ZipFile, name: str, dtype: str) -> NDArray[Any]:
    """Reads one array whose declared format and shape are those of the bytes that are there."""
    try:
        member = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise ValueError(f"{name!r} is missing") from None
    check_size(archive, member, "the zip", FREE_BYTES)
    stream = BytesIO(archive.read(member))  # read() checks the member's checksum
    shape, fortran_order, found = _HEADERS[np.lib.format.read_magic(stream)](stream)
    if found != np.dtype(dtype):
        raise ValueError(f"{name!r} must hold {dtype}, but holds {found}")
    data = stream.read()
    if len(data) != math.prod(shape) * found.itemsize:
        raise ValueError(f"{name!r} declares the shape {shape}, but holds {len(data):,} bytes")
    order: Literal["F", "C"] = "F" if fortran_order else "C"
    return np.frombuffer(data, found).reshape(shape, order=order).copy()


def _parse_header(path: str | os.PathLike[str], encoded: NDArray[Any] | None) -> dict[str, Any]:
    try:
        header = json.loads(encoded.tobytes()) if encoded is not None else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.pop("format", None) != FORMAT:
        raise ValueError(f"{path}: not a genegraph graph file; write one with GeneGraph.save().")
    version = header.pop("format_version", None)
    if type(version) is not int or version < 1:
        raise ValueError(f"{path}: damaged (format version {version!r}); make the file again.")
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{path}: written in format {version} by a newer genegraph; this one reads up to "
            f"format {FORMAT_VERSION}. Upgrade genegraph to read it."
        )
    return header
