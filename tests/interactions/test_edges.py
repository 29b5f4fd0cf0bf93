import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genegraph.interactions import read_edges


def rows_of(table):
    return list(table.itertuples(index=False, name=None))


def frame_of(*rows, columns=("gene_a", "gene_b", "score")):
    return pd.DataFrame(list(rows), columns=list(columns))


def test_repeated_and_self_pairs_are_counted():
    table = read_edges(
        frame_of(
            ("TP53", "MDM2", 0.5),
            ("MDM2", "TP53", 0.75),
            ("TP53", "MDM2", 0.75),
            ("NA", "NA", 1.0),
            ("nan", "NA", 0.0),
        )
    )
    assert rows_of(table) == [("MDM2", "TP53", 0.75), ("NA", "nan", 0.0)]
    assert table.attrs["dropped"] == {"gene paired with itself": 1}
    assert table.attrs["notes"] == [
        "2 rows repeated a pair; the largest score was kept (1 pair had more than one score)."
    ]
    assert (table.attrs["rows_read"], table.attrs["rows_kept"], table.attrs["pairs"]) == (5, 4, 2)
    assert (table.attrs["file"], table.attrs["sha256"]) == (None, None)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (("gene_b", "gene_a", "score"), ("A", "B", 0.25)),
        (("from", "to", "weight"), ("A", "B", 0.25)),
        (("from", "to", "distance"), ("A", "B", 1.0)),
    ],
)
def test_columns_are_chosen_by_name_then_by_place(columns, expected):
    assert rows_of(read_edges(frame_of(("A", "B", 0.25), columns=columns))) == [expected]


def test_score_comes_before_weight_and_a_named_column_before_both():
    frame = frame_of(("A", "B", 0.1, 0.2, 0.3), columns=["x", "y", "weight", "score", "other"])
    assert read_edges(frame)["score"].tolist() == [0.2]
    assert read_edges(frame, score="other")["score"].tolist() == [0.3]


def test_genes_may_be_in_any_columns():
    frame = frame_of((1, "A", "B"), columns=["number", "source", "target"])
    assert rows_of(read_edges(frame, gene_a="target", gene_b="source")) == [("A", "B", 1.0)]


def test_max_score_scales():
    table = read_edges(frame_of(("A", "B", 900), ("A", "C", 1000)), max_score=1000)
    assert table["score"].tolist() == [0.9, 1.0]
    assert table.attrs["filters"] == {"score": "score", "max_score": 1000}


@pytest.mark.parametrize("sep", [",", "\t", ";", " "])
def test_files_keep_genes_called_na_and_numbers_as_text(tmp_path, sep):
    path = tmp_path / "edges.txt"
    lines = ["gene_a gene_b score", "NA TP53 0.5", "7157 nan 1e-1"]
    path.write_bytes(gzip.compress("\n".join(lines).replace(" ", sep).encode()))
    table = read_edges(path)
    assert rows_of(table) == [("7157", "nan", 0.1), ("NA", "TP53", 0.5)]
    assert table.attrs["file"] == "edges.txt"
    assert len(table.attrs["sha256"]) == 64


def test_quoted_fields_and_a_chosen_separator(tmp_path):
    path = tmp_path / "edges.csv"
    path.write_text('"from"|"to"\n"A"|"B, or so"\n')
    assert rows_of(read_edges(path, sep="|")) == [("A", "B, or so", 1.0)]


def test_numbers_as_genes_become_text():
    table = read_edges(frame_of((7157, 4193), columns=["a", "b"]))
    assert rows_of(table) == [("4193", "7157", 1.0)]
    assert table.attrs["identifiers"] == "number"


def test_the_kind_of_identifier_is_noted():
    table = read_edges(frame_of(("ENSG00000141510", "ENSG00000135679"), columns=["a", "b"]))
    assert table.attrs["identifiers"] == "ensembl_gene"


