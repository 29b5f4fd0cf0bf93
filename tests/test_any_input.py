"""For any input at all: readers keep their promises, or say with a known error why they cannot."""

import gzip
import json
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from genegraph import GeneGCNClassifier, GeneGraph, read_biogrid, read_edges, read_stringdb
from genegraph.checkpoint_io import SafeCheckpointIO
from genegraph.interactions.name_pairs import read_name_pairs
from genegraph.safefile import flatten_tree, unflatten_tree, write_safe

quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LINKS = "protein1 protein2 combined_score\n"
BIOGRID = (
    "Official Symbol Interactor A\tOfficial Symbol Interactor B\tExperimental System Type\t"
    "Publication Source\tOrganism ID Interactor A\tOrganism ID Interactor B\tThroughput\n"
)
INFO = "#string_protein_id\tpreferred_name\n"
READERS = {
    "string": (LINKS, read_stringdb),
    "info": (INFO, lambda path: read_stringdb(links_beside(path), info=path)),
    "aliases": (
        "#string_protein_id\talias\tsource\n",
        lambda path: read_stringdb(links_beside(path), aliases=path),
    ),
    "biogrid": (BIOGRID, read_biogrid),
    "edges": ("gene_a,gene_b,score\n", read_edges),
    "names": ("mouse\thuman\n", lambda path: read_name_pairs(path, "symbol", ["Cd3d"])),
    "graph": ("PK\3\4", GeneGraph.load),
    "model": ("", GeneGCNClassifier.load),
    "checkpoint": ("", SafeCheckpointIO().load_checkpoint),
}


def links_beside(path):
    links = path.with_name("9606.protein.links.v12.0.txt")
    links.write_text(LINKS + "9606.P1 9606.P2 900\n")
    return links


WORDS = ["9606.P1", "9606.P2", "TP53", "NA", "physical", "PUBMED:1", "9606", "0", "900", "1e5"]
WORDS += ["-1", "nan", "", '"', "\0", "\ufeff", "\u2028", "é", "-", "|", "Low Throughput"]
pieces = st.sampled_from(WORDS)
seps = st.sampled_from(["\t", ",", " ", "\n", "\n", "\r\n", "\r"])
tables = st.lists(st.tuples(pieces, seps).map("".join), max_size=40).map("".join).map(str.encode)
anything = st.one_of(tables, st.binary(max_size=300))


@pytest.mark.parametrize("name", READERS)
@pytest.mark.filterwarnings("ignore::UserWarning")
@quick
@given(content=anything, packed=st.booleans())
@example(content=b"", packed=False)
@example(content=b"\n", packed=True)
def test_any_content_is_read_or_refused_with_a_known_error(tmp_path, name, content, packed):
    header, read = READERS[name]
    path = tmp_path / "9606.protein.links.v11.5.txt"
    whole = header.encode() + content
    path.write_bytes(gzip.compress(whole) if packed else whole)
    try:
        table = read(path)
    except (ValueError, OSError):
        return
    if hasattr(table, "columns"):
        assert len(table) > 0
        assert (table["gene_a"] < table["gene_b"]).all()
        assert table["score"].between(0, 1).all()
        assert not table.duplicated(["gene_a", "gene_b"]).any()


# Letters and digits, so that nothing is quoted, a space or a separator.
genes = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)
scores = st.integers(0, 1000)
rows = st.lists(st.tuples(genes, genes, scores), min_size=1, max_size=30)


def expected(rows):
    """The largest score of each pair of different genes, written differently on purpose."""
    best = {}
    for a, b, score in rows:
        if a != b:
            pair = tuple(sorted((a, b)))
            best[pair] = max(best.get(pair, 0), score)
    return best


@quick
@given(rows=rows, sep=st.sampled_from(["\t", ",", ";", " "]), end=st.sampled_from(["\n", "\r\n"]))
def test_every_table_of_edges_comes_back_pair_by_pair(tmp_path, rows, sep, end):
    path = tmp_path / "edges.txt"
    lines = [sep.join(("gene_a", "gene_b", "score"))]
    lines += [sep.join((a, b, str(score))) for a, b, score in rows]
    path.write_text(end.join(lines), encoding="utf-8", newline="")
    best = expected(rows)
    if not best:
        with pytest.raises(ValueError, match="No interaction is left"):
            read_edges(path, max_score=1000)
        return
    table = read_edges(path, max_score=1000)
    found = {(a, b): score for a, b, score in table.itertuples(index=False)}
    assert found == {pair: score / 1000 for pair, score in best.items()}


@quick
@given(rows=rows, least=st.sampled_from([0, 400, 1000]))
def test_every_table_of_links_comes_back_pair_by_pair(tmp_path, rows, least):
    path = tmp_path / "9606.protein.links.v12.0.txt"
    lines = [f"9606.{a} 9606.{b} {score}\n" for a, b, score in rows]
    path.write_text(LINKS + "".join(lines), encoding="utf-8")
    best = {pair: s / 1000 for pair, s in expected(rows).items() if s >= least}
    if not best:
        with pytest.raises(ValueError, match="No interaction is left"):
            read_stringdb(path, min_score=least)
        return
    table = read_stringdb(path, min_score=least)
    assert {(a, b): score for a, b, score in table.itertuples(index=False)} == best
    read, kept = table.attrs["rows_read"], table.attrs["rows_kept"]
    assert read == len(rows) == kept + sum(table.attrs["dropped"].values())


keys = st.one_of(st.text(max_size=5), st.integers(), st.booleans(), st.none(), st.floats())
leaves = st.one_of(
    keys, st.binary(max_size=5), st.sampled_from([np.float32([1, 2]), torch.ones(2)])
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
    ),
    max_leaves=20,
)


@quick
@given(tree=trees)
def test_every_tree_comes_back_through_json(tree):
    document, tensors = flatten_tree(tree)
    again = unflatten_tree(json.loads(json.dumps(document, allow_nan=False)), tensors)
    assert repr(again) == repr(tree)


TAGS = ["~tensor", "~array", "~dict", "~ordered", "~state_dict", "~tuple", "~set", "~size"]
TAGS += ["~float", "~int", "~bytes", "~text", "~path", "~what"]
documents = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.tuples(
            st.sampled_from(TAGS),
            st.one_of(inner, st.lists(st.lists(inner, min_size=2, max_size=2), max_size=2)),
        ).map(lambda pair: dict([pair])),
    ),
    max_leaves=15,
)


@quick
@given(document=documents)
@example(document={"~size": [2**70]})
@example(document={"~dict": [[{"~tensor": "0"}, 1]]})
@example(document={"~int": "0x" + "f" * 10_000})
def test_any_document_is_a_tree_or_malformed(tmp_path, document):
    with suppress(ValueError):
        unflatten_tree(document, {"0": torch.ones(2)})
    write_safe(tmp_path / "c", {}, {"tree": document}, kind="checkpoint", version=1)
    with suppress(ValueError):
        assert isinstance(SafeCheckpointIO().load_checkpoint(tmp_path / "c"), dict)
