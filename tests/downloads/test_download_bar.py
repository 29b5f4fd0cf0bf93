import io

import pytest
from rich.console import Console

from genegraph.downloads import progress
from genegraph.downloads.progress import DownloadBar


def drawn(terminal: bool) -> str:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=100)
    with DownloadBar("9606.protein.info.v12.0.txt.gz", 2000, console) as bar:
        bar.advance(1000)
        bar.advance(1000)
    return screen.getvalue()


def test_a_fast_download_shows_no_bar():
    assert drawn(terminal=True) == ""


def test_a_slow_download_shows_its_name_and_size(monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    shown = drawn(terminal=True)
    assert "9606.protein.info.v12.0.txt.gz" in shown
    assert "2.0/2.0 kB" in shown


def test_where_no_terminal_is_watching_there_is_no_bar(monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    assert drawn(terminal=False) == ""


def test_the_bar_is_closed_when_the_download_fails(monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    bar = DownloadBar("links", None, Console(file=io.StringIO(), force_terminal=True))

    def download():
        with bar:
            bar.advance(1)
            assert bar.progress.live.is_started
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        download()
    assert not bar.progress.live.is_started
