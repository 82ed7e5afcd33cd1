"""Published splits of data sets, and parts of a data set by its domain tags."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.labelspace import LabelSpace
from dubio.core.records import Dataset, Sample
from dubio.data.stored import read_stored

Role = Literal["calibration", "test"]
_FOLDER = Path(__file__).parent / "protocols"
_SHOWN = 12


@dataclass(frozen=True)
class Part:
    """One part of a published split.

    Args:
        split: the official split that it lies in.
        where: tags that its images have, each with the possible values; none: the whole split.
    """

    split: str
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationProtocol:
    """How a published comparison used a data set.

    Args:
        name: name of the data set.
        layouts: layouts in which it is known (``Dataset.name``).
        parts: its parts by role.
        leave_out: names of classes that are left out of the mean over classes.
        unknown_encoding: the encoding whose stored values ``unknown`` are.
        unknown: stored values of classes that the models don't know, with names.
    """

    name: str
    layouts: tuple[str, ...]
    parts: Mapping[str, Part]
    leave_out: tuple[str, ...] = ()
    unknown_encoding: str | None = None
    unknown: Mapping[int, str] = field(default_factory=dict)

    def leave_out_of(self, space: LabelSpace) -> tuple[int, ...]:
        """Indices of the classes that are left out, in a label space."""
        return tuple(space.index_of(name) for name in self.leave_out)


@cache
def builtin_protocols() -> list[str]:
    """Names of the data sets that have a published split.

    >>> builtin_protocols()
    ['acdc', 'cityscapes', 'idd']
    """
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


@cache
def load_protocol(name: str) -> EvaluationProtocol:
    """Load a published protocol by the name of a data set or of one of its layouts.

    Raises:
        InputError: the data set has none.

    >>> load_protocol("acdc-archives").parts["test"].split
    'train'
    >>> load_protocol("idd").leave_out
    ('terrain', 'train')
    """
    for known in builtin_protocols():
        table = tomllib.loads((_FOLDER / f"{known}.toml").read_text(encoding="utf-8"))
        if name.casefold() in (known, *table["layouts"]):
            return _from_table(known, table)
    raise InputError(
        f"the data set '{name}' has no published split", remedy=f"one of {', '.join(builtin_protocols())} has"
    )


def _from_table(name: str, table: Mapping[str, Any]) -> EvaluationProtocol:
    parts = {
        role: Part(
            table[role]["split"], {tag: tuple(values) for tag, values in table[role].get("where", {}).items()}
        )
        for role in get_args(Role)
    }
    unknown = table.get("unknown", {})
    return EvaluationProtocol(
        name,
        tuple(table["layouts"]),
        parts,
        tuple(table.get("leave_out", ())),
        unknown.get("encoding"),
        {int(value): text for value, text in unknown.get("values", {}).items()},
    )


def published_split(dataset: Dataset, role: str = "calibration") -> Dataset:
    """Take the images that a published comparison calibrated or tested on.

    Cityscapes: munster and lindau of val, frankfurt of val. IDD: val, 37 scenes of train. ACDC: val,
    train, each in all conditions. The models of that comparison were trained on Cityscapes.

    Args:
        dataset: the data set as ``open_dataset`` opens it, with all its splits.
        role: ``calibration`` or ``test``.

    Returns:
        The part; its notes name what of the published list isn't there.

    Raises:
        InputError: the data set has no published split, or none of its images is there.

    Source: de Jorge et al., "Reliability in Semantic Segmentation: Are We on the Right Track?", CVPR 2023.
    """
    if role not in get_args(Role):
        raise InputError(f"there is no role '{role}'", remedy="calibration or test")
    part = load_protocol(dataset.name).parts[role]
    kept = [s for s in dataset if s.split == part.split and _fits(s, part.where)]
    if not kept:
        raise InputError(
            f"no image of '{dataset.name}' is in the published {role} split",
            path=dataset.root,
            remedy=f"open the data set with its split '{part.split}'",
        )
    notes = [f"published {role} split: {len(kept)} of {len(dataset)} images"]
    for tag, values in part.where.items():
        lost = sorted(set(values) - {s.domain[tag] for s in kept})
        if lost:
            notes.append(f"not there of the published list: {tag} {_listed(lost)}")
    return replace(dataset, samples=tuple(kept), notes=(*dataset.notes, *notes))


def where(dataset: Dataset, tags: Mapping[str, str | Sequence[str]]) -> Dataset:
    """Take the images with the given domain tags.

    Values are compared as a whole: ``rain`` doesn't match a split called ``train``.

    Args:
        dataset: the data set.
        tags: for each tag (or ``split``) the value, or the possible values; all tags must fit.

    Raises:
        InputError: no image has the tag or the value, or none has all of them.
    """
    wanted = {tag: (v,) if isinstance(v, str) else tuple(v) for tag, v in tags.items()}
    for tag, values in wanted.items():
        there = _values(dataset, tag)
        for value in values:
            if value not in there:
                raise InputError(
                    f"no image of '{dataset.name}' has the {tag} '{value}'",
                    path=dataset.root,
                    remedy=f"there are {_listed(there)}",
                )
    kept = tuple(s for s in dataset if _fits(s, wanted))
    if not kept:
        raise InputError(
            f"no image of '{dataset.name}' has all of the tags {_said(wanted)}", path=dataset.root
        )
    note = f"{len(kept)} of {len(dataset)} images have {_said(wanted)}"
    return replace(dataset, samples=kept, notes=(*dataset.notes, note))


def split_by(dataset: Dataset, tag: str) -> dict[str, Dataset]:
    """Split a data set by the values of a domain tag, or of ``split``.

    Images without the tag are left out; a note of each part counts them.

    Returns:
        The parts by value, in the order of the values.

    Raises:
        InputError: no image has the tag.
    """
    values = _values(dataset, tag)
    bare = sum(_tag(s, tag) is None for s in dataset)
    parts = {value: where(dataset, {tag: value}) for value in values}
    if not bare:
        return parts
    note = f"{bare} of {len(dataset)} images have no {tag} and are left out"
    return {value: replace(part, notes=(*part.notes, note)) for value, part in parts.items()}


def unknown_mask(
    source: str | Path | npt.NDArray[Any], protocol: EvaluationProtocol | str
) -> npt.NDArray[np.bool_]:
    """Mark the pixels of classes that the models of a protocol don't know (local OOD).

    On IDD these are autorickshaw, guard rail, billboard, and bridge or tunnel, which count as void
    among the Cityscapes classes.

    Args:
        source: a mask file in the protocol's encoding (IDD: ``level3Ids``), or its stored values
            ``(H, W)``, integers.
        protocol: the protocol or its name.

    Returns:
        ``(H, W)`` bool. Void and every other class are ``False``.

    Raises:
        InputError: the protocol names no unknown classes, or the mask holds other ids.
    """
    protocol = load_protocol(protocol) if isinstance(protocol, str) else protocol
    if not protocol.unknown:
        raise InputError(f"the protocol of '{protocol.name}' names no unknown classes")
    path = None if isinstance(source, np.ndarray) else Path(source)
    stored = source if isinstance(source, np.ndarray) else read_stored(source).values
    # Ids of training are 0 to 18 too: nothing but the name tells them from the original ids.
    if stored is None or stored.dtype.kind not in "iu" or (path and "trainids" in path.stem.casefold()):
        raise InputError(
            f"holds no {protocol.unknown_encoding}",
            path=path,
            remedy="give the masks with the original ids: in others unknown classes are void",
        )
    return np.isin(stored, list(protocol.unknown))


def _tag(sample: Sample, tag: str) -> str | None:
    return sample.split if tag == "split" else sample.domain.get(tag)


def _fits(sample: Sample, tags: Mapping[str, Sequence[str]]) -> bool:
    return all(_tag(sample, tag) in values for tag, values in tags.items())


def _values(dataset: Dataset, tag: str) -> list[str]:
    found = {value for s in dataset if (value := _tag(s, tag)) is not None}
    if not found:
        tags = sorted({name for s in dataset for name in s.domain} | {"split"})
        raise InputError(
            f"no image of '{dataset.name}' has the tag '{tag}'",
            path=dataset.root,
            remedy=f"there are {_listed(tags)}",
        )
    return sorted(found)


def _listed(values: Sequence[str]) -> str:
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(values[:_SHOWN]) + more


def _said(tags: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{tag} {' or '.join(values)}" for tag, values in tags.items())
