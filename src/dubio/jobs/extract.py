"""Sampled logits with ground truth, image by image, for calibrators and for comparing models."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import dubio
from dubio.core.errors import InputError
from dubio.core.files import digest, fingerprint, read_json, write_json, writing
from dubio.core.records import RawScores, Sample
from dubio.data.domains import Domain, Item, read_item
from dubio.data.logits import LogitSample, log_scores, read_sample, sample_pixels, write_sample
from dubio.engine.map import map_ordered
from dubio.jobs.candidates import Candidate, judged, raw_scores
from dubio.models.source import ModelSource

# The published number: 20000 pixels per image.
PIXELS = 20_000


@dataclass(frozen=True)
class Extracted:
    """What became of one image: its file, or the fault that it has."""

    sample: Sample
    path: Path | None
    fault: str = ""
    found: bool = False


class Extraction:
    """Sampled logits of all images of a domain under one model.

    Iterate over :meth:`work`; it yields one :class:`Extracted` per image, in the order of the domain.

    Args:
        candidate: the model.
        domain: the domain.
        folder: where the files go; files of another model or other options in it are removed.
        pixels: per image; -1: all that are not void.
        seed: seed of the choice of pixels; with the same seed all models are sampled at the same pixels.
        features: also keep the features of each image.
        stride: also keep the whole map of logits at every so many pixels, with image and label (for local
            temperature scaling); ``None``: not.
        workers: images at once.
        strict: raise at the first image that can't be used.
    """

    def __init__(
        self,
        candidate: Candidate,
        domain: Domain,
        folder: Path,
        *,
        pixels: int = PIXELS,
        seed: int = 0,
        features: bool = False,
        stride: int | None = None,
        workers: int | None = None,
        strict: bool = False,
    ) -> None:
        self.source = candidate.source(domain)
        self.candidate, self.domain, self.folder = candidate, judged(self.source, domain), folder
        self.pixels, self.seed, self.features, self.stride = pixels, seed, features, stride
        self.workers, self.strict = workers, strict
        self._claim()

    def _claim(self) -> None:
        key = digest(
            {
                "source": self.source.key(),
                "domain": self.domain.key(),
                "pixels": self.pixels,
                "seed": self.seed,
                "features": self.features,
                "stride": self.stride,
                "dubio": dubio.__version__,
            }
        )
        note = self.folder / "extract.json"
        try:
            known = read_json(note).get("key") if note.is_file() else None
        except (InputError, AttributeError):
            known = None
        if known != key and self.folder.is_dir():
            shutil.rmtree(self.folder)
        write_json(note, {"key": key, "model": self.candidate.name, "domain": self.domain.name})

    def path(self, sample: Sample) -> Path:
        """Where the sample of an image is kept."""
        mark = fingerprint([sample.image, sample.label])[:8]
        name = sample.image_id
        if ".." in Path(name).parts or Path(name).is_absolute() or len(name) > 100:
            name = digest(name)
        return self.folder / "samples" / f"{name}.{mark}.npz"

    def map_path(self, sample: Sample) -> Path:
        """Where the whole map of an image is kept."""
        return self.folder / "maps" / self.path(sample).relative_to(self.folder / "samples")

    def work(self) -> Iterator[Extracted]:
        """Extract what isn't finished."""
        for done in map_ordered(self._one, self.domain.dataset.samples, workers=self.workers):
            if done.fault and self.strict:
                raise InputError(done.fault)
            yield done

    def _one(self, sample: Sample) -> Extracted:
        path = self.path(sample)
        if self._whole(sample):
            return Extracted(sample, path, found=True)
        try:
            item = read_item(self.domain, sample, with_image=self.candidate.reads_images)
            raw = raw_scores(self.source, item)
            if raw is None:
                return Extracted(sample, None, f"{sample.image_id}: there is no prediction of it")
            if self.stride is not None:
                write_map(self.map_path(sample), item, raw, self.stride)
            self._write(path, item, raw)
        except InputError as error:
            place = error.path or sample.image or sample.label
            return Extracted(sample, None, str(InputError(error.fault, path=place, remedy=error.remedy)))
        return Extracted(sample, path)

    def _whole(self, sample: Sample) -> bool:
        wanted = [self.path(sample)] + ([self.map_path(sample)] if self.stride is not None else [])
        if not all(p.is_file() for p in wanted):
            return False
        try:
            read_sample(wanted[0])
            if self.stride is not None:
                read_map(wanted[1])
        except InputError:
            return False
        return True

    def _write(self, path: Path, item: Item, raw: RawScores) -> None:
        name = item.sample.image_id
        places = sample_pixels(item.label, raw.n_classes, self.pixels, seed=self.seed, image_id=name)
        columns = raw.scores.reshape(len(raw.scores), -1)[:, places]
        features = None
        if self.features and isinstance(self.source, ModelSource) and item.image is not None:
            features = self.source.image_features(item.image)[None]
        sample = LogitSample(
            logits=log_scores(columns.T, raw.kind),
            labels=item.label.reshape(-1)[places].astype(np.uint16),
            image=np.zeros(len(places), np.int32),
            image_ids=(name,),
            n_classes=raw.n_classes,
            pairs=raw.pairs,
            features=features,
        )
        write_sample(path, sample, places=places, seed=self.seed, size=item.label.shape)


@dataclass(frozen=True)
class LogitMap:
    """Logits of a whole image at every few pixels, with image and label at the same places.

    Args:
        logits: ``(K, h, w)`` float32.
        label: ``(h, w)`` class indices; ``n_classes`` is void.
        image: ``(h, w, 3)`` uint8, or ``None``.
        n_classes: number of classes.
        pairs: class index per channel (see :class:`LogitSample`).
    """

    logits: npt.NDArray[np.float32]
    label: npt.NDArray[np.uint16]
    image: npt.NDArray[np.uint8] | None
    n_classes: int
    pairs: tuple[int, ...] | None


def write_map(path: Path, item: Item, raw: RawScores, stride: int) -> None:
    """Write every ``stride``-th pixel of an image's logits, label and picture (compressed NPZ)."""
    from dubio.data.images import fit_image

    start = stride // 2
    height, width = item.label.shape
    grid = np.s_[min(start, height - 1) :: stride, min(start, width - 1) :: stride]
    label = np.minimum(item.label[grid], raw.n_classes).astype(np.uint16)
    arrays: dict[str, Any] = {
        "logits": log_scores(raw.scores[:, *grid], raw.kind).astype(np.float16),
        "label": label,
        "n_classes": np.int64(raw.n_classes),
    }
    if item.image is not None:
        arrays["image"] = fit_image(item.image, (label.shape[0], label.shape[1]))
    if raw.pairs is not None:
        arrays["pairs"] = np.asarray(raw.pairs, np.int64)
    with writing(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_map(path: Path) -> LogitMap:
    """Read what :func:`write_map` wrote.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            pairs = data["pairs"] if "pairs" in data.files else None
            return LogitMap(
                data["logits"].astype(np.float32),
                data["label"],
                data["image"] if "image" in data.files else None,
                int(data["n_classes"]),
                None if pairs is None else tuple(int(p) for p in pairs),
            )
    except Exception as error:  # damaged archives fail in many ways
        raise InputError(
            "isn't a map of logits, or is damaged", path=path, remedy="extract it again"
        ) from error
