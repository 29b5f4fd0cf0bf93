"""How inputs are changed: bytes of text files, and parts of structured ones.

A structured input is a program: its bytes choose which part is changed and how, so that random
bytes and a coverage-guided fuzzer both reach what lies behind a checksum.
"""

import random
from copy import deepcopy
from pathlib import Path
from typing import Any

MAX_BYTES = 1 << 15
SPECIAL = [
    b"", b"\n", b"\r\n", b"\r", b"\t", b" ", b",", b";", b'"', b"\0", b"-", b"|", b"NA", b"nan",
    b"inf", b"-1", b"0", b"1e309", b"1e-320", b"1_0", b"99999999999999999999", b"0x10", b"1.0",
    b"\xef\xbb\xbf", b"\xff\xfe", b"\xc3\x28", b"\xe2\x80\xa8", b"#", b"<html>", b"9606.",
    b"10090.X", b"PK\x03\x04", b"\x1f\x8b", b"..\\", b"../", b"/etc/passwd",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 100, 2**31, 2**63, 10**12, -(2**70), 0.5, -0.0, 1e308,
    1e-320, "", "x", "0", "1", "G0", "full", "edges", "shared", "counts", "log1p", "<i8", "|O",
    "V0", "<U9", "U1000000000", "M8[s]", [], {}, [[]], [0], [1, 2, 3], ["a", "a"], [10**9], [-1],
    [0.5], {"~tensor": "0"}, {"~tensor": "1"}, {"~tensor": "nowhere"}, {"~array": "0"},
    {"~array": "2"}, {"~tuple": []}, {"~tuple": [1, {"~tuple": [2]}]}, {"~dict": [[0, 0]]},
    {"~dict": [[[], 0]]}, {"~dict": [0]}, {"~set": [[]]}, {"~set": ["a"]}, {"~size": [2**70]},
    {"~size": ["a"]}, {"~size": [-1]}, {"~float": "nan"}, {"~float": "inf"}, {"~float": "1"},
    {"~int": "0x" + "f" * 20}, {"~int": "z"}, {"~bytes": "zz"}, {"~bytes": "00ff"},
    {"~text": "edb280"}, {"~text": "c328"}, {"~path": "\0"}, {"~state_dict": [[], 0]},
    {"~state_dict": [0, 0]}, {"~ordered": [[1, 2]]}, {"~what": 0}, {"~tuple": 0},
    {"a": 1, "~tuple": []},
]  # fmt: skip


class Choices:
    """Numbers drawn from the bytes of an input; once they are used up, by chance, ever the same."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0
        self.rest = random.Random(data)

    def below(self, number: int) -> int:
        """A number from 0 up to this one, exclusive."""
        width = 1 if number <= 256 else 2
        part = self.data[self.place : self.place + width] or self.rest.randbytes(width)
        self.place += width
        return int.from_bytes(part, "little") % max(1, number)

    def of(self, several: Any) -> Any:
        """One of these."""
        return several[self.below(len(several))]

    def rounds(self) -> int:
        """How many changes to make: none for an empty input, seldom more than two."""
        return min(4, 1 + self.below(256) // 64) if self.data else 0


def put(folder: Path, name: str, content: bytes) -> Path:
    """Writes an input to a file."""
    path = folder / name
    path.write_bytes(content)
    return path


def mutated_bytes(rng: random.Random, seeds: list[bytes]) -> bytes:
    """A seed with some bytes, words or lines changed."""
    content = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        first = rng.randrange(len(content) + 1)
        last = min(len(content), first + rng.choice((0, 1, 1, 4, 16, 64)))
        what = rng.randrange(7)
        if what == 0 and content:
            content[min(first, len(content) - 1)] ^= 1 << rng.randrange(8)
        elif what == 1:
            content[first:last] = rng.choice(SPECIAL)
        elif what == 2:
            content[first:first] = content[first:last] * rng.choice((1, 2, 50))
        elif what == 3:
            del content[first:last]
        elif what == 4:
            content[first:last] = rng.randbytes(last - first)
        elif what == 5:
            other = rng.choice(seeds)
            cut = rng.randrange(len(other) + 1)
            content[first:] = other[cut:]
        else:
            _change_field(rng, content)
    return bytes(content[:MAX_BYTES])


def _change_field(rng: random.Random, content: bytearray) -> None:
    """Puts another word into a table, or copies a line."""
    lines = content.split(b"\n")
    row = rng.randrange(len(lines))
    if rng.random() < 0.2:
        lines.insert(rng.randrange(len(lines) + 1), lines[row])
    else:
        sep = next((mark for mark in (b"\t", b",", b" ") if mark in lines[row]), b"\t")
        fields = lines[row].split(sep)
        words = [*SPECIAL, rng.choice(fields), rng.choice(rng.choice(lines).split(sep))]
        fields[rng.randrange(len(fields))] = rng.choice(words)
        lines[row] = sep.join(fields)
    content[:] = b"\n".join(lines)


def mutated_program(rng: random.Random, seeds: list[bytes]) -> bytes:
    """A random program."""
    return rng.randbytes(rng.choice((2, 4, 6, 8, 12, 24)))


def change_tree(tree: Any, choices: Choices) -> Any:
    """Replaces, removes, doubles or wraps one branch of a JSON tree, in place; returns it."""
    places: list[tuple[Any, Any]] = []
    _collect(tree, places)
    if not places:
        return deepcopy(choices.of(VALUES))
    parent, key = choices.of(places)
    what = choices.below(6)
    if what == 0:
        del parent[key]
    elif what == 1:
        other, there = choices.of(places)
        parent[key] = deepcopy(other[there])
    elif what == 2:
        parent[key] = [parent[key]]
    elif what == 3 and isinstance(parent[key], list):
        parent[key] = parent[key] * choices.of((0, 2, 3))
    elif what == 4 and isinstance(parent[key], int | float):
        parent[key] = parent[key] * choices.of((-1, 2, 10**6)) + choices.of((-1, 0, 1))
    else:
        parent[key] = deepcopy(choices.of(VALUES))
    return tree


def _collect(tree: Any, places: list[tuple[Any, Any]]) -> None:
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in inside:
        places.append((tree, key))
        if isinstance(value, dict | list):
            _collect(value, places)
