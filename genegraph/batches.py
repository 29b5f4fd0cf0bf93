"""Batches of cells: sparse rows travel to the device, and become dense there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from genegraph.expression_matrix import Matrix
from genegraph.processes import this_process

Rows = dict[str, Tensor]
"""Cells as ``x`` (dense), or as ``crow``, ``col``, ``value`` and ``num_genes`` (CSR); with them
the number of their class, ``y``, how many reads they have, ``depth``, and the share of the cells
they belong to, ``fold``, where these are known."""


class CellRows(Dataset[Rows]):
    """Cells and their labels, asked for by lists of positions.

    Args:
        X: Float32 cells x genes, dense or CSR.
        y: Number of each cell's class; None where labels play no part.
        depth: Reads of each cell, where ``X`` holds counts.
        fold: Which heads of a committee never learn from the cell: heads ``fold``,
            ``fold + num_folds`` and so on; -1 for none.
    """

    def __init__(
        self,
        X: Matrix,
        y: NDArray[np.int64] | None = None,
        depth: NDArray[np.float32] | None = None,
        fold: NDArray[np.int64] | None = None,
    ) -> None:
        self.X, self.y, self.depth, self.fold = X, y, depth, fold

    def __len__(self) -> int:
        return int(self.X.shape[0])

    def __getitem__(self, rows: Any) -> Rows:
        return self.part(rows, slice(None))

    def part(self, rows: Any, which: slice) -> Rows:
        """Returns those cells of a batch that ``which`` picks from its ``rows``."""
        rows = np.asarray(rows, dtype=np.int64)[which]
        return {**as_rows(self.X[rows]), **self.known(rows)}

    def known(self, rows: NDArray[np.int64]) -> Rows:
        """Returns what is known of cells beside their expression."""
        parts = {"y": self.y, "depth": self.depth, "fold": self.fold}
        return {
            name: torch.from_numpy(part[rows]) for name, part in parts.items() if part is not None
        }


def as_rows(part: Any) -> Rows:
    """Returns a matrix of cells as tensors."""
    if isinstance(part, np.ndarray):
        return {"x": torch.from_numpy(np.ascontiguousarray(part))}
    return {
        "crow": torch.from_numpy(part.indptr.astype(np.int64)),
        "col": torch.from_numpy(part.indices.astype(np.int64)),
        "value": torch.from_numpy(part.data),
        "num_genes": torch.tensor(part.shape[1]),
    }


def dense(batch: Rows) -> Tensor:
    """Returns the cells of a batch as ``[num_cells, num_genes]`` on the batch's device."""
    if "x" in batch:
        return batch["x"]
    crow, col = batch["crow"], batch["col"]
    x = batch["value"].new_zeros(len(crow) - 1, int(batch["num_genes"]))
    row = torch.repeat_interleave(crow.diff(), output_size=len(col))
    x[row, col] = batch["value"]
    return x


def cell_inputs(batch: Rows, device: torch.device | None = None) -> tuple[Tensor, Tensor | None]:
    """Returns the cells of a batch, dense, and their depth or None, moved to the device."""
    moved = {name: part.to(device) for name, part in batch.items()} if device else batch
    return dense(moved), moved.get("depth")


class BatchOrder(Sampler[list[int]]):
    """Lists of positions, one list a batch; the order of an epoch depends on seed and epoch only.

    So a run resumed at epoch 7 sees what the uninterrupted run saw.

    Args:
        num_cells: How many cells there are.
        batch_size: Cells per batch; the last batch may hold fewer.
        seed: Shuffle with this seed, or None for the given order.
    """

    def __init__(self, num_cells: int, batch_size: int, seed: int | None = None) -> None:
        self.num_cells, self.batch_size, self.seed = num_cells, batch_size, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.num_cells // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = np.arange(self.num_cells)
        if self.seed is not None:
            np.random.default_rng((self.seed, self.epoch)).shuffle(order)
        for first in range(0, self.num_cells, self.batch_size):
            yield order[first : first + self.batch_size].tolist()


class OwnShare(Dataset[Rows]):
    """Of each batch the cells that are this process's to learn from: every n-th of n processes."""

    def __init__(self, cells: CellRows) -> None:
        self.cells = cells

    def __getitem__(self, rows: Any) -> Rows:
        first, step = this_process()
        return self.cells.part(rows, slice(first, None, step))


def cell_loader(
    cells: CellRows, batch_size: int, seed: int | None = None, *, share: bool = False
) -> DataLoader[Rows]:
    """Returns a loader of cells in :class:`BatchOrder`.

    Args:
        cells: The cells.
        batch_size: Cells of a batch, of all processes together.
        seed: Shuffle with this seed, or None for the given order.
        share: Where several processes train together, load only this one's part of each batch.
    """
    order = BatchOrder(len(cells), batch_size, seed)
    # A generator of its own: without one, each pass would draw from the caller's.
    return DataLoader(
        OwnShare(cells) if share else cells,
        sampler=order,
        batch_size=None,
        generator=torch.Generator(),
    )
