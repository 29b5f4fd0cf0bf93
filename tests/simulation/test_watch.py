import io

import pytest
import scipy.sparse as sp
from rich.console import Console

from genegraph.simulation.watch import watched


@pytest.fixture
def blocks():
    return [sp.csr_matrix((2, 3)), sp.csr_matrix((1, 3))]


def on_a_terminal(monkeypatch):
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=80)
    monkeypatch.setattr("genegraph.simulation.watch.Console", lambda stderr: terminal)
    return screen


def test_nothing_is_shown_where_no_terminal_watches(blocks, monkeypatch, capfd):
    monkeypatch.setattr("genegraph.simulation.watch.PATIENCE", 0)
    assert list(watched(blocks, 3, verbose=True)) == blocks
    assert capfd.readouterr() == ("", "")


def test_a_terminal_sees_the_cells_counted(blocks, monkeypatch):
    monkeypatch.setattr("genegraph.simulation.watch.PATIENCE", 0)
    screen = on_a_terminal(monkeypatch)
    assert list(watched(blocks, 3, verbose=True)) == blocks
    assert "3/3" in screen.getvalue()


@pytest.mark.parametrize(("patience", "verbose"), [(0, False), (60, True)])
def test_what_is_quick_or_not_verbose_shows_nothing(blocks, monkeypatch, patience, verbose):
    monkeypatch.setattr("genegraph.simulation.watch.PATIENCE", patience)
    screen = on_a_terminal(monkeypatch)
    assert list(watched(blocks, 3, verbose=verbose)) == blocks
    assert screen.getvalue() == ""
