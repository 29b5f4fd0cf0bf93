"""What confidence is worth."""

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.calibration import calibration_curve

from genegraph.reliability import Reliability, fit_temperature


def drawn(num_cells=20_000, num_classes=4, seed=0):
    """Logits whose softmax is the true probability of each class, and classes drawn from it."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (num_cells, num_classes))
    heights = softmax(logits, axis=1).cumsum(axis=1)
    codes = (rng.random((num_cells, 1)) > heights).sum(axis=1).clip(max=num_classes - 1)
    return logits, codes


@pytest.mark.parametrize("factor", [0.2, 1.0, 5.0])
def test_temperature_undoes_a_factor(factor):
    logits, codes = drawn()
    assert fit_temperature(logits * factor, codes) == pytest.approx(factor, rel=0.03)


def test_temperature_is_the_minimum_of_the_log_loss():
    logits, codes = drawn(5_000)
    tau = fit_temperature(logits, codes)
    losses = [
        torch.nn.functional.cross_entropy(
            torch.from_numpy(logits / t), torch.from_numpy(codes), label_smoothing=1 / 5_001
        ).item()
        for t in (0.98 * tau, tau, 1.02 * tau)
    ]
    assert losses[1] < min(losses[0], losses[2])


def test_temperature_does_not_depend_on_how_many_cells_are_looked_at_together(monkeypatch):
    logits, codes = drawn(100)
    together = fit_temperature(logits, codes)
    monkeypatch.setattr("genegraph.reliability.CELLS_AT_ONCE", 7)
    assert fit_temperature(logits, codes) == pytest.approx(together, rel=1e-9)


def test_without_errors_confidence_stays_below_one():
    logits = np.array([[3.0, -3.0], [-3.0, 3.0]] * 10)
    codes = np.array([0, 1] * 10)
    sure = softmax(logits / fit_temperature(logits, codes), axis=1).max()
    assert 1 - 1 / 21 < sure < 1 - 0.3 / 21


def test_curve_agrees_with_scikit_learn():
    logits, codes = drawn(997)
    proba = softmax(logits, axis=1)
    shown = Reliability.of(codes, proba.argmax(1), proba.max(1))
    right = proba.argmax(1) == codes
    accuracy, confidence = calibration_curve(right, proba.max(1), n_bins=10, strategy="quantile")
    curve = shown.curve()
    assert curve["cells"].sum() == 997
    # Bins of equal count or of equal quantiles: cells at the edges may fall to either side.
    np.testing.assert_allclose(curve["confidence"], confidence, atol=0.01)
    np.testing.assert_allclose(curve["accuracy"], accuracy, atol=0.02)


def test_expected_calibration_error_by_hand():
    shown = Reliability.of([0, 0, 0, 0], [0, 0, 0, 1], [0.9, 0.8, 0.7, 0.6])
    # The less sure two: confidence 0.65, accuracy 0.5.  The others: 0.85 and 1.
    assert shown.expected_calibration_error(2) == pytest.approx((0.15 + 0.15) / 2)


def test_a_calibrated_classifier_shows_about_the_floor_and_another_more():
    logits, codes = drawn(2_000)
    fair, bold = (softmax(logits * factor, axis=1) for factor in (1, 3))
    fair, bold = (Reliability.of(codes, p.argmax(1), p.max(1)) for p in (fair, bold))
    assert 0 < fair.floor() < 0.04
    assert fair.expected_calibration_error() < 2 * fair.floor()
    assert bold.expected_calibration_error() > 0.15


def test_coverage_by_hand_with_ties():
    shown = Reliability.of([0, 0, 0, 0], [1, 0, 0, 0], [0.8, 0.8, 0.9, 0.5])
    table = shown.coverage()
    assert table["min_confidence"].tolist() == [0.9, 0.8, 0.5]
    assert table["coverage"].tolist() == [0.25, 0.75, 1.0]
    assert table["accuracy"].tolist() == pytest.approx([1, 2 / 3, 3 / 4])


def test_threshold_for_an_error_rate_by_hand():
    confidence = np.linspace(0.99, 0.5, 50)
    right = np.arange(50) < 40
    shown = Reliability.of(right, np.ones(50, dtype=bool), confidence)
    # (e + 1) / (n + 1) <= 0.1 for n = 43, e = 3 but not for n = 44, e = 4.
    assert shown.min_confidence(0.1) == pytest.approx(confidence[42])


def test_threshold_keeps_the_error_on_new_cells():
    shares = []
    for seed in range(40):
        logits, codes = drawn(1_000, seed=seed)
        proba = softmax(logits, axis=1)
        named, sure = proba.argmax(1), proba.max(1)
        threshold = Reliability.of(codes[:500], named[:500], sure[:500]).min_confidence(0.1)
        kept = sure[500:] >= threshold
        shares.append((named[500:] != codes[500:])[kept].mean())
    assert 0.05 < np.mean(shares) < 0.11


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: r.min_confidence(0.0), r"'max_error' must lie between 0 and 1 \(got 0.0\)"),
        (lambda r: r.min_confidence(0.01), r"'max_error' must be at least 0.33, the best"),
        (lambda r: Reliability.of([], [], []), "at least 1 labelled cell"),
        (lambda r: Reliability.of([1], [1, 2], [0.5]), "inconsistent numbers of samples"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(Reliability.of([0, 0], [0, 0], [0.9, 0.8]))
