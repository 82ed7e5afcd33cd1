"""The arithmetic of corner moments, for arrays, tensors and (compiled) single numbers alike."""

from __future__ import annotations

from typing import Any

# A cap this many standard deviations above (for the second moment, after its shift by twice the variance)
# changes the moments by less than 1e-11 of themselves.
FAR = 7.0
# exponents up to here neither overflow nor vanish when squared
_MODERATE = 300.0


def lognormal(grown: Any, half: Any) -> Any:
    """Mean and variance of ``exp(T)``, T normal: ``grown`` = exp(mean T), ``half`` = expm1(var T / 2).

    E = exp(m + v/2) and Var = E² (exp(v) - 1); with ``half`` no digit is lost for small variances.
    """
    mean = grown * (1.0 + half)
    return mean, mean * mean * half * (half + 2.0)


def corner_pair(centre: Any, centre_var: Any, half_size: Any, half_size_var: Any) -> Any:
    """Moments of centre ∓ half size, the two independent: low, high, their variance and covariance."""
    return (
        centre - half_size,
        centre + half_size,
        centre_var + half_size_var,
        centre_var - half_size_var,
    )


def uncapped(mean: Any, variance: Any, std: Any, cap: Any) -> Any:
    """Whether :func:`lognormal` may be used as it stands: the cap is far and no exponent extreme."""
    return (abs(mean) + variance <= _MODERATE) & (cap - mean >= std * (FAR + 2.0 * std))
