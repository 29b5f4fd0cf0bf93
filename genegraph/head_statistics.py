"""What the head reads is settled before training, on the training cells."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from genegraph.batches import CellLoader, CellRows, Rows, cell_inputs
from genegraph.expression_stored import StoredMatrix
from genegraph.nn import GeneGCN
from genegraph.recipe import Recipe

CELLS_AT_ONCE = 64
"""With more, their features outgrow what the C library keeps for the next ones (32 MiB): memory is
asked of the system anew each time, which takes longer than the sums."""

MOST_CELLS = 100_000
"""They tell the variance of a normally distributed value to half a percent, sqrt(2 / n); to look at
more takes longer and changes little."""

BATCHES_AT_ONCE = 4
"""Without gradients so many batches fit into memory where one does with them."""


@torch.no_grad()
def settle_head_input(
    network: GeneGCN,
    cells: CellRows,
    edges: tuple[Any, Any],
    recipe: Recipe,
    device: torch.device,
) -> None:
    """Chooses the fused features that vary most, and centres and scales them.

    Args:
        network: Its ``head_input`` is set, from what its graph layers give as they start.
        cells: The training cells; of more than 100,000 so many are looked at, drawn by chance.
        edges: ``edge_index`` and ``edge_weight``, on the device.
        recipe: Says whether to centre, and in what unit; its seed is that of the draw.
        device: Where to compute.
    """
    num_features, wanted = network.num_genes * network.in_channels, len(network.head_input.columns)
    if wanted == num_features and not recipe.centers:
        return
    network.to(device)
    views = network.head_input.scale.shape[:1]
    total = torch.zeros(*views, num_features, dtype=torch.float64, device=device)
    squares = torch.zeros_like(total)
    at_once = min(CELLS_AT_ONCE, BATCHES_AT_ONCE * recipe.batch_size)
    for batch in _batches(cells, at_once, recipe.seed):
        x, depth = cell_inputs(batch, device)
        features = network.smooth(x, *edges, depth)
        total += features.sum(-2, dtype=torch.float64)
        squares += features.square().sum(-2, dtype=torch.float64)
    num_cells = min(len(cells), MOST_CELLS)
    mean = total / num_cells
    variance = (squares / num_cells - mean.square()).clamp(min=0)
    # Views differ in unit: each has the same say in which genes vary most.
    tiny = torch.finfo(variance.dtype).tiny
    share = variance / variance.sum(-1, keepdim=True).clamp(min=tiny)
    share = share.reshape(-1, num_features).mean(0)
    columns = share.argsort(descending=True, stable=True)[:wanted].sort().values
    scale = recipe.scale(wanted, variance[..., columns].sum(-1))
    center = mean[..., columns] if recipe.centers else torch.zeros_like(mean[..., columns])
    network.head_input.set(columns, center, scale)


def _batches(cells: CellRows, size: int, seed: int) -> Iterable[Rows]:
    """All cells, or those drawn, in their order: a file is read forwards."""
    if len(cells) <= MOST_CELLS:
        return CellLoader(cells, size)
    drawn = np.random.default_rng(seed).choice(len(cells), MOST_CELLS, replace=False)
    rows = np.sort(drawn)
    if isinstance(cells.X, StoredMatrix):
        depth = None if cells.depth is None else cells.depth[rows]
        return CellLoader(CellRows(cells.X.take(rows), depth=depth), size)
    # Not taken all at once, which would copy them.
    return (cells[part] for part in np.array_split(rows, math.ceil(len(rows) / size)))
