"""How fast is attention over all genes of a cell, against the softmax with its N x N matrix?

Forward and backward with gradients of theta, phi and W, on counts, on values that are all distinct
(with a gradient of x too, as a stacked layer needs it) and gene-aware.  Values and gradients are
first compared with the definition in float64, row by row.  Then: time per cell at several numbers
of genes and the exponent with which it grows, the peak of memory in a process of each way's own
beyond what it held before the step, and last, because they disturb the rest, the plain ways for
one cell: the whole matrix and, with --device cuda, torch's scaled_dot_product_attention (on the
CPU it saves memory alone).  Lines are appended to results/attention.jsonl.

    python benchmarks/attention.py
    python benchmarks/attention.py --genes 90 --sizes 50 90 --cells 3 --results /tmp/a.jsonl
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import (
    RESULTS,
    count_cells,
    forward_backward,
    median_ms,
    peak_mib,
    record,
    relative_error,
    reset_peak,
)
from torch import Tensor

from genegraph.nn import GeneGraphConv
from genegraph.nn.full_attention import dense_attention

WAYS = ("counts", "distinct", "distinct_gradient_of_x", "gene_aware")
MATRIX, SDPA = "materialized_one_cell", "sdpa_one_cell"
TOLERANCE = 1e-5
STEPS = 5  # in a row, as in training


class Dense(GeneGraphConv):
    """The layer, by torch's attention kernel."""

    def _attend(self, x: Tensor) -> Tensor:
        query, key, bias = self._query_key_bias(x)
        return dense_attention(query, key, x, bias)


def prepare(way: str, num_cells: int, num_genes: int, device: str) -> tuple[GeneGraphConv, Tensor]:
    """A layer and cells ``[num_cells, num_genes, 1]``."""
    torch.manual_seed(0)
    if way.startswith("distinct"):
        x = torch.rand(num_cells, num_genes) * 8
    else:
        x = count_cells(num_cells, num_genes)
    if way == "gene_aware":
        layer = GeneGraphConv(1, 1, num_genes=num_genes)
        with torch.no_grad():
            for name, parameter in layer.named_parameters():
                if name.startswith("gene_"):
                    parameter.add_(0.2 * torch.randn_like(parameter))
    elif way == SDPA:
        layer = Dense(1, 1)
    else:
        layer = GeneGraphConv(1, 1, reference=way == MATRIX)
    x = x[: 1 if way.endswith("one_cell") else None, :, None].to(device)
    return layer.to(device), x.requires_grad_(way.endswith("gradient_of_x"))


def by_definition(layer: GeneGraphConv, x: Tensor, rows: slice) -> Tensor:
    """These rows of the layer's output for one cell ``[num_genes, 1]``."""
    assert layer.theta is not None
    assert layer.phi is not None
    if layer.gene_aware:
        weight, key = layer.theta.weight[:, 0], layer.phi.weight[:, 0]
        a, c = (part @ key / len(key) ** 0.5 for part in (weight, layer.theta.bias))
        slope = a * layer.gene_slope[rows] * x[rows, 0] + c + layer.gene_offset[rows]
        logits = slope[:, None] * (layer.gene_key * x[:, 0]) + layer.gene_log_weight
    else:
        query, key = layer.theta(x[rows]), layer.phi(x)
        logits = query @ key.T / query.size(1) ** 0.5
    return logits.softmax(1) @ x @ layer.weight


def errors(way: str, num_genes: int, device: str, rows_at_once: int = 256) -> dict[str, float]:
    """Largest relative errors of values and gradients of one cell, against float64."""
    layer, x = prepare(way, 1, num_genes, device)
    upstream = torch.randn_like(x)
    out = layer(x)
    out.backward(upstream)
    exact, cell = prepare(way, 1, num_genes, device)
    exact, cell = exact.double(), cell.detach().double()[0].requires_grad_()
    blocks = []
    for first in range(0, num_genes, rows_at_once):
        rows = slice(first, first + rows_at_once)
        block = by_definition(exact, cell, rows)
        block.backward(upstream[0, rows].double())
        blocks.append(block.detach())
    ours, theirs = gradients(layer), gradients(exact)
    if x.requires_grad:
        ours["x"], theirs["x"] = x.grad[0], cell.grad
    found = {name: relative_error(ours[name], theirs[name]) for name in ours}
    found["values"] = relative_error(out[0], torch.cat(blocks))
    if not max(found.values()) <= TOLERANCE:
        raise SystemExit(f"{way}: relative errors {found}; nothing was timed.")
    return {name: float(f"{error:.1e}") for name, error in found.items()}


