"""The soak runs, and finds what grows or is left open."""

import json
import threading
from pathlib import Path

import pytest

from genegraph import expression_stored

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "soak.py"


@pytest.fixture
def small(script, monkeypatch, tmp_path):
    monkeypatch.setattr(expression_stored, "WINDOW_BYTES", expression_stored.WINDOW_BYTES)
    results = tmp_path / "soak.jsonl"

    def run():
        script.main(["--fits=2", "--predictions=200", "--threads=1", f"--results={results}"])
        return json.loads(results.read_text())

    return script, run


def test_two_fits_and_two_hundred_predictions_leave_nothing_behind(small):
    _, run = small
    line = run()
    assert (line["fits"], line["predictions"]) == (2, 200)
    assert line["last"]["threads"] <= line["first"]["threads"]
    assert line["last"]["open_files"] <= line["first"]["open_files"]


@pytest.mark.parametrize("what", ["threads", "open_files"])
def test_what_is_left_behind_is_said(small, monkeypatch, what):
    script, run = small
    ended, left = threading.Event(), []

    def leave(*_):
        if what == "open_files":
            left.append(SCRIPT.open())
        else:
            left.append(threading.Thread(target=ended.wait))
            left[-1].start()

    monkeypatch.setattr(script, "one_round", leave)
    try:
        with pytest.raises(SystemExit, match=f"1 {what} were left behind"):
            run()
    finally:
        ended.set()
        for each in left:
            each.close() if what == "open_files" else each.join()


def test_the_slope_is_that_of_the_second_half(script):
    assert script.slope([0, 500, 900, *range(1000, 1030, 10)]) == pytest.approx(10)
    assert script.slope([500, 700, 1000, 1000, 1000, 1000]) == pytest.approx(0)
