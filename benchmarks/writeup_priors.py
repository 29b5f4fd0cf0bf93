"""The prior of each row: STRING, none, or a control made from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from genegraph import GeneGraph

LEAST_DEGREE = 10
"""Neighbours a gene must have to stay in the prior without low-degree genes (its 10-core)."""


@dataclass(frozen=True)
class Sources:
    """What priors are made of.

    Attributes:
        graph: The true one, aligned to the cells' genes.
        other_species: Interactions of another species, or None if there are none to be had.
        related: Whether its gene names in upper case mean the corresponding genes.
    """

    graph: GeneGraph
    other_species: pd.DataFrame | None = None
    related: bool = True

    def prior(self, name: str, seed: int) -> GeneGraph | None:
        """Returns a row's prior; the seed draws where something is drawn.

        Raises:
            ValueError: If the other species' graph shares no gene with the cells.
        """
        return _PRIORS[name](self, seed)

    def has(self, name: str) -> bool:
        """Tells whether there is what this prior is made of."""
        if "another species" not in name:
            return True
        return self.other_species is not None and (self.related or "upper case" not in name)


def _of_another_species(sources: Sources, upper_case: bool) -> GeneGraph:
    table = sources.other_species
    assert table is not None
    if upper_case:  # a rough stand-in for a table of orthologs, and named so
        table = table.assign(gene_a=table["gene_a"].str.upper(), gene_b=table["gene_b"].str.upper())
    return GeneGraph.from_interactions(table, genes=sources.graph.genes)


_PRIORS: dict[str, Callable[[Sources, int], GeneGraph | None]] = {
    "none": lambda sources, seed: None,
    "string": lambda sources, seed: sources.graph,
    "rewired prior": lambda sources, seed: sources.graph.rewire(seed),
    "random prior": lambda sources, seed: sources.graph.randomize(seed),
    "prior without low-degree genes": lambda sources, seed: sources.graph.k_core(LEAST_DEGREE),
    "prior thinned to 50 %": lambda sources, seed: sources.graph.thin(0.5, seed),
    "prior thinned to 20 %": lambda sources, seed: sources.graph.thin(0.2, seed),
    "prior thinned to 5 %": lambda sources, seed: sources.graph.thin(0.05, seed),
    "prior of another species": lambda sources, seed: _of_another_species(sources, False),
    "prior of another species, upper case": lambda sources, seed: _of_another_species(
        sources, True
    ),
}
