"""Files that can be read without running anything: one safetensors file with JSON inside.

`write_safe` and `read_safe` hold tensors and a JSON document. `flatten_tree` and
`unflatten_tree` turn nested Python objects, such as a training checkpoint, into those two and
back. Nothing is pickled.

The hash in a file tells damage from wear; it is no signature and proves no author.
"""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from genegraph.files import write_whole
from genegraph.tree_codec import check_storable, flatten_tree, unflatten_tree
from genegraph.version import __version__

__all__ = ["flatten_tree", "read_safe", "unflatten_tree", "write_safe"]

_KEY = "genegraph"
MAX_HEADER = 100_000_000
"""Bytes of JSON that safetensors takes, too."""
_SEALED = re.compile(r'(\{.*), "sha256": "([0-9a-f]{64})"\}')


def write_safe(
    path: str | os.PathLike[str],
    tensors: dict[str, torch.Tensor],
    meta: dict[str, Any],
    *,
    kind: str,
    version: int,
) -> None:
    r"""Writes tensors and a JSON document into one safetensors file, all of it or nothing.

    The header's metadata holds, under ``"genegraph"``, the JSON object ``{"kind", "format",
    "genegraph", "meta", "sha256"}``: what the file is, the version of its format, the version
    of genegraph that wrote it, ``meta``, and the hash, in hexadecimal, of the following bytes
    in this order: the length of that JSON text without its last member, and a line end; the
    text without it; and for each tensor, in the order of the names, a line with the JSON list
    ``[name, dtype, shape]`` and its raw values (little-endian, C order).

    The file is first written under a temporary name in the same folder, brought to disk, and
    then moved to its place, so that a reader finds the old file or the new one.

    Args:
        path: The file to write; an older one is replaced.
        tensors: Dense tensors on any device; stored from the CPU in C order. Tensors that
            share memory are stored once each.
        meta: Anything that JSON can hold, without NaN and infinity.
        kind: What the file holds, for example ``"model"``.
        version: The version of the format of ``tensors`` and ``meta``, from 1.

    Raises:
        TypeError: If ``meta`` holds what JSON cannot, or a tensor has no safetensors format.
        ValueError: If ``meta`` holds NaN or infinity, or exceeds about 100 MB as JSON.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = f"{folder}/weights.safetensors"
        ...     write_safe(path, {"w": torch.ones(2)}, {"lr": 0.1}, kind="model", version=1)
        ...     read_safe(path, kind="model", version=1)
        ({'w': tensor([1., 1.])}, {'lr': 0.1})
    """
    document = {"kind": kind, "format": version, "genegraph": __version__, "meta": meta}
    text = json.dumps(document, allow_nan=False)
    stored = _storable(tensors)
    try:
        content = save(stored, {_KEY: f'{text[:-1]}, "sha256": "{_hash(text, stored)}"}}'})
    except SafetensorError as error:
        raise ValueError(f"{path} cannot be written: {error} ({len(text):,} bytes).") from error
    write_whole(Path(path), content)


def read_safe(
    path: str | os.PathLike[str], *, kind: str, version: int
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Reads a file that `write_safe` wrote; nothing in the file is ever executed.

    Args:
        path: The file.
        kind: What it must hold.
        version: The version of the format that the caller understands.

    Returns:
        The tensors, on the CPU, and the JSON document ``meta``.

    Raises:
        FileNotFoundError: If there is no such file.
        IsADirectoryError: If it is a folder.
        ValueError: If it is not a genegraph file, holds another kind, has another format
            version, or is damaged.
    """
    content = _read_declared(path)
    text, expected = _read_header(path, content)
    document = _parse(path, text)
    if document["format"] != version:
        age = "newer" if document["format"] > version else "older"
        raise ValueError(
            f"{path} must have format {version} (got {document['format']}, which is {age}): it "
            f"was written by genegraph {document['genegraph']}, and this is {__version__}. "
            + ("Update genegraph." if age == "newer" else "Write it again with this version.")
        )
    try:
        tensors = load(content)
    except Exception as error:  # whatever a damaged header makes safetensors and torch say
        raise _damaged(path, str(error)) from error
    if _hash(text, tensors) != expected:
        raise _damaged(path, "its sha256 does not match its content")
    if document["kind"] != kind:
        raise ValueError(f"{path} must hold a {kind} (got a {document['kind']}).")
    return tensors, document["meta"]


def _read_declared(path: str | os.PathLike[str]) -> bytes:
    """Reads a file that is as long as its header says; of another one only the header."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if length > min(size - len(start), MAX_HEADER):
            return start + file.read(8)  # enough to say what it is instead
        start += file.read(length)
        return start + file.read() if len(start) + _declared(start[8:]) == size else start


def _declared(header: bytes) -> int:
    """How many bytes of tensors a header declares; -1 if it is none."""
    try:
        tensors = {k: v for k, v in json.loads(header).items() if k != "__metadata__"}
        ends = [tensor["data_offsets"][1] for tensor in tensors.values()]
        return max(ends, default=0) if all(type(end) is int for end in ends) else -1
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return -1


def _storable(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    stored: dict[str, torch.Tensor] = {}
    memory = set()
    for name, tensor in tensors.items():
        check_storable(tensor, repr(name))
        tensor = tensor.detach().cpu().contiguous()
        address = tensor.untyped_storage().data_ptr()
        stored[name] = tensor.clone() if address in memory else tensor
        memory.add(address)
    return stored


def _hash(text: str, tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256(f"{len(text)}\n{text}".encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        line = json.dumps([name, str(tensor.dtype), list(tensor.shape)])
        digest.update(f"{line}\n".encode())
        if tensor.numel():
            values: Any = tensor.reshape(-1).view(torch.uint8).numpy()
            digest.update(values)
    return digest.hexdigest()


def _read_header(path: str | os.PathLike[str], content: bytes) -> tuple[str, str]:
    """Gives the JSON text and the hash, from the first bytes: a length, then the header."""
    # A length may begin with these bytes by chance; then the JSON header follows it.
    if content.startswith((b"PK", b"\x80")) and content[8:9] != b"{":
        raise ValueError(
            f"{path} must be a genegraph file (got a zip or pickle file, such as torch.save "
            "writes). Reading those can run programs hidden inside, so genegraph does not."
        )
    length = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + length])
        sealed = header["__metadata__"][_KEY]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        found = f"one that begins with {content[:16]!r}" if content else "0 bytes"
        raise ValueError(
            f"{path} must be a genegraph file (got {found}). Check that it is the file meant, and "
            "complete."
        ) from error
    parts = _SEALED.fullmatch(sealed) if isinstance(sealed, str) else None
    if parts is None:
        raise _damaged(path, "its metadata does not end in a sha256")
    return parts[1] + "}", parts[2]


def _parse(path: str | os.PathLike[str], text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"its JSON cannot be read, {error}") from error
    types = {"kind": str, "format": int, "genegraph": str, "meta": dict}
    if not isinstance(document, dict) or any(
        type(document.get(name)) is not expected for name, expected in types.items()
    ):
        raise _damaged(path, "its JSON lacks " + ", ".join(types))
    return document


def _damaged(path: str | os.PathLike[str], why: str) -> ValueError:
    return ValueError(f"{path} is damaged: {why}. Copy or download it again.")
