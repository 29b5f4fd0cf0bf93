"""Nothing comes from a server that cannot prove who it is."""

import shutil
import ssl
import subprocess
import sys

import misbehaving as bad
import pytest
from local_publisher import LINKS, LINKS_PATH, serving

from genegraph.datasets import DownloadError, fetch_string
from genegraph.downloads import stringdb, transfer
from genegraph.downloads.remote_file import Publisher

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="the certificate of the test is made by openssl"
)


@pytest.fixture
def certificate(tmp_path):
    """A certificate that this machine signed for itself."""
    files = [tmp_path / "key.pem", tmp_path / "certificate.pem"]
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext"
    subprocess.run(
        [*command.split(), "subjectAltName=IP:127.0.0.1", "-keyout", files[0], "-out", files[1]],
        check=True,
        capture_output=True,
    )
    return files


@pytest.fixture
def server(monkeypatch, certificate):
    key, chain = certificate
    for server in serving(monkeypatch):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        base = server.base.replace("http:", "https:")
        monkeypatch.setattr(stringdb, "STRING", Publisher(base, frozenset({"127.0.0.1"})))
        monkeypatch.setattr(transfer, "SCHEME", "https")  # as it is outside these tests
        yield server


def test_a_certificate_of_no_known_authority_is_refused(server, tmp_path):
    with pytest.raises(DownloadError, match=r"certificate of 127\.0\.0\.1 could not be verified"):
        fetch_string(cache_dir=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    assert server.asked == []


def test_a_certificate_that_the_machine_trusts_is_accepted(
    server, tmp_path, certificate, monkeypatch
):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[1]))
    assert fetch_string(cache_dir=tmp_path / "cache").links.read_bytes() == LINKS


def test_a_redirect_out_of_tls_is_refused(server, tmp_path, certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[1]))
    server.answers[LINKS_PATH] = bad.redirect(f"{server.base}/elsewhere")
    with pytest.raises(DownloadError, match=r"redirected to http://127.*only https"):
        fetch_string(cache_dir=tmp_path / "cache")
    assert server.asked == [LINKS_PATH]


def test_outside_tests_only_https_is_spoken():
    code = "from genegraph.downloads import transfer; print(transfer.SCHEME)"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout == "https\n"
