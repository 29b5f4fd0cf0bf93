"""What the values of an expression matrix are, and their way to a checked float32 matrix.

Three kinds of values are known:

- ``"counts"``: raw counts; divided by the cell's total, times 10,000, then ``log1p``.
- ``"log1p"``: values normalised that way already; taken as they are.
- ``"features"``: any other finite numbers; taken as they are.

`resolve_values` decides once, at fit; `prepare` checks and converts, at fit and at predict.
"""

import warnings
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, NoReturn, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from genegraph.expression_matrix import (
    AnyMatrix,
    as_float32,
    as_matrix,
    blocks,
    check_finite,
    stored,
    stored_per_row,
)
from genegraph.expression_stored import StoredMatrix

Kind: TypeAlias = Literal["counts", "log1p", "features"]

TARGET_SUM = 1e4  # every cell's total after normalisation, as the field does it
LARGEST = 1e18  # of features: attention multiplies two of them
HIGHEST_LOG1P = float(np.log1p(TARGET_SUM)) + 1e-3  # a cell whose only gene has everything
HIGHEST_LOG = 20.0  # log1p of half a billion: above this, values are not logarithms

_CHOICES = """
  values="counts": raw counts (whole numbers); normalised here, over all the genes given
  values="log1p": log1p of normalised counts, also for a subset of the genes, whose cells \
no longer sum to 10,000
  values="features": any other numbers, taken as they are"""


def recognise_values(X: Any) -> Literal["counts", "log1p"] | None:
    """Tells raw counts from log1p of counts per 10,000, by looking at every value.

    The rules, of which the first that holds decides:

    - ``"counts"``: every value is a whole number of at least 0, in any number format.
      Zeros and ones alone are counts too (shallow sequencing).
    - ``"log1p"``: no value is negative or above log1p(10,000) = 9.2104 (+ 0.001), and the
      ``expm1`` of a cell's values sum to 10,000, within 1 %, in at least 95 % of the cells
      that are not empty.
    - ``None``: anything else. A subset of the genes of log1p data ends here, as its cells
      no longer sum to 10,000.

    Args:
        X: Cells x genes, dense or scipy sparse; looked at in blocks of cells.

    Returns:
        ``"counts"``, ``"log1p"`` or ``None``.

    Raises:
        TypeError: If ``X`` does not hold real numbers.
        ValueError: If a value is NaN or infinite.

    Example:
        >>> import numpy as np
        >>> recognise_values(np.array([[0.0, 3.0], [1.0, 0.0]]))
        'counts'
        >>> recognise_values(np.log1p([[2500.0, 7500.0], [0.0, 10000.0]]))
        'log1p'
        >>> recognise_values(np.array([[0.5, -1.0]])) is None
        True
    """
    X = as_matrix(X, "X")
    return _recognise(X, summarise(X, "X"))


def resolve_values(
    X: Any, values: str = "auto", is_anndata: bool = True, *, source: str = "adata.X"
) -> Kind:
    """Settles what the values are, once, so that predict can hold its cells to the same.

    Args:
        X: Cells x genes, dense or scipy sparse.
        values: ``"counts"``, ``"log1p"`` or ``"features"`` are given back unchanged (`prepare`
            checks them). ``"auto"`` asks `recognise_values` when the cells come from an
            AnnData; a bare array is ``"features"``.
        is_anndata: Whether ``X`` comes from an AnnData.
        source: What messages call ``X``.

    Returns:
        The kind of values, never ``"auto"``.

    Raises:
        TypeError: If ``X`` does not hold real numbers.
        ValueError: If ``values`` is unknown, or ``"auto"`` cannot tell.

    Example:
        >>> import numpy as np
        >>> resolve_values(np.array([[0, 3], [1, 0]]))
        'counts'
        >>> resolve_values(np.array([[0.5, -1.0]]), is_anndata=False)
        'features'
    """
    if values not in ("auto", "counts", "log1p", "features"):
        raise ValueError(
            f"'values' must be 'auto', 'counts', 'log1p' or 'features' (got {values!r})."
        )
    if values != "auto":
        return cast(Kind, values)
    if not is_anndata:
        return "features"
    X = as_matrix(X, source)
    summary = summarise(X, source)
    if summary.lowest < 0:
        _refuse_negative(summary, source)
    return _recognise(X, summary) or _refuse_unknown(X, summary, source)


