"""The package as it is published: what is in it, what it claims, and that it stands alone."""

import email
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from genegraph import __version__

ROOT = Path(__file__).parents[1]


def copied(source):
    """The checkout, as far as packaging reads it."""
    shutil.copytree(ROOT / "genegraph", source / "genegraph")
    shutil.copytree(ROOT / "tests", source / "tests")  # to be left out again
    for file in filter(Path.is_file, ROOT.iterdir()):
        shutil.copy(file, source)
    return source


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with both files of ``python -m build``: the sdist, and the wheel made from it."""
    pytest.importorskip("build.__main__", reason="python -m build needs genegraph[dev]")
    source = copied(tmp_path_factory.mktemp("source") / "genegraph")
    # Without isolation no index is asked: setuptools is pinned among the dependencies.
    command = [sys.executable, "-m", "build", "--no-isolation", str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return source / "dist"


@pytest.fixture(scope="module")
def wheel(built):
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return email.message_from_bytes(archive.read(f"{info_of(wheel)}/METADATA"))


def info_of(wheel):
    return f"genegraph-{__version__}.dist-info"


def test_the_wheel_holds_the_package_its_data_and_its_licence_and_nothing_else(wheel):
    assert wheel.name == f"genegraph-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
    modules = {str(p.relative_to(ROOT)) for p in (ROOT / "genegraph").rglob("*.py")}
    data = {"genegraph/py.typed", "genegraph/data/complexes.csv"}
    own = {name for name in names if not name.startswith(info_of(wheel))}
    assert own == modules | data
    assert f"{info_of(wheel)}/licenses/LICENSE" in names


def test_the_sdist_holds_what_the_wheel_is_made_of_and_no_part_of_the_tests(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "SECURITY.md", "constraints.txt", "setup.cfg"} <= names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "docs"))]


def test_metadata_claims_the_interpreter_that_runs_these_tests_and_no_other(metadata):
    assert metadata["Version"] == __version__
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Requires-Python"] in (">=3.11,<3.12", "<3.12,>=3.11")
    named = [c for c in metadata.get_all("Classifier") if "Python :: 3." in c]
    assert named == ["Programming Language :: Python :: 3.11"]
    assert sys.version_info[:2] == (3, 11)


def test_the_wheel_is_imported_from_where_it_is_installed(wheel, tmp_path):
    place = tmp_path / "installed"
    options = ["--no-index", "--no-deps", "--no-compile", "--target", str(place)]
    install = [sys.executable, "-m", "pip", "install", "--quiet", *options, str(wheel)]
    subprocess.run(install, check=True)
    code = (
        "import genegraph, genegraph.cli\n"
        "assert len(genegraph.datasets.complexes()) > 100\n"
        "print(genegraph.__file__)"
    )
    run = [sys.executable, "-P", "-c", code]
    environment = {"PATH": "", "PYTHONPATH": str(place), "NUMBA_CACHE_DIR": str(tmp_path)}
    found = subprocess.run(
        run, capture_output=True, text=True, cwd=tmp_path, env=environment, check=True
    )
    assert Path(found.stdout.strip()) == place / "genegraph" / "__init__.py"
    command = (place / "bin" / "genegraph").read_text()
    assert "from genegraph.cli import main" in command


def test_an_editable_install_is_found_beside_what_an_earlier_install_left_behind(tmp_path):
    source, place = copied(tmp_path / "source"), tmp_path / "installed"
    build = f"import setuptools.build_meta as m; print(m.build_editable({str(tmp_path)!r}))"
    done = subprocess.run([sys.executable, "-c", build], capture_output=True, text=True, cwd=source)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    (editable,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(editable) as archive:
        archive.extractall(place)
    # Compiled kernels, which numba writes and pip does not know of: a namespace package.
    (place / "genegraph" / "nn" / "__pycache__").mkdir(parents=True)
    code = (
        f"import site; site.addsitedir({str(place)!r}); import genegraph; print(genegraph.__file__)"
    )
    run = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({str(place)!r}); {code}"]
    environment = {"NUMBA_CACHE_DIR": str(tmp_path)}
    found = subprocess.run(run, capture_output=True, text=True, env=environment)
    assert Path(found.stdout.strip()) == source / "genegraph" / "__init__.py", found.stderr
