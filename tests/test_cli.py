import gzip
import json
import subprocess
import sys

import anndata
import networkx as nx
import numpy as np
import pandas as pd
import pytest

from genegraph import GeneGCNClassifier, GeneGraph, __version__
from genegraph.cli import main

GENES = ["CD79A", "CD79B", "MS4A1", "CD3D", "CD3E", "CD2"]


def make_cells(num_cells, seed):
    rng = np.random.default_rng(seed)
    labels = np.where(np.arange(num_cells) % 2 == 0, "B cell", "T cell")
    own = (labels[:, None] == "B cell") == (np.arange(6)[None, :] < 3)
    return anndata.AnnData(
        rng.poisson(np.where(own, 20, 2)).astype("float32"),
        obs=pd.DataFrame(
            {"cell_type": labels, "lane": [f"lane{i // 2 % 3}" for i in range(num_cells)]},
            index=[f"cell{i}" for i in range(num_cells)],
        ),
        var=pd.DataFrame(index=GENES),
    )


@pytest.fixture
def files(tmp_path):
    """A folder with labelled cells, cells to label, and a table of edges."""
    make_cells(60, seed=0).write_h5ad(tmp_path / "cells.h5ad")
    make_cells(20, seed=1).write_h5ad(tmp_path / "query.h5ad")
    (tmp_path / "edges.tsv").write_text(
        "gene_a\tgene_b\tscore\nCD79A\tCD79B\t1.0\nCD79A\tMS4A1\t0.5\nCD3D\tCD3E\t1.0\n"
    )
    return tmp_path


def run(*words):
    return main([str(word) for word in words])


def fit(files, *more):
    cells, model = files / "cells.h5ad", files / "m.genegraph"
    return run("fit", cells, "--labels", "cell_type", "--model", model, "--epochs", 5, *more)


def predict(files, out, *more):
    return run(
        "predict", files / "query.h5ad", "--model", files / "m.genegraph", "--out", out, *more
    )


