"""Linear discriminants in closed form, and how much to listen to them beside the heads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.special import expit, logsumexp

SHRINKAGE = 0.6
"""Chosen on validation cells, see ``docs/choices.md``; 0.3 and 0.9 are nearly as good."""
SMALLEST = 1e-9
"""Share of the variance below which cells of a class count as all alike."""

Features = NDArray[np.float32]
Maps = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Weights ``[num_views, num_classes, num_features]`` and biases ``[num_classes]``."""


def fit_discriminants(
    views: Features, codes: NDArray[np.int64], subsets: Sequence[NDArray[np.int64]]
) -> list[Maps] | None:
    r"""Returns the linear discriminant of each subset of the cells, the mean of those of the views.

    With the mean :math:`\mu_k` of each class, the mean :math:`\mu` of these, the covariance
    :math:`S` of :math:`n` cells around their class's mean, and its mean eigenvalue :math:`t`:

    .. math::
        \Sigma = (1 - a) S + a t I, \quad a = 0.6, \qquad
        \mathrm{score}_k(x) =
            (\mu_k - \mu)^T \Sigma^{-1} \big( x - \tfrac{1}{2} (\mu_k + \mu) \big)

    less the mean of the scores over classes.  It is the Bayes classifier [1]_ of classes that are
    equally frequent and normal with one covariance, shrunk [2]_, as cells are fewer than genes.
    It is computed from the products of cells with each other, whose number does not depend on how
    many genes there are.

    Args:
        views: ``[num_views, num_cells, num_features]``.
        codes: Number of each cell's class, from 0.
        subsets: Positions of cells; each must have a cell of every class.

    Returns:
        One map per subset; or None if in one the cells of each class are all alike, so that there
        is no covariance.

    Example:
        >>> views = np.float32([[[0, 1], [0, -1], [4, 1], [4, -1]]])
        >>> [(weight, bias)] = fit_discriminants(views, np.array([0, 0, 1, 1]), [np.arange(4)])
        >>> print(weight[0].round(2), bias.round(2))  # the second feature tells nothing
        [[-6.67  0.  ]
         [ 6.67  0.  ]] [ 13.33 -13.33]

    References:
        .. [1] Fisher, "The use of multiple measurements in taxonomic problems", Annals of
           Eugenics 1936.
        .. [2] Friedman, "Regularized discriminant analysis", J. American Statistical Association
           1989.
    """
    num_classes = int(codes.max()) + 1
    weights = np.zeros((len(subsets), len(views), num_classes, views.shape[2]), dtype=np.float32)
    biases = np.zeros((len(subsets), num_classes))
    for v, view in enumerate(views):
        x = view.astype(np.float64)
        products = x @ x.T
        for s, rows in enumerate(subsets):
            found = _discriminant(x[rows], products[np.ix_(rows, rows)], codes[rows], num_classes)
            if found is None:
                return None
            weights[s, v], bias = found
            biases[s] += bias / len(views)
    return list(zip(weights, biases.astype(np.float32), strict=True))


def _discriminant(
    x: NDArray[np.float64],
    products: NDArray[np.float64],
    codes: NDArray[np.int64],
    num_classes: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    number = len(codes)
    member = np.eye(num_classes)[codes]
    share = member / member.sum(0)
    within = _around(_around(products, member, share).T, member, share)
    total, all_in_all = np.trace(within), np.trace(products) - products.mean() * number
    if number <= num_classes or not SMALLEST * all_in_all < total < np.inf:
        return None
    eigenvalue = total / number / min(number - num_classes, x.shape[1])
    means = share.T @ x
    middle = means.mean(0)
    apart = means - middle
    rest = x - means[codes]
    # The inverse of (1 - a) R^T R / n + a t I, by way of the smaller matrix R R^T.
    within[np.diag_indices(number)] += number * eigenvalue * SHRINKAGE / (1 - SHRINKAGE)
    solved = cho_solve(cho_factor(within, lower=True, overwrite_a=True), rest @ apart.T)
    weight = (apart - solved.T @ rest) / (SHRINKAGE * eigenvalue)
    bias = -weight @ middle - (weight * apart).sum(1) / 2
    return weight - weight.mean(0), bias - bias.mean()


def _around(
    values: NDArray[np.float64], member: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Takes the mean of their class from the rows."""
    around: NDArray[np.float64] = values - member @ (share.T @ values)
    return around


def weight_beside(
    votes: NDArray[np.float32], scores: NDArray[np.float32], codes: NDArray[np.int64]
) -> float:
    r"""Returns by what to multiply scores that are to be added to the votes of the heads.

    Both are brought to unit spread, :math:`z` and :math:`d`; the share :math:`\rho` of the scores
    and a scale are those by which held-out labels are most probable, where half and half is the
    first guess, and a standard normal distribution of :math:`\mathrm{logit}(\rho)` says how firm:

    .. math::
        \min_{u, s}\; -\sum_b \log \mathrm{softmax}\Big(
            e^s \big( (1 - \rho) z_b + \rho d_b \big) \Big)_{y_b} + \frac{u^2}{2}, \qquad
        \rho = \frac{1}{1 + e^{-u}}

    Labels count as where the temperature is found: one in :math:`n + 1` could have been any.

    Args:
        votes: Logits of held-out cells, ``[num_cells, num_classes]``.
        scores: What the discriminant says of them, which has not learned from them either.
        codes: Number of each cell's class.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> codes = np.arange(200) % 2
        >>> told = np.eye(2)[codes] + rng.normal(0, 0.3, (200, 2))
        >>> noise = rng.normal(size=(200, 2))
        >>> weight_beside(told, noise, codes) < 0.2 < 5 < weight_beside(noise, told, codes)
        True
    """
    around = [part - part.mean(1, keepdims=True, dtype=np.float64) for part in (votes, scores)]
    spread = [float(part.std()) for part in around]
    if not all(0 < part < np.inf for part in spread):
        return 0.0
    z, d = (part / unit for part, unit in zip(around, spread, strict=True))
    doubt = 1 / (len(codes) + 1)
    cells = np.arange(len(codes))

    def loss(at: NDArray[np.float64]) -> float:
        u, s = at
        logits = np.exp(s) * (z + expit(u) * (d - z))
        true = (1 - doubt) * logits[cells, codes].sum()  # the mean over classes is zero
        return float(logsumexp(logits, axis=1).sum() - true + u**2 / 2)

    found = minimize(loss, np.zeros(2), method="L-BFGS-B", bounds=[(-5, 5), (-5, 5)])
    return float(np.exp(found.x[0]) * spread[0] / spread[1])


def without_each_fold(fold: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Gives the positions of the cells outside of each fold, and those of all cells."""
    for number in range(int(fold.max()) + 1):
        yield np.flatnonzero(fold != number)
    yield np.arange(len(fold))
