"""Plain folders of images, labels, scores or predictions, matched by file stems."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from dubio.core.errors import InputError, printable
from dubio.core.labelspace import LabelSpace
from dubio.core.records import Dataset, Sample
from dubio.data.infer import infer_space
from dubio.data.masks import detect_encoding
from dubio.data.stems import files_by_stem, pair_stems
from dubio.data.stored import IMAGE_SUFFIXES, MASK_SUFFIXES


def open_folders(
    *,
    labels: str | Path | None = None,
    images: str | Path | None = None,
    space: LabelSpace | None = None,
    encoding: str | None = None,
) -> Dataset:
    """Open plain folders as a data set; images and labels are matched by stem.

    Subfolders count (the stem is then the path below the folder). Endings that all files of a folder
    share, such as ``_leftImg8bit`` and ``_gtFine_labelIds``, are left off if that makes them match.
    Images without labels and labels without images are kept, and counted in the notes.

    Args:
        labels: folder of label masks.
        images: folder of images.
        space: label space of the masks; ``None``: taken from the masks' values.
        encoding: their encoding; ``None``: detected.

    Raises:
        InputError: no folder given, a folder missing or empty, or nothing matches.
    """
    if labels is None and images is None:
        raise InputError("there is neither a folder of labels nor one of images")
    notes: list[str] = []
    label_files = {} if labels is None else _files(Path(labels), MASK_SUFFIXES, "masks", notes)
    image_files = {} if images is None else _files(Path(images), IMAGE_SUFFIXES, "images", notes)
    keyed_labels, keyed_images = {k: k for k in label_files}, {k: k for k in image_files}
    if label_files and image_files:
        keyed_images, keyed_labels, said = pair_stems(image_files, label_files)
        both = len(keyed_images.keys() & keyed_labels.keys())
        if not both:
            names = f"'{min(image_files)}' and '{min(label_files)}'"
            remedy = _rename(image_files, label_files) or "rename the files"
            raise InputError(f"no image matches a label by name ({names})", path=labels, remedy=remedy)
        notes.append(_counts(len(keyed_images), len(keyed_labels), both) + (f"; {said}" if said else ""))
        left_aside = len(label_files) - len(keyed_labels)
        if left_aside:
            notes.append(f"{left_aside} files beside the labels have other endings and are left aside")
    samples = tuple(
        Sample(
            key,
            image=image_files[keyed_images[key]] if key in keyed_images else None,
            label=label_files[keyed_labels[key]] if key in keyed_labels else None,
        )
        for key in sorted(keyed_images.keys() | keyed_labels.keys())
    )
    masks = [s.label for s in samples if s.label is not None]
    space, encoding = settle_space(masks, space, encoding, notes)
    folder = Path(labels if labels is not None else images or ".")
    return Dataset(folder.name, space, samples, encoding, folder, tuple(notes))


def settle_space(
    masks: Sequence[Path], space: LabelSpace | None, encoding: str | None, notes: list[str]
) -> tuple[LabelSpace, str | None]:
    """Decide label space and encoding of masks: as the user said, else from the masks, which is noted.

    Raises:
        InputError: no masks and no space, or the masks don't fit.
    """
    if space is None:
        space, found, said = infer_space(masks)
        notes.extend(said)
        return space, encoding or found
    if encoding is None and masks:
        encoding, sentence = detect_encoding(masks, space)
        notes.append(sentence)
    return space, None if encoding == "ids" else encoding


def match_files(dataset: Dataset, folder: str | Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Match the files of a folder with the samples of a data set, by stem.

    Tried are the image ids, the stems of the images and those of the labels, each also without the
    endings that all share.

    Args:
        dataset: the data set.
        folder: searched with its subfolders.
        suffixes: accepted file suffixes in lower case.

    Returns:
        The files by image id; images without a file are left out.

    Raises:
        InputError: the folder is missing, has no such files, or none matches.
    """
    return match_with_notes(dataset, folder, suffixes)[0]


def match_with_notes(
    dataset: Dataset, folder: str | Path, suffixes: Sequence[str]
) -> tuple[dict[str, Path], list[str]]:
    """Match files as :func:`match_files` does, and say what was left off the names."""
    folder, notes, found = Path(folder), list[str](), list[str]()
    files = _files(folder, tuple(suffixes), "files", notes)
    best: dict[str, Path] = {}
    for names in _names(dataset):
        keyed_ids, keyed_files, said = pair_stems(names, files)
        shared = keyed_ids.keys() & keyed_files.keys()
        if len(shared) > len(best):
            best = {names[keyed_ids[key]]: files[keyed_files[key]] for key in sorted(shared)}
            found = [said] if said else []
            if len(best) == len(dataset):
                break
    if not best:
        example = dataset.samples[0].image_id if dataset.samples else "(no images)"
        raise InputError(
            f"no file matches an image by name: here is '{min(files)}', the data set has '{example}'",
            path=folder,
            remedy=_rename(files, [s.image_id for s in dataset]) or "name the files after the images",
        )
    return best, notes + found


def _names(dataset: Dataset) -> list[dict[str, str]]:
    """Ways to name the samples: by id, image stem and label stem, each name to its image id."""
    by_image = [(printable(s.image.stem), s.image_id) for s in dataset if s.image is not None]
    by_label = [(printable(s.label.stem), s.image_id) for s in dataset if s.label is not None]
    named = [{s.image_id: s.image_id for s in dataset}]
    for pairs in (by_image, by_label):
        other = dict(pairs)
        # Stems that two samples share would match the wrong file.
        if other and len(other) == len(pairs) and other not in named:
            named.append(other)
    return named


def _files(folder: Path, suffixes: tuple[str, ...], what: str, notes: list[str]) -> dict[str, Path]:
    if not folder.is_dir():
        fault = "is no folder" if folder.exists() else "doesn't exist"
        raise InputError(fault, path=folder, remedy=f"name the folder of {what}")
    files, said = files_by_stem(folder, suffixes)
    notes.extend(said)
    if not files:
        raise InputError(
            f"holds no {what} ({', '.join(suffixes)})" + "".join(f"; {text}" for text in said),
            path=folder,
            remedy="name another folder",
        )
    return files


def _rename(ours: Iterable[str], theirs: Iterable[str]) -> str:
    """Say so if names differ in upper and lower case only."""
    if {name.casefold() for name in ours} & {name.casefold() for name in theirs}:
        return "rename the files: upper and lower case letters differ"
    return ""


def _counts(images: int, labels: int, both: int) -> str:
    text = f"{both} images with labels"
    if images > both:
        text += f", {images - both} images without a label"
    if labels > both:
        text += f", {labels - both} labels without an image"
    return text
