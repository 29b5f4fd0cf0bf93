"""Cells in: from an AnnData to a checked matrix, its gene names and its labels.

The usual way of the cells: `read_anndata`, `resolve_values` (once, at fit) and `prepare`; for those
to be named also the genes of the training, by `match_genes`. The caller's data is never written to.
"""

import sys
import warnings
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genegraph.expression_matrix import (
    AnyMatrix,
    Matrix,
    as_matrix,
    check_finite,
    tidy,
)
from genegraph.expression_stored import StoredMatrix, check_sparse, damage_named, stays_on_disk
from genegraph.expression_values import (
    Kind,
    check_values,
    prepare,
    recognise_values,
    resolve_values,
    summarise,
)
from genegraph.interactions.wording import some_of

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = [
    "Cells",
    "Kind",
    "Matrix",
    "check_anndata",
    "check_values",
    "is_anndata",
    "labels_from_obs",
    "match_genes",
    "number_from_obs",
    "prepare",
    "read_anndata",
    "read_matrix",
    "recognise_values",
    "refuse_mudata",
    "resolve_values",
    "source_of",
    "takes_raw",
]


class Cells(NamedTuple):
    """A matrix of cells x genes and the names of its columns.

    Attributes:
        X: A numpy array in C order, or tidy CSR where the AnnData is sparse; in the number
            format of the AnnData, whose memory it may share.  Or what gives such parts, where
            the cells stay on disk.
        genes: One name per column, each of them once.
    """

    X: AnyMatrix
    genes: NDArray[np.object_]


def is_anndata(obj: object) -> bool:
    """Tells whether this is an AnnData, without importing anndata for the question.

    Example:
        >>> is_anndata([[1, 2]])
        False
    """
    anndata = sys.modules.get("anndata")
    return anndata is not None and isinstance(obj, getattr(anndata, "AnnData", ()))


def check_anndata(cells: object) -> None:
    """Raises a TypeError if this is no AnnData.

    Example:
        >>> check_anndata([[1, 2]])
        Traceback (most recent call last):
        TypeError: 'adata' must be an AnnData (got list).
    """
    if not is_anndata(cells):
        raise TypeError(f"'adata' must be an AnnData (got {type(cells).__name__}).{_hint(cells)}")


def refuse_mudata(cells: object) -> None:
    """Raises a TypeError if these are cells measured in several ways."""
    if type(cells).__name__ == "MuData":
        check_anndata(cells)


def read_anndata(adata: "AnnData", layer: str | None = None) -> Cells:
    """Takes one matrix and the gene names out of an AnnData, checked.

    An AnnData opened with ``backed="r"`` is welcome, and one whose matrix is
    ``anndata.io.sparse_dataset(group)`` of an h5ad file or a zarr store.  A CSR or dense matrix
    that would need more than 256 MiB stays on disk and is read in blocks of cells; a smaller one,
    a CSC matrix, and a view of a backed AnnData are read into memory.

    Args:
        adata: Cells x genes; ``var_names`` name the genes, each once.
        layer: Which of ``adata.layers`` to take; ``None`` takes ``adata.X``, and ``"raw"``, where
            no layer is called so, ``adata.raw`` with its own genes.

    Returns:
        The matrix and its gene names. The values are as they were, see `prepare`.

    Raises:
        KeyError: If there is no such layer.
        TypeError: If ``adata`` is no AnnData, or the matrix does not hold real numbers in
            memory.
        ValueError: If the matrix is missing or empty, a value is NaN or infinite, or a gene
            name appears more than once.

    Example:
        >>> import anndata, numpy as np, pandas as pd
        >>> adata = anndata.AnnData(
        ...     np.array([[0.0, 3.0], [1.0, 0.0]], dtype="float32"),
        ...     var=pd.DataFrame(index=["CD3D", "MS4A1"]),
        ... )
        >>> cells = read_anndata(adata)
        >>> cells.X.shape, list(cells.genes)
        ((2, 2), ['CD3D', 'MS4A1'])
    """
    check_anndata(adata)
    whole = adata.raw if takes_raw(adata, layer) else adata
    genes = np.array([str(name) for name in whole.var_names], dtype=object)
    check_unique_genes(genes, "adata.var_names" if whole is adata else "adata.raw.var_names")
    X, source = read_matrix(adata, layer), source_of(adata, layer)
    names = (list(adata.obs_names), list(genes))
    if isinstance(X, StoredMatrix):
        summarise(X, source, *names)  # the one pass that all checks share
    else:
        check_finite(X, source, *names)
    return Cells(X, genes)


