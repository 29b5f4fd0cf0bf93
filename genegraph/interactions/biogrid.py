"""Reads interactions of the BioGRID database."""

import os
import re
from typing import Any, Literal

import numpy as np
import pandas as pd

from genegraph.interactions.biogrid_archive import open_biogrid
from genegraph.interactions.biogrid_rows import NAMES, layout_of, read_evidence
from genegraph.interactions.biogrid_table import build_table
from genegraph.interactions.provenance import Provenance
from genegraph.interactions.text_files import checked_path, read_header, sha256_of


def read_biogrid(
    path: str | os.PathLike[str],
    *,
    taxon: int = 9606,
    system: Literal["physical", "genetic"] | None = "physical",
    throughput: Literal["low", "high"] | None = None,
    min_publications: int = 1,
    identifiers: Literal["symbol", "entrez"] = "symbol",
) -> pd.DataFrame:
    r"""Reads gene interactions from a BioGRID file, one row per undirected pair.

    TAB3 (37 columns) and TAB2 (24 columns) are told apart by their header; the file may be
    plain, gzip, or the zip of a release, which is read in place.  Of an organism zip the member
    of ``taxon`` is taken.

    BioGRID has one row for each experiment.  A pair reported by :math:`n` distinct publications
    gets

    .. math::
        \text{score} = \min\Big(1, \frac{\log_2(1 + n)}{\log_2(1 + 8)}\Big)

    so one publication gives 0.315, two give 0.5, and from eight on it is 1.  The file's own
    ``Score`` column mixes units between studies and is not used.

    Rows are dropped, and counted in ``attrs["dropped"]``, for these reasons in this order:
    an interactor of another organism, another experimental system, another throughput, a gene
    without an official symbol (or Entrez id) or a row without a publication (``-`` in the file),
    a gene paired with itself, and a pair with fewer than ``min_publications``.

    Args:
        path: The file.
        taxon: NCBI taxon that both interactors must have: 9606 human, 10090 mouse, 559292
            baker's yeast.
        system: ``"physical"`` or ``"genetic"`` experiments only; None takes both.
        throughput: ``"low"`` or ``"high"`` throughput only; a row may be both.  None takes all.
        min_publications: Smallest number of distinct publications of a pair, inclusive.
        identifiers: What to call the genes: ``"symbol"``, their official symbol, or ``"entrez"``,
            their Entrez id.

    Returns:
        A table with the columns ``gene_a``, ``gene_b`` (as text, ``gene_a < gene_b``), ``score``
        in 0..1 and ``publications``, sorted by pair.  ``attrs`` says where the table came from and
        what was left out.

    Raises:
        ValueError: If the file is of another kind, damaged or encrypted, if it has no row of
            ``taxon`` (the message lists its taxa), or if no interaction is left.
        FileNotFoundError: If the file is not there.

    Example:
        >>> import tempfile, pathlib
        >>> columns = [
        ...     "Official Symbol Interactor A", "Official Symbol Interactor B",
        ...     "Experimental System Type", "Publication Source", "Organism ID Interactor A",
        ...     "Organism ID Interactor B", "Throughput",
        ... ]
        >>> row = ["TP53", "MDM2", "physical", "PUBMED:1535557", "9606", "9606", "Low Throughput"]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "BIOGRID-ALL-4.4.240.tab3.txt"
        ...     _ = path.write_text("\t".join(columns) + "\n" + "\t".join(row) + "\n")
        ...     table = read_biogrid(path)
        >>> print(table.round(3).to_string(index=False))
        gene_a gene_b  score  publications
          MDM2   TP53  0.315             1

    References:
        Oughtred et al., "The BioGRID database", Protein Science 30, 2021.
        https://doi.org/10.1002/pro.3978
    """
    _check_arguments(taxon, system, throughput, min_publications, identifiers)
    path = checked_path(path)
    with open_biogrid(path, taxon) as (stream, label):
        layout = layout_of(read_header(stream, label), label)
        origin = Provenance("BioGRID", path.name, sha256_of(path), _version_in(label), int(taxon))
        origin.filters = {
            "taxon": int(taxon),
            "system": system,
            "throughput": throughput,
            "min_publications": int(min_publications),
        }
        origin.identifiers = identifiers
        if label != path.name:
            origin.notes.append(f"Read from the member {label} of the archive.")
        evidence = read_evidence(stream, label, layout, origin)
    return build_table(evidence, origin)


def _check_arguments(
    taxon: Any,
    system: str | None,
    throughput: str | None,
    min_publications: Any,
    identifiers: str,
) -> None:
    if isinstance(taxon, bool) or not isinstance(taxon, (int, np.integer)):
        raise TypeError(f"'taxon' must be a whole number such as 9606 (got {taxon!r}).")
    if system not in ("physical", "genetic", None):
        raise ValueError(f"'system' must be 'physical', 'genetic' or None (got {system!r}).")
    if throughput not in ("low", "high", None):
        raise ValueError(f"'throughput' must be 'low', 'high' or None (got {throughput!r}).")
    if identifiers not in NAMES:
        raise ValueError(f"'identifiers' must be 'symbol' or 'entrez' (got {identifiers!r}).")
    if isinstance(min_publications, bool) or not isinstance(min_publications, (int, np.integer)):
        raise TypeError(f"'min_publications' must be a whole number (got {min_publications!r}).")
    if min_publications < 1:
        raise ValueError(f"'min_publications' must be at least 1 (got {min_publications}).")


def _version_in(file_name: str) -> str | None:
    found = re.search(r"-(\d+\.\d+\.\d+)\.", file_name)
    return found.group(1) if found else None
