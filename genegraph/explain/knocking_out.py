"""Knock-out: take a gene, a module or an edge away, and see what the model then says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from genegraph.explain.pairs import Integers, check_uses_graph
from genegraph.explain.subject import TARGET_SUM, Subject, positions

if TYPE_CHECKING:
    from genegraph.classifier import GeneGCNClassifier


def knock_out(
    model: GeneGCNClassifier,
    adata: Any,
    *,
    genes: Sequence[str] | None = None,
    edges: Sequence[tuple[str, str]] | None = None,
    modules: Mapping[str, Sequence[str]] | None = None,
    groupby: str | Sequence[Any] | None = None,
    classes: Sequence[Any] | None = None,
    max_cells: int | None = None,
) -> pd.DataFrame:
    r"""Takes genes, edges or modules away, and tells how the probability of each class moves.

    A *gene* is taken away by setting its reads to zero before anything is normalised: the cell's
    depth sinks by them, :math:`x_i = \log(1 + 10^4 c_i / (T - c_g))` for the others.  (Values
    that are features are set to zero.)  Its edges stay: to its neighbours it is silent.  A
    *module* is several genes taken away at once.  An *edge* is removed from the graph in both
    directions; the weights of the others, and thus the normalisation, stay as they are.

    Args:
        model: A fitted classifier.
        adata: Cells, as its ``predict`` takes them.
        genes: Names of genes, each taken away by itself.
        edges: Pairs of genes that the prior joins, each taken away by itself.
        modules: Names of modules, with the genes of each.
        groupby: Which cells are of which class: a column of ``obs`` or a label per cell; None:
            what the model says before.
        classes: The classes wanted; None: all that have cells.
        max_cells: Cells of each class at most, evenly spread; None: all.

    Returns:
        One row per knock-out and class: ``kind`` (``"gene"``, ``"edge"`` or ``"module"``),
        ``knocked_out`` (its name; of an edge ``"A - B"``), ``class``, ``before`` and ``after``
        (mean probability of the class in the cells of the class), ``difference`` (after less
        before), ``renamed`` (share of these cells that get another name) and ``num_cells``.

    Raises:
        ValueError: If there is nothing to take away, a gene is none of the model's, an edge is not
            there, or there are no cells of a class.

    Example:
        >>> import numpy as np
        >>> from genegraph import GeneGCNClassifier
        >>> X, y = np.array([[9.0, 0.0, 1.0], [0.0, 9.0, 1.0]] * 20), ["T", "B"] * 20
        >>> model = GeneGCNClassifier(hidden_channels=(8,), random_state=0, verbose=False)
        >>> table = knock_out(model.fit(X, y), X, genes=["0"])
        >>> bool(table.set_index("class").loc["T", "difference"] < -0.1)
        True
    """
    subject = Subject(model, adata)
    acts = list(_acts(subject, genes, edges, modules))
    if not acts:
        raise ValueError("Say what to take away: 'genes', 'edges' or 'modules' (got none).")
    by_class = subject.cells_by_class(groupby, classes, max_cells)
    rows = np.concatenate(list(by_class.values()))
    codes = np.repeat(np.arange(len(by_class)), [len(part) for part in by_class.values()])
    places = [model.classes_.tolist().index(label) for label in by_class]
    before = subject.probabilities(rows).cpu().numpy()
    found = []
    for kind, name, silent, graph in acts:
        after = _probabilities(subject, rows, silent, graph).cpu().numpy()
        renamed = before.argmax(axis=1) != after.argmax(axis=1)
        for code, (label, place) in enumerate(zip(by_class, places, strict=True)):
            mine = codes == code
            was, is_now = float(before[mine, place].mean()), float(after[mine, place].mean())
            found.append(
                {
                    "kind": kind,
                    "knocked_out": name,
                    "class": label,
                    "before": was,
                    "after": is_now,
                    "difference": is_now - was,
                    "renamed": float(renamed[mine].mean()),
                    "num_cells": int(mine.sum()),
                }
            )
    return pd.DataFrame(found)


def _acts(
    subject: Subject,
    genes: Sequence[str] | None,
    edges: Sequence[tuple[str, str]] | None,
    modules: Mapping[str, Sequence[str]] | None,
) -> Iterator[tuple[str, str, Integers, Any]]:
    """Yields kind, name, genes that fall silent, and the graph that is left."""
    if genes is not None:
        if isinstance(genes, str):
            raise ValueError(f"'genes' must be a list of names (got {genes!r}).")
        for name, place in zip(genes, positions(genes, subject.genes, "'genes'"), strict=True):
            yield "gene", name, np.array([place]), None
    for name, members in (modules or {}).items():
        yield "module", name, positions(members, subject.genes, f"Module {name!r}"), None
    if edges is None:
        return
    check_uses_graph(subject)
    edge_index, weight = subject.edges
    source, target = edge_index.as_tensor()
    for one, other in edges:
        a, b = positions([one, other], subject.genes, "'edges'")
        gone = ((source == a) & (target == b)) | ((source == b) & (target == a))
        if not gone.any():
            raise ValueError(
                f"'edges' must be edges of the prior (got {one!r} and {other!r}, which it does "
                "not join)."
            )
        yield "edge", f"{one} - {other}", np.empty(0, np.int64), _without(edge_index, weight, gone)


def _without(edge_index: Any, weight: Tensor, gone: Tensor) -> tuple[Any, Tensor]:
    from torch_geometric import EdgeIndex

    size = edge_index.sparse_size()
    left = EdgeIndex(edge_index.as_tensor()[:, ~gone], sparse_size=size, sort_order="col")
    return left.fill_cache_(), weight[~gone]


@torch.no_grad()
def _probabilities(subject: Subject, rows: Integers, silent: Integers, graph: Any) -> Tensor:
    parts = []
    genes = torch.from_numpy(silent).to(subject.device)
    for x, depth in subject.batches(rows):
        parts.append(subject.logits(*_silenced(subject, x, depth, genes), graph))
    return torch.cat(parts).softmax(dim=1)


def _silenced(
    subject: Subject, x: Tensor, depth: Tensor | None, genes: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Returns expression and depth of cells as if these genes had never been read."""
    if len(genes) == 0:
        return x, depth
    if subject.model.values_ == "features":
        return x.index_fill(1, genes, 0), depth
    rates = torch.expm1(x)
    # Logarithms that do not show their counts were made of a total that is not known either.
    unknown = subject.model.values_ == "log1p" and depth is None
    total = rates.sum(dim=1, keepdim=True) if unknown else TARGET_SUM
    left = (1 - rates[:, genes].sum(dim=1, keepdim=True) / total).clamp(min=0)
    others = torch.log1p(rates.index_fill(1, genes, 0) / left.clamp(min=torch.finfo(x.dtype).tiny))
    return others, None if depth is None else depth * left[:, 0]
