"""What comes is the file that was asked for, is bounded, and never goes where a link points."""

import gzip
import io
import os
import zipfile

import misbehaving as bad
import pytest
from local_publisher import (
    INFO,
    INFO_PATH,
    LINKS,
    LINKS_NAME,
    LINKS_PATH,
    ZIP_NAME,
    ZIP_PATH,
    flipped,
    serving,
    zipped,
)

from genegraph.datasets import DownloadError, fetch_biogrid, fetch_string


@pytest.fixture
def server(monkeypatch):
    yield from serving(monkeypatch)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def archive(*members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members:
            packed.writestr(name, content)
    return file.getvalue()


MOUSE = gzip.compress(gzip.decompress(LINKS).replace(b"9606.", b"10090."))
TABLE = "BIOGRID-ORGANISM-Homo_sapiens-{}.tab3.txt"


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (LINKS_PATH, INFO),
        (LINKS_PATH, MOUSE),
        (LINKS_PATH, gzip.compress(b"<html>Sign in</html>")),
        (LINKS_PATH, gzip.compress(b"")),
        (INFO_PATH, LINKS),
        (INFO_PATH, gzip.compress(b"#string_protein_id\talias\tsource\n9606.P1\tA\tb\n")),
    ],
    ids=["info", "mouse", "page", "nothing", "links", "aliases"],
)
def test_another_file_than_was_asked_for_never_reaches_the_cache(server, folder, path, answer):
    server.answers[path] = bad.whole(answer)
    with pytest.raises(DownloadError, match="what came is another file: it holds"):
        fetch_string(cache_dir=folder)
    assert not (folder / path.rpartition("/")[2]).exists()
    assert len(list(folder.iterdir())) == (0 if path == LINKS_PATH else 2)


def test_another_release_than_was_asked_for_never_reaches_the_cache(server, folder):
    server.answers[ZIP_PATH] = bad.whole(archive((TABLE.format("4.4.240"), "...")))
    with pytest.raises(DownloadError, match=r"what came is another file: it holds 'BIOGRID"):
        fetch_biogrid(cache_dir=folder)
    assert list(folder.iterdir()) == []


def test_a_swapped_file_of_the_publisher_is_not_taken_from_the_folder_either(server, folder):
    folder.mkdir()
    (folder / LINKS_NAME).write_bytes(INFO)
    with pytest.raises(DownloadError, match=r"is another file: it holds .*Delete it"):
        fetch_string(cache_dir=folder)
    assert (folder / LINKS_NAME).read_bytes() == INFO
    assert server.asked == []


@pytest.mark.parametrize(
    ("name", "why"),
    [("../../evil.txt", "leads out of the archive"), ("/etc/evil.txt", "has an absolute path")],
)
def test_a_zip_with_a_way_out_never_reaches_the_cache(server, folder, name, why):
    server.answers[ZIP_PATH] = bad.whole(archive((TABLE.format("5.0.261"), "..."), (name, "...")))
    with pytest.raises(DownloadError, match=rf"not to be trusted .*{why}"):
        fetch_biogrid(cache_dir=folder)
    assert list(folder.iterdir()) == []


def test_a_bomb_never_reaches_the_cache(server, folder):
    server.answers[LINKS_PATH] = bad.whole(gzip.compress(bytes(70 << 20)))
    with pytest.raises(DownloadError, match=r"not to be trusted .*unpacks to more than"):
        fetch_string(cache_dir=folder)
    server.answers[ZIP_PATH] = bad.whole(archive((TABLE.format("5.0.261"), bytes(70 << 20))))
    with pytest.raises(DownloadError, match=r"not to be trusted .*unpacks to more than"):
        fetch_biogrid(cache_dir=folder)
    assert list(folder.iterdir()) == []


def test_a_link_in_the_cache_is_replaced_and_what_it_points_to_left_alone(server, folder, tmp_path):
    """Who may write into a shared cache must not make us write elsewhere."""
    target = tmp_path / "precious"
    target.write_bytes(flipped(LINKS))
    fetch_string(cache_dir=folder)
    (folder / LINKS_NAME).unlink()
    (folder / LINKS_NAME).symlink_to(target)
    with pytest.warns(UserWarning, match="is damaged"):
        links = fetch_string(cache_dir=folder).links
    assert links.read_bytes() == LINKS
    assert not links.is_symlink()
    assert target.read_bytes() == flipped(LINKS)


def test_a_link_to_nowhere_is_replaced(server, folder, tmp_path):
    folder.mkdir()
    record = folder / f"{LINKS_NAME}.record.json"
    for path in (folder / LINKS_NAME, record):
        path.symlink_to(tmp_path / f"not there {path.name}")
    assert fetch_string(cache_dir=folder).links.read_bytes() == LINKS
    assert not any(path.is_symlink() for path in folder.iterdir())
    assert os.listdir(tmp_path) == ["cache"]


def test_a_damaged_zip_is_fetched_again_and_it_is_said(server, folder):
    server.answers[ZIP_PATH] = bad.whole(zipped())
    path = fetch_biogrid(cache_dir=folder)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match=rf"{ZIP_NAME} is damaged.*fetched again"):
        assert fetch_biogrid(cache_dir=folder).read_bytes() == whole
    assert server.asked == [ZIP_PATH, ZIP_PATH]


def test_what_is_left_of_an_interrupted_download_is_not_built_upon(server, folder):
    server.answers[LINKS_PATH] = bad.cut(LINKS)
    for _ in range(3):
        with pytest.raises(DownloadError, match="broke off"):
            fetch_string(cache_dir=folder)
        assert list(folder.iterdir()) == []
    server.answers[LINKS_PATH] = bad.whole(LINKS)
    assert fetch_string(cache_dir=folder).links.read_bytes() == LINKS