def read_matrix(adata: "AnnData", layer: str | None = None) -> AnyMatrix:
    """Takes one matrix out of an AnnData, its values and gene names not yet looked at.

    Args:
        adata: As in `read_anndata`.
        layer: Likewise.

    Raises:
        KeyError: If there is no such layer.
        TypeError: If the matrix does not hold real numbers in memory.
        ValueError: If the matrix is missing or empty.
    """
    if 0 in adata.shape:
        raise ValueError(
            f"'adata' must hold at least one cell and one gene (got {adata.n_obs} cells and "
            f"{adata.n_vars} genes); was everything filtered away?"
        )
    source = source_of(adata, layer)
    matrix = as_matrix(_readable(_matrix(adata, layer), source), source)
    names = adata.raw if takes_raw(adata, layer) else adata
    if matrix.shape != (adata.n_obs, names.n_vars):  # nobody asks a file opened with backed="r"
        raise ValueError(
            f"{source} must be of {adata.n_obs:,} cells and {names.n_vars:,} genes, as many as "
            f"have names (got shape {tuple(matrix.shape)}). The file may be damaged: make it again."
        )
    return matrix


def source_of(adata: "AnnData", layer: str | None) -> str:
    """What messages call the matrix.

    Example:
        >>> import anndata
        >>> source_of(anndata.AnnData(), None), source_of(anndata.AnnData(), "counts")
        ('adata.X', "adata.layers['counts']")
    """
    if takes_raw(adata, layer):
        return "adata.raw"
    return "adata.X" if layer is None else f"adata.layers[{layer!r}]"


def takes_raw(adata: "AnnData", layer: str | None) -> bool:
    """Tells whether ``layer`` means ``adata.raw``: it is ``"raw"``, and no layer is called so."""
    return layer == "raw" and adata.raw is not None and layer not in adata.layers


def match_genes(
    genes: Sequence[str] | NDArray[Any],
    target_genes: Sequence[str] | NDArray[Any],
    *,
    max_missing: float = 0.2,
    obs_names: Iterable[str] | None = None,
) -> NDArray[np.int64] | None:
    """Finds the training's genes among those of other cells, by name.

    Args:
        genes: The genes that the cells have, each once.
        target_genes: The genes wanted, in order.
        max_missing: The largest share of ``target_genes`` that may be missing; 0 accepts none,
            1 accepts any number as long as one gene is shared.
        obs_names: Names of the cells; only used to recognise a transposed matrix.

    Returns:
        The place of each wanted gene, -1 where it is missing and will be filled with zeros, for
        :func:`~genegraph.expression_matrix.take_columns`; None where both are the same.

    Raises:
        ValueError: If no gene is shared, too many are missing, or a name appears twice.

    Warns:
        UserWarning: If genes are missing and filled with zeros.

    Example:
        >>> match_genes(["A", "B", "C"], ["C", "A"])
        array([2, 0])
    """
    if list(genes) == list(target_genes):
        return None
    check_unique_genes(genes, "'genes'")
    check_unique_genes(target_genes, "'target_genes'")
    place = {gene: column for column, gene in enumerate(genes)}
    columns = np.array([place.get(gene, -1) for gene in target_genes], dtype=np.int64)
    if (columns < 0).all():
        raise ValueError(_no_shared_genes(genes, target_genes, obs_names))
    _report_missing(
        [g for g, c in zip(target_genes, columns, strict=True) if c < 0],
        len(target_genes),
        max_missing,
    )
    return columns


def labels_from_obs(adata: "AnnData", key: str) -> NDArray[Any]:
    """Takes the label of each cell from a column of ``adata.obs``.

    Args:
        adata: The labelled cells.
        key: The column's name.

    Returns:
        One label per cell. Strings come as an object array of ``str``, numbers in their own
        format, a categorical as its values.

    Raises:
        KeyError: If there is no such column.
        ValueError: If a label is missing (NaN, None or blank), or strings and other things
            are mixed.

    Example:
        >>> import anndata, pandas as pd
        >>> obs = pd.DataFrame({"cell_type": ["B", "T"]}, index=["c1", "c2"])
        >>> labels_from_obs(anndata.AnnData(obs=obs), "cell_type")
        array(['B', 'T'], dtype=object)
    """
    if key not in adata.obs.columns:
        raise KeyError(_unknown_name("column", key, "adata.obs", adata.obs.columns))
    column = adata.obs[key]
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    blank = column.map(lambda label: isinstance(label, str) and not label.strip())
    missing = column.isna() | blank.astype(bool)
    if missing.any():
        raise ValueError(
            f"adata.obs[{key!r}] must label every cell (got {missing.sum():,} of "
            f"{len(column):,} without a label, first {column.index[missing.argmax()]!r}). "
            f"Leave those cells out first: adata[adata.obs[{key!r}].notna()], or drop the "
            "blank ones likewise."
        )
    labels: NDArray[Any] = column.to_numpy(dtype=getattr(column.dtype, "numpy_dtype", None))
    if labels.dtype.kind not in "OUST":
        return labels
    kinds = sorted({type(label).__name__ for label in labels})
    if kinds != ["str"] and len(labels):
        raise ValueError(
            f"adata.obs[{key!r}] must hold labels of one kind, text or numbers (got "
            f"{' and '.join(kinds)}); convert them, for example with .astype(str)."
        )
    return labels.astype(object)


