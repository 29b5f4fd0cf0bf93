"""The readers and loaders to be fuzzed, what each may raise, and what must hold of its answer."""

import io
import json
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import fuzz_seeds as seeds
import h5py
import numpy as np
import torch
from fuzz_mutation import Choices, change_tree
from safetensors.torch import load

from genegraph import GeneGCNClassifier, GeneGraph, read_biogrid, read_edges, read_stringdb
from genegraph import expression_stored, safefile
from genegraph.checkpoint_io import SafeCheckpointIO
from genegraph.cli.options import _read as read_h5ad
from genegraph.downloads.content import check_content
from genegraph.downloads.record import read_record, record_path
from genegraph.expression import labels_from_obs, number_from_obs, read_anndata
from genegraph.interactions.name_pairs import read_name_pairs

REFUSED = (ValueError, OSError)
QUERY = seeds.small_cells()[:4].copy()


class Target(NamedTuple):
    """One reader.

    Attributes:
        make: Makes its seeds.
        run: Reads one input; is given the input and a folder to put it in.
        program: Whether an input is a program that changes a seed, see ``fuzz_mutation``.
        share: Its share of all inputs, in thousandths.
        allowed: What it documents that it raises.
    """

    make: Callable[[], list[bytes]]
    run: Callable[[bytes, Path], Any]
    program: bool
    share: int
    allowed: tuple[type[Exception], ...] = REFUSED


def check_table(table: Any) -> None:
    """What every table of interactions promises."""
    a, b, score = (table[name].to_numpy() for name in ("gene_a", "gene_b", "score"))
    assert len(table) > 0, "empty table"
    assert all(type(name) is str and name for name in (*a, *b)), "a gene without a name"
    assert (a < b).all(), "pairs out of order"
    assert len(set(zip(a, b, strict=True))) == len(table), "a pair twice"
    assert ((score >= 0) & (score <= 1)).all(), "a score outside 0..1"
    attrs = table.attrs
    assert attrs["rows_read"] == attrs["rows_kept"] + sum(attrs["dropped"].values()), "rows lost"
    assert attrs["pairs"] == len(table), "pairs miscounted"


def _file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def string(content: bytes, folder: Path, version: str = "12.0", **options: Any) -> None:
    """Reads STRING interactions."""
    path = _file(folder, f"9606.protein.links.v{version}.txt", content)
    check_table(read_stringdb(path, min_score=0, **options))


def string_names(content: bytes, folder: Path, argument: str) -> None:
    """Reads interactions whose names come from the input."""
    links = _file(folder, "9606.protein.links.v12.0.txt", seeds.LINKS.encode())
    named = {argument: _file(folder, "names.txt", content)}
    check_table(read_stringdb(links, min_score=0, **named))


def biogrid(content: bytes, folder: Path, name: str = "BIOGRID-ALL-5.0.261.tab3.txt") -> None:
    """Reads BioGRID, plain or zipped."""
    check_table(read_biogrid(_file(folder, name, content)))


def edges(content: bytes, folder: Path) -> None:
    """Reads a user's table."""
    check_table(read_edges(_file(folder, "edges.csv", content)))


def name_table(content: bytes, folder: Path) -> None:
    """Reads which name stands for which."""
    path = _file(folder, "names.txt", content)
    found = read_name_pairs(path, "symbol", ["ENSG00000141510", "7157", "Cd3d"])
    assert all(name and all(wanted) for name, wanted in found.targets.items()), "an empty name"


