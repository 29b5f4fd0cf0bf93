"""What packed files may hold: nothing that unpacks without end, or points outside its archive."""

import stat
import zipfile
from pathlib import PurePosixPath, PureWindowsPath
from typing import IO

MAX_RATIO = 100
"""Tables of STRING and BioGRID unpack to about ten times their size; deflate allows a thousand."""
FREE_BYTES = 64 << 20
"""So much may come out of any file, whatever the ratio."""
MAX_BYTES = 32 << 30
"""And no more than this of the largest."""
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def most_unpacked(packed: int, free: int = FREE_BYTES) -> int:
    """How many bytes may come out of so many packed ones.

    Example:
        >>> most_unpacked(100) >> 20, most_unpacked(10 << 20) >> 20, most_unpacked(1 << 40) >> 30
        (64, 1000, 32)
    """
    return min(MAX_BYTES, max(free, MAX_RATIO * packed))


def refuse_bomb(label: str, packed: int, free: int = FREE_BYTES) -> ValueError:
    """The error for a file that unpacks to more than it may."""
    return ValueError(
        f"{label} unpacks to more than {most_unpacked(packed, free):,} bytes, from {packed:,}: "
        f"at most {MAX_RATIO} times the packed size are read ({free >> 20} MiB of any file), and "
        f"{MAX_BYTES >> 30} GiB in all. If you trust the file, unpack it yourself and give that."
    )


class LimitedStream:
    """Reads from a stream that unpacks a file, as long as it does not unpack to too much.

    Args:
        stream: Gives unpacked bytes.
        label: The file's name, for messages.
        packed: How many bytes it has, packed.

    Example:
        >>> import gzip, io
        >>> bomb = gzip.compress(bytes(100 << 20))
        >>> stream = LimitedStream(gzip.open(io.BytesIO(bomb)), "links.gz", len(bomb))
        >>> while stream.read(1 << 24):
        ...     pass
        Traceback (most recent call last):
        ValueError: links.gz unpacks to more than 67,108,864 bytes, from ...
    """

    def __init__(self, stream: IO[bytes], label: str, packed: int) -> None:
        self.stream, self.label, self.packed = stream, label, packed
        self.left = most_unpacked(packed)

    def read(self, size: int) -> bytes:
        """Returns so many bytes; fewer only at the end."""
        return self._counted(self.stream.read(size))

    def readline(self, size: int) -> bytes:
        """Returns the next line, or as many bytes of it."""
        return self._counted(self.stream.readline(size))

    def _counted(self, content: bytes) -> bytes:
        self.left -= len(content)
        if self.left < 0:
            raise refuse_bomb(self.label, self.packed)
        return content


def check_members(archive: zipfile.ZipFile, label: str) -> None:
    """Refuses a zip with a member that has no business in a data file, whether it is used or not.

    Raises:
        ValueError: If a member's name is absolute, leads out of the archive or is there twice, or
            if a member is a symbolic link, encrypted, or packed in another way than deflate.
    """
    names = set()
    for member in archive.infolist():
        why = _why_refused(member)
        if member.filename in names:
            why = "is there twice"
        names.add(member.filename)
        if why is not None:
            raise ValueError(
                f"{label}: its member {member.filename[:80]!r} {why}; such an archive is not read. "
                "Get it again from its publisher."
            )


def check_size(archive: zipfile.ZipFile, member: zipfile.ZipInfo, label: str, free: int) -> None:
    """Refuses a member that declares more than it may unpack to; more never comes out of it."""
    packed = min(member.compress_size, _size_of(archive))
    if member.file_size > most_unpacked(packed, free):
        raise refuse_bomb(f"{label}, member {member.filename[:80]!r},", packed, free)


def _why_refused(member: zipfile.ZipInfo) -> str | None:
    if not member.filename:
        return "has no name"
    # Read as on every system: 'C:\\x' and '..\\x' are plain names to one, and ways out to another.
    forms = (PurePosixPath(member.filename), PureWindowsPath(member.filename))
    if any(form.is_absolute() or form.anchor for form in forms):
        return "has an absolute path"
    if any(".." in form.parts for form in forms):
        return "leads out of the archive"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a symbolic link"
    if member.flag_bits & 0x1:
        return "is encrypted; BioGRID publishes its releases without a password"
    if member.compress_type not in _PACKINGS:
        return "is neither stored nor deflated"
    return None


def _size_of(archive: zipfile.ZipFile) -> int:
    file = archive.fp
    assert file is not None
    place = file.tell()
    size = file.seek(0, 2)
    file.seek(place)
    return size
