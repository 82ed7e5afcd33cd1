"""The manifest of a run: which files the images and labels of its data set are.

``dataset.json`` (format 1) in a run folder::

    {"format": 1, "name": "…", "root": "…", "encoding": null, "notes": [], "space": {…},
     "unjudged": [],
     "samples": [{"image_id": "…", "image": "…", "label": "…", "split": "val", "domain": {},
                  "shard": "parts/images-KEY/00000.npz"}]}

Paths are absolute; the shard, which holds what was computed for the image, is relative to the run folder.
``unjudged`` lists the classes that the model knows nothing of.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dubio.core.errors import InputError
from dubio.core.files import read_json, write_json
from dubio.core.labelspace import LabelSpace
from dubio.core.records import Dataset, Sample

FORMAT = 1
NAME = "dataset.json"
_REMEDY = "run the same audit again; its finished parts are reused"


@dataclass(frozen=True)
class Manifest:
    """What ``dataset.json`` says.

    Args:
        dataset: the data set; samples in its order.
        shards: image id -> shard, relative to the run folder, for the images that were examined.
        unjudged: indices of the classes that the model knows nothing of.
    """

    dataset: Dataset
    shards: Mapping[str, str] = field(default_factory=dict)
    unjudged: tuple[int, ...] = ()


def write_manifest(
    path: str | Path,
    dataset: Dataset,
    image_ids: Iterable[str] | None = None,
    *,
    shards: Mapping[str, str | Path] | None = None,
    unjudged: Sequence[int] = (),
) -> None:
    """Write the manifest of a data set.

    Args:
        path: the file, ``RUN/dataset.json``.
        dataset: the data set.
        image_ids: list only these images; ``None``: all.
        shards: image id -> path of its shard, relative to the run folder.
        unjudged: indices of classes that the model knows nothing of.
    """
    wanted = None if image_ids is None else set(image_ids)
    rows = []
    for sample in dataset:
        if wanted is not None and sample.image_id not in wanted:
            continue
        shard = (shards or {}).get(sample.image_id)
        rows.append(
            {
                "image_id": sample.image_id,
                "image": _absolute(sample.image),
                "label": _absolute(sample.label),
                "split": sample.split,
                "domain": dict(sample.domain),
                "shard": None if shard is None else Path(shard).as_posix(),
            }
        )
    write_json(
        path,
        {
            "format": FORMAT,
            "name": dataset.name,
            "root": _absolute(dataset.root),
            "encoding": dataset.encoding,
            "notes": list(dataset.notes),
            "space": dataset.space.to_dict(),
            "unjudged": [int(i) for i in unjudged],
            "samples": rows,
        },
    )


def read_manifest(
    path: str | Path,
    *,
    data: str | Path | None = None,
    images: str | Path | None = None,
    labels: str | Path | None = None,
) -> Dataset:
    """Read the data set of a run; see :func:`open_manifest` for the arguments and errors."""
    return open_manifest(path, data=data, images=images, labels=labels).dataset


def open_manifest(
    path: str | Path,
    *,
    data: str | Path | None = None,
    images: str | Path | None = None,
    labels: str | Path | None = None,
) -> Manifest:
    """Read a manifest; the files themselves are not looked at.

    Args:
        path: ``RUN/dataset.json``.
        data: where the folder now is that images and labels have in common.
        images: where the folder of the images now is; counts before ``data``.
        labels: where the folder of the labels now is; counts before ``data``.

    Raises:
        InputError: the file is missing or no manifest, or a given folder doesn't exist.
    """
    if not Path(path).exists():
        raise InputError("doesn't exist, so the images and labels aren't known", path=path, remedy=_REMEDY)
    record = read_json(path)
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InputError(f"is no manifest of format {FORMAT}", path=path, remedy=_REMEDY)
    try:
        rows = record["samples"]
        samples = tuple(_sample(row) for row in rows)
        root = None if record["root"] is None else Path(record["root"])
        dataset = Dataset(
            str(record["name"]), LabelSpace.from_dict(record["space"]), samples, record["encoding"], root,
            tuple(record.get("notes", ())),
        )  # fmt: skip
        shards = {str(row["image_id"]): str(row["shard"]) for row in rows if row.get("shard")}
        unjudged = tuple(int(i) for i in record.get("unjudged", ()))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"is a malformed manifest ({error!r})", path=path, remedy=_REMEDY) from error
    return Manifest(_moved(dataset, data, images, labels), shards, unjudged)


def common_folder(paths: Iterable[Path | None]) -> Path | None:
    """Folder that all files have in common; ``None`` without files.

    >>> common_folder([Path("/a/b/c/1.png"), None, Path("/a/b/2.png")]).as_posix()
    '/a/b'
    """
    folders = {str(p.parent) for p in paths if p is not None}
    try:
        return Path(os.path.commonpath(sorted(folders))) if folders else None
    except ValueError:
        return None


def image_folder(dataset: Dataset) -> Path | None:
    """Folder that the image files lie in: the data set's root if it holds them all, else the common one."""
    return _folder(dataset, [s.image for s in dataset])


def label_folder(dataset: Dataset) -> Path | None:
    """Folder that the label files lie in: the data set's root if it holds them all, else the common one."""
    return _folder(dataset, [s.label for s in dataset])


def _folder(dataset: Dataset, paths: list[Path | None]) -> Path | None:
    found = common_folder(paths)
    if found is not None and dataset.root is not None and found.is_relative_to(dataset.root):
        return dataset.root
    return found


def _sample(row: Mapping[str, Any]) -> Sample:
    def path(name: str) -> Path | None:
        return None if row.get(name) is None else Path(row[name])

    return Sample(
        str(row["image_id"]), path("image"), path("label"), row.get("split"), dict(row.get("domain") or {})
    )


def _absolute(path: Path | None) -> str | None:
    return None if path is None else os.path.abspath(path)


def _moved(
    dataset: Dataset, data: str | Path | None, images: str | Path | None, labels: str | Path | None
) -> Dataset:
    for folder in (data, images, labels):
        if folder is not None and not Path(folder).is_dir():
            raise InputError("is no folder" if Path(folder).exists() else "doesn't exist", path=folder)
    if data is None and images is None and labels is None:
        return dataset
    image_paths, label_paths = [s.image for s in dataset], [s.label for s in dataset]
    base = _base(dataset, [*image_paths, *label_paths])
    image_base, label_base = common_folder(image_paths), common_folder(label_paths)
    samples = tuple(
        replace(
            s,
            image=_swap(_swap(s.image, base, None if images else data), image_base, images),
            label=_swap(_swap(s.label, base, None if labels else data), label_base, labels),
        )
        for s in dataset
    )
    root = Path(data) if data is not None else dataset.root
    if data is not None and dataset.root is not None:
        root = _swap(dataset.root, base, data)
    return replace(dataset, samples=samples, root=root)


def _base(dataset: Dataset, paths: list[Path | None]) -> Path | None:
    """The data set's root where it holds all files, else the folder that they and the root share."""
    found = common_folder(paths)
    if found is None or dataset.root is None or found.is_relative_to(dataset.root):
        return dataset.root or found
    return common_folder([found / "any", dataset.root / "any"])


def _swap(path: Path | None, old: Path | None, new: str | Path | None) -> Path | None:
    if path is None or old is None or new is None or not path.is_relative_to(old):
        return path
    return Path(new) / path.relative_to(old)
