"""Half precision: what is summed over thousands of genes is summed in single."""

from __future__ import annotations

import torch
from torch import Tensor

HALF = (torch.float16, torch.bfloat16)


def widened(x: Tensor) -> Tensor:
    """Returns numbers of half precision as float32, all others as they are.

    Example:
        >>> widened(torch.ones(2, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    return x.float() if x.dtype in HALF else x
