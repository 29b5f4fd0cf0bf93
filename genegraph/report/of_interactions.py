"""The interactions that speak for each class."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pandas as pd

from genegraph.explain import edge_importance
from genegraph.pl import subnetwork
from genegraph.pl.pairs import pair_names, read_pairs
from genegraph.report.asked import Asked
from genegraph.report.html import Html, html, joined, link, paragraph, picture, section, table

TITLE = "Top interactions per class"
LISTED, DRAWN = 10, 20


def of_interactions(asked: Asked, interactions: pd.DataFrame | bool) -> Html:
    """Returns the section: for each class a table, a picture and links.

    Args:
        asked: The cells and the classifier.
        interactions: A table of :mod:`genegraph.explain`; True asks for edge importance of these
            cells; False leaves the section out.
    """
    if interactions is False:
        return Html("")
    if isinstance(interactions, pd.DataFrame):
        found: pd.DataFrame | str = interactions
    else:
        found = _edge_importance(asked)
    if isinstance(found, str):
        return section("interactions", TITLE, paragraph(found))
    classes = list(pd.unique(found["class"])) if "class" in found else [None]
    parts = [_of_class(asked, found, label) for label in classes]
    return section("interactions", TITLE, paragraph(_explained(found)), *parts)


def _edge_importance(asked: Asked) -> pd.DataFrame | str:
    """Returns the table, or why there is none."""
    if asked.model.graph_ is None:
        return "The classifier was trained without a graph, so there are no interactions to rank."
    try:
        found = edge_importance(asked.model, asked.adata)
    except (ImportError, ValueError) as error:
        return f"Interactions could not be ranked: {error}"
    # What an edge says for this class alone: what it says of all alike, or against it, ranks none.
    return found[found["specific"] > 0]


def _explained(found: pd.DataFrame) -> str:
    if "specific" in found:
        return (
            "Importance is what an edge of the prior adds to the margin of a class, the class's "
            "logit above the mean of all, in the cells of the class, less what it adds to the same "
            "margin in cells of the others (integrated gradients over the prior's weights)."
        )
    what = "attention" if "attention" in found else "importance"
    return f"Pairs of genes, by {what}."


def _of_class(asked: Asked, found: pd.DataFrame, label: Any) -> Html:
    pairs = read_pairs(found, label)
    top = pairs.table.head(LISTED)
    names = pair_names(pairs.directed, top)
    taxon = _taxon(asked)
    rows = []
    for name, row in zip(names, top.itertuples(), strict=True):
        prior = f"{row.prior_weight:.3g}" if row.in_prior else "not in the prior"
        rows.append((name.replace(r"\$", "$"), f"{row.value:.3g}", prior, _links(row, taxon)))
    what = "all cells" if label is None else str(label)
    columns = ["genes", pairs.value, "weight in the prior", "look up"]
    parts = [
        Html(f"<h3>{html(what)}</h3>"),
        table(columns, rows, f"The {len(rows)} strongest of {len(pairs.table):,} pairs: {what}"),
    ]
    around = label if label is not None else pairs.table["a"].iloc[0]
    sized = label is None or str(label) in set(asked.named)
    drawn = subnetwork(
        found.assign(**{"class": found["class"].astype(str)}) if label is not None else found,
        str(around),
        asked.adata if sized and asked.model.values_ != "features" else None,
        asked.named,
        layer=asked.layer,
        top=DRAWN,
    )
    caption = f"The {min(DRAWN, len(pairs.table))} strongest pairs; dashed: not in the prior."
    return joined([*parts, picture(drawn, caption)])


def _taxon(asked: Asked) -> str | None:
    graph = asked.model.graph_
    taxon = None if graph is None else graph.provenance.get("taxon")
    return str(taxon) if str(taxon).isdigit() else None


def _links(row: Any, taxon: str | None) -> Html:
    a, b = (quote(str(gene), safe="") for gene in (row.a, row.b))
    species = "" if taxon is None else f"&species={taxon}"
    string = f"https://string-db.org/cgi/network?identifiers={a}%0d{b}{species}"
    places = [link(string, "STRING")]
    for gene, text in ((a, row.a), (b, row.b)):
        address = f"https://thebiogrid.org/search.php?search={gene}&organism={taxon or 'all'}"
        places.append(link(address, f"BioGRID: {text}"))
    return Html(f'<span class="links">{", ".join(places)}</span>')