BAD_FRAMES = {
    "above one": (("A", "B", 900), {}, ValueError, r"goes up to 900; pass max_score="),
    "above max": (("A", "B", 900), {"max_score": 800}, ValueError, "above max_score=800"),
    "negative": (("A", "B", -0.1), {}, ValueError, r"row 0: 'score' must be a finite"),
    "infinite": (("A", "B", np.inf), {"max_score": 2}, ValueError, "must be a finite number"),
    "nan": (("A", "B", np.nan), {}, ValueError, "must be a finite number"),
    "text": (("A", "B", "high"), {}, ValueError, "'high'"),
    "no gene": (("A", None, 1.0), {}, ValueError, r"row 0: 'gene_b' must name a gene"),
    "blank gene": (("A", " ", 1.0), {}, ValueError, r"row 0: 'gene_b' must name a gene"),
    "nan gene": (("A", np.nan, 1.0), {}, ValueError, r"row 0: 'gene_b' must name a gene"),
    "float gene": (("A", 7157.5, 1.0), {}, TypeError, r"7157\.5 of type float"),
    "self only": (("A", "A", 1.0), {}, ValueError, r"1 row of the table \(gene paired with it"),
    "max of zero": (("A", "B", 1.0), {"max_score": 0}, ValueError, "must be a positive number"),
    "half named": (("A", "B", 1.0), {"gene_a": "gene_b"}, ValueError, "Give both"),
    "unknown": (("A", "B", 1.0), {"score": "wieght"}, KeyError, "No column 'wieght'.*'score'"),
    "sep": (("A", "B", 1.0), {"sep": ","}, ValueError, "'sep' is for files"),
    "same": (("A", "B", 1.0), {"score": "gene_a"}, ValueError, "must be different columns"),
}


@pytest.mark.parametrize("case", BAD_FRAMES)
def test_bad_tables_are_refused_with_the_reason(case):
    row, arguments, kind, message = BAD_FRAMES[case]
    with pytest.raises(kind, match=message):
        read_edges(frame_of(row), **arguments)


def test_max_score_without_a_score_is_refused():
    with pytest.raises(ValueError, match="the table has no score"):
        read_edges(frame_of(("A", "B"), columns=["a", "b"]), max_score=1000)


def test_tables_without_two_columns_or_rows_are_refused():
    with pytest.raises(ValueError, match=r"two or more columns with different names \(has: 'a'\)"):
        read_edges(pd.DataFrame({"a": ["A"]}))
    with pytest.raises(ValueError, match="No interaction is left of the 0 rows"):
        read_edges(pd.DataFrame({"a": [], "b": []}))


BAD_FILES = {
    "no header": ("TP53,MDM2,0.9\nA,B,1\n", r"line 1: .* \(got the number '0\.9'\)"),
    "one column": ("gene\nTP53\n", "say what separates them"),
    "web page": ("<html><body>x y</body>\n", "is a web page"),
    "ragged": ("a,b\nA,B\nA,B,C\n", r"line 3: expected 2 columns.*got 3"),
    "empty gene": ("a,b\nA,B\nA,\n", r"row 2 after the header: 'b' must name a gene"),
    "empty score": ("a,b,score\nA,B,\n", r"row 1 after the header: 'score' must be a finite"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files_are_refused_with_the_reason(tmp_path, case):
    text, message = BAD_FILES[case]
    path = tmp_path / "edges.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_edges(path)


def test_a_separator_of_two_characters_is_refused(tmp_path):
    path = tmp_path / "edges.csv"
    path.write_text("a||b\nA||B\n")
    with pytest.raises(ValueError, match="'sep' must be one character"):
        read_edges(path, sep="||")


@settings(max_examples=40, deadline=None)
@given(
    edges=st.lists(
        st.tuples(st.sampled_from("ABCDE"), st.sampled_from("ABCDE"), st.floats(0, 1)), max_size=20
    ),
    data=st.data(),
)
def test_order_and_direction_do_not_matter(edges, data):
    edges = [("A", "B", 0.5), *edges]
    flipped = [(b, a, s) if data.draw(st.booleans()) else (a, b, s) for a, b, s in edges]
    shuffled = data.draw(st.permutations(flipped))
    best = {}
    for a, b, score in edges:
        if a != b:
            best[min(a, b), max(a, b)] = max(score, best.get((min(a, b), max(a, b)), 0.0))
    expected = [(*pair, score) for pair, score in sorted(best.items())]
    assert rows_of(read_edges(frame_of(*edges))) == expected
    assert rows_of(read_edges(frame_of(*shuffled))) == expected
