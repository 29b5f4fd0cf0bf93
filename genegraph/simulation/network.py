"""Draws who interacts with whom: dense within modules, and rewired as far as asked."""

import numpy as np

from genegraph.rewire import pair_keys, rewire_pairs
from genegraph.simulation.model import Genes, IntArray
from genegraph.simulation.streams import stream

PARTNERS = 20  # of a gene on average, where its module has as many other members


def draw_network(genes: Genes, graph_signal: float, random_state: int) -> IntArray:
    """Draws the edges between interacting genes.

    Within a module they make a connected random graph with 20 partners a gene on average; a module
    of up to 21 members is complete. Then a random share ``1 - graph_signal`` of the edges swap
    ends with one another, whatever their modules. Every gene keeps its number of partners.

    Args:
        genes: The genes and their modules.
        graph_signal: Share of the edges that stay within their modules, from 0 to 1.
        random_state: Seed of the study.

    Shapes:
        - output: ``(2, num_edges)``; each edge once, lower position first, sorted

    Example:
        >>> from genegraph.simulation.model import draw_genes
        >>> genes = draw_genes(100, 20, 4, 0, "SIM", random_state=0)
        >>> one, other = draw_network(genes, graph_signal=1, random_state=0)
        >>> (genes.module[one] == genes.module[other]).all()
        np.True_
    """
    rng = stream(random_state, "network")
    members = np.flatnonzero(genes.interacting)
    known = np.unique(genes.module[members])  # not the hidden ones
    modules = [members[genes.module[members] == m] for m in known]
    pairs = np.concatenate([_connected(module, rng) for module in modules], axis=1)
    rng = stream(random_state, "rewiring")
    order = rng.permutation(pairs.shape[1])
    moving, staying = np.split(order, [round((1 - graph_signal) * order.size)])
    n_genes = len(genes.names)
    moved = rewire_pairs(pairs[:, moving], n_genes, rng, beside=pairs[:, staying])
    keys = np.sort(pair_keys(np.concatenate([moved, pairs[:, staying]], axis=1), n_genes))
    return np.stack(np.divmod(keys, n_genes))


def distinct_pairs(n_nodes: int, count: int, taken: IntArray, rng: np.random.Generator) -> IntArray:
    """Draws pairs of nodes at random, all different and none of those taken.

    Args:
        n_nodes: Number of nodes.
        count: How many pairs; fewer come back where there are no more.
        taken: Pairs that must not come, each once.
        rng: Where the randomness comes from.

    Shapes:
        - ``taken``: ``(2, num_taken)``
        - output: ``(2, count)``

    Example:
        >>> pairs = distinct_pairs(4, 5, np.array([[0], [1]]), np.random.default_rng(0))
        >>> sorted(zip(pairs.min(axis=0).tolist(), pairs.max(axis=0).tolist()))
        [(0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    """
    possible = n_nodes * (n_nodes - 1) // 2
    drawn = rng.choice(possible, min(possible, count + taken.shape[1]), replace=False)
    # Nodes on a circle: pair k joins a node to the one that many steps ahead, and each comes once.
    steps, start = np.divmod(drawn, n_nodes)
    pairs = np.stack([start, (start + steps + 1) % n_nodes])
    free = ~np.isin(pair_keys(pairs, n_nodes), pair_keys(taken, n_nodes))
    return pairs[:, free][:, :count]


def _connected(members: IntArray, rng: np.random.Generator) -> IntArray:
    """A tree in which each member joins an earlier one, and further pairs up to the density."""
    size = members.size
    later = np.arange(1, size)
    tree = np.stack([rng.integers(0, later), later])
    # A module too small for so many edges ends up complete.
    n_further = max(PARTNERS * size // 2 - later.size, 0)
    pairs = np.concatenate([tree, distinct_pairs(size, n_further, tree, rng)], axis=1)
    edges: IntArray = rng.permutation(members)[pairs]
    return edges
