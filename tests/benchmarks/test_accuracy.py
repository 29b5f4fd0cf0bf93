"""The accuracy benchmark: fair splits, and a page whose numbers add up."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata import AnnData, concat
from scipy import stats
from sklearn.model_selection import StratifiedShuffleSplit

from genegraph import GeneGraph

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def scripts(monkeypatch):
    """The benchmark's modules, which import each other by name."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import accuracy_methods
    import accuracy_sections
    import accuracy_sets

    yield accuracy_sets, accuracy_methods, accuracy_sections
    for name in [n for n in sys.modules if n.startswith(("accuracy", "unseen"))]:
        del sys.modules[name]


def test_test_cells_were_never_scored_while_choosing(scripts):
    sets, _, _ = scripts
    labels = np.repeat(["a", "b", "c"], [200, 100, 20])
    halves = StratifiedShuffleSplit(1, test_size=0.5, random_state=999)
    scored, _ = next(halves.split(labels, labels))
    for split in range(5):
        train, test = sets._split(labels, split, scored=True)
        assert not set(test) & set(scored)
        assert not set(test) & set(train)
        assert len(test) == 96
        assert len(train) + len(test) == 320


def test_so_many_cells_of_each_type(scripts):
    sets, _, _ = scripts
    labels = np.repeat(["a", "b", "c"], [200, 100, 7])
    train = np.arange(0, 307, 2)
    few = sets._few(labels, train, 10, 0)
    assert set(few) <= set(train)
    assert pd.Series(labels[few]).value_counts().to_dict() == {"a": 10, "b": 10, "c": 4}


class Library:
    """300 cells in place of the files."""

    def cells(self, name):
        cells = AnnData(np.random.default_rng(0).poisson(2, (300, 20)).astype("float32"))
        cells.obs["cell_type"] = np.repeat(["a", "b"], 150)
        return cells

    def graph(self, species, genes):
        return None


def test_cells_without_labels_are_neither_tested_nor_labelled(scripts):
    sets, _, _ = scripts
    case = sets.cases(Library(), "pbmc3k", "10 per type", 0)
    parts = [set(part.obs_names) for part in (case.train, case.test, case.others)]
    assert [len(part) for part in parts] == [20, 90, 190]
    assert len(set.union(*parts)) == 300
    assert list(case.others.obs.columns) == []
    assert sets.cases(Library(), "pbmc3k", "all reads", 0).others is None


def test_a_deep_reference_is_of_the_same_cells_and_names_the_same(scripts):
    sets, _, _ = scripts
    deep, shallow = (
        sets.cases(Library(), "pbmc3k", f"5 % of reads{more}", 1)
        for more in (", reference of all", "")
    )
    assert list(deep.train.obs_names) == list(shallow.train.obs_names)
    np.testing.assert_array_equal(deep.test.X.toarray(), shallow.test.X.toarray())
    whole = Library().cells("pbmc3k")[deep.train.obs_names]
    np.testing.assert_array_equal(deep.train.X.toarray(), whole.X)
    due = list(sets.due(list(sets.DEEPER), list(sets.SETS)))
    assert len(due) == 2 * 4 * 5  # conditions, data sets with counts, splits


def test_thinning_keeps_a_share_of_the_reads(scripts):
    sets, _, _ = scripts
    counts = np.random.default_rng(0).poisson(3, (200, 50)).astype("float32")
    thinned = sets.thin(AnnData(counts), 0.2).X.toarray()
    assert (thinned <= counts).all()
    assert thinned.sum() / counts.sum() == pytest.approx(0.2, abs=0.01)


