"""Whether probabilities mean what they say, on cells with known labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from sklearn.utils.validation import check_consistent_length

HOTTEST = 20.0

CELLS_AT_ONCE = 16_384
"""Of a million cells of fifty types, in float64, exponentials would take gigabytes."""


def fit_temperature(logits: NDArray[np.float32], codes: NDArray[np.int64]) -> float:
    r"""Returns the temperature that makes held-out labels most probable [1]_.

    .. math::
        \tau = \arg\min_\tau\; -\sum_b \Big( (1 - \epsilon) \log p_{b y_b}
        + \frac{\epsilon}{K} \sum_k \log p_{bk} \Big), \qquad
        p_b = \mathrm{softmax}(z_b / \tau), \qquad 1/20 \le \tau \le 20

    With :math:`\epsilon = 1 / (n + 1)`, as if one more cell than the :math:`n` there are could have
    been of any class: that none of 50 cells was named wrongly does not make the next one certain.

    Args:
        logits: ``[num_cells, num_classes]``, of cells that the network has not learned from.
        codes: Number of each cell's class.

    Example:
        >>> logits = np.log([[0.99, 0.01]] * 1000)  # sure of itself, and wrong in 3 of 10
        >>> tau = fit_temperature(logits, np.array([0] * 700 + [1] * 300))
        >>> p = np.exp(logits[0] / tau)
        >>> round(float(p[0] / p.sum()), 2)
        0.7

    References:
        .. [1] Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
           https://arxiv.org/abs/1706.04599
    """
    logits = np.asarray(logits)
    doubt = 1 / (len(logits) + 1)
    own = logits[np.arange(len(logits)), codes].astype(np.float64)
    true = (own * (1 - doubt) + logits.mean(axis=1, dtype=np.float64) * doubt).sum()
    blocks = [logits[i : i + CELLS_AT_ONCE] for i in range(0, len(logits), CELLS_AT_ONCE)]

    def loss(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        sums = [logsumexp(block.astype(np.float64) * scale, axis=1).sum() for block in blocks]
        return float((sum(sums) - true * scale) / len(logits))

    end = np.log(HOTTEST)
    return float(np.exp(minimize_scalar(loss, bounds=(-end, end), method="bounded").x))


def wilson_interval(right: Any, total: Any) -> tuple[Any, Any]:
    """Gives the 95% interval of a share that was counted, after Wilson [1]_.

    Args:
        right: How many were counted, a number or an array of them.
        total: Out of how many.

    Example:
        >>> low, high = wilson_interval(189, 210)
        >>> f"{low:.3f} to {high:.3f}"
        '0.852 to 0.934'

    References:
        .. [1] Wilson, "Probable Inference, the Law of Succession, and Statistical Inference",
           Journal of the American Statistical Association 22, 1927.
    """
    z = 1.959964  # the two-sided 95% point of the normal distribution
    share = right / total
    middle = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    spread = z * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2)) / (1 + z**2 / total)
    return middle - spread, middle + spread


@dataclass(frozen=True)
class Reliability:
    """What a classifier's confidence was worth.

    Attributes:
        confidence: Probability of the named class, cell by cell, sorted from high to low.
        correct: Whether that class was the right one, in the same order.

    Example:
        >>> shown = Reliability.of(["T", "B", "B", "T"], ["T", "B", "T", "T"], [0.9, 0.8, 0.5, 0.8])
        >>> print(shown)
        4 cells: accuracy 75.0 %, mean confidence 75.0 %, expected calibration error 25.0 %
        >>> shown.coverage()
           min_confidence  coverage  accuracy
        0             0.9      0.25      1.00
        1             0.8      0.75      1.00
        2             0.5      1.00      0.75
    """

    confidence: NDArray[np.float64]
    correct: NDArray[np.bool_]

    @classmethod
    def of(cls, labels: object, named: object, confidence: object) -> Reliability:
        """Compares names with labels.

        Args:
            labels: The true label of each cell.
            named: What the classifier named it.
            confidence: With which probability.

        Raises:
            ValueError: If there are no cells, or the lengths differ.
        """
        check_consistent_length(labels, named, confidence)
        sure = np.asarray(confidence, dtype=np.float64)
        if len(sure) == 0:
            raise ValueError("Reliability needs at least 1 labelled cell (got none).")
        order = np.argsort(-sure, kind="stable")
        return cls(sure[order], (np.asarray(labels) == np.asarray(named))[order])

    def curve(self, num_bins: int = 10) -> pd.DataFrame:
        """Returns mean confidence and accuracy of equal numbers of cells, the least sure first.

        Args:
            num_bins: How many bins; fewer where there are fewer cells.
        """
        bins = np.array_split(np.arange(len(self.confidence))[::-1], num_bins)
        rows = [
            {
                "confidence": self.confidence[part].mean(),
                "accuracy": self.correct[part].mean(),
                "cells": len(part),
            }
            for part in bins
            if len(part)
        ]
        return pd.DataFrame(rows)

    def expected_calibration_error(self, num_bins: int = 10) -> float:
        r"""Returns :math:`\sum_k \frac{n_k}{n} |\mathrm{accuracy}_k - \mathrm{confidence}_k|`.

        Chance alone makes it more than zero; see :meth:`floor`.
        """
        curve = self.curve(num_bins)
        gap = (curve["accuracy"] - curve["confidence"]).abs()
        return float((gap * curve["cells"]).sum() / curve["cells"].sum())

    def floor(self, num_bins: int = 10, *, repeats: int = 200, random_state: int = 0) -> float:
        """Returns the error that a perfectly calibrated classifier would show, on average.

        Its cells have the same confidence and are right as often as that says.
        """
        rng = np.random.default_rng(random_state)
        draws = rng.random((repeats, len(self.confidence))) < self.confidence
        errors = [
            Reliability(self.confidence, drawn).expected_calibration_error(num_bins)
            for drawn in draws
        ]
        return float(np.mean(errors))

    def coverage(self) -> pd.DataFrame:
        """Returns, for each confidence asked for, how many cells have it and how many are right."""
        last = np.append(np.flatnonzero(np.diff(self.confidence)), len(self.confidence) - 1)
        count = last + 1
        return pd.DataFrame(
            {
                "min_confidence": self.confidence[last],
                "coverage": count / len(self.confidence),
                "accuracy": np.cumsum(self.correct)[last] / count,
            }
        )

    def min_confidence(self, max_error: float) -> float:
        r"""Returns the lowest confidence from which on at most this share of names is wrong.

        Of the :math:`n` cells that are as sure, the :math:`e` wrong ones must satisfy
        :math:`(e + 1) / (n + 1) \le \mathrm{max\_error}`: one more, wrong, is always assumed.

        Args:
            max_error: Share of wrong names among those given.

        Raises:
            ValueError: If no confidence is high enough for that, or it is no share.
        """
        if not 0 < max_error < 1:
            raise ValueError(f"'max_error' must lie between 0 and 1 (got {max_error!r}).")
        table = self.coverage()
        count = table["coverage"] * len(self.confidence)
        wrong = (1 - table["accuracy"]) * count
        bound = (wrong + 1) / (count + 1)
        kept = table["min_confidence"][bound <= max_error + 1e-12]
        if kept.empty:
            raise ValueError(
                f"'max_error' must be at least {bound.min():.2g}, the best that can be shown with "
                f"{len(self.confidence):,} labelled cells (got {max_error!r})."
            )
        return float(kept.min())

    def __str__(self) -> str:
        return (
            f"{len(self.confidence):,} cells: accuracy {self.correct.mean():.1%}, mean confidence "
            f"{self.confidence.mean():.1%}, expected calibration error "
            f"{self.expected_calibration_error():.1%}"
        ).replace("%", " %")
