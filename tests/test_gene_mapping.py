"""Genes get other names where a table says so, in a copy, and every gene is accounted for."""

import gzip
import json
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genegraph import GeneGraph, map_genes

SHARED = Path(__file__).parents[2] / "shared" / "data"
TP53, MDM2, CD3D, OTHER = (f"ENSG0000000{i:04}" for i in range(4))
BIOMART = pd.DataFrame(
    {"Gene stable ID": [TP53, MDM2, CD3D, OTHER], "Gene name": ["TP53", "MDM2", "CD3D", ""]}
)


def cells(names):
    X = np.arange(2 * len(names), dtype="float32").reshape(2, -1)
    return anndata.AnnData(X, var=pd.DataFrame(index=list(names)))


def status(report):
    return dict(zip(report.genes["gene"], report.genes["status"], strict=True))


@pytest.mark.parametrize(
    ("names", "to", "expected"),
    [
        ([CD3D, TP53, OTHER], "symbol", ["CD3D", "TP53", OTHER]),
        (["MDM2", "LOC1"], "ensembl", [MDM2, "LOC1"]),
    ],
)
def test_the_kind_asked_for_says_which_column_is_meant(names, to, expected):
    mapped, report = map_genes(cells(names), to, BIOMART)
    assert list(mapped.var_names) == expected
    assert list(mapped.var["original_name"]) == names
    assert report.counts["no partner"] == 1
    assert set(report.source.values()) >= {"Gene stable ID", "Gene name"}


def test_cells_are_copied_and_never_changed():
    adata = cells([TP53, MDM2])
    adata.raw = adata.copy()
    adata.var_names.name = "gene_ids"
    mapped, report = map_genes(adata, "symbol", BIOMART)
    mapped.X[:] = -1
    assert list(adata.var_names) == [TP53, MDM2]
    assert list(adata.var.columns) == []
    assert adata.X.min() == 0
    assert mapped.var_names.name == "gene_ids"
    assert list(mapped.raw.var_names) == [TP53, MDM2]
    assert "adata.raw keeps its own gene names" in report.notes


def test_columns_stay_with_their_genes(tmp_path):
    mapped, report = map_genes(cells([TP53, OTHER, CD3D]), "symbol", BIOMART, unmapped="drop")
    assert mapped.to_df().to_dict("list") == {"TP53": [0, 3], "CD3D": [2, 5]}
    assert report.num_dropped == 1
    assert any("no longer count" in note for note in report.notes)
    mapped.write_h5ad(tmp_path / "cells.h5ad")
    assert list(anndata.read_h5ad(tmp_path / "cells.h5ad").var["original_name"]) == [TP53, CD3D]


def test_versions_are_looked_past_and_noted():
    mapped, report = map_genes(cells([TP53 + ".18", MDM2]), "symbol", BIOMART)
    assert list(mapped.var_names) == ["TP53", "MDM2"]
    assert report.notes == ("1 gene found by the Ensembl id without its version",)
    versioned = BIOMART.assign(**{"Gene stable ID": BIOMART["Gene stable ID"] + ".3"})
    mapped, report = map_genes(cells([TP53, MDM2 + ".9"]), "symbol", versioned)
    assert list(mapped.var_names) == ["TP53", "MDM2"]
    assert report.notes == ("2 genes found by the Ensembl id without its version",)


ORTHOLOGS = pd.DataFrame(
    {
        "mouse": ["Trp53", "H2-D1", "H2-D1", "Ccl27a", "Ccl27b"],
        "human": ["TP53", "HLA-B", "HLA-C", "CCL27", "CCL27"],
    }
)


def test_ambiguous_genes_are_refused():
    with pytest.raises(
        ValueError, match=r"1 with several names in the table: 'H2-D1 -> HLA-B.HLA-C'"
    ):
        map_genes(cells(["Trp53", "H2-D1"]), "symbol", ORTHOLOGS)
    with pytest.raises(ValueError, match=r"2 that would share a name .*'Ccl27a -> CCL27'.*'drop'"):
        map_genes(cells(["Trp53", "Ccl27a", "Ccl27b"]), "symbol", ORTHOLOGS)


