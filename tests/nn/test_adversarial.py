"""Every kernel against its definition in float64, where floating point hurts."""

from typing import NamedTuple

import pytest
import torch
from by_hand import dense_matrix
from torch_geometric import EdgeIndex

from genegraph.nn.edge_attention import (
    additive_edge_attention,
    fused_edge_attention,
    segment_edge_attention,
)
from genegraph.nn.full_attention import (
    dense_attention,
    gene_aware_attention,
    scalar_attention,
    tilted_or_dense_attention,
)
from genegraph.nn.propagation import propagate
from genegraph.nn.shared_graph import SharedGraph
from genegraph.nn.shrinkage import GraphShrinkage

NUM_CELLS, NUM_GENES = 3, 24


class Case(NamedTuple):
    """Cells, a graph, and how steep attention is."""

    x: torch.Tensor  # [num_cells, num_genes], float64, exact in float32
    edges: torch.Tensor  # sorted by target
    slope: float

    @property
    def num_genes(self):
        return self.x.size(1)

    @property
    def index(self):
        size = (self.num_genes, self.num_genes)
        return EdgeIndex(self.edges, sparse_size=size, sort_order="col").fill_cache_()

    def numbers(self, *shape, positive=False):
        """Random numbers that are the same for every kernel that asks."""
        generator = torch.Generator().manual_seed(sum(shape) + 1)
        drawn = torch.rand if positive else torch.randn
        return drawn(shape, generator=generator).double()


def _edges(*pairs):
    edges = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T
    return edges[:, edges[1].argsort(stable=True)]


def _random_edges(number=80, genes=NUM_GENES - 4):
    """The last four genes are in no edge."""
    generator = torch.Generator().manual_seed(3)
    edges = torch.randint(genes, (2, number), generator=generator)
    edges = edges[:, edges[0] != edges[1]].unique(dim=1)
    return edges[:, edges[1].argsort(stable=True)]


def _cells(num_genes=NUM_GENES):
    """Like counts: two in three are zero, values repeat."""
    generator = torch.Generator().manual_seed(2)
    counts = torch.poisson(torch.full((NUM_CELLS, num_genes), 2.0), generator=generator)
    kept = torch.rand(NUM_CELLS, num_genes, generator=generator) < 0.4
    return (counts * kept).double()


def _one(value, kind=_cells):
    x = kind()
    x[1, 3] = value
    return x


def _logs():
    return _cells().log1p().float().double()


CHAIN = [(i, i + 1) for i in range(NUM_GENES - 1)]
BACK = [(j, i) for i, j in CHAIN]
CASES = {
    "counts": lambda: Case(_cells(), _random_edges(), 1.0),
    "logarithms": lambda: Case(_logs(), _random_edges(), 1.0),
    "all zeros": lambda: Case(torch.zeros(NUM_CELLS, NUM_GENES).double(), _random_edges(), 1.0),
    "one cell of zeros": lambda: Case(
        _cells() * torch.tensor([[1], [0], [1]]), _random_edges(), 1.0
    ),
    "all equal": lambda: Case(
        torch.full((NUM_CELLS, NUM_GENES), 1.5).double(), _random_edges(), 1.0
    ),
    "one value of 1e6": lambda: Case(_one(1e6), _random_edges(), 1.0),
    "one value of 1e12": lambda: Case(_one(2.0**40), _random_edges(), 1.0),
    "one value of 1e18": lambda: Case(_one(2.0**60), _random_edges(), 1.0),
    "denormals": lambda: Case(_cells() * 2.0**-140, _random_edges(), 1.0),
    "denormals beside ones": lambda: Case(_one(2.0**-140), _random_edges(), 1.0),
    "slopes of 1e6": lambda: Case(_logs(), _random_edges(), 1e6),
    "slopes of -1e6": lambda: Case(_logs(), _random_edges(), -1e6),
    "slopes of 1e6, one value of 1e6": lambda: Case(_one(1e6), _random_edges(), 1e6),
    "slopes of 1e6, values close together": lambda: Case(
        1 + _cells() * 2.0**-20, _random_edges(), 1e6
    ),
    "no edges": lambda: Case(_cells(), _edges(), 1.0),
    "one edge, all others isolated": lambda: Case(_cells(), _edges((5, 2)), 1.0),
    "one gene hears all": lambda: Case(_cells(), _edges(*((i, 7) for i in range(NUM_GENES))), 1.0),
    "one gene": lambda: Case(_cells(1) + 1, _edges((0, 0)), 1.0),
    "one gene, no edge": lambda: Case(_cells(1) + 1, _edges(), 1.0),
    "two genes": lambda: Case(_cells(2), _edges((0, 1), (1, 0)), 1.0),
    "duplicated edges": lambda: Case(_cells(), _edges(*CHAIN, *BACK, *CHAIN, *CHAIN[:5]), 1.0),
    "self-loops only": lambda: Case(_cells(), _edges(*((i, i) for i in range(NUM_GENES))), 1.0),
    "self-loops too": lambda: Case(_cells(), _edges(*CHAIN, *((i, i) for i in range(9))), 1.0),
}


