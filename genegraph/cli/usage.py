"""What is wrong about a command before any work is done."""

from pathlib import Path


class UsageError(ValueError):
    """Arguments that do not go together, or a place where nothing may be written."""


def check_inputs(*paths: Path | None) -> None:
    """Refuses files that are not there."""
    for path in paths:
        if path is not None and not path.is_file():
            what = "is a folder, not a file" if path.is_dir() else "does not exist"
            raise FileNotFoundError(f"{path} {what}.")


def check_output(path: Path, force: bool, suffixes: tuple[str, ...] = ()) -> None:
    """Refuses an output file of an unknown kind, without a folder, or that exists already."""
    if suffixes and path.suffix not in suffixes:
        known = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}" if suffixes[1:] else suffixes[0]
        raise UsageError(f"--out must end in {known} (got {path.name!r}).")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder {path.parent} for {path.name} does not exist.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file.")
    if path.exists() and not force:
        raise FileExistsError(f"{path} exists already; name another file or pass --force.")
