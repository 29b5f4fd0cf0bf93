"""The report as a browser shows it: on a phone, on a desk, on paper."""

import numpy as np
import pandas as pd
import pytest
from browser import Browser, find_browser

from genegraph import GeneGCNClassifier

anndata = pytest.importorskip("anndata")

pytestmark = pytest.mark.skipif(find_browser() is None, reason="needs Chromium on the PATH")

EVIL = "<script>document.title='run'</script>"
LONG = "anAlveolarTypeIIEpithelialCellOfTheLungWithANameThatHasNoSpaceToBreakAt_" * 2


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def report(adata, graph, tmp_path):
    names = {"NK cell": EVIL, "T cell": LONG}
    adata.obs["cell_type"] = adata.obs["cell_type"].astype(str).replace(names)
    adata.obsm["X_umap"] = np.random.default_rng(0).normal(size=(120, 2))
    settings = {"hidden_channels": (8,), "max_epochs": 3, "random_state": 0, "verbose": False}
    model = GeneGCNClassifier(graph, **settings).fit(adata, "cell_type")
    pairs = {"gene_a": ["G0", EVIL], "gene_b": ["G1", "G2"], "importance": [0.5, 0.2]}
    table = pd.DataFrame({**pairs, "class": EVIL, "prior_weight": 0.8, "in_prior": True})
    path = tmp_path / "report.html"
    model.report(adata, path, y="cell_type", interactions=table)
    return path


@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_the_width_loads_quietly_and_asks_for_nothing(browser, report, width, tmp_path):
    browser.open(report, width)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate("document.title") == "Cell types, and why"
    assert browser.complaints() == []
    outside = [url for url in browser.requests() if not url.startswith(("file:", "data:"))]
    assert outside == []
    assert len(browser.requests()) > 1  # the pictures are seen, so an outside one would be
    shown = "[...document.images].every(i => i.complete && i.naturalWidth > 0)"
    assert browser.evaluate(shown)
    assert browser.evaluate("document.querySelectorAll('section h2').length") == 8
    assert browser.evaluate("document.querySelectorAll('script').length") == 0
    browser.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_it_can_be_printed(browser, report, tmp_path):
    browser.open(report, 1280)
    browser.print_pdf(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def test_the_check_sees_overflow_errors_and_requests(browser, tmp_path):
    path = tmp_path / "bad.html"
    image = '<img src="http://127.0.0.1:9/x.png">'
    path.write_text(f"<div style='width:2000px'>wide</div>{image}<script>nowhere()</script>")
    browser.open(path, 360)
    assert browser.evaluate("document.documentElement.scrollWidth") > 360
    assert any(url.startswith("http:") for url in browser.requests())
    assert browser.complaints()
