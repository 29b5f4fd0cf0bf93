"""A publisher on this machine that answers as it is told, also badly."""

import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server(ThreadingHTTPServer):
    """Answers each path as ``answers`` says; remembers what it was asked, and how."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.released = threading.Event()  # ends the answers that stall
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}).start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def close(self) -> None:
        self.released.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address) -> None:
        """A client that gives up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.close_connection = True
        self.server.asked.append(self.path)
        self.server.headers.append(dict(self.headers))
        with suppress(ConnectionError):
            self.server.answers.get(self.path, status(404))(self)

    def end_headers(self) -> None:
        self.send_header("Connection", "close")
        super().end_headers()

    def log_message(self, *args) -> None:
        pass


def whole(content: bytes, length: object = None, **headers: str) -> Answer:
    """Sends the content; ``length`` is a lie about it."""

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(length or len(content)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def status(code: int) -> Answer:
    def answer(handler):
        body = b"<html>something went wrong</html>"
        handler.send_response(code)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def redirect(url: str) -> Answer:
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", url)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def cut(content: bytes) -> Answer:
    """Promises all of it and closes half way."""
    return whole(content[: len(content) // 2], length=len(content))


def cut_unannounced(content: bytes) -> Answer:
    """Names no length and closes half way, which HTTP cannot tell from the end."""

    def answer(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(content[: len(content) // 2])

    return answer


def stall(content: bytes, sent: int, started: threading.Event | None = None) -> Answer:
    """Sends so many bytes, then nothing until the server is released; then the rest."""

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:sent])
        handler.wfile.flush()
        if started is not None:
            started.set()
        handler.server.released.wait(60)
        handler.wfile.write(content[sent:])

    return answer


def trickle(content: bytes) -> Answer:
    """Sends a byte every fiftieth of a second, for as long as somebody listens."""

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        for byte in content:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            if handler.server.released.wait(0.02):
                return

    return answer


def silent(handler) -> None:
    """Takes the question and says nothing."""
    handler.server.released.wait(60)


def hang_up(handler) -> None:
    """Closes without a word."""
