"""Controls that ask what a prior is worth: random, thinned, and without its low-degree genes.

Pure functions on the undirected edges of a graph, each listed once; :mod:`genegraph.rewire` holds
the control that keeps every degree.
"""

import numpy as np
from numpy.typing import NDArray

from genegraph.rewire import pair_keys

IntArray = NDArray[np.int64]


def random_pairs(pairs: IntArray, num_nodes: int, rng: np.random.Generator) -> IntArray:
    r"""Draws as many different pairs of the nodes that have an edge, all pairs equally likely.

    The Erdős-Rényi graph :math:`G(n, m)` [1]_ of the same size: neither neighbours nor degrees
    are kept.

    Args:
        pairs: The two ends of every edge; each undirected edge once, no self-loops.
        num_nodes: Number of nodes.
        rng: Where the randomness comes from.

    Shapes:
        - ``pairs``: ``(2, num_edges)``
        - output: the same

    Example:
        >>> path = np.array([[0, 1, 2], [1, 2, 3]])
        >>> drawn = random_pairs(path, 9, np.random.default_rng(0))
        >>> drawn.shape, int(drawn.max()) <= 3
        ((2, 3), True)

    References:
        .. [1] Erdős & Rényi, "On Random Graphs I", Publicationes Mathematicae 6, 1959.
    """
    nodes = np.unique(pairs)
    drawn = np.empty((2, 0), dtype=np.int64)
    while drawn.shape[1] < pairs.shape[1]:
        missing = pairs.shape[1] - drawn.shape[1]
        # Half as many again: some are self-loops or there already.
        more = nodes[rng.integers(len(nodes), size=(2, missing + missing // 2 + 8))]
        drawn = np.concatenate([drawn, more[:, more[0] != more[1]]], axis=1)
        _, first = np.unique(pair_keys(drawn, num_nodes), return_index=True)
        drawn = drawn[:, np.sort(first)]
    return drawn[:, : pairs.shape[1]]


def in_core(pairs: IntArray, num_nodes: int, k: int) -> NDArray[np.bool_]:
    r"""Tells which edges lie in the k-core: what remains while nodes of degree < k are removed.

    Args:
        pairs: The two ends of every edge; each undirected edge once, no self-loops.
        num_nodes: Number of nodes.
        k: Smallest number of neighbours, counted within what remains.

    Shapes:
        - ``pairs``: ``(2, num_edges)``
        - output: ``(num_edges,)``

    Example:
        A triangle with a tail:

        >>> in_core(np.array([[0, 1, 2, 2], [1, 2, 0, 3]]), num_nodes=4, k=2).tolist()
        [True, True, True, False]

    References:
        Seidman, "Network structure and minimum degree", Social Networks 5, 1983.
    """
    kept = np.ones(pairs.shape[1], dtype=bool)
    while True:
        degree = np.bincount(pairs[:, kept].ravel(), minlength=num_nodes)
        inside = kept & (degree[pairs] >= k).all(axis=0)
        if inside.sum() == kept.sum():
            return kept
        kept = inside
