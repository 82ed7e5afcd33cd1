"""Sampled logits with ground truth: what calibrators learn from and models are compared on.

One NPZ file per image holds the logits of some pixels as float16, their labels and places, and the image's
features; the image id is inside the file, so that nothing is paired by the order of files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.files import write_npz
from dubio.core.seeds import rng_for

Floats = npt.NDArray[np.float32]
FORMAT = 1
_LARGEST_HALF = 65504.0
# log of the smallest probability that is told apart from none
_LOG_FLOOR = -27.0


@dataclass(frozen=True)
class LogitSample:
    """Logits of sampled pixels of one or several images, with their labels.

    Args:
        logits: ``(N, K)`` float32 scores of the model's own channels, before any class map;
            log-probabilities if that is all the model gives.
        labels: ``(N,)`` uint16 class indices of the label space, all below ``n_classes`` (void is left out).
        image: ``(N,)`` int32 index into ``image_ids``.
        image_ids: the images.
        n_classes: number ``C`` of classes of the label space.
        pairs: ``(K,)`` class index that each channel counts as, -1 for none (the class map);
            ``None``: channel number = class number.
        features: ``(n_images, D)`` float32 features of each image, or ``None``.
        places: ``(N,)`` row-major index of each pixel in its image, or ``None``.
        sizes: ``(n_images, 2)`` height and width of each image, or ``None``.

    Raises:
        InputError: shapes or values that contradict each other.
    """

    logits: Floats
    labels: npt.NDArray[np.uint16]
    image: npt.NDArray[np.int32]
    image_ids: tuple[str, ...]
    n_classes: int
    pairs: tuple[int, ...] | None = None
    features: Floats | None = None
    places: npt.NDArray[np.int64] | None = None
    sizes: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        n, k = self.logits.shape
        if self.labels.shape != (n,) or self.image.shape != (n,):
            raise InputError(f"{n} logits, {self.labels.shape} labels and {self.image.shape} image numbers")
        if n and int(self.labels.max()) >= self.n_classes:
            raise InputError("a sample holds void labels", remedy="leave void pixels out")
        if n and not 0 <= int(self.image.min()) <= int(self.image.max()) < len(self.image_ids):
            raise InputError("a sample names images that it does not list")
        if self.pairs is not None and len(self.pairs) != k:
            raise InputError(f"a class map of {len(self.pairs)} channels for logits of {k}")
        if self.pairs is None and k < self.n_classes:
            raise InputError(
                f"logits of {k} channels for {self.n_classes} classes", remedy="give a class map"
            )
        if self.features is not None and len(self.features) != len(self.image_ids):
            raise InputError(f"features of {len(self.features)} images, the sample has {len(self.image_ids)}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """``(K,)`` class index per channel; ``n_classes`` for a channel without a class."""
        pairs = range(self.logits.shape[1]) if self.pairs is None else self.pairs
        return np.array([self.n_classes if not 0 <= p < self.n_classes else p for p in pairs], np.int64)

    def take(self, images: Iterable[str]) -> LogitSample:
        """The pixels of some images, in the order of ``image_ids``; unknown names are passed over."""
        wanted = set(images)
        keep = [i for i, name in enumerate(self.image_ids) if name in wanted]
        new = np.full(len(self.image_ids), -1, np.int32)
        new[keep] = np.arange(len(keep), dtype=np.int32)
        rows = new[self.image] >= 0
        return replace(
            self,
            logits=self.logits[rows],
            labels=self.labels[rows],
            image=new[self.image[rows]],
            image_ids=tuple(self.image_ids[i] for i in keep),
            features=None if self.features is None else self.features[keep],
            places=None if self.places is None else self.places[rows],
            sizes=None if self.sizes is None else self.sizes[keep],
        )


def sample_pixels(
    label: npt.NDArray[Any], n_classes: int, count: int, *, seed: int, image_id: str
) -> npt.NDArray[np.int64]:
    """Choose pixels of an image whose label is not void, uniformly, without repetition.

    The choice depends on seed, image id and label only: models are compared on the same pixels.

    Args:
        label: ``(H, W)`` class indices; ``n_classes`` and above is void.
        n_classes: number of classes.
        count: how many; -1, or more than there are: all.
        seed: the seed.
        image_id: the image.

    Returns:
        Sorted row-major indices.

    >>> sample_pixels(np.array([[0, 2, 1]], np.uint8), 2, -1, seed=0, image_id="a").tolist()
    [0, 2]
    """
    known = np.flatnonzero(label.reshape(-1) < n_classes)
    if count < 0 or count >= len(known):
        return known
    chosen = rng_for(seed, image_id, "pixels").choice(len(known), count, replace=False, shuffle=False)
    return np.sort(known[chosen])


def log_scores(scores: npt.NDArray[Any], kind: str) -> Floats:
    """Scores as logits: logits as they are, probabilities as their logarithms (floored at e^-27)."""
    values = np.asarray(scores, np.float32)
    if kind == "logits":
        return values
    return np.maximum(np.log(np.maximum(values, np.exp(np.float32(_LOG_FLOOR)))), np.float32(_LOG_FLOOR))


def write_sample(
    path: str | Path,
    sample: LogitSample,
    *,
    places: npt.NDArray[np.int64],
    seed: int,
    size: tuple[int, ...],
) -> None:
    """Write the sample of one image (compressed NPZ; logits as float16).

    Args:
        path: the file.
        sample: of one image.
        places: ``(N,)`` row-major indices of the pixels.
        seed: by which they were chosen.
        size: height and width of the label.

    Raises:
        InputError: the file can't be written, or the sample is of several images.
    """
    if len(sample.image_ids) != 1:
        raise InputError(f"a file holds one image, this sample has {len(sample.image_ids)}")
    half = np.clip(sample.logits, -_LARGEST_HALF, _LARGEST_HALF).astype(np.float16)
    arrays: dict[str, Any] = {
        "format": np.int64(FORMAT),
        "image_id": np.array(sample.image_ids[0]),
        "logits": half,
        "labels": sample.labels,
        "places": places,
        "n_classes": np.int64(sample.n_classes),
        "seed": np.int64(seed),
        "size": np.asarray(size, np.int64),
    }
    if sample.pairs is not None:
        arrays["pairs"] = np.asarray(sample.pairs, np.int64)
    if sample.features is not None:
        arrays["features"] = sample.features[0]
    write_npz(path, arrays)


def read_sample(path: str | Path) -> LogitSample:
    """Read the sample of one image.

    Raises:
        InputError: the file is missing, damaged, or not a sample.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as data:
            found = {name: data[name] for name in data.files}
        if int(found["format"]) != FORMAT:
            raise InputError(f"has format {int(found['format'])}, this dubio reads {FORMAT}", path=path)
        logits = found["logits"].astype(np.float32)
        pairs = found.get("pairs")
        features = found.get("features")
        return LogitSample(
            logits=logits,
            labels=found["labels"].astype(np.uint16),
            image=np.zeros(len(logits), np.int32),
            image_ids=(str(found["image_id"]),),
            n_classes=int(found["n_classes"]),
            pairs=None if pairs is None else tuple(int(p) for p in pairs),
            features=None if features is None else features.astype(np.float32)[None],
            places=found["places"].astype(np.int64),
            sizes=found["size"].astype(np.int64)[None],
        )
    except FileNotFoundError as error:
        raise InputError("doesn't exist", path=path) from error
    except InputError as error:
        raise InputError(error.fault, path=path, remedy=error.remedy) from error
    except Exception as error:  # damaged archives fail in many ways
        raise InputError(
            "isn't a file of sampled logits, or is damaged", path=path, remedy="extract it again"
        ) from error


