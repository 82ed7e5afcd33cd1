"""Heads that predict a mean and a log variance, and dropout whose masks can be held fixed."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from dubio.core.seeds import rng_for

_PRIOR = 0.01  # first probability of every class, so that the many empty boxes don't drown the start
_FIRST_LOG_VARIANCE = -2.0


class SpatialDropout(nn.Module):
    """Dropout of whole channels (Tompson et al., CVPR 2015).

    In training the masks are drawn anew for every image. :meth:`fix` draws ``T`` masks once; the input is
    then ``T`` copies of each image, ``(B * T, C, H, W)``, and copy ``t`` meets mask ``t``. Held masks make
    Monte Carlo dropout a fixed ensemble of ``T`` networks: an image gets the same answer whenever it
    comes, and the ensemble can be exported.

    Args:
        rate: share of channels that is dropped.
        channels: number of channels.
    """

    masks: torch.Tensor | None

    def __init__(self, rate: float, channels: int) -> None:
        super().__init__()
        self.rate, self.channels = rate, channels
        self.register_buffer("masks", None, persistent=False)

    def fix(self, samples: int, seed: int, name: str) -> None:
        """Draw ``samples`` masks by seed and name; 0 releases them."""
        if samples == 0:
            self.masks = None
            return
        kept = rng_for(seed, "dropout", name).random((samples, self.channels)) >= self.rate
        self.masks = torch.as_tensor(kept / (1 - self.rate), dtype=torch.float32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Drop channels of ``(B, C, H, W)``."""
        if self.masks is None:
            return functional.dropout2d(x, self.rate, self.training)
        samples = self.masks.shape[0]
        by_sample = x.view(-1, samples, *x.shape[1:])
        return (by_sample * self.masks[None, :, :, None, None].to(x.dtype)).view_as(x)


def tower(channels: int, convs: int, dropout: float) -> nn.Sequential:
    """``convs`` convolutions with group norm, ReLU and dropout; group norm doesn't care for batch size."""
    parts: list[nn.Module] = []
    for _ in range(convs):
        conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        parts += [conv, nn.GroupNorm(channels // 8, channels), nn.ReLU(inplace=True)]
        if dropout:
            parts.append(SpatialDropout(dropout, channels))
    return nn.Sequential(*parts)


class ClassHead(nn.Module):
    """Class logits of all boxes of a map, perhaps attenuated.

    Args:
        channels: of the map.
        convs: convolutions before the last.
        per_cell: boxes per cell.
        classes: number of classes.
        dropout: rate.
        logit_variance: predict a variance for each logit too.
    """

    def __init__(
        self, channels: int, convs: int, per_cell: int, classes: int, dropout: float, logit_variance: bool
    ) -> None:
        super().__init__()
        self.tower = tower(channels, convs, dropout)
        self.classes = classes
        self.logits = _last(channels, per_cell * classes, -math.log((1 - _PRIOR) / _PRIOR))
        self.spread = _last(channels, per_cell * classes, _FIRST_LOG_VARIANCE) if logit_variance else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, N, C)`` logits of a map ``(B, K, H, W)``."""
        x = self.tower(x)
        logits = flat(self.logits(x), self.classes)
        return logits if self.spread is None else attenuate(logits, flat(self.spread(x), self.classes))


class BoxHead(nn.Module):
    """Box predictions of a map, and their log variances.

    Args:
        channels: of the map.
        convs: convolutions before the last.
        per_cell: boxes per cell.
        dropout: rate.
        log_range: bounds of the log variance; ``None``: predict none.
        positive: predictions are distances, which a softplus keeps above zero.
    """

    def __init__(
        self,
        channels: int,
        convs: int,
        per_cell: int,
        dropout: float,
        log_range: tuple[float, float] | None,
        positive: bool,
    ) -> None:
        super().__init__()
        self.tower = tower(channels, convs, dropout)
        self.mean = _last(channels, per_cell * 4, 1.0 if positive else 0.0)
        self.spread = _last(channels, per_cell * 4, _FIRST_LOG_VARIANCE) if log_range else None
        self.log_range, self.positive = log_range, positive

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Means ``(B, N, 4)`` and log variances of a map ``(B, K, H, W)``."""
        x = self.tower(x)
        mean = flat(self.mean(x), 4)
        mean = functional.softplus(mean) if self.positive else mean
        if self.spread is None or self.log_range is None:
            return mean, None
        return mean, soft_clamp(flat(self.spread(x), 4), *self.log_range)


def flat(x: torch.Tensor, last: int) -> torch.Tensor:
    """``(B, A * K, H, W)`` as ``(B, H * W * A, K)``: row, column, shape."""
    batch, _, height, width = x.shape
    x = x.view(batch, -1, last, height, width).permute(0, 3, 4, 1, 2)
    return x.reshape(batch, -1, last)


def soft_clamp(x: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Bound values between ``low`` and ``high`` by a curve without dead ends.

    A hard clamp has no gradient outside, and a head that has left the range never comes back.

    >>> [round(v, 2) for v in soft_clamp(torch.tensor([-99.0, 0.0, 99.0]), -10.0, 4.0).tolist()]
    [-10.0, -0.02, 4.0]
    """
    x = low + functional.softplus(x - low)
    return high - functional.softplus(high - x)


def attenuate(logits: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Logits whose sigmoid is the expected sigmoid of normal logits.

    Kendall and Gal (NeurIPS 2017) draw the logits; here stands MacKay's closed approximation of the same
    expectation (1992), ``z / sqrt(1 + pi s² / 8)``, within 0.02 of it and free of noise.
    """
    variance = soft_clamp(log_variance.float(), -10.0, 6.0).exp()
    return logits / torch.sqrt(1 + math.pi / 8 * variance).to(logits.dtype)


def _last(channels: int, outputs: int, bias: float) -> nn.Conv2d:
    conv = nn.Conv2d(channels, outputs, 3, padding=1)
    nn.init.normal_(conv.weight, std=0.01)
    if conv.bias is not None:
        nn.init.constant_(conv.bias, bias)
    return conv
