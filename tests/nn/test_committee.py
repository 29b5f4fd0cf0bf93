"""Several heads that name a cell together."""

import pytest
import torch
from torch_geometric import EdgeIndex

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
    x = torch.rand(2, 7, 5)
    for m, votes in enumerate(committee.votes(x)):
        torch.testing.assert_close(votes, committee.heads[m](x[m % 2]))


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
                torch.testing.assert_close(seen[v], stage(counts, edges, genes=genes))


def test_every_view_learns_its_own_strength():
    torch.manual_seed(0)
    network = GeneGCN(4, 2, hidden_channels=(8,), num_layers=0, kappa=[5.0, 50.0], num_heads=2)
    counts = torch.randint(0, 5, (6, 4)).float()
    network.votes(counts, PATH)[1].sum().backward()
    first, second = network.shrinkage.log_kappa.grad
    assert first == 0
    assert second != 0


def test_edges_into_unread_genes_change_nothing():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    pairs = torch.randint(30, (2, 200), generator=generator)
    edges = EdgeIndex(
        pairs[:, pairs[1].argsort(stable=True)], sparse_size=(30, 30), sort_order="col"
    )
    weight = torch.rand(200, generator=generator)
    options = {"hidden_channels": (8,), "num_layers": 0, "num_heads": 2, "head_features": 5}
    network = GeneGCN(30, 3, kappa=[5.0, 50.0], **options)
    columns = torch.tensor([2, 3, 11, 17, 29])
    network.head_input.set(columns, torch.zeros(2, 5), torch.ones(2))
    kept, kept_weight = network.needed_edges(edges, weight)
    assert set(kept.as_tensor()[1].tolist()) <= set(columns.tolist())
    assert 0 < len(kept_weight) < 100
    counts = torch.randint(0, 5, (6, 30)).float()
    torch.testing.assert_close(network(counts, kept, kept_weight), network(counts, edges, weight))


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"'target_sum' must be one number, or one for each"):
        GraphShrinkage([1.0, 2.0], target_sum=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"'kappa' must be a number above 0 \(got \[1.0, 0.0\]\)"):
        GraphShrinkage([1.0, 0.0])
    with pytest.raises(ValueError, match="'kappa' must be one number where there are graph layers"):
        GeneGCN(4, 2, kappa=[1.0, 2.0], num_layers=1)
    with pytest.raises(ValueError, match="'num_heads' must be at least 1"):
        GeneGCN(4, 2, num_heads=0)
