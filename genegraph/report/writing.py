"""The report, put together and written."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from genegraph.annotation import Limits
from genegraph.expression import is_anndata
from genegraph.files import write_whole
from genegraph.report import (
    of_cells,
    of_data,
    of_graph,
    of_interactions,
    of_scores,
    of_settings,
    of_training,
)
from genegraph.report.asked import Asked, ask_model
from genegraph.report.html import Html, html
from genegraph.report.page import page
from genegraph.version import __version__

if TYPE_CHECKING:
    from anndata import AnnData

    from genegraph.classifier import GeneGCNClassifier


def write_report(
    model: GeneGCNClassifier,
    adata: AnnData,
    path: str | os.PathLike[str],
    *,
    y: Any = None,
    interactions: pd.DataFrame | bool = True,
    limits: Limits | None = None,
) -> None:
    """Writes what :meth:`~genegraph.GeneGCNClassifier.report` says.

    Args:
        model: A fitted classifier.
        adata: The cells.
        path: The HTML file; an older one is replaced.
        y: The cells' labels, a column of ``obs`` or one per cell; None if they are not known.
        interactions: A table of :mod:`genegraph.explain`, True to make one, False for none.
        limits: From where on a cell is unknown; None names all.

    Raises:
        TypeError: If the cells are no AnnData, or ``interactions`` is neither a table nor a bool.
        ValueError: If the model knows no gene names, or there is not one label per cell.
    """
    if not is_anndata(adata):
        raise TypeError(f"'adata' must be an AnnData (got {type(adata).__name__}).")
    if not isinstance(interactions, bool | pd.DataFrame):
        raise TypeError(
            "'interactions' must be a DataFrame of genegraph.explain, True or False (got "
            f"{type(interactions).__name__})."
        )
    asked = ask_model(model, adata, y, limits or Limits())
    sections = {
        "data": (of_data.TITLE, of_data.of_data(asked)),
        "graph": (of_graph.TITLE, of_graph.of_graph(asked)),
        "training": (of_training.TITLE, of_training.of_training(asked)),
        "scores": (of_scores.TITLE, of_scores.of_scores(asked)),
        "confidence": (of_scores.TITLE_CONFIDENCE, of_scores.of_confidence(asked)),
        "cells": (of_cells.TITLE, of_cells.of_cells(asked)),
    }
    ranked = of_interactions.of_interactions(asked, interactions)
    if ranked:
        sections["interactions"] = (of_interactions.TITLE, ranked)
    sections["settings"] = (of_settings.TITLE, of_settings.of_settings(asked))
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    text = page("Cell types, and why", _lead(asked), sections, f"genegraph {__version__}, {made}")
    write_whole(path, text.encode())


def _lead(asked: Asked) -> Html:
    named = len(set(asked.named[~asked.unknown]))
    said = f"{(~asked.unknown).sum():,} of {len(asked.named):,} cells were named, {named:,} types."
    scored = asked.scored()
    if scored is not None:
        _, _, sure, which = scored
        said += f" {sure.correct.mean():.1%} of {which} were named rightly."
    return Html(f'<p class="lead">{html(said)}</p>')
