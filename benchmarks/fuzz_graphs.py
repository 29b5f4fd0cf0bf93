"""Graph files with their bytes or their parts changed."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fuzz_mutation import Choices, change_tree, put
from fuzz_seeds import SEEDS

from genegraph import GeneGraph


def graph_bytes(content: bytes, folder: Path) -> None:
    """Loads a graph file whose bytes were changed."""
    _load_graph(put(folder, "graph.npz", content))


def _load_graph(path: Path) -> None:
    graph = GeneGraph.load(path)
    assert graph.edge_index.dtype is torch.int64
    assert graph.edge_weight.dtype is torch.float32
    assert graph.edge_index.shape[1] == graph.edge_weight.shape[0]
    assert not graph.edge_weight.numel() or int(graph.edge_index.max()) < graph.num_genes
    assert len(set(graph.genes)) == graph.num_genes
    assert graph.align(graph.genes).content_hash == graph.content_hash, repr(graph)


def graph_parts(data: bytes, folder: Path) -> None:
    """Loads a graph file whose arrays, their headers or the zip's directory were changed."""
    choices = Choices(data)
    with zipfile.ZipFile(io.BytesIO(choices.of(SEEDS["graph_parts"]))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(choices.rounds()):
        what = choices.of((0, 0, 0, 0, 0, 1, 1, 2, 3, 3, 4))
        name = choices.of(sorted(members) if choices.below(4) == 0 else PARTS[1:])
        if what == 0 and "header.npy" in members:
            _, _, text = members["header.npy"].partition(b"\n")
            try:
                tree = json.loads(text)
                kept = {} if choices.below(8) == 0 else {"format": tree["format"]}
                tree = {**change_tree(tree, choices), **kept}
                members["header.npy"] = _npy(np.frombuffer(json.dumps(tree).encode(), np.uint8))
            except (ValueError, KeyError, TypeError):
                pass
        elif what == 1:
            members[name] = _changed_npy(members[name], choices)
        elif what == 2:
            members[choices.of(("../x.npy", "/x.npy", "header.npy", "edge_index.npy"))] = b"x"
        elif what == 3:
            members[name] = _npy(choices.of(ARRAYS))
        else:
            members[name] += choices.of((b"\0" * 8, b"\0" * 2**21, b"{}"))
    if choices.below(2):
        _rehash(members)
    file = io.BytesIO()
    packing = choices.of((*[zipfile.ZIP_DEFLATED] * 6, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2))
    with zipfile.ZipFile(file, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    _load_graph(put(folder, "graph.npz", file.getvalue()))


def _rehash(members: dict[str, bytes]) -> None:
    """Puts the hash of the changed content into the header, where that is a graph's."""
    try:
        parts = {name: np.load(io.BytesIO(members[f"{name}.npy"])) for name in ("header", *EDGES)}
        state = json.loads(parts.pop("header").tobytes())
        graph = GeneGraph(state["genes"], *(parts[name] for name in EDGES))
        vars(graph)["_normalization"] = state["normalization"]
        state["content_hash"] = graph.content_hash
        members["header.npy"] = _npy(np.frombuffer(json.dumps(state).encode(), np.uint8))
    except Exception:
        return


EDGES = ("edge_index", "edge_weight")
PARTS = ("header.npy", "edge_index.npy", "edge_weight.npy")


def _npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


ARRAYS = [
    np.zeros((2, 3)), np.zeros((2, 3), np.int32), np.full((2, 2), 10**12), np.full((2, 2), -1),
    np.zeros((2, 0), np.int64), np.zeros(0, np.float32), np.float32(1), np.full(12, np.nan, "f4"),
    np.full(12, np.inf, "f4"), np.full(12, -1, "f4"), np.zeros(12, ">f4"), np.array(["a"]),
    np.zeros(3, "V0"), np.zeros(2, [("a", "f4")]),
    np.zeros((1, 1, 12), "f4"), np.zeros(12, "M8[s]"),
]  # fmt: skip
SHAPES = ["()", "(2,)", "(2, 10**9)", "(1000000000000,)", "(-1,)", "(2, -3)", "(0, 1000000000000)"]
SHAPES += ["(99999999999999999999,)", "(2.0,)", "(True,)", "[2]", "2", "(2, 12)", "(24,)"]
DESCRS = ["<i8", "<f4", "|O", "|V0", "|V1000000000", "<U1000000000", "|S0", "<c16", ">i8", "?", "z"]


def _changed_npy(content: bytes, choices: Choices) -> bytes:
    """The data of an array behind another header."""
    _, _, data = content.partition(b"\n")
    descr, shape = choices.of(DESCRS), choices.of(SHAPES)
    header = (
        f"{{'descr': {descr!r}, 'fortran_order': {choices.of((True, False))}, 'shape': {shape}}}"
    )
    length = choices.of((len(header) + 1, 0, 65535, len(header)))
    magic = choices.of((b"\x93NUMPY\x01\0", b"\x93NUMPY\x01\0", b"\x93NUMPY\x02\0", b"NUMPY"))
    return magic + length.to_bytes(2, "little") + header.encode() + b"\n" + data
