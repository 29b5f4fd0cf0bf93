"""The layers of several heads that read the genes, where nearly all of a head's arithmetic is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def first_layers(views: Tensor, layers: Sequence[torch.nn.Linear]) -> Tensor:
    r"""Applies several linear layers, each to one of several views of the same cells.

    .. math::
        z_m = x_{m \bmod V} W_m^\top + b_m

    The same as layer by layer.  In training, though, the gradients of layers that read the same
    view are added up where they belong, without a tensor of the size of the batch for each layer.

    Args:
        views: The cells.
        layers: All of the same size.

    Shapes:
        - ``views``: ``[num_views, num_cells, num_features]``
        - output: ``[num_layers, num_cells, out_features]``

    Example:
        >>> import torch
        >>> layers = [torch.nn.Linear(100, 16) for _ in range(6)]
        >>> first_layers(torch.rand(3, 4, 100), layers).shape
        torch.Size([6, 4, 16])
    """
    parameters: list[Tensor] = [layer.weight for layer in layers]
    parameters += [layer.bias for layer in layers]
    kind = views.device.type
    if torch.is_autocast_enabled(kind):
        dtype = torch.get_autocast_dtype(kind)
        views, parameters = views.to(dtype), [part.to(dtype) for part in parameters]
    out: Tensor = _FirstLayers.apply(views, *parameters)  # type: ignore[no-untyped-call]
    return out


class _FirstLayers(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, views: Tensor, *parameters: Tensor) -> Tensor:
        half = len(parameters) // 2
        weights, biases = parameters[:half], parameters[half:]
        out = views.new_empty(half, views.size(1), weights[0].size(0))
        for m, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            torch.addmm(bias, views[m % len(views)], weight.t(), out=out[m])
        ctx.save_for_backward(views, *weights)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        views, *weights = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        into_views = torch.empty_like(views) if wanted[0] else None
        into_weights: list[Tensor | None] = []
        for m, weight in enumerate(weights):
            view = m % len(views)
            into_weights.append(grad[m].t() @ views[view] if wanted[1 + m] else None)
            if into_views is not None:
                # The first layer of a view sets its gradient, the others add to it.
                into_views[view].addmm_(grad[m], weight, beta=int(m >= len(views)))
        if into_views is not None:
            into_views[len(weights) :] = 0  # views that nobody reads
        return into_views, *into_weights, *grad.sum(1).unbind()
