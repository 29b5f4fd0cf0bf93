"""The small files that tests download, and the server that stands for their publishers."""

import gzip
import io
import zipfile
from pathlib import Path

from misbehaving import Server, whole

from genegraph.downloads import biogrid, stringdb, transfer
from genegraph.downloads.remote_file import Publisher

DATA = Path(__file__).parents[1] / "data"
LINKS = gzip.compress((DATA / "9606.protein.links.v12.0.txt").read_bytes())
INFO = gzip.compress((DATA / "9606.protein.info.v12.0.txt").read_bytes())
LINKS_NAME = "9606.protein.links.v12.0.txt.gz"
LINKS_PATH = f"/download/protein.links.v12.0/{LINKS_NAME}"
INFO_PATH = "/download/protein.info.v12.0/9606.protein.info.v12.0.txt.gz"
ZIP_NAME = "BIOGRID-ORGANISM-5.0.261.tab3.zip"
ZIP_PATH = f"/Download/BioGRID/Release-Archive/BIOGRID-5.0.261/{ZIP_NAME}"


def zipped() -> bytes:
    table = (DATA / "BIOGRID-ALL-4.4.240.tab3.txt").read_text()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("BIOGRID-ORGANISM-Homo_sapiens-5.0.261.tab3.txt", table)
        archive.writestr("BIOGRID-ORGANISM-Mus_musculus-5.0.261.tab3.txt", table)
    return file.getvalue()


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def serving(monkeypatch):
    """Puts a local publisher in place of the real ones, asked without TLS."""
    server = Server()
    server.answers = {LINKS_PATH: whole(LINKS), INFO_PATH: whole(INFO)}
    local = Publisher(server.base, frozenset({"127.0.0.1"}))
    monkeypatch.setattr(stringdb, "STRING", local)
    monkeypatch.setattr(biogrid, "BIOGRID", local)
    monkeypatch.setattr(transfer, "SCHEME", "http")
    monkeypatch.setattr(transfer, "TIMEOUT", (5.0, 0.3))
    monkeypatch.setattr(transfer, "SLOWEST", (0.5, 1000))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server
    server.close()
