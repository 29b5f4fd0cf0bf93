"""What a classifier refuses at the door, and what makes two of its fits the same one."""

from __future__ import annotations

import hashlib
import math
import numbers
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from genegraph.classifier_cells import ReadCells
from genegraph.expression_matrix import blocks, stored
from genegraph.graph import GeneGraph
from genegraph.nn.attention_functions import ATTENTION_FUNCTIONS
from genegraph.nn.checks import check_attention
from genegraph.processes import are_several

if TYPE_CHECKING:
    from genegraph.classifier import GeneGCNClassifier

CHOICES: dict[str, tuple[Any, ...]] = {
    "genes": ("all", "interacting"),
    "attention": ("full", "edges", "shared", None),
    "attention_function": ATTENTION_FUNCTIONS,
    "fusion": ("sum", "gate"),
    "normalize": ("max", "sym", "row", None),
    "init": ("absolute", "uniform"),
    "pretrain": (False, True, "frozen"),
    "deterministic": (False, True),
    "discriminant": (False, True, None),
    "device": ("auto", "cpu", "cuda"),
}

NOT_IN_FINGERPRINT = ("graph", "device", "verbose", "trainer_options", "max_missing")


def check_options(model: GeneGCNClassifier) -> None:
    """Raises an error for a parameter that cannot be, or not on this machine.

    Raises:
        TypeError: If the graph is no graph.
        ValueError: If an option is unknown, or two of them exclude each other.
        RuntimeError: If CUDA was asked for and there is none.
    """
    check_settings(model)
    if model.device == "cuda" and not torch.cuda.is_available():
        raise RuntimeError(
            "device='cuda' was asked for, but torch sees no CUDA device; use device='auto' "
            "to fall back to the CPU."
        )


def check_settings(model: GeneGCNClassifier) -> None:
    """Raises an error for a parameter that cannot be, on whatever machine.

    Raises:
        TypeError: If the graph is no graph.
        ValueError: If an option is unknown, or two of them exclude each other.
    """
    if model.graph is not None and not isinstance(model.graph, GeneGraph):
        raise TypeError(
            f"'graph' must be a GeneGraph or None (got {type(model.graph).__name__}). "
            "Build one with GeneGraph.from_interactions(table)."
        )
    for name, allowed in CHOICES.items():
        if getattr(model, name) not in allowed:
            raise ValueError(f"{name!r} must be one of {allowed} (got {getattr(model, name)!r}).")
    if model.graph is None and model.attention == "edges":
        raise ValueError("attention='edges' needs a graph (got graph=None).")
    if model.graph is None and model.genes == "interacting":
        raise ValueError("genes='interacting' needs a graph (got graph=None).")
    if model.gene_aware and model.attention not in ("full", "edges"):
        raise ValueError(
            "gene_aware=True needs attention='full' or attention='edges' (got "
            f"attention={model.attention!r})."
        )
    per_gene = model.gene_aware or model.attention == "shared"
    check_attention(model.attention, model.attention_function, 1, 1 if per_gene else None)
    if model.shrinkage is not None and not 0 < model.shrinkage < float("inf"):
        raise ValueError(
            f"'shrinkage' must be a number of reads above 0, or None (got {model.shrinkage!r})."
        )
    if model.thin_to is not None and not _are_reads(model.thin_to):
        raise ValueError(
            "'thin_to' must be the reads of the median cell to be named, a number above 0, or the "
            f"least and the most of them, or None (got {model.thin_to!r})."
        )
    if model.n_top_genes is not None and model.n_top_genes < 1:
        raise ValueError(
            f"'n_top_genes' must be at least 1, or None for all (got {model.n_top_genes!r})."
        )
    if model.num_heads < 1:
        raise ValueError(f"'num_heads' must be at least 1 (got {model.num_heads!r}).")
    if model.discriminant and (model.num_heads < 2 or model.class_weight is not None):
        raise ValueError(
            "discriminant=True needs 'num_heads' of at least 2, whose held-out cells say how much "
            "to listen to it, and class_weight=None, as it takes all classes for equally frequent "
            f"(got num_heads={model.num_heads!r} and class_weight={model.class_weight!r})."
        )
    if not 0 <= model.max_missing <= 1:
        raise ValueError(f"'max_missing' must lie in 0 .. 1 (got {model.max_missing!r}).")
    if are_several(model.trainer_options) and not isinstance(model.random_state, numbers.Integral):
        raise ValueError(
            "'random_state' must be an integer where several devices train together, so that all "
            f"draw the same folds and batches (got {model.random_state!r})."
        )
    fraction = model.validation_fraction
    if not 0 <= fraction < 1 or (model.patience and not fraction):
        raise ValueError(
            "'validation_fraction' must lie in 0 .. 1, and above 0 with 'patience' "
            f"(got {fraction!r})."
        )


def _are_reads(wanted: Any) -> bool:
    ends = wanted if isinstance(wanted, tuple | list) else (wanted, wanted)
    if len(ends) != 2 or not all(isinstance(end, numbers.Real) for end in ends):
        return False
    least, most = map(float, ends)
    return 0 < least <= most < math.inf


def check_classes(classes: NDArray[Any]) -> None:
    """Raises a ValueError if there is nothing to tell apart."""
    if len(classes) < 2:
        raise ValueError(
            f"'y' must hold at least 2 classes (got 1 class: {classes.tolist()[0]!r})."
        )


def fingerprint_of(
    model: GeneGCNClassifier,
    cells: ReadCells,
    codes: NDArray[np.int64],
    groups: NDArray[Any] | None,
    unlabeled: ReadCells | None = None,
) -> str:
    """Returns a hash of cells, labels, groups, graph and settings.

    How a fit runs (device, verbosity) does not count.

    Args:
        model: Its parameters and its graph, aligned and normalised.
        cells: The cells as the network takes them.
        codes: Number of each cell's class.
        groups: The group of each cell, or None.
        unlabeled: The cells without labels, or None.
    """
    settings = {k: v for k, v in sorted(model.get_params().items()) if k not in NOT_IN_FINGERPRINT}
    if not isinstance(model.random_state, numbers.Integral):
        settings["random_state"] = None
    graph = None if model.graph_ is None else model.graph_.content_hash
    features, depth = cells
    digest = hashlib.sha256(repr((settings, graph, features.shape)).encode())
    if groups is not None:
        digest.update(repr(groups.tolist()).encode())
    for matrix in (features, *([] if unlabeled is None else [unlabeled.X])):
        for _, part in blocks(matrix):
            places = () if isinstance(part, np.ndarray) else (part.indptr, part.indices)
            for numbers_of in (stored(part), *places):
                digest.update(np.ascontiguousarray(numbers_of).tobytes())
    for known in (codes, depth, None if unlabeled is None else unlabeled.depth):
        if known is None:
            continue
        digest.update(np.ascontiguousarray(known).tobytes())
    return digest.hexdigest()
