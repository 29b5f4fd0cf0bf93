import importlib.util
import json
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "read_stringdb.py"


def test_the_benchmark_checks_and_records_every_cut_off(tmp_path):
    spec = importlib.util.spec_from_file_location("benchmark_read_stringdb", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    results = tmp_path / "results.jsonl"
    script.main(["--rows", "2000", "--results", str(results)])
    records = [json.loads(line) for line in results.read_text().splitlines()]
    assert [record["min_score"] for record in records] == [400, 0]
    assert records[1]["pairs"] == 1000