def test_version_is_printed(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.split() == ["genegraph", __version__]


@pytest.mark.parametrize("words", [[], ["fit"], ["predict", "q.h5ad"], ["train"]])
def test_wrong_words_show_the_usage(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert "usage: genegraph" in capsys.readouterr().err


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom genegraph.cli import make_parser\nmake_parser().format_help()\n"
        "print([m for m in ('torch', 'pandas', 'anndata', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "command",
    [
        ["demo"],
        ["fetch", "string"],
        ["fetch", "biogrid"],
        ["inspect"],
        ["explain"],
        ["report"],
        ["fit"],
        ["predict"],
        ["annotate"],
        ["graph"],
        ["graph", "build"],
    ],
)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    assert " ".join(command) in capsys.readouterr().out


def test_fit_then_predict_to_csv(files, capsys):
    assert fit(files, "--edges", files / "edges.tsv") == 0
    assert "5 of 6 genes interact" in capsys.readouterr().out
    assert predict(files, files / "out.csv") == 0
    table = pd.read_csv(files / "out.csv")
    assert list(table.columns) == ["cell", "predicted", "confidence", "novelty"]
    assert table["cell"].tolist() == [f"cell{i}" for i in range(20)]
    assert (table["predicted"] == make_cells(20, seed=1).obs["cell_type"].to_numpy()).mean() > 0.9


def test_unsure_cells_and_majority_voting(files):
    fit(files, "--groups", "lane")
    options = ("--min-confidence", 0.999, "--majority-voting", "lane")
    assert predict(files, files / "out.csv", *options) == 0
    table = pd.read_csv(files / "out.csv")
    assert list(table.columns) == ["cell", "predicted", "confidence", "novelty", "majority"]
    unsure = table["confidence"] < 0.999
    assert unsure.sum() > 0
    assert (table["predicted"][unsure.to_numpy()] == "unknown").all()
    assert predict(files, files / "other.csv", "--max-error", 0.0) == 1


def test_new_cells_are_unknown(files):
    fit(files)
    assert predict(files, files / "out.csv", "--max-novelty", 0.5) == 0
    table = pd.read_csv(files / "out.csv")
    new = table["novelty"] > 0.5
    assert 0 < new.sum() < 20
    assert ((table["predicted"] == "unknown") == new).all()
    assert predict(files, files / "other.csv", "--max-novelty", 1.0) == 1


def test_adapted_to_the_query(files, capsys):
    query = make_cells(100, seed=1)
    query.X = query.X * np.float32([1, 1, 1, 8, 8, 8])  # caught better in another technology
    query.write_h5ad(files / "query.h5ad")
    fit(files)
    model = GeneGCNClassifier.load(files / "m.genegraph")
    adapted = model.adapt(query)
    with pytest.warns(UserWarning, match="though they are deeper"):
        as_it_is = model.score(query, "cell_type")
    assert adapted.score(query, "cell_type") > 0.95 > as_it_is
    capsys.readouterr()
    assert predict(files, files / "out.csv", "--adapt", "--json") == 0
    assert json.loads(capsys.readouterr().out)["adapted"] == adapted.adapted_
    table = pd.read_csv(files / "out.csv")
    assert table["predicted"].tolist() == adapted.predict(query).tolist()
    assert annotate(files, "--adapt", "--out", files / "once.csv", "--model", files / "kept") == 0
    assert "adapted to 100 cells" in capsys.readouterr().out
    assert (files / "once.csv").read_text() == (files / "out.csv").read_text()
    assert GeneGCNClassifier.load(files / "kept").adapted_ is None  # for the next query
    report = ("report", files / "query.h5ad", "--model", files / "kept", "--no-interactions")
    assert run(*report, "--labels", "cell_type", "--adapt", "--out", files / "out.html") == 0
    assert "adapted to 100 cells" in (files / "out.html").read_text()


@pytest.mark.parametrize(("asked", "thin_to"), [("30", 30), ("20,200", (20, 200))])
def test_as_shallow_as_the_query(files, asked, thin_to):
    assert fit(files, "--thin-to", asked) == 0
    assert GeneGCNClassifier.load(files / "m.genegraph").thin_to == thin_to


def test_predict_to_h5ad_uses_the_key(files):
    assert fit(files) == 0
    assert predict(files, files / "out.h5ad", "--key", "guess") == 0
    found = anndata.read_h5ad(files / "out.h5ad")
    assert {"cell_type", "guess", "guess_confidence"} <= set(found.obs.columns)
    assert found.obsm["guess_proba"].shape == (20, 2)


def test_fit_says_when_there_is_no_graph(files, capsys):
    assert fit(files) == 0
    assert "training without graph" in capsys.readouterr().out


def test_several_interaction_files_become_one_graph(files, capsys):
    (files / "9606.protein.links.v12.0.txt").write_text(
        "protein1 protein2 combined_score\n9606.P1 9606.P2 900\n9606.P2 9606.P1 900\n"
    )
    (files / "9606.protein.info.v12.0.txt").write_text(
        "#string_protein_id\tpreferred_name\n9606.P1\tCD3D\n9606.P2\tCD2\n"
    )
    links, info = sorted(files.glob("9606*"), reverse=True)
    assert fit(files, "--edges", files / "edges.tsv", "--links", links, "--info", info) == 0
    assert "6 of 6 genes interact" in capsys.readouterr().out


def test_same_seed_same_labels(files):
    tables = []
    for turn in range(2):
        assert fit(files, "--force", "--seed", 3) == 0
        assert predict(files, files / f"{turn}.csv") == 0
        tables.append((files / f"{turn}.csv").read_text())
    assert tables[0] == tables[1]


def test_results_are_not_overwritten_unless_forced(files, capsys):
    (files / "m.genegraph").write_text("precious")
    assert fit(files) == 1
    assert "exists already; name another file or pass --force" in capsys.readouterr().err
    assert (files / "m.genegraph").read_text() == "precious"


def words_of_fit(files, **changed):
    words = {"labels": "cell_type", "model": files / "new.genegraph", **changed}
    cells = words.pop("cells", files / "cells.h5ad")
    return ["fit", cells, *(part for key, value in words.items() for part in (f"--{key}", value))]


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"cells": "nowhere.h5ad"}, "nowhere.h5ad does not exist"),
        ({"links": "nowhere.txt"}, "nowhere.txt does not exist"),
        ({"model": "nowhere/m.genegraph"}, "The folder nowhere for m.genegraph does not exist"),
        ({"model": "."}, "is a folder"),
        ({"unlabeled": "nowhere.h5ad"}, "nowhere.h5ad does not exist"),
        ({"unlabeled": "edges.tsv"}, "edges.tsv could not be read as cells"),
        ({"labels": "celltype"}, "did you mean 'cell_type'"),
        ({"cells": "edges.tsv"}, "edges.tsv could not be read as cells"),
    ],
)
def test_bad_input_of_fit_is_one_line_and_no_model(files, changed, match, capsys, monkeypatch):
    monkeypatch.chdir(files)
    assert run(*words_of_fit(files, **changed)) == 1
    said = capsys.readouterr().err
    assert said.startswith("genegraph: error: ")
    assert said.count("\n") == 1
    assert match in said
    assert not (files / "new.genegraph").exists()


