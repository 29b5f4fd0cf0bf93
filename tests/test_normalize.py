import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from genegraph.normalize import (
    normalize_edges,
    normalize_max,
    normalize_row,
    normalize_sym,
    set_diagonal,
)

METHODS = ["max", "sym", "row", None]


def dense(edge_index, edge_weight, num_nodes):
    matrix = np.zeros((num_nodes, num_nodes))
    np.add.at(matrix, (edge_index[1].numpy(), edge_index[0].numpy()), edge_weight.double().numpy())
    return matrix


def random_edges(seed, num_nodes, undirected=True):
    """Every pair with chance one half, some self-loops, the last node isolated."""
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.rand(num_nodes, num_nodes, generator=generator)
    matrix = matrix * (torch.rand(num_nodes, num_nodes, generator=generator) < 0.5)
    matrix = torch.maximum(matrix, matrix.T) if undirected else matrix
    matrix[-1] = matrix[:, -1] = 0
    target, source = matrix.nonzero(as_tuple=True)
    return torch.stack([source, target]), matrix[target, source]


def dense_normalized(matrix, method, self_loops):
    matrix = matrix - np.diag(np.diag(matrix))
    if method is not None:
        matrix = matrix / (matrix.max() or 1)
    matrix = matrix + np.eye(len(matrix)) * self_loops
    with np.errstate(divide="ignore", invalid="ignore"):
        degree = matrix.sum(axis=1)
        if method == "sym":
            matrix = matrix / np.sqrt(np.outer(degree, degree))
        elif method == "row":
            matrix = matrix / degree[:, None]
    return np.nan_to_num(matrix, posinf=0)


@pytest.mark.parametrize("self_loops", [False, True])
@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), num_nodes=st.integers(2, 8), undirected=st.booleans())
def test_agrees_with_dense_numpy(method, self_loops, seed, num_nodes, undirected):
    edges = random_edges(seed, num_nodes, undirected)
    result = normalize_edges(*edges, num_nodes, method, self_loops)
    expected = dense_normalized(dense(*edges, num_nodes), method, self_loops)
    np.testing.assert_allclose(dense(*result, num_nodes), expected, atol=1e-6)


def test_triangle_by_hand():
    edge_index = torch.tensor([[0, 1, 1, 2, 0, 2], [1, 0, 2, 1, 2, 0]])
    edge_weight = torch.tensor([0.2, 0.2, 0.4, 0.4, 0.8, 0.8])
    largest = normalize_max(edge_index, edge_weight, 3)[1]
    torch.testing.assert_close(largest, torch.tensor([0.25, 0.25, 0.5, 0.5, 1.0, 1.0]))
    # What arrives at the nodes: 0.2 + 0.8, 0.2 + 0.4 and 0.4 + 0.8.
    mean = normalize_row(edge_index, edge_weight, 3)[1]
    torch.testing.assert_close(mean, torch.tensor([2 / 6, 0.2, 4 / 12, 4 / 6, 8 / 12, 0.8]))
    root = normalize_sym(edge_index, edge_weight, 3)[1]
    torch.testing.assert_close(root[:2], torch.full((2,), 0.2 / 0.6**0.5))


@pytest.mark.parametrize("seed", range(3))
def test_sym_with_self_loops_is_pygs_gcn_norm(seed):
    edge_index, edge_weight = set_diagonal(*random_edges(seed, 9), 9, value=0)
    theirs = gcn_norm(edge_index, edge_weight / edge_weight.max(), 9, add_self_loops=True)
    ours = normalize_edges(edge_index, edge_weight, 9, "sym", self_loops=True)
    np.testing.assert_allclose(dense(*ours, 9), dense(*theirs, 9), atol=1e-6)


@pytest.mark.parametrize("self_loops", [False, True])
def test_sym_is_exactly_symmetric_with_eigenvalues_in_minus_one_to_one(self_loops):
    matrix = dense(*normalize_edges(*random_edges(0, 30), 30, "sym", self_loops), 30)
    np.testing.assert_array_equal(matrix, matrix.T)
    assert np.abs(np.linalg.eigvalsh(matrix)).max() <= 1 + 1e-6


def test_row_sums_are_one_and_zero_for_an_isolated_node():
    sums = dense(*normalize_row(*random_edges(1, 12), 12), 12).sum(axis=1)
    np.testing.assert_allclose(sums, [1.0] * 11 + [0.0], atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_renaming_nodes_commutes_with_normalising(method):
    edge_index, edge_weight = random_edges(2, 7)
    names = torch.randperm(7)
    before = normalize_edges(edge_index, edge_weight, 7, method, self_loops=True)
    after = normalize_edges(names[edge_index], edge_weight, 7, method, self_loops=True)
    np.testing.assert_allclose(dense(names[before[0]], before[1], 7), dense(*after, 7), atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_graph_without_edges_stays_without(method):
    nothing = torch.empty(2, 0, dtype=torch.long), torch.empty(0)
    assert normalize_edges(*nothing, 3, method)[1].numel() == 0
    alone = normalize_edges(*nothing, 3, method, self_loops=True)
    np.testing.assert_array_equal(dense(*alone, 3), np.eye(3))


@pytest.mark.parametrize("function", [normalize_max, normalize_sym, normalize_row])
def test_inputs_are_left_alone_and_dtype_is_kept(function):
    edge_index, edge_weight = random_edges(3, 6)
    index_before, weight_before = edge_index.clone(), edge_weight.clone()
    for dtype in (torch.float32, torch.float64):
        assert function(edge_index, edge_weight.to(dtype), 6)[1].dtype == dtype
    assert torch.equal(edge_index, index_before)
    assert torch.equal(edge_weight, weight_before)


@pytest.mark.parametrize("function", [normalize_max, normalize_sym, normalize_row])
def test_gradients_flow_to_the_weights(function):
    edge_index, edge_weight = random_edges(4, 6)  # the isolated node must not give NaN
    edge_weight = edge_weight.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda w: function(edge_index, w, 6)[1], edge_weight)


BAD_EDGES = [
    ([[0, 1, 2]], [1.0, 1.0, 1.0], r"shape \[2, num_edges\] \(got \[1, 3\]\)"),
    ([[0], [1]], [1.0, 1.0], r"one value per edge \(got shape \[2\] for 1 edges\)"),
    ([[0], [3]], [1.0], r"refers to node 3, but the graph has 3 nodes \(0 to 2\)"),
    ([[-1], [0]], [1.0], "refers to node -1"),
    ([[0], [1]], [-0.5], r"at least 0 \(got -0.5\)"),
    ([[0], [1]], [float("nan")], r"at least 0 \(got nan\)"),
]


@pytest.mark.parametrize(("index", "weight", "message"), BAD_EDGES)
@pytest.mark.parametrize("function", [normalize_max, normalize_sym, normalize_row, set_diagonal])
def test_bad_edges_are_refused(function, index, weight, message):
    with pytest.raises(ValueError, match=message):
        function(torch.tensor(index), torch.tensor(weight), 3)


def test_unknown_options_are_refused():
    edges = random_edges(0, 3)
    with pytest.raises(ValueError, match=r"'max', 'sym', 'row' or None \(got 'symmetric'\)"):
        normalize_edges(*edges, 3, "symmetric")
    with pytest.raises(ValueError, match=r"'value' must be at least 0 \(got -1\)"):
        set_diagonal(*edges, 3, -1)
