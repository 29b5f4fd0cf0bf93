import pytest

from genegraph.interactions.identifiers import (
    describe_identifiers,
    explain_mismatch,
    strip_versions,
)

HUMAN = ["TP53", "MDM2", "C1orf112", "HLA-A", "NA"]
MOUSE = ["Trp53", "Mdm2", "H2-K1", "Cd3d"]
GENES = ["ENSG00000141510", "ENSG00000135679.27"]


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (HUMAN, "symbol"),
        (MOUSE, "symbol"),
        (GENES, "ensembl_gene"),
        (["ENSMUSG00000059552"], "ensembl_gene"),
        (["ENST00000269305.9"], "ensembl_transcript"),
        (["ENSP00000269305", "9606.ENSP00000258149"], "ensembl_protein"),
        (["7157", "4193"], "number"),
        (HUMAN + GENES, "mixed"),
        (["ENSA", "ENG"], "symbol"),
    ],
)
def test_the_kind_is_told(names, kind):
    assert describe_identifiers(names).kind == kind


def test_one_stranger_in_twenty_does_not_change_the_kind():
    report = describe_identifiers([f"ENSG{i:011d}" for i in range(19)] + ["TP53"])
    assert report.kind == "ensembl_gene"
    assert report.counts == {"ensembl_gene": 19, "symbol": 1}
    assert report.examples["symbol"] == ["TP53"]


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["TP53", "TP53", "A"], "1 name occurs more than once: 'TP53'."),
        (["TBCE", "TBCE-1", "TBCE-2"], "2 names look made unique by a suffix: 'TBCE-1', 'TBCE-2'."),
        (["ENSG00000141510.18"], "1 name carries a version suffix: 'ENSG00000141510.18'."),
        (["C2orf15", "C2ORF15"], "2 names differ only in case: 'C2orf15', 'C2ORF15'."),
        (["1-Mar", "2-Sep"], "2 names look like a spreadsheet's dates: '1-Mar', '2-Sep'."),
    ],
)
def test_oddities_are_reported_with_examples(names, problem):
    assert describe_identifiers(names).problems == [problem]


@pytest.mark.parametrize(
    "name",
    ["1-Mar", "Mar-01", "02-Sep-22", "2001-03-01", "2022-09-02 00:00:00", "44622", "2.31E+19"],
)
def test_what_a_spreadsheet_makes_of_a_symbol_is_recognised(name):
    assert describe_identifiers([*HUMAN, name] * 3).dates == [name]


@pytest.mark.parametrize("name", ["SEPT2", "MARCH1", "SEPTIN2", "2310009E13Rik", "DEC1", "7157"])
def test_symbols_that_a_spreadsheet_would_change_are_no_dates(name):
    assert describe_identifiers([*HUMAN, name]).dates == []


def test_entrez_ids_of_five_digits_are_no_dates():
    assert describe_identifiers(["44622", "7157", "51477"]).dates == []


def test_ordinary_symbols_with_hyphens_are_no_problem():
    assert describe_identifiers(["NKX2-1", "SNORD113-1", "HLA-A", "MT-CO1"]).problems == []


def test_case_tells_human_from_mouse():
    assert describe_identifiers(HUMAN).upper == 4
    assert describe_identifiers(MOUSE).capitalised == 3
    assert "as in human" in describe_identifiers(HUMAN).in_words
    assert "as in mouse" in describe_identifiers(MOUSE).in_words


def test_versions_are_stripped_from_ensembl_ids_alone():
    names = ["ENSG00000141510.18", "ENSMUSG00000059552.1", "AC011043.1", "TP53", "ENSG00000141510"]
    stripped = ["ENSG00000141510", "ENSMUSG00000059552", "AC011043.1", "TP53", "ENSG00000141510"]
    assert strip_versions(names) == (stripped, 2)


@pytest.mark.parametrize(
    ("cells", "graph", "advice"),
    [
        (["ENSG00000141510.18"], ["ENSG00000141510"], "Without version suffixes 1 would match"),
        (["TP53"], ["ENSP00000269305"], "give 'info' to read_stringdb"),
        (["ENSG00000141510"], ["TP53"], "Map one onto the other first"),
        (["Cd3d", "Cd3e"], ["CD3D", "CD3E", "CD8A"], "Upper-casing both would match 2"),
        (["CD3D"], ["CD8A"], "Check that both are of one species"),
        ([], ["CD8A"], "One side has no genes at all"),
    ],
)
def test_a_mismatch_is_explained_with_the_next_step(cells, graph, advice):
    assert advice in explain_mismatch(cells, graph)


def test_a_mismatch_shows_three_examples_of_each_side():
    text = explain_mismatch(list("ABCDE"), ["V", "W", "X", "Y"], label_a="X", label_b="the table")
    assert text.startswith("0 of the 5 genes of X are in the table. X has gene symbols")
    assert "('A', 'B', 'C'); the table has" in text
    assert "('V', 'W', 'X')" in text


def test_no_names_and_a_single_string_are_refused():
    with pytest.raises(ValueError, match="at least one gene name"):
        describe_identifiers([])
    with pytest.raises(TypeError, match="must come as a list"):
        describe_identifiers("TP53")
