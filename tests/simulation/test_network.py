import networkx as nx
import numpy as np
import pytest

from genegraph.rewire import pair_keys
from genegraph.simulation.model import draw_genes
from genegraph.simulation.network import distinct_pairs, draw_network


def graph_of(pairs):
    return nx.Graph(list(zip(*pairs.tolist(), strict=True)))


def test_every_module_is_connected_and_knows_no_other():
    genes = draw_genes(2000, 600, 12, 0, "SIM", random_state=1)
    graph = graph_of(draw_network(genes, 1, random_state=1))
    found = sorted(map(sorted, nx.connected_components(graph)))
    members = [np.flatnonzero((genes.module == m) & genes.interacting).tolist() for m in range(12)]
    assert found == sorted(members)


def test_a_gene_of_a_large_module_has_twenty_partners_on_average():
    genes = draw_genes(1000, 600, 2, 0, "SIM", random_state=0)
    pairs = draw_network(genes, 1, random_state=0)
    assert pairs.shape[1] == 10 * 600
    degrees = np.bincount(pairs.ravel())[genes.interacting]
    assert degrees.std() > 2  # not a regular graph


def test_a_small_module_is_complete():
    genes = draw_genes(100, 20, 1, 0, "SIM", random_state=0)
    assert draw_network(genes, 1, random_state=0).shape[1] == 20 * 19 // 2


@pytest.mark.parametrize("graph_signal", [0, 0.3, 1])
def test_every_edge_is_there_once_and_joins_two_interacting_genes(graph_signal):
    genes = draw_genes(500, 200, 10, 0, "SIM", random_state=0)
    pairs = draw_network(genes, graph_signal, random_state=0)
    assert (pairs[0] < pairs[1]).all()
    keys = pair_keys(pairs, 500)
    assert (np.diff(keys) > 0).all()
    assert keys.size == draw_network(genes, 1, random_state=0).shape[1]
    assert genes.interacting[pairs].all()


@pytest.mark.parametrize("nodes", [2, 3, 4, 7, 8])
def test_pairs_are_drawn_until_none_is_left(nodes):
    rng = np.random.default_rng(0)
    everything = distinct_pairs(nodes, 10**6, np.empty((2, 0), np.int64), rng)
    keys = set(pair_keys(everything, nodes).tolist())
    assert keys == set(pair_keys(np.stack(np.triu_indices(nodes, 1)), nodes).tolist())
    assert everything.shape[1] == len(keys)


def test_pairs_are_equally_likely():
    rng = np.random.default_rng(0)
    taken = np.array([[3], [1]])
    drawn = [distinct_pairs(5, 2, taken, rng) for _ in range(3000)]
    found, times = np.unique(pair_keys(np.concatenate(drawn, axis=1), 5), return_counts=True)
    assert found.size == 9  # of ten, one is taken
    assert np.abs(times - 6000 / 9).max() < 5 * np.sqrt(6000 / 9)