def test_ambiguous_genes_are_left_out_or_left_alone_when_told():
    names = ["Trp53", "H2-D1", "Ccl27a", "Ccl27b", "Gm1"]
    expected = {
        "Trp53": "mapped",
        "H2-D1": "one-to-many",
        "Ccl27a": "many-to-one",
        "Ccl27b": "many-to-one",
        "Gm1": "no partner",
    }
    mapped, report = map_genes(cells(names), "symbol", ORTHOLOGS, ambiguous="drop")
    assert list(mapped.var_names) == ["TP53", "Gm1"]
    assert status(report) == expected
    mapped, report = map_genes(cells(names), "symbol", ORTHOLOGS, ambiguous="keep")
    assert list(mapped.var_names) == ["TP53", "H2-D1", "Ccl27a", "Ccl27b", "Gm1"]
    assert status(report) == expected
    one = map_genes(cells(["Ccl27a", "Trp53"]), "symbol", ORTHOLOGS).adata
    assert list(one.var_names) == ["CCL27", "TP53"]  # the other is not among these cells


def test_a_name_that_is_taken_is_not_given_twice():
    table = pd.DataFrame({"old": ["HDM2", "P53"], "new": ["MDM2", "TP53"]})
    adata = cells(["HDM2", "MDM2", "P53"])
    with pytest.raises(ValueError, match="would share a name"):
        map_genes(adata, "symbol", table)
    mapped, report = map_genes(adata, "symbol", table, ambiguous="keep")
    assert list(mapped.var_names) == ["HDM2", "MDM2", "TP53"]
    assert status(report)["HDM2"] == "many-to-one"
    chain = pd.DataFrame({"old": ["A1", "B1", "C1", "D1"], "new": ["B1", "C1", "X1", "X1"]})
    mapped, _ = map_genes(cells(["A1", "B1", "C1", "D1"]), "symbol", chain, ambiguous="keep")
    assert list(mapped.var_names) == ["A1", "B1", "C1", "D1"]  # X1 for two, so nobody may move up


def test_names_are_swapped_where_the_table_swaps_them():
    swap = pd.DataFrame({"old": ["A1", "B1"], "new": ["B1", "A1"]})
    mapped, report = map_genes(cells(["A1", "B1"]), "symbol", swap)
    assert list(mapped.var_names) == ["B1", "A1"]
    assert report.counts == {"mapped": 2}


@given(
    st.permutations(range(12)),
    st.lists(st.integers(0, 11), min_size=1, max_size=12, unique=True),
)
@settings(deadline=None, max_examples=40)
def test_there_and_back_again(order, chosen):
    symbols = [f"GENE{i}" for i in range(12)]
    ids = [f"ENSG0000000{i:04}" for i in order]
    table = pd.DataFrame({"id": ids, "name": symbols})
    adata = cells([symbols[i] for i in chosen])
    there = map_genes(adata, "ensembl", table).adata
    assert list(there.var_names) == [ids[i] for i in chosen]
    back = map_genes(there, "symbol", table, original_column="ensembl").adata
    pd.testing.assert_frame_equal(back.to_df(), adata.to_df())


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=20),
    st.sampled_from(["drop", "keep"]),
    st.sampled_from(["drop", "keep"]),
)
@settings(deadline=None, max_examples=60)
def test_whatever_the_table_names_stay_unique_and_all_genes_are_told_of(rows, ambiguous, unmapped):
    names = [f"G{i}" for i in range(7)]
    rows = [*rows, (0, 0)]
    table = pd.DataFrame({"old": [f"G{a}" for a, _ in rows], "new": [f"G{b}" for _, b in rows]})
    mapped, report = map_genes(
        cells(names), "symbol", table, ambiguous=ambiguous, unmapped=unmapped
    )
    assert mapped.var_names.is_unique
    assert report.genes["gene"].tolist() == names
    assert report.genes["name"].dropna().tolist() == list(mapped.var_names)
    pairs = set(zip(table["old"], table["new"], strict=True))
    moved = report.genes[report.genes["status"] == "mapped"]
    assert all(
        (row.gene, row.name_) in pairs
        for row in moved.rename(columns={"name": "name_"}).itertuples()
    )
    assert sum(report.counts.values()) == len(names)


