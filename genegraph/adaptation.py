"""How cells of another technology or depth differ from those that were learned, all types alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NUM_STEPS = 5
"""Twelve give the same, see ``docs/choices.md``."""
LARGEST_SLOPE = 2.0
"""A quotient of sums over wrongly named cells may be anything."""


@dataclass(frozen=True)
class TypeMeans:
    """What the heads read of the cells of each type, on average.

    Attributes:
        means: :math:`m_k`, ``[num_views, num_classes, num_features]``.
        variance: :math:`w` of each view, the mean squared distance of a cell from its type's mean.
        num_cells: :math:`n_k`, so many cells each mean was taken of.
    """

    means: NDArray[np.float32]
    variance: NDArray[np.float32]
    num_cells: NDArray[np.int64]

    def check_shape(self, num_views: int, num_classes: int, num_features: int) -> None:
        """Raises a ValueError if they are not of such views, classes and features."""
        found = (self.means, self.variance, self.num_cells)
        dtypes = [str(part.dtype) for part in found]
        if dtypes != ["float32", "float32", "int64"]:
            raise ValueError(f"The means of types must be float32, float32, int64 (got {dtypes}).")
        shapes = [part.shape for part in found]
        if shapes != [(num_views, num_classes, num_features), (num_views,), (num_classes,)]:
            raise ValueError(
                f"The means of types must be of {num_views} views, {num_classes} classes and "
                f"{num_features} features (got shapes {shapes})."
            )
        if (self.num_cells < 1).any():
            raise ValueError("Each type's mean must be that of a cell at least.")


class TypeSums:
    """Adds up what the heads read of cells, batch after batch, in the order of the cells.

    Args:
        codes: Number of each cell's class; every class has cells.

    Example:
        >>> sums = TypeSums(np.array([0, 0, 1]))
        >>> sums.add(torch.tensor([[1.0, 0.0], [3.0, 0.0]]))
        >>> sums.add(torch.tensor([[0.0, 5.0]]))
        >>> sums.means().means.tolist(), sums.means().variance.tolist()
        ([[[2.0, 0.0], [0.0, 5.0]]], [2.0])
    """

    def __init__(self, codes: NDArray[np.int64]) -> None:
        self.codes = torch.from_numpy(codes)
        self.num_cells = torch.bincount(self.codes)
        self.total: Tensor | None = None
        self.squares = torch.zeros(())
        self.seen = 0

    def add(self, read: Tensor) -> None:
        """Adds a batch, ``[num_cells, num_features]`` or ``[num_views, num_cells, ...]``."""
        views = (read.unsqueeze(0) if read.dim() == 2 else read).cpu().double()
        if self.total is None:
            self.total = views.new_zeros(len(views), len(self.num_cells), views.size(2))
            self.squares = views.new_zeros(len(views))
        theirs = self.codes[self.seen : self.seen + views.size(1)]
        self.total.index_add_(1, theirs, views)
        self.squares += views.square().sum((1, 2))
        self.seen += views.size(1)

    def means(self) -> TypeMeans:
        """Returns the means of the cells added."""
        assert self.total is not None
        number = self.num_cells[:, None]
        within = self.squares - (self.total.square() / number).sum((1, 2))
        freedom = max(1, self.seen - len(number))
        return TypeMeans(
            (self.total / number).float().numpy(),
            (within.clamp(min=0) / freedom).float().numpy(),
            self.num_cells.numpy(),
        )


class Adaptation(NamedTuple):
    r"""How to read a query as the reference was read, :math:`h / b + a`.

    Attributes:
        slope: :math:`b`, ``[num_views]``.
        offset: :math:`a`, ``[num_views, num_features]``.
        known: Which cells were taken to be of a known type.
        shift: The length of :math:`d` in units of the spread of cells within their types,
            :math:`\sqrt{w}`; the mean over views.
    """

    slope: NDArray[np.float32]
    offset: NDArray[np.float32]
    known: NDArray[np.bool_]
    shift: float

    def __call__(self, views: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns adapted views."""
        adapted: NDArray[np.float32] = views / self.slope[:, None, None]
        adapted += self.offset[:, None]
        return adapted


