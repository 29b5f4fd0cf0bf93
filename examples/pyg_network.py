"""``GeneGraphConv`` in a PyTorch Geometric network of your own, in the place of ``GCNConv``.

Run it with ``python examples/pyg_network.py``; the cells are simulated, and nothing is downloaded.
"""

import tempfile

import anndata
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv

from genegraph import GeneGraph, read_stringdb
from genegraph.datasets import simulate
from genegraph.nn import GeneGraphConv

# The graph's weights are scaled already, so GCNConv is not to scale them once more.
LAYERS = {
    "GCNConv": lambda channels: GCNConv(1, channels, normalize=False),
    "GeneGraphConv, prior": lambda channels: GeneGraphConv(1, channels, attention=None),
    "GeneGraphConv, edges": lambda channels: GeneGraphConv(1, channels, attention="edges"),
    "GeneGraphConv, full": lambda channels: GeneGraphConv(1, channels, attention="full"),
}
STUDY = {"n_cells": 400, "n_genes": 600, "n_interacting": 240, "n_types": 4, "n_modules": 8}
STUDY |= {"n_hidden": 4, "effect": 0.6, "zeros": 0.9, "verbose": False}


class Network(torch.nn.Module):
    """A graph layer, added to what went in, and a linear head."""

    def __init__(self, layer: str, num_genes: int, num_types: int, channels: int = 4) -> None:
        super().__init__()
        self.conv = LAYERS[layer](channels)
        self.out = torch.nn.Linear(num_genes * channels, num_types)

    def forward(self, x: Tensor, data: Data) -> Tensor:
        """Gives logits; all cells of ``x``, [num_cells, num_genes, 1], share one graph."""
        hidden = x + self.conv(x, data.edge_index, data.edge_weight).relu()
        logits: Tensor = self.out(hidden.flatten(start_dim=1))
        return logits


def read_study() -> tuple[Tensor, Tensor, Data]:
    """Simulates cells and their STRING file; gives log expression, types and the graph."""
    with tempfile.TemporaryDirectory() as folder:
        files = simulate(f"{folder}/study", **STUDY)
        cells = anndata.read_h5ad(files.cells)
        links = read_stringdb(files.links, files.info, min_score=700)
    graph = GeneGraph.from_interactions(links, genes=cells.var_names)
    counts = torch.from_numpy(cells.X.toarray())
    x = (1e3 * counts / counts.sum(dim=1, keepdim=True)).log1p()
    y = torch.tensor(cells.obs["cell_type"].cat.codes.to_numpy(copy=True)).long()
    return x.unsqueeze(-1), y, graph.normalize("sym").to_data()


def main(epochs: int = 40) -> dict[str, float]:
    """Trains the network with each layer on half of the cells; gives the others' accuracy."""
    x, y, data = read_study()
    half, found = len(y) // 2, {}
    for layer in LAYERS:
        torch.manual_seed(0)
        model = Network(layer, x.size(1), int(y.max()) + 1)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
        for _ in range(epochs):
            optimizer.zero_grad()
            cross_entropy(model(x[:half], data), y[:half]).backward()
            optimizer.step()
        with torch.no_grad():
            right = model(x[half:], data).argmax(dim=1) == y[half:]
        found[layer] = float(right.float().mean())
        print(f"{found[layer]:6.1%}  {layer}")
    return found


if __name__ == "__main__":
    main()
