"""What is said of cells before training must be true, and the lines to type must work."""

import json
import warnings
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import genegraph
from genegraph import GeneGCNClassifier, GeneGraph, expression_stored, inspect, read_stringdb
from genegraph.datasets import complexes
from genegraph.inspection import cell_reads

SHARED = Path(__file__).parents[2] / "shared" / "data"
SMALL = {"hidden_channels": (4,), "max_epochs": 1, "verbose": False, "random_state": 0}


class Classifier(GeneGCNClassifier):
    """Fits in no time, and remembers what fit was told."""

    def fit(self, X, y=None, **options):
        self.set_params(**SMALL)
        self.told = {"labels": y, "batch": options.get("groups"), "layer": options.get("layer")}
        return super().fit(X, y, **options)


def follow(line, adata, graph, told):
    """Types a line; returns cells, graph and what to tell the next inspection."""
    desk = {"adata": adata, "graph": graph, "genegraph": genegraph, "GeneGraph": GeneGraph}
    desk |= {"GeneGCNClassifier": Classifier, "model": a_model(graph, told)}
    exec(line, desk)
    model = desk["model"]
    told = told | getattr(model, "told", {})
    if not line.startswith("model = "):
        return desk["adata"], desk["graph"], told
    return desk["adata"], model.graph, told | {"values": model.values, "depth": model.depth}


def a_model(graph, told):
    return Classifier(graph, **{name: told[name] for name in ("values", "depth") if name in told})


def fit(adata, graph, told):
    told = {"labels": "cell_type", **told}
    model = a_model(graph, told)
    return model.fit(adata, told["labels"], groups=told.get("batch"), layer=told.get("layer"))


def rows(seen, severity):
    return seen.findings[seen.findings["severity"] == severity]


def change(X, where, value):
    X = X.toarray()
    X[where] = value
    return X


def labels_with(adata, where, value):
    labels = adata.obs["cell_type"].astype(object)
    labels.iloc[where] = value
    return labels


# What is wrong; each changes a copy of the cells, and may return (graph, what is told).


def scaled_with_counts_in_a_layer(a, g):
    a.layers["counts"] = a.X.copy()
    a.X = a.X.toarray() - 5


def scaled_with_counts_in_raw(a, g):
    a.raw = a.copy()
    a.X = a.X.toarray() - 5


def scaled_with_logarithms_in_raw(a, g):
    X = a.X.toarray()
    a.X = np.log1p(10_000 * X / X.sum(1, keepdims=True))
    a.raw = a.copy()
    a.X = a.X - a.X.mean(0)


def scaled_alone(a, g):
    a.X = a.X.toarray() - 5


def infinite(a, g):
    a.X = change(a.X, (2, 1), np.inf)


def one_gene_not_measured(a, g):
    a.X = change(a.X, (slice(None), 1), np.nan)


def one_cell_not_measured(a, g):
    a.X = change(a.X, (3, slice(None)), np.nan)


def square_roots(a, g):
    a.X = a.X.sqrt()


def another_target_sum(a, g):
    X = a.X.toarray()
    a.X = sp.csr_matrix(np.log1p(2000 * X / X.sum(1, keepdims=True)))


def normalised_without_logarithm(a, g):
    X = a.X.toarray()
    a.X = sp.csr_matrix(10_000 * X / X.sum(1, keepdims=True)).astype("float32")


def misspelt_labels(a, g):
    return g, {"labels": "celltype"}


def missing_labels(a, g):
    a.obs["cell_type"] = labels_with(a, [3, 4], None)


def blank_labels(a, g):
    a.obs["cell_type"] = labels_with(a, [3, 70], " ")


def mixed_labels(a, g):
    a.obs["cell_type"] = labels_with(a, [3], 7)


def numbers_as_labels(a, g):
    a.obs["cell_type"] = np.repeat([0.5, 1.5, 2.5], 40)


def one_class(a, g):
    a.obs["cell_label"] = a.obs["cell_type"]
    a.obs["cell_type"] = "T cell"


def missing_layer(a, g):
    return g, {"layer": "counts"}


def no_matrix(a, g):
    a.layers["counts"] = a.X.copy()
    a.X = None


def no_numbers(a, g):
    a.X = a.X.toarray().astype(bool)


def doubled_gene(a, g):
    a.var_names = ["G1", "G1", *a.var_names[2:]]


