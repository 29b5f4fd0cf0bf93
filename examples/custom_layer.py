"""``GeneGraphConv`` inside a network of your own, with a training loop of your own.

The cells are made up: genes come in modules, each cell type switches on one module, and most reads
are lost, so that a gene's neighbours know more about a cell than the gene itself.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from genegraph.nn import GeneGraphConv


class GeneNet(torch.nn.Module):
    """Smooths the genes over the graph, then reads the cell type from all of them."""

    def __init__(self, num_genes: int, num_types: int, channels: int = 4) -> None:
        super().__init__()
        self.conv = GeneGraphConv(1, channels, attention="edges")
        self.out = torch.nn.Linear(num_genes * channels, num_types)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        """Gives one logit per cell type; ``x`` holds one value per cell and gene."""
        # The layer wants a feature dimension: [num_cells, num_genes, 1].
        hidden = self.conv(x.unsqueeze(-1), edge_index, edge_weight).relu()
        logits: Tensor = self.out(hidden.flatten(start_dim=1))
        return logits


def make_graph(num_modules: int, genes_per_module: int) -> tuple[Tensor, Tensor]:
    """Joins all genes of a module; the weights of a gene's edges add up to 1."""
    module = torch.arange(num_modules).repeat_interleave(genes_per_module)
    related = module[:, None] == module[None, :]
    # Both directions are stored; a gene is no neighbour of itself.
    edge_index = related.fill_diagonal_(False).nonzero().T.contiguous()
    return edge_index, torch.full((edge_index.size(1),), 1 / (genes_per_module - 1))


def make_cells(num_cells: int, num_modules: int, genes_per_module: int) -> tuple[Tensor, Tensor]:
    """Draws few reads per gene, twice as many in the module of the cell's type."""
    y = torch.arange(num_cells) % num_modules
    rate = torch.full((num_cells, num_modules), 0.5)
    rate[torch.arange(num_cells), y] = 1.0
    return torch.poisson(rate.repeat_interleave(genes_per_module, dim=1)).log1p(), y


def main(
    epochs: int = 60, num_cells: int = 400, num_modules: int = 4, genes_per_module: int = 12
) -> float:
    """Trains on half of the cells and returns the accuracy on the other half."""
    torch.manual_seed(0)
    edge_index, edge_weight = make_graph(num_modules, genes_per_module)
    x, y = make_cells(num_cells, num_modules, genes_per_module)
    half = num_cells // 2

    model = GeneNet(x.size(1), num_modules)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(epochs):
        optimizer.zero_grad()
        loss = cross_entropy(model(x[:half], edge_index, edge_weight), y[:half])
        loss.backward()
        optimizer.step()
        if epoch % 20 == 0:
            print(f"epoch {epoch:3d}  loss {loss.item():.3f}")

    model.eval()
    with torch.no_grad():
        guess = model(x[half:], edge_index, edge_weight).argmax(dim=1)
    accuracy = float((guess == y[half:]).float().mean())
    print(f"{accuracy:.1%} of {half} held-out cells are labelled right")
    return accuracy


if __name__ == "__main__":
    main()