def test_files_of_every_separator_are_read(tmp_path):
    adata = cells([TP53, MDM2])
    for name, sep in (("t.tsv", "\t"), ("t.csv", ","), ("t.txt", ";")):
        BIOMART.to_csv(tmp_path / name, sep=sep, index=False)
        report = map_genes(adata, "symbol", tmp_path / name).report
        assert report.counts == {"mapped": 2}
        assert report.source["file"] == name
        assert len(report.source["sha256"]) == 64
    (tmp_path / "t.gz").write_bytes(gzip.compress((tmp_path / "t.tsv").read_bytes()))
    assert map_genes(adata, "symbol", tmp_path / "t.gz").report.counts == {"mapped": 2}


HGNC = pd.DataFrame(
    {
        "hgnc_id": ["HGNC:11998", "HGNC:6973"],
        "symbol": ["TP53", "MDM2"],
        "prev_symbol": ["", "HDM2|HDMX"],
        "entrez_id": [7157.0, 4193.0],
        "ensembl_gene_id": [TP53, MDM2],
    }
)


def test_wide_tables_ask_for_the_columns_that_are_not_clear():
    adata = cells(["HDM2", "P53"])
    with pytest.raises(ValueError, match=r"3 columns .* name one with to_column= .*'prev_symbol'"):
        map_genes(adata, "symbol", HGNC)
    columns = {"from_column": "prev_symbol", "to_column": "symbol"}
    mapped, _ = map_genes(adata, "symbol", HGNC, **columns)
    assert list(mapped.var_names) == ["MDM2", "P53"]
    by_number = map_genes(cells(["7157", "4193"]), "symbol", HGNC, to_column="symbol").adata
    assert list(by_number.var_names) == ["TP53", "MDM2"]
    ids = map_genes(cells(["MDM2", "TP53"]), "entrez", HGNC, from_column="symbol").adata
    assert list(ids.var_names) == ["4193", "7157"]


ALIASES = """\
#string_protein_id\talias\tsource
9606.ENSP1\tTP53\tEnsembl_HGNC_symbol
9606.ENSP1\tP53\tUniProt_GN_Synonyms
9606.ENSP1\tBCC7\tEnsembl_HGNC_alias_symbol
9606.ENSP1\tENSG00000000000\tEnsembl_gene
9606.ENSP1\t7157\tEnsembl_HGNC_entrez_id
9606.ENSP1\t191170\tEnsembl_HGNC_omim_id
9606.ENSP2\tMDM2\tEnsembl_HGNC_symbol
9606.ENSP2\tHDM2\tUniProt_GN_Synonyms
9606.ENSP2\tBCC7\tUniProt_GN_Synonyms
9606.ENSP2\tTP53\tUniProt_GN_Synonyms
9606.ENSP2\tENSG00000000001\tEnsembl_gene
9606.ENSP2\t4193\tEnsembl_HGNC_entrez_id
"""


@pytest.fixture
def aliases(tmp_path):
    path = tmp_path / "9606.protein.aliases.v12.0.txt"
    path.write_text(ALIASES)
    return path


@pytest.mark.parametrize(
    ("to", "names", "expected"),
    [
        ("symbol", ["P53", "HDM2"], ["TP53", "MDM2"]),
        ("symbol", ["TP53", "HDM2"], ["TP53", "MDM2"]),  # official, whatever MDM2 was called
        ("symbol", [TP53 + ".7", "4193"], ["TP53", "MDM2"]),
        ("symbol", ["191170", "7157"], ["191170", "TP53"]),  # of OMIM, so no partner
        ("ensembl", ["P53", "MDM2"], [TP53, MDM2]),
        ("entrez", ["P53", MDM2], ["7157", "4193"]),
    ],
)
def test_string_aliases_of_one_protein_are_one_gene(aliases, to, names, expected):
    mapped, report = map_genes(cells(names), to, aliases)
    assert list(mapped.var_names) == expected
    assert report.source["layout"] == "STRING aliases"


def test_an_alias_of_two_genes_is_ambiguous(aliases):
    with pytest.raises(ValueError, match=r"BCC7 -> MDM2.TP53"):
        map_genes(cells(["BCC7"]), "symbol", aliases)
    mapped, report = map_genes(cells(["BCC7", "P53"]), "symbol", aliases, ambiguous="drop")
    assert list(mapped.var_names) == ["TP53"]
    assert status(report)["BCC7"] == "one-to-many"


