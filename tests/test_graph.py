import copy
import json
import pickle
import warnings
import zipfile
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, clone

from genegraph.graph import GeneGraph

REAL_STRING = (
    Path(__file__).parents[1].parent / "shared/data/string/string_v12_human_scored_symbols.tsv.gz"
)


def dense(graph):
    matrix = np.zeros((graph.num_genes, graph.num_genes), dtype=np.float32)
    matrix[graph.edge_index[1], graph.edge_index[0]] = graph.edge_weight
    return matrix


def undirected(genes, edges):
    """A graph of ``(a, b, weight)`` triples of names, stored in both directions."""
    place = {gene: position for position, gene in enumerate(genes)}
    pairs = np.array([(place[a], place[b]) for a, b, _ in edges], dtype=int).reshape(-1, 2).T
    weight = np.array([w for *_, w in edges])
    return GeneGraph(genes, np.hstack([pairs, pairs[::-1]]), np.tile(weight, 2))


def random_graph(num_genes=60, num_pairs=150, seed=0):
    g = nx.gnm_random_graph(num_genes, num_pairs, seed=seed)
    rng = np.random.default_rng(seed)
    nx.set_edge_attributes(g, {e: float(rng.uniform(0.1, 1)) for e in g.edges}, "weight")
    return GeneGraph.from_networkx(nx.relabel_nodes(g, lambda node: f"G{node}"))


def interactions(*rows, **attrs):
    table = pd.DataFrame(rows, columns=["gene_a", "gene_b", "score"])
    table.attrs.update(attrs)
    return table


@pytest.fixture
def table():
    return interactions(
        ("TP53", "MDM2", 0.9), ("MDM2", "ATM", 0.5), ("INS", "IGF1", 0.7), source="STRING"
    )


@pytest.fixture
def path_graph():
    return undirected(["A", "B", "C", "D"], [("A", "B", 0.8), ("B", "C", 0.4)])


# Construction


def test_edges_are_sorted_by_target_and_merged_by_the_larger_weight():
    graph = GeneGraph(list("ABC"), [[2, 0, 0, 1], [1, 1, 1, 0]], [0.1, 0.2, 0.6, 0.5])
    assert graph.edge_index.tolist() == [[1, 0, 2], [0, 1, 1]]
    torch.testing.assert_close(graph.edge_weight, torch.tensor([0.5, 0.6, 0.1]))
    assert (graph.edge_index.dtype, graph.edge_weight.dtype) == (torch.int64, torch.float32)


def test_weights_default_to_one_and_any_integer_edges_are_read():
    for index in ([[0], [1]], np.array([[0], [1]], np.uint8), torch.tensor([[0], [1]]).int()):
        graph = GeneGraph(pd.Index(["A", "B"]), index)
        assert graph.edge_weight.tolist() == [1.0]
        assert graph.genes == ("A", "B")


def test_graph_without_edges_is_a_graph():
    graph = GeneGraph(["A"], np.empty((2, 0), int))
    assert repr(graph) == "GeneGraph(1 genes, 0 edges, 0 interacting)"
    assert GeneGraph(["A"], [[], []]) == graph
    assert graph.to_edge_index().shape == (2, 0)
    assert "0 of 1 genes interact" in str(graph.report())


def test_changing_the_inputs_afterwards_changes_nothing():
    index, weight = torch.tensor([[0], [1]]), torch.tensor([0.5])
    provenance = {"filters": ["score"]}
    graph = GeneGraph(["A", "B"], index, weight, provenance=provenance)
    index[0, 0], weight[0] = 1, 0.0
    provenance["filters"].append("other")
    graph.provenance["filters"].append("other")
    assert graph.edge_index.tolist() == [[0], [1]]
    assert graph.edge_weight.tolist() == [0.5]
    assert graph.provenance == {"filters": ["score"]}


def test_attributes_cannot_be_set_or_deleted(path_graph):
    with pytest.raises(AttributeError, match="'genes' cannot be set: a GeneGraph never changes"):
        path_graph.genes = ("X",)
    with pytest.raises(AttributeError, match="cannot be deleted"):
        del path_graph.edge_weight


def test_repr_is_short_and_counts_each_pair_once(path_graph):
    assert repr(path_graph) == "GeneGraph(4 genes, 2 edges, 3 interacting)"
    one_way = GeneGraph(list("AB"), [[0], [1]])
    assert repr(one_way) == "GeneGraph(2 genes, 1 edges, 2 interacting, directed)"
    looped = path_graph.normalize("sym", self_loops=True)
    expected = "GeneGraph(4 genes, 2 edges, 3 interacting, normalize='sym', self_loops=True)"
    assert repr(looped) == expected
    assert (looped.num_edges, looped.num_self_loops) == (2, 4)


