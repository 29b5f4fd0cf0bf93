import copy
import pickle
import subprocess
import sys

import pytest
import torch
from by_hand import count_cells

from genegraph.nn import GeneGraphConv, shared_graph
from genegraph.nn.shared_graph import SharedGraph

FUNCTIONS = ["embedded_dot", "dot", "gaussian"]


def cells(num_cells=4, num_genes=40):
    return torch.from_numpy(count_cells(num_cells, num_genes, density=0.5))[..., None]


def double_graph(num_genes=40, channels=6, num_neighbors=5, **options):
    graph = SharedGraph(num_genes, channels, num_neighbors=num_neighbors, **options).double()
    graph.refresh()
    return graph


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("rows", [1, 7, 512])
def test_neighbours_are_the_other_genes_of_largest_logits(function, rows, monkeypatch):
    monkeypatch.setattr(shared_graph, "ROWS_PER_BLOCK", rows)
    graph = double_graph(attention_function=function)
    e = graph.embedding
    logits = {
        "dot": lambda: e @ e.T,
        "embedded_dot": lambda: graph.theta(e) @ graph.phi(e).T,
        "gaussian": lambda: -torch.cdist(graph.theta(e), graph.phi(e)),
    }[function]()
    nearest = logits.detach().fill_diagonal_(-torch.inf).topk(5).indices
    assert torch.equal(graph.neighbors, nearest.sort(dim=1).values)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_weights_of_each_gene_sum_to_one(function):
    weights = double_graph(attention_function=function).weights()
    assert weights.shape == (40, 5)
    torch.testing.assert_close(weights.sum(1), torch.ones(40, dtype=torch.float64))


def test_all_other_genes_may_be_neighbours():
    graph = double_graph(4, num_neighbors=3)
    assert graph.neighbors.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_gradients_of_embeddings_and_cells(function):
    graph = double_graph(9, 3, num_neighbors=2, attention_function=function)
    names, parameters = zip(*graph.named_parameters(), strict=True)

    def forward(x, *values):
        return torch.func.functional_call(graph, dict(zip(names, values, strict=True)), (x,))

    x = torch.rand(2, 9, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(forward, (x, *parameters))


def test_neighbours_stay_until_refreshed_while_weights_follow_the_embeddings():
    graph = double_graph()
    neighbors, weights, edge_index = graph.neighbors.clone(), graph.weights(), graph.edge_index()
    assert graph.edge_index() is edge_index
    torch.nn.init.normal_(graph.embedding)
    assert torch.equal(graph.neighbors, neighbors)
    assert graph.edge_index() is edge_index
    assert not torch.allclose(graph.weights(), weights)
    graph.refresh()
    assert not torch.equal(graph.neighbors, neighbors)
    source, target = graph.edge_index().as_tensor()
    assert torch.equal(source.view(40, 5), graph.neighbors)
    assert torch.equal(target.view(40, 5), torch.arange(40)[:, None].expand(-1, 5))


def agrees_with_its_definition(graph, x):
    torch.testing.assert_close(graph(x), graph(x, reference=True))


def test_a_cached_graph_is_never_out_of_date():
    graph, other, x = double_graph(), double_graph(), cells()
    for module in (graph, other):
        module(x)
    other.load_state_dict(graph.state_dict())
    assert torch.equal(other(x), graph(x))
    torch.nn.init.normal_(other.embedding)
    other.refresh()
    for copied in (copy.deepcopy(other), pickle.loads(pickle.dumps(other))):
        agrees_with_its_definition(copied, x)
        torch.nn.init.normal_(copied.embedding)
        copied.refresh()
        agrees_with_its_definition(copied, x)
    agrees_with_its_definition(other, x)
    agrees_with_its_definition(other.float(), x.float())


def test_it_moves_between_devices(device):
    graph, x = double_graph(), cells()
    expected = graph(x)
    torch.testing.assert_close(graph.to(device)(x.to(device)).cpu(), expected)
    torch.testing.assert_close(graph.to("cpu")(x), expected)


def test_training_after_a_look_in_inference_mode():
    graph, x = double_graph(), cells().requires_grad_()
    with torch.inference_mode():
        expected = graph(x)
    out = graph(x)
    assert torch.equal(out, expected)
    out.square().sum().backward()
    assert x.grad.abs().max() > 0
    assert graph.embedding.grad.abs().max() > 0


def test_a_saved_graph_that_names_genes_it_lacks_is_refused():
    graph = double_graph()
    with torch.no_grad():
        graph.neighbors[3, 0] = 40
    with pytest.raises((ValueError, IndexError)):
        graph(cells())


def test_a_layer_learns_which_gene_to_hear():
    conv = GeneGraphConv(1, 1, attention="shared", num_genes=12, num_neighbors=11)
    x = torch.rand(64, 12, 1)
    wanted = x.roll(1, dims=1)  # every gene's answer is its neighbour's value
    optimizer = torch.optim.Adam(conv.parameters(), lr=0.05)
    losses = []
    for _ in range(150):
        loss = (conv(x) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10
    heard = conv.shared_graph.neighbors.gather(
        1, conv.shared_graph.weights().argmax(1, keepdim=True)
    )
    assert (heard[:, 0] == (torch.arange(12) - 1) % 12).sum() >= 11


PEAK = """
import torch
from genegraph.nn.shared_graph import SharedGraph

def peak():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024

SharedGraph(64, 16)
before = peak()
SharedGraph(20_499, 16)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_neighbours_of_20499_genes_are_found_in_little_memory():
    done = subprocess.run(
        [sys.executable, "-c", PEAK], capture_output=True, text=True, timeout=120, check=True
    )
    assert float(done.stdout) < 250  # MiB; the whole matrix is 1600
