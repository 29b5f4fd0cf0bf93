"""The network and graph that a classifier's settings and training cells ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genegraph.batches import CellLoader, CellRows, cell_inputs
from genegraph.device_memory import naming_batch_size
from genegraph.graph import GeneGraph
from genegraph.nn import GeneGCN

if TYPE_CHECKING:
    from genegraph.classifier import GeneGCNClassifier

VIEWS = ((1.0, 1e3), (1.0, 1e4), (10.0, 1e3))
"""What the heads of a committee read, in turn: ``shrinkage`` times the first number, the logarithm
in units of reads per the second."""


def align_graph(model: GeneGCNClassifier) -> None:
    """Sets ``graph_`` and the columns in use."""
    model.graph_ = None
    model._aligned = None  # what is saved: before normalisation
    model._columns = None
    if model.graph is None:
        return
    if hasattr(model, "feature_names_in_"):
        graph: GeneGraph = model.graph.align([str(name) for name in model.feature_names_in_])
    elif model.graph.num_genes == model.n_features_in_:
        graph = model.graph
    else:
        raise ValueError(
            "X has no gene names, so the graph must have its columns in order: "
            f"{model.n_features_in_} genes (got {model.graph.num_genes}). Pass a DataFrame or "
            "an AnnData to match by name."
        )
    model._aligned = graph
    if model.genes == "interacting":
        place = {gene: i for i, gene in enumerate(graph.genes)}
        graph = graph.interacting()
        model._columns = np.array([place[gene] for gene in graph.genes])
    if model.normalize is not None or model.self_loops:
        graph = graph.normalize(model.normalize, self_loops=model.self_loops)
    model.graph_ = graph


def smooths(model: GeneGCNClassifier) -> bool:
    """Whether there is any graph layer or shrinkage."""
    return model.graph is not None or model.attention is not None


def build_network(model: GeneGCNClassifier, num_genes: int) -> GeneGCN:
    """Returns the network, untrained; draws its weights from torch's generator."""
    top = model.n_top_genes
    num_layers = _num_layers(model)
    kappa: float | Sequence[float] | None = None
    target_sum: float | Sequence[float] = VIEWS[0][1]
    if model.counted_:
        assert model.shrinkage is not None
        kappa = model.shrinkage
        if num_layers == 0 and model.num_heads > 1 and not model.pretrain:
            views = VIEWS[: model.num_heads]
            kappa = [model.shrinkage * times for times, _ in views]
            target_sum = [unit for _, unit in views]
    network = GeneGCN(
        num_genes,
        len(model.classes_),
        hidden_channels=tuple(model.hidden_channels),
        attention=model.attention,
        attention_function=model.attention_function,
        num_neighbors=model.num_neighbors,
        fusion=model.fusion,
        num_layers=num_layers,
        num_graphs=model.num_graphs,
        residual=model.residual,
        norm=model.norm,
        init=model.init,
        gene_aware=model.gene_aware,
        kappa=kappa,
        target_sum=target_sum,
        num_heads=model.num_heads,
        discriminant=has_discriminant(model),
        head_features=num_genes if top is None else min(top, num_genes),
    )
    if network.shrinkage is not None and model.graph_ is None:
        # Without neighbours it gets no gradient, for which several processes would wait.
        network.shrinkage.log_kappa.requires_grad_(False)
    return network


def has_discriminant(model: GeneGCNClassifier) -> bool:
    """Returns whether a linear discriminant is to speak beside the heads."""
    if model.discriminant is None:
        return model.num_heads > 1 and model.class_weight is None
    return model.discriminant


def edges_on(model: GeneGCNClassifier, device: torch.device) -> tuple[Any, Any]:
    """Returns ``edge_index`` and ``edge_weight``, or None and None."""
    if model.graph_ is None:
        return None, None
    return model.graph_.to_edge_index().to(device), model.graph_.edge_weight.to(device)


def torch_device(model: GeneGCNClassifier) -> torch.device:
    """Returns the device that is meant by ``device``."""
    if model.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(model.device)


def ask(
    model: GeneGCNClassifier, cells: CellRows, *questions: Callable[[Tensor], Tensor]
) -> list[NDArray[np.float32]]:
    """Returns the answers about all cells, ``[num_cells, ...]``, one array a question.

    Args:
        model: Its trained network.
        cells: The cells.
        questions: Each is asked about batch after batch, in the order of the cells, and given what
            the heads read of it, see :meth:`~genegraph.nn.GeneGCN.read`.
    """
    device = torch_device(model)
    network = model.network_.to(device).eval()
    edges = edges_on(model, device)
    if edges[0] is not None:
        edges = network.needed_edges(*edges)
    # Written in place: thousands of small tensors kept among large ones would tatter the memory.
    answers: list[NDArray[Any]] = []
    first = 0
    with torch.inference_mode(), naming_batch_size(model.batch_size):
        for batch in CellLoader(cells, model.batch_size):
            x, depth = cell_inputs(batch, device)
            read = network.read(x, *edges, depth)
            parts = [question(read).cpu().numpy() for question in questions]
            if first == 0:
                answers = [np.empty((len(cells), *p.shape[1:]), p.dtype) for p in parts]
            for answer, part in zip(answers, parts, strict=True):
                answer[first : first + len(x)] = part
            first += len(x)
    model.network_.cpu()
    return answers


def first_view(read: Tensor) -> Tensor:
    """Returns what the first head reads, ``[num_cells, head_features]``."""
    return read if read.dim() == 2 else read[0]


def cells_first(read: Tensor) -> Tensor:
    """Returns what all heads read, ``[num_cells, num_views, head_features]``."""
    return read.unsqueeze(1) if read.dim() == 2 else read.movedim(0, 1)


def _num_layers(model: GeneGCNClassifier) -> int:
    if not smooths(model):
        return 0
    if model.num_layers is not None:
        return model.num_layers
    logarithms = model.shrinkage is not None and model.values_ != "features"
    return 0 if logarithms and model.attention is None else 1
