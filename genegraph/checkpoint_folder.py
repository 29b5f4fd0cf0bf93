"""The folder of a fit's checkpoints: the last two, each of them whole."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genegraph.files import sync_folder, write_whole

LAST, BEFORE = "last.ckpt", "before.ckpt"
"""The newest checkpoint, and the one before it."""
NEXT = "next.ckpt"
"""A checkpoint that is whole, before it becomes the last."""


def open_folder(folder: str | os.PathLike[str]) -> Path:
    """Makes the folder if need be, and tries whether files can be written there.

    Raises:
        OSError: If they cannot.  Better now than after an epoch.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as above:
        ...     open_folder(f"{above}/state").is_dir()
        True
    """
    folder = Path(folder)
    probe = folder / ".probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(probe, b"")
        probe.unlink(missing_ok=True)
        for part in folder.glob(f".{NEXT}.*.tmp*"):  # of a process killed while it wrote
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(
            error.errno,
            f"'checkpoint_dir' must be a folder that can be written to (got {str(folder)!r}: "
            f"{error.strerror}). Choose another folder, or make room there",
        ) from error
    return folder


def promote(folder: Path) -> None:
    """Makes the checkpoint :data:`NEXT` the last one, and the last the one before.

    A process killed in between leaves at least one of the two, whole.
    """
    if (folder / LAST).exists():
        os.replace(folder / LAST, folder / BEFORE)
    os.replace(folder / NEXT, folder / LAST)
    sync_folder(folder)


def newest(folder: Path, read: Callable[[Path], Any]) -> Path | None:
    """Returns the newest checkpoint that can be read, None where there is none yet.

    Args:
        folder: Where to look.
        read: Reads a checkpoint, and raises a ValueError if it is damaged.

    Raises:
        ValueError: If there are checkpoints, but none can be read.
    """
    found = [path for path in (folder / LAST, folder / BEFORE) if path.exists()]
    reasons: list[ValueError] = []
    for path in found:
        try:
            read(path)
        except ValueError as error:
            reasons.append(error)
            continue
        if reasons:
            warnings.warn(
                f"The newest checkpoint cannot be read: {reasons[0]} Training goes on from the "
                f"one before, {path}.",
                stacklevel=2,
            )
        return path
    if reasons:
        raise ValueError(
            f"No checkpoint in 'checkpoint_dir' can be read: {reasons[0]} Empty the folder to "
            "start afresh."
        ) from reasons[0]
    return None
