"""FiftyOne: a folder of the type ``FiftyOneDataset`` (FiftyOne 1.0 or later).

Load it with ``fo.Dataset.from_dir(FOLDER, dataset_type=fo.types.FiftyOneDataset)``. Findings are detections
with instance masks in the field ``findings``; the probability is their confidence. Tag them ``accepted`` or
``rejected``, export the data set in the same type (``export_media=False``), and ``dubio import`` reads it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.files import write_json
from dubio.core.labelspace import LabelSpace
from dubio.handover.coco import attributes, box_of
from dubio.handover.items import OPEN, Item
from dubio.handover.shots import Shot

SAMPLES, METADATA = "samples.json", "metadata.json"
FIELD = "findings"
# The oldest FiftyOne that reads this; later ones bring it up to date themselves.
_VERSION = "1.0.0"
_FIELDS, _LABELS = "fiftyone.core.fields.", "fiftyone.core.labels."
_LARGEST_MASK = 1 << 30


def write_fiftyone(out: Path, found: Sequence[Shot], space: LabelSpace, name: str) -> list[str]:
    """Write ``metadata.json`` and ``samples.json``; images stay where they are and are named by their paths.

    Args:
        out: folder.
        found: images with findings.
        space: label space.
        name: name of the data set.

    Returns:
        Names of the files.

    Raises:
        InputError: the data set has no images, only labels.
    """
    shown = [shot for shot in found if shot.sample.image is not None]
    if found and not shown:
        raise InputError(
            "the run has labels only, and FiftyOne shows images", remedy="name them with --images"
        )
    write_json(out / SAMPLES, {"samples": [_sample(shot, space) for shot in shown]})
    write_json(out / METADATA, _metadata(name, space))
    return [SAMPLES, METADATA]


def pack_array(array: npt.NDArray[Any]) -> dict[str, Any]:
    """An array as FiftyOne's JSON holds it: zlib of the NPY file, in base 64."""
    raw = io.BytesIO()
    np.save(raw, array, allow_pickle=False)
    packed = base64.b64encode(zlib.compress(raw.getvalue())).decode("ascii")
    return {"$binary": {"base64": packed, "subType": "00"}}


def unpack_array(value: Any) -> npt.NDArray[Any]:
    """The inverse of :func:`pack_array`.

    Raises:
        InputError: malformed, or unreasonably large.
    """
    try:
        packed = value["$binary"]
        packed = packed["base64"] if isinstance(packed, dict) else packed
        inflate = zlib.decompressobj()
        raw = inflate.decompress(base64.b64decode(packed, validate=True), _LARGEST_MASK)
        if inflate.unconsumed_tail:
            raise InputError("a mask is unreasonably large")
        return np.asarray(np.lib.format.read_array(io.BytesIO(raw), allow_pickle=False))
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, zlib.error, EOFError, OSError, MemoryError) as error:
        raise InputError(f"a mask is malformed ({error})") from error


def _sample(shot: Shot, space: LabelSpace) -> dict[str, Any]:
    sample = shot.sample
    return {
        "_id": _id("sample", sample.image_id),
        "_media_type": "image",
        "_rand": int(_digest("rand", sample.image_id)[:8], 16) / 2**32,
        "filepath": str(sample.image),
        "tags": [sample.split] if sample.split else [],
        "metadata": None,
        "image_id": sample.image_id,
        FIELD: {
            "_cls": "Detections",
            "detections": [_detection(shot, item, space) for item in shot.items],
        },
    }


def _detection(shot: Shot, item: Item, space: LabelSpace) -> dict[str, Any]:
    if item.finding.is_box:
        x0, y0, x1, y1 = shot.box(item)
        left, top, width, height, packed = x0, y0, x1 - x0, y1 - y0, None
    else:
        mask = shot.mask(item)
        left, top, width, height = box_of(mask)
        packed = pack_array(mask[top : top + height, left : left + width])
    said = attributes(item)
    del said["probability"]
    return {
        "_id": _id("finding", f"{shot.sample.image_id}/{item.finding.finding}"),
        "_cls": "Detection",
        "attributes": {},
        "tags": [] if item.state == OPEN else [item.state],
        "label": space.name_of(item.class_index(space)),
        "bounding_box": [left / shot.width, top / shot.height, width / shot.width, height / shot.height],
        "mask": packed,
        "confidence": round(item.finding.probability, 6),
        **said,
    }


def _metadata(name: str, space: LabelSpace) -> dict[str, Any]:
    detection = _list_of(
        "detections",
        "Detection",
        [
            _field("id", "ObjectIdField", db_field="_id"),
            _field("tags", "ListField", "StringField", db_field="tags"),
            _field("attributes", "DictField", "EmbeddedDocumentField", "Attribute", db_field="attributes"),
            _field("label", "StringField", db_field="label"),
            _field("bounding_box", "ListField", "FloatField", db_field="bounding_box"),
            _field("mask", "ArrayField", db_field="mask"),
            _field("mask_path", "StringField", db_field="mask_path"),
            _field("confidence", "FloatField", db_field="confidence"),
            _field("index", "IntField", db_field="index"),
            _field("finding", "IntField", db_field="finding"),
            *(
                _field(text, "StringField", db_field=text)
                for text in ("kind", "given", "proposed", "reason", "verdict")
            ),
        ],
    )
    findings = _field(FIELD, "EmbeddedDocumentField", document="Detections", db_field=FIELD)
    findings["fields"] = [detection]
    metadata = _field("metadata", "EmbeddedDocumentField", db_field="metadata")
    metadata["embedded_doc_type"] = "fiftyone.core.metadata.ImageMetadata"
    return {
        "name": name,
        "version": _VERSION,
        "media_type": "image",
        "tags": [],
        "info": {"description": "suspected label errors"},
        "app_config": {},
        "classes": {FIELD: list(space.names)},
        "default_classes": list(space.names),
        "mask_targets": {},
        "default_mask_targets": {},
        "skeletons": {},
        "saved_views": [],
        "annotation_runs": {},
        "brain_methods": {},
        "evaluations": {},
        "runs": {},
        "sample_fields": [
            _field("id", "ObjectIdField", db_field="_id"),
            _field("filepath", "StringField", db_field="filepath"),
            _field("tags", "ListField", "StringField", db_field="tags"),
            metadata,
            _field("created_at", "DateTimeField", db_field="created_at", read_only=True),
            _field("last_modified_at", "DateTimeField", db_field="last_modified_at", read_only=True),
            _field("image_id", "StringField", db_field="image_id"),
            findings,
        ],
        "frame_fields": [],
    }


def _list_of(name: str, document: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
    made = _field(name, "ListField", "EmbeddedDocumentField", document, db_field=name)
    made["fields"] = fields
    return made


def _field(
    name: str,
    kind: str,
    subfield: str | None = None,
    document: str | None = None,
    *,
    db_field: str,
    read_only: bool = False,
) -> dict[str, Any]:
    return {
        "name": name,
        "ftype": _FIELDS + kind,
        "subfield": None if subfield is None else _FIELDS + subfield,
        "embedded_doc_type": None if document is None else _LABELS + document,
        "db_field": db_field,
        "fields": [],
        "description": None,
        "info": None,
        "read_only": read_only,
    }


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()


def _id(*parts: str) -> dict[str, str]:
    """An object id: the same for the same thing."""
    return {"$oid": _digest(*parts)[:24]}
