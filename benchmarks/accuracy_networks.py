"""The published graph networks' architectures, rebuilt from PyTorch Geometric's own layers.

* ``ChebConv`` of order 5 over the prior, 5 channels, beside a fully connected branch, as in sigGCN
  (Wang et al., Briefings in Bioinformatics 2021).
* ``SAGE`` with learned edge weights, as in scGraph (Yin et al., Bioinformatics 2022): PyG's
  ``SAGEConv`` takes no weights; ``GraphConv`` with the mean is the same layer with them.
* ``GATv2Conv`` over the prior, 2 heads of 4 channels.
* ``GCNConv`` and ``TransformerConv``, with 5 channels and with 2 heads of 4.

As those papers do, they read the 1,000 genes that vary most, normalised and log1p, and are
trained with Adam, the best epoch on a tenth of the training cells kept.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from accuracy_features import Named, logarithms, most_varying
from accuracy_sets import Case
from sklearn.model_selection import StratifiedShuffleSplit
from torch import Tensor
from torch_geometric.nn import ChebConv, GATv2Conv, GCNConv, GraphConv, TransformerConv

NUM_GENES = 1000
EPOCHS, PATIENCE, BATCH = 30, 5, 64
ATTENDING = ("gat", "transformer")


class GraphNetwork(torch.nn.Module):
    """A graph convolution over the genes of each cell, a dense branch beside it, a head on both.

    Args:
        kind: ``"cheb"``, ``"sage"``, ``"gat"``, ``"gcn"`` or ``"transformer"``.
        edge_index: ``[2, num_edges]``.
        edge_weight: ``[num_edges]``, scaled to 0 .. 1.
        num_genes: Genes of a cell.
        num_classes: Cell types.
    """

    def __init__(
        self, kind: str, edge_index: Tensor, edge_weight: Tensor, num_genes: int, num_classes: int
    ) -> None:
        super().__init__()
        self.kind, self.num_genes = kind, num_genes
        self.register_buffer("edge_index", edge_index)
        self.edge_weight = torch.nn.Parameter(edge_weight, requires_grad=kind == "sage")
        channels = 8 if kind in ATTENDING else 5
        self.conv: Any = {
            "cheb": lambda: ChebConv(1, 5, K=5),
            "sage": lambda: GraphConv(1, 5, aggr="mean"),
            "gat": lambda: GATv2Conv(1, 4, heads=2, edge_dim=1),
            "gcn": lambda: GCNConv(1, 5),
            "transformer": lambda: TransformerConv(1, 4, heads=2, edge_dim=1),
        }[kind]()
        self.squeeze = torch.nn.Linear(num_genes * channels, 64)
        self.dense = torch.nn.Sequential(
            torch.nn.Linear(num_genes, 128), torch.nn.ReLU(), torch.nn.Linear(128, 64)
        )
        self.out = torch.nn.Linear(128, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits of cells ``[num_cells, num_genes]``."""
        num_cells = len(x)
        # Disjoint copies of the graph, one a cell: not every layer takes cells beside genes.
        offset = self.num_genes * torch.arange(num_cells).repeat_interleave(self.edge_index.size(1))
        edges = self.edge_index.repeat(1, num_cells) + offset
        weight = self.edge_weight.repeat(num_cells)
        nodes = x.reshape(-1, 1)
        if self.kind in ATTENDING:
            smoothed = self.conv(nodes, edges, weight[:, None])
        else:
            smoothed = self.conv(nodes, edges, weight)
        smoothed = smoothed.relu().reshape(num_cells, -1)
        return self.out(torch.cat([self.squeeze(smoothed), self.dense(x)], dim=1).relu())


def network(kind: str, epochs: int = EPOCHS, patience: int = PATIENCE) -> Any:
    """Returns the method of a kind."""

    def run(case: Case, seed: int) -> Named:
        train = logarithms(case.train, case.values)
        genes = most_varying(train, NUM_GENES)
        x = torch.from_numpy(train[:, genes].toarray())
        names = case.train.obs["cell_type"].to_numpy()
        classes, codes = np.unique(names, return_inverse=True)
        prior = case.graph.align([str(g) for g in case.train.var_names[genes]])
        weight = prior.edge_weight / prior.edge_weight.max().clamp(min=1e-12)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            net = GraphNetwork(kind, prior.edge_index, weight, len(genes), len(classes))
            _train(net, x, torch.from_numpy(codes), seed, epochs, patience)
            test = torch.from_numpy(logarithms(case.test, case.values)[:, genes].toarray())
            proba = _logits(net, test).softmax(1).numpy()
        return Named(classes[proba.argmax(1)], proba.max(1).astype(float))

    return run


def _train(net: GraphNetwork, x: Tensor, y: Tensor, seed: int, epochs: int, patience: int) -> None:
    splitter = StratifiedShuffleSplit(1, test_size=0.1, random_state=seed)
    several = np.bincount(y)[y] > 1
    rows = np.flatnonzero(several)
    train, val = np.arange(len(rows)), np.arange(0)
    if len(rows) >= 10 * len(y.unique()):  # else the tenth could not hold every class
        train, val = next(splitter.split(rows, y[rows]))
    train, val = np.append(rows[train], np.flatnonzero(~several)), rows[val]
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    rng = np.random.default_rng(seed)
    best, kept, waited = np.inf, copy.deepcopy(net.state_dict()), 0
    for _ in range(epochs):
        net.train()
        for part in np.array_split(rng.permutation(train), max(1, -(-len(train) // BATCH))):
            loss = F.cross_entropy(net(x[part]), y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if len(val) == 0:
            continue
        watched = F.cross_entropy(_logits(net, x[val]), y[val]).item()
        waited = 0 if watched < best else waited + 1
        if watched < best:
            best, kept = watched, copy.deepcopy(net.state_dict())
        if waited == patience:
            break
    if len(val):
        net.load_state_dict(kept)


@torch.no_grad()
def _logits(net: GraphNetwork, x: Tensor) -> Tensor:
    net.eval()
    return torch.cat([net(part) for part in x.split(BATCH)])
