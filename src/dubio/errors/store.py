"""What was computed per image, kept on disk so that a stopped audit goes on where it was."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from dubio.core.errors import InputError
from dubio.core.files import read_json, write_npz, writing
from dubio.data.damage import READ_ERRORS, reason
from dubio.errors.examine import Places, Planting
from dubio.errors.traits import Traits
from dubio.errors.whole_image import WholeImage


@dataclass
class ImageWork:
    """Results of one image.

    Attributes:
        image_id: the image.
        shape: height and width.
        places: candidates of the label as given.
        planting: rows to learn from.
        confusion: ``(C, C + 1)`` int64 pixels by given class and predicted class (last: none).
        p_sum: ``(C,)`` float64 sum of the label's probability by given class.
        regions: ``(C,)`` int64 label components by class, of the size that is searched or larger.
        pred: ``(H, W)`` predicted classes.
        whole: measures of the label as a whole, and of faulty copies.
    """

    image_id: str
    shape: tuple[int, int]
    places: Places
    planting: Planting
    confusion: npt.NDArray[np.int64]
    p_sum: npt.NDArray[np.float64]
    regions: npt.NDArray[np.int64]
    pred: npt.NDArray[Any]
    whole: WholeImage

    @property
    def traits(self) -> Traits:
        """Segments of masks."""
        from dubio.errors.masks import MASKS

        return MASKS

    @property
    def n_regions(self) -> int:
        """Label components that are searched."""
        return int(self.regions.sum())


def save_work(path: Path, works: list[ImageWork], tables: list[pa.Table]) -> None:
    """Write a shard: arrays as NPZ, the region tables as Parquet. The NPZ comes last."""
    with writing(path.with_suffix(".parquet")) as part:
        pq.write_table(
            pa.concat_tables(tables) if tables else pa.table({}),
            part,
            compression="zstd",
            write_page_checksum=True,
        )
    arrays: dict[str, npt.NDArray[Any]] = {
        "image_id": np.array([w.image_id for w in works], dtype=np.str_),
        "shape": np.array([w.shape for w in works], np.int64).reshape(-1, 2),
    }
    for i, work in enumerate(works):
        for name in ("confusion", "p_sum", "regions", "pred"):
            arrays[f"{i}.{name}"] = getattr(work, name)
        for owner in ("places", "planting", "whole"):
            record = getattr(work, owner)
            for item in fields(record):
                arrays[f"{i}.{owner}.{item.name}"] = np.asarray(getattr(record, item.name))
    write_npz(path, arrays)


def load_work(path: Path, *, maps: bool = False) -> list[ImageWork]:
    """Read a shard; with ``maps`` also the predicted classes (else empty).

    Raises:
        InputError: the shard is missing or damaged.
    """
    try:
        return _load(path, maps=maps)
    except READ_ERRORS as error:
        raise InputError(
            f"can't be read: {reason(error)}", path=path, remedy="run the same command again"
        ) from error


def notes_path(path: Path) -> Path:
    """Where the faults of a shard's bad images stand."""
    return path.with_suffix(".bad.json")


def is_whole(path: Path) -> bool:
    """Whether a shard of an earlier run can be used: all of its check sums agree.

    A crash of the machine may leave a file that is cut off or holds zeros, although files are renamed
    only when they are complete.
    """
    notes = notes_path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return False
        load_work(path)
        pq.read_table(path.with_suffix(".parquet"), page_checksum_verification=True)
        return not notes.exists() or isinstance(read_json(notes), dict)
    except (InputError, pa.ArrowException, *READ_ERRORS):
        return False


def _load(path: Path, *, maps: bool) -> list[ImageWork]:
    works = []
    with np.load(path, allow_pickle=False) as data:
        names, shapes = data["image_id"], data["shape"]
        for i, name in enumerate(names):
            places = Places(**{f.name: data[f"{i}.places.{f.name}"] for f in fields(Places)})
            rows = {f.name: data[f"{i}.planting.{f.name}"] for f in fields(Planting)}
            rows["planted"], rows["found"] = int(rows["planted"]), int(rows["found"])
            whole = {f.name: data[f"{i}.whole.{f.name}"] for f in fields(WholeImage)}
            whole |= {name: (int(whole[name][0]), int(whole[name][1])) for name in ("shift", "specks")}
            pred = data[f"{i}.pred"] if maps else np.zeros((0, 0), np.uint8)
            works.append(
                ImageWork(
                    str(name), (int(shapes[i][0]), int(shapes[i][1])), places, Planting(**rows),
                    data[f"{i}.confusion"], data[f"{i}.p_sum"], data[f"{i}.regions"], pred,
                    WholeImage(**whole),
                )
            )  # fmt: skip
    return works
