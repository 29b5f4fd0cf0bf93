"""What the genes are called, and which of their names cannot be matched."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from genegraph.expression import check_unique_genes
from genegraph.inspection.findings import Findings
from genegraph.interactions.identifiers import describe_identifiers
from genegraph.interactions.wording import counted, some_of

if TYPE_CHECKING:
    from anndata import AnnData

_BARCODE = re.compile(r"(?:\S*[:_-])?[ACGT]{10,}(?:[_-]\S*)?")
SHOWN = 8
"""So many names fit into a line to type."""


def look_at_names(adata: "AnnData", found: Findings) -> str:
    """Returns the kind of the gene names.

    Args:
        adata: The cells.
        found: Where findings go.
    """
    names = [str(name) for name in adata.var_names]
    if not names:
        return "none"
    report = describe_identifiers(names)
    found.add("info", "genes", f"{report.in_words}: {some_of(names)}.")
    found.refused(
        "genes",
        "adata.var_names_make_unique()",
        lambda: check_unique_genes(names, "adata.var_names"),
    )
    barcodes = sum(bool(_BARCODE.fullmatch(name)) for name in names[:1000])
    if 2 * barcodes > len(names[:1000]):
        found.add(
            "warning",
            "genes",
            f"adata.var_names look like barcodes of cells ({some_of(names)}): the matrix seems to "
            "be transposed.",
            "adata = adata.T.copy()",
        )
    blank = [name for name in names if name != name.strip()]
    if blank:
        found.add(
            "warning",
            "genes",
            f"{counted(len(blank), 'name has', 'names have')} spaces around and match no other: "
            f"{some_of(blank)}.",
            "adata.var_names = adata.var_names.str.strip()",
        )
    if report.dates:
        found.add(
            "warning",
            "genes",
            f"{counted(len(report.dates), 'name')} {'was' if len(report.dates) == 1 else 'were'} "
            f"mangled by a spreadsheet: {some_of(report.dates)}. Which genes they were cannot be "
            "told from them (1-Mar was MARCH1 or MARC1): name the genes by the file that came "
            "with the matrix, such as features.tsv, or leave them out.",
            without_genes(report.dates),
        )
    if report.versioned:
        found.add(
            "info",
            "genes",
            f"{counted(len(report.versioned), 'name')} of Ensembl with a version, which an "
            f"interaction file has not: {some_of(report.versioned)}.",
            strip_line(),
        )
    if report.suffixed:
        found.add(
            "info",
            "genes",
            f"{counted(len(report.suffixed), 'name')} made unique by a suffix, no gene of any "
            f"graph: {some_of(report.suffixed)}.",
        )
    if report.differing_in_case:
        found.add(
            "info",
            "genes",
            f"{counted(len(report.differing_in_case), 'name')} differing only in case, taken for "
            f"different genes: {some_of(report.differing_in_case)}.",
        )
    return report.kind


def without_genes(names: Sequence[str]) -> str:
    """The line that leaves genes out."""
    if len(names) <= SHOWN:
        return f"adata = adata[:, ~adata.var_names.isin({list(names)!r})].copy()"
    return (
        "from genegraph.interactions.identifiers import describe_identifiers; adata = "
        "adata[:, ~adata.var_names.isin(describe_identifiers(adata.var_names).dates)].copy()"
    )


def strip_line() -> str:
    """The line that takes versions off Ensembl ids."""
    return (
        "from genegraph.interactions.identifiers import strip_versions; "
        "adata.var_names = strip_versions(adata.var_names)[0]"
    )