def a_gene_without_a_name(a, g):
    a.var_names = ["", *a.var_names[1:]]


def names_in_a_column(a, g):
    a.var["symbol"] = list(a.var_names)
    a.var_names = [f"ENSG0000000000{i}" for i in range(12)]


def names_of_another_kind(a, g):
    ids = [f"ENSG0000000{i:04}" for i in range(12)]
    table = pd.DataFrame({"Gene stable ID": ids, "Gene name": list(a.var_names)})
    table.to_csv("names.tsv", sep="\t", index=False)
    a.var_names = ids


def versions(a, g):
    ids = [f"ENSG0000000{i:04}" for i in range(12)]
    a.var_names = [f"{name}.{k}" for k, name in enumerate(ids)]
    return GeneGraph(ids, g.edge_index, g.edge_weight), {}


def a_table_as_graph(a, g):
    return pd.DataFrame({"gene_a": ["G1"], "gene_b": ["G2"], "score": [0.5]}), {}


def misspelt_batch(a, g):
    return g, {"batch": "bacth"}


def one_batch(a, g):
    a.obs["batch"] = "a"
    return g, {"batch": "batch"}


def missing_batch(a, g):
    batch = a.obs["batch"].astype(object)
    batch.iloc[3] = None
    a.obs["batch"] = batch
    return g, {"batch": "batch"}


def counts_said_to_be_log1p(a, g):
    return g, {"values": "log1p"}


def depth_less_than_the_counts(a, g):
    a.obs["half"] = np.asarray(a.X.sum(1)).ravel() / 2
    a.obs["total_counts"] = np.asarray(a.X.sum(1)).ravel()
    return g, {"depth": "half"}


# mistake -> topic, words
ERRORS = {
    scaled_with_counts_in_a_layer: ("values", "scaled"),
    scaled_with_counts_in_raw: ("values", "scaled"),
    scaled_with_logarithms_in_raw: ("values", "scaled"),
    scaled_alone: ("values", "scaled"),
    infinite: ("values", "NaN or infinite"),
    one_gene_not_measured: ("values", "120 NaN"),
    one_cell_not_measured: ("values", "12 NaN"),
    square_roots: ("values", "neither raw counts nor"),
    another_target_sum: ("values", "neither raw counts nor"),
    normalised_without_logarithm: ("values", "neither raw counts nor"),
    misspelt_labels: ("labels", "did you mean 'cell_type'"),
    missing_labels: ("labels", "2 of 120 without a label"),
    blank_labels: ("labels", "2 of 120 without a label"),
    mixed_labels: ("labels", "one kind"),
    numbers_as_labels: ("labels", "continuous"),
    one_class: ("labels", "at least 2 classes"),
    missing_layer: ("storage", "No layer 'counts'"),
    no_matrix: ("storage", "must hold the expression values"),
    no_numbers: ("storage", "real numbers"),
    doubled_gene: ("genes", "1 repeated"),
    a_gene_without_a_name: ("graph", "not empty"),
    names_in_a_column: ("graph", "0 of the 12"),
    names_of_another_kind: ("graph", "0 of the 12"),
    versions: ("graph", "0 of the 12"),
    misspelt_batch: ("batches", "did you mean 'batch'"),
    one_batch: ("batches", "at least 2 groups"),
    missing_batch: ("batches", "without a label"),
    counts_said_to_be_log1p: ("values", "not whole numbers"),
    depth_less_than_the_counts: ("depth", "at least the sum"),
}


