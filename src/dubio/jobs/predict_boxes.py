"""Run a detector over images: table of detections, COCO results; resumable."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dubio
from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, DetPrediction
from dubio.core.errors import InputError
from dubio.core.files import write_json
from dubio.core.labelspace import LabelSpace
from dubio.core.run import Run
from dubio.engine.map import chunked, cpu_count, map_ordered
from dubio.models.det.fit import Image
from dubio.models.det.outputs import BoxOutputs
from dubio.models.det.source import DetectionSource

if TYPE_CHECKING:
    from dubio.calibration.boxes.bundle import DetectionCalibration
    from dubio.reliability.boxes.average_precision import APResult


@dataclass(frozen=True)
class BoxOutcome:
    """What became of one image: ``done``, ``found`` (finished before), or ``bad`` with the fault."""

    sample: BoxSample
    status: str
    fault: str = ""


@dataclass(frozen=True)
class BoxSummary:
    """The end of a detection run.

    Attributes:
        images: images that the detector has seen.
        resumed: those of them that an earlier run had finished.
        detections: rows of ``boxes.parquet``.
        bare: images without a detection.
        bad: images that couldn't be used, with the reason; also in ``quarantine.json``.
        precision: average precision against the labels, if there are any.
        damaged: images predicted again because an earlier run's files were damaged.
    """

    images: int
    resumed: int
    detections: int
    bare: int
    bad: tuple[BoxOutcome, ...]
    precision: APResult | None
    damaged: int = 0


class PredictBoxesJob:
    """Detections of every image of a data set.

    Iterate over :meth:`work`, then call :meth:`finish`.

    Args:
        source: the detector, in the label space of the data set.
        dataset: images; those without a picture are left out.
        run: the run folder.
        labelled: the boxes of the data set are labels: the detections are compared with them.
        calibration: applied to the detections, after double ones are removed.
        batch_size: images per run of the network.
        workers: threads that read images and write results; default: all processors.
        strict: raise at the first image that can't be used, instead of going on without it.

    Raises:
        InputError: the data set has no pictures, the calibration doesn't fit the detections, or
            ``strict`` and an image can't be used.
    """

    def __init__(
        self,
        source: DetectionSource,
        dataset: BoxDataset,
        run: Run,
        *,
        labelled: bool = True,
        calibration: DetectionCalibration | None = None,
        batch_size: int = 1,
        workers: int | None = None,
        strict: bool = False,
    ) -> None:
        self.source, self.dataset, self.run = source, dataset, run
        self.labelled, self.batch_size, self.strict = labelled, batch_size, strict
        self.calibration = calibration
        self.workers = workers or cpu_count()
        self.samples = [s for s in dataset if s.image is not None]
        if not self.samples:
            raise InputError(
                "there are no pictures to look at",
                path=dataset.root,
                remedy="name their folder with --images",
            )
        if labelled and dataset.root is not None and dataset.root.is_dir():
            run.keep_apart([dataset.root / "labels"])
        depends = {"source": source.key(), "dubio": dubio.__version__}
        if calibration is not None:
            depends["calibration"] = calibration.to_dict()
        self.outputs = BoxOutputs(run, depends, source.space)
        self.outcomes: list[BoxOutcome] = []

    def work(self) -> Iterator[BoxOutcome]:
        """Predict what isn't finished; yields one outcome per image."""
        rest = []
        for sample in self.samples:
            if self.outputs.done(sample):
                yield self._note(BoxOutcome(sample, "found"))
            else:
                rest.append(sample)
        read = map_ordered(self._read, chunked(rest, self.batch_size), workers=self.workers)
        waiting: deque[Future[BoxOutcome]] = deque()
        with ThreadPoolExecutor(self.workers) as pool:
            try:
                for group in read:
                    for item in self._predict(group):
                        waiting.append(pool.submit(self._write, *item))
                        while len(waiting) > 2 * self.workers:
                            yield self._note(waiting.popleft().result())
                while waiting:
                    yield self._note(waiting.popleft().result())
            finally:
                pool.shutdown(cancel_futures=True)

    def _note(self, outcome: BoxOutcome) -> BoxOutcome:
        if outcome.status == "bad" and self.strict:
            raise InputError(outcome.fault)
        self.outcomes.append(outcome)
        return outcome

    def _read(self, samples: Sequence[BoxSample]) -> list[tuple[BoxSample, Image | None, str]]:
        return [_read_one(sample) for sample in samples]

    def _predict(
        self, group: Sequence[tuple[BoxSample, Image | None, str]]
    ) -> Iterator[tuple[BoxSample, Image | None, DetPrediction | None, str]]:
        good = [(sample, image) for sample, image, _ in group if image is not None]
        for sample, image, fault in group:
            if image is None:
                yield sample, None, None, fault
        if not good:
            return
        try:
            found = self.source.predict([i for _, i in good], [s.image_id for s, _ in good])
        except InputError as error:
            if len(good) == 1:
                yield *good[0], None, f"{good[0][0].image}: {error}"
                return
            # One image may spoil the batch: try each by itself.
            for sample, image in good:
                yield from self._predict([(sample, image, "")])
            return
        for (sample, image), prediction in zip(good, found, strict=True):
            yield sample, image, prediction, ""

    def _write(
        self, sample: BoxSample, image: Image | None, prediction: DetPrediction | None, fault: str
    ) -> BoxOutcome:
        if image is None or prediction is None:
            return BoxOutcome(sample, "bad", fault)
        size = (image.shape[0], image.shape[1])
        if self.calibration is not None:
            # what doesn't fit is the calibration, whatever the picture: it is told at once
            prediction = self.calibration.apply(prediction, size)
        self.outputs.write(sample, prediction, size)
        return BoxOutcome(sample, "done")

    def finish(self) -> BoxSummary:
        """Merge the tables, list bad images, compare with the labels and mark the run as done.

        Raises:
            InputError: no image at all could be used.
        """
        bad = sorted((o for o in self.outcomes if o.status == "bad"), key=lambda o: o.sample.image_id)
        listed = [
            {"image_id": o.sample.image_id, "image": str(o.sample.image), "fault": o.fault} for o in bad
        ]
        write_json(self.run.path / "quarantine.json", listed)
        dropped = {o.sample.image_id for o in bad}
        good = tuple(s for s in self.samples if s.image_id not in dropped)
        if not good:
            raise InputError(
                f"no image could be used; {len(bad)} are bad, the first: {bad[0].fault}",
                remedy=f"all are listed in {self.run.path / 'quarantine.json'}",
            )
        seen = replace(self.dataset, samples=good)
        detections, bare = self.outputs.merge(seen)
        precision = self._precision(seen)
        resumed = sum(o.status == "found" for o in self.outcomes)
        summary: dict[str, Any] = {"images": len(good), "detections": detections, "quarantined": len(bad)}
        if self.outputs.damaged:
            summary["damaged"] = self.outputs.damaged
        if precision is not None:
            summary |= {"ap": precision.ap, "ap50": precision.ap50}
        self.run.finish(**summary)
        return BoxSummary(len(good), resumed, detections, bare, tuple(bad), precision, self.outputs.damaged)

    def _precision(self, seen: BoxDataset) -> APResult | None:
        if not self.labelled:
            return None
        from dubio.data.boxes.results import open_detections
        from dubio.reliability.boxes.average_precision import average_precision

        return average_precision(seen, open_detections(seen, self.run.path).predictions)