def test_unequal_directions_make_a_graph_directed():
    graph = GeneGraph(list("AB"), [[0, 1], [1, 0]], [0.5, 0.6])
    assert not graph.is_undirected
    assert graph.num_edges == 2


BAD_GRAPHS = [
    (
        list("AAB"),
        [[0], [1]],
        None,
        ValueError,
        r"unique \(got 'A' \(2 times\)\).*var_names_make_uniq",
    ),
    (list("AABBCCDD"), [[0], [1]], None, ValueError, r"'C' \(2 times\) and 1 more"),
    (["A", ""], [[0], [1]], None, ValueError, "not empty .*position 1"),
    (["A", 5], [[0], [1]], None, TypeError, r"strings \(got 5, a int, at position 1\)"),
    ([], [[], []], None, ValueError, "at least one gene"),
    ({"A", "B"}, [[0], [1]], None, TypeError, r"ordered collection.*\(got set\)"),
    ("A", [[0], [1]], None, TypeError, r"ordered collection.*\(got str\)"),
    (["A", "B"], [[0, 1]], None, ValueError, r"\[2, num_edges\] \(got \[1, 2\]\)"),
    (["A", "B"], [[0], [2]], None, ValueError, r"gene 2, but the graph has 2 genes \(0 to 1\)"),
    (["A", "B"], [[-1], [0]], None, ValueError, "gene -1, but"),
    (["A", "B"], [[0.0], [1.0]], None, TypeError, r"integers \(got torch.float"),
    (["A", "B"], [[True], [False]], None, TypeError, "integers"),
    (["A", "B"], [[0], [1]], [1.0, 2.0], ValueError, r"\(got 2 values for 1 edges\)"),
    (["A", "B"], [[0], [1]], [[1.0]], ValueError, r"\(got shape \[1, 1\] for 1 edges\)"),
    (["A", "B"], [[0], [1]], [float("inf")], ValueError, r"finite.*\(got inf for edge 0, 1 such"),
    (["A", "B"], [[0], [1]], [-1.0], ValueError, r"at least 0 \(got -1.0"),
]


@pytest.mark.parametrize(("genes", "index", "weight", "error", "message"), BAD_GRAPHS)
def test_bad_graphs_are_refused(genes, index, weight, error, message):
    with pytest.raises(error, match=message):
        GeneGraph(genes, index, weight)


def test_provenance_must_be_storable():
    with pytest.raises(TypeError, match="only what JSON can hold"):
        GeneGraph(["A"], [[], []], provenance={"file": object()})
    with pytest.raises(TypeError, match=r"must be a dict \(got list\)"):
        GeneGraph(["A"], [[], []], provenance=["STRING"])


# From a table of interactions


def test_table_without_genes_gives_its_genes_in_order(table):
    graph = GeneGraph.from_interactions(table)
    assert graph.genes == ("ATM", "IGF1", "INS", "MDM2", "TP53")
    expected = np.zeros((5, 5), np.float32)
    expected[[0, 3, 1, 2, 3, 4], [3, 0, 2, 1, 4, 3]] = [0.5, 0.5, 0.7, 0.7, 0.9, 0.9]
    np.testing.assert_array_equal(dense(graph), expected)
    assert graph.provenance["source"] == "STRING"


def test_order_and_direction_of_rows_do_not_matter(table):
    shuffled = table.iloc[::-1].rename(columns={"gene_a": "gene_b", "gene_b": "gene_a"})
    assert GeneGraph.from_interactions(shuffled) == GeneGraph.from_interactions(table)


def test_given_genes_keep_their_order_and_the_rest_is_counted(table):
    genes = pd.Index(["CD3D", "MDM2", "TP53"])
    graph = GeneGraph.from_interactions(table, genes=genes)
    assert graph.genes == ("CD3D", "MDM2", "TP53")
    report = graph.report()
    assert (report.genes, report.genes_matched, report.interacting) == (3, 2, 2)
    assert (report.edges_kept, report.edges_dropped) == (1, {"outside the given genes": 2})


