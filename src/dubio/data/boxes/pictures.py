"""Pictures of a data set of boxes: found by the names that labels give, or by stem; their sizes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from dubio.core.boxes import BoxSample
from dubio.core.errors import InputError, printable
from dubio.data.images import image_size
from dubio.data.stored import IMAGE_SUFFIXES
from dubio.data.tree import Tree

_FOLDERS = ("images", "JPEGImages", "image_2", "imgs", "img", "image")


class Pictures:
    """Picture files below a folder, listed once.

    Args:
        folder: searched with its subfolders; ``None``: there are no pictures.

    Raises:
        InputError: the folder doesn't exist.
    """

    def __init__(self, folder: str | Path | None) -> None:
        self.folder = None if folder is None else Path(folder)
        self._exact: dict[str, Path] = {}
        self._loose: dict[str, Path | None] = {}
        if self.folder is None:
            return
        if not self.folder.is_dir():
            fault = "is no folder" if self.folder.exists() else "doesn't exist"
            raise InputError(fault, path=self.folder, remedy="name the folder of images")
        for relative in Tree(self.folder).walk():
            if os.path.splitext(relative)[1].lower() in IMAGE_SUFFIXES:
                self._add(relative, self.folder / relative)

    def _add(self, relative: str, path: Path) -> None:
        self._exact[relative] = path
        base = os.path.basename(relative)
        for key in {os.path.splitext(relative)[0], base, os.path.splitext(base)[0]} - {relative}:
            # Two files under one short name: neither is taken for the other.
            self._loose[key] = None if key in self._loose else path

    def __len__(self) -> int:
        return len(self._exact)

    def names(self) -> list[str]:
        """Paths below the folder, with suffixes."""
        return sorted(self._exact)

    def find(self, name: str) -> Path | None:
        """Picture by its path below the folder, else by file name, else by stem; ``None``: not there."""
        name = name.replace("\\", "/").removeprefix("./")
        base = os.path.basename(name)
        for key in (name, base):
            if key in self._exact:
                return self._exact[key]
        for key in (name, os.path.splitext(name)[0], base, os.path.splitext(base)[0]):
            found = self._loose.get(key)
            if found is not None:
                return found
        return None


def pictures_beside(path: Path, images: str | Path | None) -> Pictures:
    """Pictures of the folder that the user names, else of one that stands beside the labels.

    Args:
        path: file or folder of labels.
        images: what the user says.

    Raises:
        InputError: the folder that the user names doesn't exist.
    """
    if images is not None:
        return Pictures(images)
    for above in (path, path.parent, path.parent.parent):
        for name in _FOLDERS:
            if above.is_dir() and (above / name).is_dir():
                return Pictures(above / name)
    near = path if path.is_dir() else path.parent
    beside = any(os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES for name in Tree(near).entries("")[1])
    return Pictures(near if beside else None)


def size_of(sample: BoxSample) -> tuple[int, int]:
    """Height and width of an image: what the labels say, else from the header of the picture.

    Raises:
        InputError: the labels don't say, and there is no picture or it can't be read.

    >>> size_of(BoxSample("a", width=640, height=480))
    (480, 640)
    """
    if sample.width is not None and sample.height is not None:
        return sample.height, sample.width
    if sample.image is None:
        raise InputError(f"the size of the image '{sample.image_id}' is unknown", remedy="name the images")
    return image_size(sample.image)


def name_ids(names: Iterable[str]) -> list[str]:
    """Image ids from names of pictures: without suffix unless two would become equal.

    >>> name_ids(["x/a.jpg", "b.png", "b.jpg"])
    ['x/a', 'b.png', 'b.jpg']
    """
    listed = [printable(name.replace("\\", "/").removeprefix("./")) for name in names]
    stems = [_stem(name) for name in listed]
    seen: dict[str, int] = {}
    for stem in stems:
        seen[stem] = seen.get(stem, 0) + 1
    return [stem if seen[stem] == 1 else name for stem, name in zip(stems, listed, strict=True)]


def _stem(name: str) -> str:
    # A name without a picture's suffix may hold dots of its own.
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in IMAGE_SUFFIXES else name
