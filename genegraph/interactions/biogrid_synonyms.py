"""What a BioGRID file knows of the genes' other names."""

from pathlib import Path

import pandas as pd

from genegraph.interactions.biogrid_archive import open_biogrid
from genegraph.interactions.biogrid_rows import MISSING, layout_of
from genegraph.interactions.delimited import DelimitedReader
from genegraph.interactions.text_files import read_header

_FIELDS = ("Official Symbol", "Entrez Gene", "Systematic Name", "Synonyms")


def read_biogrid_names(path: Path, to: str, taxon: int) -> dict[str, set[str]]:
    """Returns what each name of an organism's genes may stand for.

    Args:
        path: A file as ``read_biogrid`` takes it.
        to: ``"symbol"`` or ``"entrez"``; BioGRID gives no Ensembl ids of genes.
        taxon: The organism.
    """
    if to == "ensembl":
        raise ValueError(f"{path.name} is a BioGRID file, which gives no Ensembl ids of genes.")
    genes = _genes(path, taxon)
    if genes.empty:
        raise ValueError(f"{path.name} names no gene of taxon {taxon}; say another with taxon=.")
    wanted = genes["Official Symbol" if to == "symbol" else "Entrez Gene"]
    targets: dict[str, set[str]] = {}
    for field in _FIELDS:
        for names, target in zip(genes[field], wanted, strict=True):
            for name in names.split("|"):
                if name not in MISSING and target not in MISSING:
                    targets.setdefault(name, set()).add(target)
    # A name that is wanted as it is means itself, whatever else was once called so.
    return targets | {name: {name} for name in set(wanted) - set(MISSING)}


def _genes(path: Path, taxon: int) -> pd.DataFrame:
    """The distinct genes of an organism."""
    parts = []
    with open_biogrid(path, taxon) as (stream, label):
        layout = layout_of(read_header(stream, label), label)
        ends = [
            ([f"{field} Interactor {end}" for field in _FIELDS], organism)
            for end, organism in zip("AB", layout.organisms, strict=True)
        ]
        text = [column for fields, organism in ends for column in (*fields, organism)]
        lacking = [column for column in text if column not in layout.columns]
        if lacking:
            raise ValueError(f"{label} lacks the column {lacking[0]!r}; download TAB3.")
        for frame in DelimitedReader(stream, label, columns=layout.columns, sep="\t", text=text):
            for fields, organism in ends:
                part = frame.loc[frame[organism] == str(taxon), fields].astype(str)
                parts.append(part.set_axis(list(_FIELDS), axis=1).drop_duplicates())
    return pd.concat(parts, ignore_index=True).drop_duplicates()
