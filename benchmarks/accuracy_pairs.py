"""Paired differences between methods, their means and intervals, and how they are told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from accuracy_methods import LINEAR
from scipy import stats

MEASURES = {"accuracy": "accuracy", "macro_f1": "macro-F1"}
NOTHING = pd.Series(dtype=float, index=pd.MultiIndex.from_arrays([[], []], names=["data", "split"]))


def read_rows(results: Path) -> pd.DataFrame:
    """Reads results, in %."""
    lines = results.read_text().splitlines()
    rows = pd.DataFrame([json.loads(line) for line in lines])  # pandas reads "0110" as a number
    _check_once(rows)
    for measure in MEASURES:
        rows[measure] *= 100
    return rows


def _check_once(rows: pd.DataFrame) -> None:
    """Two runs side by side that share work write it twice: it must not count twice."""
    key = ["data", "condition", "split", "method"]
    twice = rows.loc[rows.duplicated(key), key]
    if len(twice):
        raise ValueError(
            f"Each method must have one result for a split (got {len(twice)} more, such as "
            f"{' / '.join(map(str, twice.iloc[0]))}). Leave the older lines out of the results."
        )


def paired(rows: pd.DataFrame, condition: str, ours: str, theirs: str, measure: str) -> pd.Series:
    """Returns ours minus theirs for each data set and split that has both."""
    part = rows[rows["condition"] == condition]
    table = part.pivot_table(index=["data", "split"], columns="method", values=measure)
    if ours not in table or theirs not in table:
        return NOTHING
    return (table[ours] - table[theirs]).dropna()


def against_linear(rows: pd.DataFrame, condition: str, ours: str, measure: str) -> pd.Series:
    """Returns ours minus the linear model that is better on average on that data set."""
    part = rows[rows["condition"] == condition]
    table = part.pivot_table(index=["data", "split"], columns="method", values=measure)
    if ours not in table or not set(LINEAR) <= set(table):
        return NOTHING
    table = table[[ours, *LINEAR]].dropna()
    best = table[list(LINEAR)].groupby("data").mean().idxmax(axis=1)
    theirs = [table.loc[key, best[key[0]]] for key in table.index]
    return table[ours] - theirs


def interval(difference: pd.Series) -> tuple[float, float, float]:
    """Returns mean and 95 % interval; data sets count the same, splits vary within them."""
    by_set = difference.groupby("data")
    mean = float(by_set.mean().mean())
    count = by_set.count()
    variance = (by_set.var() / count).fillna(np.inf).sum() / len(count) ** 2
    freedom = int((count - 1).sum())
    half = stats.t.ppf(0.975, max(freedom, 1)) * float(np.sqrt(variance))
    return mean, mean - half, mean + half


def as_text(difference: pd.Series) -> str:
    """Mean and interval; nothing where there is nothing to compare."""
    if difference.empty:
        return ""
    mean, low, high = interval(difference)
    if not np.isfinite(low):
        return f"{mean:+.2f}"
    return f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"


def minus(rows: pd.DataFrame, condition: str, one: str, other: str) -> list[str]:
    """One line a data set, and one of all: one method minus another."""
    both = [paired(rows, condition, one, other, measure) for measure in MEASURES]
    lines = []
    for name in both[0].index.get_level_values("data").unique():
        told = [as_text(d[d.index.get_level_values("data") == name]) for d in both]
        lines.append(f"| {condition} | {name} | {' | '.join(told)} |")
    if not both[0].empty:
        pooled = " | ".join(as_text(difference) for difference in both)
        lines.append(f"| {condition} | **pooled** | {pooled} |")
    return lines
