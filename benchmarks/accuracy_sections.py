"""The parts of the pages about accuracy, each from the rows of ``accuracy.py``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from accuracy_methods import (
    ABLATIONS,
    ADAPTED,
    ADAPTING,
    ANY_DEPTH,
    HEADS,
    LINEAR,
    METHODS,
    NONE,
    OURS,
    QUERY,
    REWIRED,
    SEMI,
    THINNED,
    THINNING,
    UNLABELED,
)
from accuracy_pairs import MEASURES, against_linear, as_text, minus, paired
from accuracy_sets import DEEPER, DONORS, FEW, SETS, SHARES, TRANSFERS, UNSEEN

from genegraph.reliability import Reliability

CORRECTED = (THINNED, ANY_DEPTH)
"""Whose calibration is told too."""
WHOLE = ("zheng_facs_pbmc", "pbmc3k", "mouse_immune_actinn", "pancreas_human", "pancreas_mouse")
"""Counts of the whole transcriptome; other count data hold chosen genes."""
NUMERALS = {3: "three", 4: "four", 5: "five", 6: "six"}
MOVED = ("transfer", "another donor")
"""The query is of another experiment."""


def summary(rows: pd.DataFrame, methods: Sequence[str]) -> str:
    """One line a condition: means over the data sets, each counting the same; ours is last."""
    compared = [method for method in (HEADS, OURS) if method in methods]
    lines = [
        "## In short",
        "",
        f"Means over data sets, of the splits that all {NUMERALS[len(methods)]} have; paired "
        "differences, of the splits that both have.",
        "",
        f"| condition | {' | '.join(methods)} | "
        + " | ".join(f"{method} minus the better linear model" for method in compared)
        + " |",
        "|---" * (len(methods) + len(compared) + 1) + "|",
    ]
    for condition in [*SHARES, *FEW, *MOVED]:
        part = rows[(rows["condition"] == condition) & rows["method"].isin(methods)]
        tables = [
            part.pivot_table(index=["data", "split"], columns="method", values=measure)
            for measure in MEASURES
        ]
        if not set(methods) <= set(tables[0]):
            continue
        means = [table.dropna().groupby("data").mean().mean() for table in tables]
        cells = [" / ".join(f"{mean[method]:.1f}" for mean in means) for method in methods]
        cells[-1] = f"**{cells[-1]}**"
        told = [
            " / ".join(
                as_text(against_linear(rows, condition, method, measure)) for measure in MEASURES
            )
            for method in compared
        ]
        sets = part["data"].nunique()
        name = f"{condition} ({sets} {'transfers' if condition in MOVED else 'data sets'})"
        lines.append(f"| {name} | {' | '.join([*cells, *told])} |")
    return "\n".join(lines)


def by_condition(rows: pd.DataFrame, condition: str) -> str:
    """One table: methods by data sets."""
    part = rows[rows["condition"] == condition]
    if part.empty:
        return ""
    found = set(part["data"])
    names = [n for n in (*SETS, *TRANSFERS, *UNSEEN, *DONORS) if n in found]
    lines = [
        f"## {condition[0].upper()}{condition[1:]}",
        "| | " + " | ".join(_title(part, name) for name in names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for method in [m for m in METHODS if m in set(part["method"]) and m not in ABLATIONS]:
        cells = [_mean(part, name, method) for name in names]
        label = f"**{method}**" if method == OURS else method
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join([lines[0], "", *lines[1:]])


def _title(part: pd.DataFrame, name: str) -> str:
    splits = part[(part["data"] == name) & (part["method"] == HEADS)]["split"].nunique()
    return f"{name} ({splits} splits)"


def _mean(part: pd.DataFrame, name: str, method: str) -> str:
    """Mean over the splits, and their number where our method has more: those are not paired."""
    here = part[part["data"] == name]
    one = here[here["method"] == method]
    if one.empty:
        return ""
    told = " / ".join(f"{one[measure].mean():.1f}" for measure in MEASURES)
    count, due = one["split"].nunique(), here[here["method"] == HEADS]["split"].nunique()
    return told if count >= due else f"{told} ({count} of {due})"


def verdicts(rows: pd.DataFrame, method: str = OURS) -> str:
    """A method minus the better linear model, by condition."""
    lines = [
        f"## Against the best linear model{'' if method == OURS else f', {method}'}",
        "",
        f"{method} minus the better of logistic regression and linear SVM on each data set, "
        "chosen with hindsight.",
        "",
        "| condition | accuracy | macro-F1 | worst data set, accuracy | worst data set, macro-F1 |",
        "|---|---|---|---|---|",
    ]
    for condition in [*SHARES, *FEW, *MOVED]:
        told, worst = [], []
        for measure in MEASURES:
            difference = against_linear(rows, condition, method, measure)
            told.append(as_text(difference))
            means = difference.groupby("data").mean() if len(difference) else pd.Series(dtype=float)
            worst.append(f"{means.min():+.2f} {means.idxmin()}" if len(means) else "")
        if any(told):
            lines.append(f"| {condition} | {' | '.join(told)} | {' | '.join(worst)} |")
    return "\n".join(lines)


def learned_unlabeled(rows: pd.DataFrame) -> str:
    """What cells without labels are worth, to us and to others."""
    part = rows[rows["method"] == UNLABELED]
    if part.empty:
        return ""
    lines = [
        "## Learning from unlabelled cells too",
        "",
        f"{UNLABELED} minus the method. Where few cells of each type are labelled, the other "
        "cells that are not tested are there without their labels; test cells are not among them. "
        "Linear models and the default do not read them; logistic regression, self-trained, and "
        "label spreading (both scikit-learn's; genes chosen on labelled and unlabelled cells) "
        "do.",
        "",
        "| condition | method | accuracy | macro-F1 | worst data set, accuracy |",
        "|---|---|---|---|---|",
    ]
    others = [HEADS, *(method for method in SEMI if method != UNLABELED)]
    for condition in [c for c in FEW if (part["condition"] == c).any()]:
        best = [against_linear(rows, condition, UNLABELED, measure) for measure in MEASURES]
        compared = {"the better linear model": best} | {
            other: [paired(rows, condition, UNLABELED, other, measure) for measure in MEASURES]
            for other in others
        }
        for name, differences in compared.items():
            if differences[0].empty:
                continue
            means = differences[0].groupby("data").mean()
            told = " | ".join(as_text(difference) for difference in differences)
            lines.append(f"| {condition} | {name} | {told} | {means.min():+.2f} {means.idxmin()} |")
    return "\n".join(lines)


def against_others(rows: pd.DataFrame) -> str:
    """Ours minus each of the other methods, on the splits both have."""
    ours = (OURS, HEADS, NONE, REWIRED, *ADAPTING, *THINNING)
    others = [m for m in METHODS if m not in (*LINEAR, *ABLATIONS, *SEMI, *ours)]
    if not rows["method"].isin(others).any():
        return ""
    lines = [
        "## Against the other methods",
        "",
        f"{OURS} minus the method, on the splits that the method has.",
        "",
        "| condition | method | accuracy | macro-F1 | worst data set, accuracy |",
        "|---|---|---|---|---|",
    ]
    for condition in [*SHARES, *FEW, *MOVED]:
        for method in others:
            accuracy = paired(rows, condition, OURS, method, "accuracy")
            if len(accuracy) == 0:
                continue
            told = [as_text(accuracy), as_text(paired(rows, condition, OURS, method, "macro_f1"))]
            means = accuracy.groupby("data").mean()
            worst = f"{means.min():+.2f} {means.idxmin()}"
            lines.append(f"| {condition} | {method} | {' | '.join(told)} | {worst} |")
    return "\n".join(lines)


def priors(rows: pd.DataFrame) -> str:
    """With the real graph minus with a control, by condition and data set."""
    lines = [
        "## What the prior is worth",
        "",
        f"Accuracy of {HEADS} with the real graph minus that with a control, the same network "
        "otherwise, without a discriminant in either. Data sets of which no counts can be had "
        "leave the graph out by default.",
        "",
        "| condition | data | minus no graph | minus rewired graph |",
        "|---|---|---|---|",
    ]
    for condition in [*SHARES, *FEW]:
        both = [paired(rows, condition, HEADS, other, "accuracy") for other in (NONE, REWIRED)]
        if both[0].empty:
            continue
        found = both[0].index.get_level_values("data")
        names = [n for n, data in (SETS | UNSEEN).items() if n in found and data.counts]
        for name in names:
            told = [as_text(d[d.index.get_level_values("data") == name]) for d in both]
            lines.append(f"| {condition} | {name} | {' | '.join(told)} |")
        pooled = [as_text(d[d.index.get_level_values("data").isin(WHOLE)]) for d in both]
        lines.append(f"| {condition} | **whole transcriptome, pooled** | {' | '.join(pooled)} |")
    return "\n".join(lines)


def ablations(rows: pd.DataFrame) -> str:
    """The default minus each variant."""
    if not rows["method"].isin(ABLATIONS).any():
        return ""
    lines = [
        "## What each part of the default is worth",
        "",
        f"Accuracy and macro-F1 lost without the part, {HEADS} minus the variant. What the "
        "discriminant is worth beside them stands above.",
        "",
        "| without | condition | data | accuracy | macro-F1 |",
        "|---|---|---|---|---|",
    ]
    for method in ABLATIONS:
        for condition in [*SHARES, *FEW]:
            lines += [f"| {method} {line}" for line in minus(rows, condition, HEADS, method)]
    return "\n".join(lines)


def adapted(rows: pd.DataFrame) -> str:
    """What it gives to read the query as a whole before any of its cells is named."""
    if not (rows["method"] == ADAPTED).any():
        return ""
    lines = [
        "## Adapted to the query",
        "",
        f"{ADAPTED} (`model.adapt(query)`) minus the method: it reads all test cells together, "
        "without their labels, before it names any. So does logistic regression, adapted, by the "
        "same rule. Where the reference has all reads, the last comparison is with what learned "
        "from the same cells at the depth of the query.",
        "",
        "| minus | condition | data | accuracy | macro-F1 |",
        "|---|---|---|---|---|",
    ]
    rows = pd.concat([rows, _of_their_own_depth(rows)])
    for condition in [*SHARES, *FEW, *MOVED, *DEEPER]:
        for other in (HEADS, *ADAPTING, _own_depth(HEADS)):
            if other not in (ADAPTED, QUERY):
                told = minus(rows, condition, ADAPTED, other)
                lines += [f"| {other} {line}" for line in told]
    return "\n".join(lines)


def query_learned(rows: pd.DataFrame) -> str:
    """What it gives to learn from the query's cells, without their labels."""
    if not (rows["method"] == QUERY).any():
        return ""
    lines = [
        "## The query learned too",
        "",
        f"{QUERY} (`fit(reference, ..., unlabeled=query)`) minus the method: it learns from the "
        "test cells too, without their labels. The last comparison is as above.",
        "",
        "| minus | condition | data | accuracy | macro-F1 |",
        "|---|---|---|---|---|",
    ]
    rows = pd.concat([rows, _of_their_own_depth(rows)])
    for condition in [*SHARES, *MOVED, *DEEPER]:
        for other in (HEADS, ADAPTED, "logistic regression, adapted", _own_depth(HEADS)):
            told = minus(rows, condition, QUERY, other)
            lines += [f"| {other} {line}" for line in told]
    return "\n".join(lines)


