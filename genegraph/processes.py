"""Training in several processes: which of them this is, and sums over all of them.

Lightning starts the processes and averages their gradients; here is only what it cannot know.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def this_process() -> tuple[int, int]:
    """Returns the number of this process and how many train together: (0, 1) for one alone."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def sum_over_processes(part: Tensor) -> Tensor:
    """Returns the sum of what every process hands in, without a gradient."""
    total = part.detach().clone()
    if this_process()[1] > 1:
        dist.all_reduce(total)
    return total


def are_several(trainer_options: dict[str, Any] | None) -> bool:
    """Whether these arguments of Lightning's Trainer ask for more than one process.

    Example:
        >>> are_several({"devices": 2}), are_several({"devices": [3]}), are_several(None)
        (True, False, False)
    """
    options = trainer_options or {}
    devices = options.get("devices", 1)
    if devices in (-1, "-1", "auto"):
        devices = max(1, torch.cuda.device_count())
    number = len(devices) if isinstance(devices, (list, tuple)) else int(devices)
    return number > 1 or int(options.get("num_nodes", 1)) > 1