def gradients(layer: GeneGraphConv) -> dict[str, Tensor]:
    """Of theta, phi and W as one vector (phi's bias has none), and of each gene's parameters."""
    of = {name: part.grad for name, part in layer.named_parameters() if part.grad is not None}
    genes = {name: part for name, part in of.items() if name.startswith("gene_")}
    rest = [part.flatten() for name, part in of.items() if name not in genes]
    return {"theta_phi_weight": torch.cat(rest), **genes}


def exponent(sizes: Sequence[int], times: Sequence[float]) -> float:
    """With which times grow: the slope of a line through their logarithms."""
    return round(float(np.polyfit(np.log(sizes), np.log(times), 1)[0]), 3)


def peak_beyond(way: str, arguments: argparse.Namespace) -> int:
    """What one step adds to this process's memory at its peak, in MiB."""
    forward_backward(*prepare(way, 2, 40, arguments.device))  # what every process needs
    layer, x = prepare(way, arguments.cells, arguments.genes, arguments.device)
    reset_peak(arguments.device)
    before = peak_mib(arguments.device)
    forward_backward(layer, x)
    return peak_mib(arguments.device) - before


def peak_of_own_process(way: str, arguments: argparse.Namespace) -> int:
    """Runs :func:`peak_beyond` in a fresh process whose freed memory goes back at once.

    CUDA's memory is counted by torch itself, and needs no other process.
    """
    if arguments.device != "cpu":
        return peak_beyond(way, arguments)
    names = ("genes", "cells", "threads", "device")
    size = [f"--{name}={getattr(arguments, name)}" for name in names]
    done = subprocess.run(
        [sys.executable, __file__, "--memory-of", way, *size],
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return int(done.stdout)


def ms_per_cell(
    ways: Sequence[str], num_genes: int, arguments: argparse.Namespace, steps: int, **turns: int
) -> dict[str, float]:
    """Median time of a step, divided by the cells; in its turn a way takes some in a row."""
    parts = {way: prepare(way, arguments.cells, num_genes, arguments.device) for way in ways}

    def some(part: tuple[GeneGraphConv, Tensor]) -> None:
        for _ in range(steps):
            forward_backward(*part)

    times = median_ms({way: (lambda part=part: some(part)) for way, part in parts.items()}, **turns)
    return {way: round(times[way] / steps / len(x), 4) for way, (_, x) in parts.items()}


def main(argv: Sequence[str] | None = None) -> None:
    """Checks, times and measures memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--genes", type=int, default=20_499)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 20_499, 60_000])
    parser.add_argument("--cells", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--plain-repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--results", type=Path, default=RESULTS / "attention.jsonl")
    parser.add_argument("--memory-of", help="print the MiB that one step of this way takes")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    if arguments.memory_of:
        print(peak_beyond(arguments.memory_of, arguments))
        return

    def write(**result: Any) -> None:
        size = {"benchmark": "attention", "cells": arguments.cells}
        record(arguments.results, arguments.device, **size, **result)

    found = {way: errors(way, arguments.genes, arguments.device) for way in WAYS}
    write(part="error", genes=arguments.genes, relative_error=found)
    times = {
        size: ms_per_cell(WAYS, size, arguments, STEPS, repeats=arguments.repeats)
        for size in arguments.sizes
    }
    growth = {way: exponent(list(times), [ms[way] for ms in times.values()]) for way in WAYS}
    write(part="growth", ms_per_cell=times, exponent=growth)
    plain = (MATRIX,) if arguments.device == "cpu" else (MATRIX, SDPA)
    memory = {way: peak_of_own_process(way, arguments) for way in (*WAYS, *plain)}
    # The plain ways disturb the others, so they come after; ours once more, to be beside them.
    genes, turns = arguments.genes, arguments.plain_repeats
    ms = ms_per_cell(WAYS, genes, arguments, STEPS, repeats=arguments.repeats)
    ms |= ms_per_cell(plain, genes, arguments, 1, repeats=turns, warm_up=1)
    write(
        part="against the plain ways",
        genes=arguments.genes,
        ms_per_cell=ms,
        times_faster={way: {other: round(ms[other] / ms[way]) for other in plain} for way in WAYS},
        step_mib=memory,
    )


if __name__ == "__main__":
    main()
