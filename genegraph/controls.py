"""Does the prior help on these cells?  The same classifier with the graph, a rewired one, none."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.base import clone
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from genegraph.classifier_cells import read_groups
from genegraph.expression import check_anndata, labels_from_obs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

    from genegraph.classifier import GeneGCNClassifier
    from genegraph.graph import GeneGraph

GRAPHS = ("real", "rewired", "none")
METRICS = ("accuracy", "macro_f1")


@dataclass(frozen=True)
class Comparison:
    """How well the same classifier names cells with different graphs, split by split.

    Attributes:
        scores: One row per split and graph: ``split``, ``graph`` (``"real"``, ``"rewired"`` or
            ``"none"``), ``accuracy`` and ``macro_f1`` on the split's test cells, ``seconds`` of
            fitting and naming.
        test_share: Test cells of a split over its training cells.

    Example:
        >>> rows = [(s, g, a + s / 100, a, 1.0) for s in range(5)
        ...         for g, a in (("real", 0.9), ("rewired", 0.8), ("none", 0.8))]
        >>> columns = ["split", "graph", "accuracy", "macro_f1", "seconds"]
        >>> shown = Comparison(pd.DataFrame(rows, columns=columns), 0.25)
        >>> shown.differences().round(3)[["over", "metric", "mean"]]
              over    metric  mean
        0  rewired  accuracy   0.1
        1  rewired  macro_f1   0.1
        2     none  accuracy   0.1
        3     none  macro_f1   0.1
    """

    scores: pd.DataFrame
    test_share: float

    def differences(self) -> pd.DataFrame:
        r"""Returns what the real graph is worth over the others, in shares of one.

        The splits' differences :math:`d_j` are paired.  As their training cells overlap, the
        interval is that of the corrected resampled t-test [1]_, wider than a plain one:

        .. math::
            \bar d \pm t_{J-1}\, \sqrt{\Big(\frac{1}{J} + \frac{n_\mathrm{test}}
            {n_\mathrm{train}}\Big) \frac{1}{J - 1} \sum_j (d_j - \bar d)^2}

        Returns:
            One row per other graph and metric: ``over``, ``metric``, ``mean``, and the 95 %
            interval ``low`` to ``high``.

        References:
            .. [1] Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning
               52, 2003. https://doi.org/10.1023/A:1024068626366
        """
        rows = []
        for other, metric in product(GRAPHS[1:], METRICS):
            table = self.scores.pivot(index="split", columns="graph", values=metric)
            gain = (table["real"] - table[other]).to_numpy()
            spread = np.sqrt((1 / len(gain) + self.test_share) * gain.var(ddof=1))
            half = stats.t.ppf(0.975, len(gain) - 1) * spread
            rows.append((other, metric, gain.mean(), gain.mean() - half, gain.mean() + half))
        return pd.DataFrame(rows, columns=["over", "metric", "mean", "low", "high"])

    def __str__(self) -> str:
        means = self.scores.groupby("graph")[[*METRICS]].mean().loc[[*GRAPHS]]
        lines = [f"{self.scores['split'].nunique()} splits      accuracy  macro-F1"]
        lines += [
            f"  {name:<12}{row['accuracy']:>10.1%}{row['macro_f1']:>10.1%}"
            for name, row in means.iterrows()
        ]
        for over, metric, *gain in self.differences().itertuples(index=False, name=None):
            mean, low, high = (100 * part for part in gain)
            told = f"no difference to {_NAMES[over]} can be told from chance"
            if low > 0 or high < 0:
                told = f"{'better' if low > 0 else 'worse'} than {_NAMES[over]}"
            lines.append(
                f"{metric.replace('_f1', '-F1')} {mean:+.1f} points (95 % interval {low:+.1f} to "
                f"{high:+.1f}): {told}"
            )
        return "\n".join(lines)


_NAMES = {"rewired": "a rewired graph", "none": "no graph"}


def compare(
    model: GeneGCNClassifier,
    adata: AnnData,
    labels: str | Sequence[Any],
    *,
    groups: str | Sequence[Any] | None = None,
    layer: str | None = None,
    cv: int = 5,
    random_state: int = 0,
) -> Comparison:
    """Fits a classifier with its graph, with the graph rewired, and with none, on the same splits.

    A graph may help because it joins the right genes, or because any graph smooths.  The rewired
    graph keeps each gene's number of neighbours and joins it to others: what the real one gains
    over it is what its biology is worth; see :meth:`genegraph.GeneGraph.rewire`.  Each split has a
    rewiring and a seed of its own; everything else is the same for the three.

    Args:
        model: A classifier with a graph, fitted or not; it is left as it is.
        adata: Labelled cells.
        labels: The label of each cell, or the name of a column of ``obs``.
        groups: The donor, lane or batch of each cell, or the name of a column of ``obs``: cells of
            one group are then tested together.  Give them where there are any: cells of a
            donor resemble each other, and a graph that helps among them may not help elsewhere.
        layer: The AnnData layer that holds the values; None takes ``X``.
        cv: Number of splits: every cell is tested once.
        random_state: Seed of splits, rewirings and training.

    Returns:
        The scores, and what can be told from them; print it.

    Raises:
        TypeError: If the cells are no AnnData.
        ValueError: If the model has no graph, the graph cannot be rewired, or there are fewer
            cells of a type, or fewer groups, than splits.

    Example:
        >>> import anndata
        >>> from genegraph import GeneGCNClassifier, GeneGraph
        >>> X = np.random.default_rng(0).poisson([[9, 9, 1, 1], [1, 1, 9, 9]] * 20)
        >>> cells = anndata.AnnData(X.astype("float32"))
        >>> cells.var_names = ["A", "B", "C", "D"]
        >>> table = pd.DataFrame({"gene_a": ["A", "C"], "gene_b": ["B", "D"], "score": 1.0})
        >>> graph = GeneGraph.from_interactions(table, cells.var_names)
        >>> model = GeneGCNClassifier(graph, hidden_channels=(8,), max_epochs=5, verbose=False)
        >>> shown = compare(model, cells, ["T", "B"] * 20, cv=2)
        >>> shown.scores["graph"].tolist()
        ['real', 'rewired', 'none', 'real', 'rewired', 'none']
    """
    check_anndata(adata)
    graph: GeneGraph | None = model.graph
    if graph is None:
        raise ValueError("'model' must have a graph to compare with others (got graph=None).")
    graph = graph.align(adata.var_names)
    y = labels_from_obs(adata, labels) if isinstance(labels, str) else np.asarray(labels)
    theirs = read_groups(adata, groups, adata.n_obs)
    splits = _splits(y, theirs, cv, random_state)
    rows = []
    for number, (train, test) in enumerate(splits):
        learned, tested = adata[train].copy(), adata[test].copy()
        seed = random_state + number
        own_groups = None
        if theirs is not None and len(np.unique(theirs[train])) > 1:
            own_groups = theirs[train]
        for name, other in zip(GRAPHS, (graph, graph.rewire(seed), None), strict=True):
            start = time.perf_counter()
            trial = clone(model).set_params(graph=other, random_state=seed)
            trial.fit(learned, y[train], groups=own_groups, layer=layer)
            named = trial.predict(tested)
            seconds = time.perf_counter() - start
            scores = (accuracy_score(y[test], named), f1_score(y[test], named, average="macro"))
            rows.append((number, name, *scores, seconds))
    table = pd.DataFrame(rows, columns=["split", "graph", *METRICS, "seconds"])
    return Comparison(table, 1 / (cv - 1))


def _splits(y: Any, groups: Any, cv: int, random_state: int) -> list[tuple[Any, Any]]:
    if cv < 2:
        raise ValueError(f"'cv' must be at least 2 (got {cv}).")
    kinds, numbers = np.unique(y, return_counts=True)
    if numbers.min() < cv:
        rare = kinds[numbers.argmin()]
        raise ValueError(
            f"Every cell type needs at least cv={cv} cells (got {numbers.min()} of {rare!r}); "
            "use fewer splits, or leave the type out."
        )
    if groups is None:
        return list(StratifiedKFold(cv, shuffle=True, random_state=random_state).split(y, y))
    if len(np.unique(groups)) < cv:
        raise ValueError(
            f"There must be at least cv={cv} groups (got {len(np.unique(groups))}); "
            "use fewer splits."
        )
    splitter = StratifiedGroupKFold(cv, shuffle=True, random_state=random_state)
    return list(splitter.split(y, y, groups))
