"""Downloads against a publisher that misbehaves in every way there is a promise about."""

import gzip
import hashlib
import json
import os
from pathlib import Path

import misbehaving as bad
import pytest
from local_publisher import (
    DATA,
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

from genegraph import read_biogrid, read_stringdb
from genegraph.datasets import DownloadError, fetch_biogrid, fetch_string
from genegraph.downloads import progress, stringdb, transfer


@pytest.fixture
def server(monkeypatch):
    yield from serving(monkeypatch)


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "cache"


def test_what_is_fetched_is_what_the_reader_takes_and_is_fetched_once(server, folder):
    files = fetch_string(9606, cache_dir=folder)
    assert files.links == folder / LINKS_NAME
    assert files.links.read_bytes() == LINKS
    assert files.info.read_bytes() == INFO
    table = read_stringdb(*files)
    expected = read_stringdb(
        DATA / "9606.protein.links.v12.0.txt", DATA / "9606.protein.info.v12.0.txt"
    )
    assert table.equals(expected)
    assert fetch_string("human", cache_dir=folder) == files
    assert server.asked == [LINKS_PATH, INFO_PATH]


def test_the_server_is_told_who_asks_and_not_to_pack_again(server, folder):
    fetch_string(cache_dir=folder)
    assert server.headers[0]["User-Agent"].startswith("genegraph/")
    assert server.headers[0]["Accept-Encoding"] == "identity"


def test_biogrid_is_read_from_its_zip(server, folder):
    server.answers[ZIP_PATH] = bad.whole(zipped())
    path = fetch_biogrid(cache_dir=folder)
    assert path == folder / ZIP_NAME
    assert len(read_biogrid(path, taxon=9606)) > 0
    assert fetch_biogrid(cache_dir=folder) == path
    assert server.asked == [ZIP_PATH]


def test_the_record_beside_a_file_holds_the_hash_of_its_bytes(server, folder):
    fetch_string(cache_dir=folder)
    record = json.loads((folder / f"{LINKS_NAME}.record.json").read_text())
    assert record["sha256"] == hashlib.sha256(LINKS).hexdigest()
    assert record["origin"] == server.base + LINKS_PATH


def test_a_shared_cache_can_be_read_by_others(server, folder):
    umask = os.umask(0o022)
    try:
        files = fetch_string(cache_dir=folder)
    finally:
        os.umask(umask)
    assert files.links.stat().st_mode & 0o777 == 0o644


PAGE = b"<!DOCTYPE html><html>Please accept our terms</html>"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (bad.cut(LINKS), r"broke off \(Connection broken: IncompleteRead.*more expected"),
        (bad.cut_unannounced(LINKS), "truncated or damaged"),
        (bad.whole(LINKS, length="many"), "declares a length of 'many'"),
        (bad.whole(b""), "the answer is empty"),
        (bad.whole(PAGE), r"not a gzip file, but a web page"),
        (bad.whole(PAGE, Content_Type="application/gzip"), "a web page"),
        (bad.whole(zipped()), "not a gzip file"),
        (bad.whole(flipped(LINKS)), "truncated or damaged"),
        (bad.whole(LINKS + b"<html>"), "truncated or damaged"),
        (bad.status(403), "answered 403 Forbidden; it may be turning programs away"),
        (bad.status(404), "no such file; check the taxon and the version"),
        (bad.status(429), "too many requests"),
        (bad.status(500), "answered 500"),
        (bad.status(503), "try again later"),
        (bad.status(206), "answered 206"),
        (bad.redirect("http://example.org/links.gz"), "redirected to http://example.org"),
        (bad.redirect("http://127.0.0.1@example.org/"), "redirected to http://example.org"),
        (bad.redirect("ftp://127.0.0.1/links.gz"), "redirected to ftp://127.0.0.1"),
        (bad.redirect("file:///etc/passwd"), "redirected to file://"),
        (bad.redirect(LINKS_PATH), "redirected more than 5 times"),
        (bad.silent, r"sent nothing for 0\.3 seconds"),
        (bad.stall(LINKS, 40), r"sent nothing for 0\.3 seconds"),
        (bad.trickle(LINKS * 100), r"127.0.0.1 sent \d+ bytes in 0\.5 seconds"),
        (bad.hang_up, "no connection to 127.0.0.1"),
    ],
)
def test_a_bad_answer_is_one_error_and_leaves_nothing(server, folder, answer, why):
    server.answers[LINKS_PATH] = answer
    with pytest.raises(DownloadError, match=why) as caught:
        fetch_string(cache_dir=folder)
    assert list(folder.iterdir()) == []
    assert isinstance(caught.value, OSError)
    message = str(caught.value)
    for needed in (LINKS_NAME, server.base + LINKS_PATH, str(folder), "links=...", "fit --links"):
        assert needed in message
    server.answers[LINKS_PATH] = bad.whole(LINKS)
    assert fetch_string(cache_dir=folder).links.read_bytes() == LINKS


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (bad.whole(PAGE), r"not a zip file, but a web page"),
        (bad.cut_unannounced(zipped()), "truncated or damaged"),
        (bad.whole(flipped(zipped())), "truncated or damaged"),
        (bad.whole(LINKS), "not a zip file"),
    ],
)
def test_what_is_not_a_whole_zip_is_refused(server, folder, answer, why):
    server.answers[ZIP_PATH] = answer
    with pytest.raises(DownloadError, match=why) as caught:
        fetch_biogrid(cache_dir=folder)
    assert list(folder.iterdir()) == []
    assert "--biogrid" in str(caught.value)