def test_names_without_links_are_refused(files, capsys):
    assert run(*words_of_fit(files, info=files / "edges.tsv")) == 2
    assert "give --links as well" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "match"),
    [
        ("nowhere/labels.csv", "The folder nowhere for labels.csv does not exist"),
        ("query.h5ad", "pass --force"),
        ("labels.csv", "m.genegraph does not exist"),
    ],
)
def test_bad_input_of_predict_is_one_line(files, out, match, capsys, monkeypatch):
    monkeypatch.chdir(files)
    assert run("predict", "query.h5ad", "--model", "m.genegraph", "--out", out) == 1
    said = capsys.readouterr().err
    assert match in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (["--out", "labels.txt"], "--out must end in .csv or .h5ad (got 'labels.txt')"),
        (
            ["--out", "labels.csv", "--max-error", 0.1, "--min-confidence", 0.5],
            "Only one of --min-confidence and --max-error",
        ),
    ],
)
def test_a_wrong_command_is_told_from_a_failure(files, more, match, capsys):
    model = files / "m.genegraph"
    assert run("predict", files / "query.h5ad", "--model", model, *more) == 2
    assert match in capsys.readouterr().err


def test_predict_refuses_a_file_that_is_no_model(files, capsys):
    (files / "m.genegraph").write_text("not a model")
    assert predict(files, files / "labels.csv") == 1
    assert "m.genegraph" in capsys.readouterr().err


def test_debug_shows_the_traceback(files):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        run(*words_of_fit(files, cells="nowhere.h5ad"), "--debug")


def test_demo_writes_its_files_and_a_table(tmp_path, monkeypatch, capsys):
    pytest.importorskip("scanpy")
    from genegraph import demo

    monkeypatch.setitem(demo.run_demo.__kwdefaults__, "max_epochs", 2)
    out = tmp_path / "results" / "demo"
    assert run("demo", "--out", out) == 0
    assert {path.name for path in out.iterdir()} == {
        "confusion.png",
        "pbmc.genegraph",
        "predictions.csv",
    }
    table = pd.read_csv(out / "predictions.csv")
    assert list(table.columns) == ["cell", "cell_type", "predicted", "confidence"]
    assert len(table) == 210
    printed = capsys.readouterr().out
    for text in ("logistic regression", "gene GCN", "of 765 genes interact", "95% interval"):
        assert text in printed


def test_demo_returns_what_it_prints(tmp_path):
    pytest.importorskip("scanpy")
    from genegraph.demo import run_demo

    rows = run_demo(tmp_path, max_epochs=1)
    assert rows.index.tolist() == ["logistic regression", "fully connected head", "gene GCN"]
    assert (rows["low"] < rows["accuracy"]).all()
    assert (rows["accuracy"] < rows["high"]).all()
    assert 0.8 < rows.loc["logistic regression", "accuracy"] < 0.95


def test_demo_refuses_a_file_in_place_of_its_folder(tmp_path, capsys):
    (tmp_path / "taken").write_text("mine")
    assert run("demo", "--out", tmp_path / "taken") == 1
    assert "must be a folder" in capsys.readouterr().err


def test_demo_refuses_names_without_links(tmp_path, capsys):
    (tmp_path / "info.txt").write_text("x")
    assert run("demo", "--out", tmp_path / "out", "--info", tmp_path / "info.txt") == 2
    assert "give --links as well" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("right", "total"), [(0, 10), (5, 10), (10, 10), (189, 210)])
