"""A fitted model in one file, and back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from genegraph.adaptation import TypeMeans
from genegraph.classifier_network import align_graph, build_network
from genegraph.graph import GeneGraph
from genegraph.novelty import Novelty
from genegraph.persistence_checks import (
    check_codes,
    check_fitted,
    check_stored_settings,
    check_weights,
    read_classes,
)
from genegraph.safefile import flatten_tree, read_safe, unflatten_tree, write_safe

if TYPE_CHECKING:
    from genegraph.classifier import GeneGCNClassifier

FORMAT = 6
NOT_SAVED = ("graph", "trainer_options")
FITTED = (
    "n_features_in_",
    "history_",
    "n_iter_",
    "values_",
    "layer_",
    "counted_",
    "target_sum_",
    "temperature_",
    "adapted_",
    "median_depths_",
)


def save_model(model: GeneGCNClassifier, path: str | os.PathLike[str]) -> None:
    """Writes weights, genes, classes, graph, settings and versions into one file."""
    settings = {k: v for k, v in model.get_params(deep=False).items() if k not in NOT_SAVED}
    if isinstance(settings["random_state"], np.random.RandomState):
        settings["random_state"] = None  # a generator's state is not a setting
    state: dict[str, Any] = {
        "settings": settings,
        "fitted": {name: getattr(model, name) for name in FITTED},
        "classes": model.classes_.tolist(),
        "classes_dtype": model.classes_.dtype.str,
        "genes": None,
        "versions": {"torch": str(torch.__version__), "numpy": np.__version__},
        "network": dict(model.network_.state_dict()),
        "held_out": _held_out(model),
        "novelty": vars(model.novelty_),
        "types": vars(model.types_),
        "graph": None if model._aligned is None else model._aligned.to_state(),
    }
    if hasattr(model, "feature_names_in_"):
        state["genes"] = [str(name) for name in model.feature_names_in_]
    tree, tensors = flatten_tree(state)
    write_safe(path, tensors, {"model": tree}, kind="model", version=FORMAT)


def _held_out(model: GeneGCNClassifier) -> dict[str, np.ndarray] | None:
    """The held-out cells as numbers."""
    held = model.held_out_
    if held is None:
        return None
    place = {label: code for code, label in enumerate(model.classes_.tolist())}
    return {
        "rows": held.index.to_numpy(np.int64),
        "label": held["label"].map(place).to_numpy(np.int64),
        "predicted": held["predicted"].map(place).to_numpy(np.int64),
        "confidence": held["confidence"].to_numpy(),
    }


def load_model(cls: type[GeneGCNClassifier], path: str | os.PathLike[str]) -> GeneGCNClassifier:
    """Reads what :func:`save_model` wrote.

    Its parameter ``graph`` is the graph aligned to the genes of the training cells.

    Raises:
        ValueError: If the file is not such a model or does not fit together.
    """
    tensors, meta = read_safe(path, kind="model", version=FORMAT)
    try:
        state = unflatten_tree(meta["model"], tensors)
        return _rebuild(cls, state)
    except _MISFITS as error:
        raise ValueError(f"{path} is damaged: its parts do not fit together ({error}).") from error


_MISFITS = (
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    OverflowError,
    RuntimeError,
)
"""What parts of the right form and with the wrong content lead to."""


def _rebuild(cls: type[GeneGCNClassifier], state: dict[str, Any]) -> GeneGCNClassifier:
    graph = None if state["graph"] is None else GeneGraph.from_state(state["graph"])
    model = cls(graph, **state["settings"])
    check_stored_settings(model)
    model.classes_ = read_classes(state["classes"], state["classes_dtype"])
    for name in FITTED:
        setattr(model, name, state["fitted"][name])
    held = state["held_out"]
    model.held_out_ = None
    if held is not None:
        for part in ("label", "predicted"):
            check_codes(held[part], len(model.classes_))
        named = {part: model.classes_[held[part]] for part in ("label", "predicted")}
        model.held_out_ = pd.DataFrame(
            {**named, "confidence": held["confidence"]}, index=held["rows"]
        )
    model.novelty_ = Novelty(**state["novelty"])
    model.types_ = TypeMeans(**state["types"])
    if state["genes"] is not None:
        model.feature_names_in_ = np.array(list(state["genes"]), dtype=object)
    check_fitted(model)
    align_graph(model)
    in_use = model.n_features_in_ if model.graph_ is None else model.graph_.num_genes
    check_weights(model, in_use, state["network"])
    model.network_ = build_network(model, in_use)
    model.network_.load_state_dict(state["network"])
    model.network_.eval()
    read = model.network_.head_input
    num_features, num_classes = len(read.columns), len(model.classes_)
    model.novelty_.check_shape(num_features, num_classes)
    model.types_.check_shape(read.num_views, num_classes, num_features)
    return model