def test_the_tables_of_unseen_cells(scripts, monkeypatch):
    """Genes by cells, and their labels; what is no count is told as logarithms."""
    import unseen_cells

    def values(numbers):
        table = pd.DataFrame(numbers, ["g1", "g2"], [f"c{i}" for i in range(24)])
        return table.to_csv().encode()

    labels = ["a"] * 12 + ["b"] * 9 + ["Unknown"] * 3
    files = {
        "Li_Data.csv": values(np.tile([[0.0], [2.5]], 24)),
        "Baron_H1_Data.csv": values(np.tile([[3], [7]], 24)),
    }
    files |= dict.fromkeys(
        ("Li_Labels.csv", "Baron_H1_Labels.csv"), pd.DataFrame({"x": labels}).to_csv().encode()
    )
    monkeypatch.setattr(unseen_cells, "_read", lambda package, name: files[name.split("/")[-1]])
    logarithms = unseen_cells.read_unseen("cell_lines")
    assert logarithms.obs["cell_type"].tolist() == ["a"] * 12  # b has nine cells
    np.testing.assert_allclose(logarithms.X.toarray(), [[0, np.log1p(1e4)]] * 12, rtol=1e-6)
    donor = unseen_cells.one_donor()
    assert donor.shape == (24, 2)
    np.testing.assert_array_equal(donor.X.toarray(), [[3, 7]] * 24)
    assert list(donor.var_names) == ["g1", "g2"]
    assert donor.obs["cell_type"].tolist() == labels


def test_another_donor_is_named_by_the_types_that_the_reference_knows(scripts, monkeypatch):
    sets, _, _ = scripts

    def donor(name, labels):
        cells = AnnData(np.ones((len(labels), 3), dtype=np.float32))
        cells.obs_names = [f"{name}_{i}" for i in range(len(labels))]
        cells.obs["cell_type"], cells.obs["batch"] = labels, name
        return cells

    monkeypatch.setattr(sets, "one_donor", lambda: donor("other", ["a"] * 20 + ["b"] * 10))
    library = Library()
    library.cells = lambda name: concat(
        [donor("human1", ["a", "b"] * 5), donor("human2", list("aac" * 5))]
    )
    to_one = sets.transfer(library, "three donors to one", 0)
    assert set(to_one.train.obs["batch"]) == {"human2"}
    assert to_one.train.n_obs == 12  # 80 %
    assert to_one.test.obs["cell_type"].tolist() == ["a"] * 20  # nothing told of b
    to_three = sets.transfer(library, "one donor to three", 0)
    assert set(to_three.train.obs["batch"]) == {"other"}
    assert to_three.train.n_obs == 24
    assert to_three.test.obs["cell_type"].tolist() == ["a"] * 10
    assert to_three.key["condition"] == "another donor"
    due = list(sets.due(["another donor", "5 % of reads"], list(sets.UNSEEN)))
    assert len(due) == 5 * (2 + 4)


@pytest.mark.skipif(not DATA.exists(), reason="the real cells are not there")
def test_labels_of_transfers_exist_in_the_data(scripts):
    sets, _, _ = scripts
    from anndata import read_h5ad

    for role in ("source", "target"):
        for name, part in sets.LABELS.groupby(role):
            known = set(read_h5ad(DATA / "cells" / f"{name}.h5ad").obs["cell_type"].astype(str))
            assert set(part[f"{role}_label"].dropna()) <= known


def test_linear_models_name_easy_cells(scripts):
    sets, methods, _ = scripts
    rng = np.random.default_rng(0)
    rate = np.ones((120, 30))
    rate[:60, :10] = 8
    rate[60:, 10:20] = 8
    cells = AnnData(rng.poisson(rate).astype("float32"))
    cells.obs["cell_type"] = np.repeat(["a", "b"], 60)
    case = sets.Case({}, cells[::2].copy(), cells[1::2].copy(), None, "counts")
    for name in ("logistic regression", "linear SVM", "kNN on PCA", "random forest"):
        named = methods.METHODS[name](case, 0)
        assert (named.labels == case.test.obs["cell_type"]).mean() > 0.95


def test_the_same_correction_for_logistic_regression(scripts):
    sets, methods, _ = scripts
    rng = np.random.default_rng(0)
    y = rng.choice(3, 400, p=[0.6, 0.3, 0.1])
    rate = np.ones((400, 12))
    for k in range(3):
        rate[y == k, 4 * k : 4 * (k + 1)] = 10
    rate[200:] *= np.repeat([0.3, 3, 3], 4)
    cells = AnnData(rng.poisson(rate).astype("float32"))
    cells.obs["cell_type"] = np.array(["a", "b", "c"])[y]
    case = sets.Case({}, cells[:200].copy(), cells[200:].copy(), None, "counts")
    plain, adapted = (
        methods.METHODS[f"logistic regression{more}"](case, 0) for more in ("", ", adapted")
    )
    right = [(named.labels == case.test.obs["cell_type"]).mean() for named in (plain, adapted)]
    assert right[0] + 0.03 < right[1]


