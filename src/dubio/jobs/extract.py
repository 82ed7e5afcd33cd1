"""Sampled logits with ground truth, image by image, for calibrators and for comparing models."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import dubio
from dubio.core.errors import InputError
from dubio.core.files import digest, fingerprint, read_json, write_json
from dubio.core.records import RawScores, Sample
from dubio.data.domains import Domain, Item, read_item
from dubio.data.logits import LogitSample, log_scores, read_sample, sample_pixels, write_sample
from dubio.engine.map import map_ordered
from dubio.jobs.candidates import Candidate, judged, raw_scores
from dubio.models.source import ModelSource

# The published number: 20000 pixels per image.
PIXELS = 20_000


def plain_name(name: str) -> str:
    """A name of a model, domain or class as the name of a file or folder.

    >>> plain_name("road/lane: 1"), plain_name("..")
    ('road_lane_ 1', '_')
    """
    return "".join(c if c.isalnum() or c in "-_. " else "_" for c in name).strip(". ") or "_"


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
        workers: int | None = None,
        strict: bool = False,
    ) -> None:
        if pixels == 0 or pixels < -1:
            raise InputError(f"{pixels} pixels can't be sampled", remedy="give a number, or -1: all")
        if not -(2**63) <= seed < 2**63:
            raise InputError(f"{seed} is no seed", remedy="give a number of at most 64 bits")
        self.source = candidate.source(domain)
        self.candidate, self.domain, self.folder = candidate, judged(self.source, domain), folder
        self.pixels, self.seed, self.features = pixels, seed, features
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

    def work(self) -> Iterator[Extracted]:
        """Extract what isn't finished; samples of images that have changed or gone are removed."""
        wanted = {self.path(s) for s in self.domain.dataset}
        for path in (self.folder / "samples").rglob("*.npz"):
            if path not in wanted:
                path.unlink()
        for done in map_ordered(self._one, self.domain.dataset.samples, workers=self.workers):
            if done.fault and self.strict:
                raise InputError(done.fault)
            yield done

    def _one(self, sample: Sample) -> Extracted:
        path = self.path(sample)
        if self._whole(path):
            return Extracted(sample, path, found=True)
        try:
            item = read_item(self.domain, sample, with_image=self.candidate.reads_images)
            raw = raw_scores(self.source, item)
            if raw is None:
                return Extracted(sample, None, f"there is no prediction of '{sample.image_id}'")
            self._write(path, item, raw)
        except InputError as error:
            place = error.path or sample.image or sample.label
            return Extracted(sample, None, str(InputError(error.fault, path=place, remedy=error.remedy)))
        return Extracted(sample, path)

    def _whole(self, path: Path) -> bool:
        if not path.is_file():
            return False
        try:
            read_sample(path)
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
