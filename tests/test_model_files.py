"""A model or graph file whose parts disagree is an error, told before memory is taken for it."""

import json
import os

import numpy as np
import pytest
import torch

from genegraph import GeneGCNClassifier, GeneGraph, persistence
from genegraph.persistence import FORMAT
from genegraph.safefile import read_safe, write_safe


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    genes = [f"G{i}" for i in range(6)]
    graph = GeneGraph(genes, [[0, 1, 2, 3], [1, 0, 3, 2]], [0.5] * 4)
    y = np.repeat(["B cell", "T cell"], 20)
    X = np.random.default_rng(0).poisson(np.where(y == "B cell", 2, 5)[:, None], (40, 6))
    model = GeneGCNClassifier(
        graph, hidden_channels=(3,), num_heads=2, max_epochs=1, random_state=0, verbose=False
    ).fit(X.astype("float32"), y)
    path = tmp_path_factory.mktemp("model") / "m.genegraph"
    model.save(path)
    return path


@pytest.fixture
def changed(fitted, tmp_path):
    """Writes the model again with a change, and a hash that fits it."""

    def write(change, version=FORMAT):
        tensors, meta = read_safe(fitted, kind="model", version=FORMAT)
        change(meta["model"], tensors)
        write_safe(tmp_path / "m", tensors, meta, kind="model", version=version)
        return tmp_path / "m"

    return write


def put(*keys_and_value):
    """A change that sets one branch of the tree."""
    *keys, last, value = keys_and_value

    def change(tree, _):
        for key in keys:
            tree = tree[key]
        tree[last] = value

    return change


def replace(key, make):
    """A change of the tensor of one weight, or of one array."""

    def change(tree, tensors):
        for part in key[:-1]:
            tree = tree[part]
        (name,) = tree[key[-1]].values()
        tensors[name] = make(tensors[name])

    return change


def weight(name, make):
    return replace(("network", name), make)


def count_without_prior(tree, _):
    tree["settings"]["shrinkage"], tree["fitted"]["counted_"] = None, True


def drop_bias(tree, _):
    del tree["network"]["head.heads.0.out.bias"]


def add_weight(tree, tensors):
    tensors["more"] = torch.ones(2)
    tree["network"]["more"] = {"~tensor": "more"}