def graph_bytes(content: bytes, folder: Path) -> None:
    """Loads a graph file whose bytes were changed."""
    _load_graph(_file(folder, "graph.npz", content))


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
    _load_graph(_file(folder, "graph.npz", file.getvalue()))


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
    np.zeros(3, "V0"), np.zeros(2, [("a", "f4")]), np.zeros((1, 1, 12), "f4"), np.zeros(12, "M8[s]"),
]  # fmt: skip
SHAPES = ["()", "(2,)", "(2, 10**9)", "(1000000000000,)", "(-1,)", "(2, -3)", "(0, 1000000000000)"]
SHAPES += ["(99999999999999999999,)", "(2.0,)", "(True,)", "[2]", "2", "(2, 12)", "(24,)"]
DESCRS = ["<i8", "<f4", "|O", "|V0", "|V1000000000", "<U1000000000", "|S0", "<c16", ">i8", "?", "z"]


def _changed_npy(content: bytes, choices: Choices) -> bytes:
    """The data of an array behind another header."""
    _, _, data = content.partition(b"\n")
    descr, shape = choices.of(DESCRS), choices.of(SHAPES)
    header = f"{{'descr': {descr!r}, 'fortran_order': {choices.of((True, False))}, 'shape': {shape}}}"
    length = choices.of((len(header) + 1, 0, 65535, len(header)))
    magic = choices.of((b"\x93NUMPY\x01\0", b"\x93NUMPY\x01\0", b"\x93NUMPY\x02\0", b"NUMPY"))
    return magic + length.to_bytes(2, "little") + header.encode() + b"\n" + data


def resealed(content: bytes) -> bytes:
    """Puts the right hash into a file of genegraph, where its parts can be found."""
    try:
        text, old = safefile._read_header("", content)
        return content.replace(old.encode(), safefile._hash(text, load(content)).encode(), 1)
    except Exception:
        return content


def model_bytes(content: bytes, folder: Path) -> None:
    """Loads a model whose bytes were changed, and its hash with them."""
    _load_model(_file(folder, "model", resealed(content)))


def model_parts(data: bytes, folder: Path) -> None:
    """Loads a model whose settings, classes, shapes or weights were changed; and predicts."""
    choices = Choices(data)
    _load_model(_sealed_parts(choices, choices.of(SEEDS["model_parts"]), folder))


def _load_model(path: Path) -> None:
    model = GeneGCNClassifier.load(path)
    network = model.network_.state_dict()
    assert not any(tensor.is_meta for tensor in network.values()), "a weight without values"
    probabilities = model.predict_proba(QUERY)
    assert probabilities.shape == (QUERY.n_obs, len(model.classes_))
    assert np.isfinite(probabilities).all()


def checkpoint_parts(data: bytes, folder: Path) -> None:
    """Loads a checkpoint whose tree or tensors were changed."""
    choices = Choices(data)
    path = _sealed_parts(choices, choices.of(SEEDS["checkpoint_parts"]), folder)
    assert isinstance(SafeCheckpointIO().load_checkpoint(path), dict)


def checkpoint_bytes(content: bytes, folder: Path) -> None:
    """Loads a checkpoint whose bytes were changed, and its hash with them."""
    SafeCheckpointIO().load_checkpoint(_file(folder, "last.ckpt", resealed(content)))


def _sealed_parts(choices: Choices, content: bytes, folder: Path) -> Path:
    text, _ = safefile._read_header("", content)
    document, tensors = json.loads(text), load(content)
    meta, version = document["meta"], document["format"]
    for _ in range(choices.rounds()):
        what = choices.below(5)
        if what == 0 and tensors:
            name = choices.of(sorted(tensors))
            changed = _changed_tensor(tensors.pop(name), choices)
            if changed is not None:
                tensors[name] = changed
        elif what == 1 and choices.below(8) == 0:
            version = choices.of((version + 1, version - 1, 0, 10**9))
        else:
            branch = meta  # each part of a model as often as another, however small it is
            for _ in range(choices.of((1, 2, 2, 2, 2))):
                inside = [part for part in branch.values() if isinstance(part, dict | list) and part]
                branch = choices.of(inside) if inside and isinstance(branch, dict) else branch
                if isinstance(branch, list):
                    break
            change_tree(branch, choices)
    try:
        safefile.write_safe(folder / "sealed", tensors, meta, kind=document["kind"], version=version)
    except (TypeError, ValueError) as error:  # text or numbers that JSON does not hold
        raise ValueError("cannot be written") from error
    return folder / "sealed"


