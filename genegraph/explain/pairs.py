"""Edges as pairs of genes, and what the prior says of a pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genegraph.explain.subject import Subject, positions

if TYPE_CHECKING:
    from genegraph.classifier import GeneGCNClassifier

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class Prior:
    """The prior's weights by pair of genes, before they were normalised: the table's scores.

    Args:
        model: A fitted classifier.

    Attributes:
        source: Where each edge comes from, as the position of a gene of the network.
        target: Where it points to.
        weight: Its weight.
    """

    def __init__(self, model: GeneGCNClassifier) -> None:
        self.source = self.target = np.empty(0, dtype=np.int64)
        self.weight = np.empty(0, dtype=np.float32)
        self._num_genes = 1
        if model.graph_ is None:
            return
        source, target = model._aligned.edge_index.numpy()
        if model._columns is not None:  # genes without an edge were left out
            place = np.full(model._aligned.num_genes, -1, dtype=np.int64)
            place[model._columns] = np.arange(len(model._columns))
            source, target = place[source], place[target]
        self._num_genes = model.graph_.num_genes
        keys = target * self._num_genes + source
        order = np.argsort(keys)
        self._keys, self.weight = keys[order], model._aligned.edge_weight.numpy()[order]
        self.source, self.target = source[order], target[order]

    def of(self, source: Integers, target: Integers) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Returns the weight of each pair, 0 where there is none, and whether there is one."""
        if len(self.weight) == 0:
            return np.zeros(len(source), np.float32), np.zeros(len(source), dtype=bool)
        wanted = target * self._num_genes + source
        place = np.searchsorted(self._keys, wanted).clip(max=len(self._keys) - 1)
        there = self._keys[place] == wanted
        return np.where(there, self.weight[place], np.float32(0)), there


class Edges:
    """The edges that a network reads, and the pairs of genes they join.

    Args:
        subject: Uses a graph.

    Attributes:
        index: ``edge_index``, without edges into genes that nobody reads.
        weight: Their weights, after normalisation.
        gene_a: The first gene of each pair, in the order of the network's genes; all edges of
            the prior are here.
        gene_b: The second.
        pair: The position of each edge's pair.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        num_genes = len(subject.genes)
        self.index, self.weight = subject.network.needed_edges(*subject.edges)
        self._all = keys = np.unique(_keys(subject.edges[0], num_genes))
        self.first, self.second = np.divmod(keys, num_genes)
        self.pair = np.searchsorted(keys, _keys(self.index, num_genes))
        self.gene_a, self.gene_b = subject.genes[self.first], subject.genes[self.second]
        prior = Prior(subject.model)
        ahead, is_ahead = prior.of(self.first, self.second)
        back, is_back = prior.of(self.second, self.first)
        self._of_prior = {"prior_weight": np.maximum(ahead, back), "in_prior": is_ahead | is_back}

    def by_pair(self, values: Floats) -> Floats:
        """Adds the values of the edges of each pair."""
        total: Floats = np.bincount(self.pair, values, minlength=len(self.first)).astype(np.float64)
        return total

    def positions(self, one: Sequence[str], other: Sequence[str]) -> Integers:
        """Returns which pairs these are.

        Raises:
            ValueError: If the prior does not join one of them.
        """
        place = {gene: i for i, gene in enumerate(self._subject.genes)}
        a, b = (positions(names, place, "'importance'") for names in (one, other))
        wanted = np.minimum(a, b) * len(place) + np.maximum(a, b)
        found: Integers = np.searchsorted(self._all, wanted).clip(max=len(self._all) - 1)
        wrong = np.flatnonzero(self._all[found] != wanted)
        if len(wrong):
            pair = f"{one[wrong[0]]!r} and {other[wrong[0]]!r}"
            raise ValueError(f"'importance' must be of edges of the prior (got {pair}).")
        return found

    def table(self, label: Any, **columns: NDArray[Any]) -> pd.DataFrame:
        """Returns one row per pair of genes."""
        genes = {"gene_a": self.gene_a, "gene_b": self.gene_b}
        return pd.DataFrame({"class": label, **genes, **columns, **self._of_prior})


def check_uses_graph(subject: Subject) -> None:
    """Raises a ValueError if no edge can matter."""
    network = subject.network
    if subject.edges[0] is None or (network.shrinkage is None and len(network.layers) == 0):
        raise ValueError(
            "The network must use a prior graph for its edges to be explained (got none in use); "
            "fit GeneGCNClassifier(graph) on counts, or with num_layers=1."
        )


def _keys(edge_index: Any, num_genes: int) -> Integers:
    """Numbers the pair of genes of each edge, whichever way it points."""
    source, target = edge_index.as_tensor().cpu().numpy()
    keys: Integers = np.minimum(source, target) * num_genes + np.maximum(source, target)
    return keys
