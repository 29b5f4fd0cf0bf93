"""Files kept in the user's cache folder: fetched once, held against their record ever after."""

import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import pooch

from genegraph.downloads.content import check_content
from genegraph.downloads.record import Record, read_record, record_path, write_record
from genegraph.downloads.remote_file import DownloadError, RemoteFile, failed
from genegraph.downloads.transfer import TransferError, transfer
from genegraph.interactions.text_files import sha256_of

CacheDir = str | os.PathLike[str] | None


def cached(file: RemoteFile, cache_dir: CacheDir = None) -> Path:
    """Gives the path of a file in the cache, fetching it if it is not there whole.

    Raises:
        DownloadError: If it has to be fetched and cannot be, or is not what it was.
    """
    folder = cache_folder(cache_dir)
    path = folder / file.name
    try:
        there = path.exists()  # asked first: of a file that was fetched, the record came before it
        record = read_record(path)
        if there and record is None:
            _adopt(file, path)
        elif record is None or not there:
            _fetch(file, path, record)
        elif sha256_of(path) != record.sha256:
            warnings.warn(
                f"{path} is damaged: its SHA-256 is not the one recorded on {record.date}. It is "
                "fetched again.",
                stacklevel=3,
            )
            _fetch(file, path, record)
    except DownloadError:
        raise
    except (OSError, ValueError) as error:
        raise failed(file, folder, error) from error
    return path


def cache_folder(cache_dir: CacheDir = None) -> Path:
    """The folder named by the argument, else by the environment, else the user's cache."""
    named = cache_dir or os.environ.get("GENEGRAPH_CACHE_DIR") or pooch.os_cache("genegraph")
    return Path(named).expanduser().absolute()


def _adopt(file: RemoteFile, path: Path) -> None:
    """Takes a file that someone put there by hand; it is theirs, so it is never replaced."""
    try:
        check_content(path, file.packing, file.holds)
    except ValueError as error:
        raise DownloadError(
            f"{path} is {error}. Delete it to have it fetched, or put {file.url} in its place."
        ) from error
    with suppress(OSError):  # in a folder of someone else it is unpacked each time
        write_record(path, sha256_of(path), "found in the folder")


def _fetch(file: RemoteFile, path: Path, record: Record | None) -> None:
    """Downloads to a temporary name, which pooch moves into place once all checks have passed."""

    def download(url: str, temporary: str, _: Any) -> None:
        # pooch makes the temporary file readable for its owner alone; a cache may be shared.
        os.unlink(temporary)
        with open(temporary, "xb") as target:
            transfer(url, file.hosts, target, file.name)
            target.flush()
            os.fsync(target.fileno())
        _check_download(file, Path(temporary), path)

    pooch.get_logger().setLevel("WARNING")  # the bar says what is being downloaded
    source = pooch.create(
        path=path.parent,
        base_url="",
        registry={file.name: record.sha256 if record else None},
        urls={file.name: file.url},
    )
    source.fetch(file.name, downloader=download)


def _check_download(file: RemoteFile, temporary: Path, path: Path) -> None:
    try:
        check_content(temporary, file.packing, file.holds)
    except ValueError as error:
        raise TransferError(f"what came is {error}") from error
    sha256 = sha256_of(temporary)
    record = read_record(path)  # again: another process may have recorded it meanwhile
    if record is None:
        write_record(path, sha256, file.url)
    elif sha256 != record.sha256:
        raise DownloadError(
            f"{file.name} is no longer the file that was recorded on {record.date}: its SHA-256 "
            f"was {record.sha256} and is now {sha256} at {file.url}. Results may not be "
            f"comparable. To take the new file, delete {record_path(path)} and fetch it again."
        )
