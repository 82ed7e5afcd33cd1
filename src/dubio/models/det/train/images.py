"""Training and validation images with boxes, as torch data sets."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset as TorchDataset
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample
from dubio.core.errors import InputError
from dubio.core.seeds import derive_seed
from dubio.data.boxes.pictures import size_of
from dubio.data.images import read_image
from dubio.models.det.fit import Placed, prepare
from dubio.models.det.specs import InputSpec
from dubio.models.det.torch.objective import Target
from dubio.models.det.train.options import DetTrainOptions
from dubio.models.pixels import Image, resize_image

_VISIBLE = 0.3  # share of a box that a crop must show for the box to be asked for
_LARGEST_ANCHOR = 4.0
_SMALLEST = 1.0  # pixels of the input: what is smaller can't be learned


class Item(NamedTuple):
    """One image for the network.

    Attributes:
        image: ``(3, H, W)`` float32.
        target: its labels, pixels of the input.
        number: its place in the data set.
    """

    image: torch.Tensor
    target: Target
    number: int


def collate(items: list[Item]) -> tuple[torch.Tensor, list[Target], torch.Tensor]:
    """Batch of images ``(B, 3, H, W)``, their targets and their numbers."""
    images = torch.stack([i.image for i in items])
    return images, [i.target for i in items], torch.tensor([i.number for i in items])


def read_boxed(sample: BoxSample, dataset: BoxDataset) -> tuple[Image, BoxLabels]:
    """Read the image ``(H, W, 3)`` and the labels of a sample.

    Raises:
        InputError: there is no picture, or it can't be read.
    """
    if sample.image is None:
        raise InputError(f"image '{sample.image_id}' has no picture", remedy="name the folder of images")
    return read_image(sample.image), dataset.labels[sample.image_id]


def split_labels(labels: BoxLabels) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Boxes and classes to learn, and regions to pass over: crowds, difficult boxes, ignored regions."""
    unclear = labels.crowd | labels.difficult
    ignore = np.concatenate([labels.ignore, labels.boxes[unclear]])
    return labels.boxes[~unclear], labels.classes[~unclear], ignore


def target_of(
    boxes: npt.NDArray[Any], classes: npt.NDArray[Any], ignore: npt.NDArray[Any], size: tuple[int, int]
) -> Target:
    """Labels cut to the canvas; boxes of which too little is left join the ignored regions.

    Args:
        boxes: ``(M, 4)`` in pixels of the input.
        classes: ``(M,)``.
        ignore: ``(K, 4)``.
        size: height and width of the input.
    """
    bounds = np.array([size[1], size[0], size[1], size[0]], np.float64)
    cut = np.clip(boxes, 0, bounds)
    side, whole = cut[:, 2:] - cut[:, :2], boxes[:, 2:] - boxes[:, :2]
    seen = side.prod(1) >= _VISIBLE * whole.prod(1)
    good = seen & (side >= _SMALLEST).all(1)
    rest = np.concatenate([np.clip(ignore, 0, bounds), cut[~good]])
    rest = rest[(rest[:, 2:] > rest[:, :2]).all(1)]
    return Target(
        torch.from_numpy(cut[good].astype(np.float32)),
        torch.from_numpy(classes[good].astype(np.int64)),
        torch.from_numpy(rest.astype(np.float32)),
    )


def _onto(placed: Placed, boxes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(boxes * np.tile(placed.scale, 2) + np.tile(placed.shift, 2), np.float64)


def fitted_anchor_size(dataset: BoxDataset, size: tuple[int, int], stride: int) -> float:
    """Size of the smallest anchors, in units of the finest stride, that suits the boxes of a data set.

    The published 4 suits COCO at 800 pixels; where most objects are smaller than 4 strides, no anchor would
    overlap them by half and they would never be learned. Taken is the 5th percentile of the square roots
    of the boxes' areas on the network's input, within 1 to 4 strides.

    Args:
        dataset: images with boxes; sizes of images are read from the labels or the pictures' headers.
        size: height and width of the network's input.
        stride: the finest.
    """
    sides = []
    for sample in dataset:
        boxes = split_labels(dataset.labels[sample.image_id])[0]
        if len(boxes):
            height, width = size_of(sample)
            ratio = min(size[0] / height, size[1] / width)
            sides.append(ratio * np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1)))
    if not sides:
        return _LARGEST_ANCHOR
    small = float(np.percentile(np.concatenate(sides), 5)) / stride
    return round(min(max(small, 1.0), _LARGEST_ANCHOR), 2)


