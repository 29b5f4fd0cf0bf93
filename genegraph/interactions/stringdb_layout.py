"""Recognises the kinds of STRING tables by their headers."""

import re
from collections import Counter
from typing import NamedTuple

from genegraph.interactions.delimited import NumberRule

LINKS_RULE = NumberRule(0, 1000, whole=True)
UNIT_RULE = NumberRule(0, 1)
_NOT_EVIDENCE = ("homology", "ncbiTaxonId", "node1_string_internal_id", "node2_string_internal_id")
_EXPORT_IDS = (("node1_string_id", "node2_string_id"), ("node1_external_id", "node2_external_id"))
_API_IDS = ("stringId_A", "stringId_B")
_API_NAMES = ("preferredName_A", "preferredName_B")


class StringLayout(NamedTuple):
    """Where a STRING table keeps what we need.

    Scores go from 0 to ``rule.high``: 1000 in link files, 1 in exports and API answers.
    ``names`` is None where only proteins are given.
    """

    kind: str
    sep: str
    columns: list[str]
    proteins: tuple[str, str]
    names: tuple[str, str] | None
    score: str
    rule: NumberRule

    @property
    def channels(self) -> list[str]:
        """Evidence channels, without ``_transferred``."""
        other = {*self.proteins, *(self.names or ()), self.score, *_NOT_EVIDENCE}
        evidence = [name for name in self.columns if name not in other]
        return list(dict.fromkeys(name.removesuffix("_transferred") for name in evidence))

    def parts_of(self, channel: str) -> list[str]:
        """The columns of a channel: direct evidence, and what was transferred by homology."""
        return [name for name in (channel, f"{channel}_transferred") if name in self.columns]


def layout_of(header: str, label: str) -> StringLayout:
    """Tells link files, exports of string-db.org and API answers apart."""
    sep = "\t" if "\t" in header else " "
    columns = [name.strip() for name in header.lstrip("# ").rstrip().split(sep)]
    layout = _known_layout(sep, columns)
    if layout is None:
        raise ValueError(
            f"{label}, line 1: expected the columns 'protein1 protein2 ... combined_score' of a "
            f"STRING links file, or the header of a string-db.org export or API answer "
            f"(got {_shortened(header)}).{advice_for(header)}"
        )
    repeated = sorted(name for name, times in Counter(columns).items() if times > 1)
    if repeated:
        raise ValueError(f"{label}, line 1: the column {repeated[0]!r} is there more than once.")
    return layout


def _known_layout(sep: str, columns: list[str]) -> StringLayout | None:
    present = set(columns)
    if columns[:2] == ["protein1", "protein2"] and "combined_score" in present:
        ends = ("protein1", "protein2")
        return StringLayout("links", sep, columns, ends, None, "combined_score", LINKS_RULE)
    names = ("node1", "node2")
    for ends in _EXPORT_IDS:
        if {*names, *ends, "combined_score"} <= present:
            return StringLayout("export", sep, columns, ends, names, "combined_score", UNIT_RULE)
    if {*_API_IDS, *_API_NAMES, "score"} <= present:
        return StringLayout("api", sep, columns, _API_IDS, _API_NAMES, "score", UNIT_RULE)
    return None


def advice_for(header: str) -> str:
    """Says which kind of file a header belongs to, and how it is read."""
    text = header.strip().lower()
    if text.startswith(("<!doctype", "<html", "<?xml", "<head", "<")):
        return " This is a web page: the download went wrong; fetch the file again."
    if "alias" in text and "string_protein_id" in text:
        return " This is a STRING aliases file: pass it as 'aliases'."
    if "preferred_name" in text and ("string_protein_id" in text or "protein_external_id" in text):
        return " This is a STRING info file: pass it as 'info'."
    if text.startswith(("protein1", "#node1", "node1", "stringid_a")):
        return " This is a table of STRING interactions: pass it as 'links', with all its columns."
    if "biogrid" in text:
        return " This is a BioGRID file: use read_biogrid."
    return " For a table of your own use read_edges."


def version_in(file_name: str) -> str | None:
    """STRING version in a file name such as ``9606.protein.links.v12.0.txt.gz``.

    Example:
        >>> version_in("9606.protein.links.v12.0.txt.gz"), version_in("network.tsv")
        ('12.0', None)
    """
    found = re.search(r"\.v(\d+(?:\.\d+)*)(?=\.|$)", file_name)
    return found.group(1) if found else None


def _shortened(header: str, limit: int = 80) -> str:
    return repr(header if len(header) <= limit else header[:limit] + "...")
