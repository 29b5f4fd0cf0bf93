"""Several processes, killed ones and full disks: the cache holds whole files or none."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import misbehaving as bad
import pytest
from local_publisher import INFO_PATH, LINKS, LINKS_NAME, LINKS_PATH, serving

from genegraph.datasets import fetch_string

FETCH = """
import resource, sys
from genegraph.downloads import fetch_string, stringdb, transfer
from genegraph.downloads.remote_file import Publisher
base, folder, largest = sys.argv[1:]
stringdb.STRING = Publisher(base, frozenset({"127.0.0.1"}))
transfer.SCHEME = "http"
if int(largest):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(largest), int(largest)))
print(fetch_string(cache_dir=folder).links)
"""


@pytest.fixture
def server(monkeypatch):
    yield from serving(monkeypatch)


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "cache"


def start(server, folder, largest=0):
    command = [sys.executable, "-W", "error", "-c", FETCH, server.base, folder, str(largest)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_that_fetch_one_file_at_once_both_succeed(server, folder):
    both = threading.Barrier(2)

    def together(handler):
        both.wait(60)  # each is asked for the file before either has it
        bad.whole(LINKS)(handler)

    server.answers[LINKS_PATH] = together
    processes = [start(server, folder) for _ in range(2)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert Path(out.strip()) == folder / LINKS_NAME
    assert server.asked.count(LINKS_PATH) == 2
    assert (folder / LINKS_NAME).read_bytes() == LINKS
    assert sorted(path.name for path in folder.iterdir()) == [
        "9606.protein.info.v12.0.txt.gz",
        "9606.protein.info.v12.0.txt.gz.record.json",
        LINKS_NAME,
        f"{LINKS_NAME}.record.json",
    ]


def test_a_process_killed_in_a_download_leaves_no_file_of_that_name(server, folder):
    started = threading.Event()
    server.answers[LINKS_PATH] = bad.stall(LINKS, len(LINKS) - 1, started)
    process = start(server, folder)
    assert started.wait(60)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert not (folder / LINKS_NAME).exists()
    assert not (folder / f"{LINKS_NAME}.record.json").exists()
    server.answers[LINKS_PATH] = bad.whole(LINKS)
    assert fetch_string(cache_dir=folder).links.read_bytes() == LINKS


def test_a_full_disk_is_one_error_and_leaves_nothing(server, folder):
    process = start(server, folder, largest=50)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "DownloadError" in err.splitlines()[-1]
    assert "File too large" in err.splitlines()[-1]
    assert list(folder.iterdir()) == []
    assert server.asked == [LINKS_PATH]


def test_a_process_killed_before_the_file_is_in_place_is_made_good(server, folder):
    """The record is written first; the next download is held against it."""
    fetch_string(cache_dir=folder).links.unlink()
    assert fetch_string(cache_dir=folder).links.read_bytes() == LINKS
    assert server.asked == [LINKS_PATH, INFO_PATH, LINKS_PATH]
