import gzip
import io
import zipfile
from pathlib import Path

import pytest

from genegraph.interactions import read_stringdb

DATA = Path(__file__).parents[1] / "data"
LINKS = DATA / "9606.protein.links.v12.0.txt"
INFO = DATA / "9606.protein.info.v12.0.txt"
ALIASES = DATA / "9606.protein.aliases.v12.0.txt"
EXPORT = DATA / "string_interactions.tsv"
HEAD = "protein1 protein2 combined_score\n"
ROW = "9606.ENSP1 9606.ENSP2 900\n"

BAD_LINKS = {
    "web page": ("<!DOCTYPE html>\n<html></html>\n", "This is a web page"),
    "other scores": ("protein1 protein2 score\n" + ROW, "line 1: expected the columns 'protein1 p"),
    "unknown": ("a,b\n1,2\n", "use read_edges"),
    "blank header": ("\n" + ROW, "line 1: expected a header"),
    "header only": (HEAD, "has a header and no rows"),
    "short line": (HEAD + ROW + "9606.ENSP1 9606.ENSP3\n", r"line 3: expected 3 columns.*got 2"),
    "long line": (HEAD + ROW + ROW[:-1] + " 7\n", r"line 3: expected 3 columns.*got 4"),
    "long first line": (HEAD + ROW[:-1] + " 7\n" + ROW, r"line 2: expected 3 columns.*got 4"),
    "tabs in rows": (HEAD + ROW.replace(" ", "\t"), r"line 2: expected 3 columns.*got 1"),
    "not a number": (HEAD + ROW + ROW.replace("900", "high"), r"line 3: .*whole number.*'high'"),
    "underscore": (HEAD + ROW.replace("900", "9_00"), r"line 2: .* \(got '9_00'\)"),
    "missing score": (HEAD + ROW + ROW.replace("900", ""), r"line 3: 'combined_score' must be"),
    "rescaled": (HEAD + ROW.replace("900", "0.9"), r"a whole number from 0 to 1000 \(got '0.9'\)"),
    "negative": (HEAD + ROW.replace("900", "-1"), r"line 2: .* \(got '-1'\)"),
    "too large": (HEAD + ROW.replace("900", "1001"), r"line 2: .* \(got '1001'\)"),
    "far too large": (HEAD + ROW.replace("900", "9" * 30), r"line 2: .* \(got '999"),
    "not a protein": (HEAD + ROW + "TP53 9606.ENSP1 900\n", r"line 3: expected a STRING identif"),
    "no protein": (HEAD + ROW + " 9606.ENSP1 900\n", r"line 3: expected a STRING identifier.*''"),
    "two taxa": (
        HEAD + ROW + ROW.replace("9606", "10090"),
        r"line [23]: .*mixes the taxa 9606 and 10090",
    ),
    "repeated column": (HEAD[:-1] + " protein1\n" + ROW[:-1] + " x\n", "'protein1' is there more"),
}


@pytest.mark.parametrize("case", BAD_LINKS)
def test_bad_links_are_refused_with_the_reason(tmp_path, case):
    text, message = BAD_LINKS[case]
    path = tmp_path / "9606.protein.links.v12.0.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_stringdb(path)


BAD_EXPORTS = {
    "above one": ("0.570", "570", r"line 3: .* must be a number from 0 to 1 \(got '570'\)"),
    "nan": ("0.570", "nan", r"line 3: 'combined_score' must be a number .* \(got 'nan'\)"),
    "two names": ("NA\tTP53", "NA\tP53", "'9606.ENSP00000000001' two names: 'TP53' and 'P53'"),
}


@pytest.mark.parametrize("case", BAD_EXPORTS)
def test_bad_exports_are_refused_with_the_reason(tmp_path, case):
    old, new, message = BAD_EXPORTS[case]
    path = tmp_path / "export.tsv"
    path.write_text(new.join(EXPORT.read_text().rsplit(old, 1)))
    with pytest.raises(ValueError, match=message):
        read_stringdb(path)


BAD_NAMES = {
    "links as info": ({"info": LINKS}, "pass it as 'links'"),
    "aliases as info": ({"info": ALIASES}, "STRING aliases file: pass it as 'aliases'"),
    "info as aliases": ({"aliases": INFO}, "STRING info file: pass it as 'info'"),
    "both": ({"info": INFO, "aliases": ALIASES}, "Give 'info' or 'aliases', not both"),
}


@pytest.mark.parametrize("case", BAD_NAMES)
def test_names_from_the_wrong_file_are_refused(case):
    arguments, message = BAD_NAMES[case]
    with pytest.raises(ValueError, match=message):
        read_stringdb(LINKS, **arguments)


@pytest.mark.parametrize("path", [INFO, ALIASES, DATA / "BIOGRID-ALL-4.4.240.tab3.txt"])
def test_another_kind_of_file_as_links_is_recognised(path):
    with pytest.raises(ValueError, match=r"as 'info'|as 'aliases'|use read_biogrid"):
        read_stringdb(path)


