r"""How much one gene attends to another: logits :math:`f(x_i, x_j)` and how they factorise."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import Linear

ATTENTION_FUNCTIONS = ("embedded_dot", "dot", "gaussian", "additive")
"""Formulas in :class:`~genegraph.nn.GeneGraphConv`; all but the last are products."""

NEGATIVE_SLOPE = 0.2
"""Of the leaky rectifier in ``"additive"``, as in GATv2."""


def query_key_bias(
    function: str, x: Tensor, theta: Linear | None, phi: Linear | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    r"""Returns logits as query . key + bias of the key, less what cancels in the softmax.

    Args:
        function: One of :data:`ATTENTION_FUNCTIONS`, not ``"additive"``.
        x: Features of genes, ``[..., num_genes, channels]``.
        theta: :math:`\theta`; None for ``"dot"``.
        phi: :math:`\phi`; None for ``"dot"``.

    Shapes:
        - query, key: ``[..., num_genes, attention_channels]``
        - bias: ``[..., num_genes]``, or None

    Example:
        >>> import torch
        >>> theta, phi = Linear(3, 4), Linear(3, 4)
        >>> x = torch.rand(5, 3)
        >>> query, key, bias = query_key_bias("gaussian", x, theta, phi)
        >>> distance = torch.cdist(theta(x), phi(x))
        >>> alpha = (-distance.square() / 2).softmax(-1)
        >>> torch.allclose((query @ key.T + bias).softmax(-1), alpha, atol=1e-5)
        True
    """
    if theta is None or phi is None:
        return x, x, None
    query, key = theta(x), phi(x)
    if function == "gaussian":
        return query, key, -key.square().sum(-1) / 2
    return query / math.sqrt(key.size(-1)), key, None


def scalar_coefficients(
    function: str, x: Tensor, theta: Linear | None, phi: Linear | None
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Returns a, c and k of the logits :math:`(a x_i + c)\, x_j - k x_j^2` of scalar features.

    ============  =============================================  ==========================
    function      a and c                                        k
    ============  =============================================  ==========================
    embedded_dot  (Wθ . Wφ) / sqrt(d_k), (bθ . Wφ) / sqrt(d_k)   0
    dot           1, 0                                           0
    gaussian      Wθ . Wφ, (bθ - bφ) . Wφ                        Wφ . Wφ / 2
    ============  =============================================  ==========================

    Args:
        function: One of :data:`ATTENTION_FUNCTIONS`, not ``"additive"``.
        x: Any tensor of the features' type and device.
        theta: :math:`\theta` of one feature; None for ``"dot"``.
        phi: :math:`\phi` of one feature; None for ``"dot"``.
    """
    if theta is None or phi is None:
        return x.new_ones(()), x.new_zeros(()), x.new_zeros(())
    query, key = theta.weight[:, 0], phi.weight[:, 0]
    dot = torch.dot  # not "@", which autocast makes of half precision: exponents want every digit
    if function == "gaussian":
        return dot(query, key), dot(theta.bias - phi.bias, key), dot(key, key) / 2
    key = key / math.sqrt(len(key))
    return dot(query, key), dot(theta.bias, key), x.new_zeros(())
