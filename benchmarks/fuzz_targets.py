"""The readers and loaders to be fuzzed, what each may raise, and what must hold of its answer."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import fuzz_graphs as graphs
import fuzz_models as models
import fuzz_seeds as seeds
from fuzz_cells import cells
from fuzz_mutation import put
from fuzz_seeds import MODEL, SEEDS

from genegraph import read_biogrid, read_edges, read_stringdb
from genegraph.downloads.content import check_content
from genegraph.downloads.record import read_record, record_path
from genegraph.interactions.name_pairs import read_name_pairs

REFUSED = (ValueError, OSError)


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


def string(content: bytes, folder: Path, version: str = "12.0", **options: Any) -> None:
    """Reads STRING interactions."""
    path = put(folder, f"9606.protein.links.v{version}.txt", content)
    check_table(read_stringdb(path, min_score=0, **options))


def string_names(content: bytes, folder: Path, argument: str) -> None:
    """Reads interactions whose names come from the input."""
    links = put(folder, "9606.protein.links.v12.0.txt", seeds.LINKS.encode())
    named = {argument: put(folder, "names.txt", content)}
    check_table(read_stringdb(links, min_score=0, **named))


def biogrid(content: bytes, folder: Path, name: str = "BIOGRID-ALL-5.0.261.tab3.txt") -> None:
    """Reads BioGRID, plain or zipped."""
    check_table(read_biogrid(put(folder, name, content)))


def edges(content: bytes, folder: Path) -> None:
    """Reads a user's table."""
    check_table(read_edges(put(folder, "edges.csv", content)))


def name_table(content: bytes, folder: Path) -> None:
    """Reads which name stands for which."""
    path = put(folder, "names.txt", content)
    found = read_name_pairs(path, "symbol", ["ENSG00000141510", "7157", "Cd3d"])
    assert all(name and all(wanted) for name, wanted in found.targets.items()), "an empty name"


def packed(content: bytes, folder: Path) -> None:
    """Checks a download, gzip or zip."""
    packing, holds = ("zip", "tab3") if content[:1] == b"P" else ("gzip", "protein1")
    check_content(put(folder, "download", content), packing, holds)


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
    "graph_bytes": Target(seeds.graph_files, graphs.graph_bytes, False, 110),
    "graph_parts": Target(seeds.graph_files, graphs.graph_parts, True, 60),
    "model_bytes": Target(seeds.model_files, models.model_bytes, False, 80, (*REFUSED, KeyError)),
    "model_parts": Target(seeds.model_files, models.model_parts, True, 25, (*REFUSED, KeyError)),
    "checkpoint_bytes": Target(seeds.checkpoint_files, models.checkpoint_bytes, False, 60),
    "checkpoint_parts": Target(seeds.checkpoint_files, models.checkpoint_parts, True, 40),
    "h5ad": Target(seeds.h5ad_files, cells, True, 8, (*REFUSED, KeyError, TypeError)),
    "h5ad_backed": Target(
        seeds.h5ad_files, partial(cells, backed="r"), True, 8, (*REFUSED, KeyError, TypeError)
    ),
    "download": Target(
        lambda: [*seeds.plain_and_packed(seeds.LINKS)[1:], *seeds.biogrid_zips()],
        packed,
        False,
        69,
    ),
    "record": Target(seeds.records, record, False, 30),
}


def prepare(name: str) -> list[bytes]:
    """Makes the seeds of a target, and what its function needs."""
    found = TARGETS[name].make()
    if name.startswith("h5ad"):
        SEEDS["h5ad"] = found
        MODEL.append(seeds.small_model())
    SEEDS[name] = found
    return found if not TARGETS[name].program else [b"", b"\1\2\3\4\5\6", bytes(range(0, 240, 7))]
