"""Files that unpack without end, or point outside themselves, are refused before they do harm."""

import gzip
import io
import stat
import tracemalloc
import zipfile

import numpy as np
import pytest

from genegraph import GeneGraph, archives, read_biogrid, read_edges, read_stringdb
from genegraph.interactions import text_files

LINKS = b"protein1 protein2 combined_score\n"
ROW = b"9606.ENSP1 9606.ENSP2 901\n"
NAME = "BIOGRID-ALL-5.0.261.tab3.txt"


def zipped(path, *members, packing=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


@pytest.fixture
def small_limits(monkeypatch):
    """A megabyte stands for 64, so that bombs of the tests are small."""
    monkeypatch.setattr(archives, "FREE_BYTES", 1 << 20)
    monkeypatch.setattr(archives.most_unpacked, "__defaults__", (1 << 20,))
    monkeypatch.setattr(archives.refuse_bomb, "__defaults__", (1 << 20,))


@pytest.fixture
def graph():
    return GeneGraph(["A", "B"], [[0, 1], [1, 0]], [0.5, 0.5])


def test_the_limits_are_as_stated():
    assert (archives.MAX_RATIO, archives.FREE_BYTES, archives.MAX_BYTES) == (100, 2**26, 2**35)
    assert archives.most_unpacked(0) == 2**26
    assert archives.most_unpacked(2**20) == 100 * 2**20
    assert archives.most_unpacked(2**40) == 2**35


@pytest.mark.parametrize("read", [read_stringdb, read_edges])
def test_a_gzip_bomb_is_refused(tmp_path, small_limits, read):
    path = tmp_path / "9606.protein.links.v12.0.txt.gz"
    path.write_bytes(gzip.compress(LINKS + ROW * 200_000))
    with pytest.raises(ValueError, match=r"links.v12.0.txt.gz unpacks to more than .* 100 times"):
        read(path)


def test_a_table_that_packs_well_is_no_bomb(tmp_path):
    path = tmp_path / "9606.protein.links.v12.0.txt.gz"
    path.write_bytes(gzip.compress(LINKS + ROW * 200_000))  # 300 times, and 5 MB
    assert len(read_stringdb(path)) == 1


def test_a_bomb_does_not_fill_the_memory(tmp_path):
    """Two gigabytes of spaces, and a table whose only line is as long."""
    path = tmp_path / "links.txt.gz"
    spaces = gzip.compress(bytes(b" " * (1 << 26)))
    for start in (LINKS, b"gene_a,gene_b\nA,"):
        path.write_bytes(gzip.compress(start) + spaces * 32)
        tracemalloc.start()
        with pytest.raises(ValueError, match=r"unpacks to more than|line is longer than"):
            read_edges(path, sep=",") if b"gene_a" in start else read_stringdb(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 200 << 20


def test_a_zip_that_declares_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    path = zipped(tmp_path / "b.zip", (NAME, b" " * (70 << 20)))
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(ValueError, match=r"b\.zip, member 'BIOGRID.*unpacks to more than"):
        read_biogrid(path)


def test_a_graph_file_that_is_a_bomb_is_refused_before_it_is_unpacked(tmp_path, graph, monkeypatch):
    path = tmp_path / "graph.npz"
    zeros = io.BytesIO()
    np.save(zeros, np.zeros(1 << 20))
    zipped(path, ("header.npy", zeros.getvalue()))
    monkeypatch.setattr("genegraph.graph_io.FREE_BYTES", 1 << 20)
    with pytest.raises(ValueError, match=r"graph\.npz: damaged .*unpacks to more than"):
        GeneGraph.load(path)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../BIOGRID.tab3.txt", "leads out of the archive"),
        ("a/../../BIOGRID.tab3.txt", "leads out of the archive"),
        ("..\\BIOGRID.tab3.txt", "leads out of the archive"),
        ("/etc/BIOGRID.tab3.txt", "has an absolute path"),
        ("C:\\BIOGRID.tab3.txt", "has an absolute path"),
        ("\\\\host\\share\\BIOGRID.tab3.txt", "has an absolute path"),
    ],
)
def test_a_zip_with_a_member_that_points_outside_is_refused(tmp_path, graph, name, why):
    path = zipped(tmp_path / "b.zip", (NAME, "whatever"), (name, "whatever"))
    with pytest.raises(ValueError, match=rf"b\.zip: its member .* {why}"):
        read_biogrid(path)
    graph.save(tmp_path / "graph.npz")
    with zipfile.ZipFile(tmp_path / "graph.npz", "a") as archive:
        archive.writestr(name, "whatever")
    with pytest.raises(ValueError, match=rf"graph\.npz: damaged .*{why}"):
        GeneGraph.load(tmp_path / "graph.npz")


