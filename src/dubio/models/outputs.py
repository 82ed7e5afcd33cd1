"""Files of a prediction run: one shard of the region table per image, maps and scores."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dubio.core.errors import InputError
from dubio.core.files import digest, fingerprint, read_json, write_json, writing
from dubio.core.records import Sample, SegPrediction
from dubio.core.run import Run
from dubio.models.maps import write_maps
from dubio.models.tally import Tally

if TYPE_CHECKING:
    import pyarrow as pa

_TALLY = b"dubio.tally"
_PNG_END = b"IEND\xaeB`\x82"
_LONGEST_NAME = 255
_LARGEST_HALF = 65504.0


class Outputs:
    """Where a prediction run keeps its results, and which images are finished.

    A shard's name carries the fingerprint of the image and its label; a changed file is predicted anew.
    The shard is written last, so that an image with a shard is finished.

    Args:
        run: the run.
        depends_on: plain data on which every prediction depends; when it changes, all is done anew.
        keep_scores: write ``scores/ID.npy``.
        maps: write ``maps/ID.png``.

    Attributes:
        damaged: images of an earlier run whose files were found damaged.
    """

    def __init__(self, run: Run, depends_on: Any, *, keep_scores: bool = False, maps: bool = True) -> None:
        self.root = run.path
        self.keep_scores, self.maps = keep_scores, maps
        self.damaged = 0
        key = digest(depends_on)
        self.part = run.part("predict", depends_on)
        note = self.root / "predictions.json"
        if _key_of(note) != key:
            # Maps and scores of another model must never be taken for this one's.
            for name in ("maps", "scores"):
                shutil.rmtree(self.root / name, ignore_errors=True)
            for folder in (self.root / "parts").iterdir():
                if folder.name.startswith("predict-") and folder != self.part:
                    shutil.rmtree(folder, ignore_errors=True)
        write_json(note, {"key": key, "depends_on": json.loads(json.dumps(depends_on, default=str))})

    def shard(self, sample: Sample) -> Path:
        """Path of an image's piece of the region table."""
        mark = fingerprint([sample.image, sample.label])[:8]
        return self._inside(self.part, f"{sample.image_id}.{mark}.parquet")

    def map_path(self, image_id: str) -> Path:
        """Path of an image's maps."""
        return self._inside(self.root / "maps", f"{image_id}.png")

    def score_path(self, image_id: str) -> Path:
        """Path of an image's scores."""
        return self._inside(self.root / "scores", f"{image_id}.npy")

    def _inside(self, folder: Path, name: str) -> Path:
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise InputError(f"the image id '{name}' points out of the run folder")
        path = folder / name
        if len(os.fsencode(path.name)) > _LONGEST_NAME:
            path = path.with_name(digest(path.name) + path.suffix)
        return path

    def done(self, sample: Sample) -> bool:
        """Whether all that is asked for exists and is whole; what a crash left damaged is done again."""
        shard = self.shard(sample)
        if not shard.is_file():
            return False
        wanted = [shard]
        wanted += [self.map_path(sample.image_id)] if self.maps else []
        wanted += [self.score_path(sample.image_id)] if self.keep_scores else []
        there = [path.is_file() for path in wanted]
        whole = all(there) and all(_is_whole(path) for path in wanted)
        self.damaged += all(there) and not whole
        return whole

    def write_maps(self, image_id: str, maps: Any, n_classes: int) -> None:
        """Write ``maps/ID.png``; ``maps`` has ``pred``, ``entropy`` and ``margin``."""
        write_maps(self.map_path(image_id), maps.pred, maps.entropy, maps.margin, n_classes=n_classes)

    def write_scores(self, prediction: SegPrediction) -> None:
        """Write ``scores/ID.npy`` as float16 ``(K, H, W)``."""
        if prediction.scores is not None:
            write_half(self.score_path(prediction.image_id), prediction.scores)

    def write_table(self, sample: Sample, table: pa.Table, tally: Tally | None) -> None:
        """Write the shard, with the image's tally in its metadata."""
        import pyarrow.parquet as pq

        meta = dict(table.schema.metadata or {})
        if tally is not None:
            meta[_TALLY] = json.dumps(tally.to_dict()).encode()
        with writing(self.shard(sample)) as part:
            pq.write_table(table.replace_schema_metadata(meta), part, write_page_checksum=True)

    def merge(self, samples: Iterable[Sample], n_classes: int) -> tuple[int, Tally | None]:
        """Write ``regions.parquet`` from the shards, in the order of the samples.

        Returns:
            The number of regions, and the sum of the tallies if there were labels.
        """
        import pyarrow.parquet as pq

        total, rows = Tally.empty(n_classes), 0
        counted, writer = False, None
        with writing(self.root / "regions.parquet") as part:
            try:
                for sample in samples:
                    table = _read_shard(self.shard(sample))
                    meta = dict(table.schema.metadata or {})
                    tally = meta.pop(_TALLY, None)
                    if tally is not None:
                        total.add(Tally.from_dict(json.loads(tally)))
                        counted = True
                    table = table.replace_schema_metadata(meta)
                    if writer is None:
                        writer = pq.ParquetWriter(part, table.schema)
                    if table.num_rows:
                        writer.write_table(table)
                    rows += table.num_rows
            finally:
                if writer is not None:
                    writer.close()
        return rows, total if counted else None


def _key_of(note: Path) -> Any:
    try:
        data = read_json(note)
    except InputError:
        return None
    return data.get("key") if isinstance(data, dict) else None


def _is_whole(path: Path) -> bool:
    """Whether a file is complete, by its end or its size: contents are not read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.suffix == ".parquet":
            pq.read_metadata(path)
        elif path.suffix == ".npy":
            np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            with open(path, "rb") as file:
                file.seek(-len(_PNG_END), os.SEEK_END)
                return file.read() == _PNG_END
    except (OSError, ValueError, EOFError, pa.ArrowException):
        return False
    return True


def _read_shard(path: Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        with suppress(OSError):
            path.unlink()
        raise InputError(
            "was damaged and is deleted", path=path, remedy="run the same command again to make it anew"
        ) from error


def write_half(path: Path, scores: Any) -> None:
    """Write scores as float16 ``.npy``; logits beyond float16's range are clipped to it."""
    half = np.clip(scores, -_LARGEST_HALF, _LARGEST_HALF).astype(np.float16)
    with writing(path) as part:
        np.save(part, half, allow_pickle=False)
