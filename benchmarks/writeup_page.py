"""Makes docs/writeup.md: every claim of the write-up beside what was measured.

    python benchmarks/writeup_page.py

Numbers, tables and pictures come from results/writeup.jsonl; run it again after new results.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from common import RESULTS
from scipy import stats
from writeup import read_results
from writeup_claims import CLAIMS, answered
from writeup_rows import FC, TABLES
from writeup_table import accuracies, draw, paired_interval, summarise

DOCS = Path(__file__).parents[1] / "docs"
SPREAD = "FC, one split, 20 initial weights"
BATCHES = [f"GCN, normalised graph, batch {size}, few epochs" for size in (64, 1)]
DEPTH = "GCN, 4 layers"
BARE = "GCN, 4 layers, not normalised"


def main(argv: list[str] | None = None) -> None:
    """Writes the page and its pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS / "writeup.jsonl")
    parser.add_argument("--docs", type=Path, default=DOCS)
    args = parser.parse_args(argv)
    results = read_results(args.results)
    text = Path(__file__).with_name("writeup_page.md").read_text()
    (args.docs / "figures").mkdir(parents=True, exist_ok=True)
    parts = {
        "setting": setting(results),
        "short": short(results),
        "spread": spread(results),
        "batch": batch(results),
        "dead": dead(results),
        "priors": priors(results),
        "energy": energy(results, args.docs),
        **{f"claims {s}": claims(results, s) for s in {c.section for c in CLAIMS}},
        **{f"table {name}": tables(results, name, args.docs) for name in TABLES},
    }
    for name, part in parts.items():
        assert f"{{{name}}}" in text, name
        text = text.replace(f"{{{name}}}", part)
    (args.docs / "writeup.md").write_text(text)
    print(f"wrote {args.docs / 'writeup.md'}")


def studies(results: pd.DataFrame) -> list[tuple[str, int]]:
    """The data sets, each with the longest training it was given."""
    return [(data, int(part["max_epochs"].max())) for data, part in results.groupby("data")]


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown has it; numbers are already text."""
    rows = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def setting(results: pd.DataFrame) -> str:
    """Machine, versions and number of runs."""
    versions = results["versions"].map(lambda v: tuple(sorted(v.items()))).unique()
    machines = sorted(results["device"].unique())
    threads = sorted(results["threads"].unique())
    named = ", ".join(f"{name} {number}" for name, number in dict(versions[-1]).items())
    return (
        f"{len(results):,} runs on {', '.join(machines)}, {results['cores'].max()} cores, "
        f"{' or '.join(map(str, threads))} threads; {named}."
    )


def short(results: pd.DataFrame) -> str:
    """Every claim's verdict and difference in points, one column per data set, and a summary."""
    lines, verdicts = [], {}
    for claim in CLAIMS:
        line = {"compared": f"{claim.section}: {claim.words}"}
        for data, max_epochs in studies(results):
            found = answered(claim, results, data, max_epochs)
            if found is not None:
                mean, low, high, _ = found
                verdict = claim.verdict(low, high)
                line[data] = f"{verdict}: {signed(mean)}"
                if not np.isnan(low):  # a single pair says nothing yet
                    verdicts.setdefault(line["compared"], []).append(verdict)
        lines.append(line)
    counted = [
        f"- **{kind}** ({len(claims)} of {len(verdicts)} comparisons): {'; '.join(claims)}."
        for kind, claims in _sorted_by_verdict(verdicts).items()
        if claims
    ]
    columns = ["compared", *(data for data, _ in studies(results))]
    table = pd.DataFrame(lines, columns=columns).fillna("")
    return markdown(table) + "\n\n" + "\n".join(counted)


def _sorted_by_verdict(verdicts: dict[str, list[str]]) -> dict[str, list[str]]:
    """Which comparisons hold everywhere they were made, somewhere, nowhere, or are refuted."""
    kinds: dict[str, list[str]] = {
        "Holds wherever it was measured": [],
        "Holds on some cells, within noise on others": [],
        "Within noise everywhere": [],
        "Does not hold, on some cells at least": [],
    }
    everywhere, somewhere, nowhere, refuted = kinds.values()
    for compared, found in verdicts.items():
        if any("not" in verdict for verdict in found):
            refuted.append(compared)
        elif all(verdict == "holds" for verdict in found):
            everywhere.append(compared)
        else:
            (somewhere if "holds" in found else nowhere).append(compared)
    return kinds


