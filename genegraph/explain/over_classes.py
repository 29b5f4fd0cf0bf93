"""One row for each gene or edge, whatever the class."""

from __future__ import annotations

import numpy as np
import pandas as pd


def over_classes(importance: pd.DataFrame) -> pd.DataFrame:
    r"""Sums up a table of importance over its classes.

    The margins of a cell sum to zero, so what is common to all classes cancels, and a large mean
    says that a gene or edge speaks in the cells of each class *for that class*: it tells them
    apart.  How consistently it does so, whatever its size, is

    .. math::
        \mathrm{agreement} = \frac{\sum_k a_k}{\sum_k |a_k|} \in [-1, 1],

    with :math:`a_k` what it adds for class :math:`k` (``specific``, of edges).

    Which edges the network *leans on most* and which of them *are true* are two questions.  Much
    is carried by an edge from a highly expressed gene, and by one between genes of few edges, whose
    weight the symmetric normalisation leaves large, be they true or not.  In simulated studies
    (``benchmarks/explain.py``) decoys with heavier weights rank before planted edges by
    importance; by agreement planted edges are ahead of them in every study, though far from alone.

    Args:
        importance: Of :func:`~genegraph.explain.gene_importance` or
            :func:`~genegraph.explain.edge_importance`, of all classes.

    Returns:
        One row per gene or edge: its names, ``importance`` (mean over the classes),
        ``agreement``, and of edges ``prior_weight`` and ``in_prior``; from most to least
        ``importance``.

    Raises:
        ValueError: If a column is missing.

    Example:
        >>> columns = {"class": ["B", "T"], "gene": "CD3E", "importance": [0.25, 0.75]}
        >>> over_classes(pd.DataFrame(columns)).values.tolist()
        [['CD3E', 0.5, 1.0]]
    """
    names = ["gene"] if "gene" in importance else ["gene_a", "gene_b"]
    missing = {"class", "importance", *names} - set(importance.columns)
    if missing:
        raise ValueError(
            "'importance' must have the columns 'class', 'importance', and 'gene' or 'gene_a' and "
            f"'gene_b' (got {list(importance.columns)})."
        )
    part = "specific" if "specific" in importance else "importance"
    sized = importance.assign(_size=importance[part].abs())
    groups = sized.groupby(names, sort=False)
    total, size = groups[part].sum(), groups["_size"].sum()
    kept = [name for name in ("prior_weight", "in_prior") if name in importance]
    out = pd.DataFrame({"importance": groups["importance"].mean()})
    out["agreement"] = np.divide(total, size, out=np.zeros(len(size)), where=size.to_numpy() > 0)
    out[kept] = groups[kept].first()
    return out.sort_values("importance", ascending=False, kind="stable").reset_index()
