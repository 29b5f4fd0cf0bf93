import gzip
import random
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genegraph.interactions import read_biogrid

DATA = Path(__file__).parents[1] / "data"
TAB3 = DATA / "BIOGRID-ALL-4.4.240.tab3.txt"
TAB2 = DATA / "BIOGRID-ALL-4.4.240.tab2.txt"
ONE, TWO = np.log2([2, 3]) / np.log2(9)


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("path", [TAB3, TAB2])
def test_physical_human_pairs_are_those_found_by_hand(path):
    expected = pd.DataFrame(
        {
            "gene_a": ["CD3E", "MDM2", "NA"],
            "gene_b": ["CD3G", "TP53", "TP53"],
            "score": [ONE, TWO, ONE],
            "publications": [1, 2, 1],
        }
    )
    pd.testing.assert_frame_equal(read_biogrid(path), expected)


COLUMNS = (
    "Entrez Gene Interactor A",
    "Entrez Gene Interactor B",
    "Official Symbol Interactor A",
    "Official Symbol Interactor B",
    "Experimental System Type",
    "Publication Source",
    "Organism ID Interactor A",
    "Organism ID Interactor B",
    "Throughput",
)


def written(path, rows):
    """Physical human interactions of these Entrez ids and symbols."""
    rest = ("physical", "PUBMED:1", "9606", "9606", "Low Throughput")
    lines = ["\t".join(COLUMNS), *("\t".join((*row, *rest)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_genes_can_be_named_by_their_entrez_ids(tmp_path):
    rows = [("7157", "4193", "TP53", "MDM2"), ("-", "472", "ODD", "ATM"), ("472", "7157", "-", "-")]
    table = read_biogrid(written(tmp_path / "b.tab3.txt", rows), identifiers="entrez")
    assert table[["gene_a", "gene_b"]].to_numpy().tolist() == [["4193", "7157"], ["472", "7157"]]
    assert table.attrs["dropped"] == {"gene without an Entrez id": 1}
    assert table.attrs["identifiers"] == "entrez"


def test_entrez_ids_are_refused_where_there_are_none(tmp_path):
    with pytest.raises(ValueError, match="'identifiers' must be 'symbol' or 'entrez'"):
        read_biogrid(TAB3, identifiers="ensembl")
    path = tmp_path / "b.tab3.txt"
    rest = ("physical", "PUBMED:1", "9606", "9606", "Low Throughput")
    path.write_text("\t".join(COLUMNS[2:]) + "\n" + "\t".join(("TP53", "MDM2", *rest)) + "\n")
    with pytest.raises(ValueError, match="lacks the column 'Entrez Gene Interactor A'"):
        read_biogrid(path, identifiers="entrez")


def test_attrs_account_for_every_row():
    attrs = read_biogrid(TAB3).attrs
    assert (attrs["source"], attrs["version"], attrs["taxon"]) == ("BioGRID", "4.4.240", 9606)
    assert (attrs["rows_read"], attrs["rows_kept"], attrs["pairs"]) == (11, 5, 3)
    assert attrs["dropped"] == {
        "another organism": 2,
        "not physical": 1,
        "gene without an official symbol": 1,
        "row without a publication": 1,
        "gene paired with itself": 1,
    }


@pytest.mark.parametrize(
    ("arguments", "pairs"),
    [
        ({"system": "genetic"}, {"MDM2-TP53": 1}),
        ({"system": None}, {"CD3E-CD3G": 1, "MDM2-TP53": 3, "NA-TP53": 1}),
        ({"throughput": "low"}, {"MDM2-TP53": 1, "NA-TP53": 1}),
        ({"throughput": "high"}, {"CD3E-CD3G": 1, "MDM2-TP53": 1, "NA-TP53": 1}),
        ({"min_publications": 2}, {"MDM2-TP53": 2}),
        ({"taxon": np.int64(10090)}, {"Mdm2-Trp53": 1}),
    ],
)
def test_filters_keep_what_they_say(arguments, pairs):
    table = read_biogrid(TAB3, **arguments)
    names = table["gene_a"] + "-" + table["gene_b"]
    assert dict(zip(names, table["publications"], strict=True)) == pairs


def test_score_saturates_at_eight_publications(tmp_path):
    header, first, *_ = TAB3.read_text().splitlines()
    lines = [first.replace("PUBMED:1\t", f"PUBMED:{number}\t") for number in range(20)]
    path = tmp_path / "biogrid.txt"
    path.write_text("\n".join([header, *lines]))
    assert read_biogrid(path)["score"].tolist() == [1.0]
    path.write_text("\n".join([header, *lines[:7]]))
    assert read_biogrid(path)["score"].tolist() == pytest.approx([np.log2(8) / np.log2(9)])


def test_gzip_and_blocks_do_not_show(tmp_path, monkeypatch):
    path = tmp_path / TAB3.name
    path.write_bytes(gzip.compress(TAB3.read_bytes()))
    monkeypatch.setattr("genegraph.interactions.text_files.BLOCK_BYTES", 400)
    pd.testing.assert_frame_equal(read_biogrid(path), read_biogrid(TAB3))


def test_a_zip_is_read_in_place(tmp_path):
    path = zipped(tmp_path / "BIOGRID-ALL-LATEST.tab3.zip", {TAB3.name: TAB3.read_bytes()})
    table = read_biogrid(path)
    pd.testing.assert_frame_equal(table, read_biogrid(TAB3))
    assert (table.attrs["file"], table.attrs["version"]) == (path.name, "4.4.240")
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_the_member_of_an_organism_zip_is_chosen_by_taxon(tmp_path):
    header, *lines = TAB3.read_text().splitlines(keepends=True)
    human = header + lines[0]
    mouse = header + lines[7]
    members = {
        "BIOGRID-ORGANISM-Homo_sapiens-4.4.240.tab3.txt": human,
        "BIOGRID-ORGANISM-Mus_musculus-4.4.240.tab3.txt": mouse,
    }
    path = zipped(tmp_path / "BIOGRID-ORGANISM-4.4.240.tab3.zip", members)
    assert read_biogrid(path)["gene_b"].tolist() == ["TP53"]
    assert read_biogrid(path, taxon=10090)["gene_b"].tolist() == ["Trp53"]
    with pytest.raises(ValueError, match=r"none could be recognised as that of taxon 7227.*Mus_mu"):
        read_biogrid(path, taxon=7227)


def test_an_encrypted_member_is_refused(tmp_path):
    path = zipped(tmp_path / "biogrid.zip", {TAB3.name: TAB3.read_bytes()})
    content = bytearray(path.read_bytes())
    content[content.rfind(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="encrypted"):
        read_biogrid(path)


def test_a_damaged_or_foreign_zip_is_refused(tmp_path):
    path = zipped(tmp_path / "biogrid.zip", {TAB3.name: TAB3.read_bytes()})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="is truncated or damaged"):
        read_biogrid(path)
    with pytest.raises(ValueError, match=r"must hold a BioGRID table.*'readme\.md'"):
        read_biogrid(zipped(path, {"readme.md": "nothing"}))


def test_a_flipped_byte_in_a_zip_is_found(tmp_path):
    path = tmp_path / "biogrid.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(TAB3.name, TAB3.read_bytes())
    path.write_bytes(path.read_bytes().replace(b"CD3G", b"CD3X"))
    with pytest.raises(ValueError, match="is truncated or damaged"):
        read_biogrid(path)


def test_an_absent_taxon_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match=r"9606 \(10\), 2697049 \(1\), 10090 \(1\)"):
        read_biogrid(TAB3, taxon=559292)


BAD_FILES = {
    "web page": ("<html>Just a moment...</html>\n", "This is a web page"),
    "links": ("protein1 protein2 combined_score\n9606.A 9606.B 1\n", "pass it as 'links'"),
    "mitab": ("#ID Interactor A\tID Interactor B\tbiogrid\nx\ty\tz\n", "download TAB3"),
    "header only": (TAB3.read_text().splitlines()[0] + "\n", "has a header and no rows"),
    "cut line": (TAB3.read_text()[:-40], r"line 12: expected 37 columns"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files_are_refused_with_the_reason(tmp_path, case):
    text, message = BAD_FILES[case]
    path = tmp_path / "biogrid.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_biogrid(path)


BAD_ARGUMENTS = {
    "system": ({"system": "both"}, ValueError, "'system' must be 'physical', 'genetic' or None"),
    "throughput": ({"throughput": "Low"}, ValueError, "'throughput' must be 'low', 'high' or N"),
    "publications": ({"min_publications": 0}, ValueError, "must be at least 1"),
    "fraction": ({"min_publications": 1.5}, TypeError, "whole number"),
    "taxon": ({"taxon": "human"}, TypeError, "'taxon' must be a whole number"),
    "nothing left": ({"min_publications": 9}, ValueError, "fewer than 9 publications: 5"),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_arguments_are_refused(case):
    arguments, kind, message = BAD_ARGUMENTS[case]
    with pytest.raises(kind, match=message):
        read_biogrid(TAB3, **arguments)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_lines_and_direction_of_pairs_do_not_matter(tmp_path_factory, seed):
    shuffle = random.Random(seed)
    header, *lines = TAB3.read_text().splitlines()
    rows = [line.split("\t") for line in shuffle.sample(lines, len(lines))]
    for row in rows:
        if shuffle.random() < 0.5:
            row[7], row[8] = row[8], row[7]
            row[15], row[16] = row[16], row[15]
    copy = tmp_path_factory.mktemp("shuffled") / TAB3.name
    copy.write_text("\n".join([header, *("\t".join(row) for row in rows)]))
    pd.testing.assert_frame_equal(read_biogrid(copy), read_biogrid(TAB3))
