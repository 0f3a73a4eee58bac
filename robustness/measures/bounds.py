"""Bounds on how much a reconstruction can change when the samples change by delta, and how far each gets.

Notation: s the singular values of A (|A| <= 1 for unit-norm maps), lambda_n the weights of data consistency,
a_n = |(A^H A + lambda_n I)^-1| <= 1 / lambda_n, e_n the largest |x_n(y + delta) - x_n(y)|, z_n the (smoothed) denoiser's output.
Every step obeys

    e_{n+1} <= b_n |delta| + lambda_n a_n |z_n(x_n') - z_n(x_n)|,   b_n = max_s s / (s^2 + lambda_n) <= 1 / (2 sqrt(lambda_n)).

Gaussian smoothing of a map with |D| <= B is sqrt(2/pi) B / sigma Lipschitz (Salman 2019, arXiv 1906.04584, lemma 1; with M = 2 B
this is the M / (sqrt(2 pi) sigma) of Theorem 1 of arXiv 2312.07784). It holds for the expectation over the noise: the mean of a
few copies of one draw is only as smooth as the denoiser itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def smoothed_lipschitz(output_bound: float, sigma: float) -> float:
    """Return the Lipschitz constant of the Gaussian smoothing of a map with ``|D(x)|_2 <= output_bound``: sqrt(2/pi) B / sigma."""
    return math.sqrt(2 / math.pi) * output_bound / sigma


def log10_theorem_1(
    steps: int,
    output_bound: float,
    sigma: float,
    inverse: Sequence[float],
    lambdas: Sequence[float],
    norm_a: float = 1.0,
) -> float:
    """Return log10 of C_N of Theorem 1, ``|x_N(A^H y) - x_N(A^H (y + delta))| <= C_N |delta|``, here with a lambda of each step.

    ``C_0 = |A|;  C_{n+1} = a_n |A| + q_n C_n``, ``q_n = lambda_n a_n sqrt(2/pi) B / sigma``; for equal steps and lambda = 1 this is
    the closed form ``a |A| (1 - q^n) / (1 - q) + |A| q^n``.

    Args:
        steps: N. output_bound: B. sigma: of the smoothing noise. inverse: a_n. lambdas: lambda_n. norm_a: |A|.
    """
    constant = norm_a
    exponent = 0.0  # constant * 10^exponent: the product overflows no float
    for step in range(steps):
        q = lambdas[step] * inverse[step] * smoothed_lipschitz(output_bound, sigma)
        constant = inverse[step] * norm_a * 10**-exponent + q * constant
        shift = math.floor(math.log10(constant))
        constant, exponent = constant / 10**shift, exponent + shift
    return math.log10(constant) + exponent


def log10_rs_e2e(output_bound: float, sigma: float, norm_a: float = 1.0) -> float:
    """Return log10 of the constant of RS-E2E: one smoothing of a whole network f with ``|f| <= output_bound``.

    ``|A| sqrt(2/pi) B / sigma`` for noise on the whole input A^H y; with noise on the sampled k-space |A| falls away. The reading
    that leaves data consistency its clean data ("image") has no such bound: delta reaches the image past the smoothing.
    """
    return math.log10(norm_a * smoothed_lipschitz(output_bound, sigma))


def local_amplification(lipschitz: Sequence[float], lambdas: Sequence[float]) -> float:
    """Return the recursion with measured Lipschitz constants L_n of the denoiser along the path of one slice, ``a_n = 1/lambda_n``.

    ``c_0 = 1;  c_{n+1} = 1 / (2 sqrt(lambda_n)) + L_n c_n``. To first order, around this slice: no certificate.
    """
    constant = 1.0
    for slope, weight in zip(lipschitz, lambdas, strict=True):
        constant = 1 / (2 * math.sqrt(weight)) + slope * constant
    return constant


def bounded_output_change(change: float, output_bound: float, weight: float) -> float:
    """Return how far x_N can move by ``|delta| = change`` if the last denoiser's output has norm <= B, whatever came before.

    ``|delta| / (2 sqrt(lambda)) + 2 B``: finite for every N, but as large as twice the image.
    """
    return change / (2 * math.sqrt(weight)) + 2 * output_bound


def residual_change(change: float, residual_bound: float, sigma: float, lambdas: Sequence[float]) -> float:
    """Return how far x_N can move if ``D(x) = x + r(x)`` with ``|r| <= rho`` (residual form, r projected on a ball).

    ``e_0 = |delta|;  e_{n+1} = |delta| / (2 sqrt(lambda_n)) + e_n + min(2 rho, sqrt(2/pi) rho / sigma e_n)``: linear growth in N
    where Theorem 1 has q^N. ``sigma`` 0: no smoothing. Holds for the expectation; ``2 rho`` for every draw.
    """
    moved = change
    slope = smoothed_lipschitz(residual_bound, sigma) if sigma > 0 else math.inf
    for weight in lambdas:
        moved = change / (2 * math.sqrt(weight)) + moved + min(2 * residual_bound, slope * moved)
    return moved
