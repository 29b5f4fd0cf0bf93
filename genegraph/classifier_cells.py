"""How a classifier reads the cells it is given: to fit, and to name."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from genegraph.classifier_network import smooths
from genegraph.expression import (
    check_values,
    is_anndata,
    labels_from_obs,
    match_genes,
    number_from_obs,
    prepare,
    read_anndata,
    refuse_mudata,
    resolve_values,
    source_of,
)
from genegraph.expression_counts import CountedCells, count_cells
from genegraph.expression_matrix import AnyMatrix, as_float32, take_columns, take_rows

if TYPE_CHECKING:
    from genegraph.classifier import GeneGCNClassifier


SHALLOW = 1 / 2
"""Up to 8 points of accuracy were lost at half of the reads, see ``docs/choices.md``.  By another
composition alone, the median cells of two parts of one study differed by as much as 1 : 0.6."""


class ReadCells(NamedTuple):
    """Cells as the network takes them.

    Attributes:
        X: Float32 cells x genes: counts where ``depth`` is given, else features; in memory or
            on disk.
        depth: Reads of each cell in all its genes.
    """

    X: AnyMatrix
    depth: NDArray[np.float32] | None

    def take(self, rows: NDArray[np.int64]) -> ReadCells:
        """Returns some of the cells."""
        return ReadCells(take_rows(self.X, rows), None if self.depth is None else self.depth[rows])


def read_training(
    model: GeneGCNClassifier, X: Any, y: Any, layer: str | None
) -> tuple[ReadCells, NDArray[Any]]:
    """Reads labelled cells, and notes on the model what they are."""
    refuse_mudata(X)
    if is_anndata(X):
        matrix, names = read_anndata(X, layer)
        labels = labels_from_obs(X, y) if isinstance(y, str) else y
        if labels is None or len(labels) != len(X):
            raise ValueError(
                "'y' must name a column of adata.obs or hold one label per cell (got "
                f"{'None' if labels is None else len(labels)} for {len(X)} cells)."
            )
        labels = np.asarray(labels)
        model.feature_names_in_ = names
        model.n_features_in_ = len(names)
    elif layer is not None:
        raise ValueError(f"'layer' needs an AnnData (got {type(X).__name__}).")
    else:
        matrix, labels = validate_data(model, X, y, accept_sparse="csr", dtype="numeric")
    model.layer_ = layer
    check_classification_targets(labels)
    source = _source(X, layer)
    model.values_ = resolve_values(matrix, model.values, is_anndata(X), source=source)
    model.target_sum_ = None
    model.counted_ = model.shrinkage is not None and model.values_ != "features"
    return _as_read(model, matrix, X, fitted=False), labels


def read_query(model: GeneGCNClassifier, X: Any) -> ReadCells:
    """Reads cells to be named, in the order of the training's genes."""
    refuse_mudata(X)
    if not is_anndata(X):
        matrix = validate_data(model, X, accept_sparse="csr", dtype="numeric", reset=False)
        return in_use(model, _as_read(model, matrix, X, fitted=True))
    if not hasattr(model, "feature_names_in_"):
        raise ValueError(
            "The model was fitted on an array without gene names, so an AnnData cannot be "
            "matched to it; pass an array with the same columns, or fit on an AnnData."
        )
    matrix, names = read_anndata(X, model.layer_)
    # Genes first: cells that lack most of them do not show their reads either.
    columns = match_genes(
        names, model.feature_names_in_, max_missing=model.max_missing, obs_names=X.obs_names
    )
    cells = _as_read(model, matrix, X, fitted=True)
    if columns is not None:
        cells = ReadCells(take_columns(cells.X, columns), cells.depth)
    return in_use(model, cells)


def shares_of_reads(
    model: GeneGCNClassifier, depth: NDArray[np.float32] | None, others: ReadCells | None
) -> tuple[float, float]:
    """Returns the least and the most share of their reads that labelled cells are met with.

    Args:
        model: Its ``thin_to`` says how many reads the median cell is to have.
        depth: Reads of the cells that labels are learned from; None where there are no counts.
        others: Unlabelled cells; where they are much shallower, theirs are the reads to have
            unless ``thin_to`` says other.
    """
    if depth is None or not (whole := float(np.median(depth))):
        return 1.0, 1.0
    wanted = model.thin_to
    if wanted is None and others is not None and others.depth is not None:
        theirs = float(np.median(others.depth))
        wanted = theirs if 0 < theirs < SHALLOW * whole else None
    if wanted is None:
        return 1.0, 1.0
    least, most = np.broadcast_to(wanted, 2).tolist()
    return min(1.0, least / whole), min(1.0, most / whole)