def softmax_by_hand(times, s, x, y, u, k):
    """Means of x under softmax_j(s_i y_j + u_j - k y_j^2), key j taken times[i, j] times.

    Logits are differences from each row's largest, so that they are exact at steep slopes.
    """
    hears = times.sum(1) > 0
    rough = (s.unsqueeze(-1) * y.unsqueeze(-2) + (u - k * y * y).unsqueeze(-2)).detach()
    top = rough.masked_fill(times == 0, -torch.inf).argmax(-1)  # [cells, genes]
    y_top, u_top = (part.expand_as(x).gather(1, top).unsqueeze(-1) for part in (y, u))
    y, u = y.unsqueeze(-2), u.expand_as(x).unsqueeze(-2)
    logits = s.unsqueeze(-1) * (y - y_top) + (u - u_top) - k * ((y - y_top) * (y + y_top))
    weight = logits.masked_fill(times == 0, -torch.inf)
    weight = (weight - weight.amax(-1, keepdim=True).detach().nan_to_num(neginf=0)).exp() * times
    total = weight.sum(-1, keepdim=True)
    alpha = weight / torch.where(total > 0, total, 1.0)
    return (alpha * x.unsqueeze(-2)).sum(-1) * hears


def times_of(case):
    return dense_matrix(case.edges, torch.ones(case.edges.size(1)).double(), case.num_genes)


# Each kernel: its inputs in float64, how it computes, and its definition.


def _product(backend):
    def make(case):
        weight = case.numbers(case.edges.size(1))

        def ours(x, weight):
            return propagate(case.index, weight, x.T.contiguous(), backend).T

        def theirs(x, weight):
            return x @ dense_matrix(case.edges, weight, case.num_genes).T

        return [case.x, weight], ours, theirs

    return make


def _five(case, curvature):
    slope, offset, key, log_weight = (part for part in case.numbers(4, case.num_genes))
    slope, offset = case.slope * slope, case.slope * offset
    return [case.x, slope, offset, key, log_weight, torch.tensor(curvature).double()]


def _edge_attention(curvature):
    def make(case):
        times = times_of(case)

        def ours(*parts):
            return fused_edge_attention(case.index, *parts)

        def theirs(x, slope, offset, key, log_weight, k):
            return softmax_by_hand(times, slope * x + offset, x, key * x, log_weight, k)

        return _five(case, curvature), ours, theirs

    return make


def _additive(case):
    (rowptr, col), _ = case.index.get_csc()
    times = times_of(case)
    weights = [*case.numbers(4, 5)]
    weights[3] = case.slope * weights[3]

    def ours(x, p, q, b, att):
        theta, phi = torch.nn.Linear(1, 5), torch.nn.Linear(1, 5)
        for linear in (theta, phi):
            del linear.weight, linear.bias
        theta.weight, theta.bias = p[:, None], b
        phi.weight, phi.bias = q[:, None], torch.zeros_like(b)
        return additive_edge_attention(rowptr, col, x, theta, phi, att)

    def theirs(x, p, q, b, att):
        z = x[:, :, None, None] * p + x[:, None, :, None] * q + b
        logits = torch.nn.functional.leaky_relu(z, 0.2) @ att
        logits = logits.masked_fill(times == 0, -torch.inf)
        weight = (
            logits - logits.amax(-1, keepdim=True).detach().nan_to_num(neginf=0)
        ).exp() * times
        total = weight.sum(-1, keepdim=True)
        return (weight / torch.where(total > 0, total, 1.0) * x[:, None, :]).sum(-1)

    return [case.x, *weights], ours, theirs


def _segments(case):
    (rowptr, col), _ = case.index.get_csc()
    row, times = case.edges[1], times_of(case)

    def ours(x, slope, offset, key, log_weight):
        s, y = (slope * x + offset).T, (key * x).T
        logits = s[row] * y[col] + log_weight[col, None]
        return segment_edge_attention(rowptr, row, logits, x.T[col][..., None], False)[..., 0].T

    def theirs(x, slope, offset, key, log_weight):
        return softmax_by_hand(times, slope * x + offset, x, key * x, log_weight, 0.0)

    return _five(case, 0.0)[:-1], ours, theirs


def _full(curvature):
    def make(case):
        everybody = torch.ones(case.num_genes, case.num_genes).double()
        slope, offset = (case.slope * torch.tensor(n).double() for n in (0.75, -0.5))

        def ours(x, a, c, k):
            return scalar_attention(x, a, c, k, 1e-6)

        def theirs(x, a, c, k):
            return softmax_by_hand(everybody, a * x + c, x, x, torch.zeros_like(x), k)

        return [case.x, slope, offset, torch.tensor(curvature).double()], ours, theirs

    return make


def _gene_aware(attend):
    def make(case):
        everybody = torch.ones(case.num_genes, case.num_genes).double()

        def ours(x, slope, offset, key, log_weight):
            s, y = slope * x + offset, key * x
            return attend(s, x, y, log_weight.expand_as(x), 1e-6)

        def theirs(x, slope, offset, key, log_weight):
            return softmax_by_hand(everybody, slope * x + offset, x, key * x, log_weight, 0.0)

        return _five(case, 0.0)[:-1], ours, theirs

    return make