def _changed_tensor(tensor: torch.Tensor, choices: Choices) -> torch.Tensor | None:
    what = choices.below(9)
    if what == 0:
        return None if choices.below(4) == 0 else torch.zeros_like(tensor)
    if what == 1:
        return tensor.to(choices.of((torch.float64, torch.int64, torch.bool, torch.bfloat16)))
    if what == 2:
        return tensor.reshape(-1)
    if what == 3:
        return tensor.unsqueeze(0)
    if what == 4:
        return tensor[:0] if tensor.dim() else tensor.new_zeros(0)
    if what == 5 and tensor.is_floating_point():
        return torch.full_like(tensor, choices.of((float("nan"), float("inf"), -1e38)))
    if what == 6 and tensor.dtype in (torch.int32, torch.int64):
        return torch.full_like(tensor, choices.of((-1, 10**6, 127)))
    return tensor.transpose(0, -1) if tensor.dim() > 1 else torch.cat([tensor.view(-1)] * 2)


def cells(data: bytes, folder: Path, backed: str | None = None) -> None:
    """Predicts the cells of an h5ad whose groups, shapes, numbers or attributes were changed."""
    choices = Choices(data)
    path = _file(folder, "cells.h5ad", choices.of(SEEDS["h5ad"]))
    with h5py.File(path, "r+") as file:
        for _ in range(choices.rounds()):
            _change_hdf5(file, choices)
    expression_stored.WINDOW_BYTES = 64 if backed else 256 * 2**20
    adata = read_h5ad(path, backed)
    try:
        if choices.below(3):
            probabilities = MODEL[0].predict_proba(adata)
            assert probabilities.shape == (adata.n_obs, 2)
            assert np.isfinite(probabilities).all(), "NaN from finite cells"
        else:
            read_anndata(adata, choices.of((None, *adata.layers)))
        labels_from_obs(adata, "cell_type")
        number_from_obs(adata, "depth")
    finally:
        if backed:
            adata.file.close()


NUMBERS = [
    np.arange(3), np.zeros(0), np.zeros((3, 2), "f4"), np.full(30, 10**9), np.full(31, -1),
    np.full(30, np.nan), np.array([b"a", b"b"]), np.float32(1), np.zeros((0, 6)), np.zeros((30, 6)),
    np.full((30, 6), np.inf), np.zeros((30, 7)), np.zeros(31, "i8"), np.array([5, 4, 3] * 10),
]  # fmt: skip
ATTRIBUTES = ["csr_matrix", "csc_matrix", "array", "dataframe", "dict", "categorical", "what", 7]


def _change_hdf5(file: h5py.File, choices: Choices) -> None:
    names: list[str] = []
    file.visit(names.append)
    if not names:
        return
    name = choices.of(names)
    node = file[name]
    what = choices.of((1, 2, 2, 3) if isinstance(node, h5py.Dataset) else (0, 3, 4))
    if what == 0:
        del file[name]
    elif what == 1 and isinstance(node, h5py.Dataset):
        del file[name]
        file[name] = choices.of(NUMBERS)
    elif what == 2 and isinstance(node, h5py.Dataset) and node.shape and node.dtype.kind in "iuf":
        values = np.asarray(node[()])
        place = choices.below(values.size or 1)
        if values.size:
            values.flat[place] = choices.of((0, 1, 100, 2**31 - 1)) * choices.of((1, -1))
            node[...] = values
    elif what == 3 and len(node.attrs):
        key = choices.of(sorted(node.attrs))
        value = choices.of((*ATTRIBUTES, None))
        if value is None:
            del node.attrs[key]
        else:
            node.attrs[key] = np.array([30, choices.below(9)]) if key == "shape" else value
    else:
        del file[name]
        file.create_group(name)


