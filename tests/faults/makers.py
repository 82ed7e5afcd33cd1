"""Ways to spoil one file of a data set; each takes the path of a sound file and leaves a bad one."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


class _Trap:
    """Unpickling this leaves a mark: proof that a pickle was loaded."""

    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('pickle-was-loaded').touch()",))


def truncate(path: Path, share: float = 0.5) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def header_only(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("this is not what its name says\n")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def flipped_bits(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 2, len(data) // 2 + 40):
        data[place] ^= 0x55
    path.write_bytes(data)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def huge_png(path: Path) -> None:
    """A PNG of a few hundred bytes that says it has 60000 x 60000 pixels."""
    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    body = (
        png_chunk(b"IHDR", head) + png_chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + png_chunk(b"IEND", b"")
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def huge_npy(path: Path) -> None:
    """An NPY whose header says 3 x 10^6 x 10^6 floats."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": "<f4", "fortran_order": False, "shape": (3, 10**6, 10**6)}
    )
    path.write_bytes(out.getvalue() + b"\0" * 64)


def jpeg(path: Path) -> None:
    with Image.open(path) as image:
        image.convert("L").save(path, "JPEG")


def array_in(path: Path) -> None:
    """An NPY array under the name of a picture."""
    out = io.BytesIO()
    np.save(out, np.zeros((72, 96), np.uint8))
    path.write_bytes(out.getvalue())


def picture_in(path: Path) -> None:
    """A PNG under the name of an array."""
    out = io.BytesIO()
    Image.new("L", (96, 72)).save(out, "PNG")
    path.write_bytes(out.getvalue())


def pickled(path: Path) -> None:
    """An object array, which only a pickle can hold."""
    np.save(path, np.array([_Trap(), None], dtype=object), allow_pickle=True)


def bare_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(_Trap()))


def pickled_npz(path: Path) -> None:
    with open(path, "wb") as file:
        np.savez(file, scores=np.array([_Trap()], dtype=object))


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def unknown_value(path: Path) -> None:
    pixels = _pixels(path)
    pixels[30:33, 40:50] = 77
    Image.fromarray(pixels).save(path)


def sixteen_bits(path: Path) -> None:
    pixels = _pixels(path).astype(np.uint16)
    pixels[30:33, 40:50] = 40000
    Image.fromarray(pixels).save(path)


def float_tiff(path: Path) -> None:
    Image.fromarray(_pixels(path).astype(np.float32)).save(path, "TIFF")


def unknown_colours(path: Path) -> None:
    pixels = np.zeros((72, 96, 3), np.uint8)
    pixels[:] = (120, 120, 120)
    pixels[20:30, 20:30] = (1, 2, 3)
    Image.fromarray(pixels).save(path)


def photo(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (72, 96, 3), dtype=np.uint8)).save(path)


def other_size(path: Path) -> None:
    with Image.open(path) as image:
        smaller = image.resize((50, 60), Image.Resampling.NEAREST)
    smaller.save(path)


def one_pixel(path: Path) -> None:
    with Image.open(path) as image:
        image.crop((0, 0, 1, 1)).save(path)


def one_row(path: Path) -> None:
    with Image.open(path) as image:
        image.crop((0, 30, 96, 31)).save(path)


def change(function):
    """Make a fault that rewrites the array of an NPY file."""

    def fault(path: Path) -> None:
        np.save(path, function(np.load(path)))

    return fault


def softmax(scores: np.ndarray) -> np.ndarray:
    odds = np.exp(scores - scores.max(axis=0))
    return (odds / odds.sum(axis=0)).astype(np.float32)


def put(value: float):
    def some(scores: np.ndarray) -> np.ndarray:
        scores = scores.copy()
        scores[1, 30:33, 40:50] = value
        return scores

    return some


def npz_bomb(path: Path) -> None:
    """A small NPZ whose member says it has 10^12 bytes."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": "<f4", "fortran_order": False, "shape": (3, 500000, 500000)}
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scores.npy", out.getvalue() + b"\0" * 1000)


COMMON = {
    "truncated": truncate,
    "header_only": header_only,
    "empty": empty,
    "text": text,
}
LABELS = {
    **COMMON,
    "flipped_bits": flipped_bits,
    "array_in_png": array_in,
    "huge_png": huge_png,
    "jpeg": jpeg,
    "pickle": bare_pickle,
    "unknown_value": unknown_value,
    "sixteen_bits": sixteen_bits,
    "float_tiff": float_tiff,
    "unknown_colours": unknown_colours,
    "photo": photo,
    "other_size": other_size,
    "one_pixel": one_pixel,
    "one_row": one_row,
}
SCORES = {
    **COMMON,
    "picture_in_npy": picture_in,
    "pickled": pickled,
    "bare_pickle": bare_pickle,
    "huge_npy": huge_npy,
    "two_axes": change(lambda s: s[0]),
    "four_axes": change(lambda s: np.stack([s, s])),
    "five_axes": change(lambda s: s[None, None]),
    "one_axis": change(lambda s: s.ravel()),
    "scalar": change(lambda s: s[0, 0, 0]),
    "axes_swapped": change(lambda s: s.transpose(0, 2, 1)),
    "zero_size": change(lambda s: s[:, :0]),
    "other_proportions": change(lambda s: s[:, :50]),
    "one_pixel": change(lambda s: s[:, :1, :1]),
    "one_row": change(lambda s: s[:, :1]),
    "a_channel_less": change(lambda s: s[:2]),
    "many_channels": change(lambda s: np.concatenate([s, s])),
    "integers": change(lambda s: s.astype(np.int32)),
    "complex": change(lambda s: s.astype(np.complex64)),
    "words": change(lambda s: np.array(["a", "b"])),
    "dates": change(lambda s: np.zeros((3, 72, 96), "datetime64[s]")),
    "records": change(lambda s: np.zeros((3, 72, 96), [("a", "f4")])),
    "some_nan": change(put(np.nan)),
    "all_nan": change(lambda s: np.full_like(s, np.nan)),
    "some_inf": change(put(np.inf)),
    "minus_inf": change(put(-np.inf)),
    "all_inf": change(lambda s: np.full_like(s, np.inf)),
}
IMAGES = {
    **COMMON,
    "flipped_bits": flipped_bits,
    "array_in_png": array_in,
    "huge_png": huge_png,
    "pickle": bare_pickle,
    "other_size": other_size,
    "one_pixel": one_pixel,
}
