"""What a command says: sentences for people, and one JSON object for programs."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Output:
    """Says what a command did.

    Args:
        as_json: End with the results as one JSON object on the standard output; sentences then go
            to the standard error.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.results: dict[str, Any] = {}

    def say(self, text: object) -> None:
        """Prints a sentence."""
        print(text, file=sys.stderr if self.as_json else sys.stdout, flush=True)

    def result(self, **values: Any) -> None:
        """Adds to the results."""
        self.results.update(values)

    def end(self) -> None:
        """Prints the results, if they are asked for."""
        if self.as_json:
            print(json.dumps(self.results, default=_plain))

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Shows on a terminal that something takes its time."""
        from rich.console import Console

        console = Console(stderr=True)
        if not console.is_terminal:
            yield
            return
        with console.status(f"{what} ..."):
            yield


def _plain(value: Any) -> Any:
    """Returns paths as text, numpy's numbers as Python's."""
    return value.item() if hasattr(value, "item") else str(value)
