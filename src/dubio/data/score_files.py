"""Arrays in score files (NPY, NPZ, safetensors), memory-mapped where the file allows it."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.data.damage import READ_ERRORS, check_file, reason

SCORE_SUFFIXES = (".npy", ".npz", ".safetensors")
_SAFE = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "BF16": "<u2"}
_NPY_START = b"\x93NUMPY"
_NPZ_START = b"PK"
_WRITE_AGAIN = "write it again, or take it out"
_USUAL_KEYS = ("logits", "scores", "probabilities", "probs", "softmax", "pred", "arr_0")


def load_scores(path: str | Path, key: str | None = None) -> npt.NDArray[Any]:
    """Open the array of a score file as it is stored, read-only and mapped into memory if possible.

    NPY, uncompressed NPZ and safetensors are mapped; compressed NPZ and bfloat16 are read into memory.

    Args:
        path: the file.
        key: name of the array in an NPZ or safetensors file; ``None``: the only one, or a usual name.

    Raises:
        InputError: missing, truncated or unreadable file, pickled objects, or no such key.
    """
    path = Path(path)
    check_file(path)
    suffix = path.suffix.lower()
    try:
        if suffix == ".npy":
            _check_start(path, _NPY_START, "NPY")
            return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        if suffix == ".npz":
            _check_start(path, _NPZ_START, "NPZ")
            return _load_npz(path, key)
        if suffix == ".safetensors":
            return _load_safetensors(path, key)
    except InputError:
        raise
    except READ_ERRORS as error:
        raise InputError(
            f"can't be read as class scores: {reason(error)}", path=path, remedy=_WRITE_AGAIN
        ) from error
    raise InputError(f"is no score file ('{suffix}')", path=path, remedy="store .npy, .npz or .safetensors")


def _check_start(path: Path, start: bytes, kind: str) -> None:
    """NumPy takes any other file for a pickle, and speaks of loading it."""
    with open(path, "rb") as file:
        if file.read(len(start)) != start:
            raise InputError(f"is no {kind} file, whatever its name says", path=path, remedy=_WRITE_AGAIN)


def _pick(keys: Iterable[str], key: str | None, path: Path) -> str:
    known = list(keys)
    if key is not None:
        if key in known:
            return key
        raise InputError(f"has no array '{key}'", path=path, remedy=f"it has {', '.join(known) or 'none'}")
    if len(known) == 1:
        return known[0]
    usual = [name for name in _USUAL_KEYS if name in known]
    if len(usual) == 1:
        return usual[0]
    if not known:
        raise InputError("holds no arrays", path=path, remedy=_WRITE_AGAIN)
    raise InputError(
        f"holds {len(known)} arrays ({', '.join(known[:8])})", path=path, remedy="name one with --scores-key"
    )


def _load_npz(path: Path, key: str | None) -> npt.NDArray[Any]:
    with zipfile.ZipFile(path) as archive:
        members = {i.filename.removesuffix(".npy"): i for i in archive.infolist()}
        member = members[_pick(members, key, path)]
        if member.compress_type == zipfile.ZIP_STORED:
            mapped = _map_member(path, member)
            if mapped is not None:
                return mapped
        with archive.open(member) as file:
            # Before numpy makes room for what the header claims.
            shape, _, dtype = _npy_header(file)
            if not dtype.hasobject and math.prod(shape) * dtype.itemsize > member.file_size:
                raise InputError(
                    f"holds a truncated array '{member.filename}'", path=path, remedy=_WRITE_AGAIN
                )
        with archive.open(member) as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


def _map_member(path: Path, member: zipfile.ZipInfo) -> npt.NDArray[Any] | None:
    """Map a stored member; ``None`` if its bytes aren't aligned or the header is of a newer kind."""
    with open(path, "rb") as file:
        file.seek(member.header_offset)
        local = file.read(30)
        if local[:4] != b"PK\x03\x04":
            return None
        skip = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
        file.seek(member.header_offset + 30 + skip)
        start = file.tell()
        shape, fortran, dtype = _npy_header(file)
        if dtype.hasobject or file.tell() % dtype.itemsize or not math.prod(shape):
            return None
        size = file.tell() - start + math.prod(shape) * dtype.itemsize
        if size != member.file_size:
            raise InputError(f"holds a truncated array '{member.filename}'", path=path, remedy=_WRITE_AGAIN)
        order: Any = "F" if fortran else "C"
        return np.asarray(
            np.memmap(path, dtype=dtype, mode="r", offset=file.tell(), shape=shape, order=order)
        )


def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)


def _load_safetensors(path: Path, key: str | None) -> npt.NDArray[Any]:
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= size - 8:
            raise InputError("is no safetensors file, or truncated", path=path, remedy=_WRITE_AGAIN)
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    entry = header[_pick(header, key, path)]
    begin, end = (int(v) for v in entry["data_offsets"])
    shape = tuple(int(v) for v in entry["shape"])
    if entry["dtype"] not in _SAFE:
        raise InputError(
            f"holds {entry['dtype']} values", path=path, remedy="store float16 or float32 scores"
        )
    dtype = np.dtype(_SAFE[entry["dtype"]])
    offset = 8 + length + begin
    if end - begin != math.prod(shape) * dtype.itemsize or offset + end - begin > size or begin < 0:
        raise InputError("is truncated", path=path, remedy=_WRITE_AGAIN)
    if offset % dtype.itemsize or end == begin:
        raw = np.fromfile(path, dtype=dtype, count=math.prod(shape), offset=offset).reshape(shape)
    else:
        raw = np.asarray(np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape))
    if entry["dtype"] == "BF16":
        return (raw.astype(np.uint32) << 16).view(np.float32)
    return raw
