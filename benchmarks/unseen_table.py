"""From the results of ``accuracy.py`` on cells that nothing was chosen on to ``docs/unseen.md``.

python benchmarks/unseen_table.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import accuracy_sections as sections
from accuracy_methods import HEADS, LINEAR, OURS
from accuracy_pairs import read_rows
from accuracy_sets import FEW, SHARES
from common import RESULTS

HEAD = """# On cells that nothing was chosen on

The data sets of [accuracy.md](accuracy.md) were there while the default was chosen, if only their
other halves. These were not: they were fetched when it had long been what it was, the heads alone,
and each method was run on them as it stood. "heads alone" is the row that nothing was chosen on.
That the linear discriminant, until then an option, is part of the default now ("gene GCN") was
decided after these figures were seen, as they said what validation cells had said
([choices.md](choices.md#a-linear-discriminant-beside-the-heads)).

Accuracy / macro-F1 on test cells in %, as there: 30 % of the cells are named, in five splits,
everything is chosen inside the others, reads are thinned by a coin per read in training and test
cells alike, intervals are 95 % intervals of the mean paired difference.

| | cells | types | what |
|---|---|---|---|
| pancreas_human | 2,125 | 10 | inDrop, four donors (Baron et al. 2016, a sample), 20,125 genes |
| pancreas_mouse | 1,865 | 10 | inDrop, two mice (the same study), 14,877 genes |
| cortex_mouse | 2,811 | 46 | Fluidigm C1, molecules counted (Zeisel et al. 2015); 4,000 genes |
| cord_blood | 8,446 | 12 | CITE-seq (Stoeckius et al. 2017); 500 genes |
| cell_lines | 561 | 9 | Fluidigm C1, full length (Li et al. 2017); no counts |
| tissues_and_lines | 301 | 10 | Fluidigm C1, full length (Pollen et al. 2014); no counts |

Types of fewer than ten cells are left out, and cells whose type is open. Types of the cortex are
its subtypes, and two cell lines count twice, once a batch, as their authors list them. Genes of the
cortex and of cord blood have no names, so there is no graph, and the default is what it is without.
"Another donor" is the human pancreas: learned from three donors, named in the fourth, of whom there
are 1,937 cells (all types that the reference knows); and the other way round. Each split learns
from another 80 % of the reference.

Fetched from three packages on PyPI by `benchmarks/unseen_cells.py`, run by
`benchmarks/accuracy.py --sets ... --results benchmarks/results/unseen.jsonl`, written by
`benchmarks/unseen_table.py` from [results](../benchmarks/results/unseen.jsonl)."""


def main(argv: list[str] | None = None) -> None:
    """Writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS / "unseen.jsonl")
    page = Path(__file__).parents[1] / "docs" / "unseen.md"
    parser.add_argument("--page", type=Path, default=page)
    args = parser.parse_args(argv)
    rows = read_rows(args.results)
    parts = [
        HEAD,
        sections.summary(rows, [*LINEAR, HEADS, OURS]),
        *(sections.by_condition(rows, name) for name in [*SHARES, *FEW, "another donor"]),
        sections.verdicts(rows, HEADS),
        sections.verdicts(rows),
        sections.against_others(rows),
        sections.priors(rows),
        sections.beside_discriminant(rows),
        sections.calibration(rows),
        sections.made_on(rows),
    ]
    args.page.write_text("\n\n".join(part for part in parts if part) + "\n")


if __name__ == "__main__":
    main()
