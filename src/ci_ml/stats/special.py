"""The special functions that intervals and p-values need: normal, Student's t, incomplete beta, logit. Layer: stats.

scipy.special has them all, in an installation of 113 MB (decision 6). What is small is computed as itself here, never
as 1 - something, so that tails keep their relative accuracy: 2e-13, down to probabilities of 1e-290. Numbers only, no
arrays: without numpy this is loaded in a millisecond.
"""

import functools
import math
from fractions import Fraction
from statistics import NormalDist

_NORMAL = NormalDist()
_HALF_LOG_TWO_PI = math.log(2 * math.pi) / 2

# Newton's method doubles the digits with each step, so a step this small is the last; it takes 5 to 10.
_CLOSE = 1e-10
_STEPS = 100


def normal_cdf(x: float) -> float:
    """P(X <= x) of the standard normal distribution."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


def normal_quantile(p: float) -> float:
    """The inverse of `normal_cdf` (Wichura 1988, Applied Statistics 37:477). Raises ValueError unless 0 < p < 1."""
    _share(p)
    return _NORMAL.inv_cdf(p)


def logit(p: float) -> float:
    """log(p / (1 - p)), exact around 1/2 too. Raises ValueError unless 0 < p < 1."""
    _share(p)
    return 2 * math.atanh(2 * p - 1) if 0.25 < p < 0.75 else math.log(p / (1 - p))


def expit(x: float) -> float:
    """1 / (1 + exp(-x)), the inverse of `logit`."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _share(p: float) -> None:
    if not 0 < p < 1:
        raise ValueError(f"a probability with a quantile lies between 0 and 1, and is not {p}")


# --- Student's t ---


def t_cdf(x: float, df: float) -> float:
    """P(X <= x) of Student's t with `df` degrees of freedom. Raises ValueError unless df > 0, and for NaN."""
    _positive(df)
    if x == 0:
        return 0.5
    if math.isnan(x):
        raise ValueError("a probability of NaN is none")
    tail = 0.5 * math.exp(_student(abs(x), df)[0])
    return tail if x < 0 else 1 - tail


@functools.lru_cache(maxsize=1_024)
def t_quantile(p: float, df: float) -> float:
    """The inverse of `t_cdf`. Raises ValueError unless 0 < p < 1 and df > 0."""
    _share(p)
    _positive(df)
    if p >= 0.5:
        return -t_quantile(1 - p, df) if p > 0.5 else 0.0
    # Newton's method on log scales, where the curves are concave; it begins on the near side of the solution, as the
    # normal's tail is lighter. Around the middle, what is matched is the probability of lying closer to it.
    t = -normal_quantile(p)
    goal = math.log(2 * p if p < 0.25 else 1 - 2 * p)
    for _ in range(_STEPS):
        value, slope = _student(t, df, middle=p >= 0.25)
        step = (goal - value) / slope
        t *= math.exp(step)
        if abs(step) < _CLOSE:
            break
    return -t


def _positive(df: float) -> None:
    if not 0 < df < math.inf:
        raise ValueError(f"degrees of freedom are a positive number, not {df}")


def _student(t: float, df: float, *, middle: bool = False) -> tuple[float, float]:
    """log P(|X| > t), or of P(|X| < t), and its slope in log t, for t > 0."""
    t = min(t, 1e150)  # whose square is still a number
    total = df + t * t
    x, y, d = df / total, t * t / total, df / 2 * ((t - 1) / total) * (t + 1)
    if middle:
        value, slope = _log_beta(y, x, 0.5, df / 2, -d)
        return value, 2 * x * slope
    value, slope = _log_beta(x, y, df / 2, 0.5, d)
    return value, -2 * y * slope