def rows(table):
    """Result lines from ``{(data, split, method): accuracy}``."""
    return pd.DataFrame(
        [
            {"data": d, "split": s, "method": m, "condition": "all reads", "accuracy": a}
            for (d, s, m), a in table.items()
        ]
    )


def test_the_interval_is_students_on_one_data_set(scripts):
    import accuracy_pairs as page

    values = np.array([1.0, 2.0, 4.0, 3.0, 2.5])
    index = pd.MultiIndex.from_product([["x"], range(5)], names=["data", "split"])
    mean, low, high = page.interval(pd.Series(values, index))
    expected = stats.t.interval(0.95, 4, loc=values.mean(), scale=stats.sem(values))
    assert (mean, low, high) == pytest.approx((2.5, *expected))


def test_data_sets_count_the_same_whatever_their_splits(scripts):
    import accuracy_pairs as page

    index = pd.MultiIndex.from_tuples(
        [("x", 0), ("x", 1), ("y", 0), ("y", 1), ("y", 2), ("y", 3)], names=["data", "split"]
    )
    mean, _, _ = page.interval(pd.Series([1.0, 1.0, 3.0, 3.0, 3.0, 3.0], index))
    assert mean == 2.0


def test_the_better_linear_model_is_compared_on_each_data_set(scripts):
    import accuracy_pairs as page

    _, methods, _ = scripts
    regression, machine = methods.LINEAR
    table = rows(
        {
            ("x", 0, regression): 80, ("x", 1, regression): 82, ("x", 0, machine): 79,
            ("x", 1, machine): 81, ("y", 0, regression): 60, ("y", 0, machine): 65,
            ("x", 0, methods.OURS): 85, ("x", 1, methods.OURS): 85, ("y", 0, methods.OURS): 66,
        }
    )  # fmt: skip
    difference = page.against_linear(table, "all reads", methods.OURS, "accuracy")
    assert difference.to_dict() == {("x", 0): 5, ("x", 1): 3, ("y", 0): 1}


def test_the_page_is_written_from_the_results(scripts, tmp_path, capsys):
    import accuracy_table as page

    _, methods, _ = scripts
    lines = []
    for split in range(3):
        for method, accuracy in zip(
            methods.MAIN, (0.8, 0.79, 0.85, 0.845, 0.84, 0.83), strict=True
        ):
            lines.append(
                {
                    "data": "pbmc3k", "condition": "all reads", "split": split, "method": method,
                    "accuracy": accuracy + split / 100, "macro_f1": accuracy, "seconds": 2.0,
                    "confidence_per_mille": [900, 800], "right": "01", "device": "a machine",
                    "versions": {"genegraph": "0"},
                }
            )  # fmt: skip
    lines.append({**lines[0], "method": "CellTypist", "accuracy": 0.7, "macro_f1": 0.6})
    results = tmp_path / "r.jsonl"
    results.write_text("\n".join(map(json.dumps, lines)))
    page.main(["--results", str(results), "--page", str(tmp_path / "page.md")])
    text = (tmp_path / "page.md").read_text()
    assert "| **gene GCN** | 86.0 / 85.0 |" in text
    assert "| CellTypist | 70.0 / 60.0 (1 of 3) |" in text
    assert "| all reads | +5.00 (+5.00 to +5.00) | +5.00 (+5.00 to +5.00) |" in text
    assert "| all reads | pbmc3k | +0.50 (+0.50 to +0.50) | +1.50 (+1.50 to +1.50) |" in text


