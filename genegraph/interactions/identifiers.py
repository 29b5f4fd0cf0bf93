"""Tells what gene names are, and why two sets of them do not match."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from genegraph.interactions.wording import counted, some_of

KINDS = {
    "ensembl_gene": re.compile(r"ENS[A-Z]{0,6}G\d{11}(?:\.\d+)?"),
    "ensembl_transcript": re.compile(r"ENS[A-Z]{0,6}T\d{11}(?:\.\d+)?"),
    "ensembl_protein": re.compile(r"(?:\d+\.)?ENS[A-Z]{0,6}P\d{11}(?:\.\d+)?"),
    "number": re.compile(r"\d+"),
}
IN_WORDS = {
    "ensembl_gene": "Ensembl gene ids",
    "ensembl_transcript": "Ensembl transcript ids",
    "ensembl_protein": "Ensembl protein ids",
    "number": "numbers, perhaps Entrez ids",
    "symbol": "gene symbols",
    "mixed": "names of several kinds",
}
_VERSIONED = re.compile(r"((?:\d+\.)?ENS[A-Z]{0,6}[GTP]\d{11})\.\d+")
_SUFFIXED = re.compile(r"(.+)-\d+")
_MONTH = "(?:Feb|Mar|Apr|Sep|Oct|Nov|Dec)"
_SPREADSHEET = re.compile(
    rf"\d{{1,2}}-{_MONTH}(?:-\d{{2,4}})?|{_MONTH}-\d{{1,2}}"  # MARCH1 shown as 1-Mar, Mar-01
    r"|(?:19|20)\d\d-\d\d-\d\d(?: 00:00:00)?"  # and as 2022-03-01
    r"|\d(?:\.\d+)?E\+\d\d"  # 2310009E13 as 2.31E+19
)
_DAYS = range(20_000, 60_000)
"""A spreadsheet's dates as plain numbers, days since 1900: those of the years 1954 to 2064."""


@dataclass(frozen=True)
class IdentifierReport:
    """What ``describe_identifiers`` found; nothing is repaired.

    Attributes:
        kind: The kind of more than nine in ten names, else ``"mixed"``.
        counts: Names of each kind.
        examples: The first three names of each kind.
        versioned: Ensembl ids with a version suffix (``.12``).
        duplicated: Names that occur more than once.
        suffixed: Names such as ``TBCE-1`` beside ``TBCE``, as ``var_names_make_unique`` writes.
        differing_in_case: Names that differ from another one only in case.
        dates: Names that a spreadsheet has turned into dates (``1-Mar``), or into the number of a
            date or of a power of ten (``44622``, ``2.31E+19``), where the others are symbols.
        upper: Symbols without lower-case letters, as human genes are written.
        capitalised: Symbols such as ``Trp53``, as mouse genes are written.
    """

    kind: str
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    versioned: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    suffixed: list[str] = field(default_factory=list)
    differing_in_case: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    upper: int = 0
    capitalised: int = 0

    @property
    def problems(self) -> list[str]:
        """One sentence for each thing that stands in the way of matching."""
        found = (
            (self.versioned, "carries a version suffix", "carry a version suffix"),
            (self.duplicated, "occurs more than once", "occur more than once"),
            (self.suffixed, "looks made unique by a suffix", "look made unique by a suffix"),
            (self.differing_in_case, "differs only in case", "differ only in case"),
            (self.dates, "looks like a spreadsheet's date", "look like a spreadsheet's dates"),
        )
        return [
            f"{counted(len(names), 'name')} {one if len(names) == 1 else many}: {some_of(names)}."
            for names, one, many in found
            if names
        ]

    @property
    def in_words(self) -> str:
        """What the names look like, as in 'gene symbols in capitals, as in human'."""
        words = IN_WORDS[self.kind]
        if self.kind == "symbol" and 2 * self.upper > self.counts["symbol"]:
            return f"{words} in capitals, as in human"
        if self.kind == "symbol" and 2 * self.capitalised > self.counts["symbol"]:
            return f"{words} with one capital, as in mouse"
        return words


def describe_identifiers(names: Iterable[str]) -> IdentifierReport:
    """Says which kind of identifier gene names are, and what is odd about them.

    Args:
        names: Gene names, for instance ``adata.var_names``.

    Returns:
        The kind (``"symbol"``, ``"ensembl_gene"``, ``"ensembl_transcript"``,
        ``"ensembl_protein"``, ``"number"`` or ``"mixed"``), with counts and examples.

    Raises:
        ValueError: If there are no names.

    Example:
        >>> report = describe_identifiers(["TP53", "CD3D", "CD3D-1"])
        >>> report.kind, report.problems
        ('symbol', ["1 name looks made unique by a suffix: 'CD3D-1'."])
    """
    names = _as_list(names)
    if not names:
        raise ValueError("There must be at least one gene name (got none).")
    times = Counter(names)
    examples: dict[str, list[str]] = {}
    counts: Counter[str] = Counter()
    for name, number in times.items():
        kind = _kind_of(name)
        counts[kind] += number
        if len(examples.setdefault(kind, [])) < 3:
            examples[kind].append(name)
    commonest, most = counts.most_common(1)[0]
    symbols = [name for name in names if _kind_of(name) == "symbol"]
    folded = Counter(name.upper() for name in times)
    return IdentifierReport(
        kind=commonest if 10 * most > 9 * len(names) else "mixed",
        counts=dict(counts),
        examples=examples,
        versioned=[name for name in times if _VERSIONED.fullmatch(name)],
        duplicated=[name for name, number in times.items() if number > 1],
        suffixed=[name for name in times if _base_of(name) in times],
        differing_in_case=[name for name in times if folded[name.upper()] > 1],
        dates=[name for name in times if _is_date(name, commonest)],
        upper=sum(name == name.upper() for name in symbols),
        capitalised=sum(_is_capitalised(name) for name in symbols),
    )


