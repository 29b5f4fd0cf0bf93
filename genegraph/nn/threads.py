"""Runs a kernel over blocks of cells, or of genes, on torch's number of threads.

A process that is forked has none of its parent's threads, but torch (OpenMP) waits for them, for
ever, wherever it would share out work.  So in a forked process torch starts with one thread, as in
the workers of its own data loader; there is no harm where the parent never had another.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

CELLS_PER_BLOCK = 8

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def for_cell_blocks(kernel: Callable[[int, int], None], num_cells: int) -> None:
    """Calls ``kernel(first, last)`` for blocks of cells that together cover ``num_cells``."""
    for_blocks(kernel, num_cells, CELLS_PER_BLOCK)


def for_blocks(kernel: Callable[[int, int], None], number: int, per_block: int) -> None:
    """Calls ``kernel(first, last)`` for blocks that together cover 0 .. ``number``.

    The pool lives for one call only: threads kept between calls would be missing after a fork
    (as in a data loader's workers), and numba's own pool aborts a process that forks after it.
    Blocks do not depend on the number of threads, so neither do results.
    """
    blocks = [(i, min(i + per_block, number)) for i in range(0, number, per_block)]
    waiting = iter(blocks)  # each thread takes the next

    def work() -> None:
        for block in waiting:
            kernel(*block)

    # The calling thread is one of them: for a while after each of its operations torch keeps the
    # other cores busy waiting, and one thread more than cores would be in its way.
    others = min(torch.get_num_threads(), len(blocks)) - 1
    if others < 1:
        work()
        return
    with ThreadPoolExecutor(others) as pool:
        helpers = [pool.submit(work) for _ in range(others)]
        work()
        for helper in helpers:
            helper.result()
