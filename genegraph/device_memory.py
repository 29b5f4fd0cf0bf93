"""What to do where a device's memory does not hold a batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def naming_batch_size(batch_size: int) -> Iterator[None]:
    """Has an error about a device's memory say what to set.

    Args:
        batch_size: Cells per batch.

    Raises:
        torch.OutOfMemoryError: In place of torch's own, which says only how many bytes.

    Example:
        >>> with naming_batch_size(64):
        ...     raise torch.OutOfMemoryError("CUDA out of memory.")
        Traceback (most recent call last):
        ...
        torch.OutOfMemoryError: The device's memory does not hold a batch of 64 cells: set ...
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        smaller = f"a smaller 'batch_size' (got {batch_size}; try {batch_size // 2}), "
        raise torch.OutOfMemoryError(
            f"The device's memory does not hold a batch of {batch_size} cell"
            f"{'s' if batch_size > 1 else ''}: set {smaller if batch_size > 1 else ''}a smaller "
            "'n_top_genes', genes='interacting', trainer_options={'precision': 'bf16-mixed'}, or "
            f"device='cpu'. {error}"
        ) from error
