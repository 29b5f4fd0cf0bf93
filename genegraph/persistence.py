"""A fitted model in one file, and back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from genegraph.graph import GeneGraph
from genegraph.safefile import flatten_tree, read_safe, unflatten_tree, write_safe

if TYPE_CHECKING:
    from genegraph.classifier import GeneGCNClassifier

FORMAT = 2
NOT_SAVED = ("graph", "trainer_options")
FITTED = (
    "n_features_in_",
    "history_",
    "n_iter_",
    "values_",
    "layer_",
    "counted_",
    "target_sum_",
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
        "graph": None if model._aligned is None else model._aligned.to_state(),
    }
    if hasattr(model, "feature_names_in_"):
        state["genes"] = [str(name) for name in model.feature_names_in_]
    tree, tensors = flatten_tree(state)
    write_safe(path, tensors, {"model": tree}, kind="model", version=FORMAT)


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
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(f"{path} is damaged: its parts do not fit together ({error}).") from error


def _rebuild(cls: type[GeneGCNClassifier], state: dict[str, Any]) -> GeneGCNClassifier:
    graph = None if state["graph"] is None else GeneGraph.from_state(state["graph"])
    model = cls(graph, **state["settings"])
    model.classes_ = np.array(state["classes"], dtype=np.dtype(state["classes_dtype"]))
    for name in FITTED:
        setattr(model, name, state["fitted"][name])
    if state["genes"] is not None:
        model.feature_names_in_ = np.array(state["genes"], dtype=object)
    model._align_graph()
    in_use = model.n_features_in_ if model.graph_ is None else model.graph_.num_genes
    model.network_ = model._build(in_use)
    model.network_.load_state_dict(state["network"])
    model.network_.eval()
    return model