def test_wilson_interval_solves_its_equation(right, total):
    from genegraph.reliability import wilson_interval

    # Its two ends are the shares whose own standard error is 1.96 times smaller than the gap.
    for end in wilson_interval(right, total):
        gap = right / total - end
        assert gap**2 == pytest.approx(1.959964**2 * end * (1 - end) / total, abs=1e-12)


def annotate(files, *more):
    reference, query = files / "cells.h5ad", files / "query.h5ad"
    words = ("annotate", reference, query, "--labels", "cell_type", "--epochs", 5)
    return run(*words, *more)


def test_annotate_does_what_fit_and_predict_do(files):
    edges = ("--edges", files / "edges.tsv")
    assert annotate(files, *edges, "--out", files / "once.csv", "--model", files / "kept") == 0
    assert fit(files, *edges) == 0
    assert predict(files, files / "twice.csv") == 0
    assert (files / "once.csv").read_text() == (files / "twice.csv").read_text()
    words = ("predict", files / "query.h5ad", "--model", files / "kept")
    assert run(*words, "--out", files / "later.csv") == 0
    assert (files / "later.csv").read_text() == (files / "once.csv").read_text()


@pytest.mark.parametrize("command", ["fit", "annotate"])
def test_cells_without_labels_are_learned_from_too(files, command, capsys):
    query = anndata.read_h5ad(files / "query.h5ad")
    query.obs = query.obs[[]]  # nothing in them says what they are
    query.write_h5ad(files / "query.h5ad")
    options = ("--unlabeled", files / "query.h5ad", "--json")
    if command == "fit":
        assert fit(files, *options) == 0
    else:
        assert annotate(files, *options, "--out", files / "out.csv") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["unlabeled_cells"] == 20
    assert found["training_cells"] == 60


def test_json_is_one_object_with_the_results(files, capsys):
    assert annotate(files, "--out", files / "out.csv", "--json") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["named_cells"] == sum(found["cell_types"].values()) == 20
    assert found["training_cells"] == 60
    assert found["classes"] == ["B cell", "T cell"]
    assert found["graph"] is None
    assert 0 < found["held_out"]["accuracy"] <= 1
    assert found["out"] == str(files / "out.csv")
    assert "training without graph" in captured.err
    assert annotate(files, "--out", files / "out.csv", "--json") == 1
    assert capsys.readouterr().out == ""


def build(files, *more):
    out = files / "graph.npz"
    return run("graph", "build", "--edges", files / "edges.tsv", "--out", out, *more)


def test_a_built_graph_is_as_good_as_its_files(files, capsys):
    assert build(files, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["graph"]["edges_kept"], found["graph"]["genes"]) == (3, 5)
    assert found["content_hash"] == GeneGraph.load(files / "graph.npz").content_hash
    assert fit(files, "--edges", files / "edges.tsv") == 0
    assert predict(files, files / "files.csv") == 0
    assert fit(files, "--graph", files / "graph.npz", "--force") == 0
    assert predict(files, files / "graph.csv") == 0
    assert (files / "files.csv").read_text() == (files / "graph.csv").read_text()


def test_a_graph_for_the_genes_of_a_file(files, capsys):
    assert build(files, "--cells", files / "cells.h5ad") == 0
    assert GeneGraph.load(files / "graph.npz").genes == tuple(GENES)
    assert "5 of 6 genes interact" in capsys.readouterr().out
    assert run("graph", "report", files / "graph.npz") == 0
    assert "5 of 6 genes interact" in capsys.readouterr().out


def test_graph_report_matches_genes_when_asked(files, capsys):
    build(files)
    capsys.readouterr()
    assert run("graph", "report", files / "graph.npz") == 0
    assert "5 of 5 genes interact" in capsys.readouterr().out
    assert run("graph", "report", files / "graph.npz", "--cells", files / "cells.h5ad") == 0
    assert "5 of 6 genes interact" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", ["tsv", "csv"])