def packed(content: bytes, folder: Path) -> None:
    """Checks a download, gzip or zip."""
    packing, holds = ("zip", "tab3") if content[:1] == b"P" else ("gzip", "protein1")
    check_content(_file(folder, "download", content), packing, holds)


def record(content: bytes, folder: Path) -> None:
    """Reads the record of a download."""
    path = folder / "links.gz"
    record_path(path).write_bytes(content)
    read_record(path)


FULL_CHANNELS = {"channels": ["experiments", "textmining"]}
TARGETS: dict[str, Target] = {
    "string_links": Target(
        lambda: seeds.plain_and_packed(seeds.LINKS, seeds.INFO), string, False, 70
    ),
    "string_full": Target(
        lambda: seeds.plain_and_packed(seeds.FULL),
        partial(string, version="11.5", **FULL_CHANNELS),
        False,
        50,
    ),
    "string_export": Target(
        lambda: seeds.plain_and_packed(seeds.EXPORT, seeds.API), string, False, 50
    ),
    "string_info": Target(
        lambda: seeds.plain_and_packed(seeds.INFO),
        partial(string_names, argument="info"),
        False,
        50,
    ),
    "string_aliases": Target(
        lambda: seeds.plain_and_packed(seeds.ALIASES, seeds.OLD_ALIASES),
        partial(string_names, argument="aliases"),
        False,
        50,
    ),
    "biogrid_table": Target(
        lambda: seeds.plain_and_packed(
            seeds.biogrid_table(), seeds.biogrid_table(tab2=True), seeds.MITAB
        ),
        biogrid,
        False,
        50,
    ),
    "biogrid_zip": Target(
        seeds.biogrid_zips, partial(biogrid, name="BIOGRID-ALL-5.0.261.tab3.zip"), False, 80
    ),
    "edge_table": Target(lambda: seeds.plain_and_packed(seeds.EDGES), edges, False, 60),
    "name_table": Target(
        lambda: [
            *seeds.plain_and_packed(seeds.NAMES, seeds.ALIASES, seeds.biogrid_table()),
            *seeds.biogrid_zips(),
        ],
        name_table,
        False,
        50,
    ),
    "graph_bytes": Target(seeds.graph_files, graph_bytes, False, 100),
    "graph_parts": Target(seeds.graph_files, graph_parts, True, 60),
    "model_bytes": Target(seeds.model_files, model_bytes, False, 80, (*REFUSED, KeyError)),
    "model_parts": Target(seeds.model_files, model_parts, True, 60, (*REFUSED, KeyError)),
    "checkpoint_bytes": Target(seeds.checkpoint_files, checkpoint_bytes, False, 50),
    "checkpoint_parts": Target(seeds.checkpoint_files, checkpoint_parts, True, 40),
    "h5ad": Target(seeds.h5ad_files, cells, True, 10, (*REFUSED, KeyError, TypeError)),
    "h5ad_backed": Target(
        seeds.h5ad_files, partial(cells, backed="r"), True, 10, (*REFUSED, KeyError, TypeError)
    ),
    "download": Target(
        lambda: [*seeds.plain_and_packed(seeds.LINKS)[1:], *seeds.biogrid_zips()],
        packed,
        False,
        60,
    ),
    "record": Target(seeds.records, record, False, 20),
}
SEEDS: dict[str, list[bytes]] = {}
MODEL: list[GeneGCNClassifier] = []


def prepare(name: str) -> list[bytes]:
    """Makes the seeds of a target, and what its function needs."""
    found = TARGETS[name].make()
    if name.startswith("h5ad"):
        SEEDS["h5ad"] = found
        MODEL.append(seeds.small_model())
    SEEDS[name] = found
    return found if not TARGETS[name].program else [b"", b"\1\2\3\4\5\6", bytes(range(0, 240, 7))]
