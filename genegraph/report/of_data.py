"""The data as the classifier understands them."""

from __future__ import annotations

from genegraph.classifier_adapt import describe
from genegraph.report.asked import Asked
from genegraph.report.html import Html, definitions, paragraph, section

TITLE = "The data, as understood"
_KINDS: dict[str | None, str] = {
    "counts": "counts of reads",
    "log1p": "logarithms of normalised counts, log(1 + x)",
    "features": "features, taken as they are",
}
_NAMED = 8


def of_data(asked: Asked) -> Html:
    """Returns the section: value type, genes, and which of them have neighbours.

    Args:
        asked: The cells and the classifier.
    """
    model, adata = asked.model, asked.adata
    wanted = [str(gene) for gene in model.feature_names_in_]
    there = {str(gene) for gene in adata.var_names}
    missing = [gene for gene in wanted if gene not in there]
    values = _KINDS[model.values_]
    if model.counted_ and model.values_ == "log1p":
        values += f", from which counts were recovered (normalised to {model.target_sum_:,.6g})"
    source = "adata.X" if asked.layer is None else f"the layer {asked.layer!r}"
    facts = {
        "cells": f"{adata.n_obs:,}",
        "genes in the data": f"{adata.n_vars:,}",
        "genes the model knows": f"{len(wanted):,}, of which {len(wanted) - len(missing):,} are in "
        "the data",
        "genes the heads read": f"{len(model.network_.head_input.columns):,}",
        "values": f"{values}; from {source}",
        "genes missing": _some(missing) if missing else "none",
    }
    if model.median_depths_ is not None:
        reads = " to ".join(f"{depth:,.0f}" for depth in sorted({*model.median_depths_}))
        facts["the model learned from"] = f"cells of {reads} reads (median)"
    if model.adapted_ is not None:
        facts["the classifier"] = describe(model.adapted_)
    if model.graph_ is not None:
        report = model.graph_.report()
        facts["isolated genes"] = (
            f"{report.isolated:,} of the {report.genes:,} genes in use have no neighbour in the "
            "graph; the graph says nothing of them"
        )
    if not missing:
        return section("data", TITLE, definitions(facts))
    note = f"{len(missing):,} genes that the model learned from are not in these data; they count "
    return section("data", TITLE, definitions(facts), paragraph(note + "as not expressed."))


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED
    return f"{len(names):,}: " + ", ".join(names[:_NAMED]) + (f" and {more:,} more" * (more > 0))
