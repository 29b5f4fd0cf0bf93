"""From results to a table and a picture: means, spread and paired differences with intervals."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from writeup_rows import Row

TEST_OVER_TRAIN = 0.3 / 0.7
PUBLISHED = "the write-up's run, on cells of its own"


def paired_interval(differences: np.ndarray) -> tuple[float, float, float]:
    r"""Mean of paired differences over splits, and its 95 % interval.

    Splits of one data set share training cells, so their differences are not independent and the
    usual interval is too narrow.  Nadeau and Bengio's correction [1]_ is used:

    .. math::
        \bar d \pm t_{n-1} \sqrt{ \big( 1/n + n_\mathrm{test} / n_\mathrm{train} \big)\, s^2 }

    References:
        .. [1] Nadeau & Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003.
    """
    n = len(differences)
    mean = float(np.mean(differences))
    if n < 2:
        return mean, math.nan, math.nan
    error = math.sqrt((1 / n + TEST_OVER_TRAIN) * float(np.var(differences, ddof=1)))
    reach = float(stats.t.ppf(0.975, n - 1)) * error
    return mean, mean - reach, mean + reach


def accuracies(results: pd.DataFrame, data: str, max_epochs: int) -> pd.DataFrame:
    """Accuracy in percent, one line per seed, one column per row; refused rows are left out."""
    found = results.query("data == @data and max_epochs == @max_epochs")
    if "accuracy" not in found or found.empty:
        return pd.DataFrame()
    return (
        found.pivot(index="seed", columns="row", values="accuracy")
        .mul(100)
        .dropna(axis=1, how="all")
    )


def differences(accuracy: pd.DataFrame, row: Row) -> np.ndarray:
    """Accuracy of a row minus that of its comparison, seed by seed, where both have run."""
    if row.against not in accuracy or row.name not in accuracy:
        return np.array([])
    return accuracy[row.name].sub(accuracy[row.against]).dropna().to_numpy()


def summarise(results: pd.DataFrame, rows: list[Row], data: str, max_epochs: int) -> pd.DataFrame:
    """One line per row of a table that has run; of a refused one only why."""
    accuracy = accuracies(results, data, max_epochs)
    found = results.query("data == @data and max_epochs == @max_epochs")
    lines = []
    for row in rows:
        mine = found[found["row"] == row.name]
        if mine.empty:
            continue
        line = {"row": row.name, "write-up": row.published, "accuracy": math.nan}
        if row.name not in accuracy:
            lines.append({**line, "refused": str(mine["refused"].iloc[0]).partition(".")[0]})
            continue
        runs, paired = accuracy[row.name].dropna(), differences(accuracy, row)
        mean, low, high = paired_interval(paired) if len(paired) else (math.nan,) * 3
        line |= {
            "accuracy": runs.mean(),
            "sd": runs.std(),
            "runs": len(runs),
            "against": row.against,
            "difference": mean,
            "low": low,
            "high": high,
            "epochs": mine["epochs"].mean(),
            "s/epoch": mine["seconds_per_epoch"].median(),
            "MiB": mine["peak_mib"].max(),
            "dead": mine["dead"].dropna().astype(bool).sum(),
        }
        lines.append(line)
    return pd.DataFrame(lines).set_index("row").round(2)


def draw(results: pd.DataFrame, rows: list[Row], data: str, max_epochs: int, path: Path) -> None:
    """Left every run's accuracy and the write-up's, right the paired differences."""
    from matplotlib.figure import Figure

    accuracy = accuracies(results, data, max_epochs)
    shown = [row for row in rows if row.name in accuracy][::-1]
    figure = Figure(figsize=(15, 0.36 * len(shown) + 1.8), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[5, 4])
    for place, row in enumerate(shown):
        runs = accuracy[row.name].dropna()
        left.plot(runs, [place] * len(runs), "o", color="#8cc3cb", markersize=4, label="a run")
        left.plot(runs.mean(), place, "|", color="#22215c", markersize=14, mew=2, label="mean")
        if row.published is not None:
            left.plot(row.published, place, "x", color="#b0453a", ms=6, label=PUBLISHED)
        paired = differences(accuracy, row)
        if len(paired) > 1:
            mean, low, high = paired_interval(paired)
            right.plot([low, high], [place, place], "-", color="#305982", lw=1.6)
            right.plot(mean, place, "o", color="#22215c", markersize=5)
        if row.against:
            note = f"minus {row.against}"
            right.annotate(note, (1.02, place), xycoords=("axes fraction", "data"), va="center",
                           fontsize=8, color="#6b6b80", annotation_clip=False)  # fmt: skip
    right.axvline(0, color="#6b6b80", lw=0.8)
    left.set_yticks(range(len(shown)), [row.name for row in shown])
    left.set_xlabel("accuracy, %")
    right.set_xlabel("paired difference, points, 95 %")
    left.set_title(f"{data}, at most {max_epochs} epochs", loc="left", pad=24)
    keys = {label: line for line, label in zip(*left.get_legend_handles_labels(), strict=True)}
    left.legend(keys.values(), keys, loc="lower left", bbox_to_anchor=(0, 1), ncols=3,
                frameon=False, fontsize=8, borderpad=0)  # fmt: skip
    for axes in (left, right):
        axes.grid(axis="y", color="#e6e6ee", lw=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    figure.savefig(path)
