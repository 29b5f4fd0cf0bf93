"""The report: what it says, that it says it safely, and that it is complete in itself."""

import os
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import precision_recall_fscore_support

from genegraph import GeneGCNClassifier, GeneGraph
from genegraph.explain import edge_importance
from genegraph.pl.style import EN_DASH
from genegraph.report.fingerprints import hash_of_cells, hash_of_weights
from genegraph.report.html import Html, html, table

anndata = pytest.importorskip("anndata")

EVIL = "<script>alert(1)</script>"
SECTIONS = ["data", "graph", "training", "scores", "confidence", "cells", "interactions"]
SECTIONS += ["settings"]
EMPTY = {"meta", "img", "br", "hr", "link"}


class Page(HTMLParser):
    """Tags, attributes and text; refuses tags that are not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self._open = [], [], []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag, attribute):
        return [attrs[attribute] for name, attrs in self.tags if name == tag and attribute in attrs]

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def cells():
    rng = np.random.default_rng(0)
    labels = np.repeat(["B cell", EVIL, "T cell"], 40)
    rate = np.ones((120, 12))
    for k in range(3):
        rate[40 * k : 40 * (k + 1), 4 * k : 4 * (k + 1)] = 10
    obs = pd.DataFrame({"cell_type": pd.Categorical(labels)}, index=[f"c{i}" for i in range(120)])
    names = pd.DataFrame(index=[f"G{i}" for i in range(12)])
    cells = anndata.AnnData(csr_matrix(rng.poisson(rate).astype("float32")), obs, names)
    cells.obsm["X_umap"] = rng.normal(size=(120, 2))
    return cells


@pytest.fixture(scope="module")
def model(cells):
    pairs = np.array([(i, i + 1) for i in range(9)]).T
    prior = GeneGraph(
        list(cells.var_names),
        np.concatenate([pairs, pairs[::-1]], axis=1),
        np.full(18, 0.8),
        provenance={"source": "STRING", "version": "12.0", "taxon": 9606, "file": "<b>links</b>"},
    )
    settings = {"hidden_channels": (8,), "max_epochs": 3, "random_state": 0, "verbose": False}
    return GeneGCNClassifier(prior, **settings).fit(cells, "cell_type")


GENE = 'G0"&evil=<1>'


@pytest.fixture(scope="module")
def interactions():
    return pd.DataFrame(
        {
            "class": [EVIL, EVIL, "T cell"],
            "gene_a": [GENE, "G1", "G2"],
            "gene_b": ["G1", "G2", "G9"],
            "importance": [0.5, 0.25, 0.125],
            "prior_weight": [0.8, 0.8, 0.0],
            "in_prior": [True, True, False],
        }
    )


def written(model, cells, tmp_path, **options):
    path = tmp_path / "report.html"
    model.report(cells, path, **options)
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def full(model, cells, interactions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")
    return written(model, cells, folder, y="cell_type", interactions=interactions)


def test_every_section_is_there_once_and_in_the_contents(full):
    page = Page(full)
    assert page.all("section", "id") == SECTIONS
    assert page.all("a", "href")[: len(SECTIONS)] == [f"#{name}" for name in SECTIONS]
    # Coverage, degrees, two curves, confusion, reliability, accuracy by share, three maps, and an
    # interaction picture for each of two classes.
    assert len(page.all("img", "src")) == 12
    assert all(len(alt) > 10 for alt in page.all("img", "alt"))


def test_names_from_a_users_file_stay_text(full):
    page = Page(full)
    assert "script" not in {tag for tag, _ in page.tags}
    assert "b" not in {tag for tag, _ in page.tags}
    assert "<script" not in full
    assert page.text.count(EVIL) == 4  # scores, cells named, and twice above its interactions
    assert "<b>links</b>" in page.text


def test_nothing_is_fetched_and_links_lead_to_string_and_biogrid(full):
    page = Page(full)
    assert all(src.startswith("data:image/png;base64,") for src in page.all("img", "src"))
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert "@import" not in full
    assert "url(" not in full
    outside = [href for href in page.all("a", "href") if not href.startswith("#")]
    gene = "G0%22%26evil%3D%3C1%3E"
    assert f"https://string-db.org/cgi/network?identifiers={gene}%0dG1&species=9606" in outside
    assert f"https://thebiogrid.org/search.php?search={gene}&organism=9606" in outside
    hosts = {re.match(r"https://([^/]+)/", href)[1] for href in outside}
    assert hosts == {"string-db.org", "thebiogrid.org"}


def test_scores_are_those_of_the_labels_given(model, cells, full):
    labels, named = cells.obs["cell_type"].astype(str), model.predict(cells).astype(str)
    precision, recall, f1, support = precision_recall_fscore_support(labels, named)
    row = [f"{100 * part[1]:.1f}" for part in (precision, recall, f1)] + [str(support[1])]
    cells_of_row = "".join(f'<td class="number">{value}</td>' for value in row)
    assert f'<tr><th scope="row">{html(sorted(set(labels))[1])}</th>{cells_of_row}</tr>' in full
    assert "the labelled cells of this report" in full


def test_without_labels_scores_are_those_of_the_cells_held_out(model, cells, tmp_path):
    page = Page(written(model, cells, tmp_path, interactions=False))
    held = model.held_out_
    right = (held["label"] == held["predicted"]).mean()
    assert f"accuracy {right:.1%}" in page.text
    assert "named by heads that had not seen it" in page.text
    assert "interactions" not in page.all("section", "id")


def test_a_model_that_held_nothing_out_says_so(cells, tmp_path):
    settings = {"hidden_channels": (8,), "max_epochs": 2, "random_state": 0, "verbose": False}
    plain = GeneGCNClassifier(num_heads=1, **settings).fit(cells, "cell_type")
    page = Page(written(plain, cells, tmp_path))
    assert "nothing is known of how often names are right" in page.text
    assert "trained without a graph" in page.text
    assert "there are no interactions to rank" in page.text


def test_unknown_cells_are_counted_and_strange_labels_pointed_out(model, cells, tmp_path):
    labels = cells.obs["cell_type"].astype(str).to_numpy(dtype=object)
    labels[:3] = "Mast"
    page = Page(written(model, cells, tmp_path, y=labels, interactions=False, max_novelty=0.9))
    assert "1 of the labels are no class of the model" in page.text
    unknown = model.predict(cells, max_novelty=0.9) == "unknown"
    assert unknown.any()
    assert f"{unknown.sum()} ({unknown.mean():.1%})" in page.text
    new = (model.novelty(cells) > 0.9).sum()
    assert f"novelty above 0.9 {new} cells" in page.text
    assert "unknown (not named)" in page.text
    assert "max_novelty=0.9" in page.text


def test_missing_genes_are_named_and_without_a_map_the_lines_to_type(model, cells, tmp_path):
    fewer = cells[:, 1:].copy()
    del fewer.obsm["X_umap"]
    with pytest.warns(UserWarning, match="lack 1 of the 12 genes"):
        page = Page(written(model, fewer, tmp_path, interactions=False))
    assert "sc.tl.umap(adata)" in page.text
    assert "1: G0" in page.text
    assert "they count as not expressed" in page.text


def test_why_interactions_could_not_be_ranked(model, cells, tmp_path, monkeypatch):
    for name in ("captum", "captum.attr"):
        monkeypatch.setitem(sys.modules, name, None)
    page = Page(written(model, cells, tmp_path))
    assert "Interactions could not be ranked" in page.text
    assert "genegraph[explain]" in page.text


def test_interactions_are_ranked_by_what_they_say_for_a_class(model, cells, tmp_path):
    pytest.importorskip("captum")
    content = written(model, cells, tmp_path)
    found = edge_importance(model, cells)
    for label, theirs in found[found["specific"] > 0].groupby("class"):
        top = theirs.nlargest(10, "specific")
        part = content.split(f"<h3>{html(label)}</h3>")[1].split("<h3>")[0].split("</section>")[0]
        listed = re.findall(r'<th scope="row">(.+?)</th><td>(.+?)</td>', part)[:10]
        rows = zip(top["gene_a"], top["gene_b"], top["specific"], strict=True)
        assert listed == [(f"{a}{EN_DASH}{b}", f"{value:.3g}") for a, b, value in rows]


def test_it_can_be_done_again_and_is_the_same(model, cells, interactions, full, tmp_path):
    def without_date(text):
        return re.sub(r"<footer>.*</footer>", "", text)

    again = written(model, cells, tmp_path, y="cell_type", interactions=interactions)
    assert without_date(again) == without_date(full)
    model.save(tmp_path / "model")
    assert hash_of_weights(GeneGCNClassifier.load(tmp_path / "model")) in full
    assert hash_of_cells(cells, None) in full
    assert model.graph_.content_hash in full
    line = "model = GeneGCNClassifier(graph, hidden_channels=(8,), max_epochs=3, random_state=0"
    assert line in Page(full).text


def test_an_older_report_is_replaced_whole_or_not_at_all(model, cells, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("older")

    def fails(*_):
        raise OSError("no space")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fails)
        with pytest.raises(OSError, match="no space"):
            model.report(cells, path, interactions=False)
    assert path.read_text() == "older"
    assert os.listdir(tmp_path) == ["report.html"]
    model.report(cells, path, interactions=False)
    assert path.read_text().startswith("<!DOCTYPE html>")


def test_what_cannot_be_reported_is_refused(model, cells, tmp_path):
    path = tmp_path / "report.html"
    with pytest.raises(TypeError, match="must be an AnnData"):
        model.report(cells.X, path)
    with pytest.raises(TypeError, match="must be a DataFrame"):
        model.report(cells, path, interactions="all")
    with pytest.raises(ValueError, match="one label per cell"):
        model.report(cells, path, y=["T cell"])
    with pytest.raises(ValueError, match="lacks gene_b, importance"):
        model.report(cells, path, interactions=pd.DataFrame({"gene_a": ["A"]}))
    assert not path.exists()


def test_the_hash_of_cells_is_of_names_and_values_alone(adata):
    dense = adata.copy()
    dense.X = adata.X.toarray()
    assert hash_of_cells(dense, None) == hash_of_cells(adata, None)
    padded = adata.copy()
    padded.X = csr_matrix(padded.X)
    padded.X.data[0], first = 0.0, padded.X.data[0]
    assert hash_of_cells(padded, None) != hash_of_cells(adata, None)
    padded.X.data[0] = first
    assert hash_of_cells(padded, None) == hash_of_cells(adata, None)
    renamed = adata.copy()
    renamed.obs_names = [f"other{name}" for name in renamed.obs_names]
    assert hash_of_cells(renamed, None) != hash_of_cells(adata, None)


def test_only_what_is_marked_as_html_is_not_escaped():
    assert html('<i>"&') == "&lt;i&gt;&quot;&amp;"
    assert html(Html("<i>")) == "<i>"
    shown = table(["a<b"], [(EVIL, 1234, Html("<i>x</i>"))], 'about "<x>"')
    assert "<script" not in shown
    assert '<td class="number">1,234</td><td><i>x</i></td>' in shown
    assert 'aria-label="about &quot;&lt;x&gt;&quot;"' in shown