def test_every_row_is_kept_or_counted_as_dropped():
    table = interactions(
        ("A", "B", 0.9), ("B", "A", 0.95), ("A", "C", 0.0), ("A", "X", 0.4), ("A", "A", 0.3)
    )
    report = (graph := GeneGraph.from_interactions(table, genes=list("ABC"))).report()
    assert report.edges_dropped == {
        "outside the given genes": 1,
        "score of zero": 1,
        "pair listed more than once": 1,
    }
    assert report.edges_kept + report.self_loops + sum(report.edges_dropped.values()) == len(table)
    assert dense(graph)[0].tolist() == pytest.approx([0.3, 0.95, 0.0])


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from("ABCDEF"), st.sampled_from("ABCDEF"), st.sampled_from([0, 0.25, 1.0])
        ),
        min_size=1,
    ),
    genes=st.permutations("ABCDEFG"),
)
def test_aligning_afterwards_is_the_same_as_building_for_the_genes(rows, genes):
    table = interactions(*rows)
    direct = GeneGraph.from_interactions(table, genes=genes)
    assert GeneGraph.from_interactions(table).align(genes) == direct
    np.testing.assert_array_equal(dense(direct), dense(direct).T)
    assert direct.is_undirected
    assert direct.report().degree_max < len(genes)


def test_tables_of_other_kinds_of_columns_are_read(table):
    expected = GeneGraph.from_interactions(table)
    as_category = table.astype({"gene_a": "category", "gene_b": "category"})
    as_string = table.astype({"gene_a": "string", "gene_b": "string", "score": "Float64"})
    assert GeneGraph.from_interactions(as_category) == expected
    assert GeneGraph.from_interactions(as_string) == expected
    assert GeneGraph.from_interactions(table.assign(extra=1).set_index("extra")) == expected


BAD_TABLES = [
    (lambda t: t.rename(columns={"score": "weight"}), r"\(lacks score; has gene_a, gene_b, weig"),
    (lambda t: t.head(0), r"at least one interaction \(got no rows\)"),
    (lambda t: t.assign(score=[0.5, 905.0, 1.0]), r"between 0 and 1 \(got 905 in row 1, 1 such"),
    (lambda t: t.assign(score=[-0.5, 0.5, 1.0]), r"got -0.5 in row 0"),
    (lambda t: t.assign(score=[np.nan, 0.5, 1.0]), r"got nan in row 0"),
    (lambda t: t.assign(score=["a", "b", "c"]), r"'score' must hold numbers \(got object\)"),
    (lambda t: t.assign(gene_b=["A", None, "B"]), r"'gene_b'.*strings \(got None in row 1, 1 such"),
    (
        lambda t: t.assign(gene_a=[7157, 4193, 472]),
        r"'gene_a'.*strings \(got 7157 in row 0, 3 such",
    ),
]


@pytest.mark.parametrize(("spoil", "message"), BAD_TABLES)
def test_bad_tables_are_refused(table, spoil, message):
    with pytest.raises(ValueError, match=message):
        GeneGraph.from_interactions(spoil(table))


def test_a_table_must_be_a_dataframe():
    with pytest.raises(TypeError, match=r"must be a DataFrame of interactions \(got list\)"):
        GeneGraph.from_interactions([("A", "B", 1.0)])


def test_duplicate_genes_are_refused_with_advice(table):
    with pytest.raises(ValueError, match=r"'MDM2' \(2 times\).*var_names_make_unique"):
        GeneGraph.from_interactions(table, genes=["MDM2", "MDM2"])


def test_no_shared_gene_is_an_error_that_shows_both_sides(table):
    ensembl = ["ENSG00000141510", "ENSG00000135679"]
    with pytest.raises(ValueError, match=r"0 of the 2 genes.*interactions.*'ENSG0.*'ATM'"):
        GeneGraph.from_interactions(table, genes=ensembl)
    with pytest.raises(ValueError, match=r"0 of the 2 genes.*graph.*'ENSG0.*'ATM'"):
        GeneGraph.from_interactions(table).align(ensembl)


def test_few_shared_genes_warn_at_the_callers_line(table):
    genes = ["MDM2", *(f"X{i}" for i in range(19))]
    with pytest.warns(UserWarning, match="Only 1 of the 20 given genes are in the inter") as caught:
        graph = GeneGraph.from_interactions(table, genes=genes)
    assert caught[0].filename == __file__
    assert graph.num_edges == 0
    with pytest.warns(UserWarning, match="in the graph") as caught:
        GeneGraph.from_interactions(table).align(genes)
    assert caught[0].filename == __file__


# Combining and choosing genes


