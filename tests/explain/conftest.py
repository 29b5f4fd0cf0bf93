import pytest
from linear_case import linear

from genegraph import GeneGCNClassifier, GeneGraph


@pytest.fixture(autouse=True)
def captum():
    pytest.importorskip("captum", reason="captum is not installed: the extra explain has it")


@pytest.fixture
def linear_model():
    return linear()


@pytest.fixture
def pair() -> GeneGraph:
    """Genes 0 and 2 interact, with weight 0.8; gene 1 is alone."""
    return GeneGraph(["A", "B", "C"], [[0, 2], [2, 0]], [0.8, 0.8])


@pytest.fixture
def smoothing_model(pair):
    """x + relu(0.5 A x) with A of one edge, as it is: exactly linear where x is not negative."""
    return linear(pair, normalize=None, shrinkage=None, num_layers=1)


def fit(adata, graph, **options):
    options = {
        "random_state": 0,
        "verbose": False,
        "hidden_channels": (8,),
        "max_epochs": 3,
    } | options
    return GeneGCNClassifier(graph, **options).fit(adata, "cell_type")


@pytest.fixture
def counted_model(adata, graph):
    """The default: shrinkage before the logarithm, six heads, three views."""
    return fit(adata, graph)


@pytest.fixture
def fitted(adata, graph):
    """A classifier of the counts with these options."""
    return lambda **options: fit(adata, graph, **options)