def signed(value: float) -> str:
    """A difference in points with its sign."""
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def interval(mean: float, low: float, high: float) -> str:
    """A difference with its interval; a single pair has none."""
    if np.isnan(low):
        return signed(mean)
    return f"{signed(mean)} ({signed(low)} to {signed(high)})"


def claims(results: pd.DataFrame, section: str) -> str:
    """The differences that answer one claim, with a verdict for each data set."""
    lines = []
    for claim in (c for c in CLAIMS if c.section == section):
        for data, max_epochs in studies(results):
            found = answered(claim, results, data, max_epochs)
            if found is not None:
                mean, low, high, pairs = found
                published = "" if claim.published is None else signed(claim.published)
                lines.append(
                    {
                        "compared": claim.words,
                        "data": data,
                        "write-up": published,
                        "measured, points (95 %)": interval(mean, low, high),
                        "pairs": pairs,
                        "the claim": claim.verdict(low, high),
                    }
                )
    return markdown(pd.DataFrame(lines))


def spread(results: pd.DataFrame) -> str:
    """How far one architecture scatters: over initial weights, and over splits."""
    lines = []
    for data, max_epochs in studies(results):
        accuracy = accuracies(results, data, max_epochs)
        if SPREAD not in accuracy:  # only some controls were run on these cells
            continue
        for what, name in (("20 initial weights, one split", SPREAD), ("splits", FC.name)):
            runs = accuracy[name].dropna()
            n = len(runs)
            low, high = (
                runs.std() * np.sqrt((n - 1) / stats.chi2.ppf(q, n - 1)) for q in (0.975, 0.025)
            )
            lines.append(
                {
                    "data": data,
                    "over": what if name == SPREAD else f"{n} splits and weights",
                    "mean": f"{runs.mean():.2f}",
                    "standard deviation (95 %)": f"{runs.std():.2f} ({low:.2f} to {high:.2f})",
                    "lowest to highest": f"{runs.min():.2f} to {runs.max():.2f}",
                }
            )
        pair = paired_interval(
            (accuracy["FC again, other initial weights"] - accuracy[FC.name]).dropna().to_numpy()
        )
        lines.append(
            {
                "data": data,
                "over": "FC again minus FC, same splits",
                "mean": interval(*pair),
                "standard deviation (95 %)": "",
                "lowest to highest": "",
            }
        )
    return markdown(pd.DataFrame(lines))


def batch(results: pd.DataFrame) -> str:
    """Batches of one against batches of 64, the same few epochs."""
    lines = []
    for data, max_epochs in studies(results):
        accuracy = accuracies(results, data, max_epochs)
        if not set(BATCHES) <= set(accuracy):
            continue
        part = results.query("data == @data and max_epochs == @max_epochs").set_index("row")
        for name in BATCHES:
            runs = accuracy[name].dropna()
            lines.append(
                {
                    "data": data,
                    "batch": name.split()[4].rstrip(","),
                    "epochs": part.loc[[name], "epochs"].max(),
                    "accuracy": f"{runs.mean():.2f} ± {runs.std():.2f}",
                    "seconds per epoch": f"{part.loc[[name], 'seconds_per_epoch'].median():.1f}",
                }
            )
    return markdown(pd.DataFrame(lines))


def dead(results: pd.DataFrame) -> str:
    """In how many runs the graph layer adds nothing at the end."""
    lines = []
    for row in TABLES["writeup"]:
        mine = results[(results["row"] == row.name) & results["dead"].notna()]
        if not mine.empty:
            of = {data: part["dead"].astype(bool) for data, part in mine.groupby("data")}
            counted = {data: f"{gone.sum()} of {len(gone)}" for data, gone in of.items()}
            lines.append({"row": row.name, **counted})
    return markdown(pd.DataFrame(lines).fillna(""))


