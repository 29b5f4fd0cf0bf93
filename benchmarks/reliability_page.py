"""Makes docs/reliability.md: each promise, the test that proves it, the figure last measured.

    python benchmarks/reliability_page.py

Fails where a named test or result is not there.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import RESULTS
from reliability_promises import NOT_SHOWN, PROMISES, Promise

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
PEERS = Path(__file__).parent / "reliability_peers.md"
HEAD = """\
# What is promised, and what proves it

Made by `benchmarks/reliability_page.py` from the list in `reliability_promises.py` beside it and
the results of `kills.py`, `fuzz.py`, `soak.py` and `predict_million.py`. The tests run with every
change, those four in small; the figures are of runs in full. A test is named by its file below
`tests/` and, with spaces for underscores, by what follows `test_` in its name.
"""


def kills(rows: list[dict[str, Any]]) -> str:
    """Kills that were survived."""
    row = rows[-1]
    survived = "survived with the same bytes" if row["same_bytes"] else "NOT survived"
    fell = ", ".join(f"{times} in {phase}" for phase, times in row["fell_in"].items())
    return f"{row['kills']} kills {survived} ({fell})"


def fuzz(rows: list[dict[str, Any]]) -> str:
    """Inputs tried, and what was slowest."""
    inputs = sum(row["inputs"] for row in rows)
    defects = sum(len(row["defects"]) for row in rows)
    slowest = max(row["slowest_ms"] for row in rows)
    targets = len({row["target"] for row in rows})
    growth = max(row["growth_mib"] for row in rows)
    return (
        f"{inputs:,} inputs to {targets} readers: {defects} defects, "
        f"the slowest input {slowest:.0f} ms, memory grew by {growth} MiB"
    )


def soak(rows: list[dict[str, Any]]) -> str:
    """Growth of memory, and what was left."""
    row = rows[-1]
    left = row["last"]["threads"] - row["first"]["threads"]
    files = row["last"]["open_files"] - row["first"]["open_files"]
    return (
        f"{row['fits']} fits, {row['predictions']:,} predictions: "
        f"{row['slope_kib_per_fit']} KiB a fit, {left} threads and {files} files left"
    )


def million(rows: list[dict[str, Any]]) -> str:
    """Peak of memory, and speed."""
    row = rows[-1]
    return (
        f"{row['cells']:,} cells x {row['genes']:,} genes: {row['resident_peak_mib']:,} MiB, "
        f"{row['resident_before_mib']} of it before the call; {row['cells_per_s']:,} cells/s"
    )


FIGURES: dict[str, tuple[str, Callable[[list[dict[str, Any]]], str]]] = {
    "kills": ("kills.jsonl", kills),
    "fuzz": ("fuzz.jsonl", fuzz),
    "soak": ("soak.jsonl", soak),
    "million": ("predict_million.jsonl", million),
}


def check_tests(promises: dict[str, list[Promise]] = PROMISES) -> None:
    """Raises a LookupError if a named test is not there."""
    for group in promises.values():
        for promised in group:
            for test in promised.tests:
                file, name = test.split("::")
                tree = ast.parse((ROOT / "tests" / file).read_text())
                if name not in {
                    node.name for node in tree.body if isinstance(node, ast.FunctionDef)
                }:
                    raise LookupError(f"There is no test {test!r}.")


def in_words(tests: tuple[str, ...]) -> str:
    """Each file, and its tests as sentences: their names are too long for a table."""
    files: dict[str, list[str]] = {}
    for test in tests:
        file, name = test.split("::test_")
        files.setdefault(file, []).append(name.replace("_", " "))
    return "<br>".join(f"`{file}`: {'; '.join(names)}" for file, names in files.items())


def origins() -> str:
    """Date, machine and versions of each result file."""
    lines = []
    for file, _ in FIGURES.values():
        row = _rows(file)[-1]
        versions = ", ".join(f"{name} {number}" for name, number in row["versions"].items())
        date = row.get("date", "date not kept")
        lines.append(f"- `{file}`: {date}; {row['cpu']}, {row['cores']} cores; {versions}\n")
    return "".join(lines)


def page() -> str:
    """Returns the page."""
    check_tests()
    parts = [HEAD]
    for title, group in PROMISES.items():
        parts.append(f"\n## {title}\n\n| promise | proved by | last measured |\n|---|---|---|\n")
        for promised in group:
            tests = in_words(promised.tests)
            figure = _figure(promised.figure) if promised.figure else ""
            parts.append(f"| {promised.says} | {tests} | {figure} |\n")
    parts.append("\n## Not shown\n\n")
    parts += [f"- {sentence}\n" for sentence in NOT_SHOWN]
    parts.append(
        "\n## What others say of themselves\n\nBy their own documents, as far as we found them in "
        "November 2026, in our words. Much is done without being written down: *not stated* means "
        f"that we did not find it, not that it is not so.\n\n{PEERS.read_text()}"
    )
    parts.append(f"\n## Where the figures come from\n\n{origins()}")
    return "".join(parts)


def _figure(name: str) -> str:
    file, words = FIGURES[name]
    return f"{words(_rows(file))} ([results](../benchmarks/results/{file}))"


def _rows(file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (RESULTS / file).read_text().splitlines()]


def main() -> None:
    """Writes the page."""
    PAGE.write_text(page())
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