@pytest.mark.parametrize("mistake", ERRORS, ids=lambda mistake: mistake.__name__)
@pytest.mark.filterwarnings("ignore")
def test_an_error_is_what_fit_raises_and_its_line_mends_it(
    mistake, adata, graph, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    graph, told = mistake(adata, graph) or (graph, {})
    told = {"labels": "cell_type", **told}
    seen = inspect(adata, graph, **told)
    topic, words = ERRORS[mistake]
    errors = rows(seen, "error")
    assert not seen.ok
    assert errors["topic"].tolist() == [topic]
    assert words in errors["finding"].iloc[0]
    with pytest.raises((ValueError, KeyError, TypeError)) as raised:
        fit(adata, graph, told)
    assert errors["finding"].iloc[0] in (str(raised.value), raised.value.args[0])
    adata, graph, told = follow(errors["advice"].iloc[0], adata, graph, told)
    seen = inspect(adata, graph, **told)
    assert seen.ok, str(seen)
    fit(adata, graph, told)


def test_several_errors_are_told_at_once_and_the_worst_first(adata, graph):
    infinite(adata, graph)
    doubled_gene(adata, graph)
    missing_labels(adata, graph)
    seen = inspect(adata, graph, "cell_type", "nowhere")
    assert set(rows(seen, "error")["topic"]) == {"values", "genes", "labels", "batches"}
    order = seen.findings["severity"].map(["error", "warning", "info"].index)
    assert order.is_monotonic_increasing


def test_a_table_as_graph_is_refused_in_the_words_of_fit(adata):
    table, _ = a_table_as_graph(None, None)
    errors = rows(inspect(adata, table), "error")
    with pytest.raises(TypeError, match="must be a GeneGraph or None"):
        Classifier(table).fit(adata, "cell_type")
    assert "'graph' must be a GeneGraph or None (got DataFrame)" in errors["finding"].iloc[0]
    _, graph, _ = follow(errors["advice"].iloc[0], adata, table, {})
    assert inspect(adata, graph).ok


@pytest.mark.parametrize("num_genes", [12, 10])
def test_a_normalised_graph_is_refused_in_the_words_of_fit(adata, graph, num_genes):
    adata = adata[:, :num_genes].copy()
    errors = rows(inspect(adata, graph.normalize("sym"), "cell_type"), "error")
    with pytest.raises(ValueError, match="normalised") as raised:
        fit(adata, graph.normalize("sym"), {})
    assert errors["finding"].tolist() == [str(raised.value)]
    assert "without normalize()" in errors["advice"].item()


def test_following_the_lines_leads_to_a_fit():
    scanpy = pytest.importorskip("scanpy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adata = scanpy.datasets.pbmc68k_reduced()  # scaled; logarithms of some genes in raw
    graph = GeneGraph.from_interactions(complexes())
    told, lines = {"labels": "bulk_label"}, []
    while not (seen := inspect(adata, graph, **told)).ok and len(lines) < 5:
        lines.append(rows(seen, "error")["advice"].iloc[0])
        adata, graph, told = follow(lines[-1], adata, graph, told)
    assert seen.ok
    assert lines == [
        "adata = adata.raw.to_adata()",
        "model = GeneGCNClassifier(graph, values='log1p')",
        "model.fit(adata, 'bulk_labels')",
    ]
    fit(adata, graph, told)


def test_a_transposed_matrix_is_turned(adata, graph):
    turned = adata.T.copy()
    seen = inspect(turned, graph)
    assert rows(seen, "error")["advice"].tolist() == ["adata = adata.T.copy()"]
    back, _, _ = follow("adata = adata.T.copy()", turned, graph, {})
    assert inspect(back, graph, "cell_type").ok


def test_barcodes_as_genes_are_noticed_without_a_graph(adata):
    adata.obs_names = ["ACGTACGTACGTAC" + "ACGT"[i % 4] + f"-{i}" for i in range(120)]
    assert "transposed" in rows(inspect(adata.T.copy()), "warning")["finding"].iloc[0]
    assert rows(inspect(adata), "warning").empty


# What fit takes and what may mislead.


def empty_cells(a, g):
    a.X = sp.csr_matrix(change(a.X, [3, 4], 0))


def dates(a, g):
    a.var_names = ["2-Sep", "44622", *a.var_names[2:]]


def many_dates(a, g):
    a.var_names = [f"{i}-Mar" for i in range(1, 10)] + ["G0", "G1", "G2"]


def spaces(a, g):
    a.var_names = [f"{name} " if name < "G2" else name for name in a.var_names]


def a_single_cell(a, g):
    a.obs["cell_type"] = labels_with(a, [0], "rare")


def few_cells(a, g):
    a.obs["cell_type"] = labels_with(a, [0, 1, 2], "rare")


def no_type(a, g):
    a.obs["cell_type"] = labels_with(a, list(range(20)), "nan")


def two_spellings(a, g):
    a.obs["cell_type"] = labels_with(a, list(range(20)), "b  cell")


def most_genes_unknown(a, g):
    names = list(a.var_names)
    a.var["symbol"] = names
    a.var_names = [names[0], *(f"ENSG0000000000{i}" for i in range(11))]


def no_reads_behind(a, g):
    reads = np.asarray(a.X.sum(1)).ravel()
    noise = np.random.default_rng(0).uniform(0.5, 1.5, a.shape)
    X = a.X.toarray() * noise
    a.X = np.log1p(10_000 * X / X.sum(1, keepdims=True))
    a.obs["total_counts"] = reads
    a.layers["counts"] = sp.csr_matrix(np.random.default_rng(0).poisson(2, a.shape) * 1.0)


WARNINGS = {
    empty_cells: ("values", "2 of 120 cells hold nothing but zeros"),
    dates: ("genes", "2 names were mangled by a spreadsheet: '2-Sep', '44622'"),
    many_dates: ("genes", "9 names were mangled"),
    spaces: ("genes", "4 names have spaces around"),
    a_single_cell: ("labels", "1 class has a single cell"),
    few_cells: ("labels", "1 class has fewer than 10 cells"),
    no_type: ("labels", "'nan' would be learned"),
    two_spellings: ("labels", "differ only in case or spaces"),
    most_genes_unknown: ("graph", "Only 1 of the 12"),
    no_reads_behind: ("values", "do not show how many reads"),
}


@pytest.mark.parametrize("oddity", WARNINGS, ids=lambda oddity: oddity.__name__)
@pytest.mark.filterwarnings("ignore")
def test_a_warning_does_not_stop_fit_and_its_line_mends_it(oddity, adata, graph):
    oddity(adata, graph)
    told = {"labels": "cell_type"}
    seen = inspect(adata, graph, **told)
    topic, words = WARNINGS[oddity]
    (found,) = rows(seen, "warning").itertuples()
    assert seen.ok
    assert found.topic == topic
    assert words in found.finding
    fit(adata, graph, told)
    adata, graph, told = follow(found.advice, adata, graph, told)
    after = inspect(adata, graph, **told)
    assert topic not in rows(after, "warning")["topic"].tolist(), str(after)
    fit(adata, graph, told)


def test_genes_without_a_common_edge_are_noticed_and_fit_works(adata, graph):
    names = [f"G{i}" if i % 2 else f"other{i}" for i in range(12)]  # a ring: no two neighbours
    far = GeneGraph(names, graph.edge_index, graph.edge_weight)
    (found,) = rows(inspect(adata, far, "cell_type"), "warning").itertuples()
    assert "No two genes of the cells have an edge" in found.finding
    fit(adata, far, {})


def test_nothing_is_changed(adata, graph):
    adata.layers["log"] = adata.X.log1p()
    adata.raw = adata.copy()
    before = adata.copy()
    inspect(adata, graph, "cell_type", "batch")
    inspect(adata, graph, "cell_type", "batch", "log")
    for name in ("obs", "var"):
        pd.testing.assert_frame_equal(getattr(adata, name), getattr(before, name))
    assert (adata.X != before.X).nnz == 0
    assert (adata.layers["log"] != before.layers["log"]).nnz == 0
    assert not adata.uns
    assert not list(adata.obsm)


def test_numbers_by_hand():
    adata = anndata.AnnData(
        np.array([[8, 1, 1, 0], [0, 5, 3, 2], [4, 4, 1, 1]], dtype="float32"),
        obs=pd.DataFrame({"t": ["a", "b", "b"], "lane": ["x", "x", "y"]}, index=["c", "d", "e"]),
        var=pd.DataFrame(index=["TP53", "MDM2", "INS", "LOC1"]),
    )
    graph = GeneGraph(["TP53", "MDM2", "INS", "ATM"], [[0, 1, 2, 3], [1, 0, 3, 2]])
    seen = inspect(adata, graph, "t", "lane")
    assert (seen.num_cells, seen.num_genes, seen.values, seen.target_sum) == (3, 4, "counts", None)
    assert seen.classes == {"b": 2, "a": 1}
    assert seen.batches == {"x": 2, "y": 1}
    assert seen.identifiers == "symbol"
    assert seen.graph == {
        "genes": 4,
        "shared": 3,
        "share_of_genes": 0.75,
        "share_of_reads": 27 / 30,  # all but LOC1's three
        "isolated": 2,  # INS, whose partner is missing, and LOC1
    }
    text = str(seen)
    assert "raw counts, 0 to 8, 10 reads a cell (median)" in text
    assert "gene symbols in capitals, as in human" in text


@pytest.mark.parametrize("target_sum", [10_000, 2_500])
def test_logarithms_tell_their_target_sum_and_share_of_reads(counts, genes, graph, target_sum):
    X = counts[0]
    normal = np.log1p(target_sum * X / X.sum(1, keepdims=True))
    adata = anndata.AnnData(normal.astype("float32"), var=pd.DataFrame(index=genes))
    half = GeneGraph(genes[:6], [[0, 1], [1, 0]])
    seen = inspect(adata, half, values="log1p")
    assert seen.target_sum == pytest.approx(target_sum, rel=1e-3)
    share = (X[:, :6].sum(1) / X.sum(1)).mean()
    assert seen.graph["share_of_reads"] == pytest.approx(share, rel=1e-4)


def test_a_class_in_one_batch_is_noticed(adata, graph):
    adata.obs["batch"] = np.where(adata.obs["cell_type"] == "B cell", "a", adata.obs["batch"])
    found = rows(inspect(adata, graph, "cell_type", "batch"), "warning")
    assert "1 class is in one batch only" in found["finding"].iloc[0]
    assert "'B cell'" in found["finding"].iloc[0]


def test_a_cell_to_a_class_is_not_a_label(adata):
    adata.obs["barcode"] = list(adata.obs_names)
    assert "is 'barcode' the column" in rows(inspect(adata, labels="barcode"), "warning").iloc[0, 2]


def test_likely_columns_are_proposed(adata):
    found = inspect(adata).findings.set_index("topic")["advice"]
    assert found["labels"] == "genegraph.inspect(adata, labels='cell_type')"
    assert found["batches"] == "model.fit(adata, 'cell_type', groups='batch')"


def test_counts_in_a_layer_are_proposed_for_logarithms(adata, graph):
    adata.layers["counts"] = adata.X.copy()
    X = adata.X.toarray()
    adata.X = np.log1p(10_000 * X / X.sum(1, keepdims=True))
    found = inspect(adata, graph, "cell_type").findings
    line = found["advice"][
        found["finding"].str.contains("layers.'counts'. holds raw counts")
    ].item()
    assert line == "model.fit(adata, 'cell_type', layer='counts')"
    told = follow(line, adata, graph, {})[2]
    assert inspect(adata, graph, **told).values == "counts"


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (sp.csr_matrix, "CSR float32, in memory"),
        (sp.csc_matrix, "CSC float32, in memory"),
        (lambda X: X.toarray(), "dense float32, in memory"),
    ],
)
def test_every_storage_gives_the_same_findings(adata, graph, form, words):
    expected = inspect(adata, graph, "cell_type", "batch")
    adata.X = form(adata.X)
    seen = inspect(adata, graph, "cell_type", "batch")
    assert seen.storage == words
    others = expected.findings["topic"] != "storage"
    pd.testing.assert_frame_equal(seen.findings[others], expected.findings[others])


