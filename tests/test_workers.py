"""Eight threads, spawned and forked workers give the answers of a plain call."""

import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import anndata
import numpy as np
import pytest

from genegraph import GeneGCNClassifier, expression_stored

SMALL = {"hidden_channels": (16,), "max_epochs": 1, "random_state": 0, "verbose": False}
KINDS = [
    {},
    {"attention": "full"},
    {"attention": "edges"},
    {"attention": "shared", "num_neighbors": 3},
]


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("on_disk", [False, True])
def test_eight_threads_agree_with_the_plain_call(
    adata, graph, options, on_disk, tmp_path, monkeypatch
):
    model = GeneGCNClassifier(graph, **options, **SMALL).fit(adata, "cell_type")
    expected = model.predict_proba(adata)
    cells = adata
    if on_disk:
        monkeypatch.setattr(expression_stored, "WINDOW_BYTES", 4000)  # more than one
        adata.write_h5ad(tmp_path / "cells.h5ad")
        cells = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")

    rows = [np.random.default_rng(turn).permutation(120)[: 10 + turn] for turn in range(32)]
    if on_disk:
        rows = [np.arange(120)] * 16
    # Subsets are made beforehand: AnnData does not promise that threads may do that.
    parts = [cells if on_disk else adata[those].copy() for those in rows]
    with ThreadPoolExecutor(8) as pool:
        for found, those in zip(pool.map(model.predict_proba, parts), rows, strict=True):
            np.testing.assert_allclose(found, expected[those], rtol=0, atol=1e-6)
    if on_disk:
        cells.file.close()


@pytest.mark.slow
def test_spawned_workers_agree_with_the_plain_call(adata, graph):
    model = GeneGCNClassifier(graph, attention="full", **SMALL).fit(adata, "cell_type")
    parts = [adata[:50], adata[50:]]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.map(model.predict_proba, [part.copy() for part in parts])
    np.testing.assert_allclose(np.vstack(found), model.predict_proba(adata), rtol=0, atol=1e-6)


FORK = """
import multiprocessing, sys
import numpy as np
import torch
from genegraph import GeneGCNClassifier, GeneGraph

torch.set_num_threads(2)
rng = np.random.default_rng(0)
rate, edges = rng.gamma(0.3, 1.0, (3, 3000)), rng.integers(0, 3000, (2, 20_000))
X, y = rng.poisson(rate[np.arange(300) % 3]).astype("float32"), np.arange(300) % 3
edges = np.unique(np.hstack([edges, edges[::-1]]), axis=1)
graph = GeneGraph([f"g{i}" for i in range(3000)], edges)
options = {"random_state": 0, "max_epochs": 1, "verbose": False, "device": "cpu"}

def fitted(attention):
    model = GeneGCNClassifier(graph, values="counts", attention=attention, **options)
    return model.fit(X, y)

models = [fitted(attention) for attention in (None, "full")]
expected = [model.predict_proba(X) for model in models]  # torch has threads now, no child has

def child(answers):
    found = [model.predict_proba(X) for model in [*models, fitted(None)]]
    pairs = zip(found, [*expected, expected[0]])
    answers.put([bool(np.allclose(*pair, rtol=0, atol=1e-6)) for pair in pairs])

fork = multiprocessing.get_context("fork")
answers = fork.Queue()
process = fork.Process(target=child, args=(answers,))
process.start()
process.join(120)
print("hangs" if process.is_alive() else answers.get(timeout=5))
process.kill()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_forked_worker_agrees_with_the_plain_call_and_can_fit():
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[True, True, True]"