def median_depths(
    cells: ReadCells, shares: tuple[float, float], others: ReadCells | None
) -> tuple[float, float] | None:
    """Returns the least and the most reads that median cells are met with; None for no counts.

    Args:
        cells: Labelled cells.
        shares: The least and the most share of their reads that they are met with.
        others: Unlabelled ones, if there are any.
    """
    if cells.depth is None:
        return None
    found = [share * float(np.median(cells.depth)) for share in shares]
    if others is not None and others.depth is not None:
        found.append(float(np.median(others.depth)))
    return min(found), max(found)


def check_thinning(model: GeneGCNClassifier, cells: ReadCells) -> None:
    """Raises a ValueError if reads are to be left out of cells that have none to count."""
    if model.thin_to is not None and cells.depth is None:
        raise ValueError(
            "'thin_to' leaves out reads by chance, so the cells must be raw counts, or log1p "
            f"values that show them, and 'shrinkage' a number (got values={model.values_!r} and "
            f"shrinkage={model.shrinkage!r})."
        )


def warn_of_depth(model: GeneGCNClassifier, cells: ReadCells) -> None:
    """Warns if a query is far from the reference's depth, and nothing was done about it."""
    if cells.depth is None or model.median_depths_ is None or model.adapted_ is not None:
        return
    here, (least, most) = float(np.median(cells.depth)), model.median_depths_
    there = f"{least:,.0f}" if least == most else f"{least:,.0f} to {most:,.0f}"
    told = f"The cells have {here:,.0f} reads (median), those learned from {there}: many "
    if here < SHALLOW * least:
        warnings.warn(
            f"{told}will be named wrongly. Fit again with thin_to={max(1, round(here))} "
            "(--thin-to), which learns from the reference as if it were as shallow; without the "
            "reference, model.adapt(query) (--adapt) makes up for most of it.",
            stacklevel=4,
        )
    elif SHALLOW * here > most:
        again = "" if model.thin_to is None else "; so does another fit with a larger thin_to"
        warnings.warn(
            f"{told}may be named wrongly, though they are deeper. model.adapt(query) (--adapt) "
            f"makes up for it{again}.",
            stacklevel=4,
        )


def read_groups(X: Any, groups: Any, num_cells: int) -> NDArray[Any] | None:
    """Returns the group of each cell, from a column of ``obs`` or one value per cell."""
    if groups is None:
        return None
    if isinstance(groups, str):
        if not is_anndata(X):
            raise ValueError(
                f"'groups' must hold one value per cell where the cells are no AnnData (got "
                f"{groups!r})."
            )
        groups = labels_from_obs(X, groups)
    values = np.asarray(groups)
    if values.shape != (num_cells,):
        raise ValueError(
            f"'groups' must hold one value per cell (got shape {values.shape} for {num_cells} "
            "cells)."
        )
    names = np.unique(values)
    if len(names) < 2:
        raise ValueError(
            f"'groups' must name at least 2 groups (got 1 group: {names.tolist()[0]!r}); leave it "
            "out where there is nothing to keep apart."
        )
    return values


def in_use(model: GeneGCNClassifier, cells: ReadCells) -> ReadCells:
    """Returns the genes that the network reads, those of its graph."""
    if model._columns is None:
        return cells
    return ReadCells(take_columns(cells.X, model._columns), cells.depth)


def _as_read(model: GeneGCNClassifier, matrix: Any, X: Any, fitted: bool) -> ReadCells:
    source = _source(X, model.layer_)
    kind, nonnegative = model.values_, smooths(model)
    depth = None
    if model.depth is not None and model.counted_:
        depth = number_from_obs(X, model.depth)
    if not model.counted_:
        values = prepare(matrix, kind, nonnegative=nonnegative, source=source, fitted=fitted)
        return ReadCells(values, None)
    checked = check_values(matrix, kind, nonnegative=nonnegative, source=source, fitted=fitted)
    counted = count_cells(checked, kind, depth, model.target_sum_ if fitted else None)
    if isinstance(counted, CountedCells):
        if not fitted:
            model.target_sum_ = counted.target_sum
        return ReadCells(counted.X, counted.depth)
    unclear = (
        f"{len(counted):,} of the {matrix.shape[0]:,} cells in {source} do not show how many "
        f"reads they have (the first is cell {counted[0]}), as their values are no multiples of "
        "one step. Pass raw counts, or name the column of adata.obs that holds each cell's "
        "total count: depth='total_counts'"
    )
    if fitted:
        raise ValueError(f"{unclear}. The model was fitted on cells that do.")
    warnings.warn(
        f"{unclear}. Until then the graph is not used: after the logarithm it was found to add "
        "nothing by itself (num_layers=1 asks for it all the same).",
        stacklevel=5,
    )
    model.counted_ = False
    return ReadCells(as_float32(checked), None)


def _source(X: Any, layer: str | None) -> str:
    return source_of(X, layer) if is_anndata(X) else "X"
