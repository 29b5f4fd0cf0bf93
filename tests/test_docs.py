"""Every code block of the documents runs, on small files under the names that the pages use."""

import importlib
import re
import shutil
from pathlib import Path

import pytest
from docs_files import write_files
from docs_pages import blocks_of, run_page

from genegraph.recipe import Recipe

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [page for page in sorted(DOCS.glob("*.md")) if blocks_of(page)]
MODULES = ["genegraph", "genegraph.nn", "genegraph.datasets", "genegraph.downloads"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    write_files(folder)
    return folder


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The cells lack:UserWarning")  # and so the pages say
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_a_page_runs(page, files, tmp_path, monkeypatch):
    pytest.importorskip("scanpy")
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENEGRAPH_CACHE_DIR", str(tmp_path))  # so that nothing is fetched
    # Whether the calls are right shows in a few steps; what they are worth is measured elsewhere.
    monkeypatch.setattr(Recipe, "epochs", lambda self, num_cells: 2)
    run_page(page)


def test_few_blocks_are_not_run_and_each_says_why():
    blocks = [block for page in PAGES for block in blocks_of(page)]
    assert {block.language for block in blocks} <= {"python", "bash"}
    assert sum(block.why_not is not None for block in blocks) <= 5


def test_the_reference_has_every_public_name():
    written = " ".join(page.read_text() for page in (DOCS / "api").glob("*.rst"))
    described = set(re.findall(r":: genegraph\S*\.(\w+)$", written, re.MULTILINE))
    for whole in ("genegraph.pl", "genegraph.explain"):  # described by automodule, so in full
        assert f".. automodule:: {whole}\n" in written
    public = {name for home in MODULES for name in importlib.import_module(home).__all__}
    parts = {"__version__", "controls", "datasets", "pl"}
    assert public - parts <= described


def test_every_page_is_in_the_table_of_contents():
    listed = re.findall(r"^[\w/]+$", (DOCS / "index.md").read_text(), re.MULTILINE)
    assert {page.stem for page in DOCS.glob("*.md")} - {"index"} <= set(listed)
