"""Run a model over a data set: region table, uncertainty maps and scores; resumable."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dubio
from dubio.core.errors import InputError
from dubio.core.files import write_json
from dubio.core.labelspace import IndexMap
from dubio.core.records import Dataset, Sample, SegPrediction
from dubio.core.run import Run
from dubio.engine.map import chunked, cpu_count, map_ordered
from dubio.models.outputs import Outputs
from dubio.models.source import ModelSource
from dubio.models.tally import Tally

if TYPE_CHECKING:
    from dubio.models.pixels import Image


@dataclass(frozen=True)
class Outcome:
    """What became of one image: ``done``, ``found`` (finished before), or ``bad`` with the fault."""

    sample: Sample
    status: str
    fault: str = ""


@dataclass(frozen=True)
class PredictSummary:
    """The end of a prediction run.

    Attributes:
        images: images with a prediction.
        resumed: those of them that an earlier run had finished.
        regions: rows of ``regions.parquet``.
        bad: images that couldn't be used, with the reason; also in ``quarantine.json``.
        tally: match with the labels, if there are any.
        damaged: images predicted again because an earlier run's files were damaged.
    """

    images: int
    resumed: int
    regions: int
    bad: tuple[Outcome, ...]
    tally: Tally | None
    damaged: int = 0


class PredictJob:
    """Predictions of a model for every image of a data set.

    Iterate over :meth:`work`, then call :meth:`finish`.

    Args:
        source: the model, in the label space of the data set.
        dataset: images, with or without labels. Without labels, predictions have the image's size;
            with them, the label's.
        run: the run folder.
        keep_scores: also write the scores, float16 ``(K, H, W)``, as ``scores/ID.npy``.
        maps: write ``maps/ID.png`` (see ``read_maps``).
        batch_size: images per run of the network.
        workers: threads that read images and write results; default: all processors.
        strict: raise at the first image that can't be used, instead of going on without it.

    Raises:
        InputError: the data set has no images, or ``strict`` and an image can't be used.
    """

    def __init__(
        self,
        source: ModelSource,
        dataset: Dataset,
        run: Run,
        *,
        keep_scores: bool = False,
        maps: bool = True,
        batch_size: int = 1,
        workers: int | None = None,
        strict: bool = False,
    ) -> None:
        self.source, self.dataset, self.run = source, dataset, run
        self.batch_size, self.strict = batch_size, strict
        self.workers = workers or cpu_count()
        self.samples = [s for s in dataset if s.image is not None]
        if not self.samples:
            raise InputError("there are no images to predict", path=dataset.root)
        run.keep_apart(s.label for s in self.samples)
        self.with_labels = any(s.label is not None for s in self.samples)
        depends = {
            "source": source.key(),
            "labels": [dataset.space.to_dict(), dataset.encoding] if self.with_labels else None,
            "dubio": dubio.__version__,
        }
        self.outputs = Outputs(run, depends, keep_scores=keep_scores, maps=maps)
        self.outcomes: list[Outcome] = []

    def work(self) -> Iterator[Outcome]:
        """Predict what isn't finished; yields one outcome per image."""
        done = [s for s in self.samples if self.outputs.done(s)]
        known = {s.image_id for s in done}
        for sample in done:
            yield self._note(Outcome(sample, "found"))
        rest = [s for s in self.samples if s.image_id not in known]
        read = map_ordered(self._read, chunked(rest, self.batch_size), workers=self.workers)
        waiting: deque[Future[Outcome]] = deque()
        # Scores of large images are large: only a few wait to be written.
        with ThreadPoolExecutor(self.workers) as pool:
            try:
                for group in read:
                    for item in self._predict(group):
                        waiting.append(pool.submit(self._write, *item))
                        while len(waiting) > self.workers:
                            yield self._note(waiting.popleft().result())
                while waiting:
                    yield self._note(waiting.popleft().result())
            finally:
                pool.shutdown(cancel_futures=True)

    def _note(self, outcome: Outcome) -> Outcome:
        if outcome.status == "bad" and self.strict:
            raise InputError(outcome.fault)
        self.outcomes.append(outcome)
        return outcome

    def _read(self, samples: Sequence[Sample]) -> list[tuple[Sample, Image | None, IndexMap | None, str]]:
        return [self._read_one(sample) for sample in samples]

    def _read_one(self, sample: Sample) -> tuple[Sample, Image | None, IndexMap | None, str]:
        from dubio.data.images import read_image
        from dubio.data.masks import read_mask
        from dubio.data.resize import ASPECT_TOLERANCE, check_aspect

        try:
            assert sample.image is not None
            label = None
            if sample.label is not None:
                label = read_mask(sample.label, self.dataset.space, self.dataset.encoding)
            image = read_image(sample.image)
            if label is not None:
                check_aspect(image.shape[:2], label.shape, ASPECT_TOLERANCE, what="the image")
            return sample, image, label, ""
        except InputError as error:
            return sample, None, None, str(_named(error, sample))

    def _predict(
        self, group: list[tuple[Sample, Image | None, IndexMap | None, str]]
    ) -> Iterator[tuple[Sample, SegPrediction | None, IndexMap | None, str]]:
        good = [(s, image, label) for s, image, label, _ in group if image is not None]
        for sample, image, _, fault in group:
            if image is None:
                yield sample, None, None, fault
        try:
            found = self._score(good)
        except InputError as error:
            if len(good) == 1:
                yield good[0][0], None, None, f"{good[0][0].image}: {error}"
                return
            # One image may spoil the batch: try each by itself.
            for item in good:
                yield from self._predict([(*item, "")])
            return
        for (sample, _, label), prediction in zip(good, found, strict=True):
            yield sample, prediction, label, ""

    def _score(self, good: Sequence[tuple[Sample, Image, IndexMap | None]]) -> list[SegPrediction]:
        if not good:
            return []
        sizes = [None if label is None else (label.shape[0], label.shape[1]) for _, _, label in good]
        return self.source.predict([s.image_id for s, _, _ in good], [i for _, i, _ in good], sizes)

    def _write(
        self, sample: Sample, prediction: SegPrediction | None, label: IndexMap | None, fault: str
    ) -> Outcome:
        if prediction is None:
            return Outcome(sample, "bad", fault)
        from dubio.regions.extract import extract

        space = self.source.space
        try:
            found = extract(prediction, label, space=space, image_id=sample.image_id)
        except InputError as error:
            return Outcome(sample, "bad", f"{sample.image}: {error}")
        if self.outputs.keep_scores:
            self.outputs.write_scores(prediction)
        if self.outputs.maps:
            self.outputs.write_maps(sample.image_id, found.maps, len(space))
        tally = None if label is None else Tally.of(found.maps.pred, label, len(space))
        self.outputs.write_table(sample, found.table, tally)
        return Outcome(sample, "done")

    def finish(self) -> PredictSummary:
        """Merge the region table, list bad images and mark the run as done.

        Raises:
            InputError: no image at all could be used.
        """
        bad = sorted((o for o in self.outcomes if o.status == "bad"), key=lambda o: o.sample.image_id)
        listed: list[dict[str, Any]] = [
            {"image_id": o.sample.image_id, "image": str(o.sample.image), "fault": o.fault} for o in bad
        ]
        write_json(self.run.path / "quarantine.json", listed)
        dropped = {o.sample.image_id for o in bad}
        good = [s for s in self.samples if s.image_id not in dropped]
        if not good:
            raise InputError(
                f"no image could be predicted; {len(bad)} can't be used, the first: {bad[0].fault}",
                remedy=f"all are listed in {self.run.path / 'quarantine.json'}",
            )
        regions, tally = self.outputs.merge(good, len(self.source.space))
        resumed = sum(o.status == "found" for o in self.outcomes)
        summary: dict[str, Any] = {"images": len(good), "regions": regions, "quarantined": len(bad)}
        if self.outputs.damaged:
            summary["damaged"] = self.outputs.damaged
        if tally is not None:
            summary |= {"pixel_accuracy": tally.accuracy, "mean_iou": tally.mean_iou}
        self.run.finish(**summary)
        return PredictSummary(len(good), resumed, regions, tuple(bad), tally, self.outputs.damaged)


def _named(error: InputError, sample: Sample) -> InputError:
    return InputError(error.fault, path=error.path or sample.image, remedy=error.remedy)
