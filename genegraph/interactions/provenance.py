"""What every table of interactions says about its origin."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from genegraph.interactions.wording import counted, reasons


@dataclass
class Provenance:
    """Where a table came from and what was left out; ends up in ``table.attrs``.

    Rows that were dropped are counted under the reason that applied first, so that
    ``rows_read == rows_kept + sum(dropped.values())``.
    """

    source: str
    file: str | None = None
    sha256: str | None = None
    version: str | None = None
    taxon: int | None = None
    identifiers: str = "symbol"
    filters: dict[str, Any] = field(default_factory=dict)
    rows_read: int = 0
    rows_kept: int = 0
    pairs: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def drop(self, reason: str, count: int) -> None:
        """Counts rows left out."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + int(count)

    def attach(self, table: pd.DataFrame) -> pd.DataFrame:
        """Writes itself into ``table.attrs``; a table without rows is an error."""
        self.rows_kept = self.rows_read - sum(self.dropped.values())
        self.pairs = len(table)
        if table.empty:
            where = self.file or "the table"
            raise ValueError(
                f"No interaction is left of the {counted(self.rows_read, 'row')} of {where} "
                f"({reasons(self.dropped)}). Loosen the filters: {_written(self.filters)}."
            )
        table.attrs.update(asdict(self))
        return table


def _written(filters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in filters.items()) or "none was set"