def priors(results: pd.DataFrame) -> str:
    """How many of the cells' genes each prior names, and its edges; of a refused one why."""
    lines = []
    for data, _ in studies(results):
        shown = set()
        for row in TABLES["controls"]:
            mine = results[(results["data"] == data) & (results["row"] == row.name)]
            if mine.empty or row.prior in ("none", *shown):
                continue
            shown.add(row.prior)
            refused = mine["refused"].dropna() if "refused" in mine else ()
            line = {"data": data, "prior": "STRING" if row.prior == "string" else row.prior}
            if len(refused):
                lines.append({**line, "edges": f"refused: {refused.iloc[0]}"})
            else:
                matched, edges = mine[["genes_matched", "edges"]].median()
                lines.append({**line, "genes matched": f"{matched:,.0f}", "edges": f"{edges:,.0f}"})
    columns = ["data", "prior", "genes matched", "edges"]
    return markdown(pd.DataFrame(lines, columns=columns).fillna(""))


def energy(results: pd.DataFrame, docs: Path) -> str:
    """Dirichlet energy after each layer, drawn."""
    from matplotlib.figure import Figure

    deep = set(results.loc[results["row"] == DEPTH, "data"])
    shown = [(data, epochs) for data, epochs in studies(results) if data in deep]
    if not shown:
        return ""
    figure = Figure(figsize=(4.6 * len(shown), 3.4), dpi=140, layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(shown), sharey=True))
    for axes, (data, max_epochs) in zip(panels, shown, strict=True):
        part = results[(results["data"] == data) & (results["max_epochs"] == max_epochs)]
        for name, style in ((DEPTH, "o-"), (BARE, "s--")):
            layers = np.array(part.loc[part["row"] == name, "energy"].tolist())
            if layers.size:
                color = "#22215c" if name != BARE else "#b0453a"
                axes.plot(layers.mean(0), style, color=color, label=name.removeprefix("GCN, "))
        axes.set_title(data, loc="left", fontsize=9)
        axes.set_xlabel("after layer")
        axes.set_xticks(range(5))
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("relative Dirichlet energy")
    panels[0].legend(frameon=False, fontsize=8)
    figure.savefig(docs / "figures" / "writeup-energy.png")
    return "![Dirichlet energy by layer](figures/writeup-energy.png)"


def tables(results: pd.DataFrame, name: str, docs: Path) -> str:
    """One table and one picture per data set."""
    parts = []
    shared = [row.name for other in TABLES if other != name for row in TABLES[other]]
    for data, max_epochs in studies(results):
        found = summarise(results, TABLES[name], data, max_epochs)
        if found.index.isin(shared).all():  # a table that was not asked for on these cells
            continue
        file = f"writeup-{name}-{data.replace(' ', '-').replace(',', '')}.png"
        draw(results, TABLES[name], data, max_epochs, docs / "figures" / file)
        lines = pd.DataFrame([_line(str(row), numbers) for row, numbers in found.iterrows()])
        parts.append(f"**{data}**, at most {max_epochs} epochs\n\n{markdown(lines.fillna(''))}")
        parts.append(f"![{name}, {data}](figures/{file})")
    return "\n\n".join(parts)


def _line(row: str, numbers: pd.Series) -> dict[str, str]:
    """One row of :func:`~writeup_table.summarise` in words."""
    published = numbers["write-up"]
    line = {"row": row, "write-up": "" if pd.isna(published) else f"{published:.2f}"}
    if pd.isna(numbers["accuracy"]):
        return {**line, "accuracy": f"refused: {numbers['refused']}"}
    difference = numbers[["difference", "low", "high"]]
    return {
        **line,
        "accuracy": f"{numbers['accuracy']:.2f}"
        + ("" if pd.isna(numbers["sd"]) else f" ± {numbers['sd']:.2f}"),
        "runs": f"{numbers['runs']:.0f}",
        "minus": numbers["against"],
        "points (95 %)": "" if pd.isna(difference["difference"]) else interval(*difference),
        "epochs": f"{numbers['epochs']:.0f}",
        "s/epoch": f"{numbers['s/epoch']:.2f}",
        "MiB": f"{numbers['MiB']:.0f}",
    }


if __name__ == "__main__":
    main()