def join_samples(samples: Sequence[LogitSample]) -> LogitSample:
    """Put samples of different images together.

    Raises:
        InputError: there are none, an image comes twice, or channels and classes differ.
    """
    if not samples:
        raise InputError("there are no sampled logits", remedy="extract them first")
    first = samples[0]
    for other in samples[1:]:
        if (other.logits.shape[1], other.n_classes, other.pairs) != (
            first.logits.shape[1],
            first.n_classes,
            first.pairs,
        ):
            raise InputError(
                f"samples of {other.image_ids[0]} and {first.image_ids[0]} differ in channels or classes",
                remedy="join what one model said in one label space",
            )
    ids = [name for s in samples for name in s.image_ids]
    if len(set(ids)) < len(ids):
        raise InputError(f"image {next(n for n in ids if ids.count(n) > 1)} is sampled twice")
    starts = np.cumsum([0, *(len(s.image_ids) for s in samples[:-1])])
    features = [s.features for s in samples]
    whole = [f for f in features if f is not None]
    same = len(whole) == len(features) and len({f.shape[1] for f in whole}) == 1
    return LogitSample(
        logits=np.concatenate([s.logits for s in samples]),
        labels=np.concatenate([s.labels for s in samples]),
        image=np.concatenate([s.image + np.int32(n) for s, n in zip(samples, starts, strict=True)]),
        image_ids=tuple(ids),
        n_classes=first.n_classes,
        pairs=first.pairs,
        features=np.concatenate(whole) if same else None,
        places=_all([s.places for s in samples]),
        sizes=_all([s.sizes for s in samples]),
    )


def _all(arrays: Sequence[npt.NDArray[np.int64] | None]) -> npt.NDArray[np.int64] | None:
    there = [a for a in arrays if a is not None]
    return np.concatenate(there) if len(there) == len(arrays) else None


def read_samples(folder: str | Path) -> LogitSample:
    """Read all samples of a folder, sorted by image id.

    Raises:
        InputError: there are none, or one can't be used.
    """
    return join_samples(sorted(_each(Path(folder)), key=lambda s: s.image_ids[0]))


def _each(folder: Path) -> Iterator[LogitSample]:
    for path in sorted(folder.rglob("*.npz")):
        yield read_sample(path)
