"""Predictions that a model has already written to files: scores or label maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dubio.core.errors import InputError
from dubio.core.files import fingerprint
from dubio.core.labelspace import LabelSpace
from dubio.core.records import Dataset, RawScores, Sample, SegPrediction
from dubio.data.classmap import ClassMap, load_class_map
from dubio.data.folders import match_with_notes
from dubio.data.infer import spread
from dubio.data.masks import detect_encoding, read_mask
from dubio.data.relabel import to_prediction
from dubio.data.resize import resize_indices, resize_scores
from dubio.data.score_files import SCORE_SUFFIXES, load_scores
from dubio.data.scores import ScoreFormat, detect_scores, read_scores
from dubio.data.spaces import builtin_spaces, load_space
from dubio.data.stored import MASK_SUFFIXES


@dataclass(frozen=True)
class FilePredictions:
    """A source of predictions (:class:`dubio.core.records.PredictionSource`) that reads files.

    Made by :func:`open_predictions`. Safe to use from several threads.

    Args:
        files: prediction file by image id.
        target: label space of the predictions that are given out.
        model_space: label space of what the files hold.
        scores: the format if the files hold scores; ``None`` for label maps.
        encoding: encoding of label maps in ``model_space``.
        class_map: how the model's classes count, if they are others.
        notes: what was detected, in sentences.
    """

    files: Mapping[str, Path]
    target: LabelSpace
    model_space: LabelSpace
    scores: ScoreFormat | None = None
    encoding: str | None = None
    class_map: ClassMap | None = None
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __len__(self) -> int:
        return len(self.files)

    def describe(self) -> list[str]:
        """Sentences on what was detected: format, kind, layout, type, size, map and counts."""
        return list(self.notes)

    def key(self) -> Any:
        """Plain data that changes with the files or with how they are read."""
        return {
            "files": fingerprint(self.files[name] for name in sorted(self.files)),
            "ids": sorted(self.files),
            "scores": None if self.scores is None else vars(self.scores),
            "encoding": self.encoding,
            "model_space": self.model_space.to_dict(),
            "target": self.target.to_dict(),
            "pairs": None if self.class_map is None else list(self.class_map.pairs),
        }

    def read_raw(self, sample: Sample, size: tuple[int, int] | None = None) -> RawScores | None:
        """The scores of one sample in the model's own channels; ``None`` if there is no file.

        Raises:
            InputError: the file can't be used, or holds a label map.
        """
        path = self.files.get(sample.image_id)
        if path is None:
            return None
        if self.scores is None:
            raise InputError("is a label map without scores", path=path, remedy="give class scores")
        try:
            scores = read_scores(path, self.scores)
            if size is not None and scores.shape[1:] != tuple(size):
                scores = resize_scores(scores, size, self.scores.kind)
        except InputError as error:
            raise InputError(error.fault, path=error.path or path, remedy=error.remedy) from error
        pairs: tuple[int, ...] | None = None
        if self.class_map is not None:
            pairs = self.class_map.pairs + (-1,) * (len(scores) - len(self.class_map.pairs))
        return RawScores(scores, self.scores.kind, pairs, len(self.target))

    def read(self, sample: Sample, size: tuple[int, int] | None = None) -> SegPrediction | None:
        """Read the prediction of one sample.

        Args:
            sample: the sample.
            size: height and width to resize to; ``None``: as stored. Scores are interpolated bilinearly
                before the class map is applied, label maps by the nearest pixel.

        Returns:
            The prediction in the label space of the data set, or ``None`` if there is no file. Without a
            class map and a change of size the scores are the mapped array of the file itself.

        Raises:
            InputError: the file can't be used.
        """
        path = self.files.get(sample.image_id)
        if path is None:
            return None
        if self.scores is not None:
            raw = self.read_raw(sample, size)
            return None if raw is None else to_prediction(raw, image_id=sample.image_id)
        try:
            return self._read_label_map(path, sample, size)
        except InputError as error:
            raise InputError(error.fault, path=error.path or path, remedy=error.remedy) from error

    def _read_label_map(self, path: Path, sample: Sample, size: tuple[int, int] | None) -> SegPrediction:
        indices = read_mask(path, self.model_space, self.encoding)
        if size is not None and indices.shape != tuple(size):
            indices = resize_indices(indices, size)
        if self.class_map is not None:
            indices = self.class_map.apply_label_map(indices)
        return SegPrediction(len(self.target), label_map=indices, image_id=sample.image_id)


def open_predictions(
    dataset: Dataset,
    *,
    scores: str | Path | None = None,
    predictions: str | Path | None = None,
    class_map: ClassMap | str | Path | None = None,
    model_space: LabelSpace | None = None,
    layout: Literal["auto", "chw", "hwc"] = "auto",
    kind: Literal["auto", "logits", "probabilities"] = "auto",
    key: str | None = None,
) -> FilePredictions:
    """Open a folder of score files or of predicted label maps for a data set.

    Args:
        dataset: the data set; files are matched with its images by stem.
        scores: folder of class scores (NPY, NPZ, safetensors).
        predictions: folder of predicted label masks; used if ``scores`` is ``None``.
        class_map: how the model's classes count in the data set: a map, its name or file. Without one,
            a ``model_space`` of other classes is mapped as :func:`dubio.data.classmap.load_class_map`
            does.
        model_space: label space of the model; ``None``: that of the data set.
        layout: layout of the scores; ``"auto"``: detected.
        kind: logits or probabilities; ``"auto"``: detected.
        key: name of the array in NPZ and safetensors files.

    Raises:
        InputError: no folder, nothing matches, or the files don't fit the label space.
    """
    folder = scores if scores is not None else predictions
    if folder is None:
        raise InputError("there is neither a folder of scores nor one of predictions")
    suffixes = SCORE_SUFFIXES if scores is not None else MASK_SUFFIXES
    files, notes = match_with_notes(dataset, folder, suffixes)
    space, mapped = _spaces(dataset.space, model_space, class_map)
    missing = len(dataset) - len(files)
    counts = f"{len(files)} of {len(dataset)} images have a prediction in {folder}"
    said = [counts + (f"; {missing} are left out" if missing else ""), *notes]
    paths = list(files.values())
    fmt: ScoreFormat | None = None
    encoding: str | None = None
    if scores is not None:
        fmt, found = detect_scores(paths, len(space), layout=layout, kind=kind, key=key)
        said += found + _size_notes(paths, fmt)
    else:
        encoding, sentence = detect_encoding(paths, space)
        said.append(f"predictions are label maps without scores; {sentence}")
    if mapped is not None:
        said += mapped.describe()
    return FilePredictions(files, dataset.space, space, fmt, encoding, mapped, tuple(said))


def _spaces(
    target: LabelSpace, model_space: LabelSpace | None, class_map: ClassMap | str | Path | None
) -> tuple[LabelSpace, ClassMap | None]:
    if isinstance(class_map, ClassMap):
        if class_map.target.names != target.names:
            raise InputError(
                f"the class map leads to '{class_map.target.name}', the data set is in '{target.name}'"
            )
        return class_map.source, class_map
    if class_map is not None and model_space is None:
        source = str(class_map).removesuffix(f"-{target.name}")
        model_space = load_space(source) if source in builtin_spaces() else None
    if class_map is not None and model_space is None:
        raise InputError(
            "a class map needs the model's label space", remedy="name it (model_space), e.g. cityscapes"
        )
    if model_space is None:
        return target, None
    if class_map is None and model_space.names == target.names:
        return model_space, None
    return model_space, load_class_map(class_map, model_space, target)


def _size_notes(paths: list[Path], fmt: ScoreFormat) -> list[str]:
    sizes: set[tuple[int, int]] = set()
    for path in spread(paths, 4):
        try:
            shape = load_scores(path, fmt.key).shape[-3:]
        except InputError:
            continue  # named when it is read
        if len(shape) == 3 and 0 not in shape:
            sizes.add((shape[1], shape[2]) if fmt.layout == "chw" else (shape[0], shape[1]))
    listed = ", ".join(f"{h} x {w}" for h, w in sorted(sizes))
    return [f"scores are {listed} pixels (height x width); other sizes are interpolated bilinearly"]
