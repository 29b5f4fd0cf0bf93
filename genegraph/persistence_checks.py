"""What must hold of the parts of a model file, before anything is built from them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genegraph.classifier_checks import check_settings
from genegraph.classifier_network import build_network

if TYPE_CHECKING:
    from genegraph.classifier import GeneGCNClassifier

_LABEL_BYTES = 64 << 20
"""No names of types are as long: numpy gives all of them the room of the longest."""

_NUMBER, _NONE = (int, float), type(None)
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(["genes", "attention_function", "fusion", "init", "values", "device"], (str,)),
    **dict.fromkeys(["attention", "normalize", "depth"], (str, _NONE)),
    **dict.fromkeys(["num_neighbors", "num_graphs", "num_heads", "batch_size"], (int,)),
    **dict.fromkeys(["num_layers", "n_top_genes"], (int, _NONE)),
    **dict.fromkeys(["self_loops", "gene_aware", "residual", "verbose"], (bool,)),
    **dict.fromkeys(["max_missing", "validation_fraction"], _NUMBER),
    "shrinkage": (*_NUMBER, _NONE),
    "thin_to": (*_NUMBER, tuple, list, _NONE),
    **dict.fromkeys(["norm", "discriminant"], (bool, _NONE)),
    "hidden_channels": (tuple, list),
    "pretrain": (bool, str),
}


def read_classes(names: Any, dtype: Any) -> NDArray[Any]:
    """Returns the classes in the number format in which they were given.

    Raises:
        ValueError: If they are not at least two different labels, or need more memory than labels
            ever do.
    """
    if not isinstance(names, list) or not isinstance(dtype, str):
        raise ValueError("its classes are no list")
    kind = np.dtype(dtype)
    if kind.kind not in "OUSbiuf" or kind.itemsize * len(names) > _LABEL_BYTES:
        raise ValueError(f"its {len(names):,} classes cannot have the format {dtype!r}")
    classes = np.array(names, dtype=kind)
    if classes.ndim != 1 or len(classes) < 2 or len(set(classes.tolist())) < len(classes):
        raise ValueError("its classes are not two or more, all of them different")
    return classes


def check_stored_settings(model: GeneGCNClassifier) -> None:
    """Raises a ValueError if a setting is of another kind than the argument it came from."""
    for name, kinds in _KINDS.items():
        value = getattr(model, name)
        if type(value) not in kinds:
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise ValueError(f"its setting {name!r} must be {wanted}, and is {value!r:.80}")
    if model.batch_size < 1:
        raise ValueError(f"its setting 'batch_size' must be at least 1, and is {model.batch_size}")
    check_settings(model)


def check_fitted(model: GeneGCNClassifier) -> None:
    """Raises a ValueError if what fit has noted on the model is not what fit notes."""
    wrong = None
    if type(model.n_features_in_) is not int or model.n_features_in_ < 1:
        wrong = "n_features_in_"
    names = getattr(model, "feature_names_in_", None)
    if names is not None and not _are_genes(names.tolist(), model.n_features_in_):
        wrong = "feature_names_in_"
    if model.values_ not in ("counts", "log1p", "features"):
        wrong = "values_"
    if type(model.counted_) is not bool or (model.counted_ and model.shrinkage is None):
        wrong = "counted_"
    if not isinstance(model.history_, list) or type(model.n_iter_) is not int:
        wrong = "history_"
    if not (model.layer_ is None or isinstance(model.layer_, str)):
        wrong = "layer_"
    if not (_is_positive(model.temperature_)):
        wrong = "temperature_"
    if not (model.target_sum_ is None or _is_positive(model.target_sum_)):
        wrong = "target_sum_"
    if model.median_depths_ is not None and not _are_depths(model.median_depths_):
        wrong = "median_depths_"
    if not _is_adaptation(model.adapted_):
        wrong = "adapted_"
    if wrong is not None:
        raise ValueError(f"its {wrong!r} is {getattr(model, wrong)!r}"[:200])


def check_codes(codes: NDArray[Any], num_classes: int) -> None:
    """Raises a ValueError if these are not numbers of classes."""
    if codes.dtype != np.int64 or ((codes < 0) | (codes >= num_classes)).any():
        raise ValueError(f"its held-out cells name other classes than its {num_classes}")


def check_weights(model: GeneGCNClassifier, num_genes: int, stored: dict[str, Tensor]) -> None:
    """Compares the weights that the settings ask for with those stored.

    Nothing is allocated for the former: a small file cannot ask for a network that no machine
    holds.

    Raises:
        ValueError: If a name, shape or number format differs.
    """
    layers = max(1, model.num_layers or 0) * model.num_graphs
    for part in (model.num_heads, layers, len(model.hidden_channels)):
        if part > len(stored):  # each has a weight of its own at least
            raise ValueError(f"its settings ask for more parts than its {len(stored)} weights")
    with torch.device("meta"):
        asked = build_network(model, num_genes).state_dict()
    for name in sorted({*asked, *stored}):
        here, there = _looks(asked, name), _looks(stored, name)
        if here != there:
            raise ValueError(f"{name!r} must be {here} by its settings, and is {there}")
    columns = stored["head_input.columns"]
    if ((columns < 0) | (columns >= num_genes)).any():
        raise ValueError(f"its heads read other genes than its {num_genes}")


def _looks(weights: dict[str, Any], name: str) -> str:
    tensor = weights.get(name)
    if not isinstance(tensor, Tensor):
        return "absent"
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _is_positive(number: Any) -> bool:
    return isinstance(number, float | int) and math.isfinite(number) and number > 0


def _is_adaptation(told: Any) -> bool:
    if told is None:
        return True
    kinds = {"cells": (int,), "known": (int,), "shift": _NUMBER, "slope": _NUMBER}
    return (
        isinstance(told, dict)
        and {*told} == {*kinds}
        and all(type(told[key]) in kinds[key] and told[key] >= 0 for key in kinds)
    )


def _are_depths(depths: Any) -> bool:
    return (
        isinstance(depths, tuple)
        and len(depths) == 2
        and all(type(depth) is float and 0 <= depth < math.inf for depth in depths)
    )


def _are_genes(names: list[Any], number: int) -> bool:
    return all(type(name) is str for name in names) and len(set(names)) == number == len(names)
