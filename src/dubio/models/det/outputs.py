"""Files of a detection run: one shard of the table per image, and what is merged of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, DetPrediction
from dubio.core.errors import InputError
from dubio.core.files import digest, fingerprint, writing
from dubio.core.labelspace import LabelSpace
from dubio.core.run import Run
from dubio.data.boxes.coco import write_coco
from dubio.data.boxes.parquet import FILE_NAME, BoxWriter, box_table
from dubio.data.boxes.write_results import result_numbers

RESULTS, IMAGES = "detections.json", "images.json"
_SIZE = b"dubio.size"
_KIND = b"dubio.class_scores"
_LONGEST_NAME = 255


class BoxOutputs:
    """Where a detection run keeps its results, and which images are finished.

    A shard's name carries the fingerprint of the image; a changed image is predicted anew.

    Args:
        run: the run.
        depends_on: plain data on which every detection depends; when it changes, all is done anew.
        space: classes of the detections.

    Attributes:
        damaged: images of an earlier run whose files were found damaged.
    """

    def __init__(self, run: Run, depends_on: Any, space: LabelSpace) -> None:
        self.root, self.space = run.path, space
        self.damaged = 0
        self.part = run.part("boxes", depends_on)
        if any(p.name.startswith("boxes-") and p != self.part for p in self.part.parent.iterdir()):
            # Detections of another model must never be taken for this one's, not even while it works.
            for name in (FILE_NAME, RESULTS, IMAGES):
                (self.root / name).unlink(missing_ok=True)

    def shard(self, sample: BoxSample) -> Path:
        """Path of an image's piece of the table.

        Raises:
            InputError: the image id leads out of the folder.
        """
        name = f"{sample.image_id}.{fingerprint([sample.image])[:8]}.parquet"
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise InputError(f"the image id '{sample.image_id}' points out of the run folder")
        path = self.part / name
        if len(os.fsencode(path.name)) > _LONGEST_NAME:
            path = path.with_name(digest(path.name) + path.suffix)
        return path

    def done(self, sample: BoxSample) -> bool:
        """Whether an image is finished; what a crash left damaged is done again."""
        shard = self.shard(sample)
        if not shard.is_file():
            return False
        try:
            whole = _SIZE in (pq.read_metadata(shard).metadata or {})
        except (OSError, pa.ArrowException):
            whole = False
        self.damaged += not whole
        return whole

    def write(self, sample: BoxSample, prediction: DetPrediction, size: tuple[int, int]) -> None:
        """Write the shard of an image of this height and width.

        Raises:
            InputError: it can't be written.
        """
        table = box_table(prediction, self.space)
        # the label space stands in the merged file only: it is larger than most shards
        meta = {_SIZE: json.dumps(size).encode()}
        kind = (table.schema.metadata or {}).get(_KIND)
        if kind is not None:
            meta[_KIND] = kind
        with writing(self.shard(sample)) as part:
            pq.write_table(table.replace_schema_metadata(meta), part, write_page_checksum=True)

    def merge(self, dataset: BoxDataset) -> tuple[int, int]:
        """Write ``boxes.parquet``, ``detections.json`` and ``images.json`` of the images of a data set.

        Returns:
            The number of detections, and of images without any.
        """
        numbers = result_numbers(dataset)
        bare, sized = 0, []
        with ExitStack() as stack:
            writer = BoxWriter(stack.enter_context(writing(self.root / FILE_NAME)), self.space)
            results = stack.enter_context(writing(self.root / RESULTS))
            file = stack.enter_context(results.open("w", encoding="utf-8"))
            file.write("[")
            lead = "\n"
            for sample, number in zip(dataset.samples, numbers, strict=True):
                table = _read_shard(self.shard(sample))
                height, width = json.loads(table.schema.metadata[_SIZE])
                sized.append(replace(sample, height=height, width=width, source_id=str(number)))
                writer.add(table)
                bare += table.num_rows == 0
                for line in _lines(table, number, self.space.ids):
                    file.write(lead + line)
                    lead = ",\n"
            file.write("\n]\n")
            writer.close()
        write_coco(_bare(dataset, sized, self.space), self.root / IMAGES)
        return writer.rows, bare


def _lines(table: pa.Table, number: int, class_ids: Sequence[int]) -> Iterator[str]:
    """COCO results of a shard, without what other readers don't know."""
    columns = [table.column(name).to_pylist() for name in ("class", "score", "x0", "y0", "x1", "y1")]
    for c, score, x0, y0, x1, y1 in zip(*columns, strict=True):
        box = [x0, y0, x1 - x0, y1 - y0]
        record = {"image_id": number, "category_id": class_ids[c], "bbox": box, "score": score}
        yield json.dumps(record, allow_nan=False)


def _bare(dataset: BoxDataset, samples: Sequence[BoxSample], space: LabelSpace) -> BoxDataset:
    """The images and classes without boxes: what a reader of COCO results has to know beside them."""
    nothing = BoxLabels()
    return BoxDataset(dataset.name, space, tuple(samples), {s.image_id: nothing for s in samples})


def _read_shard(path: Path) -> pa.Table:
    try:
        # shards are too small for several threads
        return pq.read_table(path, page_checksum_verification=True, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        with suppress(OSError):
            path.unlink()
        raise InputError(
            "was damaged and is deleted", path=path, remedy="run the same command again to make it anew"
        ) from error
