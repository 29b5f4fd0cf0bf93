"""Batches of cells: sparse rows travel to the device, and become dense there.

Cells on disk come in windows: blocks of consecutive cells, drawn from all over the file, are read
together and shuffled together, while the window before is in use.  Cells in memory are one window.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from genegraph.expression_matrix import AnyMatrix
from genegraph.expression_stored import StoredMatrix
from genegraph.held_rows import HeldRows
from genegraph.processes import this_process

LANES = 8
"""Parts of a window that take turns in every batch; so many processes can read a part each."""

READER_NICENESS = 10
"""Of the thread that reads ahead, on Linux: 0 is as others, 19 the lowest priority."""

Rows = dict[str, Tensor]
"""Cells as ``x`` (dense), or as ``crow``, ``col``, ``value`` and ``num_genes`` (CSR); with them
the number of their class, ``y``, how many reads they have, ``depth``, and the share of the cells
they belong to, ``fold``, where these are known; and ``target``, where the class is not sure."""


class CellRows(Dataset[Rows]):
    """Cells and their labels, asked for by lists of positions.

    Args:
        X: Float32 cells x genes, dense or CSR, in memory or on disk.
        y: Number of each cell's class; None where labels play no part.
        depth: Reads of each cell, where ``X`` holds counts.
        fold: Which heads of a committee never learn from the cell: heads ``fold``,
            ``fold + num_folds`` and so on; -1 for none.
        target: The probability of each class that the heads of each fold are to learn,
            ``[num_cells, num_folds, num_classes]``; None: the class itself.
    """

    def __init__(
        self,
        X: AnyMatrix | HeldRows,
        y: NDArray[np.int64] | None = None,
        depth: NDArray[np.float32] | None = None,
        fold: NDArray[np.int64] | None = None,
        target: NDArray[np.float32] | None = None,
    ) -> None:
        self.X, self.y, self.depth, self.fold, self.target = X, y, depth, fold, target

    def __len__(self) -> int:
        return int(self.X.shape[0])

    def __getitem__(self, rows: Any) -> Rows:
        return self.part(rows, slice(None))

    def part(self, rows: Any, which: slice) -> Rows:
        """Returns those cells of a batch that ``which`` picks from its ``rows``."""
        rows = np.asarray(rows, dtype=np.int64)[which]
        return {**as_rows(self.X[rows]), **self.known(rows)}

    def read(self, window: Window, held: NDArray[np.bool_]) -> CellRows:
        """Returns the cells of a window; the expression of those ``held`` is in memory."""
        return CellRows(HeldRows(self.X, window.rows, held), **self._known_of(window.rows))

    def take(self, rows: NDArray[np.int64]) -> CellRows:
        """Returns some of the cells, in memory."""
        return CellRows(self.X[rows], **self._known_of(rows))

    def _known_of(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        """Returns what is known of some of the cells, each None where it is not."""
        return {
            name: None if part is None else part[rows] for name, part in self._all_known().items()
        }

    def _all_known(self) -> dict[str, NDArray[Any] | None]:
        return {"y": self.y, "depth": self.depth, "fold": self.fold, "target": self.target}

    def known(self, rows: NDArray[np.int64]) -> Rows:
        """Returns what is known of cells beside their expression."""
        parts = self._known_of(rows).items()
        return {name: torch.from_numpy(part) for name, part in parts if part is not None}


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


class Window(NamedTuple):
    """Cells that are in memory together.

    Attributes:
        rows: Their positions among all cells, sorted.
        order: In which order they are met, as positions in ``rows``.
        lane: The lane of each of the rows.  Lanes take turns: the cell met at place p is of lane
            p modulo their number.
    """

    rows: NDArray[np.int64]
    order: NDArray[np.int64]
    lane: NDArray[np.int64]


class BatchOrder:
    """Which cells are in memory together, and in which order they are met.

    The order of an epoch depends on seed and epoch only, so a run resumed at epoch 7 sees what the
    uninterrupted run saw.  Cells are read in blocks of consecutive ones, a whole number of batches
    each; with a seed the blocks of a window are drawn from all, and its cells shuffled together:
    within eight lanes of consecutive blocks, which give every eighth cell of a batch each, so that
    a process that takes every n-th cell of a batch need not read them all.
    Only the last batch of the last block may hold fewer cells.

    Args:
        num_cells: How many cells there are.
        batch_size: Cells per batch.
        seed: Shuffle with this seed, or None for the given order.
        block: Consecutive cells that are read together, about; None: all, as one window.
        window: How many cells are in memory together, about.
    """

    def __init__(
        self,
        num_cells: int,
        batch_size: int,
        seed: int | None = None,
        block: int | None = None,
        window: int = 1,
    ) -> None:
        self.num_cells, self.batch_size, self.seed = num_cells, batch_size, seed
        self.block = num_cells if block is None else batch_size * max(1, round(block / batch_size))
        self.blocks_at_once = max(1, window // self.block)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.num_cells // self.batch_size)

    def __iter__(self) -> Iterator[Window]:
        rng = None if self.seed is None else np.random.default_rng((self.seed, self.epoch))
        starts = np.arange(0, self.num_cells, self.block)
        lanes = 1
        if rng is not None and len(starts) > self.blocks_at_once:
            rng.shuffle(starts)
            lanes = LANES
        for first in range(0, len(starts), self.blocks_at_once):
            chosen = np.sort(starts[first : first + self.blocks_at_once])
            rows = (chosen[:, None] + np.arange(self.block)).ravel()
            rows = rows[rows < self.num_cells]
            order, lane = np.arange(len(rows)), np.empty(len(rows), np.int64)
            # The first lanes hold a cell more where the cells do not share out evenly.
            for number, part in enumerate(np.array_split(np.arange(len(rows)), lanes)):
                lane[part] = number
                if rng is not None:
                    rng.shuffle(part)
                order[number::lanes] = part
            yield Window(rows, order, lane)


class CellLoader:
    """Batches of cells in :class:`BatchOrder`, again for every epoch.

    Args:
        cells: The cells, in memory or on disk.
        batch_size: Cells per batch, of all processes together; the last one may hold fewer.
        seed: Shuffle with this seed, or None for the given order.
        share: Where several processes train together, give only this one's part of each batch:
            every n-th cell for n processes.  Of cells on disk each reads only those lanes of a
            window that its cells come from: one of so many parts as n and 8 have as their
            greatest common divisor.
    """

    def __init__(
        self, cells: CellRows, batch_size: int, seed: int | None = None, *, share: bool = False
    ) -> None:
        self.cells, self.batch_size, self.share = cells, batch_size, share
        X = cells.X
        sizes: tuple[int | None, int] = (None, 1)
        if isinstance(X, StoredMatrix):  # in their order, they need not be in memory together
            sizes = (X.block_rows, 1 if seed is None else X.window_rows)
        # By these names Lightning finds what to tell the epoch.
        self.sampler = BatchOrder(len(cells), batch_size, seed, *sizes)
        self.batch_sampler = None
        self._met = self._skipped = 0

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Rows]:
        number, step = this_process() if self.share else (0, 1)
        on_disk = isinstance(self.cells.X, StoredMatrix)
        windows = self._read_ahead(number, step) if on_disk else self._at_hand()
        skipped, self._skipped = self._skipped, 0
        self._met = 0
        for cells, order in windows:
            for first in range(0, len(order), self.batch_size):
                self._met += 1
                if self._met <= skipped:
                    continue
                own = slice((number - first) % step, None, step)
                yield cells.part(order[first : first + self.batch_size].tolist(), own)

    @property
    def met(self) -> int:
        """How many batches of this epoch were met; 0 after the last."""
        return self._met % len(self)

    def begin_after(self, batches: int) -> None:
        """Has the next epoch, and only that, leave out its first batches."""
        self._skipped = batches

    def _at_hand(self) -> Iterator[tuple[CellRows, NDArray[np.int64]]]:
        for window in self.sampler:
            yield self.cells, window.order

    def _read_ahead(self, number: int, step: int) -> Iterator[tuple[CellRows, NDArray[np.int64]]]:
        """Yields windows in memory, the next one being read while one is in use."""
        with ThreadPoolExecutor(1, initializer=_step_back) as reader:
            coming: tuple[Future[CellRows], NDArray[np.int64]] | None = None
            for window in self.sampler:
                shares = math.gcd(step, int(window.lane.max()) + 1)
                held = window.lane % shares == number % shares
                read = reader.submit(self.cells.read, window, held)
                now, coming = coming, (read, window.order)
                if now is not None:
                    yield now[0].result(), now[1]
            if coming is not None:
                yield coming[0].result(), coming[1]


def _step_back() -> None:
    """Gives this thread a low priority, where threads have one of their own.

    torch's threads wait for each other, busily: on as many cores as these, one that is put off for
    the reading holds up all.  Not the lowest priority: on a machine full of other work, a reader
    that hardly ever runs while it holds Python's lock holds up everything.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), READER_NICENESS)
