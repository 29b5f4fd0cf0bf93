"""What the pictures show, and how they are handed over."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

import genegraph
from genegraph import GeneGCNClassifier, GeneGraph, pl
from genegraph.pl import style
from genegraph.reliability import Reliability

anndata = pytest.importorskip("anndata")

SHOWN = Reliability.of(["T", "B"] * 50, ["T"] * 60 + ["B"] * 40, np.linspace(0.5, 1, 100))


@pytest.fixture
def pairs():
    return pd.DataFrame(
        {
            "class": ["T", "T", "T", "B"],
            "gene_a": ["CD3D", "CD3E", "LCK", "CD19"],
            "gene_b": ["CD3E", "LCK", "CD3D", "CD79A"],
            "importance": [0.4, -0.8, 0.2, 0.5],
            "prior_weight": [0.9, 0.0, 0.5, 0.9],
            "in_prior": [True, False, True, True],
        }
    )


@pytest.fixture
def annotated():
    adata = anndata.AnnData(
        np.array([[4, 1, 0], [2, 1, 0], [0, 1, 6], [0, 1, 2]], dtype="float32"),
        pd.DataFrame(index=list("abcd")),
        pd.DataFrame(index=["CD3D", "CD3E", "CD19"]),
    )
    adata.obs["genegraph"] = pd.Categorical(["T", "T", "B", "unknown"])
    adata.obs["genegraph_confidence"] = [0.9, 0.8, 0.95, 0.3]
    adata.obs["genegraph_novelty"] = [0.1, 0.2, 0.3, 0.99]
    adata.obsm["X_umap"] = np.array([[0.0, 0], [2, 0], [5, 5], [9, 9]])
    return adata


def title(ax):
    return " ".join(ax.get_title(loc="left").split()).replace(style.EN_DASH, "-")


def offsets(ax, marker):
    """The places of the points drawn with such a marker."""
    return {"x": ax.collections[-1], "o": ax.collections[0]}[marker].get_offsets()


def test_pictures_are_reached_from_the_front_door_and_imported_late():
    assert genegraph.pl is pl
    code = "import genegraph, sys; assert 'genegraph.pl' not in sys.modules; genegraph.pl.umap"
    heavy = "; assert not {'matplotlib', 'networkx', 'scanpy'} & set(sys.modules), 'heavy'"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
    importing = "import sys; import genegraph; genegraph.__dir__()" + heavy
    subprocess.run([sys.executable, "-c", importing], check=True, timeout=300)


def test_the_file_is_written_and_its_ending_says_which_kind(tmp_path):
    for ending, start in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        path = tmp_path / f"picture.{ending}"
        pl.coverage(SHOWN, save=path)
        assert path.read_bytes().startswith(start)


def test_a_given_axes_is_drawn_on_and_its_figure_keeps_its_size():
    for draw in (pl.coverage, pl.reliability):
        figure = Figure(figsize=(5, 4))
        ax = figure.add_subplot()
        assert draw(SHOWN, ax=ax) is ax
        assert figure.get_size_inches().tolist() == [5, 4]


def test_showing_hands_the_figure_to_pyplot_once(monkeypatch):
    from matplotlib import pyplot

    pyplot.switch_backend("agg")
    shown = []
    monkeypatch.setattr(pyplot, "show", lambda: shown.append(pyplot.get_fignums()))
    before = pyplot.get_fignums()
    ax = pl.coverage(SHOWN, show=True)
    assert len(shown) == 1
    assert len(shown[0]) == len(before) + 1
    pyplot.close(style.root(ax))
    pl.coverage(SHOWN)
    pl.coverage(SHOWN, show=False)
    assert len(shown) == 1
    assert pyplot.get_fignums() == before


def test_in_a_notebook_a_picture_of_its_own_is_displayed(monkeypatch):
    shown = []
    monkeypatch.setattr(style, "_in_notebook", lambda: True)
    monkeypatch.setattr(style, "_display", shown.append)
    ax = pl.coverage(SHOWN)
    assert shown == [style.root(ax)]
    pl.coverage(SHOWN, show=False)
    pl.coverage(SHOWN, ax=Figure().add_subplot())
    assert len(shown) == 1


def test_a_dollar_sign_in_a_name_starts_no_formula():
    ax = pl.confusion(["$x_1$", r"\frac", "B$"], ["$x_1$", r"\frac", "B$"])
    style.root(ax).draw_without_rendering()
    assert [t.get_text() for t in ax.get_xticklabels()] == [r"\$x_1\$", r"B\$", r"\frac"]


def test_history_draws_what_was_noted(counts):
    X, y = counts
    model = GeneGCNClassifier(
        hidden_channels=(8,), max_epochs=4, patience=4, random_state=0, verbose=False
    ).fit(X, y)
    ax = pl.history(model)
    noted = pd.DataFrame(model.history_)
    assert ax.lines[0].get_ydata().tolist() == noted["train_loss"].tolist()
    assert ax.lines[2].get_ydata().tolist() == noted["val_loss"].tolist()
    assert f"epoch {noted['val_loss'].argmin() + 1}:" in title(ax)
    ax = pl.history(model, "accuracy")
    assert np.allclose(ax.lines[0].get_ydata(), 100 * noted["train_accuracy"])
    with pytest.raises(ValueError, match="'loss' or 'accuracy'"):
        pl.history(model, "f1")


def test_reliability_draws_the_curve_with_intervals():
    ax = pl.reliability(SHOWN, num_bins=5)
    curve = SHOWN.curve(5)
    points = ax.lines[1].get_xydata()
    assert np.allclose(points, 100 * curve[["confidence", "accuracy"]])
    error = SHOWN.expected_calibration_error(5)
    assert f"{100 * error:.1f} points" in title(ax)


def test_coverage_draws_accuracy_among_the_surest():
    ax = pl.coverage(SHOWN)
    table = SHOWN.coverage()[19:]  # before, a share of under twenty cells
    assert np.allclose(ax.lines[0].get_xydata(), 100 * table[["coverage", "accuracy"]])
    kept = SHOWN.confidence >= 0.9
    right = SHOWN.correct[kept].mean()
    says = f"{100 * kept.mean():.1f} % named, {100 * right:.1f} % of them right"
    assert any(says in text.get_text() for text in ax.get_legend().get_texts())


def test_a_fitted_model_can_be_drawn_and_one_without_held_out_cells_says_so(counts):
    X, y = counts
    quick = {"hidden_channels": (8,), "max_epochs": 2, "random_state": 0, "verbose": False}
    assert "120 labelled" in pl.coverage(GeneGCNClassifier(**quick).fit(X, y)).texts[-1].get_text()
    with pytest.raises(ValueError, match="No cells were held out"):
        pl.reliability(GeneGCNClassifier(num_heads=1, **quick).fit(X, y))


def test_unknown_cells_are_crosses_and_classes_numbered_at_their_median(annotated):
    ax = pl.umap(annotated)
    assert offsets(ax, "x").tolist() == [[9.0, 9.0]]
    assert sorted(offsets(ax, "o").tolist()) == [[0.0, 0.0], [2.0, 0.0], [5.0, 5.0]]
    numbers = {t.get_text(): np.array(t.get_position()) for t in ax.texts if t.get_text().isdigit()}
    assert np.allclose(numbers["1"], [5, 5], atol=1e-3)  # B
    assert np.allclose(numbers["2"], [1, 0], atol=0.5)  # T, moved into the picture
    says = [text.get_text() for text in ax.get_legend().get_texts()]
    assert says == ["1  B (1)", "2  T (2)", "unknown (1)"]


def test_colours_of_scanpy_are_used(annotated):
    annotated.uns["genegraph_colors"] = ["#ff0000", "#00ff00", "#0000ff"]
    ax = pl.umap(annotated)
    handles = ax.get_legend().legend_handles
    assert [handle.get_color() for handle in handles[:2]] == ["#ff0000", "#00ff00"]


def test_confidence_and_novelty_colour_the_named_cells(annotated):
    ax = pl.umap(annotated, color="confidence")
    assert sorted(ax.collections[0].get_array()) == [0.8, 0.9, 0.95]
    assert title(ax) == "50.0% of 4 cells named with confidence 0.9 or more"
    ax = pl.umap(annotated, color="novelty")
    assert sorted(ax.collections[0].get_array()) == [0.1, 0.2, 0.3]
    assert title(ax) == "25.0% of 4 cells have a novelty above 0.95"


def test_a_missing_map_says_what_to_type(annotated):
    with pytest.raises(KeyError, match=r"sc.pp.neighbors\(adata\); sc.tl.umap\(adata\)"):
        pl.umap(annotated, basis="X_tsne")
    with pytest.raises(KeyError, match=r"model.annotate\(adata, key='named'\)"):
        pl.umap(annotated, "named")
    with pytest.raises(ValueError, match="'color' must be one of"):
        pl.umap(annotated, color="CD3D")
    with pytest.raises(TypeError, match="must be an AnnData"):
        pl.umap(np.eye(2))


def edges(ax):
    return [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]


def test_a_subnetwork_shows_importance_prior_and_expression(pairs, annotated):
    ax = pl.subnetwork(pairs, "T", annotated)
    drawn = edges(ax)
    assert [patch.get_linestyle() == "solid" for patch in drawn] == [False, True, True]
    width = [patch.get_linewidth() for patch in drawn]
    assert (width[0] - width[2]) / (width[1] - width[2]) == pytest.approx(0.6 / 0.2)
    # Genes in order of their names; LCK is not among the cells' genes, CD3D is expressed most.
    area = dict(zip(["CD3D", "CD3E", "LCK"], ax.collections[-1].get_sizes(), strict=True))
    assert area["CD3D"] > area["CD3E"] > area["LCK"]
    assert title(ax) == "CD3E-LCK is the strongest of 3 pairs for T, 1 not in the prior"


def test_around_a_class_what_is_said_of_it_alone_counts():
    rows = {"gene_a": ["B2M", "A", "A"], "gene_b": ["A", "B", "C"], "class": "B cell"}
    rows |= {"importance": [0.9, 0.2, 0.1], "specific": [-0.5, 0.2, 0.1]}
    table = pd.DataFrame({**rows, "prior_weight": 0.9, "in_prior": True})
    axes = pl.subnetwork(table, "B cell", top=2, show=False)
    assert axes.get_title(loc="left").split()[:1] == [f"A{style.EN_DASH}B"]
    around_gene = pl.subnetwork(table, "A", show=False)
    assert around_gene.get_title(loc="left").startswith(f"A{style.EN_DASH}B2M")


def test_around_a_gene_its_own_pairs_come_first(pairs):
    ax = pl.subnetwork(pairs, "CD3D", top=2)
    assert len(edges(ax)) == 2
    assert title(ax) == "CD3D-CD3E is the strongest of 2 pairs around CD3D, all in the prior"
    assert len(edges(pl.subnetwork(pairs, "CD3D"))) == 3


def test_directed_pairs_are_arrows_and_both_ways_are_kept(pairs):
    table = pairs.rename(columns={"gene_a": "source", "gene_b": "target"})
    back = table.head(1).assign(source="CD3E", target="CD3D")
    assert len(edges(pl.subnetwork(pd.concat([table, back]), "T"))) == 4
    mirrored = pairs.head(1).assign(gene_a="CD3E", gene_b="CD3D")
    assert len(edges(pl.subnetwork(pd.concat([pairs, mirrored]), "T"))) == 3


def test_tables_that_cannot_be_drawn_are_refused(pairs, annotated):
    with pytest.raises(ValueError, match=r"neither\)"):
        pl.subnetwork(pairs, "NK")
    with pytest.raises(ValueError, match="lacks prior_weight"):
        pl.subnetwork(pairs.drop(columns="prior_weight"), "T")
    with pytest.raises(ValueError, match="cells of the class 'T'"):
        pl.subnetwork(pairs, "T", annotated[2:])
    with pytest.raises(TypeError, match="must be a DataFrame"):
        pl.attention([1, 2])
    with pytest.raises(ValueError, match="no class 'NK'"):
        pl.attention(pairs, "NK")
    with pytest.raises(ValueError, match="must be finite"):
        pl.attention(pairs.assign(importance=np.nan))
    with pytest.raises(ValueError, match="at least 1"):
        pl.subnetwork(pairs, "T", top=0)


def test_the_graphs_coverage_is_as_counted_by_hand(annotated):
    graph = GeneGraph(["CD3D", "CD3E", "INS"], [[0, 1], [1, 0]])
    ax = pl.graph_coverage(graph, annotated, "genegraph")
    share = [bar.get_width() for bar in ax.patches]
    assert np.allclose(share, [200 / 3, 1000 / 18, 100 / 7, 100.0, 100 / 3])
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == ["genes", "expression", "B (1)", "T (2)", "unknown (1)"]
    annotated.X[0, 0] = -9
    with pytest.raises(ValueError, match="none negative"):
        pl.graph_coverage(graph, annotated)
    with pytest.raises(ValueError, match="has no graph"):
        pl.graph_coverage(GeneGCNClassifier(), annotated)


def test_degrees_are_counted_in_bins_that_double():
    star = [(0, i) for i in range(1, 6)] + [(1, 2)]
    index = np.array(star + [(b, a) for a, b in star]).T
    ax = pl.degrees(GeneGraph([f"G{i}" for i in range(8)], index))
    # None: G6, G7; one: G3, G4, G5; two or three: G1, G2; four to seven: G0.
    assert [bar.get_height() for bar in ax.patches] == [2, 3, 2, 1]
    assert title(ax) == "6 of 8 genes have neighbours, half of these at most 2"
    assert title(pl.degrees(GeneGraph(["A"], np.zeros((2, 0), int)))) == (
        "0 of 1 genes have neighbours"
    )


def test_attention_sets_learned_pairs_apart_and_marks_ignored_ones(pairs):
    table = pairs.assign(importance=[0.4, 0.8, 0.2, 0.5])
    ax = pl.attention(table)
    learned, known, ignored = (part.get_offsets() for part in ax.collections[:3])
    assert learned[:, 1].tolist() == [0.8]
    assert learned[0, 0] < 0
    assert known.tolist() == [[0.9, 0.5]]
    assert ignored.tolist() == [[0.9, 0.4], [0.5, 0.2]]  # below 0.45, the median
    says = [text.get_text().replace(style.EN_DASH, "-") for text in ax.get_legend().get_texts()]
    assert says == [
        "learned, not in the prior (1)",
        "1  CD3E-LCK",
        "in the prior (1)",
        "in the prior, ignored (2)",
        "2  CD3D-CD3E",
        "3  CD3D-LCK",
    ]
    assert title(ax) == "1 of the 4 pairs is not in the prior"


def test_ignored_is_what_the_table_says_where_it_says_so(pairs):
    table = pairs.assign(in_top_k=[True, True, False, False])
    ax = pl.attention(table)
    ignored = ax.collections[2].get_offsets()
    assert ignored.tolist() == [[0.9, 0.5], [0.5, 0.2]]
    assert "attends to most" in ax.texts[0].get_text()


def test_classes_may_be_given_cell_by_cell_and_values_in_a_layer(annotated):
    graph = GeneGraph(["CD3D", "CD3E"], [[0, 1], [1, 0]])
    annotated.layers["double"] = 2 * annotated.X
    ax = pl.graph_coverage(graph, annotated, ["a", "a", "b", "b"], layer="double")
    assert [text.get_text() for text in ax.get_yticklabels()][2:] == ["a (2)", "b (2)"]
    with pytest.raises(ValueError, match="one class per cell"):
        pl.graph_coverage(graph, annotated, ["a", "b"])
