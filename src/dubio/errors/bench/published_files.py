"""Files of the published benchmark: written from a truth and a list, and read back to be scored.

``diffs/ID_diff_map.npy``                      uint8, 1 where the label was changed
``label_errors/ID_label_errors.png``           clean class id on errors, else 0
``benchmark_proposals/ID_proposals.png``       red: score in 8 bits, green: predicted class id
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from dubio.core.errors import InputError
from dubio.core.files import writing
from dubio.core.labelspace import IndexMap
from dubio.data.stems import files_by_stem
from dubio.data.stored import MASK_SUFFIXES, read_stored
from dubio.engine.map import Progress, map_ordered
from dubio.errors.bench.published import (
    NONE,
    ClassIds,
    Proposals,
    diff_mask,
    label_errors,
    proposals_png,
)
from dubio.errors.bench.truth import Truth
from dubio.errors.findings import Finding, flat_indices

_PROPOSALS, _ERRORS = "_proposals", "_label_errors"


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        images: number of images.
        lost: pixels of errors whose clean class id is 0, which these files can't tell from no error.
    """

    images: int
    lost: int


def write_published(
    out: str | Path,
    truth: Truth,
    findings: Sequence[Finding],
    *,
    predicted: Callable[[str], IndexMap | None] = lambda _: None,
    min_size: int = 1,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Written:
    """Write a truth and a list as the published tool's files, for all images of the truth.

    A finding is written with the class that it proposes; where findings overlap, the more probable one is
    seen. Elsewhere green is the prediction if it is known, else the label as given (it has no score there,
    and is not counted). Slashes in image ids become ``-``.

    Args:
        out: folder; files of the same name are replaced.
        truth: a truth folder.
        findings: the list.
        predicted: image id -> predicted class indices, or ``None`` if unknown.
        min_size: smaller error segments and blobs of proposals are left out, in pixels (published: 250).
        workers: images at once.
        progress: wraps iterables to show progress.

    Raises:
        InputError: a truth without masks, two images with one name, or class ids above 255.
    """
    names = {name: name.replace("/", "-") for name in truth.image_ids}
    if len(set(names.values())) < len(names):
        raise InputError("two images would have one file name", path=truth.folder)
    by_image: dict[str, list[Finding]] = {}
    for finding in findings:
        by_image.setdefault(finding.image_id, []).append(finding)
    ids = np.array([*truth.space.ids, truth.space.decode(np.array(len(truth.space)))], np.int64)
    root = Path(out)

    def job(image_id: str) -> int:
        clean, given = ids[truth.clean_label(image_id)], ids[truth.given_label(image_id)]
        diff = diff_mask(clean, given)
        wrong = label_errors(diff, clean, min_size)
        seen = predicted(image_id)
        classes = given if seen is None or seen.shape != given.shape else ids[seen]
        numbers, scores = _painted(by_image.get(image_id, []), classes, ids)
        picture = proposals_png(scores, numbers, classes, min_size=min_size)
        name = names[image_id]
        with writing(root / "diffs" / f"{name}_diff_map.npy") as part:
            np.save(part, diff)
        _save(root / "label_errors" / f"{name}{_ERRORS}.png", _unmarked(wrong))
        _save(root / "benchmark_proposals" / f"{name}{_PROPOSALS}.png", picture)
        return int((wrong == 0).sum())

    done = map_ordered(job, names, workers=workers)
    lost = sum(done if progress is None else progress(done, len(names), "writing"))
    return Written(len(names), lost)


def read_proposals(path: str | Path) -> Proposals:
    """Read ``ID_proposals.png``: scores (red / 255) float64 and predicted class ids int32, ``(H, W)``.

    Raises:
        InputError: unreadable, or no picture in three colours.
    """
    stored = read_stored(path)
    if stored.colors is None:
        raise InputError("is no proposal picture: it has no colours", path=path)
    packed = stored.colors.astype(np.int64)
    return (packed >> 16) / 255, (packed >> 8 & 255).astype(np.int32)


def read_label_errors(path: str | Path) -> ClassIds:
    """Read ``ID_label_errors.png``: class ids int32 on errors, -1 elsewhere.

    The file has 0 where there is no error: errors of class id 0 can't be in it.

    Raises:
        InputError: unreadable or no class ids.
    """
    values = read_stored(path).values
    if values is None:
        raise InputError("holds colours, not class ids", path=path)
    ids = values.astype(np.int32)  # the type of the file has no -1
    return np.where(ids == 0, np.int32(NONE), ids)


@dataclass(frozen=True)
class PublishedFolders:
    """Old results, paired by name; iterate for the maps, in the order of the names.

    Attributes:
        names: image names without endings.
        error_files: a file per name.
        proposal_files: a file per name.
    """

    names: tuple[str, ...]
    error_files: tuple[Path, ...]
    proposal_files: tuple[Path, ...]

    def errors(self) -> Iterator[ClassIds]:
        """The error maps."""
        return (read_label_errors(path) for path in self.error_files)

    def proposals(self) -> Iterator[Proposals]:
        """The proposals."""
        return (read_proposals(path) for path in self.proposal_files)


def open_published(proposals: str | Path, errors: str | Path) -> PublishedFolders:
    """Pair the files of two folders of old results by name.

    Raises:
        InputError: a folder is missing or empty, or an image has a file in one folder only.
    """
    ours = _by_name(Path(errors), _ERRORS)
    theirs = _by_name(Path(proposals), _PROPOSALS)
    odd = sorted(ours.keys() ^ theirs.keys())
    if odd:
        here, there = (errors, proposals) if odd[0] in ours else (proposals, errors)
        raise InputError(f"image '{odd[0]}' has a file in {here} but none here", path=there)
    names = tuple(sorted(ours))
    return PublishedFolders(names, tuple(ours[n] for n in names), tuple(theirs[n] for n in names))


def _by_name(folder: Path, ending: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError("is no folder" if folder.exists() else "doesn't exist", path=folder)
    files, _ = files_by_stem(folder, MASK_SUFFIXES)
    found = {stem.removesuffix(ending): path for stem, path in files.items() if stem.endswith(ending)}
    if not found:
        raise InputError(f"holds no files NAME{ending}.png", path=folder)
    return found


def _painted(
    findings: list[Finding], classes: npt.NDArray[np.int64], ids: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int32], dict[int, float]]:
    """Findings as a component map, the most probable on top; their classes go into ``classes``."""
    numbers = np.zeros(classes.shape, np.int32)
    scores: dict[int, float] = {}
    for number, finding in enumerate(sorted(findings, key=lambda f: (f.probability, -f.finding)), start=1):
        place = flat_indices(finding.runs)
        numbers.ravel()[place] = number
        classes.ravel()[place] = ids[finding.proposed_index]
        scores[number] = finding.probability
    return numbers, scores


def _unmarked(wrong: ClassIds) -> npt.NDArray[Any]:
    stored = np.maximum(wrong, 0)
    return stored.astype(np.uint8 if int(stored.max(initial=0)) < 256 else np.uint16)


def _save(path: Path, array: npt.NDArray[Any]) -> None:
    with writing(path) as part:
        Image.fromarray(array).save(part, format="PNG")
