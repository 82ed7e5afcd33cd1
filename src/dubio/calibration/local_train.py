"""Training of the local temperature network; needs torch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from dubio.calibration.local_net import TemperatureNet, mapped_nll
from dubio.calibration.maps import Items, Thinned
from dubio.calibration.temperature import fit_temperature
from dubio.core.errors import InputError
from dubio.core.seeds import derive_seed, rng_for
from dubio.data.logits import LogitSample

Progress = Callable[[int, int, float], None]
_PIXELS = 5000  # of each image, for the plain temperature and the scale of the logits


@dataclass(frozen=True)
class Recipe:
    """Options of the training; see :class:`~dubio.calibration.local.LocalTemperature`."""

    image_branch: bool
    epochs: int
    learning_rate: float
    batch: int
    crop: int
    patience: int
    device: str
    seed: int


@dataclass
class Trained:
    """What the training found.

    Attributes:
        net: the network of the best epoch, on the CPU.
        temperature: the plain temperature.
        nll: mean NLL on the validation images of each candidate: ``none``, ``temperature``, ``local``.
        epochs: epochs that were run.
    """

    net: TemperatureNet
    temperature: float
    nll: dict[str, float]
    epochs: int


def train(
    items: Items,
    parts: tuple[list[int], list[int]],
    pairs: tuple[int, ...] | None,
    n_classes: int,
    recipe: Recipe,
    progress: Progress | None,
) -> Trained:
    """Train on some images, keep the epoch that is best on the others.

    Args:
        items: all images.
        parts: numbers of the training and of the validation images.
        pairs: class of each channel (the class map), or ``None``.
        n_classes: number of classes.
        recipe: options.
        progress: told epoch, epochs and validation NLL.

    Raises:
        InputError: no labelled pixel, or images that can't be used.
    """
    training, validation = parts
    sample = _sample(items, training, pairs, n_classes, recipe.seed)
    plain, _ = fit_temperature(sample)
    centred = sample.logits - sample.logits.mean(axis=1, keepdims=True)
    net = TemperatureNet(sample.logits.shape[1], recipe.image_branch, scale=max(float(centred.std()), 1e-3))
    net.start(derive_seed(recipe.seed, "gates"))
    device = _device(recipe.device)
    net = net.to(device)
    belongs = torch.as_tensor(sample.targets == np.arange(n_classes)[:, None], device=device)
    judge = _Judge(items, validation, belongs, device)
    nll = {"none": judge.constant(1.0), "temperature": judge.constant(plain), "local": judge.of(net)}
    best = copy.deepcopy(net.state_dict())
    optimiser = torch.optim.Adam(net.parameters(), lr=recipe.learning_rate)
    waited = epoch = 0
    for epoch in range(1, recipe.epochs + 1):
        _epoch(net, optimiser, items, training, belongs, recipe, epoch, device)
        now = judge.of(net)
        if progress is not None:
            progress(epoch, recipe.epochs, now)
        waited += 1
        if now < nll["local"]:
            nll["local"], best, waited = now, copy.deepcopy(net.state_dict()), 0
        if waited >= recipe.patience:
            break
    net.load_state_dict(best)
    return Trained(net.cpu().eval(), plain, nll, epoch)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"there is no device '{name}'", remedy="choose cpu or cuda") from error
    return device


def _sample(
    items: Items, numbers: list[int], pairs: tuple[int, ...] | None, n_classes: int, seed: int
) -> LogitSample:
    logits, labels = [], []
    for i in numbers:
        item = items[i]
        places = np.flatnonzero(item.label.reshape(-1) >= 0)
        if len(places) > _PIXELS:
            places = rng_for(seed, "pixels", str(i)).choice(places, _PIXELS, replace=False)
        logits.append(item.logits.reshape(len(item.logits), -1)[:, places].T.astype(np.float32))
        labels.append(item.label.reshape(-1)[places].astype(np.uint16))
    if len({part.shape[1] for part in logits}) > 1:
        raise InputError("the maps differ in their number of channels")
    if not sum(len(part) for part in labels):
        raise InputError("there are no labelled pixels to calibrate on")
    count = sum(len(part) for part in labels)
    return LogitSample(
        np.concatenate(logits), np.concatenate(labels), np.zeros(count, np.int32), ("",), n_classes, pairs
    )


class _Judge:
    """Mean NLL of the validation images, pixel by pixel of their lattices."""

    def __init__(self, items: Items, numbers: list[int], belongs: torch.Tensor, device: torch.device) -> None:
        self.items, self.numbers, self.belongs, self.device = items, numbers, belongs, device

    def constant(self, t: float) -> float:
        return self._mean(lambda z, image: z / t)

    def of(self, net: TemperatureNet) -> float:
        with torch.inference_mode():
            return self._mean(lambda z, image: z / net(z, image))

    def _mean(self, change: Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]) -> float:
        total, count = 0.0, 0
        for i in self.numbers:
            logits, label, image = _batch([_whole(self.items[i])], self.device)
            total += float(mapped_nll(change(logits, image), label, self.belongs))
            count += int((label >= 0).sum())
        if not count:
            raise InputError("the validation images have no labelled pixels", remedy="label more images")
        return total / count


def _epoch(
    net: TemperatureNet,
    optimiser: torch.optim.Optimizer,
    items: Items,
    numbers: list[int],
    belongs: torch.Tensor,
    recipe: Recipe,
    epoch: int,
    device: torch.device,
) -> None:
    rng = rng_for(recipe.seed, "epoch", str(epoch))
    order = [numbers[i] for i in rng.permutation(len(numbers))]
    for start in range(0, len(order), recipe.batch):
        crops = [_crop(items[i], recipe.crop, rng) for i in order[start : start + recipe.batch]]
        logits, label, image = _batch(crops, device)
        count = int((label >= 0).sum())
        if not count:
            continue
        optimiser.zero_grad()
        loss = mapped_nll(logits / net(logits, image), label, belongs) / count
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        optimiser.step()


Piece = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any] | None]


def _whole(item: Thinned) -> Piece:
    return item.logits, item.label, item.image


def _crop(item: Thinned, size: int, rng: np.random.Generator) -> Piece:
    """A random square; a smaller image is filled up: its last pixels are repeated, without labels."""
    h, w = item.label.shape
    y, x = (int(rng.integers(max(length - size, 0) + 1)) for length in (h, w))
    part = (slice(y, y + size), slice(x, x + size))
    logits, label = item.logits[:, *part], item.label[part]
    image = None if item.image is None else item.image[part]
    more = [(0, size - n) for n in label.shape]
    if more != [(0, 0), (0, 0)]:
        logits = np.pad(logits, [(0, 0), *more], mode="edge")
        label = np.pad(label, more, constant_values=-1)
        image = None if image is None else np.pad(image, [*more, (0, 0)], mode="edge")
    return logits, label, image


def _batch(
    pieces: list[Piece], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    logits = torch.from_numpy(np.stack([p[0] for p in pieces]).astype(np.float32)).to(device)
    label = torch.from_numpy(np.stack([p[1] for p in pieces])).to(device)
    images = [p[2] for p in pieces if p[2] is not None]
    if not images:
        return logits, label, None
    stacked = np.stack(images).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    return logits, label, torch.from_numpy(stacked).to(device)