def thinned(rows: pd.DataFrame) -> str:
    """What it gives to learn from a deep reference as if it were shallow."""
    if not (rows["method"] == THINNED).any():
        return ""
    lines = [
        "## Thinned to the query",
        "",
        f"{THINNED} (`thin_to=` the reads of its median cell) minus the method: of training cells "
        "reads are left out by chance, other ones each time. Logistic regression, thinned to the "
        "query, learns from five thinned copies of each cell; what learned at that depth learned "
        "from one, as an experiment of that depth would give it, logistic regression likewise. "
        f"{ANY_DEPTH} (`thin_to=` a twentieth of the reference's reads, to all) is one model for "
        "all depths; the last lines are that one minus what has learned from all reads, on cells "
        "of all reads.",
        "",
        "| minus | condition | data | accuracy | macro-F1 |",
        "|---|---|---|---|---|",
    ]
    rows = pd.concat([rows, *(_of_their_own_depth(rows, name) for name in (HEADS, LINEAR[0]))])
    own = [_own_depth(name) for name in (HEADS, LINEAR[0])]
    others = [HEADS, ADAPTED, QUERY, *(name for name in THINNING if name != THINNED), *own]
    for condition in DEEPER:
        for other in others:
            lines += [f"| {other} {line}" for line in minus(rows, condition, THINNED, other)]
    lines += [f"| {HEADS} {line}" for line in minus(rows, "all reads", ANY_DEPTH, HEADS)]
    return "\n".join(lines)