def test_combining_takes_the_larger_weight_or_the_mean():
    a = undirected(list("ABC"), [("A", "B", 0.8), ("B", "C", 0.2)])
    b = undirected(list("BCD"), [("B", "C", 0.6), ("C", "D", 1.0)])
    largest, mean = GeneGraph.combine(a, b), GeneGraph.combine(a, b, how="mean")
    assert largest.genes == mean.genes == ("A", "B", "C", "D")
    union = list(largest.genes)
    np.testing.assert_array_equal(
        dense(largest), np.maximum(dense(a.align(union)), dense(b.align(union)))
    )
    np.testing.assert_allclose(dense(mean), (dense(a.align(union)) + dense(b.align(union))) / 2)
    assert len(mean.provenance["combined"]) == 2


def test_combining_a_graph_with_itself_changes_nothing(path_graph):
    for how in ("max", "mean"):
        assert GeneGraph.combine(path_graph, path_graph, how=how) == path_graph


def test_combining_needs_two_raw_graphs_and_a_known_way(path_graph):
    with pytest.raises(ValueError, match=r"'how' must be 'max' or 'mean' \(got 'sum'\)"):
        GeneGraph.combine(path_graph, path_graph, how="sum")
    with pytest.raises(TypeError, match=r"'b' must be a GeneGraph \(got DataFrame\)"):
        GeneGraph.combine(path_graph, pd.DataFrame())
    with pytest.raises(ValueError, match="only be combined before it is normalised"):
        GeneGraph.combine(path_graph, path_graph.normalize("max"))


def test_aligning_permutes_rows_and_columns():
    graph = random_graph(seed=3)
    order = np.random.default_rng(0).permutation(graph.num_genes)
    moved = graph.align([graph.genes[i] for i in order])
    np.testing.assert_array_equal(dense(moved), dense(graph)[np.ix_(order, order)])
    assert moved.align(graph.genes) == graph


def test_aligning_keeps_what_is_asked_for_and_counts_the_rest(path_graph):
    aligned = path_graph.align(["C", "new", "B"])
    assert aligned.genes == ("C", "new", "B")
    expected = np.array([[0, 0, 0.4], [0, 0, 0], [0.4, 0, 0]], np.float32)
    np.testing.assert_array_equal(dense(aligned), expected)
    assert aligned.report().edges_dropped == {"outside the given genes": 1}
    assert aligned.report().genes_matched == 2


@pytest.mark.parametrize("method", ["max", "sym", "row", None])
def test_a_normalised_graph_may_be_reordered_but_not_cut(path_graph, method):
    done = path_graph.normalize(method)
    reordered = done.align(["D", "C", "B", "A"])
    assert reordered == path_graph.align(["D", "C", "B", "A"]).normalize(method)
    with pytest.raises(ValueError, match="only gain or lose genes before it is normalised"):
        done.align(["A", "B"])


def test_interacting_keeps_genes_with_another_neighbour():
    graph = GeneGraph(list("ABCD"), [[0, 2, 2, 3], [2, 0, 2, 3]], [0.5, 0.5, 1.0, 1.0])
    kept = graph.interacting()
    assert kept.genes == ("A", "C")  # D only has itself
    np.testing.assert_array_equal(dense(kept), np.array([[0, 0.5], [0.5, 1]], np.float32))
    with pytest.raises(ValueError, match="None of the 1 genes has an edge to another gene"):
        GeneGraph(["D"], [[0], [0]]).interacting()


# Normalising