OUT = "head.heads.0.out.weight"
CHANGES = {
    "float64 weight": (weight(OUT, torch.Tensor.double), "must be float32 .* is float64"),
    "turned weight": (weight(OUT, lambda w: w.T.contiguous()), r"\[2, 3\] by its settings"),
    "missing weight": (drop_bias, "out.bias' must be float32 .* and is absent"),
    "another weight": (add_weight, "'more' must be absent by its settings"),
    "weight that is none": (put("network", OUT, 3), "and is absent"),
    "gene out of range": (weight("head_input.columns", lambda c: c + 1), "read other genes"),
    "gene below range": (weight("head_input.columns", lambda c: c - 1), "read other genes"),
    "wider network": (
        put("settings", "hidden_channels", [4]),
        r"float32 \[4\] by its settings, and is",
    ),
    "huge network": (put("settings", "hidden_channels", [10**10]), "by its settings"),
    "too many heads": (put("settings", "num_heads", 10**12), "ask for more parts"),
    "too many layers": (put("settings", "num_layers", 10**12), "ask for more parts"),
    "too many graphs": (put("settings", "num_graphs", 10**12), "ask for more parts"),
    "too deep a head": (put("settings", "hidden_channels", [1] * 10**5), "ask for more parts"),
    "too many genes": (put("fitted", "n_features_in_", 10**12), "must have its columns in order"),
    "unknown setting": (put("settings", "evil", 1), "unexpected keyword argument 'evil'"),
    "no settings": (put("settings", None), "do not fit together"),
    "long labels": (put("classes_dtype", "<U100000000"), "2 classes cannot have the format"),
    "labels that are objects": (put("classes_dtype", "V8"), "classes cannot have the format"),
    "a label twice": (put("classes", ["T cell", "T cell"]), "two or more, all of them different"),
    "a label too few": (put("classes", ["T cell"]), "two or more"),
    "a label too many": (put("classes", ["a", "b", "c"]), "do not fit together"),
    "no temperature": (put("fitted", "temperature_", {"~float": "nan"}), "'temperature_' is nan"),
    "temperature zero": (put("fitted", "temperature_", 0.0), "'temperature_' is 0.0"),
    "unknown values": (put("fitted", "values_", "what"), "'values_' is 'what'"),
    "counts without a prior": (count_without_prior, "'counted_' is True"),
    "held-out label": (replace(("held_out", "label"), lambda t: t + 2), "name other classes"),
    "float64 novelty": (replace(("novelty", "means"), torch.Tensor.double), "must hold float32"),
    "novelty of a class less": (
        replace(("novelty", "means"), lambda t: t[:1].clone()),
        "2 classes",
    ),
    "float64 types": (
        replace(("types", "means"), torch.Tensor.double),
        "must be float32, float32, int64",
    ),
    "types of a class less": (
        replace(("types", "means"), lambda t: t[:, :1].clone()),
        r"of 1 views, 2 classes .*\(got shapes",
    ),
    "types of no cells": (replace(("types", "num_cells"), torch.zeros_like), "of a cell at least"),
    "depth of text": (put("fitted", "median_depths_", ["30"]), r"'median_depths_' is \['30'\]"),
    "no depth": (put("fitted", "median_depths_", {"~tuple": []}), r"'median_depths_' is \(\)"),
    "adapted to what": (put("fitted", "adapted_", {"cells": "all"}), "'adapted_' is"),
    "adapted to less than none": (
        put("fitted", "adapted_", {"cells": -1, "known": 0, "shift": 0.0, "slope": 1.0}),
        "'adapted_' is",
    ),
    "another gene": (put("graph", "genes", list("ABCDEF")), "does not match its checksum"),
    "normalised how": (put("graph", "normalization", 3), "does not match its checksum"),
    "steps": (put("graph", "provenance", {"graph_steps": 3}), "'graph_steps' must be a list"),
    "a gene that is no text": (put("genes", ["A", "B", "C", "D", "E", []]), "do not fit together"),
    "a gene twice": (put("genes", list("ABCDEE")), "'feature_names_in_' is"),
    "batch of text": (put("settings", "batch_size", "64"), "'batch_size' must be int, and is '64'"),
    "batch of none": (put("settings", "batch_size", 0), "'batch_size' must be at least 1"),
    "device of a list": (put("settings", "device", [1]), "'device' must be str"),
    "unknown device": (put("settings", "device", "abacus"), "'device' must be one of"),
    "unknown attention": (put("settings", "attention", "what"), "'attention' must be one of"),
    "missing share": (put("settings", "max_missing", 7), "'max_missing' must lie in 0"),
    "norm of a tensor": (put("settings", "norm", {"~tensor": "0"}), "'norm' must be bool or"),
    "no tensor": (put("network", OUT, {"~tensor": "nowhere"}), "malformed .*'nowhere'"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_parts_that_disagree_are_an_error_before_the_network_is_made(changed, monkeypatch, name):
    change, message = CHANGES[name]
    path = changed(change)
    monkeypatch.setattr(persistence, "build_network", lambda *_: pytest.fail("was made"))
    if "novelty" in name or "types" in name:  # which are held against what the network reads
        monkeypatch.undo()
    with pytest.raises(ValueError, match=message):
        GeneGCNClassifier.load(path)


def test_what_was_not_changed_is_read(changed):
    assert GeneGCNClassifier.load(changed(lambda *_: None)).n_features_in_ == 6


@pytest.mark.parametrize(("version", "age"), [(FORMAT + 1, "newer"), (FORMAT - 1, "older")])
def test_a_file_of_another_format_says_so(changed, version, age):
    path = changed(lambda *_: None, version=version)
    with pytest.raises(ValueError, match=rf"format {FORMAT} \(got {version}, which is {age}\)"):
        GeneGCNClassifier.load(path)


def test_a_file_of_another_length_than_it_declares_is_not_read_to_its_end(fitted, tmp_path):
    path = tmp_path / "m"
    path.write_bytes(fitted.read_bytes())
    try:
        os.truncate(path, 1 << 42)  # four terabytes, none of them on the disk
    except OSError:
        pytest.skip("this file system has no room for such a file")
    with pytest.raises(ValueError, match="damaged"):
        GeneGCNClassifier.load(path)


def test_a_header_longer_than_any_is_not_read(tmp_path):
    path = tmp_path / "m"
    path.write_bytes((1 << 40).to_bytes(8, "little") + b'{"a"')
    os.truncate(path, 1 << 41)
    with pytest.raises(ValueError, match="must be a genegraph file"):
        GeneGCNClassifier.load(path)


@pytest.mark.parametrize("load", [GeneGraph.load, GeneGCNClassifier.load])
def test_a_device_is_no_file(load):
    with pytest.raises(ValueError, match=r"/dev/zero.* (must be|not) a genegraph"):
        load("/dev/zero")


@pytest.mark.parametrize(
    "declared",
    ["[]", "{}", '{"a": 3}', '{"a": {"data_offsets": []}}', '{"a": {"data_offsets": [0, "x"]}}'],
)
def test_a_header_of_another_form_is_no_header(tmp_path, declared):
    path = tmp_path / "m"
    path.write_bytes(len(declared).to_bytes(8, "little") + declared.encode())
    with pytest.raises(ValueError, match="must be a genegraph file"):
        GeneGCNClassifier.load(path)


def npy(path, header, data=b""):
    """Writes a graph file whose array of weights has this header."""
    import zipfile

    graph = GeneGraph(["A", "B"], [[0, 1], [1, 0]], [0.5, 0.5])
    graph.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    text = header.encode() + b"\n"
    magic = b"\x93NUMPY\x01\0" + len(text).to_bytes(2, "little")
    members["edge_weight.npy"] = magic + text + data
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("descr", "shape", "message"),
    [
        ("<f4", "(1000000000000,)", r"declares the shape \(1000000000000,\), but holds 8 bytes"),
        ("<f4", "(99999999999999999999,)", "but holds 8 bytes"),
        ("<f4", "(-2,)", "but holds 8 bytes"),
        ("<f4", "(1,)", "but holds 8 bytes"),
        ("<f4", "(-1, -2)", "one unknown dimension"),
        ("<f4", "(2.0,)", "shape is not valid"),
        ("|O", "(1,)", "must hold float32, but holds object"),
        ("<U1000000000", "(1,)", "not a valid dtype descriptor"),
        ("<U100000000", "(1,)", "must hold float32, but holds <U100000000"),
        ("|V0", "(1000000000000,)", "must hold float32, but holds"),
        (">f4", "(2,)", "must hold float32, but holds >f4"),
        ("<i4", "(2,)", "must hold float32, but holds int32"),
        ("__import__('os')", "(2,)", "not a valid dtype descriptor"),
    ],
)
def test_an_array_that_declares_what_is_not_there_is_damage(tmp_path, descr, shape, message):
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}}}"
    npy(tmp_path / "graph.npz", header, np.float32([0.5, 0.5]).tobytes())
    with pytest.raises(ValueError, match=f"graph.npz: damaged .*{message}"):
        GeneGraph.load(tmp_path / "graph.npz")


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("normalization", {"method": "what", "self_loops": False}, "'normalization' must be what"),
        ("normalization", {"method": "sym"}, "'normalization' must be what"),
        ("normalization", [1], "'normalization' must be what"),
        ("provenance", {"graph_steps": [3]}, "'graph_steps' must be a list of dicts"),
        ("provenance", {"graph_steps": [{"dropped": 3}]}, "'dropped' must hold counts"),
        ("provenance", {"graph_steps": [{"dropped": {"a": "b"}}]}, "'dropped' must hold counts"),
    ],
)
def test_a_graph_whose_story_cannot_be_told_is_refused(part, value, message):
    graph = GeneGraph(["A", "B"], [[0, 1], [1, 0]], [0.5, 0.5])
    state = graph.to_state() | {part: value}
    vars(graph)["_normalization"] = value if part == "normalization" else None
    vars(graph).pop("content_hash", None)
    state["content_hash"] = graph.content_hash
    with pytest.raises(ValueError, match=message):
        GeneGraph.from_state(state)


def test_a_header_that_is_nested_without_end_is_no_header(tmp_path):
    path = tmp_path / "graph.npz"
    text = json.dumps([]).encode() + b"[" * 10**5
    np.savez(path, header=np.frombuffer(text, np.uint8))
    with pytest.raises(ValueError, match="not a genegraph graph file"):
        GeneGraph.load(path)


def test_a_model_from_a_machine_with_cuda_is_read_on_one_without(changed):
    path = changed(put("settings", "device", "cuda"))
    assert GeneGCNClassifier.load(path).device == "cuda"


def test_answers_that_overflow_are_an_error_and_no_label(changed):
    path = changed(weight("head.heads.0.out.weight", lambda w: torch.full_like(w, 3e38)))
    with pytest.raises(ValueError, match="answers must be finite"):
        GeneGCNClassifier.load(path).predict(np.full((2, 6), 50.0, dtype="float32"))
