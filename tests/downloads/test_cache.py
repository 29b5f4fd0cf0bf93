"""What lies in the cache is what was fetched first, or it is said that it is not."""

import gzip
import hashlib
import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import misbehaving as bad
import pytest
from local_publisher import INFO_PATH, LINKS, LINKS_NAME, LINKS_PATH, flipped, serving

from genegraph.datasets import DownloadError, fetch_string
from genegraph.downloads.cache import cache_folder

OTHER = gzip.compress(gzip.decompress(LINKS).replace(b" 901", b" 902"))


@pytest.fixture
def server(monkeypatch):
    yield from serving(monkeypatch)


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "cache"


def test_a_damaged_file_is_fetched_again_and_it_is_said(server, folder):
    links = fetch_string(cache_dir=folder).links
    links.write_bytes(flipped(LINKS))
    with pytest.warns(UserWarning, match="is damaged: its SHA-256 is not the one recorded on"):
        assert fetch_string(cache_dir=folder).links == links
    assert links.read_bytes() == LINKS
    assert server.asked == [LINKS_PATH, INFO_PATH, LINKS_PATH]


def test_a_damaged_file_is_never_returned_when_it_cannot_be_fetched_again(server, folder):
    links = fetch_string(cache_dir=folder).links
    links.write_bytes(b"")
    server.answers[LINKS_PATH] = bad.status(503)
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(DownloadError, match="answered 503"),
    ):
        fetch_string(cache_dir=folder)


def test_a_file_that_changed_at_the_publisher_is_refused_until_the_record_is_deleted(
    server, folder
):
    links = fetch_string(cache_dir=folder).links
    links.unlink()
    server.answers[LINKS_PATH] = bad.whole(OTHER)
    with pytest.raises(DownloadError, match="no longer the file that was recorded") as caught:
        fetch_string(cache_dir=folder)
    assert not links.exists()
    record = folder / f"{LINKS_NAME}.record.json"
    for needed in (LINKS, OTHER):
        assert hashlib.sha256(needed).hexdigest() in str(caught.value)
    assert str(record) in str(caught.value)
    record.unlink()
    assert fetch_string(cache_dir=folder).links.read_bytes() == OTHER


def test_a_file_put_there_by_hand_is_used_recorded_and_watched(server, folder):
    folder.mkdir()
    (folder / LINKS_NAME).write_bytes(OTHER)
    assert fetch_string(cache_dir=folder).links.read_bytes() == OTHER
    assert server.asked == [INFO_PATH]
    record = json.loads((folder / f"{LINKS_NAME}.record.json").read_text())
    assert record["sha256"] == hashlib.sha256(OTHER).hexdigest()
    assert record["origin"] == "found in the folder"
    (folder / LINKS_NAME).write_bytes(LINKS)
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(DownloadError, match="no longer the file"),
    ):
        fetch_string(cache_dir=folder)


def test_a_web_page_saved_by_hand_is_neither_used_nor_replaced(server, folder):
    folder.mkdir()
    (folder / LINKS_NAME).write_bytes(b"<html>Sign in</html>")
    with pytest.raises(DownloadError, match=r"not a gzip file, but a web page\. Delete it"):
        fetch_string(cache_dir=folder)
    assert (folder / LINKS_NAME).read_bytes() == b"<html>Sign in</html>"
    assert server.asked == []
    (folder / LINKS_NAME).unlink()
    assert fetch_string(cache_dir=folder).links.read_bytes() == LINKS


@pytest.mark.parametrize(
    "content",
    [b"", b"[1]", b'{"sha256": "0", "date": "", "origin": ""}', b"\xff\xfe", b"[" * 10**5],
)
def test_a_damaged_record_is_an_error_that_says_what_to_delete(server, folder, content):
    fetch_string(cache_dir=folder)
    record = folder / f"{LINKS_NAME}.record.json"
    record.write_bytes(content)
    with pytest.raises(DownloadError, match=r"record\.json must hold the SHA-256.*delete it"):
        fetch_string(cache_dir=folder)
    record.unlink()
    assert fetch_string(cache_dir=folder).links.read_bytes() == LINKS


def test_the_folder_is_that_of_the_argument_then_the_environment_then_the_user(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("GENEGRAPH_CACHE_DIR", raising=False)
    assert cache_folder() == tmp_path / "genegraph"
    monkeypatch.setenv("GENEGRAPH_CACHE_DIR", "~/graphs")
    assert cache_folder() == Path.home() / "graphs"
    assert cache_folder(tmp_path) == tmp_path
    monkeypatch.setenv("GENEGRAPH_CACHE_DIR", "")
    assert cache_folder() == tmp_path / "genegraph"


@contextmanager
def unprivileged():
    """Root may write everywhere; be nobody meanwhile."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder():
    """A folder that others may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)
        os.chmod(folder, 0o755)


@pytest.mark.parametrize("recorded", [True, False])
def test_a_folder_that_may_not_be_written_still_gives_what_it_has(server, open_folder, recorded):
    fetch_string(cache_dir=open_folder)
    if not recorded:
        (open_folder / f"{LINKS_NAME}.record.json").unlink()
    os.chmod(open_folder, 0o555)
    with unprivileged():
        assert fetch_string(cache_dir=open_folder).links.read_bytes() == LINKS
    assert server.asked == [LINKS_PATH, INFO_PATH]


def test_a_folder_that_may_not_be_written_is_one_error(server, open_folder):
    os.chmod(open_folder, 0o555)
    with unprivileged(), pytest.raises(DownloadError, match=r"Permission.*GENEGRAPH_CACHE_DIR"):
        fetch_string(cache_dir=open_folder)
    assert list(open_folder.iterdir()) == []


def test_a_folder_that_is_a_file_is_one_error(server, tmp_path):
    (tmp_path / "cache").write_text("not a folder")
    with pytest.raises(DownloadError, match=r"cache_dir"):
        fetch_string(cache_dir=tmp_path / "cache")
