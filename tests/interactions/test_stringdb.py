import gzip
import hashlib
import json
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genegraph.interactions import read_stringdb

DATA = Path(__file__).parents[1] / "data"
LINKS = DATA / "9606.protein.links.v12.0.txt"
INFO = DATA / "9606.protein.info.v12.0.txt"
FULL = DATA / "9606.protein.links.full.v11.5.txt"
DETAILED = DATA / "9606.protein.physical.links.detailed.v12.0.txt"
EXPORT = DATA / "string_interactions.tsv"
API = DATA / "string_api_network.tsv"


def rows_of(table):
    return list(table.itertuples(index=False, name=None))


def test_links_with_info_give_the_table_made_by_hand():
    table = read_stringdb(LINKS, INFO)
    expected = pd.DataFrame(
        {
            "gene_a": ["G6PC1", "MDM2", "NA"],
            "gene_b": ["TP53", "TP53", "TP53"],
            "score": [0.8, 0.901, 0.4],
        }
    )
    pd.testing.assert_frame_equal(table, expected)


def test_attrs_account_for_every_row():
    attrs = read_stringdb(LINKS, INFO).attrs
    assert json.loads(json.dumps(attrs)) == attrs
    assert attrs["source"] == "STRING"
    assert (attrs["version"], attrs["taxon"]) == ("12.0", 9606)
    assert attrs["file"] == LINKS.name
    assert attrs["sha256"] == hashlib.sha256(LINKS.read_bytes()).hexdigest()
    assert attrs["identifiers"] == "symbol"
    assert attrs["filters"] == {
        "min_score": 400,
        "channels": None,
        "names_from": "preferred_name",
    }
    assert (attrs["rows_read"], attrs["rows_kept"], attrs["pairs"]) == (11, 6, 3)
    assert attrs["dropped"] == {
        "score below 400": 2,
        "protein without a name": 1,
        "protein paired with itself": 1,
        "two proteins of one gene": 1,
    }


def test_notes_name_what_was_unusual():
    unnamed, disagreeing, shared = read_stringdb(LINKS, INFO).attrs["notes"]
    assert "1 protein had no name" in unnamed
    assert "'9606.ENSP00000000005'" in unnamed
    assert disagreeing == "1 pair had more than one score; the largest was kept."
    assert "1 symbol ('G6PC1') named more than one protein" in shared
    assert "1 pair fell together" in shared


def test_without_info_genes_are_proteins_without_taxon():
    table = read_stringdb(LINKS, min_score=900)
    assert rows_of(table) == [
        ("ENSP00000000001", "ENSP00000000002", 0.901),
        ("ENSP00000000003", "ENSP00000000006", 0.95),
    ]
    assert table.attrs["identifiers"] == "ensembl_protein"
    assert "without the taxon prefix" in table.attrs["notes"][0]


@pytest.mark.parametrize(("min_score", "num_pairs"), [(0, 4), (399, 4), (400, 3), (401, 2)])
def test_min_score_is_inclusive(min_score, num_pairs):
    assert len(read_stringdb(LINKS, INFO, min_score=min_score)) == num_pairs
    table = read_stringdb(LINKS, INFO, min_score=np.int64(min_score))
    assert json.dumps(table.attrs["filters"]["min_score"]) == str(min_score)


def test_min_score_of_an_export_is_on_the_same_scale_and_inclusive():
    # 0.57 * 1000 is below 570 in floating point.
    assert len(read_stringdb(EXPORT, min_score=570)) == 2
    assert len(read_stringdb(EXPORT, min_score=571)) == 1


def test_one_direction_above_the_cut_off_is_enough():
    table = read_stringdb(LINKS, min_score=710)
    assert ("ENSP00000000001", "ENSP00000000003", 0.72) in rows_of(table)


def test_exports_and_api_answers_carry_names():
    assert rows_of(read_stringdb(EXPORT)) == [("MDM2", "TP53", 0.999), ("NA", "TP53", 0.57)]
    old = read_stringdb(DATA / "string_interactions_old.tsv")
    assert rows_of(old) == [("NFKB1", "TYK2", 0.914)]
    answer = read_stringdb(API)
    assert rows_of(answer) == [("Mdm2", "Trp53", 0.999)]
    assert (answer.attrs["taxon"], answer.attrs["version"]) == (10090, None)


def test_aliases_of_version_12_take_the_hgnc_symbol():
    table = read_stringdb(LINKS, aliases=DATA / "9606.protein.aliases.v12.0.txt")
    assert rows_of(table) == [("G6PC1", "TP53", 0.72), ("MDM2", "TP53", 0.901)]
    assert table.attrs["filters"]["names_from"] == "Ensembl_HGNC_symbol"


def test_info_that_names_few_proteins_warns_the_caller(tmp_path):
    info = tmp_path / "info.txt"
    info.write_text("\n".join(INFO.read_text().splitlines()[:3]))
    with pytest.warns(UserWarning, match=r"6 of 9 rows .*are both files of one") as caught:
        table = read_stringdb(LINKS, info)
    assert rows_of(table) == [("MDM2", "TP53", 0.901)]
    assert caught[0].filename == __file__


