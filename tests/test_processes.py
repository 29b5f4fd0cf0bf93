"""Two processes that share batches learn what one learns alone."""

import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

from genegraph import GeneGCNClassifier
from genegraph.processes import are_several, sum_over_processes, this_process

SCRIPT = """
import json, os, sys
import numpy as np
import torch
from safetensors.torch import save_file
from genegraph import GeneGCNClassifier, GeneGraph
from genegraph.processes import this_process

torch.set_num_threads(1)
settings, devices, out = json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
rng = np.random.default_rng(0)
y = np.arange(193) % 3  # batches of 64, 64, 64 and 1: the last leaves a process without a cell
X = rng.poisson(rng.gamma(1.0, 1.0, (3, 30))[y]).astype("float32")
path = np.array([[*range(29)], [*range(1, 30)]])
graph = GeneGraph([f"g{i}" for i in range(30)], np.hstack([path, path[::-1]]))
options = {"devices": devices, "strategy": "ddp"} if devices > 1 else {}
labels, unlabeled = y, settings.pop("unlabeled", False)
if settings.pop("on_disk", False):
    import anndata, pandas as pd, scipy.sparse as sp
    from genegraph import expression_stored

    expression_stored.WINDOW_BYTES = 20_000  # the file is larger, and comes in several windows
    expression_stored.BLOCK_BYTES = 5_000
    expression_stored._chunk_bytes = lambda X: 0
    file = f"{out}.{os.environ.get('LOCAL_RANK', 0)}.h5ad"  # each process a copy
    var = pd.DataFrame(index=list(graph.genes))
    obs = pd.DataFrame({"type": [str(label) for label in y]}, index=[f"c{i}" for i in range(193)])
    anndata.AnnData(sp.csr_matrix(X), obs=obs, var=var).write_h5ad(file)
    X, labels = anndata.read_h5ad(file, backed="r"), "type"
model = GeneGCNClassifier(
    settings.pop("graph", graph), values="counts", random_state=0, max_epochs=3, verbose=False,
    device="cpu", trainer_options=options, **settings,
)
if unlabeled:
    model.fit(X[:61], labels[:61], unlabeled=X[61:])
else:
    model.fit(X, labels)
weights = {name: part.contiguous() for name, part in model.network_.state_dict().items()}
losses = [epoch["train_loss"] for epoch in model.history_]
weights["losses"] = torch.tensor(losses, dtype=torch.float64)
weights["temperature"] = torch.tensor(model.temperature_, dtype=torch.float64)
save_file(weights, f"{out}.{this_process()[0]}")
"""


def _learned(script, settings, devices, out):
    command = [sys.executable, str(script), settings, str(devices), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [load_file(f"{out}.{rank}") for rank in range(devices)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        "{}",  # shrinkage, resampling, a committee
        '{"graph": null}',  # the strength of a prior that is not there learns nothing
        '{"on_disk": true}',
        '{"unlabeled": true}',
        '{"attention": "full", "shrinkage": null, "patience": 2, "class_weight": "balanced"}',
        '{"attention": "edges", "shrinkage": null, "pretrain": true, "num_heads": 1}',
    ],
)
def test_two_processes_learn_what_one_learns(settings, tmp_path):
    script = tmp_path / "fit.py"
    script.write_text(SCRIPT)
    (alone,) = _learned(script, settings, 1, tmp_path / "alone")
    for together in _learned(script, settings, 2, tmp_path / "together"):
        assert together.keys() == alone.keys()
        for name, part in alone.items():
            np.testing.assert_allclose(together[name], part, atol=1e-5, err_msg=name)
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