class WholeBoxed(TorchDataset[Item]):
    """Images exactly as they are prepared for detection.

    Args:
        dataset: images with boxes.
        spec: how pixels go in.
    """

    def __init__(self, dataset: BoxDataset, spec: InputSpec) -> None:
        self.dataset, self.spec = dataset, spec

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, number: int) -> Item:
        image, labels = read_boxed(self.dataset.samples[number], self.dataset)
        assert self.spec.size is not None
        pixels, placed = prepare(image, self.spec, self.spec.size)
        boxes, classes, ignore = split_labels(labels)
        target = target_of(_onto(placed, boxes), classes, _onto(placed, ignore), self.spec.size)
        return Item(torch.from_numpy(pixels), target, number)


class BoxedCrops(TorchDataset[Item]):
    """Images scaled, shifted, mirrored and recoloured at random, with their boxes.

    What a crop shows depends on seed, epoch and image id only, never on the order of work or the number
    of workers. A crop is cut from the image and scaled once, by the filter that detection uses.

    Args:
        dataset: images with boxes.
        options: augmentation and seed.
        spec: how pixels go in.
    """

    def __init__(self, dataset: BoxDataset, options: DetTrainOptions, spec: InputSpec) -> None:
        self.dataset, self.options, self.spec = dataset, options, spec
        strength = options.jitter
        self.color = (
            v2.ColorJitter(strength, strength, strength, strength / 10) if strength else v2.Identity()
        )

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: tuple[int, int]) -> Item:
        epoch, number = key
        sample = self.dataset.samples[number]
        image, labels = read_boxed(sample, self.dataset)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(self.options.seed, sample.image_id, f"epoch {epoch}"))
            return self._augment(image, labels, number)

    def _augment(self, image: Image, labels: BoxLabels, number: int) -> Item:
        height, width = self.options.size
        low, high = (float(np.log(s)) for s in self.options.scale)
        factor = float(np.exp(low + (high - low) * torch.rand(()).item()))
        factor *= min(height / image.shape[0], width / image.shape[1])
        taken = (max(1, round(height / factor)), max(1, round(width / factor)))
        top, left = (_start(length, part) for length, part in zip(image.shape[:2], taken, strict=True))
        boxes, classes, ignore = split_labels(labels)
        window = np.array([left, top, left, top], np.float64)
        ratio = np.array([width / taken[1], height / taken[0]] * 2, np.float64)
        moved = [(b - window) * ratio for b in (boxes, ignore)]
        canvas = torch.from_numpy(self._cut(image, top, left, taken).transpose(2, 0, 1).copy())
        if self.options.flip and torch.rand(()).item() < 0.5:
            canvas = functional.horizontal_flip(canvas)
            moved = [np.stack([width - b[:, 2], b[:, 1], width - b[:, 0], b[:, 3]], 1) for b in moved]
        pixels = self.color(canvas).permute(1, 2, 0).contiguous().numpy()
        target = target_of(moved[0], classes, moved[1], self.options.size)
        return Item(torch.from_numpy(prepare(pixels, self.spec, self.options.size)[0]), target, number)

    def _cut(self, image: Image, top: int, left: int, taken: tuple[int, int]) -> Image:
        """A window of the image, filled up where it reaches beyond, at the size of the input."""
        rows, columns = taken
        pad = np.asarray(self.spec.pad).round().astype(np.uint8)
        canvas = np.broadcast_to(pad, (rows, columns, 3)).copy()
        y0, x0 = max(0, top), max(0, left)
        y1, x1 = min(image.shape[0], top + rows), min(image.shape[1], left + columns)
        canvas[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
        return resize_image(canvas, self.options.size)


def _start(length: int, part: int) -> int:
    """Where a window starts: anywhere inside, or anywhere around if it is longer than the image."""
    low, high = min(0, length - part), max(0, length - part)
    return low + int(torch.rand(()).item() * (high - low + 1))