def test_string_info_names_proteins(tmp_path):
    path = tmp_path / "9606.protein.info.v12.0.txt"
    path.write_text(
        "#string_protein_id\tpreferred_name\tprotein_size\tannotation\n"
        '9606.ENSP00000000001\tTP53\t393\tActs as a "tumor suppressor\n'
        "9606.ENSP00000000002\tMDM2\t491\tE3 ligase\n"
    )
    names = ["9606.ENSP00000000002", "9606.ENSP00000000001"]
    columns = {"from_column": "string_protein_id", "to_column": "preferred_name"}
    mapped, _ = map_genes(cells(names), "symbol", path, **columns)
    assert list(mapped.var_names) == ["MDM2", "TP53"]


BIOGRID = """\
#Entrez Gene Interactor A\tEntrez Gene Interactor B\tSystematic Name Interactor A\t\
Systematic Name Interactor B\tOfficial Symbol Interactor A\tOfficial Symbol Interactor B\t\
Synonyms Interactor A\tSynonyms Interactor B\tExperimental System Type\tPublication Source\t\
Organism ID Interactor A\tOrganism ID Interactor B\tThroughput
7157\t4193\t-\t-\tTP53\tMDM2\tP53|BCC7\tHDM2|ACTFS\tphysical\tPUBMED:1\t9606\t9606\tLow Throughput
7157\t472\t-\t-\tTP53\tATM\tP53|BCC7\tAT1|BCC7\tphysical\tPUBMED:2\t9606\t9606\tLow Throughput
22059\t17246\t-\t-\tTrp53\tMdm2\tp53\tHDM2\tphysical\tPUBMED:3\t10090\t10090\tLow Throughput
"""


@pytest.fixture
def biogrid(tmp_path):
    path = tmp_path / "BIOGRID-ALL-4.4.240.tab3.txt"
    path.write_text(BIOGRID)
    return path


@pytest.mark.parametrize(
    ("to", "names", "taxon", "expected"),
    [
        ("symbol", ["P53", "HDM2", "NOPE"], 9606, ["TP53", "MDM2", "NOPE"]),
        ("symbol", ["7157", "472"], 9606, ["TP53", "ATM"]),
        ("entrez", ["TP53", "HDM2"], 9606, ["7157", "4193"]),
        ("symbol", ["HDM2", "22059"], 10090, ["Mdm2", "Trp53"]),
    ],
)
def test_biogrid_synonyms_of_an_organism(biogrid, to, names, taxon, expected):
    mapped, report = map_genes(cells(names), to, biogrid, taxon=taxon)
    assert list(mapped.var_names) == expected
    assert report.source["taxon"] == taxon


def test_what_biogrid_cannot_tell_is_said(biogrid):
    with pytest.raises(ValueError, match=r"BCC7 -> ATM.TP53"):
        map_genes(cells(["BCC7"]), "symbol", biogrid)
    with pytest.raises(ValueError, match="no Ensembl ids"):
        map_genes(cells(["TP53"]), "ensembl", biogrid)
    with pytest.raises(ValueError, match="no gene of taxon 4932"):
        map_genes(cells(["TP53"]), "symbol", biogrid, taxon=4932)
    with pytest.raises(ValueError, match="leave out 'from_column'"):
        map_genes(cells(["TP53"]), "symbol", biogrid, from_column="a")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"to": "uniprot"}, ValueError, "'to' must be one of"),
        ({"ambiguous": "first"}, ValueError, "'ambiguous' must be one of .*'first'"),
        ({"unmapped": "zero"}, ValueError, "'unmapped' must be one of"),
        ({"unmapped": "error"}, ValueError, "1 gene that is not: 'ENSG00000000003'"),
        ({"table": None}, TypeError, "BioMart"),
        ({"to_column": "name"}, KeyError, "No column 'name'.*'Gene name'"),
        ({"from_column": "Gene name", "to_column": "Gene name"}, ValueError, "must differ"),
        ({"to_column": "Gene stable ID"}, ValueError, "holds Ensembl gene ids"),
        ({"original_column": "mito"}, ValueError, "has a column 'mito' already"),
        ({"table": ORTHOLOGS}, ValueError, "None|0 of the 3 genes of the cells are in the table"),
    ],
)
def test_mistakes_are_answered(options, error, message):
    adata = cells([TP53, MDM2, OTHER])
    adata.var["mito"] = False
    with pytest.raises(error, match=message):
        map_genes(adata, **{"to": "symbol", "table": BIOMART, **options})


