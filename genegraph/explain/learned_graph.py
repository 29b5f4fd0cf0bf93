"""The graph that attention learned: who listens to whom, beside what the prior says."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from genegraph.explain.cell_groups import OVERALL, cell_groups
from genegraph.explain.pairs import Prior
from genegraph.explain.ranking import rows_of_block, rows_of_edges
from genegraph.explain.subject import Subject, positions
from genegraph.explain.weights import layers, over_all_genes, over_edges

if TYPE_CHECKING:
    from genegraph.classifier import GeneGCNClassifier


def attention(
    model: GeneGCNClassifier,
    adata: Any,
    groupby: str | Sequence[Any] | None = None,
    top_k: int = 10,
    cells: Sequence[Any] | None = None,
    *,
    genes: Sequence[str] | None = None,
    max_cells: int | None = 20,
) -> pd.DataFrame:
    r"""Lists the learned graph: the genes that each gene attends to most, beside the prior.

    A gene :math:`i` listens to gene :math:`j` with weight :math:`\alpha_{ij}`, a softmax over all
    genes (``attention="full"`` with ``gene_aware=True``), over its neighbours (``"edges"``), or
    over the genes nearest by embedding (``"shared"``).  Of each target the ``top_k`` sources are
    listed, *and* all its neighbours in the prior.  So "learned but not in the prior" are rows
    where ``in_prior`` is False, "in the prior but ignored" those where ``in_top_k`` is.

    Full attention is computed for a few targets at a time, in float64, and never in whole; the
    time is that of targets x genes x cells.

    Args:
        model: A fitted classifier with attention.
        adata: Cells, as its ``predict`` takes them.
        groupby: Average over the cells of each group: a column of ``obs`` or one label per cell,
            which need not be classes of the model; None: over those of each predicted class.
        top_k: Sources listed of each target.
        cells: Names (for an AnnData) or positions of single cells; each is then listed by itself.
        genes: The targets wanted; None: all.
        max_cells: Cells averaged over of each group at most, evenly spread; None: all.

    Returns:
        One row per group, layer, target and source: ``class`` (the group; ``"all"`` for the mean
        over the groups), ``layer``, ``graph``, ``source``, ``target``, ``attention``, ``rank`` of
        the source among all (from 1), ``in_top_k``, ``prior_weight`` (the table's score, 0 where
        there is no edge) and ``in_prior``.  With ``cells`` also ``cell``, and ``class`` is the
        cell's.  With ``attention="shared"`` all cells share the graph, and ``class`` is ``"all"``.

    Raises:
        ValueError: If the network has no attention that knows one gene from another, or an
            argument is not as it must be.

    Example:
        >>> import numpy as np
        >>> from genegraph import GeneGCNClassifier, GeneGraph
        >>> X, y = np.array([[9.0, 0.0, 1.0], [0.0, 9.0, 1.0]] * 20), ["T", "B"] * 20
        >>> graph = GeneGraph(["A", "B", "C"], [[0, 2], [2, 0]])
        >>> options = {"attention": "full", "gene_aware": True, "max_epochs": 1, "verbose": False}
        >>> table = attention(GeneGCNClassifier(graph, **options).fit(X, y), X, top_k=3)
        >>> table.groupby(["class", "target"])["attention"].sum().round(6).unique().tolist()
        [1.0]
    """
    subject = Subject(model, adata)
    _check_knows_genes(model, subject)
    if top_k < 1:
        raise ValueError(f"'top_k' must be at least 1 (got {top_k}).")
    everyone = np.arange(len(subject.genes))
    targets = everyone if genes is None else positions(genes, subject.genes, "'genes'")
    prior = Prior(model)
    if model.attention == "shared":
        tables = _shared(subject, targets, top_k, prior)
    else:
        tables = _by_cells(subject, groupby, cells, max_cells, targets, top_k, prior)
    out = pd.concat(list(tables), ignore_index=True)
    out.attrs = {"output": "attention", "kind": model.attention, "top_k": top_k}
    return out


def _check_knows_genes(model: GeneGCNClassifier, subject: Subject) -> None:
    if model.attention is None or len(subject.network.layers) == 0:
        raise ValueError(
            "The network has no attention (got attention=None or no graph layer): the graph it "
            "uses is the prior. See edge_importance for what of it matters, or fit with "
            "attention='full', gene_aware=True, or attention='edges' or 'shared'."
        )
    if model.attention == "full" and not model.gene_aware:
        raise ValueError(
            "attention='full' without gene_aware=True does not know one gene from another: all "
            "genes of the same expression attend alike, most of all to the highest expressed "
            "genes of their cell, so there is no graph of genes to show. Fit with "
            "gene_aware=True, or attention='edges' or 'shared'."
        )


@torch.no_grad()
def _by_cells(
    subject: Subject,
    groupby: Any,
    cells: Sequence[Any] | None,
    max_cells: int | None,
    targets: NDArray[np.int64],
    top_k: int,
    prior: Prior,
) -> Iterator[pd.DataFrame]:
    rows, groups = cell_groups(subject, groupby, cells, max_cells)
    for layer, number, conv, features in layers(subject, rows):
        place = {"layer": layer, "graph": number}
        if conv.attention == "full":
            for block, means in over_all_genes(conv, features, targets, groups):
                for group, mean in zip(groups, means, strict=True):
                    found = rows_of_block(subject.genes, block, mean, top_k, prior)
                    yield _keyed(found, {**group.key, **place})
            continue
        source, target, means = over_edges(conv, features, subject.edges[0], groups)
        for group, mean in zip(groups, means, strict=True):
            edges = (source, target, mean)
            found = rows_of_edges(subject.genes, edges, targets, top_k, prior)
            yield _keyed(found, {**group.key, **place})


@torch.no_grad()
def _shared(
    subject: Subject, targets: NDArray[np.int64], top_k: int, prior: Prior
) -> Iterator[pd.DataFrame]:
    for layer, graphs in enumerate(subject.network.layers):
        for number, conv in enumerate(graphs):
            graph = copy.deepcopy(conv.shared_graph).double()
            source, target = graph.edge_index().as_tensor().cpu().numpy()
            edges = (source, target, graph.weights().flatten().cpu().numpy())
            found = rows_of_edges(subject.genes, edges, targets, top_k, prior)
            yield _keyed(found, {"class": OVERALL, "layer": layer, "graph": number})


def _keyed(table: pd.DataFrame, key: dict[str, Any]) -> pd.DataFrame:
    return pd.concat([pd.DataFrame(key, index=table.index), table], axis=1)
