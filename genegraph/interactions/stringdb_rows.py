"""Streams a STRING table: what passes the score filter, as integer codes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genegraph.interactions.delimited import DelimitedReader
from genegraph.interactions.pairs import Floats, Vocabulary
from genegraph.interactions.stringdb_layout import StringLayout
from genegraph.interactions.stringdb_score import combine_channels

NO_EVIDENCE = "no evidence in the named channels"
_PROTEIN_ID = re.compile(r"(\d+)\.\S+")


@dataclass
class StringRows:
    """Rows that are left, as codes of proteins; ``score`` is first among their columns.

    ``name_of`` holds the gene names of tables that carry them.
    """

    proteins: list[str]
    taxon: str
    a: NDArray[np.int32]
    b: NDArray[np.int32]
    columns: dict[str, Floats]
    rows_read: int
    dropped: dict[str, int]
    name_of: dict[str, str] | None

    def keep(self, wanted: NDArray[np.bool_]) -> None:
        """Leaves out the other rows."""
        self.a, self.b = self.a[wanted], self.b[wanted]
        self.columns = {name: values[wanted] for name, values in self.columns.items()}


def collect_rows(
    stream: IO[bytes],
    label: str,
    layout: StringLayout,
    min_score: float,
    channels: Sequence[str] | None,
    homology_correction: bool,
) -> StringRows:
    """Reads a STRING table block by block; only rows that pass are held in memory."""
    needed = [part for channel in channels or () for part in layout.parts_of(channel)]
    needed += ["homology"] if homology_correction else []
    reader = DelimitedReader(
        stream,
        label,
        columns=layout.columns,
        sep=layout.sep,
        text=[*layout.proteins, *(layout.names or ())],
        numbers=dict.fromkeys([layout.score, *needed], layout.rule),
    )
    taxon = _OneTaxon(reader, layout.proteins)
    proteins = Vocabulary(taxon.check)
    names = _GivenNames(layout, label) if layout.names else None
    dropped = {NO_EVIDENCE: 0, f"score below {min_score:g}": 0}
    codes: list[list[NDArray[np.int32]]] = [[], []]
    columns: dict[str, list[Floats]] = {name: [] for name in ("score", *(channels or ()))}
    for frame in reader:
        ends = [proteins.encode(frame[column]) for column in layout.proteins]
        if names is not None:
            names.note(frame)
        values = _scores(frame, layout, channels, homology_correction)
        passed = _passed(values["score"], min_score, channels is not None, dropped)
        for parts, code in zip(codes, ends, strict=True):
            parts.append(code[passed])
        for name, column in values.items():
            columns[name].append(column[passed])
    return StringRows(
        proteins.names,
        taxon.taxon,
        np.concatenate(codes[0]),
        np.concatenate(codes[1]),
        {name: np.concatenate(parts) for name, parts in columns.items()},
        reader.num_rows,
        dropped,
        names.name_of if names is not None else None,
    )


def _scores(
    frame: pd.DataFrame,
    layout: StringLayout,
    channels: Sequence[str] | None,
    homology_correction: bool,
) -> dict[str, Floats]:
    def values(column: str) -> Floats:
        scaled: Floats = frame[column].to_numpy(dtype=np.float64) / layout.rule.high
        return scaled

    if not channels:
        return {"score": values(layout.score)}
    evidence = {name: [values(part) for part in layout.parts_of(name)] for name in channels}
    homology = values("homology") if homology_correction else None
    combined, by_channel = combine_channels(evidence, homology)
    return {"score": combined} | by_channel


def _passed(
    score: Floats, min_score: float, recomputed: bool, dropped: dict[str, int]
) -> NDArray[np.bool_]:
    # 0.57 * 1000 is a little less than 570; without rounding it would fail min_score=570.
    thousandths = np.round(score * 1000, 6)
    absent = (thousandths == 0) & recomputed
    low = (thousandths < min_score) & ~absent
    for reason, rows in zip(dropped, (absent, low), strict=True):
        dropped[reason] += int(np.count_nonzero(rows))
    passed: NDArray[np.bool_] = ~(absent | low)
    return passed


class _OneTaxon:
    """Refuses proteins without a taxon, and a second taxon."""

    def __init__(self, reader: DelimitedReader, columns: tuple[str, str]) -> None:
        self.reader = reader
        self.columns = columns
        self.taxon = ""

    def check(self, protein: str) -> None:
        """Called with each protein when it first appears."""
        identifier = _PROTEIN_ID.fullmatch(protein)
        if identifier is None:
            raise ValueError(
                f"{self._where(protein)}: expected a STRING identifier such as "
                f"'9606.ENSP00000269305' (got {protein!r})."
            )
        taxon = identifier.group(1)
        if self.taxon and taxon != self.taxon:
            both = " and ".join(sorted((taxon, self.taxon), key=int))
            raise ValueError(
                f"{self._where(protein)}: {protein!r} is of taxon {taxon}, but the file mixes the "
                f"taxa {both}; take the file of one organism."
            )
        self.taxon = taxon

    def _where(self, protein: str) -> str:
        return f"{self.reader.label}, line {self.reader.line_of(self.columns, protein)}"


class _GivenNames:
    """Gene names of a table that gives them beside the proteins."""

    def __init__(self, layout: StringLayout, label: str) -> None:
        assert layout.names is not None
        self.columns = list(zip(layout.proteins, layout.names, strict=True))
        self.label = label
        self.name_of: dict[str, str] = {}

    def note(self, frame: pd.DataFrame) -> None:
        """Takes the names of a block; a protein keeps one name throughout."""
        for columns in self.columns:
            distinct = frame[list(columns)].astype(str).drop_duplicates()
            for protein, name in distinct.itertuples(index=False, name=None):
                known = self.name_of.setdefault(protein, name)
                if known != name:
                    raise ValueError(
                        f"{self.label} gives {protein!r} two names: {known!r} and {name!r}; "
                        "export the table again."
                    )
