"""Files that are there whole or not at all."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file under a temporary name beside it, then renames it; both reach the disk.

    Args:
        path: Where to write; a file there is replaced.
        content: All of it.

    Raises:
        OSError: If it cannot be written; what was there before is then still there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_whole(f"{folder}/a.txt", b"all or nothing")
        ...     Path(folder, "a.txt").read_text()
        'all or nothing'
    """
    with whole_file(path) as draft, open(draft, "xb") as file:
        file.write(content)


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields the path of a draft beside the file, which takes its place once it is written.

    A symbolic link at ``path`` is replaced, and what it points to left alone.

    Args:
        path: Where to write; a file there is replaced.

    Yields:
        A path of the same ending, with no file yet. Whatever ends the block early removes it.

    Raises:
        OSError: If it cannot be written; what was there before is then still there.
    """
    path = Path(path)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp{path.suffix}")
    try:
        yield draft
        with open(draft, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)  # the new name, too, must reach the disk


def sync_folder(folder: Path) -> None:
    """Waits until the names of the files in a folder are on the disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