# --- Incomplete beta function ---
#
# Below, y = 1 - x, and d = a·y - b·x says how far x lies under the mean a / (a + b). Callers give all three: each knows
# a form in which they do not cancel, and a far tail magnifies their errors.


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function I_x(a, b), for a and b of 1/2 or more.

    P(X >= k) of n throws of a coin that shows heads with probability x is I_x(k, n - k + 1). The time grows with the
    square root of the smaller of a and b. Raises ValueError for x outside of 0..1, and a or b not positive.
    """
    if not (0 <= x <= 1 and min(a, b) > 0 and math.isfinite(a + b)):
        raise ValueError(f"I_x(a, b) needs x in 0..1 and positive a and b, not {x}, {a} and {b}")
    return x if x in {0, 1} else math.exp(_log_beta(x, 1 - x, a, b, _below_mean(x, a, b))[0])


def beta_quantile(p: float, a: float, b: float) -> float:
    """The x with I_x(a, b) = p, for a and b of 1/2 or more. Raises ValueError unless 0 < p < 1.

    For p close to 1, 1 - beta_quantile(1 - p, b, a) is the accurate form.
    """
    _share(p)
    # log I is concave in log x, so Newton's method comes up to the solution from below, wherever it begins.
    x = a / (a + b)
    for _ in range(_STEPS):
        value, slope = _log_beta(x, 1 - x, a, b, _below_mean(x, a, b))
        step = (math.log(p) - value) / slope
        x *= math.exp(step)
        if abs(step) < _CLOSE:
            break
    return x


def _below_mean(x: float, a: float, b: float) -> float:
    return float(Fraction(a) - (Fraction(a) + Fraction(b)) * Fraction(x))


def _log_beta(x: float, y: float, a: float, b: float, d: float) -> tuple[float, float]:
    """log I_x(a, b), and its slope in log x."""
    weight = _log_weight(x, y, a, b, d)
    if d >= 0:
        fraction = _fraction(x, a, b, d)
        return weight - math.log(fraction), fraction / y
    rest = math.exp(weight) / _fraction(y, b, a, -d)
    return math.log1p(-rest), math.exp(weight) / (y * (1 - rest))


def _log_weight(x: float, y: float, a: float, b: float, d: float) -> float:
    """The logarithm of x^a · y^b / B(a, b), as Loader computes binomial probabilities (2000).

    Stirling's formula turns its large terms into two deviances, which do not cancel.
    """
    total = a + b
    deviance = _deviance(a, total * x, d) + _deviance(b, total * y, -d)
    corrections = _stirling(total) - _stirling(a) - _stirling(b)
    return 0.5 * math.log(a / total * b) - _HALF_LOG_TWO_PI - deviance + corrections


def _deviance(k: float, mean: float, d: float) -> float:
    """k · log(k / mean) + mean - k, given d = k - mean."""
    v = d / (k + mean)
    if abs(v) > 0.5:
        return k * math.log(k / mean) - d
    # log(k / mean) is 2 · atanh(v), of whose series the first term, less d, is d · v.
    power, terms = v, 0.0
    for odd in range(3, 57, 2):
        power *= v * v
        terms += power / odd
    return d * v + 2 * k * terms


def _stirling(z: float) -> float:
    """What Stirling's formula leaves of log Γ(z)."""
    if z < 32:
        return math.lgamma(z) - (z - 0.5) * math.log(z) + z - _HALF_LOG_TWO_PI
    w = 1 / (z * z)
    return (1 / 12 - w * (1 / 360 - w * (1 / 1260 - w / 1680))) / z


def _fraction(x: float, a: float, b: float, d: float) -> float:
    """x^a · y^b / (B(a, b) · I_x(a, b)) for x up to the mean, as a continued fraction.

    DiDonato and Morris (1992, ACM Transactions on Mathematical Software 18:360), equation 9. Computed from its far end
    it loses no digits; how far that has to be is found by going further until nothing changes.
    """
    before = math.nan
    for terms in (32 << doubling for doubling in range(20)):
        value = 0.0
        for m in range(terms, 0, -1):
            inner, left = a + 2 * m - 1, m * (b - m) * x
            below = m + left / inner + (a + m) / (inner + 2) * (d + 1 + m * (2 - x))
            value = (a + m - 1) / inner * ((a + b + m - 1) / inner) * left * x / (below + value)
        value += a * (d + 1) / (a + 1)
        if abs(value - before) <= 1e-15 * value:
            return value
        before = value
    raise ArithmeticError(f"I_x(a, b) does not converge at x = {x}, a = {a}, b = {b}")


# --- Incomplete gamma function ---


def chi_square_tail(x: float, df: int) -> float:
    """P(X >= x) of the chi-square distribution: 2e-11 of itself for up to 10,000 degrees of freedom.

    Raises ValueError for x below 0 or NaN, and for no degree of freedom.
    """
    if not (x >= 0 and df >= 1):
        raise ValueError(f"a chi-square is 0 or more, with a degree of freedom or more, not {x} and {df}")
    if x in {0, math.inf}:
        return 1.0 if x == 0 else 0.0
    a, x = df / 2, x / 2
    weight = a * math.log(x) - x - math.lgamma(a)
    return 1 - _lower_gamma(a, x, weight) if x < a + 1 else _upper_gamma(a, x, weight)


def _lower_gamma(a: float, x: float, weight: float) -> float:
    """The share of Γ(a) below x, as a series; `weight` is the logarithm of x^a · e^-x / Γ(a)."""
    term = total = 1 / a
    step = a
    while term > total * 1e-17:
        step += 1
        term *= x / step
        total += term
    return total * math.exp(weight)


def _upper_gamma(a: float, x: float, weight: float) -> float:
    """The share of Γ(a) above x, as Legendre's continued fraction, from its far end."""
    before = math.nan
    for terms in (32 << doubling for doubling in range(20)):
        value = x + 2 * terms + 1 - a
        for k in range(terms, 0, -1):
            value = x + 2 * k - 1 - a - k * (k - a) / value
        if abs(value - before) <= 1e-15 * value:
            return math.exp(weight) / value
        before = value
    raise ArithmeticError(f"the incomplete gamma function does not converge at a = {a}, x = {x}")
