"""Draws the figures of ``how_it_works.md``: what the package computes, on small simulated cells.

    python docs/how_it_works_figures.py

Times are not measured here but taken from ``benchmarks/results/attention.jsonl``.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import anndata
import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure

from genegraph import GeneGraph, read_stringdb
from genegraph.datasets import simulate
from genegraph.nn import GraphShrinkage
from genegraph.nn.chebyshev import HALF_WIDTH, chebyshev, num_nodes
from genegraph.nn.panels import plan

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results" / "attention.jsonl"
# Dark to pale, so that they can be told apart in grey as well, and each with a line of its own.
STYLES = [("#22215c", "-"), ("#357595", "--"), ("#8cc3cb", "-.")]
STUDY: dict[str, Any] = {"n_genes": 2000, "n_interacting": 600, "n_types": 8, "n_modules": 20}
STUDY |= {"n_hidden": 5, "effect": 1.0, "verbose": False}


def main(folder: Path = DOCS / "figures", num_cells: int = 200) -> None:
    """Draws both figures into a folder; the same numbers come again, as the seeds are fixed."""
    matplotlib.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})
    with tempfile.TemporaryDirectory() as place:
        study = simulate(Path(place) / "study", n_cells=num_cells, zeros=0.25, **STUDY)
        cells = anndata.read_h5ad(study.cells)
        links = read_stringdb(study.links, study.info, min_score=700)
    counts = torch.from_numpy(cells.X.toarray())
    graph = GeneGraph.from_interactions(links, genes=cells.var_names)
    draw_attention(counts[0]).savefig(folder / "how-attention.png", dpi=150)
    draw_shrinkage(counts, graph).savefig(folder / "how-shrinkage.png", dpi=150)


def draw_attention(counts: torch.Tensor) -> Figure:
    """One cell: the tilted mean and its panels, the error by nodes, and the measured time."""
    x = np.sort(np.log1p(1e4 * counts.double().numpy() / float(counts.sum())))
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    mean, error, time = figure.subplots(1, 3)
    _draw_mean(mean, x)
    _draw_error(error, x)
    _draw_time(time)
    return figure


def tilted_mean(s: Any, x: Any) -> Any:
    """m(s) as it is defined, all pairs of slope and gene."""
    weight = np.exp(np.multiply.outer(s, x - x.max() * (np.max(s) > 0)))
    return weight @ x / weight.sum(axis=-1)


def _draw_mean(ax: Any, x: Any) -> None:
    s = np.linspace(-3, 3, 400)
    color, line = STYLES[0]
    ax.plot(s, tilted_mean(s, x), line, color=color, label="all pairs")
    nodes, _ = chebyshev(num_nodes(1e-6))
    _, panels = plan(s, x, np.zeros_like(x), 1e-6, len(nodes))
    for number, (_, _, _, _, _, _, low, high) in enumerate(sorted(panels, key=lambda p: p[6])):
        at = (low + high) / 2 + (high - low) / 2 * nodes
        label = f"{len(nodes)} nodes a panel" if number == 0 else None
        ax.plot(at, tilted_mean(at, x), "o", color=STYLES[1][0], markersize=3, label=label)
        ax.axvline(high, color="#c8c8d0", linewidth=0.8, zorder=0)
    ax.set(xlabel="slope s of a gene", ylabel="m(s)", title="One function of one number")
    ax.legend(frameon=False)


def _draw_error(ax: Any, x: Any) -> None:
    width = x[-1] - x[0]
    half = HALF_WIDTH / width  # the widest panel there is
    s = np.linspace(-half, half, 1001)
    exact = tilted_mean(s, x)
    numbers = np.arange(4, 25, 2)
    errors = []
    for number in numbers:
        nodes, to_coefficients = chebyshev(int(number))
        coefficients = to_coefficients @ tilted_mean(half * nodes, x)
        found = np.polynomial.chebyshev.chebval(s / half, coefficients)
        errors.append(np.abs(found - exact).max() / width)
    color, line = STYLES[0]
    ax.semilogy(numbers, errors, line, color=color, marker="o", markersize=3, label="this cell")
    tolerances = 10.0 ** -np.arange(1, 13)
    color, line = STYLES[1]
    needed = [num_nodes(float(tolerance)) for tolerance in tolerances]
    ax.semilogy(needed, tolerances, line, color=color, label="what the bound promises")
    ax.set(xlabel="nodes on a panel", ylabel="largest error / range of x", xlim=(3, 25))
    ax.set_title("Error falls geometrically")
    ax.set_ylim(1e-16, 1e2)
    ax.legend(frameon=False, loc="upper right")


def _draw_time(ax: Any) -> None:
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    growth = next(row for row in reversed(rows) if row["part"] == "growth")["ms_per_cell"]
    plain = next(row for row in reversed(rows) if row["part"] == "against the plain ways")
    names = {"counts": "counts", "distinct": "all values differ", "gene_aware": "gene-aware"}
    genes = [int(number) for number in growth]
    for (way, name), (color, line) in zip(names.items(), STYLES, strict=True):
        times = [times[way] for times in growth.values()]
        ax.loglog(genes, times, line, color=color, marker="o", markersize=3, label=name)
    matrix = plain["ms_per_cell"]["materialized_one_cell"]
    ax.loglog(plain["genes"], matrix, "s", color="black", label="N x N matrix, measured")
    ax.loglog(
        genes,
        [matrix * (number / plain["genes"]) ** 2 for number in genes],
        ":",
        color="black",
        label="the same by N², drawn",
    )
    ax.set(
        xlabel="genes", ylabel="ms a cell, forward and backward", title="Measured on 2 CPU cores"
    )
    ax.set_ylim(top=5e7)
    ax.set_xticks(genes, [f"{number:,}" for number in genes])
    ax.minorticks_off()
    ax.legend(frameon=False, fontsize="small", loc="upper left")


def draw_shrinkage(counts: torch.Tensor, graph: GeneGraph) -> Figure:
    """How much the neighbours count, and how near thinned cells come to what they were."""
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    weight, error = figure.subplots(1, 2)
    reads = np.geomspace(10, 30_000, 100)
    for kappa, (color, line) in zip((1000, 100, 30), STYLES, strict=True):
        share = kappa / (reads + kappa)
        weight.semilogx(reads, share, line, color=color, label=f"kappa = {kappa}")
    weight.set(xlabel="reads of a cell, T", ylabel="kappa / (T + kappa)")
    weight.set_title("What the neighbours weigh")
    weight.legend(frameon=False)
    _draw_recovery(error, counts, graph)
    return figure


def _draw_recovery(ax: Any, counts: torch.Tensor, graph: GeneGraph) -> None:
    """Root mean square error of the log rate of interacting genes, thinned against all reads."""
    interacting = torch.unique(graph.edge_index)
    truth = torch.log1p(1e3 * counts / counts.sum(1, keepdim=True))[:, interacting]
    graphs = {"no graph": None, "rewired": graph.rewire(random_state=0), "real graph": graph}
    shares = np.geomspace(2e-3, 1, 9)
    torch.manual_seed(0)
    thinned = [torch.binomial(counts, torch.full_like(counts, float(share))) for share in shares]
    reads = [float(cells.sum(1).median()) for cells in thinned]
    for (name, used), (color, line) in zip(graphs.items(), STYLES, strict=True):
        errors = []
        for cells in thinned:
            # Cells that lost every read say nothing of any method.
            left = cells.sum(1) > 0
            found = _log_rates(cells[left], used)[:, interacting]
            errors.append(float((found - truth[left]).square().mean().sqrt()))
        ax.semilogx(reads, errors, line, color=color, marker="o", markersize=3, label=name)
    ax.set(xlabel="reads of a cell that are left", ylabel="error of the log rate (rms)")
    ax.set_title("Simulated cells, thinned")
    ax.legend(frameon=False)


@torch.no_grad()
def _log_rates(counts: torch.Tensor, graph: GeneGraph | None) -> torch.Tensor:
    shrink = GraphShrinkage(100.0)
    if graph is None:
        return shrink(counts)
    scaled = graph.normalize("row")
    return shrink(counts, scaled.to_edge_index(), scaled.edge_weight)


if __name__ == "__main__":
    main()