def test_normalise_max_is_the_write_ups_global_graph(path_graph):
    scaled = np.array([[0, 1, 0, 0], [1, 0, 0.5, 0], [0, 0.5, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(dense(path_graph.normalize("max")), scaled)
    with_loops = dense(path_graph.normalize("max", self_loops=True))
    np.testing.assert_allclose(with_loops, scaled + np.eye(4))


def test_normalise_row_is_a_mean_and_stays_undirected(path_graph):
    graph = path_graph.normalize("row")
    np.testing.assert_allclose(dense(graph).sum(axis=1), [1, 1, 1, 0], rtol=1e-6)
    assert graph.is_undirected
    assert graph.num_edges == 2
    assert graph.to_networkx().is_directed()


def test_normalise_none_only_sets_the_diagonal():
    graph = GeneGraph(list("AB"), [[0, 1, 0], [1, 0, 0]], [0.5, 0.5, 0.3])
    assert dense(graph.normalize(None)).diagonal().tolist() == [0, 0]
    looped = graph.normalize(None, self_loops=True)
    np.testing.assert_array_equal(dense(looped), np.array([[1, 0.5], [0.5, 1]], np.float32))
    assert looped.normalization == {"method": None, "self_loops": True}
    assert graph.normalization is None


def test_normalising_twice_is_refused(path_graph):
    with pytest.raises(ValueError, match=r"already normalised.*normalize='row'"):
        path_graph.normalize("row").normalize("sym")
    with pytest.raises(ValueError, match=r"\(got 'symmetric'\)"):
        path_graph.normalize("symmetric")


# Rewiring


def test_rewiring_keeps_degrees_and_weights_and_changes_neighbours():
    graph = random_graph(200, 600)
    control = graph.rewire(random_state=0)
    before, after = graph.to_networkx(), control.to_networkx()
    assert dict(before.degree) == dict(after.degree)
    assert control.num_edges == graph.num_edges  # so no edge became another one's duplicate
    assert control.num_self_loops == 0
    assert torch.equal(graph.edge_weight.sort()[0], control.edge_weight.sort()[0])
    overlap = len(set(before.edges) & set(after.edges)) / graph.num_edges
    assert overlap < 0.1
    assert control.provenance["graph_steps"][-1]["overlap"] == pytest.approx(overlap, abs=0.05)


def test_rewiring_is_repeatable_and_seeds_differ():
    graph = random_graph()
    assert graph.rewire(1) == graph.rewire(1) == graph.rewire(np.random.default_rng(1))
    assert graph.rewire(1) != graph.rewire(2)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), num_pairs=st.integers(0, 45))
def test_rewiring_any_small_graph_gives_a_simple_graph_of_the_same_degrees(seed, num_pairs):
    graph = random_graph(10, num_pairs, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # most of these are too dense to be rewired
        control = graph.rewire(seed)
    assert (control.num_edges, control.num_self_loops) == (num_pairs, 0)
    assert control.is_undirected
    np.testing.assert_array_equal((dense(control) > 0).sum(0), (dense(graph) > 0).sum(0))


def test_rewiring_leaves_self_loops_and_max_scaling():
    graph = random_graph().normalize("max", self_loops=True)
    control = graph.rewire(0)
    np.testing.assert_array_equal(dense(control).diagonal(), np.ones(60))
    assert control.normalization == graph.normalization


def test_rewiring_says_when_it_is_no_control():
    triangle = undirected(list("ABC"), [("A", "B", 1), ("B", "C", 1), ("A", "C", 1)])
    with pytest.warns(UserWarning, match="100% of the edges are the same once rewired"):
        assert triangle.rewire(0) == triangle


def test_rewiring_needs_an_undirected_graph_without_degree_scaling(path_graph):
    with pytest.raises(ValueError, match="Only an undirected graph can be rewired"):
        GeneGraph(list("AB"), [[0], [1]]).rewire()
    with pytest.raises(ValueError, match=r"normalize='sym'\); rewire first"):
        path_graph.normalize("sym").rewire()


# Other controls


def test_a_random_graph_keeps_the_size_and_the_weights_but_no_degrees():
    graph = GeneGraph.from_networkx(nx.relabel_nodes(nx.star_graph(200), str))
    control = graph.randomize(random_state=0)
    assert (control.num_edges, control.num_self_loops) == (200, 0)
    assert control.is_undirected
    assert torch.equal(graph.edge_weight.sort()[0], control.edge_weight.sort()[0])
    assert control.report().degree_max < 12  # the star's centre had 200
    assert control.provenance["graph_steps"][-1]["overlap"] < 0.05


def test_a_random_graph_stays_among_the_genes_that_interact():
    graph = GeneGraph([f"G{i}" for i in range(100)], *_ring(40))
    control = graph.randomize(random_state=3)
    assert int(control.edge_index.max()) < 40
    assert control == graph.randomize(random_state=3) != graph.randomize(random_state=4)


def test_random_pairs_are_all_equally_likely():
    square = GeneGraph.from_networkx(nx.relabel_nodes(nx.cycle_graph(4), str))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # far too small to be a control
        drawn = sum(dense(square.randomize(seed)) for seed in range(600))
    # Four of the six pairs in each of 600 graphs: 400 expected, standard deviation 12.
    assert np.abs(drawn[np.triu_indices(4, 1)] - 400).max() < 60


def test_thinning_keeps_the_share_and_nothing_else():
    graph = random_graph(200, 600)
    kept = graph.thin(0.2, random_state=0)
    assert kept.num_edges == 120
    assert kept.genes == graph.genes
    assert kept.is_undirected
    found = dense(kept)
    np.testing.assert_array_equal(found[found > 0], dense(graph)[found > 0])


def test_a_smaller_share_is_a_subset_of_a_larger_one():
    graph = random_graph(200, 600)
    half, some = dense(graph.thin(0.5, 7)) > 0, dense(graph.thin(0.05, 7)) > 0
    assert (some & half).sum() == some.sum() == 60
    assert graph.thin(1.0) == graph
    assert graph.thin(0.0).num_edges == 0


@pytest.mark.parametrize("k", [1, 2, 4, 5])
def test_the_core_is_that_of_networkx(k):
    graph = random_graph(100, 350, seed=1)
    expected = nx.k_core(graph.to_networkx(), k)
    core = graph.k_core(k)
    assert core.genes == graph.genes
    found = core.to_networkx()
    assert {frozenset(e) for e in found.edges} == {frozenset(e) for e in expected.edges}
    if k > 1:
        assert 0 < core.num_edges < graph.num_edges  # so this can fail


def test_controls_leave_self_loops_and_max_scaling():
    graph = random_graph().normalize("max", self_loops=True)
    for control in (graph.randomize(0), graph.thin(0.5, 0), graph.k_core(2)):
        np.testing.assert_array_equal(dense(control).diagonal(), np.ones(60))
        assert control.normalization == graph.normalization
        assert control.num_self_loops == 60


def test_controls_say_in_the_report_what_was_done():
    steps = random_graph(200, 600).thin(0.5, 1).k_core(2).provenance["graph_steps"]
    assert steps == [
        {"step": "thin", "share": 0.5, "random_state": 1},
        {"step": "k_core", "k": 2},
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: g.thin(1.5), r"'share' must lie in 0 .. 1 \(got 1.5\)"),
        (lambda g: g.k_core(0), r"'k' must be at least 1 \(got 0\)"),
        (lambda g: g.k_core(50), "the 50-core is empty; choose a smaller 'k'"),
        (lambda g: g.normalize("row").thin(0.5), r"normalize='row'\); thin first"),
        (lambda g: g.normalize("sym").k_core(1), r"normalize='sym'\); k_core first"),
        (lambda g: g.normalize("sym").randomize(), r"normalize='sym'\); randomize first"),
        (lambda _: GeneGraph(list("AB"), [[0], [1]]).thin(0.5), "Only an undirected graph can be"),
    ],
)
def test_controls_refuse_what_they_cannot_do(call, message):
    with pytest.raises(ValueError, match=message):
        call(random_graph())


