import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genegraph.nn.chebyshev import chebyshev, num_nodes
from genegraph.nn.panels import plan
from genegraph.nn.tilted import tilted_mean, tilted_mean_key_gradient


def weights_by_hand(s, y, u):
    # Measured from an extreme key, differences at steep slopes are exact.
    logits = s[:, None] * (y - np.where(s >= 0, y[-1], y[0])[:, None]) + u
    p = np.exp(logits - logits.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def tilted_by_hand(s, x, y, u):
    """Mean of x and covariance of x and y under weights e^(s y + u), at each slope."""
    p = weights_by_hand(s, y, u)
    mean = p @ x
    return mean, (p * (x - mean[:, None]) * (y - (p @ y)[:, None])).sum(1)


def random_keys(seed, kind="any"):
    """Keys sorted by y with ranges, gaps, ties and weights of many sizes."""
    rng = np.random.default_rng(seed)
    num = int(rng.integers(2, 60))
    y = rng.normal(size=num) ** rng.integers(1, 4) * 10.0 ** rng.uniform(-3, 3)
    y[rng.random(num) < rng.uniform(0, 0.8)] = 0
    y = np.sort(y + rng.choice([0, 0, 5, -50]))
    u = rng.normal(size=num) * rng.choice([0, 1, 5, 1000])
    x = y if kind == "same" else rng.normal(size=num) * 10.0 ** rng.uniform(-3, 3)
    return rng, x, y, u


@pytest.mark.parametrize("tolerance", [0.5, 1e-2, 1e-4, 1e-6, 1e-9, 1e-12])
def test_more_nodes_for_a_tighter_tolerance(tolerance):
    assert 4 <= num_nodes(tolerance) <= num_nodes(tolerance / 100) <= 40


@pytest.mark.parametrize("tolerance", [0, 1, -1e-6, 2, float("nan")])
def test_a_tolerance_outside_zero_and_one_is_refused(tolerance):
    with pytest.raises(ValueError, match="'tolerance' must lie strictly between 0 and 1"):
        num_nodes(tolerance)


@pytest.mark.parametrize("num", [4, 9, 16])
def test_chebyshev_restores_polynomials_it_can_hold(num):
    nodes, to_coefficients = chebyshev(num)
    polynomial = np.random.default_rng(0).normal(size=num)
    at_nodes = np.polynomial.chebyshev.chebval(nodes, polynomial)
    np.testing.assert_allclose(to_coefficients @ at_nodes, polynomial, atol=1e-13)


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.floats(-3, 3),
    tolerance=st.sampled_from([1e-2, 1e-4, 1e-6, 1e-8]),
)
def test_the_error_stays_below_the_tolerance(seed, size, tolerance):
    rng, x, y, u = random_keys(seed, kind="same")
    spread = y[-1] - y[0]
    if spread == 0:
        return
    s = rng.normal(size=2000) * 10.0**size / spread
    mean, var = tilted_mean(s, x, y, u, tolerance, *chebyshev(num_nodes(tolerance)))
    expected_mean, expected_var = tilted_by_hand(s, x, y, u)
    rounding = 1e-12 * max(1, np.abs(y).max() / spread)
    assert np.abs(mean - expected_mean).max() <= (tolerance + rounding) * spread
    assert np.abs(var - expected_var).max() <= (tolerance + rounding) * spread**2


@settings(deadline=None, max_examples=100)
@given(seed=st.integers(0, 2**32 - 1), size=st.floats(-6, 6))
def test_values_with_keys_and_weights_of_their_own(seed, size):
    rng, x, y, u = random_keys(seed)
    of_x, of_y = np.ptp(x), np.ptp(y)
    if of_y == 0:
        return
    s = rng.normal(size=500) * 10.0**size / of_y
    mean, cov = tilted_mean(s, x, y, u, 1e-6, *chebyshev(num_nodes(1e-6)))
    expected_mean, expected_cov = tilted_by_hand(s, x, y, u)
    rounding = 1e-12 * max(
        1, np.abs(x).max() / max(of_x, 1e-300), np.abs(s * np.abs(y).max()).max()
    )
    assert np.abs(mean - expected_mean).max() <= (1e-6 + rounding) * of_x
    assert np.abs(cov - expected_cov).max() <= (1e-6 + rounding) * of_x * of_y


@settings(deadline=None, max_examples=100)
@given(seed=st.integers(0, 2**32 - 1), size=st.floats(-3, 3), num_slopes=st.sampled_from([3, 400]))
def test_what_the_keys_receive(seed, size, num_slopes):
    rng, x, y, u = random_keys(seed)
    if y[0] == y[-1]:
        return
    s = rng.normal(size=num_slopes) * 10.0**size / (y[-1] - y[0])
    g = rng.normal(size=num_slopes)
    ours = tilted_mean_key_gradient(s, g, x, y, u, 1e-9, *chebyshev(num_nodes(1e-9)))
    p = weights_by_hand(s, y, u)
    pull = p * (x - (p @ x)[:, None])
    expected = np.stack([g @ p, g @ (s[:, None] * pull), g @ pull])
    of_x = np.abs(g).sum() * np.abs(x).max()
    rounding = 1e-12 * np.array([np.abs(g).sum(), of_x * np.abs(s).max(), of_x])
    for part, theirs, least in zip(ours, expected, rounding, strict=True):
        assert np.abs(part - theirs).max() <= 1e-6 * np.abs(theirs).max() + least


@pytest.mark.parametrize("num_keys", [5000, 20_000])
@pytest.mark.parametrize("width", [1.0, 30.0, 1e3, 1e4, 1e5, 1e6])
def test_the_cost_per_key_is_bounded_however_narrow_the_weights(num_keys, width):
    """Log-weights -k y^2 and slopes 2 k y: every slope has the mass at a place of its own."""
    y = np.sort(np.random.default_rng(0).gamma(2.0, 1.0, num_keys))
    k = width / (y[-1] - y[0]) ** 2
    _, panels = plan(2 * k * y, y, -k * y**2, 1e-6, 16)
    slopes = sum(last - first for _, first, last, *_ in panels)
    exponentials = sum(
        (last - first if few else 16) * (hi - lo) for few, first, last, lo, hi, *_ in panels
    )
    assert slopes == num_keys
    assert exponentials < 4000 * num_keys


def test_slope_zero_is_the_plain_mean_and_covariance():
    x, y = np.array([3.0, 1.0, 2.0]), np.array([0.0, 1.0, 5.0])
    mean, cov = tilted_mean(np.zeros(1), x, y, np.zeros(3), 1e-6, *chebyshev(16))
    assert mean[0] == pytest.approx(2.0)
    assert cov[0] == pytest.approx(np.cov(x, y, bias=True)[0, 1])


def test_steep_slopes_pick_the_largest_or_smallest_key():
    y = np.array([-2.0, 0.0, 0.5, 3.0])
    mean, var = tilted_mean(np.array([1e6, -1e6]), y, y, np.zeros(4), 1e-6, *chebyshev(16))
    assert mean.tolist() == [3.0, -2.0]
    assert var.tolist() == [0.0, 0.0]


def test_an_infinite_slope_gives_nan_and_no_crash():
    y = np.array([0.0, 1.0])
    plan = (np.zeros(2), 1e-6, *chebyshev(16))
    assert np.isnan(tilted_mean(np.array([0.0, np.inf]), y, y, *plan)).all()
    grad = tilted_mean_key_gradient(np.array([0.0, np.inf]), np.ones(2), y, y, *plan)
    assert np.isnan(grad).all()
