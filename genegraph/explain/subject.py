"""What is explained: a fitted network, its graph, and cells in the unit their owner thinks in."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from genegraph.batches import CellLoader, CellRows, cell_inputs
from genegraph.classifier_cells import read_query
from genegraph.classifier_network import edges_on, torch_device
from genegraph.expression import is_anndata, labels_from_obs

if TYPE_CHECKING:
    from genegraph.classifier import GeneGCNClassifier

TARGET_SUM = 1e4
"""Expression is explained in the field's unit: logarithms of reads per 10,000."""


class Subject:
    r"""A fitted classifier and the cells on which it is explained.

    Expression is :math:`x = \log(1 + 10^4 c / T)` where the network takes counts :math:`c` of a
    cell of :math:`T` reads, else what the network takes.  What is explained of a cell is the
    *margin* of a class :math:`k`, its calibrated logit above the mean of all :math:`K` classes,

    .. math::
        m_k = \frac{1}{\tau} \Big( \mathrm{logit}_k - \frac{1}{K} \sum_l \mathrm{logit}_l \Big).

    Unlike a probability it does not saturate, and the margins of a cell sum to zero: what speaks
    for all types alike speaks for none.

    Args:
        model: The fitted classifier; it is not changed.
        X: The cells, as its ``predict`` takes them.

    Attributes:
        model: The classifier.
        network: A copy of its network, whose parameters want no gradient.
        edges: ``edge_index`` and ``edge_weight`` as the network takes them, or None and None.
        genes: Names of the network's genes.
        names: Names of the cells, or their numbers.
        device: Where the network is.
    """

    def __init__(self, model: GeneGCNClassifier, X: Any) -> None:
        check_is_fitted(model)
        self.model = model
        self.device = torch_device(model)
        network = copy.deepcopy(model.network_).to(self.device)
        self.network = network.eval().requires_grad_(False)
        self.edges = edges_on(model, self.device)
        self.genes = gene_names(model)
        read = read_query(model, X)
        self.cells = CellRows(read.X, depth=read.depth)
        adata = is_anndata(X)
        self.names: NDArray[Any] = X.obs_names.to_numpy() if adata else np.arange(len(self.cells))
        self._X = X

    def __len__(self) -> int:
        return len(self.cells)

    def batches(self, rows: NDArray[np.int64] | None = None) -> Iterator[tuple[Tensor, Any]]:
        """Yields expression ``[num_cells, num_genes]`` and depth of cells, batch after batch."""
        cells = self.cells if rows is None else self.cells.take(rows)
        for batch in CellLoader(cells, self.model.batch_size):
            x, depth = cell_inputs(batch, self.device)
            if depth is not None:
                x = torch.log1p(x * (TARGET_SUM / depth.clamp(min=1)[:, None]))
            yield x, depth

    def logits(
        self, x: Tensor, depth: Tensor | None, edges: tuple[Any, Any] | None = None
    ) -> Tensor:
        """Returns calibrated logits ``[num_cells, num_classes]`` of expression."""
        edge_index, edge_weight = self.edges if edges is None else edges
        taken = self.network_input(x, depth)
        logits: Tensor = self.network(taken, edge_index, edge_weight, depth)
        return logits / float(self.model.temperature_)

    def network_input(self, x: Tensor, depth: Tensor | None) -> Tensor:
        """Returns expression as the network takes it: reads, where the cells have a depth."""
        if depth is None:
            return x
        return torch.expm1(x) * (depth.clamp(min=1)[:, None] / TARGET_SUM)

    def margins(
        self, x: Tensor, depth: Tensor | None, edges: tuple[Any, Any] | None = None
    ) -> Tensor:
        """Returns how far each class's logit is above the mean, ``[num_cells, num_classes]``."""
        logits = self.logits(x, depth, edges)
        return logits - logits.mean(dim=1, keepdim=True)

    @torch.no_grad()
    def probabilities(
        self, rows: NDArray[np.int64] | None = None, edges: tuple[Any, Any] | None = None
    ) -> Tensor:
        """Returns the probability of each class, ``[num_cells, num_classes]``."""
        parts = [self.logits(x, depth, edges) for x, depth in self.batches(rows)]
        return torch.cat(parts).softmax(dim=1)

    @torch.no_grad()
    def mean_expression(self) -> Tensor:
        """Returns the mean over all cells of each gene's expression, ``[num_genes]``."""
        total = torch.zeros(len(self.genes), dtype=torch.float64, device=self.device)
        for x, _ in self.batches():
            total += x.sum(0, dtype=torch.float64)
        return (total / len(self)).to(next(self.network.parameters()).dtype)

    def labels(self, groupby: str | Sequence[Any] | None) -> NDArray[Any]:
        """Returns the label of each cell: its predicted class, a column of obs, or as given."""
        if groupby is None:
            best = self.probabilities().argmax(dim=1).cpu().numpy()
            predicted: NDArray[Any] = self.model.classes_[best]
            return predicted
        if isinstance(groupby, str):
            if not is_anndata(self._X):
                raise ValueError(
                    "'groupby' names a column of adata.obs, but the cells are no AnnData (got "
                    f"{groupby!r} and {type(self._X).__name__}); pass one label per cell."
                )
            return labels_from_obs(self._X, groupby)
        given = np.asarray(groupby)
        if given.shape != (len(self),):
            raise ValueError(
                f"'groupby' must hold one label per cell (got shape {given.shape} for "
                f"{len(self)} cells)."
            )
        return given

    def cells_by_class(
        self,
        groupby: str | Sequence[Any] | None,
        classes: Sequence[Any] | None,
        max_cells: int | None,
    ) -> dict[Any, NDArray[np.int64]]:
        """Returns the positions of each class's cells, at most so many, spread over all of them.

        Raises:
            ValueError: If a class is none of the model's, or has no cells.
        """
        labels = self.labels(groupby)
        known = self.model.classes_.tolist()
        wanted = [k for k in known if (labels == k).any()] if classes is None else list(classes)
        strange = [k for k in wanted if k not in known]
        if strange or not wanted:
            raise ValueError(
                f"The cells to explain must be of classes that the model knows, {known} (got "
                f"{strange or sorted(set(map(str, labels)))})."
            )
        rows = {k: spread(np.flatnonzero(labels == k), max_cells) for k in wanted}
        empty = [k for k, of_class in rows.items() if len(of_class) == 0]
        if empty:
            how = "is predicted" if groupby is None else "is labelled"
            raise ValueError(
                f"No cell {how} {empty[0]!r}; leave it out of 'classes', or say in 'groupby' which "
                "cells are of it."
            )
        return rows


