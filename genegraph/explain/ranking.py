"""From attention weights to rows of a table: each target's top sources and its prior's edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genegraph.explain.pairs import Floats, Integers, Prior


def rows_of_block(
    names: NDArray[Any], targets: Integers, weights: Floats, top_k: int, prior: Prior
) -> pd.DataFrame:
    """Lists top sources and the prior's sources of a few targets.

    Args:
        names: Of all genes.
        targets: Positions of the targets.
        weights: Attention of each target over all genes, ``[num_targets, num_genes]``.
        top_k: How many sources of each.
        prior: Whose edges are listed too.
    """
    num_genes = weights.shape[1]
    top = np.argpartition(-weights, min(top_k, num_genes) - 1, axis=1)[:, :top_k]
    is_top = np.zeros(weights.shape, dtype=bool)
    np.put_along_axis(is_top, top, True, axis=1)
    listed = is_top.copy()
    block = np.full(num_genes, -1)
    block[targets] = np.arange(len(targets))
    ours = block[prior.target] >= 0
    listed[block[prior.target[ours]], prior.source[ours]] = True
    row, source = np.nonzero(listed)
    weight = weights[row, source]
    ends = np.searchsorted(row, np.arange(len(targets) + 1))
    # A few are listed: to count what is above each is faster than to sort all.
    rank = np.concatenate(
        [
            (of_target > weight[first:last, None]).sum(axis=1)
            for of_target, first, last in zip(weights, ends[:-1], ends[1:], strict=True)
        ]
    )
    sides = (source, targets[row], weight, rank)
    return _table(names, *sides, is_top[row, source], prior)


def rows_of_edges(
    names: NDArray[Any],
    edges: tuple[Integers, Integers, Floats],
    targets: Integers,
    top_k: int,
    prior: Prior,
) -> pd.DataFrame:
    """Lists top sources of each target, and the prior's, where attention is along edges only.

    Args:
        names: Of all genes.
        edges: Source, target and attention of each edge; an edge of the prior that is not among
            them has none.
        targets: Positions of the targets wanted.
        top_k: How many sources of each.
        prior: Whose edges are listed too.
    """
    source, target, weight = edges
    keys = prior.target * len(names) + prior.source
    without = np.isin(keys, target * len(names) + source, invert=True)
    source = np.concatenate([source, prior.source[without]])
    target = np.concatenate([target, prior.target[without]])
    weight = np.concatenate([weight, np.zeros(int(without.sum()))])
    order = np.lexsort((source, -weight, target))
    source, target, weight = source[order], target[order], weight[order]
    starts = np.searchsorted(target, np.arange(len(names)))
    rank = np.arange(len(target)) - starts[target]
    listed = (rank < top_k) | prior.of(source, target)[1]
    listed &= np.isin(target, targets)
    in_top_k = (rank < top_k) & (weight > 0)
    sides = (source[listed], target[listed], weight[listed], rank[listed])
    return _table(names, *sides, in_top_k[listed], prior)


def _table(
    names: NDArray[Any],
    source: Integers,
    target: Integers,
    weight: Floats,
    rank: Integers,
    in_top_k: NDArray[np.bool_],
    prior: Prior,
) -> pd.DataFrame:
    order = np.lexsort((source, rank, target))
    source, target, weight, rank = source[order], target[order], weight[order], rank[order]
    prior_weight, in_prior = prior.of(source, target)
    return pd.DataFrame(
        {
            "source": names[source],
            "target": names[target],
            "attention": weight,
            "rank": rank + 1,
            "in_top_k": in_top_k[order],
            "prior_weight": prior_weight,
            "in_prior": in_prior,
        }
    )