def _ring(num_genes):
    source = np.arange(num_genes)
    target = (source + 1) % num_genes
    return (np.stack([np.r_[source, target], np.r_[target, source]]),)


# Report


def test_report_reads_like_a_sentence_and_is_json(table):
    graph = GeneGraph.from_interactions(table, genes=["MDM2", "TP53", "CD3D"]).normalize("sym")
    assert str(graph.report()) == (
        "2 of 3 genes interact\n"
        "  genes    2 matched by name, 1 isolated\n"
        "  edges    1 kept, 2 dropped (outside the given genes)\n"
        "  degree   1 to 1, median 1 (of the interacting genes)\n"
        "  source   STRING\n"
        "  scaling  method sym, self_loops False"
    )
    assert json.loads(json.dumps(graph.report().to_dict()))["edges_kept"] == 1


def test_report_adds_up_what_every_step_dropped(table):
    graph = GeneGraph.from_interactions(table, genes=["ATM", "MDM2", "TP53"]).align(["MDM2", "ATM"])
    assert graph.report().edges_dropped == {"outside the given genes": 2}
    assert graph.report().genes_matched == 2


# To and from other libraries


def test_edge_index_multiplies_like_the_dense_matrix():
    for graph in (
        random_graph(),
        random_graph().normalize("row"),
        GeneGraph(list("AB"), [[0], [1]]),
    ):
        edge_index = graph.to_edge_index()
        x = torch.rand(graph.num_genes, 5, requires_grad=True)
        out = edge_index.matmul(x, graph.edge_weight, transpose=True)
        expected = torch.from_numpy(dense(graph)) @ x
        torch.testing.assert_close(out, expected)
        (grad,) = torch.autograd.grad(out.square().sum(), x)
        torch.testing.assert_close(grad, torch.autograd.grad(expected.square().sum(), x)[0])


def test_edge_index_is_made_once_sorted_and_filled(path_graph):
    edge_index = path_graph.to_edge_index().validate()
    assert edge_index is path_graph.to_edge_index()
    assert edge_index.is_sorted_by_col
    assert edge_index.is_undirected
    assert tuple(edge_index.sparse_size()) == (4, 4)
    assert edge_index._indptr is not None
    assert edge_index._T_perm is not None
    assert not GeneGraph(list("AB"), [[0], [1]]).to_edge_index().validate().is_undirected
    assert GeneGraph(path_graph.genes, edge_index, path_graph.edge_weight) == path_graph


