import numba
import numpy as np
import pytest

from genegraph.nn.exponential import exp_float32, exp_float64


@numba.njit
def each_float32(x, out):
    for i in range(len(x)):
        out[i] = exp_float32(x[i])


@numba.njit
def each_float64(x, out):
    for i in range(len(x)):
        out[i] = exp_float64(x[i])


def exponentials(x):
    out = np.empty_like(x)
    (each_float32 if x.dtype == np.float32 else each_float64)(x, out)
    return out


CASES = [(np.float32, -87.3, 1e-7), (np.float64, -708.0, 3e-16)]


@pytest.mark.parametrize(("dtype", "lowest", "tolerance"), CASES)
def test_equals_the_exponential_down_to_the_smallest_normal_number(dtype, lowest, tolerance):
    halfway = (np.arange(-120, 0) + 0.5) * np.log(2)  # where the power of two changes
    random = np.random.default_rng(0).uniform(lowest, 0, 200_000)
    small = -np.logspace(-320, 0, 3_001)
    x = np.concatenate([halfway, random, small, [lowest, 0.0, -0.0]]).astype(dtype)
    assert np.abs(exponentials(x) / np.exp(x.astype(np.longdouble)) - 1).max() < tolerance


@pytest.mark.parametrize(("dtype", "lowest", "tolerance"), CASES)
def test_positive_arguments_are_right_too(dtype, lowest, tolerance):
    x = np.linspace(0, -lowest, 10_001).astype(dtype)
    assert np.abs(exponentials(x) / np.exp(x.astype(np.longdouble)) - 1).max() < tolerance


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zero_gives_exactly_one_and_what_is_too_small_exactly_zero(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    assert (exponentials(np.array([0.0, -0.0, tiny, -tiny], dtype)) == 1).all()
    far = [-np.inf, np.finfo(dtype).min, -1e30, -1e6, -1000.0, -710.0]
    assert (exponentials(np.array(far, dtype)) == 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_not_a_number_stays_so(dtype):
    assert np.isnan(exponentials(np.array([np.nan] * 40, dtype))).all()


@pytest.mark.parametrize(("dtype", "lowest", "_"), CASES)
def test_never_falls_by_more_than_rounding(dtype, lowest, _):
    x = np.sort(np.random.default_rng(0).uniform(lowest - 1, 0, 300_000).astype(dtype))
    assert (np.diff(exponentials(x)) >= -2 * np.finfo(dtype).eps * exponentials(x[1:])).all()


@pytest.mark.parametrize(("function", "dtype"), [(each_float32, "f4"), (each_float64, "f8")])
def test_a_result_does_not_depend_on_its_place_in_the_array(function, dtype):
    x = -np.random.default_rng(0).gamma(2, 5, 37).astype(dtype)
    together = exponentials(x)
    alone = np.concatenate([exponentials(x[i : i + 1]) for i in range(len(x))])
    assert (together == alone).all()


@pytest.mark.parametrize(("function", "dtype"), [(each_float32, "f4"), (each_float64, "f8")])
def test_the_loop_is_vector_instructions_without_calls_of_the_library(function, dtype):
    exponentials(np.zeros(3, dtype))
    code = "\n".join(function.inspect_llvm().values())
    assert "x float>" in code or "x double>" in code
    assert "@exp" not in code
    assert "llvm.exp" not in code
