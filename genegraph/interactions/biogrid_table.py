"""Turns rows of BioGRID evidence into the tidy table of genes."""

import numpy as np
import pandas as pd

from genegraph.interactions.biogrid_rows import Evidence
from genegraph.interactions.pairs import Floats, Integers, Pairs, pair_table, rank_names
from genegraph.interactions.provenance import Provenance

SATURATION = 8


def build_table(evidence: Evidence, origin: Provenance) -> pd.DataFrame:
    """Counts the publications of each pair and scores it."""
    genes, rank = rank_names(evidence.genes)
    a, b = rank[evidence.a], rank[evidence.b]
    different = a != b
    origin.drop("gene paired with itself", int(np.count_nonzero(~different)))
    a, b, publication = a[different], b[different], evidence.publication[different]
    # A pair and a publication make a report; a pair's reports are counted.
    low, high = np.minimum(a, b).astype(np.int64), np.maximum(a, b)
    pair, rows = np.unique(low * len(genes) + high, return_counts=True)
    reports = pd.DataFrame({"pair": low * len(genes) + high, "publication": publication})
    reported = reports.drop_duplicates()["pair"].to_numpy()
    num_publications = np.unique(reported, return_counts=True)[1]
    enough = num_publications >= origin.filters["min_publications"]
    reason = f"fewer than {origin.filters['min_publications']} publications"
    origin.drop(reason, int(rows[~enough].sum()))
    first, second = np.divmod(pair[enough], max(len(genes), 1))
    columns = {"score": publication_score(num_publications[enough])}
    table = pair_table(Pairs(first, second, columns, 0, 0), genes)
    table["publications"] = num_publications[enough].astype(np.int64)
    return origin.attach(table)


def publication_score(num_publications: Integers) -> Floats:
    """Score in 0..1 of a number of publications; see ``read_biogrid`` for the formula.

    Example:
        >>> publication_score(np.array([1, 2, 8, 100])).round(3).tolist()
        [0.315, 0.5, 1.0, 1.0]
    """
    score: Floats = np.minimum(1.0, np.log2(1 + num_publications) / np.log2(1 + SATURATION))
    return score
