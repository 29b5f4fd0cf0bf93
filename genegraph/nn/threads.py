"""Runs a kernel over blocks of cells, or of genes, on torch's own threads.

torch (OpenMP) has its threads wait busily for some milliseconds after each of its operations, so
that the next one finds them awake.  Threads of another pool would have to share the cores with
them, just when they are needed; so the blocks are handed to the same threads.

A process that is forked has none of its parent's threads, but torch waits for them, for ever,
wherever it would share out work.  So in a forked process torch starts with one thread, as in the
workers of its own data loader; there is no harm where the parent never had another.  Where it is
given more after all, blocks have a pool of their own.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import torch

CELLS_PER_BLOCK = 8

_forked = False

_Work = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def _after_fork() -> None:
    global _forked
    _forked = True
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def for_cell_blocks(kernel: Callable[[int, int], None], num_cells: int) -> None:
    """Calls ``kernel(first, last)`` for blocks of cells that together cover ``num_cells``."""
    for_blocks(kernel, num_cells, CELLS_PER_BLOCK)


def for_blocks(kernel: Callable[[int, int], None], number: int, per_block: int) -> None:
    """Calls ``kernel(first, last)`` for blocks that together cover 0 .. ``number``.

    Blocks do not depend on the number of threads, so neither do results.
    """
    blocks = [(i, min(i + per_block, number)) for i in range(0, number, per_block)]
    num_threads = torch.get_num_threads()
    if min(num_threads, len(blocks)) < 2:
        for block in blocks:
            kernel(*block)
        return
    waiting = iter(blocks)  # each thread takes the next
    done: list[tuple[int, int]] = []
    errors: list[BaseException] = []

    def work(_: Any = None) -> None:
        try:
            for block in waiting:
                kernel(*block)
                done.append(block)
        except BaseException as error:  # there is no way up from here but by hand
            errors.append(error)

    begin = None if _forked else _parallel_region()
    if begin is None:
        with ThreadPoolExecutor(min(num_threads, len(blocks))) as pool:
            list(pool.map(work, range(num_threads)))
    else:  # as many as torch has, however few blocks there are: fewer would end the others
        begin(_Work(work), None, num_threads, 0)
    if errors:
        raise errors[0]
    if len(done) < len(blocks):  # Ctrl-C came where a thread had not begun ``work``
        raise KeyboardInterrupt


@cache
def _parallel_region() -> Any:
    """Returns ``GOMP_parallel`` of the OpenMP library that torch itself calls, None without one.

    Looked up by way of torch's library: a process may well have several of OpenMP.
    """
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:
        begin = ctypes.CDLL(str(library)).GOMP_parallel
    except (OSError, AttributeError):
        return None
    begin.argtypes = [_Work, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    begin.restype = None
    return begin
