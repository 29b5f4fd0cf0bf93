"""What became of genes that were to get other names."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from genegraph.interactions.wording import counted, some_of

if TYPE_CHECKING:
    from anndata import AnnData

SEVERAL = "one-to-many"
SHARED = "many-to-one"
ALONE = "no partner"


class MappedGenes(NamedTuple):
    """What :func:`genegraph.map_genes` returns.

    Attributes:
        adata: The cells with their genes renamed; a copy.
        report: What became of every gene.
    """

    adata: AnnData
    report: GeneMapping


@dataclass(frozen=True, eq=False)
class GeneMapping:
    """What became of every gene.

    Attributes:
        genes: One row for each gene of the cells, in their order: ``gene``, ``candidates`` (the
            names that the table gives for it, joined by ``"|"``), ``status`` (``"mapped"``,
            ``"unchanged"``, ``"no partner"``, ``"one-to-many"`` or ``"many-to-one"``) and ``name``
            (what it is called now; None where it was left out).
        to: The kind of name asked for.
        source: The table: file, SHA-256, layout and columns, as far as there are any.
        notes: What else to know.
    """

    genes: pd.DataFrame
    to: str
    source: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Genes of each status."""
        return {str(k): int(v) for k, v in self.genes["status"].value_counts().items()}

    @property
    def num_dropped(self) -> int:
        """Genes that were left out."""
        return int(self.genes["name"].isna().sum())

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain Python, for JSON."""
        genes = self.genes.astype(object).where(self.genes.notna(), None)
        return {
            "to": self.to,
            "source": dict(self.source),
            "counts": self.counts,
            "dropped": self.num_dropped,
            "notes": list(self.notes),
            "genes": genes.to_dict("records"),
        }

    def __str__(self) -> str:
        lines = [f"{counted(len(self.genes), 'gene')} to {self.to}"]
        if "file" in self.source:
            lines[0] += f", by {self.source['file']}"
        for status, rows in self.genes.groupby("status", sort=False):
            gone = int(rows["name"].isna().sum())
            treated = f" ({gone:,} left out)" if gone else ""
            examples = some_of(shown(row) for row in rows.head(3).itertuples(index=False))
            rest = f" and {len(rows) - 3:,} more" if len(rows) > 3 else ""
            lines.append(f"  {status:<12} {len(rows):,}{treated}: {examples}{rest}")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def shown(row: Any) -> str:
    """Writes a gene with the names that it might get."""
    return f"{row.gene} -> {row.candidates}" if row.candidates else str(row.gene)
