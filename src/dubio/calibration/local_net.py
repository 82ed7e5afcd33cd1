"""The network of local temperature scaling (Ding et al., ICCV 2021); needs torch.

Eight convolutions of the logits (four candidates for the temperature, three gates, a gate of the image) and
one of the image, 5 x 5, dilated by 2, one output each. A tree of sigmoid gates mixes the candidates. Here the
eight are one convolution with eight outputs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

LOWEST, HIGHEST = 0.05, 20.0
CANDIDATES, GATES = 4, 3
_PAD = 4
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels
# softplus of this is 1
_ONE = math.log(math.e - 1)


class TemperatureNet(nn.Module):
    """Temperature of every pixel.

    The published network starts with all weights at zero: T is 2 and, since all candidates see the same
    gradient, they stay equal for ever and the gates stay shut. Here the gates start at random and the
    candidates at zero: T is exactly 1 and the candidates go different ways. T is a softplus within 0.05 … 20.
    Logits are centred in each pixel and divided by ``scale``; the image is normalised.

    Args:
        channels: number ``K`` of channels of the model.
        image_branch: look at the image, too.
        scale: standard deviation of the centred logits.
        published: the published arithmetic instead: raw inputs, candidates plus 1, T = relu(mix + 1) + 1e-8.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, channels: int, image_branch: bool = True, *, scale: float = 1.0, published: bool = False
    ) -> None:
        super().__init__()
        self.image_branch, self.scale, self.published = image_branch, scale, published
        outputs = CANDIDATES + GATES + image_branch
        self.on_logits = nn.Conv2d(channels, outputs, 5, dilation=2)
        self.on_image = nn.Conv2d(3, 1, 5, dilation=2) if image_branch else None
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)

    def start(self, seed: int) -> None:
        """Set the weights to T = 1 everywhere, with random gates."""
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.zero_()
            gates = self.on_logits.weight[CANDIDATES:]
            gates.normal_(0.0, 1 / math.sqrt(gates[0].numel()), generator=generator)

    def forward(self, logits: Tensor, image: Tensor | None = None) -> Tensor:
        """Temperatures.

        Args:
            logits: ``(B, K, H, W)``.
            image: ``(B, 3, H, W)`` RGB in [0, 1], with the image branch.

        Returns:
            ``(B, 1, H, W)``.
        """
        if not self.published:
            logits = (logits - logits.mean(dim=1, keepdim=True)) / self.scale
        out = self.on_logits(_padded(logits))
        one = 1.0 if self.published else 0.0
        first, second, third, fourth = (out[:, i : i + 1] + one for i in range(CANDIDATES))
        gates = torch.sigmoid(out[:, CANDIDATES:])
        left = torch.lerp(second, first, gates[:, :1])
        right = torch.lerp(fourth, third, gates[:, 1:2])
        mixed = torch.lerp(right, left, gates[:, 2:3])
        if self.on_image is not None:
            if image is None:
                raise ValueError("the image branch needs the image")
            seen = image if self.published else (image - self.mean) / self.std
            mixed = torch.lerp(self.on_image(_padded(seen)) + one, mixed, gates[:, 3:4])
        if self.published:
            return functional.relu(mixed + 1) + 1e-8
        return functional.softplus(mixed + _ONE).clamp(LOWEST, HIGHEST)


def _padded(x: Tensor) -> Tensor:
    # a mirror needs more pixels than it repeats
    mode = "reflect" if min(x.shape[2:]) > _PAD else "replicate"
    return functional.pad(x, (_PAD,) * 4, mode=mode)


def mapped_nll(logits: Tensor, label: Tensor, belongs: Tensor) -> Tensor:
    """Sum over pixels of minus the log of the summed probability of the channels that count as the label.

    Args:
        logits: ``(B, K, H, W)``.
        label: ``(B, H, W)`` int64 class indices; negative is void and counts nowhere.
        belongs: ``(C, K)`` bool, which channel counts as which class.
    """
    known = label >= 0
    rows = logits.movedim(1, -1)[known].float()
    own = rows.masked_fill(~belongs[label[known]], -torch.inf)
    return (rows.logsumexp(dim=1) - own.logsumexp(dim=1)).sum()
