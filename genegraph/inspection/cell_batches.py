"""The batches that cells come from."""

import pandas as pd

from genegraph.classifier_cells import read_groups
from genegraph.inspection.asked import Asked
from genegraph.inspection.cell_labels import close_column, likely_column, whole_line
from genegraph.inspection.findings import Findings
from genegraph.interactions.wording import counted, some_of

BATCH_WORDS = ("batch", "donor", "sample", "lane", "patient", "individual", "library", "orig.ident")


def look_at_batches(asked: Asked, found: Findings) -> dict[str, int] | None:
    """Returns the number of cells of each batch, the largest first.

    Args:
        asked: What is looked at.
        found: Where findings go.
    """
    adata, batch = asked.adata, asked.batch
    if batch is None:
        column = likely_column(adata, BATCH_WORDS, but=asked.labels)
        if column is not None:
            found.add(
                "info",
                "batches",
                f"adata.obs[{column!r}] may hold batches ({adata.obs[column].nunique():,} values); "
                "held out as a whole, they show what to expect of a new one.",
                asked.fit_line(groups=column),
            )
        return None
    read = found.refused(
        "batches", lambda: _mend(asked, batch), lambda: read_groups(adata, batch, adata.n_obs)
    )
    if batch not in adata.obs.columns:
        return None
    sizes = adata.obs[batch].value_counts()
    sizes = sizes[sizes > 0]
    batches = {str(name): int(size) for name, size in sizes.items()}
    if read is None:
        return batches
    found.add(
        "info",
        "batches",
        f"{counted(len(batches), 'batch', 'batches')}, {sizes.min():,} to {sizes.max():,} cells: "
        f"{some_of(batches)}.",
    )
    _look_at_single(asked, batch, found)
    return batches


def _look_at_single(asked: Asked, batch: str, found: Findings) -> None:
    """Notes classes that are in one batch only."""
    obs = asked.adata.obs
    if asked.labels not in obs.columns:
        return
    held = pd.crosstab(obs[asked.labels].astype(str), obs[batch].astype(str)) > 0
    single = list(held.index[held.sum(axis=1) == 1])
    if single:
        found.add(
            "warning",
            "batches",
            f"{counted(len(single), 'class is', 'classes are')} in one batch only, so never held "
            f"out, and cannot be told from that batch: {some_of(single)}.",
        )


def _mend(asked: Asked, key: str) -> str:
    """The line for groups that ``fit`` refuses."""
    adata = asked.adata
    if key not in adata.obs.columns:
        other = close_column(adata, key) or likely_column(adata, BATCH_WORDS)
        return asked.fit_line(groups=other)
    if adata.obs[key].nunique() < 2:
        return asked.fit_line(groups=None)
    return whole_line(adata, key) or f"adata.obs[{key!r}] = adata.obs[{key!r}].astype(str)"