def _dense(s, x, y, u, _):
    return dense_attention(s[..., None], y[..., None], x[..., None], u)[..., 0]


def _shrinkage(backend):
    def make(case):
        weight = case.numbers(case.edges.size(1), positive=True)
        stage = GraphShrinkage([20.0, 200.0], target_sum=[1e3, 1e4], backend=backend)
        neighbours = times_of(case).sum(1) > 0

        def ours(x, weight, log_kappa):
            stage.to(x.dtype)
            parts = {"log_kappa": log_kappa}
            return torch.func.functional_call(stage, parts, (x, case.index, weight))

        def theirs(x, weight, log_kappa):
            reads = x.sum(1, keepdim=True).clamp(min=1)
            prior = x / reads @ dense_matrix(case.edges, weight, case.num_genes).T
            kappa = log_kappa.exp()[:, None, None] * neighbours
            units = torch.tensor([1e3, 1e4]).double()[:, None, None]
            return torch.log1p(units * (x + kappa * prior) / (reads + kappa))

        return [case.x, weight, stage.log_kappa.detach().double()], ours, theirs

    return make


def _shared(backend):
    def make(case):
        graph = SharedGraph(
            case.num_genes, 4, num_neighbors=min(5, case.num_genes - 1), backend=backend
        ).double()
        with torch.no_grad():
            graph.embedding.copy_(case.numbers(case.num_genes, 4))
            graph.embedding[0] *= case.slope
            graph.embedding[1] = 0
        graph.refresh()
        # The bias of a product's keys cancels in the softmax: its gradient is nothing but rounding.
        parts = {name: p for name, p in graph.named_parameters() if name != "phi.bias"}
        names, values = zip(*parts.items(), strict=True)
        values = [value.detach().float().double() for value in values]

        def run(reference):
            def forward(x, *values):
                graph.to(x.dtype)
                parts = dict(zip(names, values, strict=True))
                return torch.func.functional_call(graph, parts, (x[..., None], reference))[..., 0]

            return forward

        return [case.x, *values], run(False), run(True)

    return make


KERNELS = {
    "product": _product("auto"),
    "product, torch": _product("torch"),
    "edge attention": _edge_attention(0.0),
    "edge attention, gaussian": _edge_attention(0.25),
    "additive edge attention": _additive,
    "segment edge attention": _segments,
    "full attention": _full(0.0),
    "full attention, gaussian": _full(0.25),
    "gene-aware full attention": _gene_aware(gene_aware_attention),
    "gene-aware full attention, torch": _gene_aware(tilted_or_dense_attention),
    "full attention, torch's own": _gene_aware(_dense),
    "shrinkage": _shrinkage("auto"),
    "shrinkage, torch": _shrinkage("torch"),
    "shared graph": _shared("auto"),
    "shared graph, torch": _shared("torch"),
}


def results(forward, parts, dtype, g):
    parts = [part.detach().to(dtype).requires_grad_() for part in parts]
    out = forward(*parts)
    torch.autograd.backward(out, g.expand_as(out).to(dtype))
    return [out.detach(), *(torch.zeros_like(p) if p.grad is None else p.grad for p in parts)]


def rounding_of(theirs, parts, expected, dtype, g):
    """How far the definition moves where its inputs move by roundings: nobody can do better."""
    most = [torch.zeros(()).double() for _ in expected]
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        moved = [
            part
            * (
                1
                + 2
                * torch.finfo(dtype).eps
                * (2 * torch.rand(part.shape, generator=generator).double() - 1)
            )
            for part in parts
        ]
        for n, part in enumerate(results(theirs, moved, torch.float64, g)):
            if part.numel():
                most[n] = most[n].maximum((part - expected[n]).abs().max())
    return most


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-5)])
def test_values_and_gradients_are_those_of_the_definition(kernel, name, dtype, tolerance):
    case = CASES[name]()
    if kernel.startswith("shared") and case.num_genes == 1:
        pytest.skip("a gene that is alone has no neighbours; refused")
    parts, ours, theirs = KERNELS[kernel](case)
    parts = [part.to(dtype).double() for part in parts]  # what the kernel is given, exactly
    g = case.numbers(NUM_CELLS, case.num_genes)
    found, expected = results(ours, parts, dtype, g), results(theirs, parts, torch.float64, g)
    rounding = rounding_of(theirs, parts, expected, dtype, g)
    for n, (of_ours, of_theirs) in enumerate(zip(found, expected, strict=True)):
        if of_theirs.numel() == 0:
            continue
        assert of_theirs.isfinite().all()
        assert of_ours.isfinite().all(), n
        error = (of_ours.double() - of_theirs).abs().max().item()
        size = of_theirs.abs().max().item()
        allowed = tolerance * size + 10 * rounding[n].item() + torch.finfo(dtype).tiny
        assert error <= allowed, (n, error, size, rounding[n].item())
