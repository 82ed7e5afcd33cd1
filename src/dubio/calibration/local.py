"""A temperature for every pixel, from a small network that sees logits and image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from dubio.calibration.base import Array, Calibrator, as_map, rows
from dubio.calibration.files import Storage
from dubio.calibration.maps import Items, MapItem, check_image, thin
from dubio.calibration.temperature import temperature_sentence
from dubio.core.errors import InputError, MissingExtraError
from dubio.core.seeds import rng_for
from dubio.data.logits import Floats, LogitSample

if TYPE_CHECKING:
    from dubio.calibration.local_net import TemperatureNet

_SENTENCES = {
    "none": "no calibration was better on the validation images",
    "temperature": "one temperature for all pixels was best on the validation images",
    "local": "a temperature for every pixel was best on the validation images",
}


class LocalTemperature(Calibrator):
    """Local temperature scaling (Ding et al., ICCV 2021); fitting and applying need the extra ``torch``.

    Trained on whole maps by :meth:`fit_maps`, with the mapped NLL; void counts nowhere. Two other candidates
    stand beside the network: no calibration, and the plain temperature of the training images. The one with
    the least NLL on the validation images is what is applied.

    The network works on a lattice of every ``stride``-th pixel, in training and in use; its temperatures are
    interpolated to all pixels. All options of size are in pixels of the lattice.

    Args:
        image_branch: look at the image beside the logits.
        stride: distance of the lattice's pixels; 1 is the published network.
        epochs: most epochs; each sees one random square of every training image.
        learning_rate: of Adam.
        batch: squares per step.
        crop: side of the squares.
        validation: share of the images that choose the epoch and the winner.
        patience: epochs without gain after which training stops.
        cache_mb: memory for maps on their lattices, in MB; what doesn't fit is read again in every epoch.
        device: torch device for training; the result lies on the CPU.
        seed: seed of the split, the start and the squares.

    Attributes:
        chosen_: ``none``, ``temperature`` or ``local``.
        temperature_: the plain temperature.
        nll_: validation NLL by candidate (nats).
        net_: the network; ``None`` unless it was chosen.
    """

    storage: ClassVar[Storage] = "safetensors"
    chosen_: str
    temperature_: float
    nll_: dict[str, float]
    net_: TemperatureNet | None

    def __init__(
        self,
        image_branch: bool = True,
        stride: int = 4,
        epochs: int = 40,
        learning_rate: float = 5e-3,
        batch: int = 4,
        crop: int = 96,
        validation: float = 0.2,
        patience: int = 6,
        cache_mb: int = 512,
        device: str = "cpu",
        seed: int = 0,
    ) -> None:
        self.image_branch = image_branch
        self.stride = stride
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch = batch
        self.crop = crop
        self.validation = validation
        self.patience = patience
        self.cache_mb = cache_mb
        self.device = device
        self.seed = seed

    @property
    def needs(self) -> frozenset[str]:
        """``image`` if the network with its image branch was chosen."""
        local = self.fitted and self.chosen_ == "local"
        return frozenset({"image"}) if local and self.image_branch else frozenset()

    def fit(self, sample: LogitSample | Array, labels: Array | None = None) -> Self:
        """Refused: sampled pixels have no neighbours.

        Raises:
            InputError: always.
        """
        raise InputError("the local temperature learns from whole maps", remedy="use fit_maps")

    def fit_maps(
        self,
        items: Sequence[Callable[[], MapItem]],
        *,
        n_classes: int,
        pairs: Sequence[int] | None = None,
        ids: Sequence[str] | None = None,
        progress: Callable[[int, int, float], None] | None = None,
    ) -> Self:
        """Train the network and choose between it, the plain temperature and nothing.

        Args:
            items: one callable per image that reads it, or runs the model on it; called epoch by epoch
                unless the cache holds the image.
            n_classes: number ``C`` of classes of the labels.
            pairs: ``(K,)`` class of each channel, -1 for none (the class map); ``None``: channel = class.
            ids: names of the images; with names the order of ``items`` doesn't matter.
            progress: told epoch, epochs and validation NLL after each epoch.

        Raises:
            InputError: fewer than two images, options out of range, or maps that can't be used.
            MissingExtraError: torch isn't installed.
        """
        self._check(len(items), ids)
        try:
            from dubio.calibration.local_train import Recipe, train
        except ImportError as error:
            raise MissingExtraError("local temperature scaling", "torch") from error
        recipe = Recipe(
            self.image_branch, self.epochs, self.learning_rate, self.batch, self.crop, self.patience,
            self.device, self.seed,
        )  # fmt: skip
        targets = None
        if pairs is not None:
            targets = np.array([p if 0 <= p < n_classes else n_classes for p in pairs], np.int64)
        order = list(range(len(items))) if ids is None else sorted(range(len(items)), key=lambda i: ids[i])
        sorted_items = [items[i] for i in order]
        stock = Items(sorted_items, targets, n_classes, self.stride, self.image_branch, self.cache_mb << 20)
        shuffled = [int(i) for i in rng_for(self.seed, "validation").permutation(len(items))]
        count = min(max(round(self.validation * len(items)), 1), len(items) - 1)
        parts = (sorted(shuffled[count:]), sorted(shuffled[:count]))
        found = train(stock, parts, None if pairs is None else tuple(pairs), n_classes, recipe, progress)
        self.nll_, self.temperature_ = found.nll, found.temperature
        # the simpler candidate wins a tie
        self.chosen_ = min(("none", "temperature", "local"), key=lambda name: found.nll[name])
        self.net_ = found.net if self.chosen_ == "local" else None
        self.notes_ = [f"{len(parts[0])} images for training, {count} for validation, {found.epochs} epochs"]
        return self

    def _check(self, count: int, ids: Sequence[str] | None) -> None:
        if count < 2:
            raise InputError(
                f"{count} images are too few for a local temperature", remedy="one part trains, one validates"
            )
        if ids is not None and len(ids) != count:
            raise InputError(f"{len(ids)} names for {count} images")
        whole = (self.stride, self.epochs, self.batch, self.crop, self.patience)
        if min(whole) < 1 or not 0 < self.validation < 1 or not self.learning_rate > 0 or self.cache_mb < 0:
            raise InputError(
                "stride, epochs, batch, crop, patience and learning_rate must be above zero, "
                "validation between 0 and 1"
            )

    def transform(
        self, logits: Array, *, images: Array | None = None, features: Array | None = None
    ) -> Floats:
        """Calibrate rows, which works only if the network wasn't chosen.

        Raises:
            InputError: it was; rows have no neighbours.
        """
        self.check_fitted()
        if self.net_ is not None:
            raise InputError("a local temperature applies to whole maps only", remedy="use transform_map")
        return rows(logits) * np.float32(1 / self._constant())

    def transform_map(
        self, logits: Array, *, image: Array | None = None, features: Array | None = None
    ) -> Floats:
        """Divide every pixel by its temperature."""
        found = as_map(logits)
        return np.asarray(found / self.temperature_map(found, image=image), np.float32)

    def temperature_map(
        self, logits: Array, *, image: Array | None = None, features: Array | None = None
    ) -> Floats:
        """Temperature of each pixel.

        Raises:
            InputError: not fitted, another number of channels, or the image is missing or of another size.
        """
        self.check_fitted()
        if self.net_ is None:
            return np.full(np.shape(logits)[1:], self._constant(), np.float32)
        import torch
        from torch.nn import functional

        found = as_map(logits, self.net_.on_logits.in_channels)
        size = found.shape[1:]
        seen = None
        if self.image_branch:
            thinned = thin(check_image(image, size).transpose(2, 0, 1), self.stride)
            seen = torch.from_numpy(thinned[None].astype(np.float32) / np.float32(255))
        with torch.inference_mode():
            t = self.net_(torch.from_numpy(thin(found, self.stride)[None]), seen)
            t = functional.interpolate(t, size=size, mode="bilinear", align_corners=False)
        return np.asarray(t[0, 0].numpy())

    def _constant(self) -> float:
        return 1.0 if self.chosen_ == "none" else self.temperature_

    def describe(self) -> list[str]:
        """Which candidate won, and by how much."""
        self.check_fitted()
        names = {"none": "none", "temperature": "one temperature", "local": "local"}
        values = ", ".join(f"{names[name]} {value:.4f}" for name, value in self.nll_.items())
        plain = [temperature_sentence(self.temperature_)] if self.chosen_ == "temperature" else []
        return [_SENTENCES[self.chosen_], f"NLL there: {values}", *plain, *self.notes_]

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """The winner; the weights if it is the network."""
        data = {"chosen": self.chosen_, "temperature": self.temperature_, "nll": self.nll_}
        if self.net_ is None:
            # a file of this format holds at least one array
            return data, {"temperature": np.array([self.temperature_])}
        arrays = {name: value.numpy() for name, value in self.net_.state_dict().items()}
        return {**data, "channels": self.net_.on_logits.in_channels, "scale": self.net_.scale}, arrays

    def restore(self, data: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Take up the winner."""
        self.chosen_, self.temperature_ = str(data["chosen"]), float(data["temperature"])
        self.nll_ = {name: float(data["nll"][name]) for name in _SENTENCES}
        self.net_ = None
        if self.chosen_ not in _SENTENCES or not 0 < self.temperature_ < np.inf:
            raise ValueError("the winner is unknown")
        if self.chosen_ == "local":
            self.net_ = _network(data, arrays, self.image_branch)


def _network(data: dict[str, Any], arrays: dict[str, Array], image_branch: bool) -> TemperatureNet:
    try:
        import torch

        from dubio.calibration.local_net import TemperatureNet
    except ImportError as error:
        raise MissingExtraError("local temperature scaling", "torch") from error
    net = TemperatureNet(int(data["channels"]), image_branch, scale=float(data["scale"]))
    net.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()})
    if not all(bool(torch.isfinite(p).all()) for p in net.parameters()):
        raise ValueError("weights must be finite")
    return net.eval()
