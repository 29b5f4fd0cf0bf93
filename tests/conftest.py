import importlib.util
import os
import signal
import sys

import numpy as np
import pandas as pd
import pytest
import torch

if not torch.cuda.is_available():
    # Without a device Triton's interpreter runs the kernels for it.  It must be chosen before
    # triton is imported, and torch-geometric does that.
    os.environ["TRITON_INTERPRET"] = "1"

from genegraph import GeneGraph


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def genes() -> list[str]:
    return [f"G{i}" for i in range(12)]


@pytest.fixture
def graph(genes) -> GeneGraph:
    """Two modules of six genes, each a ring."""
    pairs = [(m + i, m + (i + 1) % 6) for m in (0, 6) for i in range(6)]
    source, target = np.array(pairs).T
    both = np.stack([np.r_[source, target], np.r_[target, source]])
    return GeneGraph(genes, both, np.full(24, 0.8))


@pytest.fixture
def counts() -> tuple[np.ndarray, np.ndarray]:
    """120 cells of three types; a type expresses its own four genes ten times more."""
    rng = np.random.default_rng(0)
    y = np.repeat(["B cell", "NK cell", "T cell"], 40)
    rate = np.ones((120, 12))
    for k in range(3):
        rate[40 * k : 40 * (k + 1), 4 * k : 4 * (k + 1)] = 10
    return rng.poisson(rate).astype("float32"), y


@pytest.fixture
def adata(counts, genes):
    anndata = pytest.importorskip("anndata")
    X, y = counts
    obs = pd.DataFrame(
        {"cell_type": pd.Categorical(y), "batch": ["a", "b"] * 60},
        index=[f"cell{i}" for i in range(120)],
    )
    from scipy.sparse import csr_matrix

    return anndata.AnnData(csr_matrix(X), obs=obs, var=pd.DataFrame(index=genes))


@pytest.fixture
def script(request, monkeypatch):
    """The benchmark that the test's module names in SCRIPT, loaded from its file."""
    path = request.module.SCRIPT
    monkeypatch.syspath_prepend(path.parent)
    spec = importlib.util.spec_from_file_location(f"benchmark_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    threads = torch.get_num_threads()
    yield module
    torch.set_num_threads(threads)


@pytest.fixture
def ctrl_c_interrupts():
    """Whoever runs the tests in the background ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
