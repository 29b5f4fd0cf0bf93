"""Nothing that genegraph reads can run a program: not in its source, and not when it is watched."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "genegraph"
MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "jsonpickle"}
BUILTINS = {"eval", "exec", "compile", "__import__", "execfile"}
CALLS = {
    "torch.load", "torch.jit.load", "torch.package", "torch.hub.load", "torch.export.load",
    "pd.read_pickle", "pandas.read_pickle", "np.fromregex", "yaml.load", "yaml.unsafe_load",
}  # fmt: skip


def dotted(node: ast.AST) -> str:
    """``np.load`` of the node that says so; empty for others."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}".lstrip(".")
    return ""


def is_named(call: ast.Call, *names: str) -> bool:
    return dotted(call.func).split(".")[-1] in names


def dangers(source: str) -> list[str]:
    """What could run code out of a file."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [name.name for name in node.names]
            if isinstance(node, ast.ImportFrom):
                modules = [f"{node.module}.{name}" for name in modules] + [str(node.module)]
            found += [name for name in modules if name.split(".")[0] in MODULES]
            found += [name for name in modules if name in CALLS]
        if isinstance(node, ast.Attribute) and dotted(node) in CALLS:
            found.append(dotted(node))
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in BUILTINS:
            found.append(node.func.id)
        if is_named(node, "load_from_checkpoint", "read_pickle", "to_pickle", "Unpickler"):
            found.append(dotted(node.func))
        options = {word.arg: word.value for word in node.keywords}
        allows = options.get("allow_pickle", ast.Constant(False))
        if not (isinstance(allows, ast.Constant) and allows.value is False):
            found.append("allow_pickle")
        if dotted(node.func) in ("np.load", "numpy.load") and "allow_pickle" not in options:
            found.append("np.load without allow_pickle=False")
        if "weights_only" in options:
            found.append("weights_only")
        shell = options.get("shell")
        if shell is not None and not (isinstance(shell, ast.Constant) and shell.value is False):
            found.append("shell=")
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.stem)
def test_no_line_of_the_package_can_run_what_a_file_says(path):
    assert dangers(path.read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "import pickle as harmless",
        "from pickle import loads",
        "import joblib.numpy_pickle",
        "from dill import load",
        "def f():\n    import marshal",
        "eval('1')",
        "exec(text)",
        "compile(text, '', 'exec')",
        "__import__('os')",
        "torch.load(path)",
        "torch.load(path, weights_only=True)",
        "from torch import load",
        "read = torch.load",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "np.lib.format.read_array(file, allow_pickle=True)",
        "np.load(path, allow_pickle=chosen)",
        "pd.read_pickle(path)",
        "frame.to_pickle(path)",
        "Task.load_from_checkpoint(path)",
        "subprocess.run(command, shell=True)",
    ],
)
def test_the_search_finds_each_danger(line):
    if line == "from torch import load":
        assert dangers(line) == ["torch.load"]
    assert dangers(line)


def test_the_search_lets_the_harmless_pass():
    assert dangers("np.load(path, allow_pickle=False); model.eval(); re.compile('a')") == []


WATCH = """
import io, pickle, sys, traceback, warnings
from pathlib import Path

import lightning
import torch
warnings.filterwarnings("ignore")
sys.path.insert(0, sys.argv[1])
import fuzz_seeds
from genegraph import GeneGCNClassifier, GeneGraph, read_biogrid, read_edges, read_stringdb
from genegraph.checkpoint_io import SafeCheckpointIO
from genegraph.cli.options import open_cells
from genegraph.checkpoint_folder import LAST

folder = Path(sys.argv[2])
cells = fuzz_seeds.small_cells()
options = {"hidden_channels": (3,), "num_heads": 2, "random_state": 0, "verbose": False}

def everything():
    for name, content in texts.items():
        (folder / name).write_bytes(content)
    read_stringdb(folder / "9606.protein.links.v12.0.txt", folder / "info")
    read_stringdb(folder / "9606.protein.links.v12.0.txt", aliases=folder / "aliases")
    read_biogrid(folder / "b.zip")
    read_edges(folder / "edges")
    graph = GeneGraph.load(folder / "graph")
    model = GeneGCNClassifier.load(folder / "model")
    model.predict(cells)
    backed = open_cells(folder / "cells")
    model.predict_proba(backed)
    backed.file.close()
    model.annotate(cells.copy())
    resumed = GeneGCNClassifier(graph, max_epochs=2, **options)
    resumed.fit(cells, "cell_type", checkpoint_dir=folder / "run")
    assert resumed.n_iter_ == 2, resumed.n_iter_
    assert {Path(path).name for path in loaded} == {LAST}, loaded  # it went on from there
    loaded.clear()

texts = {
    "9606.protein.links.v12.0.txt": fuzz_seeds.LINKS.encode(),
    "info": fuzz_seeds.INFO.encode(),
    "aliases": fuzz_seeds.ALIASES.encode(),
    "b.zip": fuzz_seeds.biogrid_zips()[0],
    "edges": fuzz_seeds.EDGES.encode(),
    "graph": fuzz_seeds.graph_files()[0],
    "model": fuzz_seeds.model_files()[2],
    "cells": fuzz_seeds.h5ad_files()[0],
}
class Stop(lightning.Callback):
    def on_train_epoch_end(self, trainer, module):
        trainer.should_stop = trainer.current_epoch == 0

loaded = []
load = SafeCheckpointIO.load_checkpoint
SafeCheckpointIO.load_checkpoint = lambda self, path, *rest, **options: (
    loaded.append(path), load(self, path, *rest, **options))[1]
first = GeneGCNClassifier(fuzz_seeds.small_graph(), max_epochs=2, **options)
first.trainer_options = {"callbacks": [Stop()]}
first.fit(cells, "cell_type", checkpoint_dir=folder / "run")
kept = (folder / "run" / LAST).read_bytes()
everything()  # numba keeps its compiled kernels as pickles of its own: all are there after this
(folder / "run" / LAST).write_bytes(kept)

seen = []
def hook(event, arguments):
    if event in ("pickle.find_class", "os.system", "subprocess.Popen", "os.exec"):
        seen.append((event, arguments, traceback.format_stack(limit=4)))

sys.addaudithook(hook)
def refuse(*_, **__):
    raise AssertionError("torch.load")
torch.load = refuse
everything()
assert seen == [], seen
pickle.loads(pickle.dumps(io.BytesIO))  # the hook is awake
assert [event for event, *_ in seen] == ["pickle.find_class"], seen
print("watched")
"""


@pytest.mark.slow
def test_load_predict_and_resume_never_unpickle(tmp_path):
    benchmarks = PACKAGE.parent / "benchmarks"
    command = [sys.executable, "-c", WATCH, str(benchmarks), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "watched"