def strip_versions(names: Iterable[str]) -> tuple[list[str], int]:
    """Takes the version off Ensembl ids; other names stay as they are.

    Args:
        names: Gene names.

    Returns:
        The names in their order, and how many of them were changed.

    Example:
        >>> strip_versions(["ENSG00000141510.18", "TP53", "RP11-34P13.7"])
        (['ENSG00000141510', 'TP53', 'RP11-34P13.7'], 1)
    """
    before = _as_list(names)
    after = [_VERSIONED.sub(r"\1", name) if _VERSIONED.fullmatch(name) else name for name in before]
    return after, sum(old != new for old, new in zip(before, after, strict=True))


def explain_mismatch(
    names_a: Iterable[str],
    names_b: Iterable[str],
    *,
    label_a: str = "the cells",
    label_b: str = "the graph",
) -> str:
    """Explains why two sets of gene names share few or no names, for an error message.

    Args:
        names_a: Names of one side.
        names_b: Names of the other.
        label_a: What to call the first side.
        label_b: What to call the second.

    Returns:
        A few sentences: how many names are shared, what each side looks like with three
        examples, whether dropping versions or upper-casing would match, and what to do next.

    Example:
        >>> print(explain_mismatch(["Cd3d", "Cd3e"], ["CD3D", "CD8A"]))
        0 of the 2 genes of the cells are in the graph. The cells have gene symbols with one \
capital, as in mouse ('Cd3d', 'Cd3e'); the graph has gene symbols in capitals, as in human \
('CD3D', 'CD8A'). Upper-casing both would match 1, but a name in capitals is not an ortholog: \
read the interactions of the cells' own species, or map the genes with a table of orthologs.
    """
    a, b = _as_list(names_a), _as_list(names_b)
    shared = len(set(a) & set(b))
    looks = [_looks(names, label) for names, label in ((a, label_a), (b, label_b))]
    opening = f"{shared:,} of the {counted(len(set(a)), 'gene')} of {label_a} are in {label_b}."
    looks[0] = re.sub("^the ", "The ", looks[0])
    return f"{opening} {looks[0]}; {looks[1]}. {_advice(a, b, shared)}"


def _advice(a: Sequence[str], b: Sequence[str], shared: int) -> str:
    if not a or not b:
        return "One side has no genes at all: check that the right table was read."
    without = len(set(strip_versions(a)[0]) & set(strip_versions(b)[0]))
    if without > shared:
        return f"Without version suffixes {without:,} would match: see strip_versions."
    kinds = {describe_identifiers(a).kind, describe_identifiers(b).kind}
    if len(kinds) > 1 and "ensembl_protein" in kinds:
        return "Name the proteins by symbol: give 'info' to read_stringdb."
    if len(kinds) > 1:
        return (
            "Map one onto the other first; cells often hold the other kind of name in a column "
            "of adata.var."
        )
    upper = len({name.upper() for name in a} & {name.upper() for name in b})
    if upper > shared:
        return (
            f"Upper-casing both would match {upper:,}, but a name in capitals is not an ortholog: "
            "read the interactions of the cells' own species, or map the genes with a table of "
            "orthologs."
        )
    return "Check that both are of one species, and name genes by the same kind of identifier."


def _looks(names: Sequence[str], label: str) -> str:
    verb = "have" if label.endswith("s") else "has"
    if not names:
        return f"{label} {verb} no genes"
    examples = ", ".join(repr(name) for name in list(dict.fromkeys(names))[:3])
    return f"{label} {verb} {describe_identifiers(names).in_words} ({examples})"


def _kind_of(name: str) -> str:
    return next((kind for kind, form in KINDS.items() if form.fullmatch(name)), "symbol")


def _base_of(name: str) -> str | None:
    suffixed = _SUFFIXED.fullmatch(name)
    return suffixed.group(1) if suffixed else None


def _is_date(name: str, kind: str) -> bool:
    if _SPREADSHEET.fullmatch(name):
        return True
    return kind == "symbol" and len(name) == 5 and name.isdecimal() and int(name) in _DAYS


def _is_capitalised(name: str) -> bool:
    return name[:1].isupper() and name[1:] == name[1:].lower() != name[1:].upper()


def _as_list(names: Iterable[str]) -> list[str]:
    if isinstance(names, str):
        raise TypeError(f"Gene names must come as a list (got the string {names!r}).")
    return [str(name) for name in names]
