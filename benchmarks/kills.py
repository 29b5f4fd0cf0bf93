"""Does training survive being killed?  SIGKILL at random moments, and what is left in the end.

    python benchmarks/kills.py --kills 20

A process fits a classifier with a checkpoint folder.  It is killed while it takes a step,
validates or writes a checkpoint, in turn, after a random number of those and a random moment
later; then it is started again, until it has been killed so many times, and may finish.  Its model
file must be, byte for byte, that of a process that nobody killed: one thread on the CPU.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import RESULTS, record
from lightning.pytorch.callbacks import Callback

from genegraph import GeneGCNClassifier, GeneGraph
from genegraph.checkpoint_folder import newest
from genegraph.checkpoint_io import SafeCheckpointIO

PHASES = ("step", "validation", "checkpoint")
DELAY = 0.01
"""A kill comes at most so many seconds after its phase was announced."""


def main(argv: list[str] | None = None) -> None:
    """Kills, compares, and appends one line to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--cells", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS / "kills.jsonl")
    parser.add_argument("--life", type=Path, help=argparse.SUPPRESS)  # what is killed
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    if args.life is not None:
        fit(args.life, args.epochs, args.cells)
        return
    with tempfile.TemporaryDirectory() as above:
        whole, killed = Path(above, "whole"), Path(above, "killed")
        live(whole, args)
        start = time.perf_counter()
        found = kill_again_and_again(killed, args)
        if (killed / "model").read_bytes() != (whole / "model").read_bytes():
            raise SystemExit("the model of the killed fit is another one")
        about = {"benchmark": "kills", "epochs": args.epochs, "cells": args.cells}
        seconds = round(time.perf_counter() - start)
        record(args.results, "cpu", **about, **found, same_bytes=True, seconds=seconds)


def fit(folder: Path, epochs: int, num_cells: int) -> None:
    """One life: fits, telling what it is about to do, and saves the model."""
    rng = np.random.default_rng(0)
    y = np.arange(num_cells) % 4
    X = rng.poisson(rng.gamma(1.0, 1.0, (4, 100))[y]).astype("float32")
    path = np.array([[*range(99)], [*range(1, 100)]])
    graph = GeneGraph([f"g{i}" for i in range(100)], np.hstack([path, path[::-1]]))
    sys.addaudithook(tell_of_checkpoints)
    model = GeneGCNClassifier(
        graph,
        values="counts",
        num_heads=3,
        hidden_channels=(32,),
        batch_size=32,
        max_epochs=epochs,
        patience=epochs,
        device="cpu",
        random_state=0,
        verbose=False,
        trainer_options={"callbacks": [Teller()]},
    )
    model.fit(X, y, checkpoint_dir=folder / "state")
    model.save(folder / "model")


class Teller(Callback):
    """Says when a step and a validation begin and end."""

    def on_train_batch_start(self, *_: Any) -> None:
        """Says so."""
        tell("step")

    def on_train_batch_end(self, *_: Any) -> None:
        """Says so."""
        tell("between")

    def on_validation_start(self, *_: Any) -> None:
        """Says so."""
        tell("validation")

    def on_validation_end(self, *_: Any) -> None:
        """Says so."""
        tell("between")


def tell_of_checkpoints(event: str, args: tuple[Any, ...]) -> None:
    """An audit hook: Python calls it before a file is opened."""
    if event == "open" and str(args[1])[:1] == "x" and ".next.ckpt." in str(args[0]):
        tell("checkpoint")


def tell(what: str) -> None:
    """One line to whoever listens, at once."""
    os.write(1, f"{what}\n".encode())


def live(folder: Path, args: argparse.Namespace) -> None:
    """A life that nobody ends."""
    subprocess.run(words(folder, args), check=True, stdout=subprocess.DEVNULL)


def words(folder: Path, args: argparse.Namespace) -> list[str]:
    """The command of a life."""
    folder.mkdir(exist_ok=True)
    size = ["--epochs", str(args.epochs), "--cells", str(args.cells)]
    return [sys.executable, __file__, "--life", str(folder), *size]


def kill_again_and_again(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Returns where the kills fell, and what they left."""
    rng = random.Random(args.seed)
    steps = -(-args.cells // 32)
    fell: Counter[str] = Counter()
    half_written, there = 0, False
    for number in range(args.kills):
        phase = PHASES[number % len(PHASES)]
        after = rng.randint(1, 2 * steps if phase == "step" else 3)
        fell[kill(words(folder, args), phase, after, rng.uniform(0, DELAY))] += 1
        state = folder / "state"
        half_written += len(list(state.glob(".next.ckpt.*")))
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # that the newest is damaged, say
            found = newest(state, SafeCheckpointIO().load_checkpoint)
        if there and found is None:
            raise SystemExit("a kill left no checkpoint")
        there = found is not None
    live(folder, args)
    return {"kills": sum(fell.values()), "fell_in": dict(fell), "half_written": half_written}


def kill(command: list[str], phase: str, after: int, delay: float) -> str:
    """Kills a life a moment after it has announced the phase so often; returns where it fell."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as life:
        assert life.stdout is not None
        for line in life.stdout:
            after -= line.strip() == phase
            if after == 0:
                time.sleep(delay)
                life.kill()
                break
        else:
            raise SystemExit(f"the fit ended before it could be killed in its {phase}")
        rest = life.stdout.read().split()
    return rest[-1] if rest else phase


if __name__ == "__main__":
    main()
