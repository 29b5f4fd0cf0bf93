"""Opens text files, plain or gzip, and cuts them into blocks of whole lines."""

import gzip
import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

from genegraph.archives import LimitedStream

BLOCK_BYTES = 1 << 24
LINE_BYTES = 1 << 20
HEADER_BYTES = 1 << 16


class Block(NamedTuple):
    """Some whole lines of a file, and the number of the first one."""

    text: bytes
    first_line: int


def checked_path(path: str | os.PathLike[str]) -> Path:
    """Turns the caller's argument into the path of a file that is there and is not empty."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a directory; give the path of one file in it.")
    if path.stat().st_size == 0:
        raise ValueError(f"{path.name} is empty (0 bytes); download it again.")
    return path


def sha256_of(path: Path) -> str:
    """Fingerprint of the file as it lies on disk (compressed, if it is)."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def open_text(path: Path) -> Iterator[IO[bytes]]:
    """Opens a plain or a gzip file, told apart by their first bytes and not by their names."""
    with path.open("rb") as raw:
        magic = raw.read(4)
        raw.seek(0)
        if magic.startswith(b"\x1f\x8b"):
            with gzip.open(raw) as unpacked:
                limited = LimitedStream(cast(IO[bytes], unpacked), path.name, path.stat().st_size)
                yield cast(IO[bytes], limited)
        elif magic.startswith(b"PK\x03\x04"):
            raise ValueError(f"{path.name} is a zip archive; give a plain text or a gzip file.")
        else:
            yield raw


@contextmanager
def damage_named(label: str) -> Iterator[None]:
    """Answers a broken archive with a sentence that names the file."""
    try:
        yield
    except (
        EOFError,
        zlib.error,
        gzip.BadGzipFile,
        zipfile.BadZipFile,
        NotImplementedError,
    ) as error:
        raise ValueError(
            f"{label} is truncated or damaged ({error}); download it again and compare its size."
        ) from error


def read_header(stream: IO[bytes], label: str) -> str:
    """Reads the first line, without byte-order mark and line end."""
    with damage_named(label):
        line = stream.readline(HEADER_BYTES)
    if not line.strip():
        raise ValueError(f"{label}, line 1: expected a header (got an empty line).")
    if len(line) == HEADER_BYTES:
        raise ValueError(f"{label}, line 1 is longer than {HEADER_BYTES:,} bytes: not a table.")
    return decoded(line, label).removeprefix("\ufeff").rstrip("\r\n")


def decoded(text: bytes, label: str) -> str:
    """Decodes UTF-8, the encoding of every file read here."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{label} is not UTF-8 text ({error.reason}); is it a table?") from error


def line_blocks(stream: IO[bytes], label: str, first_line: int = 2) -> Iterator[Block]:
    """Yields the rest of a stream in blocks of about 16 MiB that end with a line."""
    with damage_named(label):
        rest = b""
        while piece := stream.read(BLOCK_BYTES):
            _check_text(piece, label)
            end = piece.rfind(b"\n") + 1
            if len(rest) + (piece.find(b"\n") if end else len(piece)) > LINE_BYTES:
                raise ValueError(
                    f"{label}, line {first_line} or after: a line is longer than {LINE_BYTES:,} "
                    "bytes: not a table."
                )
            if not end:
                rest += piece
                continue
            text = rest + piece[:end]
            rest = piece[end:]
            yield Block(text, first_line)
            first_line += text.count(b"\n")
        if rest:
            yield Block(rest, first_line)


def _check_text(piece: bytes, label: str) -> None:
    """The parser would end a name at a NUL and drop the rest of it."""
    if b"\0" in piece:
        raise ValueError(f"{label} is not UTF-8 text (it holds NUL bytes); is it a table?")
