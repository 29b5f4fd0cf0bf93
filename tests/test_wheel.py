"""What ``python -m build`` makes: complete, without what is not for users, and importable alone."""

import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

pytest.importorskip("build", reason="needs the extra 'dev'")

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


def run(*words, **options):
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    built = run("-m", "build", "--outdir", str(out), str(ROOT))  # the wheel from the sdist
    if built.returncode and "Could not find a version" in built.stdout + built.stderr:
        pytest.skip("the package index, which has setuptools, is out of reach")
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = out.glob("*.whl")
    return path


def test_it_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith("METADATA"))
        said = message_from_bytes(archive.read(metadata))
    source = {str(path.relative_to(ROOT)) for path in (ROOT / "genegraph").rglob("*.py")}
    assert source <= set(names)
    assert {"genegraph/py.typed", "genegraph/data/complexes.csv"} <= set(names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"genegraph"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    versions = [line for line in said.get_all("Classifier") if "Python ::" in line]
    assert versions[-1] == "Programming Language :: Python :: 3.11"  # what the tests run on
    assert said["Requires-Python"] == ">=3.11"


def test_it_is_imported_from_where_it_was_installed(wheel, tmp_path):
    target = tmp_path / "site"
    words = ("-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel))
    installed = run(*words)
    assert installed.returncode == 0, installed.stderr
    code = "import genegraph; print(genegraph.__file__); genegraph.datasets.complexes()"
    # Isolated from the checkout: neither its folder nor an editable installation comes first.
    code = f"import sys; sys.path.insert(0, {str(target)!r}); {code}"
    done = run("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(target))
