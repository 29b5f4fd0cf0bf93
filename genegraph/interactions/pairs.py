"""Pairs of genes as integers: encoding, collapsing, and the tidy table."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Integers = NDArray[np.signedinteger[Any]]
Floats = NDArray[np.float64]


class Vocabulary:
    """Numbers names in the order in which they first appear, starting at 0.

    Args:
        check: Called with each new name; may raise.
    """

    def __init__(self, check: Callable[[str], None] | None = None) -> None:
        self.code_of: dict[str, int] = {}
        self._check = check

    @property
    def names(self) -> list[str]:
        """All names so far, in the order of their codes."""
        return list(self.code_of)

    def __len__(self) -> int:
        return len(self.code_of)

    def encode(self, column: "pd.Series[Any]") -> NDArray[np.int32]:
        """Codes of a categorical column."""
        known = [self._code(str(name)) for name in column.cat.categories]
        return np.array(known, dtype=np.int32)[column.cat.codes.to_numpy()]

    def _code(self, name: str) -> int:
        code = self.code_of.get(name)
        if code is None:
            if self._check is not None:
                self._check(name)
            code = self.code_of[name] = len(self.code_of)
        return code


class Pairs(NamedTuple):
    """Undirected pairs, each once, sorted, ``first < second``."""

    first: Integers
    second: Integers
    columns: dict[str, Floats]
    num_repeated: int
    num_disagreeing: int


def collapse(a: Integers, b: Integers, columns: Mapping[str, Floats], num_names: int) -> Pairs:
    """Makes one row of each undirected pair, with the largest value of each column.

    ``num_repeated`` counts the rows beyond the first of their pair, and ``num_disagreeing``
    the pairs whose rows differ in the first column.
    """
    key = np.minimum(a, b).astype(np.int64) * num_names + np.maximum(a, b)
    order = np.argsort(key)
    key = key[order]
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if len(key) else np.array([], int)
    largest: dict[str, Floats] = {}
    num_disagreeing = 0
    for position, (name, values) in enumerate(columns.items()):
        values = values[order]
        largest[name] = np.maximum.reduceat(values, starts) if len(key) else values
        if position == 0 and len(key):
            smallest = np.minimum.reduceat(values, starts)
            num_disagreeing = int(np.count_nonzero(smallest != largest[name]))
    first, second = np.divmod(key[starts], num_names)
    return Pairs(first, second, largest, len(key) - len(starts), num_disagreeing)


def rank_names(names: Sequence[str]) -> tuple[list[str], NDArray[np.int32]]:
    """Distinct names in order, and each name's place among them."""
    ordered = sorted(set(names))
    place = {name: rank for rank, name in enumerate(ordered)}
    return ordered, np.array([place[name] for name in names], dtype=np.int32)


def pair_table(pairs: Pairs, names: Sequence[str]) -> pd.DataFrame:
    """Writes pairs with names; ``names`` must be sorted, so that the table is."""
    lookup = np.array([*names, None], dtype=object)[:-1]
    genes = {"gene_a": lookup[pairs.first], "gene_b": lookup[pairs.second]}
    return pd.DataFrame(genes | dict(pairs.columns))
