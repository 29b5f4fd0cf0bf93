import pytest
import torch
from torch_geometric import EdgeIndex


@pytest.fixture(
    params=[
        "cpu",
        pytest.param(
            "cuda",
            marks=pytest.mark.skipif(
                not torch.cuda.is_available(), reason="torch sees no CUDA device"
            ),
        ),
    ]
)
def device(request):
    return torch.device(request.param)


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture
def triangle():
    """Gene 0 hears 1 and 2, gene 1 hears 0, gene 2 hears 1; all weights differ."""
    edge_index = torch.tensor([[1, 2, 0, 1], [0, 0, 1, 2]])
    return edge_index, torch.tensor([0.5, 0.25, 2.0, 3.0], dtype=torch.float64)


@pytest.fixture
def toy_graph():
    """Forty genes; self-loops, edges stored twice, weights that differ both ways, isolated genes.

    Genes 37 to 39 hear nobody; genes 38 and 39 are heard by nobody either.
    """
    generator = torch.Generator().manual_seed(1)
    source = torch.randint(0, 38, (200,), generator=generator)
    target = torch.randint(0, 37, (200,), generator=generator)
    source[:3] = target[:3]
    source[3:6], target[3:6] = source[6:9], target[6:9]
    weight = torch.rand(200, generator=generator, dtype=torch.float64)
    order = torch.argsort(target, stable=True)
    edge_index = EdgeIndex(
        torch.stack([source, target])[:, order], sparse_size=(40, 40), sort_order="col"
    )
    return edge_index.fill_cache_(), weight
