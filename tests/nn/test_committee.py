"""Several heads that name a cell together."""

import pytest
import torch
from torch_geometric import EdgeIndex

from genegraph.nn import Committee, GeneGCN, GraphShrinkage
from genegraph.nn.first_layers import first_layers

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


def one_by_one(views, layers):
    return torch.stack([layer(views[m % len(views)]) for m, layer in enumerate(layers)])


@pytest.mark.parametrize("num_views", [1, 2, 3])
@pytest.mark.parametrize("num_layers", [1, 3, 4])
def test_first_layers_are_those_layers_with_their_gradients(num_views, num_layers):
    torch.manual_seed(0)
    layers = [torch.nn.Linear(6, 5).double() for _ in range(num_layers)]
    views = torch.rand(num_views, 7, 6, dtype=torch.float64, requires_grad=True)
    of = [views, *(part for layer in layers for part in (layer.weight, layer.bias))]
    weight = torch.rand(num_layers, 7, 5, dtype=torch.float64)
    ours, theirs = first_layers(views, layers), one_by_one(views, layers)
    torch.testing.assert_close(ours, theirs)
    grads = [torch.autograd.grad((out * weight).sum(), of) for out in (ours, theirs)]
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)
    assert (grads[0][0][num_layers:] == 0).all()  # views that no layer reads


def test_frozen_first_layers_learn_nothing_and_pass_the_gradient_on():
    layers = [torch.nn.Linear(6, 5) for _ in range(2)]
    layers[0].requires_grad_(False)
    views = torch.rand(1, 7, 6, requires_grad=True)
    first_layers(views, layers).sum().backward()
    assert layers[0].weight.grad is None
    assert layers[0].bias.grad is None
    torch.testing.assert_close(layers[1].weight.grad, views.detach()[0].sum(0).expand(5, 6))
    expected = (layers[0].weight + layers[1].weight).sum(0).expand(7, 6)
    torch.testing.assert_close(views.grad[0], expected)


def test_first_layers_in_half_precision_are_torch_s_own():
    layers = [torch.nn.Linear(64, 8) for _ in range(4)]
    views = torch.rand(2, 7, 64, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        ours, theirs = first_layers(views, layers), one_by_one(views, layers)
    assert ours.dtype == theirs.dtype == torch.bfloat16
    torch.testing.assert_close(ours, theirs)
    grads = [
        torch.autograd.grad(out.float().square().sum(), [views, layers[3].weight])
        for out in (ours, theirs)
    ]
    for a, b in zip(*grads, strict=True):
        assert a.dtype == b.dtype == torch.float32
        torch.testing.assert_close(a, b, rtol=2e-2, atol=2e-2 * b.abs().max().item())


# torch.compile makes an instance of any function with a gradient of its own, and warns of it.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_a_compiled_committee_computes_the_same():
    torch.manual_seed(0)
    committee = Committee(6, 3, (5,), num_heads=4)
    views = torch.rand(2, 7, 6, requires_grad=True)
    of = [views, *committee.parameters()]
    compiled = torch.compile(committee, backend="aot_eager")
    ours, theirs = compiled(views), committee(views)
    torch.testing.assert_close(ours, theirs)
    grads = [torch.autograd.grad(out.square().sum(), of) for out in (ours, theirs)]
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)
