"""What an inspection found, for reading, for notebooks and for programs."""

from __future__ import annotations

import html
import textwrap
from dataclasses import dataclass
from typing import Any

import pandas as pd

SEVERITIES = ("error", "warning", "info")
COLUMNS = ("severity", "topic", "finding", "advice")
WIDTH = 100


@dataclass(frozen=True, eq=False)
class Inspection:
    """What :func:`genegraph.inspect` saw.

    Attributes:
        num_cells: Cells.
        num_genes: Genes.
        storage: How the values are stored, in words.
        values: What ``fit`` takes the values for, ``"counts"``, ``"log1p"`` or ``"features"``; None
            where it would refuse them.
        target_sum: What log1p values were normalised to; None where they are others.
        identifiers: The kind of the gene names, see
            :func:`~genegraph.interactions.identifiers.describe_identifiers`.
        graph: Of the graph: its ``genes``; how many of them the cells have (``shared``), which
            share of the cells' genes (``share_of_genes``) and of their reads (``share_of_reads``)
            that is; how many of the cells' genes have no edge (``isolated``).  None without one.
        classes: Cells of each class, the largest first; None where no labels were named.
        batches: Likewise of each batch.
        findings: One row for each finding, the worst first: ``severity`` (``"error"``: ``fit``
            raises it; ``"warning"``: it runs, and what comes out may mislead; ``"info"``),
            ``topic``, ``finding``, and ``advice``, the line to type, empty where there is nothing
            to do.

    Example:
        >>> findings = pd.DataFrame(
        ...     [("error", "genes", "'G1' is there twice.", "adata.var_names_make_unique()")],
        ...     columns=COLUMNS,
        ... )
        >>> seen = Inspection(9, 2, "dense", "counts", None, "symbol", None, None, None, findings)
        >>> print(seen)
        9 cells x 2 genes: 1 error
        error    genes: 'G1' is there twice.
                 > adata.var_names_make_unique()
        >>> seen.ok
        False
    """

    num_cells: int
    num_genes: int
    storage: str
    values: str | None
    target_sum: float | None
    identifiers: str
    graph: dict[str, float] | None
    classes: dict[str, int] | None
    batches: dict[str, int] | None
    findings: pd.DataFrame

    @property
    def ok(self) -> bool:
        """Whether nothing was found that ``fit`` refuses."""
        return not (self.findings["severity"] == "error").any()

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain Python, for JSON."""
        fields = {name: value for name, value in vars(self).items() if name != "findings"}
        return {"ok": self.ok, **fields, "findings": self.findings.to_dict("records")}

    def __str__(self) -> str:
        lines = [self._heading]
        for severity, topic, finding, advice in self._rows:
            margin = f"{severity:<9}"
            for text in f"{topic}: {finding}".splitlines():
                lines += textwrap.wrap(
                    text,
                    WIDTH,
                    initial_indent=margin,
                    subsequent_indent=" " * 9,
                    break_on_hyphens=False,
                    break_long_words=False,
                )
                margin = " " * 9
            lines += [f"{' ' * 9}> {advice}"] if advice else []
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Shows a notebook a table; whatever a file's names hold stays text."""
        rows = []
        for severity, topic, finding, advice in self._rows:
            line = f"<pre>{html.escape(advice)}</pre>" if advice else ""
            cells = (f"<b>{severity}</b>", html.escape(topic), html.escape(finding), line)
            rows.append("".join(f"<td>{cell}</td>" for cell in cells))
        head = "".join(f"<th>{name}</th>" for name in COLUMNS)
        body = "".join(f'<tr style="text-align:left">{row}</tr>' for row in rows)
        return f"<p>{html.escape(self._heading)}</p><table><tr>{head}</tr>{body}</table>"

    @property
    def _heading(self) -> str:
        counts = self.findings["severity"].value_counts()
        found = [
            f"{counts[severity]} {severity}{'s' if counts[severity] > 1 else ''}"
            for severity in SEVERITIES[:2]
            if counts.get(severity)
        ]
        return (
            f"{self.num_cells:,} cells x {self.num_genes:,} genes: "
            f"{', '.join(found) or 'nothing in the way of fit'}"
        )

    @property
    def _rows(self) -> list[list[str]]:
        return [[str(text) for text in row] for row in self.findings[list(COLUMNS)].to_numpy()]