@pytest.mark.parametrize("form", [sp.csr_matrix, np.asarray])
def test_cells_on_disk_are_read_in_blocks(adata, graph, form, tmp_path, monkeypatch):
    adata.X = form(adata.X.toarray())
    adata.raw = adata.copy()
    expected = inspect(adata, graph, "cell_type")
    adata.write_h5ad(tmp_path / "cells.h5ad")
    monkeypatch.setattr(expression_stored, "BLOCK_BYTES", 800)
    monkeypatch.setattr(expression_stored, "WINDOW_BYTES", 1000)
    monkeypatch.setattr(expression_stored, "_chunk_bytes", lambda X: 0)
    lengths = []
    read = expression_stored.StoredMatrix._read
    monkeypatch.setattr(
        expression_stored.StoredMatrix,
        "_read",
        lambda self, which: lengths.append(len(which)) or read(self, which),
    )
    backed = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    seen = inspect(backed, graph, "cell_type")
    assert "on disk" in seen.storage
    assert 0 < max(lengths) < 60
    others = expected.findings["topic"] != "storage"
    pd.testing.assert_frame_equal(seen.findings[others], expected.findings[others])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mistake", [one_gene_not_measured, empty_cells, scaled_with_counts_in_raw])
def test_lines_work_for_cells_on_disk(adata, graph, tmp_path, mistake):
    mistake(adata, graph)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    backed = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    seen = inspect(backed, graph, "cell_type")
    worst = seen.findings.iloc[0]
    assert worst["severity"] != "info"
    mended, _, told = follow(worst["advice"], backed, graph, {"labels": "cell_type"})
    after = inspect(mended, graph, **told)
    assert worst["finding"] not in after.findings["finding"].tolist()
    assert after.ok
    fit(mended, graph, told)


