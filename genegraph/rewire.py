"""Shuffles the edges of a graph and keeps every node's number of neighbours."""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def rewire_pairs(
    pairs: IntArray,
    num_nodes: int,
    rng: np.random.Generator,
    swaps_per_edge: int = 10,
    beside: IntArray | None = None,
) -> IntArray:
    """Swaps the ends of random pairs of edges, so that degrees stay and neighbours change.

    Two edges ``a-b`` and ``c-d`` become ``a-d`` and ``c-b``, unless that would
    make a self-loop or an edge that exists [1]_.  All edges are paired up at
    random and every pair is tried at once, so a round is a few array
    operations; of several pairs that would make the same edge, none is swapped.

    Args:
        pairs: The two ends of every edge; each undirected edge once, no self-loops.
        num_nodes: Number of nodes.
        rng: Where the randomness comes from.
        swaps_per_edge: Attempted swaps for every edge; at 0 nothing changes.
        beside: Further edges of the same graph, none of them in ``pairs``; they stay, and no swap
            makes one of them again.

    Shapes:
        - ``pairs``: ``(2, num_edges)``
        - ``beside``: ``(2, num_other_edges)``
        - output: ``(2, num_edges)``; column ``e`` is what became of edge ``e``

    Example:
        >>> square = np.array([[0, 1, 2, 3], [1, 2, 3, 0]])
        >>> shuffled = rewire_pairs(square, 4, np.random.default_rng(0))
        >>> np.bincount(shuffled.ravel()).tolist()
        [2, 2, 2, 2]

    References:
        .. [1] Maslov & Sneppen, "Specificity and Stability in Topology of
           Protein Networks", Science 296, 2002.
    """
    pairs = pairs.copy()
    half = pairs.shape[1] // 2
    if half == 0:
        return pairs
    staying = np.empty(0, np.int64) if beside is None else pair_keys(beside, num_nodes)
    for _ in range(2 * swaps_per_edge):  # a round tries half a swap per edge
        order = rng.permutation(pairs.shape[1])
        first, second = order[:half], order[half : 2 * half]
        (a, b), (c, d) = pairs[:, first], pairs[:, second]
        flip = rng.random(half) < 0.5
        c, d = np.where(flip, d, c), np.where(flip, c, d)
        present = np.concatenate([pair_keys(pairs, num_nodes), staying])
        accepted = _allowed(present, a, b, c, d, num_nodes)
        pairs[:, first[accepted]] = a[accepted], d[accepted]
        pairs[:, second[accepted]] = c[accepted], b[accepted]
    return pairs


def pair_keys(pairs: IntArray, num_nodes: int) -> IntArray:
    """Gives every undirected pair one number, the same for ``a-b`` and ``b-a``.

    Args:
        pairs: The two ends of every edge.
        num_nodes: Number of nodes.

    Shapes:
        - ``pairs``: ``(2, num_edges)``
        - output: ``(num_edges,)``

    Example:
        >>> pair_keys(np.array([[0, 2], [2, 0]]), num_nodes=3)
        array([2, 2])
    """
    keys: IntArray = pairs.min(axis=0) * num_nodes + pairs.max(axis=0)
    return keys


def shared_pairs(pairs: IntArray, others: IntArray, num_nodes: int) -> float:
    """Gives the share of these edges that are among the others, 1 if there are none.

    Args:
        pairs: The two ends of every edge; each undirected edge once.
        others: The same of another graph on the same nodes.
        num_nodes: Number of nodes.

    Example:
        >>> shared_pairs(np.array([[0, 1], [1, 2]]), np.array([[1, 0], [0, 3]]), num_nodes=4)
        0.5
    """
    found = np.isin(pair_keys(pairs, num_nodes), pair_keys(others, num_nodes))
    return float(found.mean()) if found.size else 1.0


def _allowed(
    present: IntArray,
    a: IntArray,
    b: IntArray,
    c: IntArray,
    d: IntArray,
    num_nodes: int,
) -> IntArray:
    present = np.sort(present)
    one = pair_keys(np.stack([a, d]), num_nodes)
    two = pair_keys(np.stack([c, b]), num_nodes)
    fresh = (a != d) & (c != b) & ~_among(one, present) & ~_among(two, present)
    candidates = np.flatnonzero(fresh)
    proposed = np.concatenate([one[candidates], two[candidates]])
    _, where, count = np.unique(proposed, return_inverse=True, return_counts=True)
    alone = (count[where] == 1).reshape(2, -1).all(axis=0)
    accepted: IntArray = candidates[alone]
    return accepted


def _among(keys: IntArray, present: IntArray) -> NDArray[np.bool_]:
    place = np.searchsorted(present, keys).clip(max=present.size - 1)
    found: NDArray[np.bool_] = present[place] == keys
    return found
