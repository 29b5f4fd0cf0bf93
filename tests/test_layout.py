"""Imports run one way, and importing does no work."""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "genegraph"

# Each place may import the places before it and its own, never one after it.
ORDER = [
    {"version", "files", "archives", "colors", "packed_values"},
    {"interactions"},
    {"downloads"},
    {"normalize", "edges", "rewire", "graph_controls"},
    {"graph_build", "graph_convert", "graph_io", "graph_report"},
    {"graph"},
    {"expression_stored"},
    {"held_rows"},
    {"expression_matrix", "expression_values", "expression", "expression_counts"},
    {"tree_codec", "safefile"},
    {"nn", "processes", "device_memory", "determinism", "interruption"},
    {
        "thinning",
        "batches",
        "splitting",
        "recipe",
        "checkpoint_io",
        "checkpoint_folder",
        "progress",
        "clipping",
        "keeping",
    },
    {"checkpoints"},
    {
        "resampling",
        "head_statistics",
        "reliability",
        "novelty",
        "discriminants",
        "adaptation",
        "unlabeled",
        "annotation",
    },
    {"training"},
    {"classifier_network"},
    {"classifier_cells"},
    {"classifier_checks", "classifier_calibration", "classifier_unlabeled", "classifier_adapt"},
    {"persistence_checks", "persistence"},
    {"classifier_fit"},
    {"explain", "pl"},
    {"report"},
    {"classifier"},
    {"controls"},
    {"inspection", "gene_mapping_report", "gene_mapping"},
    {"simulation"},
    {"datasets"},
    {"demo", "cli", "__main__"},
]


def place_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_places(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    modules = {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module}
    places = {m.split(".")[1] for m in modules if m.startswith("genegraph.")}
    return places - {place_of(path)}


def test_every_file_has_its_place():
    known = set().union(*ORDER)
    found = {place_of(p) for p in PACKAGE.rglob("*.py")} - {"__init__"}
    assert found == known


def test_imports_run_one_way():
    rank = {name: i for i, names in enumerate(ORDER) for name in names}
    for path in PACKAGE.rglob("*.py"):
        if place_of(path) == "__init__":
            continue
        tree = ast.parse(path.read_text())
        typing_only = {
            m.split(".")[1]
            for block in ast.walk(tree)
            if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING"
            for n in ast.walk(block)
            if isinstance(n, ast.ImportFrom) and (m := n.module or "").startswith("genegraph.")
        }
        for place in imported_places(path) - typing_only:
            assert rank[place] <= rank[place_of(path)], f"{path.name} imports {place}"


def test_nn_knows_no_gene_names_and_graph_no_cells():
    for path in (PACKAGE / "nn").glob("*.py"):
        assert imported_places(path) <= {"nn"}, path.name
    assert "expression" not in imported_places(PACKAGE / "graph.py")


def test_only_downloads_can_open_connections():
    network = {"requests", "socket", "ftplib", "smtplib", "aiohttp", "fsspec", "pooch"}
    openers = {"urllib.request", "http.client", "http.server", "xmlrpc.client"}
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
            if any(name.partition(".")[0] in network or name in openers for name in names):
                found.add(str(path.relative_to(PACKAGE)))
    assert found == {"downloads/transfer.py", "downloads/cache.py"}


def test_importing_does_no_work():
    code = """
import sys, torch
before = torch.get_rng_state()
import genegraph
assert torch.equal(before, torch.get_rng_state()), "seeded"
assert not torch.cuda.is_initialized(), "device"
from genegraph import GeneGCNClassifier, GeneGraph, read_biogrid, read_edges, read_stringdb
assert torch.equal(before, torch.get_rng_state()), "seeded"
heavy = {"scanpy", "matplotlib", "anndata", "networkx", "lightning"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