def open_images(folder: str | Path, space: LabelSpace) -> BoxDataset:
    """A folder of images as a data set without boxes.

    Args:
        folder: searched with its subfolders; image ids are paths without suffix.
        space: classes of what will be found.

    Raises:
        InputError: the folder is missing or holds no images.
    """
    from dubio.data.folders import open_folders

    found = open_folders(images=folder, space=space)
    samples = tuple(BoxSample(s.image_id, s.image) for s in found)
    nothing = BoxLabels()
    labels = {s.image_id: nothing for s in samples}
    return BoxDataset(found.name, space, samples, labels, Path(folder), found.notes)


def _read_one(sample: BoxSample) -> tuple[BoxSample, Image | None, str]:
    from dubio.data.images import read_image

    try:
        assert sample.image is not None
        image = read_image(sample.image)
        _check_size(sample, image)
        return sample, image, ""
    except InputError as error:
        named = InputError(error.fault, path=error.path or sample.image, remedy=error.remedy)
        return sample, None, str(named)


def _check_size(sample: BoxSample, image: Image) -> None:
    """Labels of another size belong to another picture: boxes would lie elsewhere."""
    said, found = (sample.height, sample.width), image.shape[:2]
    if None not in said and said != tuple(found):
        raise InputError(
            f"is {found[1]} x {found[0]} pixels, its labels say {sample.width} x {sample.height}",
            remedy="is it the picture that was labelled?",
        )
