"""What a classifier says of the cells that a report is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genegraph.annotation import UNKNOWN, Limits, name_cells
from genegraph.expression import labels_from_obs
from genegraph.reliability import Reliability

if TYPE_CHECKING:
    from anndata import AnnData

    from genegraph.classifier import GeneGCNClassifier


@dataclass(frozen=True)
class Asked:
    """A classifier, cells, and what the one says of the others.

    Attributes:
        model: The fitted classifier.
        adata: The cells.
        labels: The true label of each cell, as text; None if they are not known.
        probable: The most probable class of each cell, as text.
        named: That, or ``"unknown"``.
        confidence: The probability of the most probable class.
        novelty: See :meth:`~genegraph.GeneGCNClassifier.novelty`.
        limits: From where on a cell is unknown.
    """

    model: GeneGCNClassifier
    adata: AnnData
    labels: NDArray[Any] | None
    probable: NDArray[Any]
    named: NDArray[Any]
    confidence: NDArray[np.float64]
    novelty: NDArray[np.float64]
    limits: Limits

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """Which cells were not named."""
        return self.named == UNKNOWN if self.limits.any else np.zeros(len(self.named), dtype=bool)

    @property
    def layer(self) -> str | None:
        """The layer that the model reads."""
        layer: str | None = self.model.layer_
        return layer

    def scored(self) -> tuple[NDArray[Any], NDArray[Any], Reliability, str] | None:
        """Returns labels, names and confidence of labelled cells, and which cells these are.

        They are the report's own cells, if their labels were given, else the cells of fit that
        were held out; None if there are neither.  Unknown cells count by their probable class.
        """
        if self.labels is not None:
            sure = Reliability.of(self.labels, self.probable, self.confidence)
            which = "the labelled cells of this report"
            if self.unknown.any():
                which += " (unknown ones by their most probable class)"
            return self.labels, self.probable, sure, which
        held = self.model.held_out_
        if held is None:
            return None
        label, named = (held[part].astype(str).to_numpy() for part in ("label", "predicted"))
        sure = Reliability.of(label, named, held["confidence"])
        return label, named, sure, "the training cells, each named by heads that had not seen it"


def ask_model(model: GeneGCNClassifier, adata: AnnData, y: Any, limits: Limits) -> Asked:
    """Names the cells of a report.

    Args:
        model: The fitted classifier.
        adata: The cells.
        y: Their labels, a column of ``obs`` or one per cell; None if they are not known.
        limits: From where on a cell is unknown.

    Raises:
        ValueError: If there is not one label per cell.
    """
    labels = labels_from_obs(adata, y) if isinstance(y, str) else y
    if labels is not None:
        labels = np.array([str(label) for label in labels], dtype=object)
        if len(labels) != adata.n_obs:
            raise ValueError(
                f"'y' must hold one label per cell (got {len(labels)} for {adata.n_obs} cells)."
            )
    proba, novelty = model._ask(adata)
    new = limits.new(novelty, model.adapted_ is not None)
    named = name_cells(proba, model.classes_, limits.unsure(proba, new))
    as_text = np.array([str(name) for name in named], dtype=object)
    best = np.array([str(name) for name in model.classes_[proba.argmax(axis=1)]], dtype=object)
    confidence = proba.max(axis=1).astype(np.float64)
    return Asked(model, adata, labels, best, as_text, confidence, novelty, limits)
