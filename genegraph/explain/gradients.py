"""Integrated gradients, by captum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor


def integrated_gradients(
    output: Callable[..., Tensor], x: Tensor, baseline: Tensor, steps: int, arguments: Any = None
) -> Tensor:
    r"""Returns what each entry of x adds to the output on the straight way from a baseline.

    .. math::
        a_i = (x_i - b_i) \int_0^1 \partial_i F\big(b + t (x - b)\big)\, dt, \qquad
        \sum_i a_i = F(x) - F(b)

    The integral is a Gauss-Legendre sum, one step at a time, so that memory is that of one step.

    Args:
        output: From ``x`` and ``arguments`` to one number a row.
        x: ``[num_rows, ...]``.
        baseline: Same shape.
        steps: Points of the sum.
        arguments: A tuple of what else ``output`` takes, each a tensor with one entry a row, or
            something that is passed on as it is.

    Raises:
        ImportError: If captum is not installed.
        ValueError: If ``steps`` is below 1.

    Example:
        >>> import torch
        >>> x, zero = torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2)
        >>> integrated_gradients(lambda x: (x**2).sum(1), x, zero, 8)
        tensor([[1., 4.]])

    References:
        Sundararajan, Taly & Yan, "Axiomatic Attribution for Deep Networks", ICML 2017.
        https://arxiv.org/abs/1703.01365
    """
    if steps < 1:
        raise ValueError(f"'steps' must be at least 1 (got {steps}).")
    try:
        from captum.attr import IntegratedGradients
    except ModuleNotFoundError as error:
        raise ImportError(
            "Integrated gradients need captum, which is not installed; "
            'install it with: pip install "genegraph[explain]"'
        ) from error
    found: Tensor = IntegratedGradients(output).attribute(
        x,
        baselines=baseline,
        additional_forward_args=arguments,
        n_steps=steps,
        internal_batch_size=len(x),
    )
    return found.detach()
