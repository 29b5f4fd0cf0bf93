"""The code on a page of the documents: its blocks, and what is done with each.

- A ``python`` block is run, after those before it on the page; if its first line is ``# name.py``
  it is written into that file instead.
- A ``bash`` block holds commands ``genegraph ...`` and ``python name.py``, and each is run.
- A ``text`` block that follows a block is what that one prints; ``...`` stands for anything.
- ``<!-- not run: why -->`` above a block keeps it from being run.
"""

import doctest
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from genegraph.cli import main

FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"<!-- not run: (\S[^\n]*) -->\s*$")
SCRIPT = re.compile(r"# (\w+\.py)\n")
COMPARED = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    """One fenced block: its language, its text, where it begins, and why it is not run."""

    language: str
    text: str
    line: int
    why_not: str | None = None
    prints: str | None = None


def blocks_of(page: Path) -> list[Block]:
    """Returns the blocks that are code; what one prints goes with it."""
    text, found, end = page.read_text(), [], 0
    for fence in FENCE.finditer(text):
        before, end = text[end : fence.start()], fence.end()
        language, content = fence.groups()
        if language.startswith("{"):  # a directive of Sphinx
            continue
        if language == "text":
            if found and not before.strip():
                found[-1] = found[-1]._replace(prints=content)
            continue
        why_not = NOT_RUN.search(before)
        line = text.count("\n", 0, fence.start()) + 2
        found.append(Block(language, content, line, why_not and why_not[1]))
    return found


def run_page(page: Path) -> None:
    """Runs a page from top to bottom in the current folder."""
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks_of(page):
        if block.why_not is None:
            printed = _run(block, f"{page.name}, line {block.line}", names)
            if block.prints is not None:
                _check_printed(block.prints, printed, f"{page.name}, line {block.line}")


def _run(block: Block, place: str, names: dict[str, object]) -> str:
    if block.language == "bash":
        return "".join(_command(line, place) for line in _commands(block.text))
    script = SCRIPT.match(block.text)
    if script:
        Path(script[1]).write_text(block.text)
        return ""
    code = "\n" * (block.line - 1) + block.text
    with redirect_stdout(StringIO()) as out:
        exec(compile(code, place.partition(",")[0], "exec"), names)
    return out.getvalue()


def _commands(text: str) -> list[str]:
    lines = text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _command(line: str, place: str) -> str:
    words = shlex.split(line, comments=True)
    if words[0] == "python":
        done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True)
        assert done.returncode == 0, f"{place}: {line}\n{done.stderr}"
        return done.stdout
    assert words[0] == "genegraph", f"{place}: no test knows how to run {line!r}"
    with redirect_stdout(StringIO()) as out:
        status = main(words[1:])
    assert status == 0, f"{place}: {line} ended with {status}"
    return out.getvalue()


def _check_printed(expected: str, printed: str, place: str) -> None:
    checker = doctest.OutputChecker()
    example = doctest.Example("", expected)
    if not checker.check_output(expected, printed, COMPARED):
        raise AssertionError(f"{place}: {checker.output_difference(example, printed, COMPARED)}")
