"""Are the pinned versions complete, offered, newest, and free of known vulnerabilities?

    python tools/check_pins.py

For a weekly run.  Every dependency of setup.cfg, of all extras, must be pinned in constraints.txt;
for each pin the package index is asked whether that version is withdrawn, which is the newest, and
what is known against it.  The exit status is 1 if a pin is missing, withdrawn or vulnerable, else
0: a newer version alone is only told.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import urllib.error
import urllib.request
from configparser import ConfigParser
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
INDEX = "https://pypi.org/pypi"
NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


class Known(NamedTuple):
    """What the index says of one version."""

    newest: str
    withdrawn: bool
    vulnerabilities: list[str]


def canonical(name: str) -> str:
    """Returns a name as the index compares them."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(path: Path = ROOT / "constraints.txt") -> dict[str, str]:
    """Returns the pinned version of each package."""
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    split = (line.partition("==") for line in lines if line)
    return {canonical(name): version for name, _, version in split}


def requirements(path: Path = ROOT / "setup.cfg") -> set[str]:
    """Returns the names of all dependencies, those of extras among them."""
    config = ConfigParser()
    config.read(path)
    texts = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    lines = (line.strip() for text in texts for line in text.splitlines())
    return {canonical(found[0]) for line in lines if (found := NAME.match(line))}


def ask(name: str, version: str) -> Known:
    """Asks the package index; raises an OSError where it cannot be reached."""
    newest = _json(f"{INDEX}/{name}/json")["info"]["version"]
    mine = _json(f"{INDEX}/{name}/{version}/json")
    known = [found["id"] for found in mine.get("vulnerabilities", []) if not found["withdrawn"]]
    return Known(newest, bool(mine["info"]["yanked"]), known)


def main(argv: list[str] | None = None) -> int:
    """Prints what was found; returns the exit status."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args(argv)
    pinned = pins()
    missing = requirements() - set(pinned)
    for name in sorted(missing):
        print(f"{name}: not pinned in constraints.txt")
    bad = bool(missing)
    unreachable = []
    for name, version in pinned.items():
        try:
            known = ask(name, version.partition("+")[0])
        except urllib.error.HTTPError as error:
            bad = bad or error.code == 404
            print(f"{name} {version}: the index answers {error.code}")
            continue
        except OSError as error:
            unreachable.append(f"{name} ({error})")
            continue
        if known.withdrawn or known.vulnerabilities:
            bad = True
            said = [*(["withdrawn"] if known.withdrawn else []), *known.vulnerabilities]
            print(f"{name} {version}: {', '.join(said)}")
        elif known.newest != version:
            print(f"{name} {version}: {known.newest} is out")
    if unreachable:
        print(f"{len(unreachable)} of {len(pinned)} could not be looked up: {unreachable[0]}, ...")
    return int(bad)


def _json(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(address, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


if __name__ == "__main__":
    sys.exit(main())