def test_only_cells_with_different_genes_are_taken():
    with pytest.raises(TypeError, match="must be an AnnData"):
        map_genes(pd.DataFrame(), "symbol", BIOMART)
    adata = cells([TP53, MDM2])
    adata.var_names = [TP53, TP53]
    with pytest.raises(ValueError, match="each gene once"):
        map_genes(adata, "symbol", BIOMART)


def test_few_partners_are_warned_of():
    with pytest.warns(UserWarning, match="Only 1 of the 11 genes are in the table"):
        map_genes(
            cells([TP53, *(f"LOC{i}" for i in range(10))]),
            "symbol",
            BIOMART,
            from_column="Gene stable ID",
        )


def test_the_report_is_json_and_text_stays_text():
    table = pd.DataFrame({"old": ["A1", "B1"], "new": ["<b>X</b>", "Y1"]})
    report = map_genes(cells(["A1", "B1", "C1"]), "symbol", table, unmapped="drop").report
    told = json.loads(json.dumps(report.to_dict()))
    assert told["counts"] == {"mapped": 2, "no partner": 1}
    assert told["genes"][2] == {
        "gene": "C1",
        "candidates": "",
        "status": "no partner",
        "name": None,
    }
    assert "<b>" not in report._repr_html_()
    assert "no partner   1 (1 left out): 'C1'" in str(report)


def test_cells_on_disk_are_mapped_into_memory(tmp_path):
    cells([TP53, OTHER, MDM2]).write_h5ad(tmp_path / "cells.h5ad")
    backed = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    mapped = map_genes(backed, "symbol", BIOMART, unmapped="drop").adata
    assert not mapped.isbacked
    assert mapped.to_df().to_dict("list") == {"TP53": [0, 3], "MDM2": [2, 5]}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real files are not beside the repository")
def test_real_proteins_get_the_symbols_that_two_sources_give():
    table = pd.read_csv(SHARED / "string" / "ensp2symbol_bcb420.tsv.gz", sep="\t", na_filter=False)
    names = table["ensp"].head(3000)
    mapped, report = map_genes(cells(names), "symbol", table, ambiguous="drop")
    assert report.counts["mapped"] > 2900
    assert mapped.var_names.is_unique
    by_hand = dict(zip(table["ensp"], table["symbol"], strict=True))
    got = dict(zip(mapped.var["original_name"], mapped.var_names, strict=True))
    assert all(got[old] == (by_hand[old] or old) for old in got)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real files are not beside the repository")
def test_real_aliases_and_synonyms():
    aliases = SHARED / "string" / "9606.protein.aliases.v11.0.sample10k.tsv.gz"
    with gzip.open(aliases, "rt") as file:
        rows = [line.rstrip("\n").split("\t") for line in file][1:]
    symbol_of = {
        protein: name for protein, name, source in rows if "Ensembl_HGNC" in source.split()
    }
    other = {name: symbol_of[protein] for protein, name, _ in rows if protein in symbol_of}
    mapped, report = map_genes(cells(other), "symbol", aliases, ambiguous="drop")
    got = dict(zip(mapped.var["original_name"], mapped.var_names, strict=True))
    assert report.counts["unchanged"] == len(symbol_of) == 79
    assert all(got[name] == other[name] for name in got)
    taken = report.genes.set_index("gene")["candidates"].to_dict()
    assert taken == other  # SMYD5_HUMAN is SMYD5, which is there
    human = SHARED / "biogrid" / "biogrid_tab3_real_50rows.tab3.txt"
    mapped, report = map_genes(cells(["AIP2", "1938", "WWP2"]), "symbol", human, ambiguous="keep")
    assert list(mapped.var_names) == ["AIP2", "EEF2", "WWP2"]  # AIP2 is WWP2, which is there
    assert status(report)["AIP2"] == "many-to-one"


def test_mapped_cells_meet_the_graph(graph, adata):
    ids = [f"ENSMUSG0000000{i:04}" for i in range(12)]
    adata.var_names = ids
    table = pd.DataFrame({"mouse": ids, "human": [f"G{i}" for i in range(12)]})
    mapped = map_genes(adata, "symbol", table).adata
    assert isinstance(graph.align(list(mapped.var_names)), GeneGraph)
