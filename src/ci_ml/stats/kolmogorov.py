"""How likely the largest distance between two distribution functions is by chance. Layer: stats.

The two-sided distribution of Kolmogorov's statistic, at the sample size that two samples are worth together, as scipy's
`ks_2samp(method="asymp")` has it. Which formula serves where: Simard and L'Ecuyer (2011, Journal of Statistical
Software 39:11). For values that repeat, the answer is larger than the truth, so a claim stays a claim.
"""

import math

import numpy as np

# Up to here Durbin's matrices are small, and exact.
_SMALL = 140
# Beyond this n·d², twice the one-sided probability is the two-sided one to all digits that anybody reads.
_TAIL = {True: 4.0, False: 2.2}
# Up to here Smirnov's sum is summed; beyond, its limit with the first correction is exact to 1e-3 of itself.
_SUMMED = 20_000


def p_value(distance: float, one: int, other: int) -> float:
    """P(D >= distance) for samples of these sizes. Raises ValueError for a distance outside of 0..1 or an empty one."""
    if not 0 <= distance <= 1:
        raise ValueError(f"a distance of distribution functions lies between 0 and 1, and is not {distance}")
    if min(one, other) < 1:
        raise ValueError("a distance of distribution functions needs a value on each side")
    # As large numbers as a product of table sizes are no trouble for Python's integers.
    return exceeded(distance, max(1, round(one * other / (one + other))))


def exceeded(distance: float, n: int) -> float:
    """P(D_n >= distance) of a sample of n values against its own distribution."""
    if distance <= 0:
        return 1.0
    if distance >= 1:
        return 0.0
    if n * distance <= 0.5:
        return 1.0
    if n * distance**2 >= _TAIL[n <= _SMALL] or distance >= 0.5:
        return min(1.0, 2 * _one_sided(distance, n))
    return min(max(1 - (_durbin(distance, n) if n <= _SMALL else _pelz_good(distance, n)), 0.0), 1.0)


def _one_sided(distance: float, n: int) -> float:
    """P(D+ >= distance): Smirnov's sum, and for large samples its limit."""
    if n > _SUMMED:
        return math.exp(-((6 * n * distance + 1) ** 2) / (18 * n))
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    below = np.arange(math.floor(n * (1 - distance)) + 1)
    left, right = 1 - distance - below / n, distance + below / n
    inside = left > 0
    below, left, right = below[inside], left[inside], right[inside]
    terms = logs[n] - logs[below] - logs[n - below] + (n - below) * np.log(left) + (below - 1) * np.log(right)
    return float(distance * np.exp(terms).sum())


def _durbin(distance: float, n: int) -> float:
    """P(D_n < distance) by the power of a matrix: Marsaglia, Tsang and Wang (2003, JSS 8:18)."""
    k = math.ceil(n * distance)
    rest, size = k - n * distance, 2 * k - 1
    places = np.arange(1, size + 1)
    factorials = np.concatenate([[1.0], 1 / np.cumprod(places.astype(float))])
    column = (1 - rest**places) * factorials[1:]
    column[-1] = (1 - 2 * rest**size + max(2 * rest - 1, 0) ** size) * factorials[size]
    steps = places[:, None] - places[None, :] + 1
    matrix = np.where(steps >= 0, factorials[np.clip(steps, 0, size)], 0.0)
    matrix[:, 0], matrix[-1, :] = column, column[::-1]
    # n! / n^n is as small as the power is large: the factors go in one by one.
    power, scale = np.eye(size), 0.0
    for _ in range(n):
        power = power @ matrix
        largest = float(np.abs(power).max())
        power, scale = power / largest, scale + math.log(largest)
    return float(power[k - 1, k - 1] * math.exp(scale + math.lgamma(n + 1) - n * math.log(n)))


def _pelz_good(distance: float, n: int) -> float:
    """P(D_n < distance) by three corrections of Kolmogorov's limit: Pelz and Good (1976, JRSS B 38:152)."""
    z = math.sqrt(n) * distance
    if z < 0.05:  # where the limit is 0 to the last digit
        return 0.0
    count = math.ceil(16 * z / math.pi) + 1
    odd = (np.pi * (np.arange(1, count + 1) - 0.5)) ** 2
    whole = (np.pi * np.arange(1, count + 1)) ** 2
    theta, rest = np.exp(-odd / (2 * z**2)), np.exp(-whole / (2 * z**2))
    first = theta.sum() / z
    second = (theta * (odd - z**2)).sum() / (6 * z**4)
    third = (
        (theta * (6 * z**6 + 2 * z**4 + (2 * z**4 - 5 * z**2) * odd + (1 - 2 * z**2) * odd**2)).sum() / (72 * z**7)
    ) - (rest * whole).sum() / (36 * z**3)
    fourth = (
        theta
        * (
            (5 - 30 * z**2) * odd**3
            + (-60 * z**2 + 212 * z**4) * odd**2
            + (135 * z**4 - 96 * z**6) * odd
            - 30 * z**6
            - 90 * z**8
        )
    ).sum() / (6480 * z**10) + (rest * (3 * z**2 - whole) * whole).sum() / (216 * z**6)
    root = math.sqrt(n)
    return float(math.sqrt(2 * math.pi) * (first + second / root + third / n + fourth / n**1.5))
