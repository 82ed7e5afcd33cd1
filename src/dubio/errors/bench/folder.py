"""Writing of truth folders (see :mod:`dubio.errors.bench.truth` for what they hold)."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from dubio.core.errors import InputError
from dubio.core.files import write_json, write_text, writing
from dubio.core.labelspace import LabelSpace
from dubio.errors.bench.truth import COLUMNS, FORMAT, MAX_ERRORS, Truth, TruthError


def save_map(path: Path, truth: npt.NDArray[np.int32]) -> None:
    """Write error numbers as a 16-bit PNG.

    Raises:
        InputError: more errors than 16 bits can number.
    """
    if int(truth.max(initial=0)) > MAX_ERRORS:
        raise InputError(f"more than {MAX_ERRORS} errors in one image", path=path)
    with writing(path) as part:
        Image.fromarray(truth.astype(np.uint16)).save(part, format="PNG")


def error_row(error: TruthError, space: LabelSpace) -> dict[str, Any]:
    """A row of ``errors.csv``."""
    values = (
        error.image_id, error.number, error.kind, space.name_of(error.given), space.name_of(error.planted),
        error.given, error.planted, error.size, *error.box,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def write_truth(truth: Truth, origin: dict[str, Any]) -> None:
    """Write the tables of a truth folder; ``truth.json`` comes last.

    Args:
        truth: the errors, with the folder in which the masks and maps lie already.
        origin: what ``truth.json`` also tells: options, seed, fingerprint of the source, version.

    Raises:
        InputError: a truth without a folder.
    """
    root, space = truth.folder, truth.space
    if root is None:
        raise InputError("a truth in memory can't be written")
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(error_row(e, space) for e in truth.errors)
    write_text(root / "errors.csv", table.getvalue())
    write_json(root / "space.json", space.to_dict())
    write_json(
        root / "truth.json",
        {
            "format": FORMAT,
            "space": space.to_dict(),
            "encoding": truth.encoding,
            **origin,
            "counts": counts(truth),
            "left_out": dict(truth.left_out),
            "images": {name: list(shape) for name, shape in truth.shapes.items()},
        },
    )


def counts(truth: Truth) -> dict[str, Any]:
    """Numbers of images and errors, also by kind and by the class concerned."""
    names = Counter(truth.space.name_of(e.concerned) for e in truth.errors)
    return {
        "images": len(truth.shapes),
        "images_with_errors": len(truth.by_image),
        "errors": len(truth.errors),
        "by_kind": dict(sorted(Counter(e.kind for e in truth.errors).items())),
        "by_class": {name: names[name] for name in truth.space.names if name in names},
    }