def test_data_holds_copies(path_graph):
    data = path_graph.to_data()
    assert data.validate()
    assert data.num_nodes == 4
    assert data.genes == ["A", "B", "C", "D"]
    data.edge_weight.zero_()
    assert path_graph.edge_weight.max() > 0


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), directed=st.booleans())
def test_networkx_and_back_is_the_same_graph(seed, directed):
    g = nx.gnp_random_graph(8, 0.4, seed=seed, directed=directed)
    nx.set_edge_attributes(g, 0.5, "weight")
    g.add_edge(0, 0, weight=0.25)
    graph = GeneGraph.from_networkx(g)
    assert GeneGraph.from_networkx(graph.to_networkx()) == graph
    np.testing.assert_array_equal(dense(graph), nx.to_numpy_array(g).T.astype(np.float32))


def test_networkx_parallel_edges_and_missing_weights():
    g = nx.MultiGraph([("A", "B", {"weight": 0.2}), ("A", "B", {"weight": 0.7}), ("B", "C", {})])
    assert GeneGraph.from_networkx(g) == undirected(list("ABC"), [("A", "B", 0.7), ("B", "C", 1.0)])


def test_networkx_input_is_checked():
    with pytest.raises(TypeError, match=r"'g' must be a networkx graph \(got dict\)"):
        GeneGraph.from_networkx({})
    with pytest.raises(ValueError, match=r"Every edge's 'weight' must be a number"):
        GeneGraph.from_networkx(nx.Graph([("A", "B", {"weight": "strong"})]))
    with pytest.raises(ValueError, match=r"unique \(got '1' \(2 times\)\)"):
        GeneGraph.from_networkx(nx.Graph([(1, "1")]))


# Equality, copies, files


def test_equal_content_is_equal_and_hashes_alike(path_graph):
    again = undirected(["A", "B", "C", "D"], [("B", "C", 0.4), ("A", "B", 0.8)])
    assert again == path_graph
    assert hash(again) == hash(path_graph)
    assert len(path_graph.content_hash) == 64
    others = [
        path_graph.normalize(None),
        path_graph.align(["B", "A", "C", "D"]),
        undirected(["A", "B", "C", "D"], [("B", "C", 0.4), ("A", "B", 0.7)]),
        undirected(["A", "B", "C", "E"], [("B", "C", 0.4), ("A", "B", 0.8)]),
    ]
    assert len({path_graph, again, *others}) == 5
    assert path_graph != "graph"


def test_copies_and_pickles_are_equal(path_graph):
    path_graph.to_edge_index()
    graph = path_graph.normalize("sym")
    for twin in (copy.copy(graph), copy.deepcopy(graph), pickle.loads(pickle.dumps(graph))):
        assert twin == graph
        assert twin.provenance == graph.provenance
        assert twin.to_edge_index().shape == (2, 4)


def test_an_estimator_that_holds_a_graph_can_be_cloned(path_graph):
    class Holder(BaseEstimator):
        def __init__(self, graph=None):
            self.graph = graph

    assert clone(Holder(path_graph)).graph == path_graph
    assert "GeneGraph(4 genes" in repr(Holder(path_graph))


@pytest.mark.parametrize("method", ["row", None, "raw"])
def test_saving_and_loading_is_the_same_graph(tmp_path, table, method):
    graph = GeneGraph.from_interactions(table)
    graph = graph if method == "raw" else graph.normalize(method, self_loops=True)
    graph.save(tmp_path / "graph")
    loaded = GeneGraph.load(tmp_path / "graph")
    assert loaded == graph
    assert (loaded.provenance, loaded.normalization) == (graph.provenance, graph.normalization)
    assert [path.name for path in tmp_path.iterdir()] == ["graph"]


def test_a_failed_save_leaves_the_old_file(tmp_path, path_graph, monkeypatch):
    path = tmp_path / "graph.npz"
    path_graph.save(path)

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="disk full"):
        path_graph.normalize("max").save(path)
    assert GeneGraph.load(path) == path_graph
    assert len(list(tmp_path.iterdir())) == 1


def spoiled(path, **changes):
    """Rewrites some arrays of a saved graph, or with a dict some of its header."""
    with np.load(path) as stored:
        arrays = dict(stored)
    header = json.loads(arrays["header"].tobytes())
    for name, value in changes.items():
        if name in arrays:
            arrays[name] = value
        else:
            header[name] = value
    if "header" not in changes:
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


