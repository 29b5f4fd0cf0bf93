"""Several heads that name a cell together."""

import pytest
import torch

from genegraph.nn import Committee, GeneGCN, GraphShrinkage

PATH = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])


def test_the_mean_of_the_heads():
    committee = Committee(5, 3, (4,), num_heads=3)
    x = torch.rand(7, 5)
    each = [head(x) for head in committee.heads]
    assert torch.equal(committee.votes(x), torch.stack(each))
    torch.testing.assert_close(committee(x), sum(each) / 3)


def test_each_head_reads_its_view():
    committee = Committee(5, 3, (4,), num_heads=5)
    x = torch.rand(7, 5, 2)
    for m, votes in enumerate(committee.votes(x)):
        torch.testing.assert_close(votes, committee.heads[m](x[..., m % 2]))


def test_the_views_are_those_of_single_stages():
    counts = torch.randint(0, 5, (6, 4)).float()
    kappa, sums = [3.0, 50.0, 3.0], [1e3, 1e3, 1e4]
    views = GraphShrinkage(kappa, target_sum=sums)
    assert views.kappa == pytest.approx(kappa)
    for edges in (PATH, None):
        for genes in (None, torch.tensor([0, 2])):
            seen = views(counts, edges, genes=genes)
            for v in range(3):
                stage = GraphShrinkage(kappa[v], target_sum=sums[v])
                torch.testing.assert_close(seen[..., v], stage(counts, edges, genes=genes))


def test_every_view_learns_its_own_strength():
    torch.manual_seed(0)
    network = GeneGCN(4, 2, hidden_channels=(8,), num_layers=0, kappa=[5.0, 50.0], num_heads=2)
    counts = torch.randint(0, 5, (6, 4)).float()
    network.votes(counts, PATH)[1].sum().backward()
    first, second = network.shrinkage.log_kappa.grad
    assert first == 0
    assert second != 0


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"'target_sum' must be one number, or one for each"):
        GraphShrinkage([1.0, 2.0], target_sum=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"'kappa' must be a number above 0 \(got \[1.0, 0.0\]\)"):
        GraphShrinkage([1.0, 0.0])
    with pytest.raises(ValueError, match="'kappa' must be one number where there are graph layers"):
        GeneGCN(4, 2, kappa=[1.0, 2.0], num_layers=1)
    with pytest.raises(ValueError, match="'num_heads' must be at least 1"):
        GeneGCN(4, 2, num_heads=0)
