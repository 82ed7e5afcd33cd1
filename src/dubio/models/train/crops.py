"""Training crops and validation images as torch data sets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Sampler
from torchvision import tv_tensors
from torchvision.transforms import v2

from dubio.core.errors import InputError
from dubio.core.labelspace import IndexMap
from dubio.core.records import Dataset, Sample
from dubio.core.seeds import derive_seed
from dubio.data.images import read_image
from dubio.data.masks import read_mask
from dubio.models.card import ModelCard
from dubio.models.pixels import Image, prepare
from dubio.models.train.options import TrainOptions

Pair = tuple[torch.Tensor, torch.Tensor]


def read_pair(sample: Sample, dataset: Dataset) -> tuple[Image, IndexMap]:
    """Read the image ``(H, W, 3)`` and the label ``(H, W)`` of a sample.

    Raises:
        InputError: a file can't be used, or their sizes differ.
    """
    if sample.image is None or sample.label is None:
        raise InputError(f"image '{sample.image_id}' has no label")
    image = read_image(sample.image)
    label = read_mask(sample.label, dataset.space, dataset.encoding)
    if image.shape[:2] != label.shape:
        raise InputError(
            f"has {label.shape[0]} x {label.shape[1]} pixels, its image {image.shape[0]} x {image.shape[1]}",
            path=sample.label,
        )
    return image, label


class Crops(TorchDataset[Pair]):
    """Random crops: image ``(3, h, w)`` float32 as the card wants it, label ``(h, w)`` int64.

    What lies outside of an image is filled with the mean colour and labelled void. A crop depends on
    seed, epoch and image id only, never on the order of work or the number of workers.

    Args:
        dataset: labelled samples.
        options: crop size, augmentation and seed.
        card: how pixels go into the network.
    """

    def __init__(self, dataset: Dataset, options: TrainOptions, card: ModelCard) -> None:
        self.dataset, self.options, self.card = dataset, options, card
        self.void = dataset.space.void_index
        unit = 255.0 if card.scale == "0-1" else 1.0
        self.fill = [round(m * unit) for m in card.mean]
        strength = options.jitter
        self.color = (
            v2.ColorJitter(strength, strength, strength, strength / 10) if strength else v2.Identity()
        )

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: tuple[int, int]) -> Pair:
        epoch, number = key
        sample = self.dataset.samples[number]
        image, label = read_pair(sample, self.dataset)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(self.options.seed, sample.image_id, f"epoch {epoch}"))
            return self._augment(image, label)

    def _augment(self, image: Image, label: IndexMap) -> Pair:
        low, high = (float(np.log(s)) for s in self.options.scale)
        factor = float(np.exp(low + (high - low) * torch.rand(()).item()))
        # Cropping first and scaling the crop costs less than scaling the image.
        taken = [max(1, round(length / factor)) for length in self.options.crop]
        fills = {tv_tensors.Image: self.fill, tv_tensors.Mask: self.void}
        crop = v2.RandomCrop(taken, pad_if_needed=True, fill=fills)
        picture = tv_tensors.Image(torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))))
        mask = tv_tensors.Mask(torch.from_numpy(label.astype(np.int32)))
        picture, mask = crop(picture, mask)
        picture, mask = v2.Resize(list(self.options.crop), antialias=True)(picture, mask)
        if self.options.flip and torch.rand(()).item() < 0.5:
            picture, mask = v2.functional.horizontal_flip(picture), v2.functional.horizontal_flip(mask)
        pixels = self.color(picture).permute(1, 2, 0).contiguous().numpy()
        return torch.from_numpy(prepare([pixels], self.card)[0]), mask.as_subclass(torch.Tensor).long()


class WholeImages(TorchDataset[Pair]):
    """Whole images at the size that the card's rule gives; labels ``(H, W)`` int64 at their own size."""

    def __init__(self, dataset: Dataset, card: ModelCard) -> None:
        self.dataset, self.card = dataset, card

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, number: int) -> Pair:
        image, label = read_pair(self.dataset.samples[number], self.dataset)
        size = self.card.input_size(*image.shape[:2])
        return torch.from_numpy(prepare([image], self.card, size)[0]), torch.from_numpy(
            label.astype(np.int64)
        )


class EpochSampler(Sampler[tuple[int, int]]):
    """Shuffled pairs (epoch, number), so that crops know their epoch in any worker.

    Args:
        length: number of images.
        seed: seed of the order.
    """

    def __init__(self, length: int, seed: int) -> None:
        self.length, self.seed, self.epoch = length, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rng = np.random.default_rng(derive_seed(self.seed, f"order {self.epoch}"))
        return iter([(self.epoch, int(n)) for n in rng.permutation(self.length)])
