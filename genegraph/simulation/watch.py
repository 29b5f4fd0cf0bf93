"""A bar that says how many cells are written."""

import time
from collections.abc import Iterable, Iterator

import scipy.sparse as sp
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PATIENCE = 2.0  # seconds without a bar; what is done by then needs none


def watched(
    blocks: Iterable[sp.csr_matrix], n_cells: int, verbose: bool
) -> Iterator[sp.csr_matrix]:
    """Passes blocks of cells on, and shows on stderr how many there were.

    Nothing is shown where no terminal is watching, nor before two seconds have passed.

    Args:
        blocks: Matrices with a row for every cell.
        n_cells: How many rows they have together.
        verbose: Whether to show anything at all.

    Yields:
        The blocks, unchanged.
    """
    console = Console(stderr=True)
    if not verbose or not console.is_terminal:
        yield from blocks
        return
    columns = TextColumn("cells"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    progress = Progress(*columns, console=console)
    bar = progress.add_task("cells", total=n_cells)
    started = time.monotonic()
    try:
        for block in blocks:
            yield block
            progress.update(bar, advance=block.shape[0])
            if time.monotonic() - started >= PATIENCE:
                progress.start()
    finally:
        if progress.live.is_started:
            progress.stop()
