"""Reads interactions of the STRING database."""

import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from genegraph.interactions.provenance import Provenance
from genegraph.interactions.stringdb_layout import StringLayout, layout_of, version_in
from genegraph.interactions.stringdb_names import ProteinNames, read_aliases, read_info
from genegraph.interactions.stringdb_rows import collect_rows
from genegraph.interactions.stringdb_table import build_table
from genegraph.interactions.text_files import checked_path, open_text, read_header, sha256_of

FilePath = str | os.PathLike[str]


def read_stringdb(
    links: FilePath,
    info: FilePath | None = None,
    aliases: FilePath | None = None,
    *,
    min_score: float = 400,
    channels: Sequence[str] | None = None,
    homology_correction: bool | None = None,
) -> pd.DataFrame:
    r"""Reads gene interactions from a STRING file, one row per undirected pair.

    Three kinds of table are recognised by their header, plain or gzip:

    - files of the download page: ``protein.links``, ``protein.links.detailed``,
      ``protein.links.full`` and their ``protein.physical.links`` versions (STRING 11 to 12);
      they name proteins, and score them from 0 to 1000;
    - the TSV that string-db.org exports, and the answer of its ``network`` API; both carry
      gene names, and score from 0 to 1.

    Rows are dropped, and counted in ``attrs["dropped"]``, for these reasons in this order:
    no evidence in the named channels, a score below ``min_score``, a protein without a name, a
    gene paired with itself.  Link files list each pair in both directions; the pair is kept
    once, with the larger value of each column should they differ.

    Naming ``channels`` discards the file's combined score and recomputes it from these channels
    by STRING's published formula

    .. math::
        s = S + p\,(1 - S), \qquad S = 1 - \prod_c (1 - s_c'), \qquad
        s_c' = \max\Big(0, \frac{s_c - p}{1 - p}\Big), \qquad p = 0.041

    where a channel and its ``_transferred`` part are joined by the same product first.  The
    result is cut to three decimals, as in the files.  Until version 11.5 STRING multiplied
    cooccurence and textmining by ``1 - homology``; its script for version 12 no longer does.

    Args:
        links: The interactions.
        info: STRING's ``protein.info`` of the same organism, which turns the proteins of a link
            file into gene symbols.
        aliases: STRING's ``protein.aliases``, instead of ``info``.  The symbols come from the
            best source that the file has (``Ensembl_HGNC_symbol`` first); a note says which.
        min_score: Lowest score to keep, inclusive, on STRING's scale of 0 to 1000 whatever the
            file's own.  0 keeps all; STRING calls 400 medium, 700 high and 900 highest
            confidence.  With ``channels`` it applies to the recomputed score.
        channels: Evidence to use, as named in the header without ``_transferred``, for instance
            ``["experiments", "database"]``; None keeps the file's combined score.
        homology_correction: Whether to multiply cooccurence and textmining by ``1 - homology``
            when recomputing.  None decides by the version in the file name: yes before 12, no
            from 12 on.  Matters for files with a ``homology`` column of their own, the *full*
            ones; other tables hold corrected channels already.

    Returns:
        A table with the columns ``gene_a``, ``gene_b`` (``gene_a < gene_b``), ``score`` in 0..1
        and the named channels in 0..1, sorted by pair.  Without ``info`` and ``aliases`` the
        genes of a link file are its proteins, without the taxon prefix.  ``attrs`` says where
        the table came from and what was left out.

    Raises:
        ValueError: If the file is of another kind, damaged or holds a bad value (the message
            gives the line), if it mixes organisms, if both ``info`` and ``aliases`` are given,
            if a channel is not in the file, or if no interaction is left.
        TypeError: If ``channels`` is one string, or ``min_score`` is not a number.
        FileNotFoundError: If a file is not there.

    Example:
        >>> import tempfile, pathlib
        >>> folder = tempfile.TemporaryDirectory()
        >>> links = pathlib.Path(folder.name) / "9606.protein.links.v12.0.txt"
        >>> info = pathlib.Path(folder.name) / "9606.protein.info.v12.0.txt"
        >>> _ = links.write_text(
        ...     "protein1 protein2 combined_score\n"
        ...     "9606.ENSP1 9606.ENSP2 901\n"
        ...     "9606.ENSP2 9606.ENSP1 901\n"
        ...     "9606.ENSP2 9606.ENSP3 150\n"
        ... )
        >>> _ = info.write_text(
        ...     "#string_protein_id\tpreferred_name\n"
        ...     "9606.ENSP1\tTP53\n9606.ENSP2\tMDM2\n9606.ENSP3\tCD3D\n"
        ... )
        >>> table = read_stringdb(links, info, min_score=700)
        >>> print(table.to_string(index=False))
        gene_a gene_b  score
          MDM2   TP53  0.901
        >>> table.attrs["version"], table.attrs["dropped"]
        ('12.0', {'score below 700': 1})
        >>> folder.cleanup()

    References:
        Szklarczyk et al., "The STRING database in 2023", Nucleic Acids Research 51, 2023.
        https://doi.org/10.1093/nar/gkac1000
    """
    _check_arguments(info, aliases, min_score, channels)
    path = checked_path(links)
    with open_text(path) as stream:
        layout = layout_of(read_header(stream, path.name), path.name)
        correct = _check_layout(layout, path.name, channels, homology_correction)
        names = _protein_names(layout, path.name, info, aliases)
        rows = collect_rows(stream, path.name, layout, min_score, channels, correct)
    origin = Provenance("STRING", path.name, sha256_of(path), version_in(path.name))
    cut_off = int(min_score) if min_score == int(min_score) else float(min_score)
    origin.filters = {"min_score": cut_off, "channels": list(channels) if channels else None}
    if channels:
        origin.filters["homology_correction"] = correct
    return build_table(rows, names, origin)


