import socket
import sys

import pytest

from genegraph import datasets


@pytest.fixture(scope="module")
def table():
    return datasets.complexes()


def test_complexes_is_a_tidy_table_with_provenance(table):
    assert list(table.columns) == ["gene_a", "gene_b", "score", "complex"]
    assert (table["score"] == 1.0).all()
    assert table.attrs["source"] == "textbook complexes"
    assert not table.isna().any(axis=None)


def test_every_pair_appears_once_and_never_with_itself(table):
    assert (table["gene_a"] < table["gene_b"]).all()
    assert not table.duplicated(["gene_a", "gene_b"]).any()


def test_symbols_are_clean(table):
    genes = set(table["gene_a"]) | set(table["gene_b"])
    assert [gene for gene in genes if not gene.replace("-", "").replace("orf", "").isalnum()] == []
    assert [
        gene for gene in genes if gene.replace("orf", "") != gene.replace("orf", "").upper()
    ] == []


def test_a_complex_is_a_clique(table):
    genes = {"CCT2", "CCT3", "CCT4", "CCT5", "CCT6A", "CCT7", "CCT8", "TCP1"}
    rows = table[table["complex"] == "chaperonin TRiC"]
    assert set(rows["gene_a"]) | set(rows["gene_b"]) == genes
    assert len(rows) == len(genes) * (len(genes) - 1) / 2


def test_a_pair_in_two_complexes_names_both(table):
    row = table[(table["gene_a"] == "B2M") & (table["gene_b"] == "HLA-A")]
    assert row["complex"].tolist() == ["MHC class I; MHC class I peptide loading"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HLA-DRA", "CD74"),
        ("CD3D", "CD3E"),
        ("CD79A", "CD79B"),
        ("C1QA", "C1QB"),
        ("S100A8", "S100A9"),
        ("RPL39", "RPLP0"),
        ("ATP5B", "ATP5O"),
        ("ATP5F1B", "ATP5PO"),
        ("FCER1G", "TYROBP"),
    ],
)
def test_known_partners_are_joined(table, one, other):
    gene_a, gene_b = sorted([one, other])
    assert ((table["gene_a"] == gene_a) & (table["gene_b"] == gene_b)).sum() == 1


@pytest.mark.parametrize(("one", "other"), [("CD3D", "CD79A"), ("HBB", "RPL39")])
def test_strangers_are_not(table, one, other):
    gene_a, gene_b = sorted([one, other])
    assert not ((table["gene_a"] == gene_a) & (table["gene_b"] == gene_b)).any()


def test_each_call_gives_a_table_of_its_own(table):
    datasets.complexes()["score"] = 0.0
    assert (datasets.complexes()["score"] == 1.0).all()


def test_pbmc_holds_labelled_log1p_values_without_a_network(monkeypatch):
    pytest.importorskip("scanpy")
    monkeypatch.setattr(socket, "socket", None)
    cells = datasets.pbmc()
    assert cells.shape == (700, 765)
    assert cells.obs["cell_type"].value_counts().agg(["size", "max", "min"]).tolist() == [
        10,
        240,
        8,
    ]
    assert cells.X.min() == 0
    assert 5 < cells.X.max() < 10  # log1p of at most 10,000


def test_a_third_of_the_pbmc_genes_have_a_partner_among_them(table):
    pytest.importorskip("scanpy")
    genes = datasets.pbmc().var_names
    kept = table[table["gene_a"].isin(genes) & table["gene_b"].isin(genes)]
    assert len(set(kept["gene_a"]) | set(kept["gene_b"])) > 250


def test_pbmc_without_scanpy_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scanpy.datasets", None)
    with pytest.raises(ImportError, match=r'pip install "genegraph\[demo\]"'):
        datasets.pbmc()