BAD_FILES = [
    (lambda p: p.write_text("gene_a\tgene_b\n"), "not a genegraph graph file"),
    (lambda p: p.write_bytes(b""), "not a genegraph graph file"),
    (lambda p: np.savez(p, a=np.arange(3)), "not a genegraph graph file"),
    (lambda p: zipfile.ZipFile(p, "w").close(), "not a genegraph graph file"),
    (lambda p: spoiled(p, header=np.arange(3)), "damaged .*'header' must hold uint8.*int64"),
    (lambda p: spoiled(p, format="other"), "not a genegraph graph file"),
    (lambda p: p.write_bytes(p.read_bytes()[:-30]), "damaged"),
    (lambda p: p.write_bytes(p.read_bytes()[:200]), "damaged"),
    (lambda p: spoiled(p, edge_weight=None), r"damaged \('edge_weight' is missing\)"),
    (lambda p: spoiled(p, edge_weight=np.array([None])), "must hold float32, but holds object"),
    (lambda p: spoiled(p, format_version=2), "format 2 by a newer genegraph.*Upgrade"),
    (lambda p: spoiled(p, format_version="x"), "damaged .*format version 'x'"),
    (lambda p: spoiled(p, genes=["A", "B", "C", "Z"]), "does not match its checksum"),
    (lambda p: spoiled(p, normalization={"method": "sym"}), "does not match its checksum"),
    (lambda p: spoiled(p, edge_weight=np.ones(4, "f4")), "does not match its checksum"),
    (lambda p: spoiled(p, edge_weight=np.ones(4)), "must hold float32, but holds float64"),
    (lambda p: spoiled(p, edge_weight=np.ones(3, "f4")), "damaged or changed .*one value per edge"),
    (lambda p: spoiled(p, edge_index=np.ones((2, 4))), "must hold int64, but holds float64"),
    (lambda p: spoiled(p, edge_index=np.ones((2, 4), "i4")), "must hold int64, but holds int32"),
    (lambda p: spoiled(p, format_version=2, edge_index=None), "format 2 by a newer genegraph"),
    (lambda p: spoiled(p, genes=None), "damaged or changed"),
    (lambda p: spoiled(p, provenance=[1]), "damaged or changed .*must be a dict"),
]


@pytest.mark.parametrize(("spoil", "message"), BAD_FILES)
def test_bad_files_are_refused_by_name(tmp_path, path_graph, spoil, message):
    path = tmp_path / "graph.npz"
    path_graph.save(path)
    spoil(path)
    with pytest.raises(ValueError, match=f"graph.npz: .*{message}"):
        GeneGraph.load(path)


def test_a_missing_file_is_reported_as_such(tmp_path):
    with pytest.raises(FileNotFoundError):
        GeneGraph.load(tmp_path / "nowhere.npz")


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_is_noticed_or_harmless(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("flip") / "graph.npz"
    graph = undirected(list("ABC"), [("A", "B", 0.5)])
    graph.save(path)
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        assert GeneGraph.load(path) == graph
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017


# A real file


@pytest.fixture(scope="module")
def real_table():
    if not REAL_STRING.exists():
        pytest.skip("needs the scored human interactions of STRING v12, which are not here")
    columns = ["gene_a", "gene_b", "combined_score"]
    table = pd.read_csv(REAL_STRING, sep="\t", usecols=columns, na_filter=False)[columns]
    table.columns = ["gene_a", "gene_b", "score"]
    table["score"] /= 1000
    table.attrs = {"source": "STRING", "version": "12.0", "taxon": 9606}
    return table


def test_the_human_network_is_built_normalised_and_saved(real_table, tmp_path):
    graph = GeneGraph.from_interactions(real_table)
    report = graph.report()
    assert report.edges_kept + report.self_loops + sum(report.edges_dropped.values()) == len(
        real_table
    )
    row = graph.normalize("row")
    sums = torch.zeros(graph.num_genes).index_add(0, row.edge_index[1], row.edge_weight)
    torch.testing.assert_close(sums[graph._degree > 0], torch.ones(report.interacting))
    row.save(tmp_path / "human.npz")
    assert GeneGraph.load(tmp_path / "human.npz") == row


def test_the_human_network_rewired_has_its_degrees_and_few_of_its_edges(real_table):
    graph = GeneGraph.from_interactions(real_table)
    control = graph.rewire(random_state=0)
    assert torch.equal(control._degree, graph._degree)
    assert control.num_edges == graph.num_edges
    # Hubs meet again by chance; the expected share for these degrees is a few per cent.
    assert control.provenance["graph_steps"][-1]["overlap"] < 0.1