def _check_arguments(
    info: FilePath | None,
    aliases: FilePath | None,
    min_score: Any,
    channels: Sequence[str] | None,
) -> None:
    if info is not None and aliases is not None:
        raise ValueError("Give 'info' or 'aliases', not both: the two may name a protein apart.")
    if isinstance(min_score, bool) or not isinstance(min_score, (int, float, np.integer)):
        raise TypeError(f"'min_score' must be a number (got {type(min_score).__name__}).")
    if not 0 <= min_score <= 1000 or 0 < min_score < 1:
        hint = f"; did you mean {min_score * 1000:g}?" if 0 < min_score < 1 else "."
        raise ValueError(f"min_score is on STRING's 0 to 1000 scale (got {min_score:g}){hint}")
    if isinstance(channels, str):
        raise TypeError(f"'channels' must be a list of names (got the string {channels!r}).")
    if channels is not None and (not len(channels) or len(set(channels)) < len(channels)):
        raise ValueError(
            f"'channels' must name at least one channel, each once (got {list(channels)})."
        )


def _check_layout(
    layout: StringLayout,
    label: str,
    channels: Sequence[str] | None,
    homology_correction: bool | None,
) -> bool:
    """Checks the channels against the file; returns whether to correct for homology."""
    unknown = [name for name in channels or () if name not in layout.channels]
    if unknown:
        has = ", ".join(map(repr, layout.channels)) or "none, only the combined score"
        advice = "" if layout.channels else " Use the 'detailed' or the 'full' links file."
        raise ValueError(f"{label} has no channel {unknown[0]!r} (has: {has}).{advice}")
    correctable = {"cooccurence", "textmining"} & set(channels or ())
    if not correctable or layout.kind != "links" or "homology" not in layout.columns:
        return False
    if homology_correction is not None:
        return homology_correction
    version = version_in(label)
    if version is None:
        raise ValueError(
            f"STRING before version 12 corrects {sorted(correctable)[0]!r} for homology, and the "
            f"file name {label!r} does not tell the version; pass homology_correction=True "
            "(before 12) or False (12 and later)."
        )
    return int(re.split(r"\D", version)[0]) < 12


def _protein_names(
    layout: StringLayout, label: str, info: FilePath | None, aliases: FilePath | None
) -> ProteinNames | None:
    if info is None and aliases is None:
        return None
    if layout.kind != "links":
        raise ValueError(f"{label} names its genes already; leave out 'info' and 'aliases'.")
    if info is not None:
        return read_info(checked_path(info))
    assert aliases is not None
    return read_aliases(checked_path(aliases))
