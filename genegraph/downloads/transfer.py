"""One file over HTTPS: from known hosts, whole, or an error."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import IO
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError

from genegraph.downloads.progress import DownloadBar
from genegraph.version import __version__

SCHEME = "https"
MAX_BYTES = 1 << 32  # STRING's and BioGRID's files of one release are below a twentieth of it
TIMEOUT = (10.0, 30.0)  # seconds: to connect, and without a byte arriving
SLOWEST = (60.0, 1 << 16)  # in so many seconds at least so many bytes, or it is given up
_CHUNK = 1 << 18
_MAX_REDIRECTS = 5
_HEADERS = {
    # Some publishers turn away requests that do not say what they come from.
    "User-Agent": f"genegraph/{__version__}",
    # The file is packed already; packed once more, its length could not be checked.
    "Accept-Encoding": "identity",
}
_ADVICE = {
    403: "; it may be turning programs away, while a browser gets through",
    404: ", there is no such file; check the taxon and the version",
    429: ", too many requests; wait a while",
    503: ", it is busy or being maintained; try again later",
}


class TransferError(OSError):
    """Says in a few words why no whole file came."""


def transfer(url: str, hosts: frozenset[str], target: IO[bytes], label: str) -> None:
    """Writes the file at ``url`` to ``target``, as it lies at the publisher.

    Args:
        url: Where the file is.
        hosts: The only hosts to ask, also when an answer redirects.
        target: An open binary file; holds part of the file after an error.
        label: What the progress bar calls it.

    Raises:
        TransferError: If the answer is refused, fails, stalls or ends early.
    """
    try:
        with requests.Session() as session, closing(_open(session, url, hosts)) as answer:
            length = _declared_length(answer)
            received = 0
            with DownloadBar(label, length) as bar:
                for chunk in _chunks(answer):
                    received += len(chunk)
                    if received > MAX_BYTES:
                        raise TransferError(f"the answer is larger than {MAX_BYTES:,} bytes")
                    target.write(chunk)
                    bar.advance(len(chunk))
    except (requests.RequestException, HTTPError) as error:
        raise TransferError(_in_words(error, urlsplit(url).hostname)) from error


def _open(session: requests.Session, url: str, hosts: frozenset[str]) -> requests.Response:
    for _ in range(_MAX_REDIRECTS + 1):
        _check_address(url, hosts)
        answer = session.get(
            url, headers=_HEADERS, timeout=TIMEOUT, stream=True, allow_redirects=False
        )
        if not answer.is_redirect:
            break
        answer.close()
        url = urljoin(url, answer.headers["location"])
    else:
        raise TransferError(f"it was redirected more than {_MAX_REDIRECTS} times")
    if answer.status_code != 200:
        answer.close()
        advice = _ADVICE.get(answer.status_code, "")
        status = f"{answer.status_code} {answer.reason or ''}".rstrip()
        raise TransferError(f"{urlsplit(url).hostname} answered {status}{advice}")
    return answer


def _chunks(answer: requests.Response) -> Iterator[bytes]:
    """Yields what has arrived, whenever something has; gives up on a trickle."""
    since, arrived = time.monotonic(), 0
    # Undecoded: a server that labels a .gz "Content-Encoding: gzip" means the file itself.
    # urllib3 compares what it reads with the declared length.
    while chunk := answer.raw.read1(_CHUNK, decode_content=False):
        yield chunk
        arrived += len(chunk)
        if time.monotonic() - since < SLOWEST[0]:
            continue
        if arrived < SLOWEST[1]:
            host = urlsplit(answer.url).hostname
            raise TransferError(f"{host} sent {arrived:,} bytes in {SLOWEST[0]:g} seconds")
        since, arrived = time.monotonic(), 0


def _check_address(url: str, hosts: frozenset[str]) -> None:
    parts = urlsplit(url)
    if parts.scheme != SCHEME or parts.hostname not in hosts:
        raise TransferError(
            f"it was redirected to {parts.scheme}://{parts.hostname}, and only {SCHEME} from "
            f"{' or '.join(sorted(hosts))} is trusted"
        )


def _declared_length(answer: requests.Response) -> int | None:
    declared = answer.headers.get("Content-Length")
    if declared is None:
        return None
    if not (declared.isascii() and declared.isdigit()):
        raise TransferError(f"the answer declares a length of {declared!r}")
    if int(declared) > MAX_BYTES:
        raise TransferError(f"it has {int(declared):,} bytes, more than {MAX_BYTES:,}")
    if int(declared) == 0:
        raise TransferError("the answer is empty")
    return int(declared)


def _in_words(error: Exception, host: str | None) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return f"the certificate of {host} could not be verified"
    if isinstance(error, requests.exceptions.ProxyError):
        return f"the proxy to {host} refused or did not answer"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"{host} did not answer within {TIMEOUT[0]:g} seconds"
    if isinstance(error, requests.exceptions.ConnectionError):
        return f"there is no connection to {host}"
    if "timed out" in str(error):
        return f"{host} sent nothing for {TIMEOUT[1]:g} seconds"
    return f"the connection to {host} broke off ({error.args[0]})"