def test_a_converted_table_is_read_again(files, suffix):
    build(files)
    assert run("graph", "convert", files / "graph.npz", files / f"again.{suffix}") == 0
    edges = ("--edges", files / f"again.{suffix}")
    assert run("graph", "build", *edges, "--out", files / "again.npz") == 0
    first, again = (GeneGraph.load(files / f"{name}.npz") for name in ("graph", "again"))
    assert (first.genes, first.num_edges) == (again.genes, again.num_edges)
    assert first.edge_weight.equal(again.edge_weight)


def test_other_tools_read_a_converted_graph(files):
    build(files)
    assert run("graph", "convert", files / "graph.npz", files / "g.graphml") == 0
    assert run("graph", "convert", files / "graph.npz", files / "g.cyjs") == 0
    plain = GeneGraph.load(files / "graph.npz").to_networkx()
    shown = nx.cytoscape_graph(json.loads((files / "g.cyjs").read_text()))
    for g in (nx.read_graphml(files / "g.graphml"), shown):
        assert set(g) == set(plain)
        for one, other, weight in plain.edges(data="weight"):
            assert g[one][other]["weight"] == weight


@pytest.mark.parametrize(
    ("words", "status", "match"),
    [
        (["graph", "build", "--out", "new.npz"], 2, "give at least one"),
        (["graph", "build", "--edges", "no.tsv", "--out", "new.npz"], 1, "no.tsv does not exist"),
        (["graph", "build", "--edges", "edges.tsv", "--out", "query.h5ad"], 1, "pass --force"),
        (["graph", "report", "edges.tsv"], 1, "edges.tsv"),
        (["graph", "convert", "edges.tsv", "g.pdf"], 2, "must end in .tsv, .csv, .graphml or"),
        (["graph", "convert", "no.npz", "g.tsv"], 1, "no.npz does not exist"),
    ],
)
def test_bad_input_of_graph_is_one_line(files, words, status, match, capsys, monkeypatch):
    monkeypatch.chdir(files)
    assert run(*words) == status
    said = capsys.readouterr().err
    assert match in said
    assert said.count("\n") == 1


def test_a_graph_and_its_files_exclude_each_other(files, capsys):
    build(files)
    assert fit(files, "--graph", files / "graph.npz", "--edges", files / "edges.tsv") == 2
    assert "--graph is a whole graph" in capsys.readouterr().err


def test_fetch_says_where_the_files_lie(tmp_path, capsys):
    texts = {
        "links": "protein1 protein2 combined_score\n10090.P1 10090.P2 900\n",
        "info": "#string_protein_id\tpreferred_name\n10090.P1\tTrp53\n",
    }
    for kind, text in texts.items():
        packed = gzip.compress(text.encode())
        (tmp_path / f"10090.protein.{kind}.v12.0.txt.gz").write_bytes(packed)
    words = ("fetch", "string", "--taxon", "mouse", "--cache-dir", tmp_path)
    assert run(*words) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"--{kind} {tmp_path / f'10090.protein.{kind}.v12.0.txt.gz'}" for kind in ("links", "info")
    ]
    assert run(*words, "--json") == 0
    assert set(json.loads(capsys.readouterr().out)) == {"links", "info"}
    assert run("fetch", "string", "--taxon", "yeast") == 2


