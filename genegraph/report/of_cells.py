"""What the cells were named, and which stayed unknown."""

from __future__ import annotations

import numpy as np
import pandas as pd

from genegraph.annotation import UNKNOWN
from genegraph.pl import umap
from genegraph.report.asked import Asked
from genegraph.report.html import (
    Html,
    code,
    definitions,
    joined,
    paragraph,
    picture,
    section,
    table,
)

TITLE = "The cells, named and unknown"
_MAP = "import scanpy as sc\nsc.pp.pca(adata); sc.pp.neighbors(adata); sc.tl.umap(adata)"


def of_cells(asked: Asked) -> Html:
    """Returns the section: cells per class, how sure, how many unknown and why, maps.

    Args:
        asked: The cells and the classifier.
    """
    confidence, novelty = asked.confidence, asked.novelty
    groups = pd.DataFrame({"named": asked.named, "confidence": confidence, "novelty": novelty})
    rows = []
    for name, theirs in sorted(groups.groupby("named"), key=lambda group: -len(group[1])):
        unknown = asked.limits.any and name == UNKNOWN
        medians = (f"{theirs[part].median():.2f}" for part in ("confidence", "novelty"))
        share = f"{len(theirs) / len(groups):.1%}"
        rows.append((f"{name} (not named)" if unknown else name, len(theirs), share, *medians))
    return section(
        "cells",
        TITLE,
        definitions(_unknown(asked)),
        table(
            ["named", "cells", "share", "median confidence", "median novelty"],
            rows,
            "Confidence: probability of the class. Novelty: share of training cells that are "
            "nearer to a type that was learned.",
        ),
        _maps(asked),
    )


def _unknown(asked: Asked) -> dict[str, str]:
    limits, num = asked.limits, len(asked.named)
    low = asked.confidence < limits.min_confidence
    new = asked.novelty > limits.max_novelty
    facts = {"cells": f"{num:,}"}
    if not limits.any:
        facts["unknown cells"] = (
            "none, as no limit was asked for (min_confidence, max_error or max_novelty)"
        )
    else:
        facts["unknown cells"] = f"{asked.unknown.sum():,} ({asked.unknown.mean():.1%})"
        if limits.min_confidence > 0:
            facts[f"confidence below {limits.min_confidence:.3g}"] = f"{low.sum():,} cells"
        if limits.max_novelty < 1:
            facts[f"novelty above {limits.max_novelty:.3g}"] = f"{new.sum():,} cells"
    for name, part in (
        ("confidence below 0.5", asked.confidence < 0.5),
        ("novelty above 0.95", asked.novelty > 0.95),
    ):
        facts.setdefault(name, f"{part.sum():,} cells ({part.mean():.1%})")
    return facts


def _maps(asked: Asked) -> Html:
    if "X_umap" not in asked.adata.obsm:
        missing = "The cells have no map, adata.obsm['X_umap']. To see them on one, type first:"
        return joined([paragraph(missing), code(_MAP)])
    from anndata import AnnData

    index = [f"cell {i}" for i in range(len(asked.named))]
    shown = AnnData(obs=pd.DataFrame(index=index))
    shown.obs["genegraph"] = pd.Categorical(asked.named)
    shown.obs["genegraph_confidence"] = asked.confidence
    shown.obs["genegraph_novelty"] = asked.novelty
    shown.obsm["X_umap"] = np.asarray(asked.adata.obsm["X_umap"])
    captions = {
        "label": "What each cell was named; a class's number stands at the median of its cells.",
        "confidence": "How sure the classifier is; cells in doubt are dark.",
        "novelty": "How unlike all known types a cell is; new cells are dark.",
    }
    drawn = {part: umap(shown, color=part) for part in ("label", "confidence", "novelty")}
    return joined(picture(ax, captions[part]) for part, ax in drawn.items())
