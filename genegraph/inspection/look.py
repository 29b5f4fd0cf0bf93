"""Looks at cells as ``fit`` would, and says everything at once instead of the first thing wrong."""

from typing import TYPE_CHECKING

from genegraph.expression import check_anndata, read_matrix, takes_raw
from genegraph.graph import GeneGraph
from genegraph.inspection.asked import Asked
from genegraph.inspection.cell_batches import look_at_batches
from genegraph.inspection.cell_labels import look_at_labels
from genegraph.inspection.cell_values import gene_reads, look_at_values
from genegraph.inspection.findings import Findings
from genegraph.inspection.gene_names import look_at_names
from genegraph.inspection.overlap import look_at_overlap
from genegraph.inspection.result import Inspection
from genegraph.inspection.storage import look_at_storage

if TYPE_CHECKING:
    from anndata import AnnData


def inspect(
    adata: "AnnData",
    graph: GeneGraph | None = None,
    labels: str | None = None,
    batch: str | None = None,
    layer: str | None = None,
    *,
    values: str = "auto",
    depth: str | None = None,
) -> Inspection:
    """Says before any training what cells are, and what would go wrong; changes nothing.

    What ``GeneGCNClassifier(graph).fit(adata, labels)`` would raise is found by the checks of
    ``fit`` themselves, all of it at once; beside it, what would not stop ``fit`` and may mislead.
    The lines to type assume ``adata``, ``graph`` and ``model``, a ``GeneGCNClassifier``.

    Cells on disk are read in blocks where ``fit`` does so; a CSC matrix on disk is read whole, as
    there.  Whether logarithms show the reads behind them is tried with 2,000 of the cells, other
    layers and ``raw`` are told by their first 1,000.

    Args:
        adata: The cells, in memory or on disk.
        graph: The graph to be used with them.
        labels: Column of ``adata.obs`` with the cell types.
        batch: Column of ``adata.obs`` with the donor, lane or batch, ``groups`` of ``fit``.
        layer: Which layer holds the values; None takes ``adata.X``.
        values: What the values are, as in ``GeneGCNClassifier``.
        depth: Column of ``adata.obs`` with each cell's reads, as in ``GeneGCNClassifier``.

    Returns:
        What was seen; ``print`` it, or look into its table ``findings``.

    Raises:
        TypeError: If the cells are no AnnData.
        ValueError: If ``layer`` is ``"raw"`` and means ``adata.raw``.

    Example:
        >>> import anndata, numpy as np, pandas as pd
        >>> adata = anndata.AnnData(
        ...     np.array([[0.0, 3.0], [1.0, 2.0], [4.0, 1.0]], dtype="float32"),
        ...     obs=pd.DataFrame({"cell_type": ["T", "B", None]}, index=["c1", "c2", "c3"]),
        ...     var=pd.DataFrame(index=["CD3D", "2-Sep"]),
        ... )
        >>> seen = inspect(adata, labels="cell_type")
        >>> seen.ok, seen.values
        (False, 'counts')
        >>> wrong = seen.findings[seen.findings["severity"] != "info"]
        >>> wrong["topic"].tolist()
        ['labels', 'genes', 'labels']
        >>> print(wrong["advice"].iloc[0])
        adata = adata[adata.obs['cell_type'].notna()].copy()
    """
    check_anndata(adata)
    if takes_raw(adata, layer):
        raise ValueError("adata.raw is inspected by itself: inspect(adata.raw.to_adata(), ...).")
    asked = Asked(adata, graph, labels, batch, layer, values, depth)
    found = Findings()
    X = found.refused("storage", lambda: _readable(asked), lambda: read_matrix(adata, layer))
    storage = look_at_storage(asked, X, found)
    seen = look_at_values(asked, X, found)
    identifiers = look_at_names(adata, found)
    reads = None if graph is None else gene_reads(X, seen)
    shared = look_at_overlap(asked, reads, found)
    classes = look_at_labels(asked, found)
    batches = look_at_batches(asked, found)
    return Inspection(
        num_cells=adata.n_obs,
        num_genes=adata.n_vars,
        storage=storage,
        values=seen.kind,
        target_sum=seen.target_sum,
        identifiers=identifiers,
        graph=shared,
        classes=classes,
        batches=batches,
        findings=found.table(),
    )


def _readable(asked: Asked) -> str:
    """The line for a matrix that is missing or cannot be read."""
    adata = asked.adata
    if 0 in adata.shape:
        return ""
    X = adata.X if asked.layer is None else adata.layers.get(asked.layer)
    if X is None:
        others = [None] if asked.layer is not None and adata.X is not None else []
        others += list(adata.layers)
        return asked.fit_line(layer=others[0]) if others else ""
    convert = "compute()" if type(X).__module__.startswith("dask") else 'astype("float32")'
    return f"{asked.place} = {asked.place}.{convert}"
