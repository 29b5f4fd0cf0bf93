"""What the write-up claims, and which pair of rows answers it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from writeup_rows import ALIVE, DIAGONAL, FC, INDIVIDUAL, INDIVIDUAL_ALIVE, NORMALISED
from writeup_table import accuracies, paired_interval

NORMAL_ALIVE = f"GCN, normalised graph, {ALIVE}"


@dataclass(frozen=True)
class Claim:
    """A sentence of the write-up as a difference between two rows.

    Attributes:
        section: Heading under which it is answered.
        words: What is compared, for the table.
        row: Name of the row that is said to differ ...
        against: ... from this one.
        sign: +1 where the write-up says that ``row`` is better, -1 where worse.
        published: Its own difference in points, if it gives one.
    """

    section: str
    words: str
    row: str
    against: str
    sign: int
    published: float | None = None

    def verdict(self, low: float, high: float) -> str:
        """Says whether the whole interval lies on the write-up's side of zero."""
        if math.isnan(low):
            return "one pair only"
        if not low <= 0 <= high:
            return "holds" if (low > 0) == (self.sign > 0) else "does **not** hold"
        return "within noise"


def answered(
    claim: Claim, results: pd.DataFrame, data: str, max_epochs: int
) -> tuple[float, float, float, int] | None:
    """Returns the difference in points, its 95 % interval and the number of pairs, if they ran."""
    accuracy = accuracies(results, data, max_epochs)
    if claim.row not in accuracy or claim.against not in accuracy:
        return None
    paired = accuracy[claim.row].sub(accuracy[claim.against]).dropna()
    return (*paired_interval(np.asarray(paired)), len(paired))


def _interacting(name: str) -> str:
    return f"{name}, interacting genes"


CLAIMS = [
    Claim(
        "autoencoder", "fine-tuned from the autoencoder, against random weights",
        "FC, autoencoder, fine-tuned", FC.name, -1, -2.80,
    ),
    Claim(
        "autoencoder", "frozen encoder, against random weights",
        "FC, autoencoder, frozen", FC.name, -1, -2.80,
    ),
    Claim(
        "prior", "individual graph and STRING, against the individual graph",
        NORMALISED.name, INDIVIDUAL.name, +1, 0.74,
    ),
    Claim(
        "prior", "individual graph and STRING, against the individual graph, W absolute",
        NORMAL_ALIVE, INDIVIDUAL_ALIVE.name, +1, 0.74,
    ),
    Claim("prior", "individual graph and STRING, against FC", NORMALISED.name, FC.name, +1, 1.62),
    Claim(
        "prior", "individual graph and STRING, against FC, W absolute",
        NORMAL_ALIVE, FC.name, +1, 1.62,
    ),
    Claim("prior", "individual graph alone, against FC", INDIVIDUAL.name, FC.name, +1, 0.88),
    Claim(
        "prior", "individual graph alone, against FC, W absolute",
        INDIVIDUAL_ALIVE.name, FC.name, +1, 0.88,
    ),
    Claim(
        "diagonal", "diagonal of ones, against zeros", DIAGONAL.name, NORMALISED.name, -1, -1.37
    ),
    Claim(
        "diagonal", "diagonal of ones, against zeros, W absolute",
        f"GCN, normalised diagonal graph, {ALIVE}", NORMAL_ALIVE, -1, -1.37,
    ),
    Claim(
        "genes", "FC on interacting genes, against all genes",
        _interacting(FC.name), FC.name, -1, -2.38,
    ),
    Claim(
        "genes", "individual graph, interacting against all genes",
        _interacting(INDIVIDUAL.name), INDIVIDUAL.name, -1, -2.38,
    ),
    Claim(
        "genes", "individual graph and STRING, interacting against all genes",
        _interacting(NORMALISED.name), NORMALISED.name, -1, -5.64,
    ),
    Claim(
        "genes", "with a diagonal of ones, interacting against all genes",
        _interacting(DIAGONAL.name), DIAGONAL.name, -1, -4.30,
    ),
    Claim(
        "residual", "without the residual, against with it, W absolute",
        f"{NORMAL_ALIVE}, no residual", NORMAL_ALIVE, -1,
    ),
]  # fmt: skip