def number_from_obs(adata: Any, key: str) -> NDArray[np.float64]:
    """Takes one number per cell from a column of ``adata.obs``.

    Raises:
        KeyError: If there is no such column.
        TypeError: If the cells are no AnnData, or the column holds no numbers.

    Example:
        >>> import anndata, pandas as pd
        >>> obs = pd.DataFrame({"total_counts": [900, 1200]}, index=["c1", "c2"])
        >>> number_from_obs(anndata.AnnData(obs=obs), "total_counts").tolist()
        [900.0, 1200.0]
    """
    if not is_anndata(adata):
        raise TypeError(
            f"A column of obs was asked for, {key!r}, which only an AnnData has "
            f"(got {type(adata).__name__})."
        )
    if key not in adata.obs.columns:
        raise KeyError(_unknown_name("column", key, "adata.obs", adata.obs.columns))
    column = adata.obs[key]
    if not pd.api.types.is_numeric_dtype(column):
        raise TypeError(f"adata.obs[{key!r}] must hold numbers (got dtype {column.dtype}).")
    return column.to_numpy(dtype=np.float64, na_value=np.nan)  # type: ignore[no-any-return]


def check_unique_genes(genes: Iterable[str], source: str) -> None:
    """Raises a ValueError if a gene is named twice; genes are matched by name everywhere."""
    names = pd.Index(genes)
    if names.is_unique:
        return
    repeated = list(names[names.duplicated()].unique())
    raise ValueError(
        f"{source} must name each gene once, as genes are matched by name (got "
        f"{len(repeated):,} repeated: {some_of(repeated)}). Sum the columns of "
        "the same gene, or keep them apart with adata.var_names_make_unique(), which adds '-1' "
        "to the later ones."
    )


def _hint(cells: Any) -> str:
    if type(cells).__name__ != "MuData":
        return ""
    return (
        " A MuData holds several: pass the one of gene expression, such as mdata.mod['rna'] "
        f"(it has {sorted(cells.mod)})."
    )


def _matrix(adata: "AnnData", layer: str | None) -> Any:
    if layer is not None and layer not in adata.layers and not takes_raw(adata, layer):
        raise KeyError(_unknown_name("layer", layer, "adata.layers", adata.layers))
    with damage_named(source_of(adata, layer)):
        if takes_raw(adata, layer):
            return adata.raw.X
        X = adata.X if layer is None else adata.layers[layer]
    if X is None:
        raise ValueError(
            "adata.X must hold the expression values (got None); name the layer that holds "
            f"them with layer=... (has: {_listing(adata.layers)})."
        )
    return X


def _readable(X: Any, source: str) -> Any:
    """The matrix in memory, or, where it is large and can be read by cells, on disk."""
    library = type(X).__module__.partition(".")[0]
    if library == "dask":
        raise TypeError(
            f"{source} is a dask array, whose values are not in memory; call .compute() on it "
            "and assign the result first, or open the file with backed='r'."
        )
    with damage_named(source):
        if library == "anndata" and hasattr(X, "group"):
            check_sparse(X)
        if stays_on_disk(X):
            return StoredMatrix(X, (lambda part, _: tidy(part),))
        if hasattr(X, "to_memory"):  # sparse, on disk
            return X.to_memory()
        return X[()] if library in ("h5py", "zarr") else X


def _report_missing(missing: list[str], num_wanted: int, max_missing: float) -> None:
    if not missing:
        return
    share = len(missing) / num_wanted
    lacking = (
        f"The cells lack {len(missing):,} of the {num_wanted:,} genes of the training "
        f"({share:.1%}): {some_of(missing)}"
    )
    if share > max_missing:
        raise ValueError(
            f"{lacking}. At most {max_missing:.0%} may be missing: use cells with these genes, "
            "or pass a larger max_missing to have them filled with zeros."
        )
    warnings.warn(f"{lacking}. They are filled with zeros.", stacklevel=3)


def _no_shared_genes(
    genes: Iterable[str], target_genes: Iterable[str], obs_names: Iterable[str] | None
) -> str:
    if obs_names is not None and set(obs_names) & set(target_genes):
        return (
            "None of the columns is a gene of the training, but adata.obs_names look like "
            "genes: the matrix is transposed; pass adata.T."
        )
    from genegraph.interactions.identifiers import explain_mismatch  # costly, rarely needed

    return explain_mismatch(genes, target_genes, label_b="the model")


def _unknown_name(what: str, name: object, place: str, names: Iterable[Any]) -> str:
    known = [str(known) for known in names]
    close = get_close_matches(str(name), known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"No {what} {name!r} in {place}{hint} (has: {_listing(known)})"


def _listing(names: Iterable[Any]) -> str:
    return ", ".join(repr(str(name)) for name in names) or "none"
