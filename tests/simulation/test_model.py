import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genegraph.simulation.model import allocate, draw_genes, draw_labels, numbered
from genegraph.simulation.streams import stream


def test_modules_are_uneven_and_hold_twice_as_many_unknown_genes():
    genes = draw_genes(20_499, 1_817, 60, 0, "SIM", random_state=0)
    known = np.bincount(genes.module[genes.interacting], minlength=60)
    others = ~genes.interacting & (genes.module >= 0)
    assert known.sum() == 1_817
    assert known.min() >= 4
    assert known.max() > 2 * known.min()
    assert np.bincount(genes.module[others], minlength=60).tolist() == (2 * known).tolist()


def test_where_genes_are_scarce_all_of_them_belong_to_modules():
    genes = draw_genes(100, 60, 3, 0, "SIM", random_state=0)
    assert (genes.module >= 0).all()
    assert genes.interacting.sum() == 60
    assert draw_genes(60, 60, 3, 0, "SIM", random_state=0).interacting.all()


def test_hidden_modules_hold_no_interacting_gene_and_follow_the_others():
    genes = draw_genes(5000, 600, 20, 30, "SIM", random_state=0)
    hidden = genes.module >= 20
    sizes = np.bincount(genes.module[hidden] - 20)
    assert len(sizes) == 30
    assert sizes.sum() == 900  # thirty modules as large as the known parts of the others
    assert sizes.min() >= 4
    assert not genes.interacting[hidden].any()
    loading = genes.loading[hidden]
    assert 0.5 <= loading.min() < loading.max() <= 1.5
    assert (genes.module < 0).sum() == 5000 - 600 - 1200 - 900


def test_loadings_are_weaker_for_unknown_members_and_zero_outside():
    genes = draw_genes(3000, 500, 10, 0, "SIM", random_state=0)
    known, outside = genes.loading[genes.interacting], genes.loading[genes.module < 0]
    unknown = genes.loading[~genes.interacting & (genes.module >= 0)]
    assert (known.min() >= 0.5, known.max() <= 1.5, round(known.mean(), 1)) == (True, True, 1.0)
    assert (unknown.min() >= 0.25, unknown.max() <= 0.75) == (True, True)
    assert outside.tolist() == [0] * 1500


def test_numbers_of_genes_say_nothing_about_their_modules():
    genes = draw_genes(3000, 1000, 10, 0, "SIM", random_state=0)
    neighbours = genes.module[1:] == genes.module[:-1]
    members = (genes.module[1:] >= 0) & (genes.module[:-1] >= 0)
    assert neighbours[members].mean() < 0.2
    assert abs(np.corrcoef(np.arange(3000), genes.interacting)[0, 1]) < 0.05


def test_types_have_uneven_shares_and_four_cells_at_least():
    cells = np.bincount(draw_labels(2000, 20, random_state=0))
    assert cells.sum() == 2000
    assert cells.max() > 2 * cells.min()
    assert np.bincount(draw_labels(80, 20, random_state=0)).tolist() == [4] * 20


def test_types_are_shuffled():
    labels = draw_labels(2000, 20, random_state=0)
    assert abs(np.corrcoef(np.arange(2000), labels)[0, 1]) < 0.1


@given(
    rest=st.integers(0, 10**6),
    least=st.integers(0, 4),
    weights=st.lists(st.floats(0.01, 100), min_size=1, max_size=50),
)
def test_parts_sum_to_the_whole_and_are_within_one_of_their_shares(rest, least, weights):
    weights = np.array(weights)
    parts = allocate(rest + least * len(weights), weights, least)
    assert parts.sum() == rest + least * len(weights)
    assert np.abs(parts - least - rest * weights / weights.sum()).max() <= 1 + 1e-6


def test_names_sort_as_their_numbers():
    names = numbered("gene", 1234, 2)
    assert names[0] == "gene0001"
    assert sorted(names) == names


@pytest.mark.parametrize("other", [(0, "types", 0), (0, "cells", 1), (1, "cells", 0)])
def test_streams_are_apart(other):
    one = stream(0, "cells", 0).random(1000)
    assert abs(np.corrcoef(one, stream(*other).random(1000))[0, 1]) < 0.1