def test_fetch_offline_names_the_file_to_get_by_hand(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing listens there
    assert run("fetch", "biogrid", "--cache-dir", tmp_path) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "https://downloads.thebiogrid.org/" in said
    assert str(tmp_path) in said
    assert list(tmp_path.iterdir()) == []


def test_inspect_says_what_fit_would(files, capsys):
    words = ("inspect", files / "cells.h5ad", "--edges", files / "edges.tsv")
    assert run(*words, "--labels", "cell_type", "--groups", "lane") == 0
    printed = capsys.readouterr().out
    for text in ("60 cells x 6 genes", "raw counts", "2 classes", "3 batches"):
        assert text in printed
    assert run(*words, "--labels", "kind", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert any("kind" in finding["finding"] for finding in found["findings"])


def test_inspect_says_what_to_type_in_the_shell(files, capsys):
    assert run("inspect", files / "cells.h5ad") == 0
    printed = capsys.readouterr().out
    assert "> --graph FILE\n" in printed
    assert "> --labels cell_type\n" in printed
    assert "Lines of Python" not in printed
    cells = anndata.read_h5ad(files / "cells.h5ad")
    cells.obs["cell_type"] = cells.obs["cell_type"].astype("category").where(cells.X[:, 0] > 0)
    cells.write_h5ad(files / "lost.h5ad")
    assert run("inspect", files / "lost.h5ad", "--labels", "cell_type") == 1
    printed = capsys.readouterr().out
    assert "> adata" in printed
    assert printed.endswith("lost.h5ad')\n")


def explain(files, out, *more):
    words = ("explain", files / "query.h5ad", "--model", files / "m.genegraph")
    return run(*words, "--out", files / out, *more)


@pytest.fixture
def fitted(files):
    pytest.importorskip("captum")
    assert fit(files, "--edges", files / "edges.tsv") == 0
    return files


def test_explain_writes_what_speaks_for_each_type(fitted, capsys):
    assert explain(fitted, "genes.csv") == 0
    table = pd.read_csv(fitted / "genes.csv")
    # What a type has speaks for it, and what it lacks: of two types the same genes.
    assert (table["importance"] > 0).all()
    has = table[table["expression"] > table["baseline"]].groupby("class")["gene"].agg(set)
    assert has.to_dict() == {"B cell": set(GENES[:3]), "T cell": set(GENES[3:])}
    assert "CD79A" in capsys.readouterr().out
    few = ("--what", "edges", "--label", "B cell", "--top", 1, "--by", "cell_type")
    assert explain(fitted, "edges.csv", *few) == 0
    edges = pd.read_csv(fitted / "edges.csv")
    assert edges["class"].tolist() == ["B cell"]
    assert edges["in_prior"].all()


@pytest.mark.parametrize("out", ["edges.graphml", "edges.cyjs", "edges.png"])
def test_explain_writes_networks_and_pictures(fitted, out):
    assert explain(fitted, out, "--what", "edges", "--label", "T cell") == 0
    if out == "edges.graphml":
        assert set(nx.read_graphml(fitted / out).edges) == {
            ("CD79A", "CD79B"),
            ("CD79A", "MS4A1"),
            ("CD3D", "CD3E"),
        }
    assert (fitted / out).stat().st_size > 100


@pytest.mark.parametrize(
    ("words", "status", "match"),
    [
        (("a.txt",), 2, "must end in .csv, .graphml"),
        (("a.graphml",), 2, "--what edges"),
        (("a.png", "--what", "edges"), 2, "name it: --label"),
        (("a.csv", "--label", "NK"), 1, "--label must be one of ['B cell', 'T cell']"),
        (("a.csv", "--what", "attention"), 1, "attention"),
        (("a.csv", "--by", "kind"), 1, "kind"),
    ],
)
def test_bad_input_of_explain_is_one_line(fitted, words, status, match, capsys):
    capsys.readouterr()
    assert explain(fitted, *words) == status
    said = capsys.readouterr().err
    assert match in said
    assert said.count("\n") == 1


@pytest.mark.filterwarnings("always:The cells lack")
def test_warnings_are_told_once_and_in_one_line(fitted, capsys):
    files = fitted
    few = make_cells(20, seed=1)[:, GENES[:5]].copy()
    few.write_h5ad(files / "few.h5ad")
    capsys.readouterr()
    words = ("predict", files / "few.h5ad", "--model", files / "m.genegraph")
    assert run(*words, "--out", files / "few.csv") == 0
    said = capsys.readouterr().err
    assert said.startswith("genegraph: warning: The cells lack 1 of the 6 genes")
    assert said.count("\n") == 1
    reported = ("report", *words[1:], "--out", files / "few.html")
    assert run(*reported) == 0  # reads them for their names, and for the interactions
    assert capsys.readouterr().err.count("The cells lack") == 1


def test_report_is_one_page(fitted, capsys):
    words = ("report", fitted / "query.h5ad", "--model", fitted / "m.genegraph")
    assert run(*words, "--out", fitted / "r.html", "--labels", "cell_type") == 0
    page = (fitted / "r.html").read_text()
    assert page.lower().startswith("<!doctype html>")
    assert "B cell" in page
    assert run(*words, "--out", fitted / "r.html") == 1
    assert "pass --force" in capsys.readouterr().err
    assert run(*words, "--out", fitted / "r.pdf") == 2