def gene_names(model: GeneGCNClassifier) -> NDArray[Any]:
    """Returns the names of the network's genes, or their numbers where there are none."""
    if hasattr(model, "feature_names_in_"):
        names = np.array([str(name) for name in model.feature_names_in_], dtype=object)
    elif model.graph is not None:
        names = np.array(model._aligned.genes, dtype=object)
    else:
        names = np.array([str(i) for i in range(model.n_features_in_)], dtype=object)
    return names if model._columns is None else names[model._columns]


def positions(genes: Sequence[Any], known: NDArray[Any] | Mapping[Any, int], what: str) -> Any:
    """Returns where genes stand among the network's, as an array.

    Raises:
        ValueError: If one is not there; it names up to three.
    """
    place = known if isinstance(known, Mapping) else {name: i for i, name in enumerate(known)}
    missing = [gene for gene in genes if gene not in place]
    if missing:
        raise ValueError(
            f"{what} must be genes that the model reads (got {len(missing)} that are not: "
            f"{', '.join(map(repr, missing[:3]))}{', ...' if len(missing) > 3 else ''})."
        )
    return np.array([place[gene] for gene in genes], dtype=np.int64)


def spread(rows: NDArray[np.int64], at_most: int | None) -> NDArray[np.int64]:
    """Takes at most so many, from first to last in even steps.

    Example:
        >>> spread(np.arange(10), 4).tolist()
        [0, 3, 6, 9]
    """
    if at_most is None or len(rows) <= at_most:
        return rows
    if at_most < 1:
        raise ValueError(f"'max_cells' must be at least 1, or None for all (got {at_most}).")
    return rows[np.linspace(0, len(rows) - 1, at_most).round().astype(np.int64)]