def prepare(
    X: Any,
    values: str = "auto",
    *,
    nonnegative: bool = True,
    source: str = "adata.X",
    fitted: bool = False,
) -> AnyMatrix:
    r"""Checks the values and brings them to the scale on which models are trained.

    Raw counts :math:`c_{ij}` of cell :math:`i` and gene :math:`j` become

    .. math::
        x_{ij} = \log\Big(1 + 10^4\, c_{ij} \big/ \sum_k c_{ik}\Big)

    where the sum runs over all the genes given: prepare first, align the genes afterwards. An
    empty cell stays zero. The other kinds of values are only checked and converted.

    Args:
        X: Cells x genes, dense or scipy sparse. Never written to.
        values: ``"counts"``, ``"log1p"``, ``"features"``, or ``"auto"`` as in
            `resolve_values` for an AnnData.
        nonnegative: Whether ``"features"`` must not be negative, as the graph and the
            attention require.
        source: What messages call ``X``.
        fitted: Whether ``values`` is what a model was fitted on; changes only the messages.

    Returns:
        A float32 numpy array in C order, or, for sparse input of any format, a float32 CSR
        matrix with sorted indices and no duplicates. Where nothing had to change it shares
        its memory with ``X``.

    Raises:
        TypeError: If ``X`` does not hold real numbers.
        ValueError: If a value is NaN or infinite, or the values are of another kind.

    Warns:
        UserWarning: If cells are empty although ``values`` is ``"counts"``.

    Example:
        >>> import numpy as np
        >>> prepare(np.array([[1, 3], [0, 5]]), "counts").round(3)
        array([[7.824, 8.923],
               [0.   , 9.21 ]], dtype=float32)
    """
    kind = resolve_values(X, values, source=source)
    X = check_values(X, kind, nonnegative=nonnegative, source=source, fitted=fitted)
    return _log_normalise(X) if kind == "counts" else as_float32(X)


def check_values(
    X: Any,
    kind: Kind,
    *,
    nonnegative: bool = True,
    source: str = "adata.X",
    fitted: bool = False,
) -> AnyMatrix:
    """Checks that the values are of a kind, and leaves them as they are.

    Arguments, errors and warnings are those of `prepare`.

    Returns:
        A numpy array in C order or tidy CSR.

    Example:
        >>> import numpy as np
        >>> check_values(np.array([[1, 3], [0, 5]]), "counts").tolist()
        [[1, 3], [0, 5]]
    """
    matrix = as_matrix(X, source)
    summary = summarise(matrix, source)
    if kind == "counts":
        _require_counts(matrix, summary, source, fitted)
        _warn_of_empty_cells(summary, source)
    elif kind == "log1p":
        _require_log1p(summary, source, fitted)
    else:
        _require_features(summary, nonnegative, source)
    return matrix


class Summary(NamedTuple):
    """What a pass over all values finds.

    Attributes:
        lowest: Smallest value, zeros included that a sparse matrix omits.
        highest: Largest value.
        num_nonzero: How many are not zero.
        num_fractions: How many are not whole.
        fraction: One of these; NaN where there is none.
        sums: Sum of each cell.
    """

    lowest: float
    highest: float
    num_nonzero: int
    num_fractions: int
    fraction: float
    sums: NDArray[np.float64]


def summarise(
    X: AnyMatrix,
    source: str,
    cells: Sequence[Any] | None = None,
    genes: Sequence[Any] | None = None,
) -> Summary:
    """Looks at every value once, and raises a ValueError if one is not finite.

    Args:
        X: Cells x genes; cells on disk remember what was found.
        source: What messages call ``X``.
        cells: Their names, for messages.
        genes: Likewise.
    """
    if isinstance(X, StoredMatrix) and X.summary is not None:
        return cast(Summary, X.summary)
    lowest, highest = np.inf, -np.inf
    num_nonzero = num_fractions = 0
    fraction = np.nan
    sums = np.zeros(X.shape[0])
    for rows, part in blocks(X):
        values = stored(part)
        if not values.size:
            continue
        low, high = float(values.min()), float(values.max())
        if not np.isfinite(low) or not np.isfinite(high):
            check_finite(X, source, cells, genes)
        sums[rows] = np.asarray(part.sum(axis=1, dtype=np.float64)).ravel()
        lowest, highest = min(lowest, low), max(highest, high)
        num_nonzero += int(np.count_nonzero(values))
        if values.dtype.kind == "f":
            fractions = values[values != np.rint(values)]
            num_fractions += fractions.size
            fraction = float(fractions[0]) if fractions.size and np.isnan(fraction) else fraction
    if num_nonzero < np.prod(X.shape, dtype=float):  # also zeros that a sparse matrix omits
        lowest, highest = min(lowest, 0.0), max(highest, 0.0)
    summary = Summary(lowest, highest, num_nonzero, num_fractions, fraction, sums)
    if isinstance(X, StoredMatrix):
        X.summary = summary
    return summary


def _recognise(X: AnyMatrix, summary: Summary) -> Literal["counts", "log1p"] | None:
    if summary.lowest < 0:
        return None
    if summary.num_fractions == 0:
        return "counts"
    if summary.highest > HIGHEST_LOG1P:
        return None
    sums = expm1_sums(X)
    sums = sums[sums > 0]
    close = np.abs(sums - TARGET_SUM) <= 0.01 * TARGET_SUM
    return "log1p" if close.mean() >= 0.95 else None


