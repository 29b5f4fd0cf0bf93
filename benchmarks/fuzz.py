"""Feeds damaged and malicious files to every reader and loader, and records what they did.

Whatever the input, only the documented errors may come out, within a second and without much
memory; what is read in spite of it must hold what the reader promises. Seeds are made by code
(``fuzz_seeds.py``) and changed at random (``fuzz_mutation.py``); where ``atheris`` is installed its
coverage of genegraph's own lines guides the changes. Inputs run in chunks, each in a process of its
own and recorded when it is done, so that a run that was ended goes on where it stopped.

    python benchmarks/fuzz.py --inputs 1000000
"""

import argparse
import base64
import gc
import importlib.util
import json
import os
import random
import resource
import signal
import tempfile
import time
import traceback
import warnings
from functools import partial
from pathlib import Path
from typing import Any

try:
    import atheris
except ImportError:
    atheris = None

SECONDS = 1.0  # no input may take longer
HANG = 20  # after so many seconds a chunk is not waited for any longer
GROWTH_MIB = 256  # nor may memory grow by more, beyond what the first inputs needed
ROOM = 3 << 30  # bytes that a chunk may ask for, lest one input takes the whole machine
CHUNK = 25_000  # inputs; a run that was ended loses so many at most
RESULTS = Path(__file__).parent / "results" / "fuzz.jsonl"
WARM_UP = 50


class Slow(BaseException):
    """Raised in a reader that does not come back."""


class Judge:
    """Runs inputs and keeps what was wrong, one example of each kind."""

    def __init__(self, name: str, folder: Path) -> None:
        import common
        import fuzz_targets

        self.peak_mib, self.reset_peak = partial(common.peak_mib, "cpu"), common.reset_peak
        self.target = fuzz_targets.TARGETS[name]
        self.folder = folder
        self.inputs = self.refused = 0
        self.slowest = 0.0
        self.defects: dict[str, str] = {}
        self.before = 0

    def __call__(self, data: bytes) -> None:
        """Runs one input."""
        self.inputs += 1
        seconds = self._time(data)
        if seconds > SECONDS:  # the machine may have been busy: once more
            seconds = min(seconds, self._time(data))
        self.slowest = max(self.slowest, seconds)
        if seconds > SECONDS:
            self._defect(f"slow: {seconds:.1f} s", data)
        if self.inputs == WARM_UP:
            gc.collect()
            self.reset_peak("cpu")
            self.before = self.peak_mib()
        elif self.before and self.growth > GROWTH_MIB:
            self._defect(f"memory grew by {self.growth} MiB", data)
            self.reset_peak("cpu")
            self.before = self.peak_mib()

    @property
    def growth(self) -> int:
        """MiB that the largest moment needed beyond the start."""
        return max(0, self.peak_mib() - self.before) if self.before else 0

    def _time(self, data: bytes) -> float:
        start = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, HANG)
        try:
            self.target.run(data, self.folder)
        except self.target.allowed:
            self.refused += 1
        except (Exception, Slow) as error:
            self._defect(_place(error), data)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return time.perf_counter() - start

    def _defect(self, what: str, data: bytes) -> None:
        if what not in self.defects:
            self.defects[what] = base64.b64encode(data).decode()
            print(f"  {what}", flush=True)

    def result(self) -> dict[str, Any]:
        """What there is to record."""
        return {
            "inputs": self.inputs,
            "refused": self.refused,
            "slowest_ms": round(1000 * self.slowest, 1),
            "growth_mib": self.growth,
            "defects": self.defects,
        }


