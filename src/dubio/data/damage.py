"""Files that can't be read: finding out, and saying it in plain words."""

from __future__ import annotations

import lzma
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from dubio.core.errors import InputError
from dubio.core.files import plain_reason

# All that numpy, zipfile and Pillow have been seen to raise on damaged files; MemoryError: a damaged size.
READ_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    NotImplementedError,
    RecursionError,
    OverflowError,
    MemoryError,
    AssertionError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,
    lzma.LZMAError,
    Image.DecompressionBombError,
)
_WORDS = (
    ("truncated", "it is truncated"),
    ("cannot identify", "its contents are of no known picture format"),
    ("decompression bomb", "it claims to have more than 178 million pixels"),
    ("pickle", "it holds Python objects, which dubio never loads"),
    ("python objects", "it holds Python objects, which dubio never loads"),
    ("greater than file size", "it is truncated"),
    ("no data left", "it is empty"),
    ("eof", "it is truncated"),
    ("cannot reshape", "it is truncated"),
    ("not a zip file", "it is truncated or no NPZ file"),
    ("bad crc", "it is damaged: its check sum is wrong"),
    ("unable to allocate", "it claims to hold more data than fits into memory"),
    ("magic string", "it is no NPY file"),
)


def reason(error: BaseException) -> str:
    """Say in plain words why a library could not read a file.

    >>> reason(ValueError("mmap length is greater than file size"))
    'it is truncated'
    """
    if isinstance(error, PermissionError):
        return "the permission to read it is missing"
    if isinstance(error, OSError) and error.errno is not None:
        return plain_reason(error)
    text = str(error).casefold()
    for sign, words in _WORDS:
        if sign in text:
            return words
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, UnidentifiedImageError):
        return "its contents are of no known picture format"
    return "it is damaged"


def check_file(path: Path) -> None:
    """Refuse what is no file with contents.

    Raises:
        InputError: missing, a broken link, a folder, no ordinary file, empty, or not readable.
    """
    try:
        stat = path.stat()
    except OSError as error:
        fault = "is a link to nothing" if path.is_symlink() else "doesn't exist"
        raise InputError(fault, path=path, remedy="replace the file or take it out") from error
    if not path.is_file():
        raise InputError(
            "is a folder" if path.is_dir() else "is no ordinary file", path=path, remedy="take it out"
        )
    if stat.st_size == 0:
        raise InputError("can't be read: it is empty", path=path, remedy="replace the file")


def check_png(path: Path) -> None:
    """Compare the check sums of a PNG's pixels, header and palette, which Pillow doesn't; others pass.

    Raises:
        InputError: a check sum is wrong: some bits are not what was written.
    """
    with open(path, "rb") as file:
        if file.read(8) != b"\x89PNG\r\n\x1a\n":
            return
        while len(head := file.read(8)) == 8:
            length, kind = int.from_bytes(head[:4], "big"), head[4:]
            if kind not in (b"IHDR", b"PLTE", b"IDAT"):
                file.seek(length + 4, 1)
                continue
            body, stored = file.read(length), file.read(4)
            # What is cut off is found, and called so, when the pixels are decoded.
            if len(stored) == 4 and zlib.crc32(kind + body) != int.from_bytes(stored, "big"):
                raise InputError(
                    "is damaged: its check sum is wrong", path=path, remedy="copy or make it again"
                )