def find_adaptation(
    views: NDArray[np.float32],
    types: TypeMeans,
    name: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    distance: Callable[[NDArray[np.float32]], NDArray[np.float64]],
) -> Adaptation:
    r"""Returns what makes a query look as its types were learned to look.

    Cells of another technology, or of other depth, differ from the reference's by much the same in
    all types: in their mean, and in how far their types are apart.  The mean of the query,
    :math:`\bar h`, less the mean that the reference would have if it were composed of the same
    types, is what is to be taken away; and by how much of :math:`m_k` the cells said to be of type
    :math:`k` differ from each other is the slope:

    .. math::
        h \leftarrow \bar h - d + (h - \bar h) / b, \qquad
        d = f \big( \bar h - \bar m \big), \quad \bar m = \sum_k \pi_k m_k, \qquad
        b = 1 + f \Big( \frac{\sum_c (h_c - \bar h) \cdot (\sum_k p_{ck} m_k - \bar m)}
            {\sum_c \lVert \sum_k p_{ck} m_k - \bar m \rVert^2} - 1 \Big)

    The probabilities :math:`p`, and the composition :math:`\pi`, their mean, are what the heads say
    of the cells so adapted, beginning with the cells as they are; five times.  The factor

    .. math::
        f = \max\Big(0,\; 1 - \frac{w\,(1/n + \sum_k \pi_k^2 / n_k)}
            {\lVert \bar h - \bar m \rVert^2} \Big)

    takes off what chance alone would give [1]_: a query like the reference, and one cell, stay as
    they are.  All means and sums are over the :math:`n` cells that, once adapted, are no farther
    from the nearest type than 95 % of cells like the reference's, and over half of the cells at
    least: a type that was not learned must not move the others.  The quotient is kept between 1/2
    and 2.  Where most cells are named wrongly to begin with, or nearly all are of one type, it can
    end in a wrong place.

    Args:
        views: What the heads read of the query, ``[num_views, num_cells, num_features]``.
        types: What they read of the reference.
        name: Gives the probabilities of adapted views, ``[num_cells, num_classes]``.
        distance: Gives the distance of adapted views to the nearest type, 1 where 95 % of cells
            like the reference's are nearer.

    References:
        .. [1] James and Stein, "Estimation with quadratic loss", Berkeley Symposium 1961.

    Example:
        >>> types = TypeMeans(np.float32([[[0, 9], [9, 0]]]), np.ones(1, "f"), np.array([50, 50]))
        >>> query = np.float32([[[2, 9], [2, 9], [11, 0], [2, 9]]])  # 2 more of the first gene
        >>> name = lambda h: np.eye(2, dtype="f")[(h[0, :, 0] > 5).astype(int)]
        >>> adaptation = find_adaptation(query, types, name, lambda h: np.zeros(4))
        >>> print(adaptation(query)[0, 2].round(1), adaptation.slope)
        [9.1 0. ] [1.]
    """
    slope = np.ones(len(views))
    known = np.ones(views.shape[1], dtype=np.bool_)
    found = Adaptation(slope.astype(np.float32), np.zeros_like(views[:, 0]), known, 0.0)
    adapted = views
    for step in range(NUM_STEPS):
        if step > 0:
            far = distance(adapted)
            known = far <= max(1.0, float(np.median(far)))
        proba = name(adapted)[known].astype(np.float64)
        composition = proba.mean(0)
        mean = views[:, known].mean(1, dtype=np.float64)
        expected = np.einsum("k,vkg->vg", composition, types.means)
        share = _beyond_chance(mean - expected, composition, types, int(known.sum()))
        slope = 1 + share * (_slopes(views[:, known], proba, types.means) - 1)
        by = share[:, None] * (mean - expected)
        spread = np.sqrt(np.maximum(types.variance, np.finfo(np.float32).tiny))
        found = Adaptation(
            slope.astype(np.float32),
            (mean - by - mean / slope[:, None]).astype(np.float32),
            known,
            float((np.linalg.norm(by, axis=1) / spread).mean()),
        )
        adapted = found(views)
    return found


def _beyond_chance(
    apart: NDArray[np.float64],
    composition: NDArray[np.float64],
    types: TypeMeans,
    num_cells: int,
) -> NDArray[np.float64]:
    """Returns f of each view."""
    doubt = 1 / num_cells + (composition**2 / types.num_cells).sum()
    length = (apart**2).sum(1)
    rest = np.maximum(length - types.variance * doubt, 0)
    share: NDArray[np.float64] = np.divide(rest, length, out=np.zeros_like(rest), where=length > 0)
    return share


def _slopes(
    views: NDArray[np.float32], proba: NDArray[np.float64], means: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Returns how far cells of different types are apart, by how far they were; of each view."""
    around = proba - proba.mean(0)
    # The sums over cells first: as many numbers as types have, not as cells have.
    together = around.T @ around
    slopes = np.ones(len(views))
    for v, (view, mean) in enumerate(zip(views, means.astype(np.float64), strict=True)):
        theirs = ((around.T @ view) * mean).sum()
        ours = (together * (mean @ mean.T)).sum()
        if ours > 0:
            slopes[v] = theirs / ours
    return slopes.clip(1 / LARGEST_SLOPE, LARGEST_SLOPE)
