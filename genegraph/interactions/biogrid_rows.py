"""Streams a BioGRID table: the evidence that passes the filters, as integer codes."""

from collections import Counter
from collections.abc import Iterator
from typing import IO, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genegraph.interactions.delimited import DelimitedReader
from genegraph.interactions.pairs import Vocabulary
from genegraph.interactions.provenance import Provenance
from genegraph.interactions.stringdb_layout import advice_for
from genegraph.interactions.wording import counted

MISSING = ("-", "")
_SYMBOLS = ("Official Symbol Interactor A", "Official Symbol Interactor B")
NAMES = {
    "symbol": (_SYMBOLS, "gene without an official symbol"),
    "entrez": (
        ("Entrez Gene Interactor A", "Entrez Gene Interactor B"),
        "gene without an Entrez id",
    ),
}
_SYSTEM = "Experimental System Type"


class BiogridLayout(NamedTuple):
    """Where TAB3 or TAB2 keeps what we need."""

    columns: list[str]
    publication: str
    organisms: tuple[str, str]


class Evidence(NamedTuple):
    """One row per experiment that is left: two genes and a publication, as codes."""

    genes: list[str]
    a: NDArray[np.int32]
    b: NDArray[np.int32]
    publication: NDArray[np.int32]


def layout_of(header: str, label: str) -> BiogridLayout:
    """Tells TAB3 and TAB2 apart."""
    columns = [name.strip() for name in header.lstrip("#").split("\t")]
    tab3 = ("Publication Source", ("Organism ID Interactor A", "Organism ID Interactor B"))
    tab2 = ("Pubmed ID", ("Organism Interactor A", "Organism Interactor B"))
    for publication, organisms in (tab3, tab2):
        if {*_SYMBOLS, _SYSTEM, "Throughput", publication, *organisms} <= set(columns):
            return BiogridLayout(columns, publication, organisms)
    advice = advice_for(header)
    if "biogrid" in header.lower():
        advice = " Of BioGRID's formats download TAB3."
    raise ValueError(
        f"{label}, line 1: expected the columns of a BioGRID TAB3 or TAB2 file, among them "
        f"{_SYMBOLS[0]!r} (got {header[:80]!r}).{advice}"
    )


def read_evidence(
    stream: IO[bytes], label: str, layout: BiogridLayout, origin: Provenance
) -> Evidence:
    """Reads a BioGRID table block by block, and counts in ``origin`` what it drops."""
    names, _ = NAMES[origin.identifiers]
    lacking = [column for column in names if column not in layout.columns]
    if lacking:
        raise ValueError(f"{label} lacks the column {lacking[0]!r}; download TAB3.")
    text = [*names, _SYSTEM, "Throughput", layout.publication, *layout.organisms]
    reader = DelimitedReader(stream, label, columns=layout.columns, sep="\t", text=text)
    genes, publications = Vocabulary(), Vocabulary()
    taxa: Counter[str] = Counter()
    codes: list[list[NDArray[np.int32]]] = [[], [], []]
    for frame in reader:
        taxa.update(_taxa(frame, layout))
        for reason, keep in _filters(layout, origin):
            passed = keep(frame)
            origin.drop(reason, int(np.count_nonzero(~passed)))
            frame = frame[passed]
        columns = (*names, layout.publication)
        for parts, column, words in zip(codes, columns, (genes, genes, publications), strict=True):
            # Only the words that are left get a code.
            parts.append(words.encode(frame[column].cat.remove_unused_categories()))
    origin.rows_read = reader.num_rows
    taxon = str(origin.taxon)
    if taxon not in taxa:
        found = ", ".join(f"{name} ({count:,})" for name, count in taxa.most_common(10))
        raise ValueError(
            f"{label} has no interactor of taxon {taxon} among {counted(reader.num_rows, 'row')}; "
            f"its taxa are, with the number of rows: {found}. Pass one of them as 'taxon'."
        )
    return Evidence(genes.names, *(np.concatenate(parts) for parts in codes))


def _taxa(frame: pd.DataFrame, layout: BiogridLayout) -> Counter[str]:
    """Rows in which each taxon occurs."""
    first, second = (frame[column].astype(str) for column in layout.organisms)
    counts = Counter(first.value_counts().to_dict())
    counts.update(second[second != first].value_counts().to_dict())
    return Counter({str(name): int(count) for name, count in counts.items()})


class _Keep(NamedTuple):
    """Rows whose columns hold (or, with ``negate``, do not hold) some words."""

    columns: tuple[str, ...]
    words: tuple[str, ...]
    negate: bool = False

    def __call__(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        keep = np.ones(len(frame), dtype=bool)
        for column in self.columns:
            keep &= frame[column].isin(self.words).to_numpy() != self.negate
        return keep


class _Contains(NamedTuple):
    """Rows whose ``|``-separated column holds a word."""

    column: str
    word: str

    def __call__(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        texts = frame[self.column].cat.categories
        holding = [text for text in texts if self.word in str(text).split("|")]
        return frame[self.column].isin(holding).to_numpy()


def _filters(layout: BiogridLayout, origin: Provenance) -> Iterator[tuple[str, _Keep | _Contains]]:
    wanted = origin.filters
    names, nameless = NAMES[origin.identifiers]
    yield "another organism", _Keep(layout.organisms, (str(wanted["taxon"]),))
    if wanted["system"] is not None:
        yield f"not {wanted['system']}", _Keep((_SYSTEM,), (wanted["system"],))
    if wanted["throughput"] is not None:
        word = f"{wanted['throughput'].capitalize()} Throughput"
        yield f"not {wanted['throughput']} throughput", _Contains("Throughput", word)
    yield nameless, _Keep(names, MISSING, negate=True)
    yield "row without a publication", _Keep((layout.publication,), MISSING, negate=True)