def test_a_zip_with_a_symbolic_link_is_refused(tmp_path):
    link = zipfile.ZipInfo("BIOGRID.tab3.txt")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    path = zipped(tmp_path / "b.zip", (link, "/etc/passwd"))
    with pytest.raises(ValueError, match="is a symbolic link"):
        read_biogrid(path)


def test_a_zip_packed_so_that_its_size_cannot_be_bounded_is_refused(tmp_path):
    path = zipped(tmp_path / "b.zip", (NAME, "whatever"), packing=zipfile.ZIP_BZIP2)
    with pytest.raises(ValueError, match="neither stored nor deflated"):
        read_biogrid(path)


def test_a_name_that_is_there_twice_or_not_at_all_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = zipped(tmp_path / "b.zip", (NAME, "whatever"), (NAME, "another"))
    with pytest.raises(ValueError, match="is there twice"):
        read_biogrid(path)
    content = zipped(path, (NAME, "whatever")).read_bytes()
    place = content.rindex(NAME.encode())
    path.write_bytes(content[:place] + b"\0" + content[place + 1 :])  # zipfile ends names at a NUL
    with pytest.raises(ValueError, match="has no name"):
        read_biogrid(path)


def test_what_zipfile_does_not_know_is_damage(tmp_path):
    path = zipped(tmp_path / "b.zip", (NAME, "whatever"))
    content = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(magic) + offset] |= 0x20  # "compressed patched data"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"b\.zip is truncated or damaged"):
        read_biogrid(path)


def test_a_line_without_end_is_no_table(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "BLOCK_BYTES", 1 << 16)
    path = tmp_path / "9606.protein.links.v12.0.txt"
    path.write_bytes(LINKS + ROW + b"x" * (1 << 21) + b"\n" + ROW)
    with pytest.raises(ValueError, match="a line is longer than 1,048,576 bytes: not a table"):
        read_stringdb(path)
    path.write_bytes(LINKS + ROW + b"9606." + b"x" * (1 << 19) + b" 9606.ENSP1 901\n")
    assert len(read_stringdb(path)) == 2


def test_a_nul_does_not_end_a_name_unseen(tmp_path):
    path = tmp_path / "9606.protein.links.v12.0.txt"
    path.write_bytes(LINKS + b"9606.ENSP1 9606.ENSP2\0hidden 901\n")
    with pytest.raises(ValueError, match="NUL bytes"):
        read_stringdb(path)
    path.write_text("gene_a,gene_b\nTP53,MDM2\n", encoding="utf-16")
    with pytest.raises(ValueError, match=r"not UTF-8|two or more columns"):
        read_edges(path)


def test_a_matrix_is_no_table_of_edges(tmp_path):
    path = tmp_path / "matrix.csv"
    path.write_text("cell," + ",".join(f"G{i}" for i in range(5000)) + "\n")
    with pytest.raises(ValueError, match=r"at most 1,000 columns \(got 5,001\)"):
        read_edges(path)


def test_a_header_of_very_many_columns_is_read_at_once(tmp_path):
    names = [f"c{i}" for i in range(8000)]
    path = tmp_path / "9606.protein.links.v12.0.txt"
    header = ["protein1", "protein2", *names, "combined_score"]
    row = ["9606.ENSP1", "9606.ENSP2", *["0"] * 8000, "900"]
    path.write_text(" ".join(header) + "\n" + " ".join(row) + "\n")
    assert len(read_stringdb(path)) == 1


@pytest.mark.parametrize("score", ["1e60", "-1e60", "4e2", "nan", "99999999999999999999"])
def test_a_score_that_no_whole_number_holds_is_refused_by_line(tmp_path, score):
    path = tmp_path / "9606.protein.links.v12.0.txt"
    path.write_bytes(LINKS + ROW + b"9606.ENSP1 9606.ENSP3 " + score.encode() + b"\n")
    if score == "4e2":
        assert len(read_stringdb(path)) == 2
    else:
        with pytest.raises(ValueError, match="line 3: 'combined_score' must be a whole number"):
            read_stringdb(path)
