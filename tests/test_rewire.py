import numpy as np

from genegraph.rewire import pair_keys, rewire_pairs


def complete(nodes):
    return np.stack(np.triu_indices(nodes, 1))


def test_edges_beside_those_rewired_are_never_made_again():
    rng = np.random.default_rng(0)
    for _ in range(20):
        pairs = complete(12)[:, rng.permutation(66)[:40]]
        moving, staying = pairs[:, :20], pairs[:, 20:]
        moved = rewire_pairs(moving, 12, rng, beside=staying)
        together = np.concatenate([moved, staying], axis=1)
        assert np.unique(pair_keys(together, 12)).size == 40
        assert (np.bincount(moved.ravel()) == np.bincount(moving.ravel())).all()
        assert (moved[0] != moved[1]).all()


def test_nothing_moves_where_every_other_place_is_taken():
    pairs = complete(6)
    matching = np.array([[0, 2, 4], [1, 3, 5]])
    others = pairs[:, ~np.isin(pair_keys(pairs, 6), pair_keys(matching, 6))]
    moved = rewire_pairs(matching, 6, np.random.default_rng(0), beside=others)
    assert set(pair_keys(moved, 6)) == set(pair_keys(matching, 6))
