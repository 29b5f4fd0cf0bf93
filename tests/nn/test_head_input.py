"""What the head reads."""

import torch

from genegraph.batches import CellRows
from genegraph.head_statistics import settle_head_input
from genegraph.nn import GeneGCN
from genegraph.nn.head_input import HeadInput
from genegraph.recipe import Recipe


def test_as_it_comes_it_changes_nothing():
    x = torch.rand(3, 4)
    assert torch.equal(HeadInput(4)(x), x)


def test_the_features_that_vary_most_are_read_centred_and_scaled():
    torch.manual_seed(0)
    X = torch.rand(300, 6) * torch.tensor([0.1, 5.0, 0.2, 3.0, 0.0, 0.3]) + 7
    network = GeneGCN(6, 2, hidden_channels=(3,), num_layers=0, head_features=2)
    edges, device = (None, None), torch.device("cpu")
    settle_head_input(network, CellRows(X.numpy()), edges, Recipe(), device)
    assert network.head_input.columns.tolist() == [1, 3]
    read = network.head_input(X)
    torch.testing.assert_close(read.mean(0), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(read.square().sum(1).mean(), torch.tensor(18.0))  # (3 sqrt(2))^2
    settle_head_input(network, CellRows(X.numpy()), edges, Recipe("adam"), device)
    assert torch.equal(network.head_input(X), X[:, [1, 3]])