def test_the_page_of_unseen_cells_pools_over_all_of_them(scripts, tmp_path):
    import unseen_table as page

    _, methods, _ = scripts
    lines = [
        {
            "data": data, "condition": "5 % of reads", "split": split, "method": method,
            "accuracy": (accuracy + split) / 100, "macro_f1": accuracy / 100,
            "confidence_per_mille": [900, 800], "right": "01", "device": "a machine",
            "versions": {"genegraph": "0"},
        }
        for data, ours in (("pancreas_human", 75), ("cortex_mouse", 85))
        for method, accuracy in zip(
            (*methods.LINEAR, methods.HEADS, methods.OURS), (70, 72, 73, ours), strict=True
        )
        for split in range(2)
    ]  # fmt: skip
    results = tmp_path / "r.jsonl"
    results.write_text("\n".join(map(json.dumps, lines)))
    page.main(["--results", str(results), "--page", str(tmp_path / "page.md")])
    text = (tmp_path / "page.md").read_text()
    where, linear = "5 % of reads (2 data sets)", "70.5 / 70.0 | 72.5 / 72.0"
    assert f"| {where} | {linear} | 73.5 / 73.0 | **80.5 / 80.0** |" in text
    assert "| 5 % of reads | +1.00 (+1.00 to +1.00) |" in text
    assert "+8.00 (+8.00 to +8.00) / +8.00 (+8.00 to +8.00) |" in text
    assert "another donor" not in text.partition("## In short")[2]


def test_a_result_that_was_written_twice_is_refused(scripts, tmp_path):
    import accuracy_table as page

    line = {"data": "pbmc3k", "condition": "all reads", "split": 1, "method": "linear SVM"}
    line |= {"accuracy": 0.8, "macro_f1": 0.7}
    results = tmp_path / "r.jsonl"
    results.write_text("\n".join(map(json.dumps, [line, {**line, "accuracy": 0.9}])))
    with pytest.raises(ValueError, match="got 1 more, such as pbmc3k / all reads / 1 / linear SVM"):
        page.main(["--results", str(results), "--page", str(tmp_path / "page.md")])
    assert not (tmp_path / "page.md").exists()


def test_an_ablation_is_pooled_over_data_sets(scripts):
    _, methods, page = scripts
    accuracy = {methods.HEADS: (80.0, 90.0), "one view": (79.0, 87.0)}
    rows = [
        {"data": data, "condition": "all reads", "split": split, "method": method,
         "accuracy": value, "macro_f1": value}
        for method, values in accuracy.items()
        for data, value in zip(("pbmc3k", "zheng_facs_pbmc"), values, strict=True)
        for split in range(3)
    ]  # fmt: skip
    table = page.ablations(pd.DataFrame(rows))
    assert "| one view | all reads | pbmc3k | +1.00 (+1.00 to +1.00) |" in table
    assert "| one view | all reads | **pooled** | +2.00 (+2.00 to +2.00) |" in table


def test_what_the_discriminant_adds(scripts):
    _, methods, page = scripts
    accuracy = {methods.HEADS: 80.0, methods.OURS: 81.5}
    table = pd.DataFrame(
        {"data": name, "condition": "transfer", "split": split, "method": method,
         "accuracy": found + split, "macro_f1": found}
        for name in ("a to b", "b to c") for method, found in accuracy.items() for split in range(3)
    )  # fmt: skip
    text = page.beside_discriminant(table)
    assert "| transfer | b to c | +1.50 (+1.50 to +1.50) | +1.50 (+1.50 to +1.50) |" in text
    assert "| transfer | **pooled** | +1.50 (+1.50 to +1.50) |" in text
    assert page.beside_discriminant(table[table["method"] == methods.OURS]) == ""


