"""What was exported reads back the same."""

import json

import networkx as nx
import pandas as pd
import pytest

from genegraph.explain import gene_lists, to_networkx, write_cytoscape, write_graphml


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "class": ["T", "T", "T", "B"],
            "gene_a": ["CD3E", "CD3E", "<LCK>&", "CD19"],
            "gene_b": ["CD3D", "<LCK>&", "ZAP70", "CD79A"],
            "importance": [0.5, -0.7, 0.1, 0.4],
            "in_prior": True,
        }
    )


def test_a_graph_of_one_class(table):
    graph = to_networkx(table, label="T", top=2)
    assert not graph.is_directed()
    assert {frozenset(e) for e in graph.edges} == {
        frozenset(("CD3E", "CD3D")), frozenset(("CD3E", "<LCK>&")),
    }  # fmt: skip
    assert graph["CD3E"]["<LCK>&"]["importance"] == -0.7
    assert graph["CD3E"]["CD3D"]["in_prior"] is True


def test_attention_is_directed_and_nodes_get_their_columns():
    table = pd.DataFrame({"source": ["A", "B"], "target": ["B", "A"], "attention": [0.1, 0.9]})
    nodes = pd.DataFrame({"gene": ["A", "Z"], "expression": [2.0, 1.0]})
    graph = to_networkx(table, nodes=nodes)
    assert graph["B"]["A"]["attention"] == 0.9
    assert graph["A"]["B"]["attention"] == 0.1
    assert dict(graph.nodes(data=True)) == {"A": {"expression": 2.0}, "B": {}}


def test_graphml_and_cytoscape_read_back(table, tmp_path):
    expected = to_networkx(table, label="T")
    write_graphml(table, tmp_path / "t.graphml", label="T")
    read = nx.read_graphml(tmp_path / "t.graphml")
    write_cytoscape(table, tmp_path / "t.cyjs", label="T")
    data = json.loads((tmp_path / "t.cyjs").read_text())
    again = nx.cytoscape_graph(data)
    for other in (read, again):
        assert set(other) == set(expected)
        for one, two, value in expected.edges(data="importance"):
            assert other[one][two]["importance"] == value
    assert all({"id", "name"} <= set(node["data"]) for node in data["elements"]["nodes"])


def test_gene_lists_hold_what_speaks_for_the_class():
    table = pd.DataFrame(
        {
            "class": ["T", "T", "T", "B"],
            "gene": ["X", "CD3E", "CD3D", "X"],
            "importance": [-1.0, 0.2, 0.4, -3.0],
        }
    )
    assert gene_lists(table, top=1) == {"T": ["CD3D"], "B": []}
    assert gene_lists(table) == {"T": ["CD3D", "CD3E"], "B": []}


def test_what_is_ambiguous_is_refused(table):
    with pytest.raises(ValueError, match=r"'label' must be one of .*\['T', 'B'\] \(got None\)"):
        to_networkx(table)
    with pytest.raises(ValueError, match="each edge once"):
        to_networkx(pd.concat([table, table]), label="B")
    with pytest.raises(ValueError, match="'gene_a' and 'gene_b', or 'source' and 'target'"):
        to_networkx(pd.DataFrame({"a": [1]}))
    with pytest.raises(ValueError, match="'class', 'gene' and 'importance'"):
        gene_lists(table)
