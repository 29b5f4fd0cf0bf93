"""Cells whose file holds them, and does not point at other files."""

from pathlib import Path


def check_own_bytes(path: Path) -> None:
    """Raises an error if a part of an HDF5 file lies in another file.

    HDF5 may say of a dataset that its values are the bytes of any other file, or put a link to
    another file in its place; both would be read with the rights of whoever opens the file.

    Args:
        path: An .h5ad file.

    Raises:
        OSError: If it is no HDF5 file.
        ValueError: If it points at another file; it names the part and that file.

    Example:
        >>> import tempfile
        >>> import h5py
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with h5py.File(f"{folder}/a.h5", "w") as file:
        ...         file["X"] = [1.0, 2.0]
        ...     check_own_bytes(Path(folder, "a.h5"))
    """
    import h5py

    with h5py.File(path, "r") as file:
        groups, seen = [file], set()
        while groups:
            group = groups.pop()
            address = h5py.h5o.get_info(group.id).addr
            if address in seen:  # groups may be linked to in a ring
                continue
            seen.add(address)
            for name in group:
                link = group.get(name, getlink=True)
                place = f"{group.name.rstrip('/')}/{name}"
                if isinstance(link, h5py.ExternalLink):
                    raise _elsewhere(path, place, link.filename)
                if not isinstance(link, h5py.HardLink):
                    continue  # a soft link leads to a part that has a place of its own
                part = group[name]
                if isinstance(part, h5py.Group):
                    groups.append(part)
                elif isinstance(part, h5py.Dataset):
                    if part.external:
                        raise _elsewhere(path, place, part.external[0][0])
                    if part.is_virtual:
                        raise _elsewhere(path, place, part.virtual_sources()[0].file_name)


def _elsewhere(path: Path, part: str, other: str) -> ValueError:
    return ValueError(
        f"{path} must hold its cells itself, but {part} lies in another file ({other!r}). Write "
        "the cells anew with adata.write_h5ad() if you trust both."
    )
