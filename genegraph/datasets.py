"""Gene interactions from their publishers, and data that are there without a download.

:func:`fetch_string` and :func:`fetch_biogrid` fetch files for ``read_stringdb`` and
``read_biogrid``. To try genegraph with, :func:`complexes` is a small graph that ships inside this
package, :func:`pbmc` labelled blood cells that ship inside scanpy. :func:`simulate` writes a study
of any size, of which the truth is known.
"""

from importlib import resources
from itertools import combinations

import pandas as pd
from anndata import AnnData

from genegraph.downloads import DownloadError, StringFiles, fetch_biogrid, fetch_string
from genegraph.simulation import SimulatedStudy, simulate

__all__ = [
    "DownloadError",
    "SimulatedStudy",
    "StringFiles",
    "complexes",
    "fetch_biogrid",
    "fetch_string",
    "pbmc",
    "simulate",
]

_SCANPY_MISSING = (
    "The built-in blood cells come with scanpy, which is not installed; "
    'install it with: pip install "genegraph[demo]"'
)


def complexes() -> pd.DataFrame:
    """Gives every pair of human genes whose products share a textbook protein complex.

    About 200 complexes and tight functional units (ribosomes, proteasomes, the respiratory chain,
    antigen presentation, receptors of immune cells with their signalling partners, cytotoxic
    granules, splicing, transcription, transport), written down from general knowledge. All pairs
    within a complex become edges.

    The table stands in for STRING where there is no network, as in ``genegraph demo``. It is *not*
    a substitute: it is small, leans towards blood cells, cites no evidence and scores every pair
    alike. A gene renamed in recent years is listed under both symbols (``ATP5B`` and ``ATP5F1B``),
    so that data sets of either age find it.

    Returns:
        A table with columns ``gene_a``, ``gene_b``, ``score`` (always 1) and ``complex``: one row
        per unordered pair; a pair that meets in two complexes names both, joined by ``"; "``.
        Its ``attrs`` say where it came from.

    Example:
        >>> table = complexes()
        >>> table[table["complex"] == "complement C1q"]["gene_b"].tolist()
        ['C1QB', 'C1QC', 'C1QC']
        >>> table.attrs["source"]
        'textbook complexes'
    """
    shared: dict[tuple[str, str], list[str]] = {}
    for name, genes in _members().items():
        for pair in combinations(sorted(genes), 2):
            shared.setdefault(pair, []).append(name)
    table = pd.DataFrame(sorted(shared), columns=["gene_a", "gene_b"])
    table["score"] = 1.0
    table["complex"] = ["; ".join(shared[pair]) for pair in sorted(shared)]
    table.attrs = {
        "source": "textbook complexes",
        "taxon": 9606,
        "identifiers": "symbol",
        "notes": ["all pairs within a complex, from general knowledge; no evidence, no scores"],
    }
    return table


def pbmc() -> AnnData:
    """Gives 700 labelled human blood cells, read from the installed scanpy.

    They are a sample of the 68,579 peripheral blood mononuclear cells of Zheng et al. [1]_, with
    765 chosen genes and 10 cell types. ``obs["cell_type"]`` holds the type (scanpy calls it
    ``bulk_labels``); ``X`` holds log1p of counts scaled to 10,000 a cell, so train with
    ``values="log1p"``. Types are unevenly filled, from 240 cells down to 8.

    Returns:
        The cells; every call reads the file anew, so change them freely.

    Raises:
        ImportError: If scanpy is not installed.

    Example:
        >>> cells = pbmc()
        >>> cells.shape, cells.obs["cell_type"].nunique()
        ((700, 765), 10)

    References:
        .. [1] Zheng et al., "Massively parallel digital transcriptional profiling of single
           cells", Nature Communications 8, 14049 (2017). https://doi.org/10.1038/ncomms14049
    """
    try:
        from scanpy.datasets import pbmc68k_reduced
    except ModuleNotFoundError as error:
        raise ImportError(_SCANPY_MISSING) from error
    cells: AnnData = pbmc68k_reduced().raw.to_adata()
    cells.obs["cell_type"] = cells.obs["bulk_labels"]
    return cells


def _members() -> dict[str, list[str]]:
    source = resources.files("genegraph") / "data" / "complexes.csv"
    with source.open(encoding="utf-8") as file:
        # A gene symbol may look like a missing value or a number; keep every one as it is written.
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    return {str(name): list(genes) for name, genes in table.groupby("complex", sort=False)["gene"]}