def test_what_adapting_adds(scripts):
    _, methods, page = scripts
    accuracy = {methods.HEADS: 80.0, "logistic regression, adapted": 79.0, methods.ADAPTED: 83.0}
    accuracy[methods.QUERY] = 84.5
    deep = {"condition": "5 % of reads, reference of all"}
    table = pd.DataFrame(
        {"data": "pbmc3k", "split": split, "method": method, "accuracy": found + split,
         "macro_f1": found, **where}
        for method, found in accuracy.items() for split in range(3)
        for where in ({"condition": "transfer"}, deep)
    )  # fmt: skip
    same = table[(table["method"] == methods.HEADS) & (table["condition"] != "transfer")]
    same = same.assign(condition="5 % of reads", accuracy=same["accuracy"] + 2)
    text = page.adapted(pd.concat([table, same]))
    assert "| heads alone | transfer | pbmc3k | +3.00 (+3.00 to +3.00) |" in text
    assert "| logistic regression, adapted | 5 % of reads, reference of all | pbmc3k | +4" in text
    assert (
        "| heads alone, learned at that depth | 5 % of reads, reference of all | pbmc3k | +1"
        in text
    )
    assert methods.QUERY not in text
    assert page.adapted(table[table["method"] != methods.ADAPTED]) == ""
    text = page.query_learned(pd.concat([table, same]))
    assert "| heads alone, adapted | transfer | pbmc3k | +1.50 (+1.50 to +1.50) |" in text
    assert (
        "| heads alone, learned at that depth | 5 % of reads, reference of all | pbmc3k | +2.5"
        in text
    )
    assert page.query_learned(table[table["method"] != methods.QUERY]) == ""
    assert not {"adapted", "query"} & set(page.against_others(table).replace(",", "").split())


def test_what_thinning_adds(scripts):
    _, methods, page = scripts
    names = [methods.HEADS, methods.THINNED, "logistic regression, thinned to the query"]
    deep = {"condition": "5 % of reads, reference of all"}
    table = pd.DataFrame(
        {"data": "pbmc3k", "split": split, "method": method, "accuracy": found + split,
         "macro_f1": found, **where}
        for where, accuracy in (
            (deep, dict(zip(names, (60, 85, 82), strict=True))),
            ({"condition": "5 % of reads"}, {methods.HEADS: 81.0, methods.LINEAR[0]: 79.5}),
            ({"condition": "all reads"}, {methods.HEADS: 90.0, methods.ANY_DEPTH: 89.0}),
        )
        for method, found in accuracy.items() for split in range(3)
    )  # fmt: skip
    text = page.thinned(table)
    where = "5 % of reads, reference of all | pbmc3k"
    assert f"| heads alone | {where} | +25.00 (+25.00 to +25.00) |" in text
    assert f"| logistic regression, thinned to the query | {where} | +3.00 " in text
    assert f"| heads alone, learned at that depth | {where} | +4.00 " in text
    assert f"| logistic regression, learned at that depth | {where} | +5.50 " in text
    assert "| heads alone | all reads | **pooled** | -1.00 " in text
    assert page.thinned(table[table["method"] != methods.THINNED]) == ""


def test_unlabelled_cells_have_a_table_of_their_own(scripts):
    _, methods, page = scripts
    accuracy = dict.fromkeys(methods.MAIN, 80.0)
    accuracy |= dict.fromkeys(methods.SEMI, 82.0) | {methods.UNLABELED: 85.0}
    table = pd.DataFrame(
        {"data": "pbmc3k", "condition": "10 per type", "split": split, "method": method,
         "accuracy": found + split, "macro_f1": found}
        for method, found in accuracy.items() for split in range(3)
    )  # fmt: skip
    text = page.learned_unlabeled(table)
    assert "| 10 per type | the better linear model | +5.00 (+5.00 to +5.00) | +5.00" in text
    assert "| 10 per type | label spreading | +3.00 (+3.00 to +3.00) |" in text
    assert page.learned_unlabeled(table[table["method"] != methods.UNLABELED]) == ""
    assert "spreading" not in page.against_others(table)


@pytest.fixture
def swapped(scripts):
    """Two comparisons that differ in all test cells but the first fifteen, and in their labels."""
    sets, _, _ = scripts
    rng = np.random.default_rng(0)
    rate = np.ones((90, 40))
    rate[::2, :10] = 6
    rate[1::2, 10:20] = 6
    cells = AnnData(rng.poisson(rate).astype("float32"))
    cells.var_names = [f"g{i}" for i in range(40)]
    cells.obs["cell_type"] = np.array(["a", "b"] * 45)
    path = np.array([[*range(39)], [*range(1, 40)]])
    graph = GeneGraph(list(cells.var_names), np.hstack([path, path[::-1]]))
    train, test = cells[:60].copy(), cells[60:].copy()
    others = cells[1:60:3].copy()
    others.obs = others.obs[[]]
    garbage = test.copy()
    garbage.X[15:] = rng.poisson(1e5, (15, 40)) * (np.arange(40) > 30)
    garbage.obs["cell_type"] = rng.permutation(test.obs["cell_type"].to_numpy())
    return [sets.Case({}, train, part, graph, "counts", others) for part in (test, garbage)]


