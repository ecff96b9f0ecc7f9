"""scipy is the oracle, where it is accurate itself; `TAILS` are where it is not, or where a mistake would hide."""

import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special as scipy

from ci_ml.stats import special

SOURCE = Path(special.__file__).parents[1]


def log_uniform(generator: np.random.Generator, low: float, high: float, size: int) -> np.ndarray:
    return 10 ** generator.uniform(low, high, size)


def parameters(generator: np.random.Generator, highest: float, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Parameters of the incomplete beta function, half of them those of a binomial distribution."""
    a, b = (log_uniform(generator, math.log10(0.5), highest, size) for _ in range(2))
    whole = generator.random(size) < 0.5
    return np.where(whole, np.ceil(a), a), np.where(whole, np.ceil(b), b)


def agree(found: list[float], expected: np.ndarray, tolerance: float) -> None:
    here = expected > 1e-280
    assert here.mean() > 0.5
    wrong = np.abs(np.array(found)[here] / expected[here] - 1)
    assert wrong.max() < tolerance, wrong.max()


# scipy itself loses digits as parameters grow.
@pytest.mark.parametrize(("highest", "tolerance"), [(3, 3e-13), (5, 2e-12), (8, 1e-9)])
def test_the_incomplete_beta_function_is_scipys(highest: float, tolerance: float) -> None:
    generator = np.random.default_rng(1)
    a, b = parameters(generator, highest, 2_000)
    mean = a / (a + b)
    x = mean + np.sqrt(mean * (1 - mean) / (a + b)) * generator.uniform(-30, 8, len(a))
    x = np.where((x > 0) & (x < 1), x, generator.random(len(a)) * mean)
    agree([special.beta_cdf(*one) for one in zip(x.tolist(), a.tolist(), b.tolist(), strict=True)],
          scipy.betainc(a, b, x), tolerance)  # fmt: skip


def test_its_inverse_is_scipys() -> None:
    generator = np.random.default_rng(2)
    a, b = parameters(generator, 5, 500)
    p = log_uniform(generator, -16, math.log10(0.5), 500)
    found = [special.beta_quantile(*one) for one in zip(p.tolist(), a.tolist(), b.tolist(), strict=True)]
    agree(found, scipy.betaincinv(a, b, p), 1e-12)


def test_student_is_scipys() -> None:
    generator = np.random.default_rng(3)
    df = np.where(generator.random(2_000) < 0.5, 1, 0) + log_uniform(generator, 0, 9, 2_000)
    t = log_uniform(generator, -4, math.log10(36), 2_000)
    below = scipy.stdtr(df, -t)
    agree([special.t_cdf(-one, two) for one, two in zip(t.tolist(), df.tolist(), strict=True)], below, 1e-12)
    above = [special.t_cdf(one, two) for one, two in zip(t.tolist(), df.tolist(), strict=True)]
    assert above == pytest.approx(scipy.stdtr(df, t), rel=1e-14)


def test_its_quantile_is_scipys() -> None:
    generator = np.random.default_rng(4)
    df = log_uniform(generator, 0, 9, 1_000)
    p = np.concatenate([log_uniform(generator, -16, -0.4, 500), generator.uniform(0.2, 0.4999, 500)])
    found = np.array([special.t_quantile(one, two) for one, two in zip(p.tolist(), df.tolist(), strict=True)])
    agree((-found).tolist(), -scipy.stdtrit(df, p), 1e-12)
    assert special.t_quantile(0.5, 7) == 0
    assert special.t_quantile(0.975, 7) == pytest.approx(-special.t_quantile(0.025, 7), rel=1e-14)


def test_the_normal_distribution_is_scipys() -> None:
    x = np.concatenate([np.linspace(-37, 8, 3_000), np.linspace(-0.01, 0.01, 100)])
    agree([special.normal_cdf(one) for one in x.tolist()], scipy.ndtr(x), 1e-12)
    p = np.concatenate([log_uniform(np.random.default_rng(5), -300, -0.31, 2_000), np.linspace(0.501, 0.999, 500)])
    agree(np.abs([special.normal_quantile(one) for one in p.tolist()]).tolist(), np.abs(scipy.ndtri(p)), 1e-13)


def test_log_odds_are_scipys() -> None:
    p = np.concatenate([log_uniform(np.random.default_rng(6), -300, -1e-9, 2_000), 0.5 + np.logspace(-15, -0.4, 200)])
    assert [special.logit(one) for one in p.tolist()] == pytest.approx(scipy.logit(p), rel=1e-14)
    x = np.linspace(-700, 740, 3_000)
    assert [special.expit(one) for one in x.tolist()] == pytest.approx(scipy.expit(x), rel=1e-14, abs=0)
    assert special.expit(-1e6) == 0
    assert special.expit(1e6) == 1


# Computed with 50 digits (mpmath, the continued fraction by Lentz's method).
TAILS: list[tuple[Callable[..., float], tuple[float, ...], float]] = [
    (special.beta_cdf, (0.5, 5e7, 5e7 + 1), 0.5000398942279404),
    (special.beta_cdf, (0.4999, 5e7, 5e7 + 1), 0.022755530234748453),
    (special.beta_cdf, (0.499, 5e7, 5e7 + 1), 2.7580416471280982e-89),
    (special.beta_cdf, (0.3, 3e5, 6.5e5), 3.5465474390170047e-245),
    (special.beta_cdf, (2.5e-8, 1, 1e8), 0.9179150039412574),
    (special.beta_cdf, (1e-7, 3, 1e8), 0.997230605646486),
    (special.beta_cdf, (0.99999995, 1e8, 4), 0.2650258868127844),
    (special.beta_cdf, (1e-5, 0.5, 0.5), 0.0020131718394753874),
    (special.beta_cdf, (0.9, 500, 2.5), 3.6253410204345285e-21),
    (special.t_cdf, (-2, 1), 0.14758361765043326),
    (special.t_cdf, (-1e-3, 3), 0.49963244748473046),
    (special.t_cdf, (-10, 1e8), 7.620047315123921e-24),
    (special.t_cdf, (-37, 1e8), 5.752499888411458e-300),
    (special.t_cdf, (-38, 2), 0.00034590111369387096),
    (special.t_cdf, (-1e50, 1.5), 3.770852432016246e-76),
    (special.t_cdf, (-2.5, 1e15), 0.006209665325776215),
    (special.t_cdf, (-30, 40), 2.425453830295104e-29),
    (special.normal_cdf, (-37.5,), 4.605353009581955e-308),
    (special.normal_cdf, (-10,), 7.619853024160525e-24),
    (special.normal_cdf, (-1e-8,), 0.4999999960105772),
    (special.normal_cdf, (5,), 0.9999997133484281),
]


@pytest.mark.parametrize(("function", "arguments", "expected"), TAILS)
def test_tails_are_right_to_twelve_digits(
    function: Callable[..., float], arguments: tuple[float, ...], expected: float
) -> None:
    assert function(*arguments) == pytest.approx(expected, rel=3e-13)


@given(a=st.floats(0.5, 1e8), b=st.floats(0.5, 1e8), k=st.integers(1, 2**20 - 1))
def test_both_tails_make_one(a: float, b: float, k: int) -> None:
    x = k / 2**20  # so that 1 - x is exact
    assert special.beta_cdf(x, a, b) + special.beta_cdf(1 - x, b, a) == pytest.approx(1, abs=1e-13)


@given(a=st.floats(0.5, 1e6), b=st.floats(0.5, 1e6), p=st.floats(1e-100, 0.5))
def test_a_quantile_is_where_the_distribution_reaches_it(a: float, b: float, p: float) -> None:
    x = special.beta_quantile(p, a, b)
    if 1e-300 < x < 0.5:  # above, neighbouring numbers are too far apart
        low, high = (special.beta_cdf(x * factor, a, b) for factor in (1 - 1e-13, 1 + 1e-13))
        assert low * (1 - 1e-12) <= p <= high * (1 + 1e-12)


def test_ends_and_extremes() -> None:
    assert (special.beta_cdf(0, 2, 3), special.beta_cdf(1, 2, 3)) == (0, 1)
    assert special.beta_cdf(1e-300, 1e8, 1e8) == 0
    assert special.t_cdf(0, 3) == 0.5
    assert special.t_cdf(-1e300, 4) < 1e-290
    assert special.t_cdf(1e300, 4) == 1


@pytest.mark.parametrize("p", [0, 1, -0.1, 1.1, math.nan])
def test_a_quantile_belongs_to_a_share(p: float) -> None:
    for quantile in (special.normal_quantile, special.logit):
        with pytest.raises(ValueError, match="lies between 0 and 1"):
            quantile(p)
    for quantile in (special.t_quantile, lambda p, df: special.beta_quantile(p, df, df)):
        with pytest.raises(ValueError, match="lies between 0 and 1"):
            quantile(p, 3)


@pytest.mark.parametrize(("x", "a", "b"), [(-1, 1, 1), (1.1, 1, 1), (0.5, 0, 1), (0.5, 1, math.nan), (math.nan, 1, 1),
                                           (0.5, math.inf, 1)])  # fmt: skip
def test_what_is_no_beta_distribution_is_refused(x: float, a: float, b: float) -> None:
    with pytest.raises(ValueError, match="needs x in"):
        special.beta_cdf(x, a, b)


def test_what_is_no_t_distribution_is_refused() -> None:
    for df in (0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match="degrees of freedom"):
            special.t_cdf(1, df)
        with pytest.raises(ValueError, match="degrees of freedom"):
            special.t_quantile(0.1, df)
    with pytest.raises(ValueError, match="NaN"):
        special.t_cdf(math.nan, 3)


def test_statistics_work_where_scipy_is_not_installed() -> None:
    modules = sorted(f"ci_ml.stats.{path.stem}" for path in (SOURCE / "stats").glob("*.py"))
    code = f"import sys; sys.modules['scipy'] = None; import {', '.join(modules)}"
    subprocess.run([sys.executable, "-c", code.replace(".__init__", "")], check=True)
    for path in SOURCE.rglob("*.py"):
        assert not re.search(r"^\s*(import|from) scipy\b", path.read_text(encoding="utf-8"), re.MULTILINE), path


def test_what_decides_about_numbers_is_loaded_without_numpy() -> None:
    code = "import sys, ci_ml.stats.{0}, ci_ml.stats.{1}, ci_ml.stats.{2}; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code.format("power", "holm", "proportion")], check=True)
