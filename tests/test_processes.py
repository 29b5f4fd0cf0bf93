"""Two processes that share batches learn what one learns alone."""

import json
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

from genegraph import GeneGCNClassifier
from genegraph.processes import are_several, sum_over_processes, this_process

CASES = {
    "shrinkage, resampling, a committee": {},
    "the strength of a prior that is not there learns nothing": {"graph": None},
    "cells on disk": {"on_disk": True},
    "thinned cells on disk": {"on_disk": True, "thin_to": [10, 40]},
    "unlabelled cells": {"unlabeled": True},
    "a layer of full attention": {
        "attention": "full",
        "shrinkage": None,
        "patience": 2,
        "class_weight": "balanced",
    },
    "a pretrained layer": {
        "attention": "edges",
        "shrinkage": None,
        "pretrain": True,
        "num_heads": 1,
    },
}

# All cases in one start: two processes that begin take longer than what they then learn.
SCRIPT = """
import json, os, sys
import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from safetensors.torch import save_file
from genegraph import GeneGCNClassifier, GeneGraph, expression_stored
from genegraph.processes import this_process

torch.set_num_threads(1)
cases, devices, out = json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
expression_stored.WINDOW_BYTES = 20_000  # the file is larger, and comes in several windows
expression_stored.BLOCK_BYTES = 5_000
expression_stored._chunk_bytes = lambda X: 0
rng = np.random.default_rng(0)
y = np.arange(193) % 3  # batches of 64, 64, 64 and 1: the last leaves a process without a cell
X = rng.poisson(rng.gamma(1.0, 1.0, (3, 30))[y]).astype("float32")
path = np.array([[*range(29)], [*range(1, 30)]])
graph = GeneGraph([f"g{i}" for i in range(30)], np.hstack([path, path[::-1]]))
file = f"{out}.{os.environ.get('LOCAL_RANK', 0)}.h5ad"  # each process a copy
var = pd.DataFrame(index=list(graph.genes))
obs = pd.DataFrame({"type": [str(label) for label in y]}, index=[f"c{i}" for i in range(193)])
anndata.AnnData(sp.csr_matrix(X), obs=obs, var=var).write_h5ad(file)
options = {"devices": devices, "strategy": "ddp"} if devices > 1 else {}
for number, settings in enumerate(cases):
    cells, labels, more = X, y, {}
    if settings.pop("unlabeled", False):
        cells, labels, more = X[:61], y[:61], {"unlabeled": X[61:]}
    if settings.pop("on_disk", False):
        cells, labels = anndata.read_h5ad(file, backed="r"), "type"
    model = GeneGCNClassifier(
        settings.pop("graph", graph), values="counts", random_state=0, max_epochs=3,
        verbose=False, device="cpu", trainer_options=options, **settings,
    ).fit(cells, labels, **more)
    weights = {name: part.contiguous() for name, part in model.network_.state_dict().items()}
    losses = [epoch["train_loss"] for epoch in model.history_]
    weights["losses"] = torch.tensor(losses, dtype=torch.float64)
    weights["temperature"] = torch.tensor(model.temperature_, dtype=torch.float64)
    save_file(weights, f"{out}.{number}.{this_process()[0]}")
"""


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """What every case has learned, alone and in each of two processes: files by their names."""
    folder = tmp_path_factory.mktemp("processes")
    (folder / "fit.py").write_text(SCRIPT)
    for devices, out in ((1, "alone"), (2, "together")):
        command = [sys.executable, "fit.py", json.dumps([*CASES.values()]), str(devices), out]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_processes_learn_what_one_learns(learned, case):
    number = [*CASES].index(case)
    alone = load_file(learned / f"alone.{number}.0")
    for rank in range(2):
        together = load_file(learned / f"together.{number}.{rank}")
        assert together.keys() == alone.keys()
        for name, part in alone.items():
            # The temperature is a ratio, in no unit of the weights: it follows them relatively.
            close = {"rtol": 1e-5} if name == "temperature" else {"atol": 1e-5}
            np.testing.assert_allclose(together[name], part, **close, err_msg=name)
    started = alone["losses"]
    assert started[-1] < started[0]  # it did learn: equal weights are no initial ones


def test_one_process_is_all_there_is_here():
    import torch

    assert this_process() == (0, 1)
    part = torch.tensor([1.0, 2.0], requires_grad=True)
    total = sum_over_processes(part)
    assert total.tolist() == [1.0, 2.0]
    assert not total.requires_grad


@pytest.mark.parametrize(
    ("options", "several"),
    [
        (None, False),
        ({"devices": 1}, False),
        ({"devices": "1"}, False),
        ({"devices": 2}, True),
        ({"devices": "2"}, True),
        ({"devices": [0, 1]}, True),
        ({"devices": [1]}, False),
        ({"num_nodes": 2}, True),
    ],
)
def test_whether_several_processes_are_asked_for(options, several):
    assert are_several(options) is several


def test_several_processes_need_a_seed():
    model = GeneGCNClassifier(trainer_options={"devices": 2, "strategy": "ddp"}, verbose=False)
    with pytest.raises(ValueError, match="'random_state' must be an integer where several devices"):
        model.fit(np.eye(4), ["a", "b", "a", "b"])


def test_processes_that_do_not_come_back_are_refused():
    options = {"devices": 2, "strategy": "ddp_spawn"}
    model = GeneGCNClassifier(
        random_state=0, device="cpu", trainer_options=options, verbose=False, num_heads=1
    )
    with pytest.raises(ValueError, match="a strategy that runs the whole script in every process"):
        model.fit(np.eye(4), ["a", "b", "a", "b"])