def told_of_the_first_fifteen(method, case):
    named = method(case, 0)
    parts = [np.asarray(part)[:15] for part in named if part is not None]
    assert len(np.unique(parts[0])) == 2
    return [part.tobytes() for part in parts]


FAST = [
    "logistic regression", "linear SVM", "CellTypist", "kNN on PCA", "random forest",
    "boosting on PCA", "ChebConv (sigGCN)", "SAGE, learned edges (scGraph)", "GATv2Conv",
    "fully connected, write-up", "gene GCN", "heads alone", "heads alone, no graph",
    "heads alone, rewired graph", "logistic regression, self-trained", "label spreading",
    "heads alone, unlabelled cells too", "heads alone, no graph, unlabelled cells too",
]  # fmt: skip


READING = [
    "logistic regression, adapted", "heads alone, adapted", "heads alone, no graph, adapted",
    "heads alone, query learned too",
]  # fmt: skip


THINNING = [
    "logistic regression, thinned to the query", "heads alone, thinned to the query",
    "heads alone, no graph, thinned to the query", "heads alone, thinned to any depth",
]  # fmt: skip


def test_no_method_is_left_out_of_the_next_tests(scripts):
    _, methods, _ = scripts
    assert set(READING) == set(methods.ADAPTING)
    assert set(THINNING) == set(methods.THINNING)
    assert {*FAST, *READING, *THINNING} == set(methods.METHODS) - set(methods.ABLATIONS)


@pytest.mark.parametrize("method", FAST)
def test_no_method_learns_from_test_cells(scripts, swapped, method):
    _, methods, _ = scripts
    if method == "CellTypist":
        pytest.importorskip("celltypist")
    ours, theirs = (told_of_the_first_fifteen(methods.METHODS[method], case) for case in swapped)
    assert ours == theirs


@pytest.mark.parametrize("method", READING)
def test_what_adapts_reads_test_cells_and_not_their_labels(scripts, swapped, method):
    _, methods, _ = scripts
    case, garbage = swapped
    lied = replace(case, test=case.test.copy())
    lied.test.obs["cell_type"] = garbage.test.obs["cell_type"].to_numpy()
    told = [told_of_the_first_fifteen(methods.METHODS[method], c) for c in (case, lied, garbage)]
    assert told[0] == told[1] != told[2]


@pytest.mark.parametrize("method", THINNING)
def test_what_thins_knows_how_deep_the_query_is_and_nothing_else(scripts, swapped, method):
    _, methods, _ = scripts
    case = replace(swapped[0], test=swapped[0].test.copy())
    rng = np.random.default_rng(1)
    case.test.X = rng.binomial(case.test.X.astype(int), 0.4).astype("float32")
    lied = replace(case, test=case.test.copy())
    lied.test.obs["cell_type"] = rng.permutation(case.test.obs["cell_type"].to_numpy())
    lied.test.X[15:] = rng.permuted(case.test.X[15:], axis=1)  # as many reads of other genes
    told = [told_of_the_first_fifteen(methods.METHODS[method], each) for each in (case, lied)]
    assert told[0] == told[1]
    deep = replace(case, test=case.test.copy())
    deep.test.X[15:] *= 2
    again = told_of_the_first_fifteen(methods.METHODS[method], deep)
    assert (again == told[0]) == (method == methods.ANY_DEPTH)


def test_a_method_that_learns_from_test_cells_is_found(scripts, swapped, monkeypatch):
    _, methods, _ = scripts

    def leaky(case, number=0):
        train, test = (methods.logarithms(part, case.values) for part in (case.train, case.test))
        mean = np.concatenate([train.toarray(), test.toarray()]).mean(0)
        return train - mean, test - mean

    monkeypatch.setattr(methods, "_features", lambda case: [sp.csr_matrix(p) for p in leaky(case)])
    method = methods.METHODS["logistic regression"]
    assert told_of_the_first_fifteen(method, swapped[0]) != told_of_the_first_fifteen(
        method, swapped[1]
    )