def test_nobody_listening_is_one_error(server, folder):
    server.close()
    with pytest.raises(DownloadError, match=r"no connection to 127\.0\.0\.1"):
        fetch_string(cache_dir=folder)


def test_an_endless_answer_is_stopped(server, folder, monkeypatch):
    monkeypatch.setattr(transfer, "MAX_BYTES", 20)
    with pytest.raises(DownloadError, match="more than 20"):
        fetch_string(cache_dir=folder)
    server.answers[LINKS_PATH] = bad.cut_unannounced(LINKS)
    with pytest.raises(DownloadError, match="larger than 20 bytes"):
        fetch_string(cache_dir=folder)
    assert list(folder.iterdir()) == []


def test_a_redirect_to_a_known_host_is_followed(server, folder):
    server.answers[LINKS_PATH] = bad.redirect(f"{server.base}/mirror")
    server.answers["/mirror"] = bad.whole(LINKS)
    assert fetch_string(cache_dir=folder).links.read_bytes() == LINKS


def test_a_packed_file_that_is_labelled_as_packing_stays_packed(server, folder):
    server.answers[LINKS_PATH] = bad.whole(LINKS, Content_Encoding="gzip")
    assert fetch_string(cache_dir=folder).links.read_bytes() == LINKS


def test_ctrl_c_leaves_nothing(server, folder, monkeypatch):
    def interrupt(self, num_bytes):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(progress.DownloadBar, "advance", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetch_string(cache_dir=folder)
    assert list(folder.iterdir()) == []
    assert fetch_string(cache_dir=folder).links.read_bytes() == LINKS


@pytest.mark.parametrize(
    ("asked", "error", "why"),
    [
        ({"taxon": "9606"}, TypeError, "whole number such as 9606, or 'human' or 'mouse'"),
        ({"taxon": "dog"}, TypeError, r"got 'dog'"),
        ({"taxon": True}, TypeError, "got True"),
        ({"taxon": 0}, ValueError, r"positive NCBI taxon such as 9606 \(got 0\)"),
        ({"kind": "protein.links"}, ValueError, "one of links, links.detailed"),
        ({"names": "symbols"}, ValueError, "'info' or 'aliases'"),
        ({"version": "12"}, ValueError, r"such as '12.0' \(got '12'\)"),
        ({"version": "../12.0"}, ValueError, "'version' must be"),
        ({"version": 12.0}, ValueError, "'version' must be"),
    ],
)
def test_a_bad_argument_is_refused_before_any_connection(server, folder, asked, error, why):
    with pytest.raises(error, match=why):
        fetch_string(**asked, cache_dir=folder)
    with pytest.raises(ValueError, match=r"such as '5\.0\.261' \(got '5\.0'\)"):
        fetch_biogrid("5.0", cache_dir=folder)
    assert server.asked == []


@pytest.mark.parametrize(
    ("taxon", "kind", "version", "url"),
    [
        (
            9606,
            "links.full",
            "12.0",
            "https://stringdb-downloads.org/download/protein.links.full.v12.0/"
            "9606.protein.links.full.v12.0.txt.gz",
        ),
        (
            10090,
            "physical.links.detailed",
            "11.5",
            "https://stringdb-static.org/download/protein.physical.links.detailed.v11.5/"
            "10090.protein.physical.links.detailed.v11.5.txt.gz",
        ),
    ],
)
def test_the_addresses_are_those_of_the_publisher(taxon, kind, version, url):
    file = stringdb._file(taxon, kind, "links", version)
    assert file.url == url
    assert file.url.split("/")[2] in file.hosts


def test_aliases_come_in_place_of_the_info_file(server, folder):
    aliases = gzip.compress((DATA / "9606.protein.aliases.v12.0.txt").read_bytes())
    name = "9606.protein.aliases.v12.0.txt.gz"
    server.answers[f"/download/protein.aliases.v12.0/{name}"] = bad.whole(aliases)
    files = fetch_string(names="aliases", cache_dir=folder)
    assert files == (folder / LINKS_NAME, None, folder / name)
    assert len(read_stringdb(*files)) > 0
