"""What is needed to do it again."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from genegraph.report.asked import Asked
from genegraph.report.fingerprints import hash_of_cells, hash_of_weights
from genegraph.report.html import Html, code, definitions, section, table
from genegraph.version import __version__

TITLE = "Settings, versions and hashes"
_LIBRARIES = ["torch", "torch-geometric", "lightning", "numpy", "scipy", "scikit-learn", "numba"]
_LIBRARIES += ["anndata", "pandas", "matplotlib"]


def of_settings(asked: Asked) -> Html:
    """Returns the section: settings, code, versions, and hashes of data, graph and weights.

    Args:
        asked: The cells and the classifier.
    """
    model = asked.model
    settings = {k: v for k, v in model.get_params(deep=False).items() if k != "graph"}
    usual = type(model)().get_params(deep=False)
    rows = [
        (name, repr(value), _if_changed(value, usual[name])) for name, value in settings.items()
    ]
    hashes = {
        "cells (names, genes, values)": hash_of_cells(asked.adata, asked.layer),
        "weights and classes": hash_of_weights(model),
        "graph in use": None if model.graph_ is None else model.graph_.content_hash,
    }
    return section(
        "settings",
        TITLE,
        code(_recipe(asked, settings, usual)),
        table(["setting", "value", "usual value, if another"], rows, "Settings of the classifier."),
        Html("<h3>Versions</h3>"),
        definitions({"genegraph": __version__, "Python": platform.python_version(), **_versions()}),
        Html("<h3>SHA-256</h3>"),
        definitions(hashes),
    )


def _recipe(asked: Asked, settings: dict[str, Any], usual: dict[str, Any]) -> str:
    changed = [f"{k}={v!r}" for k, v in settings.items() if repr(v) != repr(usual[k])]
    given = ["graph"] if asked.model.graph_ is not None else []
    layer = "" if asked.layer is None else f", layer={asked.layer!r}"
    limits = ""
    if asked.limits.min_confidence > 0:
        limits += f", min_confidence={asked.limits.min_confidence!r}"
    if asked.limits.max_novelty < 1:
        limits += f", max_novelty={asked.limits.max_novelty!r}"
    return (
        f"model = GeneGCNClassifier({', '.join([*given, *changed])})\n"
        f"model.fit(training_cells, labels{layer})\n"
        f"model.report(cells, path{limits})"
    )


def _if_changed(value: Any, usual: Any) -> str:
    return "" if repr(value) == repr(usual) else repr(usual)


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
