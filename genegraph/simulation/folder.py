"""A folder that appears whole or not at all."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yields a draft beside the folder, which takes its place once everything is in it.

    Args:
        folder: A folder that is empty or is not there; missing parents are made.

    Yields:
        An empty folder. Whatever ends the block early, Ctrl-C too, removes it.

    Raises:
        FileExistsError: If ``folder`` is a file or holds anything.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     with whole_folder(Path(parent) / "study") as draft:
        ...         _ = (draft / "notes.txt").write_text("hello")
        ...     os.listdir(parent), os.listdir(Path(parent) / "study")
        (['study'], ['notes.txt'])
    """
    _check_free(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.tmp")
    try:
        draft.mkdir()
        yield draft
        _check_free(folder)  # minutes may have passed
        os.replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _check_free(folder: Path) -> None:
    if folder.is_dir():
        found = sorted(entry.name for entry in folder.iterdir())
        if not found:
            return
        what = f"holds {found[0]!r}" + (f" and {len(found) - 1:,} more" if found[1:] else "")
    elif folder.exists():
        what = "is a file"
    else:
        return
    raise FileExistsError(
        f"'folder' must be empty or new, as nothing is overwritten ({folder} {what}); give "
        "another folder, or delete this one first."
    )
