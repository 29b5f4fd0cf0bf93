"""Runs a kernel over blocks of cells on torch's number of threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

CELLS_PER_BLOCK = 8


def for_cell_blocks(kernel: Callable[[int, int], None], num_cells: int) -> None:
    """Calls ``kernel(first, last)`` for blocks of cells that together cover ``num_cells``.

    The pool lives for one call only: threads kept between calls would be missing after a fork
    (as in a data loader's workers), and numba's own pool aborts a process that forks after it.
    Blocks do not depend on the number of threads, so neither do results.
    """
    firsts = range(0, num_cells, CELLS_PER_BLOCK)
    threads = min(torch.get_num_threads(), len(firsts))
    if threads <= 1:
        kernel(0, num_cells)
        return
    with ThreadPoolExecutor(threads) as pool:
        blocks = [pool.submit(kernel, i, min(i + CELLS_PER_BLOCK, num_cells)) for i in firsts]
        for block in blocks:
            block.result()