def test_large_csc_on_disk_and_dense_zeros_are_noticed(adata, tmp_path, monkeypatch):
    from genegraph.inspection import storage

    monkeypatch.setattr(storage, "LARGE", 10)
    dense = adata.copy()
    dense.X = change(dense.X, (slice(None), slice(2, None)), 0)
    (line,) = [a for a in inspect(dense).findings["advice"] if "csr_matrix" in a]
    assert "CSR" in inspect(follow(line, dense, None, {})[0]).storage
    adata.X = adata.X.tocsc()
    adata.write_h5ad(tmp_path / "cells.h5ad")
    backed = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    (found,) = rows(inspect(backed), "warning").itertuples()
    assert "stored by genes" in found.finding
    assert "CSR" in inspect(follow(found.advice, backed, None, {})[0]).storage


def test_text_from_a_file_stays_text(adata):
    adata.obs["cell_type"] = labels_with(adata, [0], "<script>alert(1)</script>")
    adata.var_names = ["<b>G</b>", *adata.var_names[1:]]
    page = inspect(adata, labels="cell_type")._repr_html_()
    assert "<script>" not in page
    assert "<b>G</b>" not in page
    assert "&lt;script&gt;" in page


def test_what_was_found_is_json(adata, graph):
    seen = inspect(adata, graph, "cell_type", "batch")
    told = json.loads(json.dumps(seen.to_dict()))
    assert told["ok"] is True
    assert told["classes"] == {"B cell": 40, "NK cell": 40, "T cell": 40}
    assert [row["finding"] for row in told["findings"]] == seen.findings["finding"].tolist()
    assert list(seen.findings) == ["severity", "topic", "finding", "advice"]


