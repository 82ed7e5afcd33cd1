"""Calibrators as files: JSON, NPZ or safetensors, told apart by content; never pickle.

Every file holds the same header: format name, version, kind of calibrator, its options, notes and what it
learned. Arrays follow in the way of the format.
"""

from __future__ import annotations

import io
import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from dubio.core.errors import DubioError, InputError
from dubio.core.files import plain_reason, write_json, write_npz, writing

if TYPE_CHECKING:
    from dubio.calibration.base import Calibrator

Array = npt.NDArray[Any]
Storage = Literal["json", "npz", "safetensors"]
FORMAT = "dubio-calibrator"
VERSION = 1
_HEADER = "header"
_WANTED = "name a calibrator of 'dubio calibrate'"
# modules are imported when a file asks for them: one needs torch
_KINDS = {
    "AdaptiveTemperature": "adaptive",
    "Identity": "temperature",
    "TemperatureScaling": "temperature",
    "VectorScaling": "vector",
    "ClasswiseTemperature": "classwise",
    "ClusteredTemperature": "clustered",
    "IsotonicCalibration": "isotonic",
    "DirichletCalibration": "dirichlet",
    "LocalTemperature": "local",
}


def write(
    path: str | Path, kind: str, header: dict[str, Any], arrays: dict[str, Array], storage: Storage
) -> None:
    """Write header and arrays as one file.

    Raises:
        InputError: the file can't be written.
    """
    whole = {"format": FORMAT, "version": VERSION, "kind": kind, **header}
    if storage == "json":
        lists = {k: {"dtype": str(a.dtype), "values": a.tolist()} for k, a in arrays.items()}
        write_json(path, {**whole, "arrays": lists})
        return
    text = json.dumps(whole, ensure_ascii=False, allow_nan=False)
    if storage == "npz":
        write_npz(path, {_HEADER: text, **arrays})
        return
    from safetensors.numpy import save

    solid = {k: np.ascontiguousarray(a) for k, a in arrays.items()}
    with writing(path) as part:
        part.write_bytes(save(solid, metadata={_HEADER: text}))


def read(path: str | Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header and arrays of a file that :func:`write` wrote.

    Raises:
        InputError: missing, damaged, of another format or version.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError("doesn't exist", path=path, remedy=_WANTED) from error
    except OSError as error:
        raise InputError(f"can't be read ({plain_reason(error)})", path=path, remedy=_WANTED) from error
    try:
        header, arrays = _parse(content)
        known = isinstance(header, dict) and header.get("format") == FORMAT
    except Exception as error:  # damaged files fail in many ways
        raise _foreign(path) from error
    if not known:
        raise _foreign(path)
    if header.get("version") != VERSION:
        raise InputError(f"has version {header.get('version')}, this dubio reads {VERSION}", path=path)
    return header, arrays


def _parse(content: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    if content[:2] == b"PK":
        with np.load(io.BytesIO(content), allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
        return json.loads(str(arrays.pop(_HEADER))), arrays
    if content.lstrip()[:1] == b"{":
        header = json.loads(content)
        lists = header.pop("arrays")
        return header, {k: np.array(v["values"], np.dtype(v["dtype"])) for k, v in lists.items()}
    from safetensors.numpy import load

    size = int.from_bytes(content[:8], "little")
    text = json.loads(content[8 : 8 + size])["__metadata__"][_HEADER]
    return json.loads(text), load(content)


def _foreign(path: Path) -> InputError:
    return InputError("is no saved calibrator, or is damaged", path=path, remedy="fit and save it again")


def load_calibrator(path: str | Path) -> Calibrator:
    """Read a calibrator of any kind; what it is stands in the file, not in its name.

    Raises:
        InputError: missing, damaged, foreign, or of a version that this dubio doesn't read.
        MissingExtraError: the calibrator needs torch.

    >>> import tempfile
    >>> from dubio.calibration.temperature import TemperatureScaling
    >>> file = Path(tempfile.mkdtemp()) / "calibrator"
    >>> TemperatureScaling().fit(np.array([[3.0, 0.0]] * 4), np.array([0, 0, 0, 1])).save(file)
    >>> round(load_calibrator(file).temperature_, 2)
    2.73
    """
    header, arrays = read(path)
    name = header.get("kind")
    if name == "DetectionCalibration":
        raise InputError("calibrates boxes, not masks", path=path, remedy=_WANTED)
    if name not in _KINDS:
        raise InputError(f"holds '{name}', which is no calibrator", path=path, remedy=_WANTED)
    kind = getattr(import_module(f"dubio.calibration.{_KINDS[name]}"), name)
    try:
        found: Calibrator = kind(**header["params"])
        found.restore(dict(header["state"]), arrays)
        found.notes_ = [str(line) for line in header["notes"]]
    except DubioError:
        raise
    except Exception as error:
        raise _foreign(Path(path)) from error
    return found


def array_of(arrays: dict[str, Array], name: str, shape: tuple[int | None, ...]) -> Array:
    """An array of a file, of the expected shape (``None``: any length), not empty and finite.

    Raises:
        ValueError: it isn't.
    """
    found = arrays[name]
    fits = found.ndim == len(shape) and all(b in (None, a) for a, b in zip(found.shape, shape, strict=True))
    if not fits or not found.size or not np.isfinite(found).all():
        raise ValueError(f"{name}: shape {found.shape} or its values don't fit")
    return found


def positive_of(arrays: dict[str, Array], name: str, shape: tuple[int | None, ...]) -> Array:
    """Like :func:`array_of`, and all above zero."""
    found = array_of(arrays, name, shape)
    if not (found > 0).all():
        raise ValueError(f"{name} must be above zero")
    return found
