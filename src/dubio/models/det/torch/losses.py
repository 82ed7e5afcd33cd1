"""Losses of boxes whose uncertainty is predicted; all take the logarithm of the variance.

Every function gives one loss per element; the caller selects positive boxes and adds up. They compute in
single precision at least and stay finite for all numbers of half precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.nn import functional

from dubio.core.errors import InputError

_FURTHEST = 20.0  # log variances beyond say nothing more and would overflow
Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def gaussian_nll(mean: torch.Tensor, log_variance: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood of a normal law, without its constant: ``(e² / σ² + log σ²) / 2``.

    Args:
        mean: predictions.
        log_variance: ``log σ²``, of the same shape.
        target: what was to be predicted.

    >>> z = torch.zeros(1)
    >>> gaussian_nll(z, z, torch.tensor([2.0])).item()
    2.0
    """
    error, s = _inputs(mean, log_variance, target)
    return 0.5 * (error * error * torch.exp(-s) + s)


def beta_nll(
    mean: torch.Tensor, log_variance: torch.Tensor, target: torch.Tensor, beta: float = 0.5
) -> torch.Tensor:
    """Normal likelihood weighted by ``σ^(2β)``, through which no gradient goes (Seitzer et al., ICLR 2022).

    The plain likelihood lets the mean of hard boxes starve: their gradient shrinks with the variance that
    they ask for. ``beta`` 0 is that, 1 gives the mean the gradient of a squared error.
    """
    _, s = _inputs(mean, log_variance, target)
    return torch.exp(beta * s.detach()) * gaussian_nll(mean, log_variance, target)


def laplace_nll(mean: torch.Tensor, log_variance: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood of a Laplace law of variance ``σ² = 2b²``, without its constant."""
    error, s = _inputs(mean, log_variance, target)
    return math.sqrt(2) * error.abs() * torch.exp(-0.5 * s) + 0.5 * s


def student_nll(
    mean: torch.Tensor, log_variance: torch.Tensor, target: torch.Tensor, freedom: float = 4.0
) -> torch.Tensor:
    """Negative log-likelihood of Student's t, scaled to the variance ``σ²``, without its constant.

    Args:
        mean: predictions.
        log_variance: ``log σ²``.
        target: what was to be predicted.
        freedom: degrees of freedom, above 2, else there is no variance.

    Raises:
        InputError: too few degrees of freedom.
    """
    if freedom <= 2:
        raise InputError(f"Student's t of {freedom:g} degrees of freedom has no variance")
    error, s = _inputs(mean, log_variance, target)
    # (ν - 2) σ² is ν times the squared scale
    grown = error * error * torch.exp(-s) / (freedom - 2)
    return 0.5 * (freedom + 1) * torch.log1p(grown) + 0.5 * s


def energy_score(
    mean: torch.Tensor, log_variance: torch.Tensor, target: torch.Tensor, samples: int = 64
) -> torch.Tensor:
    """Energy score of whole boxes with independent normal coordinates, by sampling.

    ``E|X - t| - E|X - X'| / 2`` with Euclidean norms (Gneiting and Raftery 2007); recommended for
    detectors by Harakeh and Waslander (ICLR 2021). Draws come from torch's generator.

    Args:
        mean: ``(…, 4)``.
        log_variance: ``(…, 4)``.
        target: ``(…, 4)``.
        samples: number of draws, at least 2.

    Returns:
        ``(…, 4)``: the score of a box, a quarter in each coordinate, so that it adds up as the others do.

    Raises:
        InputError: too few draws.
    """
    if samples < 2:
        raise InputError(f"an energy score needs 2 draws, not {samples}")
    error, s = _inputs(mean, log_variance, target)
    noise = torch.randn(samples, *error.shape, dtype=error.dtype, device=error.device)
    drawn = noise * torch.exp(0.5 * s) + error
    # a norm has no gradient at zero
    away = torch.sqrt((drawn * drawn).sum(-1) + 1e-12).mean(0)
    step = drawn - drawn.roll(1, 0)
    apart = torch.sqrt((step * step).sum(-1) + 1e-12).mean(0)
    return ((away - 0.5 * apart) / error.shape[-1]).unsqueeze(-1).expand_as(error)


def published_nll(
    mean: torch.Tensor,
    log_variance: torch.Tensor,
    target: torch.Tensor,
    residual: str = "squared",
    delta: float = 0.1,
) -> torch.Tensor:
    """The loss of the reference implementation, for comparison: ``ℓ(e) / σ² + log(1 + σ²)``.

    It is no likelihood. Its best variance is ``(e² + sqrt(e⁴ + 4 e²)) / 2``, about ``|e|`` for small errors
    in place of ``e²``: an error of 0.01 asks for a deviation of 0.1.

    Args:
        mean: predictions; heights and widths shifted by :func:`lognormal_shift` where that is wanted.
        log_variance: ``log σ²``.
        target: what was to be predicted.
        residual: ``squared`` or ``huber``.
        delta: where Huber's loss turns linear.

    Raises:
        InputError: another residual.
    """
    error, s = _inputs(mean, log_variance, target)
    if residual not in ("squared", "huber"):
        raise InputError(f"a residual is squared or huber, not '{residual}'")
    zero = torch.zeros_like(error)
    part = error * error if residual == "squared" else functional.huber_loss(error, zero, "none", delta)
    return part * torch.exp(-s) + functional.softplus(s)


def lognormal_shift(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Deltas ``(…, 4)`` whose log sizes stand for the mean of the log-normal size: plus ``σ² / 2``.

    The last two of four are log sizes, whatever the number of anchors before them.
    """
    half = 0.5 * torch.exp(log_variance[..., 2:])
    return torch.cat([mean[..., :2], mean[..., 2:] + half], -1)


def detached_nll(mean: torch.Tensor, log_variance: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Absolute error for the mean, and a normal likelihood whose gradient reaches the variance only."""
    error, _ = _inputs(mean, log_variance, target)
    return error.abs() + gaussian_nll(mean.detach(), log_variance, target)


LOSSES: dict[str, Loss] = {
    "gaussian": gaussian_nll,
    "beta-nll": beta_nll,
    "laplace": laplace_nll,
    "student": student_nll,
    "energy": energy_score,
    "detached": detached_nll,
    "published": published_nll,
}


def _inputs(
    mean: torch.Tensor, log_variance: torch.Tensor, target: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Error and bounded log variance, in single precision at least."""
    kind = torch.promote_types(mean.dtype, torch.float32)
    return mean.to(kind) - target.to(kind), log_variance.to(kind).clamp(-_FURTHEST, _FURTHEST)
