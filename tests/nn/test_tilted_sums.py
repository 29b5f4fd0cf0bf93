"""The sums of a whole panel against those of its nodes one by one."""

import numpy as np
import pytest

from genegraph.nn.chebyshev import chebyshev, interpolate, spread_back
from genegraph.nn.panels import heaviest
from genegraph.nn.tilted_sums import (
    add_key_gradient,
    add_node_gradients,
    moments,
    node_moments,
    power_series,
)

NODES, TO_COEF = chebyshev(16)
SIZES = [1, 2, 255, 256, 257, 700]  # a chunk is 256


def panel(num_keys, steepness, seed=0):
    """Sorted keys, weights, and a panel of the greatest width that may be."""
    rng = np.random.default_rng(seed)
    y = np.sort(rng.normal(size=num_keys))
    x, u = rng.normal(size=num_keys), 3 * rng.normal(size=num_keys)
    half = 2.0 / max(y[-1] - y[0], 1e-3)
    centre = steepness * half
    return x, y, u, centre, half, heaviest(centre, y, u, 0, num_keys)


@pytest.mark.parametrize("num_keys", SIZES)
@pytest.mark.parametrize("steepness", [-1000.0, -3.0, 0.0, 3.0, 1000.0])
def test_all_nodes_at_once_equal_each_by_itself(num_keys, steepness):
    x, y, u, centre, half, top = panel(num_keys, steepness)
    e = np.empty(num_keys)
    mean, cov, _ = node_moments(centre, half, power_series(NODES), x, y, u, 0, num_keys, top, e)
    each = [moments(centre + half * t, x, y, u, 0, num_keys, top) for t in NODES]
    expected_mean, expected_cov = np.array(each).T
    np.testing.assert_allclose(mean + x[top], expected_mean, rtol=0, atol=1e-13)
    np.testing.assert_allclose(cov, expected_cov, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("num_keys", SIZES)
@pytest.mark.parametrize("steepness", [-1000.0, 0.0, 3.0])
def test_gradients_of_all_nodes_at_once_equal_each_by_itself(num_keys, steepness):
    x, y, u, centre, half, top = panel(num_keys, steepness)
    g = np.random.default_rng(1).normal(size=16)
    e, ours, expected = np.empty(num_keys), np.ones((3, num_keys)), np.ones((3, num_keys))
    keys = (x, y, u, 0, num_keys, top, e)
    add_node_gradients(centre, half, NODES, g, power_series(NODES), *keys, ours)
    for t, upstream in zip(NODES, g, strict=True):
        add_key_gradient(centre + half * t, upstream, *keys, expected)
    scale = np.abs(expected - 1).max(1, keepdims=True)
    assert (np.abs(ours - expected) <= 1e-12 * scale + 1e-13).all()


def test_a_part_of_the_keys_leaves_the_others_alone():
    x, y, u, centre, half, top = panel(300, 0.0)
    lo, hi = min(top, 20), max(top + 1, 280)
    out, e = np.zeros((3, 300)), np.empty(300)
    add_node_gradients(
        centre, half, NODES, np.ones(16), power_series(NODES), x, y, u, lo, hi, top, e, out
    )
    assert (out[:, :lo] == 0).all()
    assert (out[:, hi:] == 0).all()
    assert (out[0, lo:hi] != 0).all()


@pytest.mark.parametrize("num_slopes", SIZES)
def test_interpolation_is_the_polynomial_and_spreading_back_its_adjoint(num_slopes):
    rng = np.random.default_rng(num_slopes)
    slopes, g = rng.uniform(3.0, 7.0, num_slopes), rng.normal(size=num_slopes)
    at_nodes = rng.normal(size=(2, 16))
    order = rng.permutation(num_slopes)
    out = np.empty((2, num_slopes))
    mean, cov = at_nodes @ TO_COEF.T
    interpolate(slopes, order, 5.0, 2.0, mean, cov, out)
    expected = np.polynomial.chebyshev.chebval((slopes - 5) / 2, np.stack([mean, cov], 1))
    np.testing.assert_allclose(out, expected, atol=1e-12)
    back = spread_back(slopes, order, 5.0, 2.0, g, TO_COEF)
    np.testing.assert_allclose(back @ at_nodes.T, out @ g, atol=1e-11)


@pytest.mark.parametrize("num_keys", SIZES)
@pytest.mark.parametrize("s", [-1e6, -1.0, 0.0, 2.0, 1e6])
def test_the_heaviest_key_has_the_largest_exponent(num_keys, s):
    rng = np.random.default_rng(num_keys)
    for _ in range(20):
        y, u = np.sort(rng.normal(size=num_keys)), rng.normal(size=num_keys)
        lo = int(rng.integers(num_keys))
        hi = int(rng.integers(lo, num_keys)) + 1
        assert heaviest(s, y, u, lo, hi) == lo + np.argmax(s * y[lo:hi] + u[lo:hi])
