"""Everything that an installation needs is pinned; the weekly check finds what is wrong."""

import importlib.util
import json
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "tools" / "check_pins.py"


@pytest.fixture
def check():
    spec = importlib.util.spec_from_file_location("check_pins", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path):
    """A project of two dependencies, one of them pinned; returns its folder."""
    (tmp_path / "setup.cfg").write_text(
        "[options]\ninstall_requires =\n    numpy>=2\n"
        "[options.extras_require]\nodd =\n    no-such-package-anywhere>=3\n"
    )
    (tmp_path / "constraints.txt").write_text("# tested\nNumPy==2.4.6\n")
    return tmp_path


def answering(stdout="", stderr="", returncode=0):
    return lambda command, **_: subprocess.CompletedProcess(command, returncode, stdout, stderr)


def test_every_dependency_and_extra_is_pinned_and_what_they_need_too(check, capsys):
    assert check.main(["--offline"]) == 0, capsys.readouterr().out
    wanted = {r.name for r in check.read_requirements(ROOT / "setup.cfg")}
    assert {"torch", "scanpy", "captum", "pytest", "torch-sparse"} <= wanted
    deep = {r.name for r in check.with_their_own([Requirement("torch")])}
    assert {"torch", "sympy", "mpmath"} <= deep


def test_a_missing_pin_fails_the_check(check, project, capsys):
    assert check.main(["--offline", "--root", str(project)]) == 1
    assert "no-such-package-anywhere must be pinned in constraints.txt." in capsys.readouterr().out


def test_a_pin_outside_the_range_asked_for_fails_the_check(check, project, capsys):
    (project / "constraints.txt").write_text("numpy==1.26.4\nno_such.package-anywhere==3.0\n")
    assert check.main(["--offline", "--root", str(project)]) == 1
    assert "numpy>=2 is asked for, and 1.26.4 is pinned." in capsys.readouterr().out


def test_newer_versions_are_told_and_withdrawn_ones_fail(check, monkeypatch):
    offers = {"old": "2.0, 1.0", "new": "1.0+cpu, 0.7.0d, 0.5", "gone": "2.0, 0.9"}

    def pip(command, **_):
        name = command[-1]
        if name not in offers:
            return subprocess.CompletedProcess(command, 1, "", "ERROR: No matching distribution")
        text = f"{name} (2.0)\nAvailable versions: {offers[name]}\n  INSTALLED: 1.0\n"
        return subprocess.CompletedProcess(command, 0, text, "")

    monkeypatch.setattr(check.subprocess, "run", pip)
    gone, told = check.outdated({name: Version("1.0") for name in (*offers, "unheard-of")})
    assert gone == ["gone 1.0 is no longer offered; 2.0 is."]
    assert told == ["old 1.0: 2.0 is out", "The package index did not answer about unheard-of."]


def test_known_vulnerabilities_fail_the_check(check, project, monkeypatch, capsys):
    hole = {"id": "PYSEC-1", "fix_versions": ["2.4.7"]}
    found = {"name": "numpy", "version": "2.4.6", "vulns": [hole]}
    other = {"name": "odd", "skip_reason": "not found"}
    audit = answering(json.dumps({"dependencies": [found, other]}))
    monkeypatch.setattr(check, "outdated", lambda pins: ([], []))
    monkeypatch.setattr(check, "not_pinned", lambda wanted, pins: [])
    monkeypatch.setattr(check.subprocess, "run", audit)
    assert check.main(["--root", str(project)]) == 1
    printed = capsys.readouterr().out
    assert "looked up of 1 of 2 versions" in printed
    assert "numpy 2.4.6: PYSEC-1, mended in 2.4.7." in printed


@pytest.mark.parametrize(
    "answer",
    [
        answering(stderr="No module named pip_audit", returncode=1),
        answering(json.dumps({"dependencies": [{"name": "numpy", "skip_reason": "not found"}]})),
    ],
)
def test_vulnerabilities_that_nobody_looked_up_are_not_called_absent(check, monkeypatch, answer):
    monkeypatch.setattr(check.subprocess, "run", answer)
    found, told = check.vulnerable(ROOT / "constraints.txt")
    assert found == []
    assert told[0].startswith("Vulnerabilities were not looked up: ")
