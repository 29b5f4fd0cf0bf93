"""What CUDA devices compute with: kernels in Triton, which comes with torch for CUDA."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

from torch import Tensor


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None


def takes_kernels(x: Tensor) -> bool:
    """Whether these kernels are for ``x``: on a CUDA device, where Triton is installed."""
    return x.is_cuda and _has_triton()
