"""The fuzzing script runs all targets, finds nothing, goes on where it stopped; and it can find."""

import base64
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fuzz.py"


def run(script, results, *arguments):
    defects = script.main(["--results", str(results), "--unguided", *arguments])
    return defects, [json.loads(line) for line in results.read_text().splitlines()]


@pytest.mark.slow
def test_a_thousand_inputs_find_nothing_in_any_reader(script, tmp_path):
    defects, lines = run(script, tmp_path / "r.jsonl", "--inputs", "1000", "--seed", "5")
    assert defects == 0, [line["defects"] for line in lines if line["defects"]]
    import fuzz_targets

    assert [line["target"] for line in lines] == list(fuzz_targets.TARGETS)
    assert sum(target.share for target in fuzz_targets.TARGETS.values()) == 1000
    assert sum(line["inputs"] for line in lines) == 1000
    # Some inputs are refused and some are read: fuzzing that never gets past the door is none.
    assert all(0 < line["refused"] < line["inputs"] for line in lines)


def test_a_run_that_was_ended_goes_on_where_it_stopped(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "CHUNK", 30)
    results = tmp_path / "r.jsonl"
    _, lines = run(script, results, "--target", "record", "--inputs", "30")
    assert [(line["seed"], line["inputs"]) for line in lines] == [(0, 30)]
    _, lines = run(script, results, "--target", "record", "--inputs", "70")
    assert [(line["seed"], line["inputs"]) for line in lines] == [(0, 30), (1, 30), (2, 10)]


BROKEN = {
    "an error of another kind": ("raise KeyError('oops')", "KeyError: 'oops' at"),
    "a promise broken": ("assert False, 'a pair twice'", "AssertionError: a pair twice"),
    "a warning of numpy": (
        "import numpy; numpy.float32(1) / numpy.zeros(1)",
        "RuntimeWarning: div",
    ),
    "slow": ("import time; time.sleep(0.2)", "slow: 0.2 s"),
    "endless": ("while True: pass", "Slow: no answer within 1 s"),
    "large": ("x = bytearray(200 << 20)", "memory grew by"),
    "larger than the machine": ("x = bytearray(1 << 40)", "MemoryError"),
    "the end of the process": ("import os; os.kill(os.getpid(), 11)", "the process ended with -11"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_kind_of_defect_is_found_and_its_input_kept(script, tmp_path, monkeypatch, name):
    code, found = BROKEN[name]
    import fuzz_targets

    def broken(content, folder):
        exec(code, {})

    monkeypatch.setattr(script, "SECONDS", 0.1 if name == "slow" else 5)
    monkeypatch.setattr(script, "HANG", 1)
    monkeypatch.setattr(script, "GROWTH_MIB", 100)
    monkeypatch.setattr(script, "WARM_UP", 1)
    target = fuzz_targets.TARGETS["record"]._replace(run=broken)
    monkeypatch.setitem(fuzz_targets.TARGETS, "record", target)
    if name == "large":  # only after the first, whose memory is what is needed anyway
        seen = []
        monkeypatch.setitem(
            fuzz_targets.TARGETS,
            "record",
            target._replace(run=lambda *_: exec(code, {}) if seen else seen.append(1)),
        )
    arguments = ["--target", "record", "--inputs", "3"]
    defects, lines = run(script, tmp_path / "r.jsonl", *arguments)
    assert defects >= 1
    messages = lines[0]["defects"]
    assert any(what.startswith(found) for what in messages), messages
    if not found.startswith("the process"):
        assert all(base64.b64decode(data) for data in messages.values())
