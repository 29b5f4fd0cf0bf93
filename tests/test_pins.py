"""The check of pinned versions."""

import importlib.util
import urllib.error
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def check_pins():
    spec = importlib.util.spec_from_file_location("check_pins", ROOT / "tools" / "check_pins.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_dependency_is_pinned(check_pins):
    needed = check_pins.requirements()
    assert {"torch", "anndata", "captum", "sphinx", "ruff", "scanpy"} <= needed
    assert needed <= set(check_pins.pins())


def test_withdrawn_and_vulnerable_versions_fail_and_newer_ones_are_told(
    check_pins, monkeypatch, capsys
):
    known = check_pins.Known
    answers = {"torch": known("99", False, []), "numpy": known("2", False, ["CVE-1"])}

    def ask(name, version):
        return answers.get(name, known(version, False, []))

    monkeypatch.setattr(check_pins, "ask", ask)
    assert check_pins.main([]) == 1
    printed = capsys.readouterr().out
    assert "torch 2.13.0: 99 is out" in printed
    assert "CVE-1" in printed
    del answers["numpy"]
    assert check_pins.main([]) == 0
    answers["scipy"] = known("2", True, [])
    assert check_pins.main([]) == 1
    assert "withdrawn" in capsys.readouterr().out


def test_an_index_out_of_reach_is_said(check_pins, monkeypatch, capsys):
    def ask(name, version):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(check_pins, "ask", ask)
    assert check_pins.main([]) == 0
    assert "could not be looked up" in capsys.readouterr().out


def test_a_dependency_without_a_pin_fails(check_pins, monkeypatch, capsys):
    monkeypatch.setattr(check_pins, "requirements", lambda: {"numpy", "left-pad"})
    monkeypatch.setattr(check_pins, "ask", lambda name, version: check_pins.Known(version, 0, []))
    assert check_pins.main([]) == 1
    assert "left-pad: not pinned" in capsys.readouterr().out
