"""The table of the write-up: it resumes, it keeps its word about controls, its numbers add up."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SMALL = "--cells 120 --genes 300 --interacting 60 --modules 5 --hidden 5 --types 4 --zeros 0.8"
SMALL += " --seeds 1 --epochs 1"


@pytest.fixture
def scripts(monkeypatch):
    """The benchmark's modules, which import each other by name."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import writeup
    import writeup_fit
    import writeup_priors
    import writeup_rows
    import writeup_table

    class Scripts:
        main, fit, priors = writeup, writeup_fit, writeup_priors
        rows, table = writeup_rows, writeup_table

    return Scripts


@pytest.fixture
def study(scripts, tmp_path):
    """Eight hundred cells; a gene of which the databases know is worth little by itself."""

    def make(graph_signal):
        words = "--cells 800 --genes 3000 --interacting 300 --modules 10 --hidden 0 --types 10"
        words += f" --effect 0.6 --zeros 0.93 --graph-signal {graph_signal}"
        words = ["--data", "simulate", *words.split(), "--studies", str(tmp_path)]
        return scripts.main._simulated(scripts.main._parser().parse_args(words))[1]

    return make


def command(folder, *words):
    words = [*SMALL.split(), "--data", "simulate", *words]
    words += ["--studies", str(folder / "studies"), "--results", str(folder / "results.jsonl")]
    return [sys.executable, str(BENCHMARKS / "writeup.py"), *words]


def lines(folder):
    path = folder / "results.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def without_cost(folder):
    """What the results say of accuracy, in any order; time and memory differ between runs."""
    kept = ("data", "row", "seed", "accuracy", "macro_f1", "epochs", "dead", "energy", "refused")
    return sorted(
        json.dumps({k: v for k, v in json.loads(line).items() if k in kept})
        for line in lines(folder)
    )


@pytest.mark.slow
def test_killed_at_any_moment_it_resumes_and_ends_with_the_same_table(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir(), killed.mkdir()
    subprocess.run(command(whole), check=True, timeout=300, capture_output=True)
    for finished in (1, 7, 23):
        process = subprocess.Popen(
            command(killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while len(lines(killed)) < finished:
            assert process.poll() is None
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        before = lines(killed)
        with (killed / "results.jsonl").open("a") as file:
            file.write('{"data": "simulated 120 x 300", "row": "FC", "acc')  # cut in mid-write
    done = subprocess.run(command(killed), check=True, timeout=300, capture_output=True, text=True)
    assert "the last line was cut short" in done.stdout
    assert lines(killed)[: len(before)] == before  # nothing that was there is run again
    assert without_cost(killed) == without_cost(whole)
    assert len(lines(whole)) == 17 + 20  # 17 rows once, and 20 initial weights
    assert (killed / "writeup-writeup-simulated-120-x-300,-signal-1.png").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("table", ["future", "controls"])
def test_every_row_of_the_other_tables_runs(tmp_path, table):
    done = subprocess.run(
        command(tmp_path, "--table", table), timeout=500, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in lines(tmp_path)]
    refused = [r["row"] for r in results if "refused" in r]
    assert all(0 <= r["accuracy"] <= 1 for r in results if "refused" not in r)
    # Another species shares no name with the cells: an error, not a run.
    assert refused == (["GCN, prior of another species"] if table == "controls" else [])
    assert "0 of the 300 genes of the cells are in" in done.stdout or table == "future"


def run_rows(scripts, study, names, seeds, epochs):
    found = {}
    for row in scripts.rows.CONTROLS:
        if row.name in names:
            runs = [scripts.fit.fit_row(study, row, seed, epochs, "cpu") for seed in range(seeds)]
            found[row.name] = 100 * np.array([run["accuracy"] for run in runs])
    return [found[name] for name in names]


@pytest.mark.slow
@pytest.mark.parametrize("graph_signal", [1, 0])
def test_the_true_prior_beats_the_rewired_one_where_it_is_true_and_only_there(
    scripts, study, graph_signal
):
    names = [scripts.rows.NORMALISED_ALIVE.name, "GCN, rewired prior"]
    true, rewired = run_rows(scripts, study(graph_signal), names, seeds=8, epochs=8)
    mean, low, high = scripts.table.paired_interval(true - rewired)
    if graph_signal == 1:
        assert low > 0, (mean, low, high)
    else:
        assert low <= 0, (mean, low, high)


def test_the_interval_is_nadeaus_and_bengios(scripts):
    d = np.array([1.0, 2.0, 4.0, 5.0])
    mean, low, high = scripts.table.paired_interval(d)
    error = np.sqrt((1 / 4 + 3 / 7) * d.var(ddof=1))
    np.testing.assert_allclose(
        [low, high], mean + np.array([-1, 1]) * stats.t.ppf(0.975, 3) * error
    )
    usual = stats.t.interval(0.95, 3, mean, stats.sem(d))
    assert low < usual[0] < usual[1] < high  # splits share cells: wider than independent runs
    assert np.isnan(scripts.table.paired_interval(d[:1])[1:]).all()


def test_differences_are_taken_seed_by_seed(scripts):
    rows = [scripts.rows.FC, scripts.rows.INDIVIDUAL]
    accuracy = {rows[0].name: [0.5, 0.6, 0.7], rows[1].name: [0.52, 0.63]}
    results = pd.DataFrame(
        [
            {"data": "d", "row": row, "seed": seed, "max_epochs": 3, "accuracy": value,
             "epochs": 3, "seconds_per_epoch": 1.0, "peak_mib": 100, "dead": None}
            for row, values in accuracy.items()
            for seed, value in enumerate(values)
        ]
    )  # fmt: skip
    table = scripts.table.summarise(results, rows, "d", 3)
    assert table.loc[rows[0].name, "accuracy"] == 60
    assert table.loc[rows[1].name, "difference"] == pytest.approx(2.5)
    assert table["runs"].tolist() == [3, 2]


def test_every_row_is_compared_with_one_of_its_table(scripts):
    for rows in scripts.rows.TABLES.values():
        names = [row.name for row in rows]
        assert len(set(names)) == len(names)
        assert {row.against for row in rows} - {""} <= set(names)


def test_a_row_means_the_same_in_every_table(scripts):
    rows = [row for table in scripts.rows.TABLES.values() for row in table]
    assert len({row.name for row in rows}) == len({repr(row) for row in rows})


def test_splits_are_paired_and_hold_out_three_in_ten(scripts, study):
    cells = study(1)
    train, test = cells.split(2)
    assert len(test) == 240
    assert not set(train) & set(test)
    assert all(map(np.array_equal, cells.split(2), (train, test)))
    assert not np.array_equal(cells.split(1)[1], test)