def test_aliases_of_version_11_hold_several_sources_in_one_row():
    table = read_stringdb(FULL, aliases=DATA / "9606.protein.aliases.v11.0.txt")
    assert rows_of(table) == [("G6PC", "TP53", 0.43), ("MDM2", "TP53", 0.97)]
    source, several = table.attrs["notes"]
    assert "source Ensembl_HGNC in" in source
    assert "1 protein had more than one Ensembl_HGNC alias" in several


def test_channels_are_combined_by_the_published_formula():
    # experiments: 1 - (1 - 0.459 / 0.959)^2 = 0.72817, so 0.041 + 0.959 * 0.72817 = 0.7393;
    # with database: 1 - 0.27183 * 0.1 / 0.959 = 0.97165, so 0.041 + 0.959 * 0.97165 = 0.9728.
    table = read_stringdb(FULL, INFO, min_score=0, channels=["experiments", "database"])
    assert list(table.columns) == ["gene_a", "gene_b", "score", "experiments", "database"]
    assert rows_of(table) == [("MDM2", "TP53", 0.972, 0.739, 0.9)]
    assert table.attrs["dropped"] == {"no evidence in the named channels": 2}


def test_min_score_applies_to_the_recomputed_score():
    assert len(read_stringdb(FULL, INFO, min_score=739, channels=["experiments"])) == 1
    with pytest.raises(ValueError, match="score below 740: 2"):
        read_stringdb(FULL, INFO, min_score=740, channels=["experiments"])


@pytest.mark.parametrize(
    ("name", "correct", "score"),
    [
        # (0.8 - 0.041) / 0.959 / 2 = 0.39572, so 0.041 + 0.959 * 0.39572 = 0.4205.
        ("9606.protein.links.full.v11.5.txt", None, 0.42),
        ("9606.protein.links.full.v12.0.txt", None, 0.8),
        ("renamed.txt", True, 0.42),
        ("renamed.txt", False, 0.8),
    ],
)
def test_textmining_is_corrected_for_homology_before_version_12(tmp_path, name, correct, score):
    copy = tmp_path / name
    copy.write_bytes(FULL.read_bytes())
    table = read_stringdb(copy, INFO, channels=["textmining"], homology_correction=correct)
    assert rows_of(table) == [("G6PC1", "TP53", score, score)]
    assert table.attrs["filters"]["homology_correction"] is (score == 0.42)


def test_homology_correction_must_be_told_when_the_version_is_unknown(tmp_path):
    copy = tmp_path / "renamed.txt"
    copy.write_bytes(FULL.read_bytes())
    with pytest.raises(ValueError, match="pass homology_correction=True"):
        read_stringdb(copy, channels=["textmining"])


def test_channels_of_physical_exports_and_api_answers_go_by_their_own_names():
    physical = read_stringdb(DETAILED, channels=["experimental"])
    assert rows_of(physical)[0][2:] == (0.6, 0.6)
    export = read_stringdb(EXPORT, channels=["experimentally_determined_interaction"])
    assert rows_of(export)[1] == ("NA", "TP53", 0.57, 0.57)
    assert rows_of(read_stringdb(API, channels=["escore"])) == [("Mdm2", "Trp53", 0.7, 0.7)]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_gzip_line_ends_and_byte_order_mark_make_no_difference(tmp_path, ending, mark):
    # The name says plain text: what counts is the content.
    copy = tmp_path / "9606.protein.links.v12.0.txt"
    copy.write_bytes(gzip.compress(mark + LINKS.read_bytes().replace(b"\n", ending)))
    pd.testing.assert_frame_equal(read_stringdb(copy, INFO), read_stringdb(LINKS, INFO))


def test_blocks_do_not_show(monkeypatch):
    whole = read_stringdb(LINKS, INFO)
    monkeypatch.setattr("genegraph.interactions.text_files.BLOCK_BYTES", 60)
    in_blocks = read_stringdb(LINKS, INFO)
    pd.testing.assert_frame_equal(in_blocks, whole)
    assert in_blocks.attrs == whole.attrs


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_lines_and_direction_of_pairs_do_not_matter(tmp_path_factory, seed):
    shuffle = random.Random(seed)
    header, *lines = LINKS.read_text().splitlines()
    shuffle.shuffle(lines)
    for number, line in enumerate(lines):
        a, b, score = line.split()
        if shuffle.random() < 0.5:
            lines[number] = f"{b} {a} {score}"
    copy = tmp_path_factory.mktemp("shuffled") / LINKS.name
    copy.write_text("\n".join([header, *lines]))
    table, original = read_stringdb(copy, INFO), read_stringdb(LINKS, INFO)
    pd.testing.assert_frame_equal(table, original)
    assert table.attrs["notes"] == original.attrs["notes"]