def test_info_of_another_organism_is_refused(tmp_path):
    info = tmp_path / "10090.protein.info.v12.0.txt"
    info.write_text(INFO.read_text().replace("9606.", "10090."))
    with pytest.raises(ValueError, match=r"is about taxon 9606, but .* about '10090'"):
        read_stringdb(LINKS, info)


def test_info_with_two_names_for_a_protein_is_refused(tmp_path):
    info = tmp_path / "info.txt"
    info.write_text(INFO.read_text() + "9606.ENSP00000000001\tP53\t1\tnone\n")
    with pytest.raises(ValueError, match="two names: 'TP53' and 'P53'"):
        read_stringdb(LINKS, info)


def test_aliases_without_a_known_source_are_refused(tmp_path):
    aliases = tmp_path / "aliases.txt"
    aliases.write_text("#string_protein_id\talias\tsource\n9606.ENSP1\tP1\tUniProt_AC\n")
    with pytest.raises(ValueError, match="give STRING's info file instead"):
        read_stringdb(LINKS, aliases=aliases)


def test_names_for_an_export_are_refused():
    with pytest.raises(ValueError, match="names its genes already"):
        read_stringdb(EXPORT, INFO)


BAD_ARGUMENTS = {
    "unit scale": ({"min_score": 0.7}, ValueError, r"got 0\.7\); did you mean 700\?"),
    "above": ({"min_score": 1001}, ValueError, r"0 to 1000 scale \(got 1001\)\."),
    "below": ({"min_score": -1}, ValueError, r"0 to 1000 scale \(got -1\)\."),
    "nan": ({"min_score": float("nan")}, ValueError, r"0 to 1000 scale \(got nan\)"),
    "text": ({"min_score": "700"}, TypeError, r"'min_score' must be a number \(got str\)"),
    "one channel": ({"channels": "database"}, TypeError, "'channels' must be a list of names"),
    "no channel": ({"channels": []}, ValueError, "at least one channel"),
    "channel twice": ({"channels": ["database", "database"]}, ValueError, "each once"),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_arguments_are_refused(case):
    arguments, kind, message = BAD_ARGUMENTS[case]
    with pytest.raises(kind, match=message):
        read_stringdb(LINKS, INFO, **arguments)


def test_an_unknown_channel_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match=r"no channel 'database' \(has: none.*'detailed'"):
        read_stringdb(LINKS, channels=["database"])
    physical = DATA / "9606.protein.physical.links.detailed.v12.0.txt"
    with pytest.raises(ValueError, match=r"\(has: 'experimental', 'database', 'textmining'\)"):
        read_stringdb(physical, channels=["experiments"])
    with pytest.raises(ValueError, match="no channel 'homology'"):
        read_stringdb(DATA / "9606.protein.links.full.v11.5.txt", channels=["homology"])


def test_an_empty_result_says_how_many_rows_were_read_and_why_they_went():
    with pytest.raises(ValueError, match=r"11 rows of .*score below 1000: 11.*min_score=1000"):
        read_stringdb(LINKS, INFO, min_score=1000)


@pytest.mark.parametrize("cut", [15, 200, -4])
def test_a_truncated_gzip_is_refused(tmp_path, cut):
    path = tmp_path / "links.txt.gz"
    lines = "".join(f"9606.ENSP{i} 9606.ENSP{i * i + 1} {i % 999}\n" for i in range(2000))
    path.write_bytes(gzip.compress((HEAD + lines).encode())[:cut])
    with pytest.raises(ValueError, match=r"links\.txt\.gz is truncated or damaged"):
        read_stringdb(path)


def test_a_gzip_with_flipped_bits_is_refused(tmp_path):
    packed = bytearray(gzip.compress((HEAD + ROW * 50).encode()))
    packed[-6] ^= 0xFF
    path = tmp_path / "links.txt.gz"
    path.write_bytes(bytes(packed))
    with pytest.raises(ValueError, match="is truncated or damaged"):
        read_stringdb(path)


def test_a_zip_is_refused(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("links.txt", HEAD + ROW)
    path = tmp_path / "links.zip"
    path.write_bytes(packed.getvalue())
    with pytest.raises(ValueError, match="is a zip archive"):
        read_stringdb(path)


def test_files_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_stringdb(tmp_path / "nothing.txt")
    with pytest.raises(IsADirectoryError, match="give the path of one file"):
        read_stringdb(tmp_path)
    empty = tmp_path / "empty.txt"
    empty.touch()
    with pytest.raises(ValueError, match=r"empty\.txt is empty"):
        read_stringdb(empty)
    latin = tmp_path / "latin.txt"
    latin.write_bytes(HEAD.encode() + b"9606.ENSP\xe91 9606.ENSP2 900\n")
    with pytest.raises(ValueError, match=r"could not be read|not UTF-8"):
        read_stringdb(latin)
