"""Writes a network as BioGRID would: a TAB3 file of experiments."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genegraph.interactions.biogrid_archive import ORGANISM_OF_TAXON
from genegraph.simulation.model import IntArray
from genegraph.simulation.network import distinct_pairs

COLUMNS = (
    "#BioGRID Interaction ID",
    "Entrez Gene Interactor A",
    "Entrez Gene Interactor B",
    "BioGRID ID Interactor A",
    "BioGRID ID Interactor B",
    "Systematic Name Interactor A",
    "Systematic Name Interactor B",
    "Official Symbol Interactor A",
    "Official Symbol Interactor B",
    "Synonyms Interactor A",
    "Synonyms Interactor B",
    "Experimental System",
    "Experimental System Type",
    "Author",
    "Publication Source",
    "Organism ID Interactor A",
    "Organism ID Interactor B",
    "Throughput",
    "Score",
    "Modification",
    "Qualifications",
    "Tags",
    "Source Database",
    "SWISS-PROT Accessions Interactor A",
    "TREMBL Accessions Interactor A",
    "REFSEQ Accessions Interactor A",
    "SWISS-PROT Accessions Interactor B",
    "TREMBL Accessions Interactor B",
    "REFSEQ Accessions Interactor B",
    "Ontology Term IDs",
    "Ontology Term Names",
    "Ontology Term Categories",
    "Ontology Term Qualifier IDs",
    "Ontology Term Qualifier Names",
    "Ontology Term Types",
    "Organism Name Interactor A",
    "Organism Name Interactor B",
)
PHYSICAL = ("Affinity Capture-MS", "Affinity Capture-Western", "Co-fractionation", "Two-hybrid")
GENETIC = ("Negative Genetic", "Synthetic Lethality")
PUBLICATIONS = 1000  # all that were ever written about these genes
MOST_PUBLICATIONS = 8  # on one pair
OTHERS = 0.05  # rows of another kind for each edge


def write_biogrid(
    path: Path,
    pairs: IntArray,
    names: Sequence[str],
    foreign_names: Sequence[str],
    taxon: int,
    rng: np.random.Generator,
) -> None:
    """Writes half of the edges as physical evidence, among rows that readers must leave out.

    An edge has one to eight publications, of which each is a row. Of genetic rows and of rows
    that pair a gene with one of another species there is one for every twenty edges.

    Args:
        path: The file to write.
        pairs: All edges, each once.
        names: Symbols of the genes.
        foreign_names: Symbols of the same genes of another species.
        taxon: NCBI taxon of the genes.
        rng: Where the randomness comes from.

    Shapes:
        - ``pairs``: ``(2, num_edges)``
    """
    n_genes, n_edges = len(names), pairs.shape[1]
    n_others = round(OTHERS * n_edges) + 1
    known = pairs[:, rng.permutation(n_edges)[: (n_edges + 1) // 2]]
    genetic = distinct_pairs(n_genes, n_others, pairs, rng)
    foreign = rng.integers(0, n_genes, (2, n_others))
    other_taxon = 10090 if taxon == 9606 else 9606
    table = pd.concat(
        [
            _rows(known, names, names, (taxon, taxon), PHYSICAL, MOST_PUBLICATIONS, rng),
            _rows(genetic, names, names, (taxon, taxon), GENETIC, 1, rng),
            _rows(foreign, names, foreign_names, (taxon, other_taxon), PHYSICAL, 1, rng),
        ]
    ).sample(frac=1, random_state=rng)
    table[COLUMNS[0]] = np.arange(1, len(table) + 1)
    table = table.reindex(columns=list(COLUMNS), fill_value="-")
    table.to_csv(path, sep="\t", index=False, lineterminator="\n")


def _rows(
    pairs: IntArray,
    names_a: Sequence[str],
    names_b: Sequence[str],
    taxa: tuple[int, int],
    systems: Sequence[str],
    most_publications: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """One row for each pair and each of its publications."""
    n_publications = rng.integers(1, most_publications + 1, pairs.shape[1])
    first = np.repeat(rng.integers(0, PUBLICATIONS, pairs.shape[1]), n_publications)
    one, other = np.repeat(pairs, n_publications, axis=1)
    # Counts up within a pair, so that its publications differ.
    place = np.arange(one.size) - np.repeat(
        np.cumsum(n_publications) - n_publications, n_publications
    )
    publication = (first + place) % PUBLICATIONS
    columns: dict[str, Any] = {
        "Experimental System": rng.choice(systems, one.size),
        "Experimental System Type": "genetic" if systems is GENETIC else "physical",
        "Author": [f"Simulated {number} (2024)" for number in publication],
        "Publication Source": [f"PUBMED:{10_000_000 + number}" for number in publication],
        "Throughput": rng.choice(["Low Throughput", "High Throughput"], one.size),
        "Source Database": "BIOGRID",
    }
    for side, gene, names, taxon in zip("AB", (one, other), (names_a, names_b), taxa, strict=True):
        columns[f"Entrez Gene Interactor {side}"] = gene + 1
        columns[f"BioGRID ID Interactor {side}"] = gene + 100_001
        columns[f"Official Symbol Interactor {side}"] = np.array(names, dtype=object)[gene]
        columns[f"Organism ID Interactor {side}"] = taxon
        columns[f"Organism Name Interactor {side}"] = ORGANISM_OF_TAXON[taxon].replace("_", " ")
    return pd.DataFrame(columns)