def _place(error: BaseException) -> str:
    """The error, and the last line of genegraph on its way."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/genegraph/" in frame.filename] or frames[-1:]
    where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
    return f"{type(error).__name__}: {str(error)[:120]} at {where}"


def run_chunk(name: str, inputs: int, seed: int, guided: bool, pipe: int) -> None:
    """Runs one chunk in this process, which ends with it."""

    def too_slow(*_: object) -> None:
        raise Slow(f"no answer within {HANG} s")

    import fuzz_targets

    warnings.simplefilter("error")
    for expected in (UserWarning, FutureWarning, DeprecationWarning):
        warnings.simplefilter("ignore", expected)
    signal.signal(signal.SIGALRM, too_slow)
    room = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    seeds = fuzz_targets.SEEDS[f"{name} inputs"]
    base = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=base) as folder:
        judge = Judge(name, Path(folder))
        start = time.perf_counter()

        def done() -> None:
            answer = {**judge.result(), "seconds": round(time.perf_counter() - start, 1)}
            os.write(pipe, json.dumps(answer).encode())

        for content in seeds:  # whatever the changes do, the seeds themselves are read
            judge(content)
        if guided:
            _guided(judge, seeds, inputs, seed, Path(folder), done)
        else:
            _at_random(judge, seeds, inputs, seed)
            done()


def _changed(judge: Judge, rng: random.Random, seeds: list[bytes]) -> bytes:
    from fuzz_mutation import mutated_bytes, mutated_program

    return (mutated_program if judge.target.program else mutated_bytes)(rng, seeds)


def _at_random(judge: Judge, seeds: list[bytes], inputs: int, seed: int) -> None:
    for number in range(inputs - judge.inputs):
        rng = random.Random((seed << 32) + number)
        judge(_changed(judge, rng, seeds))


def _guided(
    judge: Judge, seeds: list[bytes], inputs: int, seed: int, folder: Path, done: Any
) -> None:
    from fuzz_mutation import MAX_BYTES

    corpus = folder / "corpus"
    corpus.mkdir()
    for number, content in enumerate(seeds):
        (corpus / str(number)).write_bytes(content)

    def one(data: bytes) -> None:
        judge(data)
        if judge.inputs >= inputs:
            done()
            os._exit(0)

    def change(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.5:
            return atheris.Mutate(data, max_size)
        return _changed(judge, rng, [data, *seeds])[:max_size]

    options = [f"-seed={seed + 1}", f"-max_len={MAX_BYTES}", "-runs=-1", "-verbosity=0"]
    options += ["-rss_limit_mb=0", "-timeout=300", "-close_fd_mask=0"]
    atheris.Setup(["fuzz", *options, str(corpus)], one, custom_mutator=change)
    atheris.Fuzz()


def fork_chunk(name: str, inputs: int, seed: int, guided: bool) -> dict[str, Any]:
    """Runs one chunk in a child; what ends the child is a defect like others."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        status = 1
        try:
            run_chunk(name, inputs, seed, guided, writer)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    with open(reader, "rb") as stream:
        answer = stream.read()
    _, status = os.waitpid(child, 0)
    if answer:
        return json.loads(answer)
    died = f"the process ended with {os.waitstatus_to_exitcode(status)}"
    return {"inputs": 0, "refused": 0, "seconds": 0, "defects": {died: ""}}


def _compiled_modules() -> list[str]:
    """What numba compiles, which it cannot once every branch is counted; it reads no files."""
    package = Path(importlib.util.find_spec("genegraph").submodule_search_locations[0])
    return ["genegraph.nn", *(f"genegraph.nn.{path.stem}" for path in package.glob("nn/*.py"))]


def known_chunks(results: Path) -> set[tuple[str, int, int, bool]]:
    """The chunks that an earlier run has recorded."""
    if not results.exists():
        return set()
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    return {(line["target"], line["seed"], line["inputs"], line["guided"]) for line in lines}


def main(arguments: list[str] | None = None) -> int:
    """Runs what the command line asks for; returns the number of defects."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000, help="of all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", help="only this one; all inputs go to it")
    parser.add_argument("--unguided", action="store_true", help="at random, even with atheris")
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args(arguments)
    guided = atheris is not None and not asked.unguided
    if guided:
        with atheris.instrument_imports(include=["genegraph"], exclude=_compiled_modules()):
            import fuzz_targets
    else:
        import fuzz_targets
    from common import record

    targets = fuzz_targets.TARGETS
    if asked.target is not None and asked.target not in targets:
        parser.error(f"--target must be one of {', '.join(targets)}")
    names = [asked.target] if asked.target else list(targets)
    rounds = []
    for name in names:
        total = asked.inputs if asked.target else asked.inputs * targets[name].share // 1000
        sizes = [min(CHUNK, total - first) for first in range(0, total, CHUNK)]
        rounds += [(place, name, size) for place, size in enumerate(sizes)]
    known, defects = known_chunks(asked.results), 0
    for place, name, size in sorted(rounds, key=lambda chunk: chunk[0]):
        seed = asked.seed + place
        if (name, seed, size, guided) in known:
            continue
        if f"{name} inputs" not in fuzz_targets.SEEDS:
            fuzz_targets.SEEDS[f"{name} inputs"] = fuzz_targets.prepare(name)
        found = fork_chunk(name, size, seed, guided)
        defects += len(found["defects"])
        record(asked.results, "cpu", target=name, seed=seed, guided=guided, **found)
    return defects


if __name__ == "__main__":
    raise SystemExit(min(1, main()))