def test_only_an_anndata_is_inspected():
    MuData = type("MuData", (), {"mod": {}})
    with pytest.raises(TypeError, match=r"must be an AnnData .got MuData.*mdata.mod"):
        inspect(MuData())
    with pytest.raises(TypeError, match="got DataFrame"):
        inspect(pd.DataFrame())


def test_nothing_left_is_an_error(adata, graph):
    for none in (adata[:0].copy(), adata[:, :0].copy()):
        seen = inspect(none, graph, "cell_type")
        assert "was everything filtered away?" in " ".join(rows(seen, "error")["finding"])


@pytest.mark.filterwarnings("ignore:Only")
@pytest.mark.parametrize("seed", range(12))
def test_fit_works_exactly_where_no_error_was_found(seed, adata, graph):
    """Mistakes are mixed by chance; the verdict must be that of fit."""
    rng = np.random.default_rng(seed)
    harmless = [empty_cells, a_single_cell, dates, no_type, lambda a, g: None]
    harmful = [infinite, missing_labels, doubled_gene, square_roots, scaled_alone]
    for oddity in rng.choice(harmless, 2, replace=False):
        oddity(adata, graph)
    if seed % 2:
        rng.choice(harmful)(adata, graph)
    seen = inspect(adata, graph, "cell_type", "batch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit(adata, graph, {"batch": "batch"})
        except (ValueError, KeyError, TypeError):
            assert not seen.ok
        else:
            assert seen.ok, str(seen)


def logarithms(a):
    X = a.X.toarray()
    a.X = np.log1p(10_000 * X / X.sum(1, keepdims=True))


def some_genes_of_logarithms(a):
    logarithms(a)
    a.X[:, 0] = 0
    return {"values": "log1p"}


def whole_numbers(a):
    a.X = a.X.astype("int64")


def ones_and_zeros(a):
    a.X = a.X > 5
    a.X = a.X.astype("float32")


def numbered_classes(a):
    a.obs["cell_type"] = np.repeat([3, 5, 7], 40)


def numbered_categories(a):
    a.obs["cell_type"] = pd.Categorical(np.repeat([3, 5, 7], 40), categories=[3, 5, 7, 9])


def truths(a):
    a.obs["cell_type"] = [True, False] * 60


def numbered_batches(a):
    a.obs["batch"] = [1.0, 2.0] * 60


def by_genes(a):
    a.X = a.X.tocsc()


def features(a):
    a.X = a.X.toarray() - 3.25
    return {"values": "features", "graph": None}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "form",
    [
        logarithms,
        some_genes_of_logarithms,
        whole_numbers,
        ones_and_zeros,
        numbered_classes,
        numbered_categories,
        truths,
        numbered_batches,
        by_genes,
        features,
    ],
    ids=lambda form: form.__name__,
)
def test_what_is_found_good_can_be_fitted(form, adata, graph):
    told = form(adata) or {}
    graph = told.pop("graph", graph)
    told = {"labels": "cell_type", "batch": "batch", **told}
    seen = inspect(adata, graph, **told)
    assert seen.ok, str(seen)
    model = fit(adata, graph, told)
    assert model.values_ == seen.values
    assert model.target_sum_ == seen.target_sum
    assert {str(label) for label in model.classes_} == set(seen.classes)


