"""Writes a network as STRING would: a full links file and an info file."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from genegraph.interactions.stringdb_score import combine_channels
from genegraph.simulation.model import IntArray
from genegraph.simulation.network import distinct_pairs

CHANNELS = (
    "neighborhood",
    "neighborhood_transferred",
    "fusion",
    "cooccurence",
    "homology",
    "coexpression",
    "coexpression_transferred",
    "experiments",
    "experiments_transferred",
    "database",
    "database_transferred",
    "textmining",
    "textmining_transferred",
)
FAINTEST = 42  # the smallest score above the prior


def write_links(
    path: Path, pairs: IntArray, n_genes: int, taxon: int, rng: np.random.Generator
) -> None:
    """Writes the links file, gzipped: every pair in both directions, sorted.

    Each edge has a score of at least 700 in ``experiments`` or of 900 in ``database``, so that its
    combined score is at least 700 without text mining, too. As many pairs of random genes come
    with them that score 150 to 399 and mean nothing, as most of STRING does.

    Args:
        path: The file to write.
        pairs: The edges, each once.
        n_genes: Number of genes, of which each is a protein.
        taxon: NCBI taxon in front of the proteins.
        rng: Where the randomness comes from.

    Shapes:
        - ``pairs``: ``(2, num_edges)``
    """
    faint = distinct_pairs(n_genes, pairs.shape[1], pairs, rng)
    scores = pd.concat([_of_edges(pairs.shape[1], rng), _of_chance(faint.shape[1], rng)])
    scores["combined_score"] = _combined(scores)
    first, second = np.concatenate([pairs, faint], axis=1)
    both = np.r_[first, second], np.r_[second, first]
    order = np.lexsort((both[1], both[0]))
    names = np.array(proteins(n_genes, taxon), dtype=object)
    table = scores.iloc[order % first.size]
    table.insert(0, "protein1", names[both[0][order]])
    table.insert(1, "protein2", names[both[1][order]])
    _write(path, table, sep=" ")


def write_info(path: Path, names: Sequence[str], taxon: int, rng: np.random.Generator) -> None:
    """Writes the info file, gzipped: the name of every protein, in the order of the genes."""
    table = pd.DataFrame(
        {
            "#string_protein_id": proteins(len(names), taxon),
            "preferred_name": list(names),
            "protein_size": rng.integers(100, 1000, len(names)),
            "annotation": "annotation not available",
        }
    )
    _write(path, table, sep="\t")


def proteins(n_genes: int, taxon: int) -> list[str]:
    """Gives every gene its protein.

    Example:
        >>> proteins(2, taxon=9606)
        ['9606.ENSP00000000001', '9606.ENSP00000000002']
    """
    return [f"{taxon}.ENSP{number:011d}" for number in range(1, n_genes + 1)]


def _of_edges(count: int, rng: np.random.Generator) -> pd.DataFrame:
    scores = _silence(count)
    curated = rng.random(count) < 0.5
    scores["database"] = np.where(curated, 900, 0)
    scores["experiments"] = np.where(
        curated, _sometimes(0.5, 700, count, rng), rng.integers(700, 1000, count)
    )
    scores["experiments_transferred"] = _sometimes(0.3, 500, count, rng)
    scores["coexpression"] = _sometimes(0.5, 400, count, rng)
    scores["textmining"] = _sometimes(0.8, 950, count, rng)
    return scores


def _of_chance(count: int, rng: np.random.Generator) -> pd.DataFrame:
    scores = _silence(count)
    channels = ["textmining", "coexpression", "experiments", "experiments_transferred"]
    columns = scores.columns.get_indexer(pd.Index(channels))[rng.integers(0, 4, count)]
    values = scores.to_numpy(copy=True)
    values[np.arange(count), columns] = rng.integers(150, 400, count)
    return pd.DataFrame(values, columns=scores.columns)


def _silence(count: int) -> pd.DataFrame:
    return pd.DataFrame(0, index=range(count), columns=list(CHANNELS))


def _sometimes(often: float, below: int, count: int, rng: np.random.Generator) -> IntArray:
    present = rng.random(count) < often
    return np.where(present, rng.integers(FAINTEST, below, count), 0)


def _combined(scores: pd.DataFrame) -> IntArray:
    evidence: dict[str, list[np.ndarray]] = {}
    for column in CHANNELS:
        if column != "homology":
            parts = evidence.setdefault(column.removesuffix("_transferred"), [])
            parts.append(scores[column].to_numpy() / 1000)
    combined, _ = combine_channels(evidence)
    return np.rint(1000 * combined).astype(np.int64)


def _write(path: Path, table: pd.DataFrame, sep: str) -> None:
    # Neither name nor time go into the gzip header: the same study is the same bytes.
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as stream:
        table.to_csv(stream, sep=sep, index=False)
