"""Are the pinned versions complete, offered, newest, and free of known vulnerabilities?

    pip install pip-audit && python tools/check_pins.py
    python tools/check_pins.py --offline

For a weekly run, where the package is installed with its extras; two minutes.  All that is asked
is asked by pip and pip-audit, so that mirrors of the package index answer too.  The exit status is
1 if a package that an installation needs is not pinned in constraints.txt, or outside the range
asked for, no longer offered, or known to be vulnerable, else 0: a newer version alone is only told.
"""

import argparse
import configparser
import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import VERSION_PATTERN, Version

ROOT = Path(__file__).parents[1]
VALID = re.compile(VERSION_PATTERN, re.VERBOSE | re.IGNORECASE)  # some old versions are not


def main(argv: list[str] | None = None) -> int:
    """Prints what was found and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--offline", action="store_true", help="ask nobody")
    parser.add_argument("--root", type=Path, default=ROOT, help="the project's folder")
    args = parser.parse_args(argv)

    pins = read_pins(args.root / "constraints.txt")
    problems = not_pinned(with_their_own(read_requirements(args.root / "setup.cfg")), pins)
    told = [f"{len(pins)} versions pinned."]
    if not args.offline:
        for look_up in (lambda: outdated(pins), lambda: vulnerable(args.root / "constraints.txt")):
            bad, known = look_up()
            problems += bad
            told += known
    print(*told, *problems, sep="\n")
    return 1 if problems else 0


def read_pins(path: Path) -> dict[str, Version]:
    """Package and version of every line ``name==version``."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    pairs = (line.split("==") for line in lines if line)
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def read_requirements(setup_cfg: Path) -> list[Requirement]:
    """Dependencies of the package and of every extra."""
    setup = configparser.ConfigParser()
    setup.read_string(setup_cfg.read_text())
    wanted = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    return [Requirement(line) for text in wanted for line in text.split("\n") if line]


def with_their_own(wanted: list[Requirement]) -> list[Requirement]:
    """Adds what the installed ones among them ask for in turn, as far as it applies here."""
    found, waiting, seen = list(wanted), list(wanted), set()
    while waiting:
        asking = waiting.pop()
        key = (canonicalize_name(asking.name), frozenset(asking.extras))
        if key in seen:
            continue
        seen.add(key)
        for line in _requires(asking.name):
            needed = Requirement(line)
            extras = {"", *asking.extras}
            if needed.marker and not any(needed.marker.evaluate({"extra": e}) for e in extras):
                continue
            found.append(needed)
            waiting.append(needed)
    return found


def _requires(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:  # an extra that is not installed here
        return []


def not_pinned(wanted: list[Requirement], pins: dict[str, Version]) -> list[str]:
    """One line for each requirement without a pin, or with one that it does not allow."""
    problems = []
    for requirement in wanted:
        pin = pins.get(canonicalize_name(requirement.name))
        if pin is None:
            problems.append(f"{requirement.name} must be pinned in constraints.txt.")
        elif not requirement.specifier.contains(pin, prereleases=True):
            problems.append(f"{requirement} is asked for, and {pin} is pinned.")
    return sorted(set(problems))


def outdated(pins: dict[str, Version]) -> tuple[list[str], list[str]]:
    """A line for each pin that is no longer offered, and what is newer than others."""
    gone, told, unanswered = [], [], []
    for name, pin in pins.items():
        offered = offered_versions(name)
        if not offered:
            unanswered.append(name)
        elif pin not in offered:
            gone.append(f"{name} {pin} is no longer offered; {max(offered)} is.")
        elif max(offered) > pin:
            told.append(f"{name} {pin}: {max(offered)} is out")
    if unanswered:
        told.append(f"The package index did not answer about {', '.join(unanswered)}.")
    return gone, told


def offered_versions(name: str) -> set[Version]:
    """What pip could install here; nothing if the index does not answer."""
    command = [sys.executable, "-m", "pip", "index", "versions", name]
    answer = subprocess.run(command, capture_output=True, text=True)
    listed = answer.stdout.partition("Available versions: ")[2].partition("\n")[0]
    names = (name.partition("+")[0] for name in listed.split(", "))
    return {Version(name) for name in names if VALID.fullmatch(name)}


def vulnerable(constraints: Path) -> tuple[list[str], list[str]]:
    """A line for each known vulnerability, and what pip-audit could find out at all."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--format=json"]
    answer = subprocess.run([*command, "-r", str(constraints)], capture_output=True, text=True)
    try:
        packages = json.loads(answer.stdout)["dependencies"]
    except ValueError:
        why = answer.stderr.strip().splitlines() or ["no answer"]
        return [], [f"Vulnerabilities were not looked up: {why[-1]}"]
    known = [package for package in packages if "skip_reason" not in package]
    if not known:  # pip-audit itself calls this "no known vulnerabilities"
        return [], ["Vulnerabilities were not looked up: pip-audit did not reach its database."]
    found = [
        f"{p['name']} {p['version']}: {hole['id']}, "
        f"mended in {', '.join(hole['fix_versions']) or 'no version yet'}."
        for p in known
        for hole in p["vulns"]
    ]
    return found, [f"Vulnerabilities were looked up of {len(known)} of {len(packages)} versions."]


if __name__ == "__main__":
    sys.exit(main())
