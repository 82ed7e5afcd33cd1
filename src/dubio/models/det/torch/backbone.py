"""Backbones of timm, cut after the last map that is used, with weights from files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dubio.core.errors import InputError, MissingExtraError
from dubio.models.det.torch.heads import SpatialDropout
from dubio.models.encoder_file import read_state, weights_file


def build_backbone(name: str, strides: tuple[int, ...], weights: str | None = None) -> tuple[Any, list[int]]:
    """Make a backbone that gives a list of feature maps.

    Args:
        name: a timm model.
        strides: strides of the maps, rising.
        weights: ``None`` is random; a file with a state dict (matched by names, else by the order of
            shapes); or any other word: timm's own pretrained weights, which are downloaded.

    Returns:
        The backbone and the channels of its maps.

    Raises:
        InputError: no such model, no maps of such strides, or a file of other weights.
        MissingExtraError: timm isn't installed.
    """
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("building a detector", "torch") from error
    file = weights_file(weights)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            net: Any = timm.create_model(name, features_only=True, pretrained=bool(weights) and file is None)
    except Exception as error:
        text = (str(error).strip("'\" ").splitlines() or [type(error).__name__])[0][:200]
        raise InputError(
            f"there is no backbone '{name}' ({text})", remedy="see timm.list_models() for those that fit"
        ) from error
    found = list(net.feature_info.reduction())
    if not set(strides) <= set(found):
        raise InputError(f"the backbone '{name}' has maps of strides {found}, not {list(strides)}")
    if file:
        _fill(net, file)
    places = [found.index(s) for s in strides]
    channels = [int(net.feature_info.channels()[k]) for k in places]
    _cut(net, max(places))
    return Picked(net, places), channels


class Picked(nn.Module):
    """Some of a network's feature maps.

    Args:
        net: gives a list of maps.
        places: which of them.
    """

    def __init__(self, net: nn.Module, places: list[int]) -> None:
        super().__init__()
        self.net, self.places = net, places

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The maps, finest first."""
        maps = self.net(x)
        return [maps[k] for k in self.places]


def _cut(net: Any, last: int) -> None:
    """Drop the blocks after the last map; timm keeps them in its EfficientNet and MobileNet families."""
    stages = getattr(net, "_stage_out_idx", None)
    if stages is None or not isinstance(getattr(net, "blocks", None), nn.Sequential):
        return
    keep = next(stage for stage, place in stages.items() if place == last)
    net.blocks = net.blocks[:keep]


def _fill(net: nn.Module, path: Path) -> None:
    """Take the weights of a file, by names or else by the order of their shapes."""
    state = {k: v for k, v in read_state(path).items() if not k.endswith("num_batches_tracked")}
    wanted = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    if all(k in state and state[k].shape == v.shape for k, v in wanted.items()):
        found = {k: state[k] for k in wanted}
    else:
        # Other libraries name the same layers otherwise, but list them in the same order.
        first = list(state.values())[: len(wanted)]
        if [v.shape for v in first] != [v.shape for v in wanted.values()]:
            raise InputError(
                "holds weights of another network than the backbone",
                path=path,
                remedy="name weights of the same backbone",
            )
        found = dict(zip(wanted, first, strict=True))
    net.load_state_dict({k: v.float() for k, v in found.items()}, strict=False)


def add_dropout(backbone: nn.Module, rate: float) -> int:
    """Put channel dropout behind every activation that follows a batch norm; returns their number.

    Raises:
        InputError: the backbone has no such place.
    """
    count = 0
    for module in list(backbone.modules()):
        pairs = dict(module.named_children())
        for norm, act in (("bn1", "act1"), ("bn2", "act2"), ("bn3", "act3")):
            if isinstance(pairs.get(norm), nn.BatchNorm2d) and isinstance(pairs.get(act), nn.Module):
                setattr(module, act, nn.Sequential(pairs[act], _dropout(rate, pairs[norm])))
                count += 1
        if isinstance(module, nn.BatchNorm2d) and not isinstance(
            pairs.get("act", nn.Identity()), nn.Identity
        ):
            module.act = nn.Sequential(pairs["act"], _dropout(rate, module))
            count += 1
    if not count:
        raise InputError("dropout has no place in this backbone", remedy="put it in the heads")
    return count


def _dropout(rate: float, norm: Any) -> SpatialDropout:
    return SpatialDropout(rate, int(norm.num_features))


def is_folded(backbone: nn.Module) -> bool:
    """Whether all batch norms are still as created but for their biases: their statistics were folded."""
    norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    return bool(norms) and all(
        bool((m.running_mean == 0).all()) and bool((m.running_var == 1).all()) and bool((m.weight == 1).all())
        for m in norms
        if m.running_mean is not None and m.running_var is not None
    )


@torch.no_grad()
def unfold(backbone: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Give folded batch norms the statistics of their inputs, without changing what the network computes.

    Weights published with their batch norms folded into the convolutions train badly: the first step in
    training mode normalises by batch statistics that the weights have never met. Here each norm gets the
    mean and variance that its input really has, and a scale and bias that undo them.

    Args:
        backbone: its batch norms, see :func:`is_folded`.
        batches: inputs ``(B, 3, H, W)`` as in training; some dozens of images are enough.
    """
    sums: dict[nn.BatchNorm2d, list[torch.Tensor]] = {}

    def collect(module: Any, args: tuple[torch.Tensor, ...]) -> None:
        x = args[0].double().transpose(0, 1).flatten(1)
        row = [torch.tensor(float(x.shape[1])), x.sum(1).cpu(), (x * x).sum(1).cpu()]
        sums[module] = [a + b for a, b in zip(sums[module], row, strict=True)] if module in sums else row

    norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    hooks = [m.register_forward_pre_hook(collect) for m in norms]
    was = backbone.training
    try:
        _run(backbone.eval(), batches)
    finally:
        for hook in hooks:
            hook.remove()
        backbone.train(was)
    for norm, (count, total, square) in sums.items():
        mean = (total / count).to(norm.weight.device)
        variance = (square / count).to(norm.weight.device) - mean * mean
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance.clamp(min=1e-6))
        norm.weight.copy_(torch.sqrt(norm.running_var + norm.eps))
        norm.bias.add_(norm.running_mean)


def _run(net: Callable[[torch.Tensor], Any], batches: Iterable[torch.Tensor]) -> None:
    for batch in batches:
        net(batch)
