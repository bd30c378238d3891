"""Prints the coefficients in framework/kernels/vecmath.h. Run: python3 tests/golden/polynomials.py

Each polynomial is the one whose largest weighed error over an interval is smallest, found by
Lawson's method: least squares at Chebyshev's points, where each round gives a point more weight the
larger its error is. The coefficients are then rounded to float.
"""

import math

import numpy
from numpy.polynomial import Chebyshev, Polynomial, chebyshev


def fit(name, f, low, high, degree, weight, points=2000, rounds=300):
    t = numpy.cos(math.pi * (numpy.arange(points) + 0.5) / points)
    x = (low + high) / 2 + (high - low) / 2 * t
    y, w = (numpy.array([g(v) for v in x]) for g in (f, weight))
    basis, share, best = chebyshev.chebvander(t, degree), numpy.ones(points), (math.inf, None)
    for _ in range(rounds):
        s = numpy.sqrt(share) * w
        c = numpy.linalg.lstsq(basis * s[:, None], y * s, rcond=None)[0]
        error = numpy.abs(w * (basis @ c - y))
        best = min(best, (error.max(), list(c)))
        share *= error
        share /= share.sum()
    exact = Chebyshev(best[1], domain=[low, high]).convert(kind=Polynomial).coef
    rounded = [float(numpy.float32(c)) for c in exact]
    error = numpy.abs(w * (Polynomial(rounded)(x) - y)).max()
    print(f"{name}: error {error:.1e}\n   ", ", ".join(c.hex().replace("0000000p", "p") for c in rounded))


def series(term, x, closed):  # the closed form cancels near 0
    return sum(term(k) * x**k for k in range(40)) if abs(x) < 0.05 else closed(x)


def exp_rest(r):  # (e^r - 1 - r) / r^2
    return series(lambda k: 1 / math.factorial(k + 2), r, lambda r: (math.expm1(r) - r) / r**2)


def log_rest(f):  # (log(1 + f) - f + f^2 / 2) / f^3
    return series(lambda k: (-1)**k / (k + 3), f, lambda f: (math.log1p(f) - f + f * f / 2) / f**3)


def erf_rest(s):  # erf(x) / x - 1 with s = x^2
    return math.erf(math.sqrt(s)) / math.sqrt(s) - 1


def tail_over_bell(x):  # of the normal distribution; far out by its continued fraction
    x /= math.sqrt(2)
    if x < 5:
        return math.exp(x * x) * math.erfc(x) / 2
    below = 0.0
    for k in range(60, 0, -1):
        below = k / 2 / (x + below)
    return 1 / math.sqrt(math.pi) / (x + below) / 2


def ratio(s):  # tail / bell / s with s = 1 / (1 + 0.24 x)
    return tail_over_bell((1 / s - 1) / 0.24) / s


half = math.log(2) / 2 * 1.0003
fit("exp", exp_rest, -half, half, 4, abs)
fit("log", log_rest, math.sqrt(0.5) - 1, math.sqrt(2) - 1, 8, lambda f: abs(f**3 / math.log1p(f)))
fit("erf", erf_rest, 0, 1, 6, lambda s: 1 / (1 + erf_rest(s)))
fit("normal", ratio, 1 / (1 + 0.24 * 14.6), 1, 9, lambda s: 1 / ratio(s))
