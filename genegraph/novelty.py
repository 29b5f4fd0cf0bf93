"""How far a cell is from every cell type that was learned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA

NUM_COMPONENTS = 30
NUM_CELLS = 4000
CELLS_PER_CLASS = 20
USUAL = 0.95


def choose_cells(
    codes: NDArray[np.int64],
    rng: np.random.RandomState,
    num_cells: int = NUM_CELLS,
    per_class: int = CELLS_PER_CLASS,
) -> NDArray[np.int64]:
    """Returns positions of cells that stand for all: so many by chance, and so many of every class.

    Args:
        codes: Number of each cell's class.
        rng: Source of the draw.
        num_cells: How many by chance.
        per_class: How many of every class.
    """
    order = rng.permutation(len(codes))
    chosen = [order[:num_cells]]
    chosen += [order[codes[order] == code][:per_class] for code in np.unique(codes)]
    return np.unique(np.concatenate(chosen))


@dataclass(frozen=True)
class Novelty:
    r"""The distance of a cell to its nearest type, and what it is for cells of known types.

    In the :math:`d \le 30` principal components :math:`V` of what the heads read, :math:`h`, with
    the mean :math:`\mu_k` of each type and the covariance :math:`\Sigma` of cells around their
    type's mean (shrunk [1]_):

    .. math::
        D(h)^2 = \min_k (V^T h - \mu_k)^T \Sigma^{-1} (V^T h - \mu_k), \qquad
        \mathrm{novelty}(h) = \frac{|\{i : D_i < D(h)\}|}{n + 1}

    with the distances :math:`D_i` of :math:`n` training cells, each measured by components, means
    and covariance of the other folds.  So :math:`1 - \mathrm{novelty}` is a cross-conformal p-value
    [2]_: of cells like those learned from, about a share :math:`q` has a novelty above
    :math:`1 - q`.

    Attributes:
        directions: :math:`V \Sigma^{-1/2}`, ``[num_features, d]``.
        means: :math:`\Sigma^{-1/2} \mu_k`, ``[num_classes, d]``.
        distances: :math:`D_i`, sorted.

    References:
        .. [1] Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance
           matrices", J. Multivariate Analysis 2004.
        .. [2] Vovk, "Cross-conformal predictors", Annals of Mathematics and Artificial
           Intelligence 2015. https://arxiv.org/abs/1208.0806
    """

    directions: NDArray[np.float32]
    means: NDArray[np.float32]
    distances: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        features: NDArray[np.float32],
        codes: NDArray[np.int64],
        fold: NDArray[np.int64],
    ) -> Novelty:
        """Learns what known types look like.

        Args:
            features: :math:`h` of training cells, ``[num_cells, num_features]``.
            codes: Number of each cell's class.
            fold: The fold of each cell; cells in none (-1) are learned from only.

        Example:
            >>> features = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0)
            >>> codes = np.repeat([0, 1, 2], 20)
            >>> novelty = Novelty.of(features, codes, np.arange(60) % 5)
            >>> novelty(np.float32([[0, 0, 1], [2, 2, 2]]) @ novelty.directions).round(2).tolist()
            [0.0, 0.98]
        """
        directions, means = _types(features, codes)
        distances = []
        for held, rest in _folds(fold):
            theirs, centres = _types(features[rest], codes[rest])
            distances.append(_nearest(features[held] @ theirs, centres))
        known = np.sort(np.concatenate(distances)) if distances else np.empty(0, np.float32)
        return cls(directions, means, known)

    def __call__(self, projected: NDArray[np.float32]) -> NDArray[np.float64]:
        """Returns the novelty of cells, in 0 .. 1.

        Args:
            projected: What the heads read of them, times ``directions``.
        """
        nearer = np.searchsorted(self.distances, _nearest(projected, self.means), side="left")
        share: NDArray[np.float64] = nearer / (len(self.distances) + 1)
        return share

    def distance(self, projected: NDArray[np.float32]) -> NDArray[np.float64]:
        """Returns how far cells are from the nearest type, in units of a usual distance.

        Of cells like those learned from, 95 % are no farther than 1.  Beyond the farthest of them,
        where novelty ends, it goes on.

        Args:
            projected: What the heads read of them, times ``directions``.

        Raises:
            ValueError: If no training cells were held out, so that nothing is known to be usual.
        """
        if len(self.distances) == 0:
            raise ValueError("No training cells were held out, so no distance is known as usual.")
        smallest = float(np.finfo(np.float32).tiny)  # where all cells of a type are alike
        usual = max(float(np.quantile(self.distances, USUAL)), smallest)
        far: NDArray[np.float64] = _nearest(projected, self.means).astype(np.float64) / usual
        return far

    def check(self, max_novelty: float) -> None:
        """Raises a ValueError if no cell could be told to be newer than this."""
        if not 0 < max_novelty < 1:
            raise ValueError(f"'max_novelty' must lie between 0 and 1 (got {max_novelty!r}).")
        n = len(self.distances)
        if max_novelty * (n + 1) >= n:
            raise ValueError(
                f"'max_novelty' must be less than {n / (n + 1):.4g}, the most that {n:,} training "
                f"cells can show (got {max_novelty!r})."
            )

    def check_shape(self, num_features: int, num_classes: int) -> None:
        """Raises a ValueError if it is not of such features and classes, or no float32."""
        parts = (self.directions, self.means, self.distances)
        if any(part.dtype != np.float32 for part in parts):
            raise ValueError(f"Novelty must hold float32 (got {[str(p.dtype) for p in parts]}).")
        number = self.directions.shape[-1]
        shapes = (self.directions.shape, self.means.shape, self.distances.shape)
        if shapes != ((num_features, number), (num_classes, number), (len(self.distances),)):
            raise ValueError(
                f"Novelty must be of {num_features} features and {num_classes} classes (got "
                f"directions {shapes[0]}, means {shapes[1]} and distances {shapes[2]})."
            )


def _folds(fold: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    for number in range(int(fold.max()) + 1):
        held, rest = fold == number, fold != number
        if held.any() and rest.sum() > 1:
            yield held, rest


def _types(
    features: NDArray[np.float32], codes: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns directions and means."""
    number = min(NUM_COMPONENTS, features.shape[1], len(features) - 1)
    pca = PCA(number, random_state=0)
    found = pca.fit(features).components_.T.astype(np.float64)
    places = features @ found
    classes, member = np.unique(codes, return_inverse=True)
    means = np.stack([places[member == k].mean(axis=0) for k in range(len(classes))])
    covariance, _ = ledoit_wolf(places - means[member], assume_centered=True)
    values, vectors = np.linalg.eigh(covariance)
    # Cells of a type that are all alike must not be infinitely far from the next one.
    spread = float(places.var(axis=0).sum())
    smallest = 1e-6 * spread if spread > 0 else 1.0
    whitening = vectors / np.sqrt(values + smallest)
    return (found @ whitening).astype(np.float32), (means @ whitening).astype(np.float32)


def _nearest(projected: NDArray[np.float32], means: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the distance of each cell to the nearest mean."""
    squares = [((projected - mean) ** 2).sum(axis=1) for mean in means.astype(np.float64)]
    nearest: NDArray[np.float32] = np.sqrt(np.min(squares, axis=0)).astype(np.float32)
    return nearest