def _require_counts(X: AnyMatrix, summary: Summary, source: str, fitted: bool) -> None:
    if summary.lowest < 0:
        _refuse_negative(summary, source)
    if summary.num_fractions == 0:
        return
    needed = "the model was fitted on raw counts" if fitted else "values='counts' was given"
    found = f"holds {summary.fraction:.4g}"
    if _recognise(X, summary) == "log1p":
        found = f"looks like log1p of counts per 10,000 ({found})"
    raise ValueError(
        f"Raw counts are whole numbers: {needed}, but {source} {found}, and "
        f"{summary.num_fractions / summary.num_nonzero:.0%} of its non-zero values are not "
        "whole. Pass the counts, which often are in adata.layers['counts'] or "
        "adata.raw.to_adata()" + ("." if fitted else ", or say what the values are:" + _CHOICES)
    )


def _require_log1p(summary: Summary, source: str, fitted: bool) -> None:
    if summary.lowest < 0:
        _refuse_negative(summary, source)
    needed = "the model was fitted on log1p of normalised counts"
    needed = needed if fitted else "values='log1p' was given"
    same = "Normalise these cells as those of the training (usually counts per 10,000, then log1p)."
    if summary.highest > 0 and summary.num_fractions == 0:
        raise ValueError(
            f"log1p values are not whole numbers: {needed}, but {source} holds nothing else, up "
            f"to {summary.highest:g}, and looks like counts. "
            + (same if fitted else "If so, say values='counts'.")
        )
    if summary.highest > HIGHEST_LOG:
        raise ValueError(
            f"log1p values stay below {HIGHEST_LOG:g}: {needed}, but {source} goes up to "
            f"{summary.highest:g}, so it is no logarithm. "
            + (same if fitted else "Take log1p first, or say what the values are:" + _CHOICES)
        )


def _require_features(summary: Summary, nonnegative: bool, source: str) -> None:
    if max(-summary.lowest, summary.highest) > LARGEST:
        raise ValueError(
            f"{source} must stay below {LARGEST:g}, as products of larger values overflow float32 "
            f"(got values from {summary.lowest:g} to {summary.highest:g}); rescale the features."
        )
    if nonnegative and summary.lowest < 0:
        raise ValueError(
            f"{source} must not hold negative values (smallest {summary.lowest:g}): the graph "
            "and the attention compute relu(G x W), which takes expression to be 0 or more, "
            "and would cut such genes off. Pass values that start at 0, or use neither graph "
            "nor attention."
        )


def _refuse_negative(summary: Summary, source: str) -> NoReturn:
    raise ValueError(
        f"{source} must not hold negative values (smallest {summary.lowest:g}). It looks "
        "scaled, gene by gene, to mean 0; pass the values from before that, which often are in "
        "adata.raw.to_adata() or in a layer such as layer='counts'."
    )


def _refuse_unknown(X: AnyMatrix, summary: Summary, source: str) -> NoReturn:
    with np.errstate(over="ignore"):
        sums = expm1_sums(X)
    raise ValueError(
        f"{source} is neither raw counts nor log1p of counts per 10,000: its values go from "
        f"{summary.lowest:g} to {summary.highest:.4g}, "
        f"{summary.num_fractions / summary.num_nonzero:.0%} of the non-zero ones are not whole "
        f"numbers, and the expm1 of a cell's values sum to {np.median(sums):,.0f} (median; "
        f"10,000 is expected). Say what they are:{_CHOICES}"
    )


def _warn_of_empty_cells(summary: Summary, source: str) -> None:
    num_empty = int((summary.sums == 0).sum())
    if num_empty:
        warnings.warn(
            f"{num_empty:,} of {len(summary.sums):,} cells in {source} have no counts at all; they "
            "stay zero and cannot be told apart.",
            stacklevel=4,
        )


def _log_normalise(X: AnyMatrix) -> AnyMatrix:
    if isinstance(X, StoredMatrix):
        return X.then(lambda part, _: _log_normalise(part))
    values = np.empty(stored(X).size, dtype=np.float32)
    end = 0
    for _, part in blocks(X):
        totals = np.asarray(part.sum(axis=1, dtype=np.float64)).ravel()
        scale = np.divide(TARGET_SUM, totals, out=np.zeros_like(totals), where=totals != 0)
        counts = stored(part)
        start, end = end, end + counts.size
        values[start:end] = np.log1p(counts * np.repeat(scale, stored_per_row(part)))
    if isinstance(X, np.ndarray):
        return values.reshape(X.shape)
    return type(X)((values, X.indices, X.indptr), shape=X.shape)


def expm1_sums(X: AnyMatrix) -> NDArray[np.float64]:
    """Returns the sum of each cell before log1p."""
    sums = np.empty(X.shape[0])
    for rows, part in blocks(X):
        wide = part.astype(np.float64)
        wide = np.expm1(wide) if isinstance(wide, np.ndarray) else wide.expm1()
        sums[rows] = np.asarray(wide.sum(axis=1)).ravel()
    return sums
