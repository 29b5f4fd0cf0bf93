"""Shrinkage of counts: by hand, its limits, symmetries and gradients."""

import math

import pytest
import torch
from torch.testing import assert_close
from torch_geometric import EdgeIndex

from genegraph.nn.shrinkage import GraphShrinkage

PATH = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])  # 0 - 1 - 2, and gene 3 alone


def _counts(num_cells=5, num_genes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.poisson(torch.full((num_cells, num_genes), 3.0), generator=generator).double()


def _stage(kappa=20.0, **options):
    return GraphShrinkage(kappa, **options).double()


def test_by_hand():
    counts = torch.tensor([[6.0, 2.0, 0.0, 2.0]], dtype=torch.float64)
    weight = torch.tensor([0.5, 1.0, 1.0, 0.5], dtype=torch.float64)
    found = _stage(10.0, target_sum=100.0)(counts, PATH, weight).expm1()
    # Rates 0.6, 0.2, 0, 0.2; what the neighbours say: 0.2, 0.5 * 0.6 + 0.5 * 0, 0.2, nothing.
    by_hand = [(6 + 10 * 0.2) / 20, (2 + 10 * 0.3) / 20, (0 + 10 * 0.2) / 20, 2 / 10]
    assert_close(found, 100 * torch.tensor([by_hand], dtype=torch.float64))


def test_no_graph_and_an_edgeless_graph_are_the_log_of_normalised_counts():
    counts = _counts()
    expected = torch.log1p(1000 * counts / counts.sum(1, keepdim=True))
    none = torch.empty(2, 0, dtype=torch.long)
    assert_close(_stage()(counts), expected)
    assert_close(_stage()(counts, none), expected)


def test_kappa_leads_from_the_own_reads_to_those_of_the_neighbours():
    counts = _counts()
    own = _stage()(counts)
    assert_close(_stage(1e-12)(counts, PATH), own)
    rate = counts / counts.sum(1, keepdim=True)
    weight = torch.tensor([1.0, 0.5, 1.0, 0.5], dtype=torch.float64)[[0, 1, 2, 3]]
    neighbours = torch.stack([0.5 * rate[:, 1], rate[:, 0] + 0.5 * rate[:, 2], rate[:, 1]], 1)
    assert_close(_stage(1e15)(counts, PATH, weight)[:, :3], torch.log1p(1000 * neighbours))


def test_deep_cells_hardly_notice_the_graph():
    counts = _counts()

    def change(counts):
        return (_stage()(counts, PATH).expm1() - _stage()(counts).expm1()).abs().max()

    # The shift is kappa / (T + kappa) of the way to the neighbours: here T = 4000 instead of 4.
    assert change(1000 * counts) < change(counts) / 100


def test_depth_counts_reads_in_genes_that_are_not_here():
    counts, depth = _counts(), torch.full((5,), 100.0)
    rate = counts / 100
    by_hand = (counts[:, 0] + 20 * rate[:, 1]) / (100 + 20)
    found = _stage()(counts, PATH, torch.ones(4).double(), depth=depth)
    assert_close(found[:, 0], torch.log1p(1000 * by_hand))
    assert_close(_stage()(counts, PATH, depth=counts.sum(1)), _stage()(counts, PATH))


def test_order_of_cells_and_genes_does_not_matter():
    counts, order = _counts(), torch.tensor([2, 0, 3, 1])
    found = _stage()(counts, PATH)
    assert_close(_stage()(counts.flip(0), PATH), found.flip(0))
    assert_close(_stage()(counts[:, order], order.argsort()[PATH]), found[:, order])


def test_genes_that_are_wanted_alone_are_the_same():
    counts, wanted = _counts(), torch.tensor([3, 1])
    assert_close(_stage()(counts, PATH, genes=wanted), _stage()(counts, PATH)[:, wanted])
    assert_close(_stage()(counts, genes=wanted), _stage()(counts)[:, wanted])


def test_fused_way_agrees_with_messages():
    counts, weight = _counts(), torch.rand(4, dtype=torch.float64)
    order = PATH[1].argsort(stable=True)
    fused = EdgeIndex(PATH[:, order], sparse_size=(4, 4), sort_order="col").fill_cache_()
    expected = _stage()(counts, PATH, weight)
    assert_close(_stage()(counts, fused, weight[order]), expected)
    stage = _stage()
    stage.message = None  # would be called, were the product not fused
    with torch.inference_mode():
        assert_close(stage(counts, fused, weight[order]), expected)


def test_gradients():
    counts = _counts(3).requires_grad_()
    weight = torch.rand(4, dtype=torch.float64, requires_grad=True)
    stage = _stage()
    kappa = stage.log_kappa
    depth = torch.full((3,), 50.0)

    def run(counts, weight, kappa):
        stages = {"log_kappa": kappa}
        args = (counts, PATH, weight, depth)
        return torch.func.functional_call(stage, stages, args)

    assert torch.autograd.gradcheck(run, (counts, weight, kappa))


def test_an_empty_cell_stays_zero():
    assert not GraphShrinkage()(torch.zeros(1, 4), PATH).any()


def test_kappa_is_learned_up_where_neighbours_know_more():
    """Ten genes of one module share a rate per cell: their mean tells it better than one gene."""
    generator = torch.Generator().manual_seed(0)
    rate = torch.rand(400, 1, generator=generator) * 0.1
    counts = torch.poisson((20 * rate).expand(400, 10), generator=generator)
    counts = torch.cat([counts, 20 - counts.sum(1, keepdim=True).clamp(max=20)], 1)
    pairs = [(i, j) for i in range(10) for j in range(10) if i != j]
    edges, weight = torch.tensor(pairs).T, torch.full((90,), 1 / 9)
    stage = GraphShrinkage(5.0)
    optimiser = torch.optim.Adam(stage.parameters(), lr=0.1)
    for _ in range(100):
        optimiser.zero_grad()
        error = stage(counts, edges, weight, depth=torch.full((400,), 20.0))[:, :10].expm1() / 1000
        (error - rate).square().mean().backward()
        optimiser.step()
    assert stage.kappa > 50


@pytest.mark.parametrize("kappa", [0.0, -1.0, math.nan, math.inf])
def test_refuses_a_kappa_that_is_no_strength(kappa):
    with pytest.raises(ValueError, match="'kappa' must be a number above 0"):
        GraphShrinkage(kappa)


def test_refuses_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="'counts' must have shape"):
        GraphShrinkage()(torch.zeros(2, 3, 1), PATH)
    with pytest.raises(ValueError, match="'depth' must hold one number per cell"):
        GraphShrinkage()(torch.ones(2, 4), PATH, depth=torch.ones(3))
    with pytest.raises(ValueError, match="'edge_weight' must hold one value per edge"):
        GraphShrinkage()(torch.ones(2, 4), PATH, torch.ones(3))