def test_proteins_as_genes_of_the_graph_ask_for_the_info_file(adata, graph):
    proteins = GeneGraph([f"ENSP000000000{i:02}" for i in range(12)], graph.edge_index)
    line = rows(inspect(adata, proteins), "error")["advice"].item()
    assert line == "graph = GeneGraph.from_interactions(read_stringdb(links, info))"


def test_the_table_asked_for_leads_to_the_kind_of_names_of_the_graph(adata, graph):
    for names, to in (([7100 + i for i in range(12)], "entrez"), (range(12), "ensembl")):
        form = "{}" if to == "entrez" else "ENSG0000000{:04}"
        other = GeneGraph([form.format(i) for i in names], graph.edge_index)
        line = rows(inspect(adata, other), "error")["advice"].item()
        assert line == f'adata, report = genegraph.map_genes(adata, "{to}", "names.tsv")'


def test_no_table_is_asked_for_where_it_would_not_help(adata, graph):
    adata.var_names = [f"Other{i}" for i in range(11)] + ["G0"]
    (found,) = rows(inspect(adata, graph), "warning").itertuples()
    assert "Only 1 of the 12" in found.finding
    assert found.advice == ""
    adata.var_names = [f"g{i}" for i in range(12)]
    line = rows(inspect(adata, graph), "error")["advice"].item()
    assert line == 'adata, report = genegraph.map_genes(adata, "symbol", "orthologs.tsv")'


def test_only_some_cells_are_searched_for_reads(adata, graph, monkeypatch):
    X = adata.X.toarray()
    adata.X = np.log1p(10_000 * X / X.sum(1, keepdims=True))
    monkeypatch.setattr(cell_reads, "RUNS", 3)
    monkeypatch.setattr(cell_reads, "RUN", 4)
    asked = []
    count = cell_reads.count_cells
    monkeypatch.setattr(
        cell_reads, "count_cells", lambda X, *rest: asked.append(X.shape[0]) or count(X, *rest)
    )
    assert inspect(adata, graph).target_sum == pytest.approx(10_000, rel=1e-3)
    assert asked == [12]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real files are not beside the repository")
@pytest.mark.parametrize(
    ("name", "values", "shared", "ok"),
    [
        ("pbmc3k", "counts", 11_474, True),
        ("zheng_facs_pbmc", "counts", 11_720, True),
        ("mouse_mop_dot", "counts", 0, False),
        ("pbmc_symphony_3tech", None, 1_188, False),
    ],
)
def test_real_cells(name, values, shared, ok):
    string = SHARED / "string"
    table = read_stringdb(
        string / "9606.protein.links.full.v12.0.subset.txt.gz",
        string / "9606.protein.info.v12.0.subset.txt.gz",
    )
    graph = GeneGraph.from_interactions(table)
    adata = anndata.read_h5ad(SHARED / "cells" / f"{name}.h5ad")
    seen = inspect(adata, graph, "cell_type")
    assert seen.values == values
    assert seen.graph["shared"] == shared == len(set(adata.var_names) & set(graph.genes))
    assert seen.ok is ok
    assert sum(seen.classes.values()) == adata.n_obs
    if name == "mouse_mop_dot":
        assert "as in mouse" in rows(seen, "error")["finding"].iloc[0]
    if name == "pbmc_symphony_3tech":
        line = rows(seen, "error")["advice"].item()
        assert line == "model = GeneGCNClassifier(graph, values='log1p')"
        assert inspect(adata, graph, "cell_type", values="log1p").ok
