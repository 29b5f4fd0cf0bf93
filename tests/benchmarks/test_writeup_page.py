"""The page of claims says what the results say, and stands as its script would write it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "writeup.jsonl"


@pytest.fixture
def page(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import writeup_page

    return writeup_page


def write_results(page, path, accuracy_of):
    """Three seeds of every row of every table; a small jitter, so that intervals are narrow."""
    rng = np.random.default_rng(0)
    machine = {"device": "a machine", "cores": 2, "threads": 2, "versions": {"torch": "1"}}
    rows = {row.name: row for table in page.TABLES.values() for row in table}
    with path.open("w") as file:
        for row in rows.values():
            for seed in range(row.one_split or 3):
                result = {"data": "some cells", "row": row.name, "seed": seed, "max_epochs": 20}
                if row.prior == "prior of another species":
                    result["refused"] = "0 of the 9 genes are in it. Try another."
                else:
                    result |= {
                        "accuracy": accuracy_of(row.name) + 1e-4 * rng.normal(),
                        "epochs": 20,
                        "seconds_per_epoch": 1.0,
                        "peak_mib": 900,
                        "edges": 17_000,
                        "genes_matched": None if row.prior == "none" else 1_800,
                        "dead": seed == 0 if row.name.startswith("GCN") else None,
                        "energy": [0.9, 0.5, 0.4, 0.3, 0.3] if "4 layers" in row.name else [],
                    }
                file.write(json.dumps({**result, **machine}) + "\n")


def test_every_place_is_filled_and_every_picture_drawn(page, tmp_path):
    write_results(page, tmp_path / "r.jsonl", lambda row: 0.5)
    page.main(["--results", str(tmp_path / "r.jsonl"), "--docs", str(tmp_path / "docs")])
    text = (tmp_path / "docs" / "writeup.md").read_text()
    assert "{" not in text
    assert "nan" not in text
    assert "refused: 0 of the 9 genes are in it" in text
    assert "| some cells | rewired prior | 1,800 | 17,000 |" in text
    pictures = {line.split("(")[-1].rstrip(")") for line in text.splitlines() if "![" in line}
    assert len(pictures) == 4
    assert all((tmp_path / "docs" / name).stat().st_size > 10_000 for name in pictures)


def test_verdicts_follow_the_intervals(page, tmp_path):
    better = {"GCN, normalised graph": 0.6, "FC, autoencoder, fine-tuned": 0.6}
    write_results(page, tmp_path / "r.jsonl", lambda row: better.get(row, 0.5))
    results = page.read_results(tmp_path / "r.jsonl")
    prior, coder = page.claims(results, "prior"), page.claims(results, "autoencoder")
    first = prior.splitlines()[2]
    found = re.search(r"against the individual graph \| some cells \| \+0.74 \| \+([0-9.]+)", first)
    assert float(found[1]) == pytest.approx(10, abs=0.1)
    assert first.endswith("| 3 | holds |")
    assert coder.splitlines()[2].endswith("| does **not** hold |")
    assert coder.splitlines()[3].endswith("| within noise |")
    summary = dict(re.findall(r"\*\*(.*)\*\* \((\d+) of 15", page.short(results)))
    assert summary["Does not hold, on some cells at least"] == "1"
    assert int(summary["Holds wherever it was measured"]) >= 2


def test_one_pair_alone_is_no_verdict(page, tmp_path):
    write_results(page, tmp_path / "r.jsonl", lambda row: 0.5)
    results = page.read_results(tmp_path / "r.jsonl").query("seed == 0")
    answer = page.claims(results, "residual")
    assert answer.endswith("| 1 | one pair only |")
    assert "comparisons):" not in page.short(results)
    (tmp_path / "figures").mkdir()
    assert "nan" not in answer + page.tables(results, "future", tmp_path)


def test_dead_layers_are_counted(page, tmp_path):
    write_results(page, tmp_path / "r.jsonl", lambda row: 0.5)
    counted = page.dead(page.read_results(tmp_path / "r.jsonl"))
    assert "| GCN, individual graph alone | 1 of 3 |" in counted
    assert "FC" not in counted.replace("| FC, ", "")


def test_the_committed_page_is_the_one_its_script_writes(page, tmp_path):
    page.main(["--results", str(RESULTS), "--docs", str(tmp_path)])
    assert (tmp_path / "writeup.md").read_text() == (ROOT / "docs" / "writeup.md").read_text()
    for picture in (tmp_path / "figures").iterdir():
        assert (ROOT / "docs" / "figures" / picture.name).exists()