def _own_depth(method: str) -> str:
    return f"{method}, learned at that depth"


def _of_their_own_depth(rows: pd.DataFrame, method: str = HEADS) -> pd.DataFrame:
    """One that has learned from cells of the query's depth, where others have not."""
    shallow = {condition.partition(", ")[0]: condition for condition in DEEPER}
    same = rows[(rows["method"] == method) & rows["condition"].isin(shallow)]
    return same.assign(method=_own_depth(method), condition=same["condition"].map(shallow))


def beside_discriminant(rows: pd.DataFrame) -> str:
    """What the discriminant adds to the heads."""
    if not (rows["method"] == HEADS).any():
        return ""
    lines = [
        "## A linear discriminant beside the heads",
        "",
        f"{OURS} minus {HEADS}, which are `discriminant=False`.",
        "",
        "| condition | data | accuracy | macro-F1 |",
        "|---|---|---|---|",
    ]
    for condition in [*SHARES, *FEW, *MOVED]:
        lines += minus(rows, condition, OURS, HEADS)
    return "\n".join(lines)


def calibration(rows: pd.DataFrame) -> str:
    """Calibration errors where confidences were kept."""
    lines = [
        "## Calibration",
        "",
        "Expected calibration error of 10 bins of equal count, test cells of all splits pooled, "
        "and the error that a perfectly calibrated classifier would show with so many cells, in %.",
        "",
        "| condition | data | method | error | floor |",
        "|---|---|---|---|---|",
    ]
    if "confidence_per_mille" not in rows:
        return ""
    known = rows[rows["confidence_per_mille"].notna()]
    for (condition, name, method), part in known.groupby(["condition", "data", "method"]):
        told = (OURS, HEADS, "logistic regression", "CellTypist", *CORRECTED)
        if method not in told:
            continue
        sure = np.concatenate([np.asarray(c) / 1000 for c in part["confidence_per_mille"]])
        right = np.concatenate([[c == "1" for c in r] for r in part["right"].astype(str)])
        shown = Reliability.of(right, np.ones_like(right), sure)
        error, floor = 100 * shown.expected_calibration_error(), 100 * shown.floor()
        lines.append(f"| {condition} | {name} | {method} | {error:.1f} | {floor:.1f} |")
    return "\n".join(lines)


def made_on(rows: pd.DataFrame) -> str:
    """Machine and versions."""
    devices = ", ".join(sorted(rows["device"].unique()))
    versions = rows["versions"].iloc[-1]
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"Machine: {devices}, one thread a process; {told}. Seeds are the numbers of the splits. "
        "How long a fit takes is in [scaling.md](scaling.md#from-labelled-cells-to-named-ones)."
    )
