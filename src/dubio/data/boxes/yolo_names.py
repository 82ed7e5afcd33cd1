"""Names of YOLO's classes: from ``data.yaml``, ``classes.txt`` or ``obj.names``."""

from __future__ import annotations

import json
import re
from pathlib import Path

from dubio.core.errors import InputError
from dubio.data.boxes.files import text_lines

_LISTS = ("classes.txt", "obj.names", "labels/classes.txt")
_PAIR = re.compile(r"""(\d+)\s*:\s*("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^,}#]+)""")
_ITEM = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^,\[\]\s][^,\[\]]*)""")


def class_names(root: Path) -> dict[int, str] | None:
    """Names by number of the classes that a folder of YOLO labels comes with; ``None``: none.

    Raises:
        InputError: a YAML file has names that can't be read.
    """
    for folder in (root, root.parent):
        for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
            found = yaml_names(path)
            if found is not None:
                return found
    for name in _LISTS:
        if (root / name).is_file():
            return {k: line.strip() for k, line in enumerate(text_lines(root / name))}
    return None


def yaml_names(path: Path) -> dict[int, str] | None:
    """Read ``names`` of a YOLO data file: a list or numbered, in one line or one name a line.

    This is no YAML reader: anchors and nested values are beyond it.

    Returns:
        The names by class number; ``None`` if the file has no ``names``.

    Raises:
        InputError: the names can't be read.
    """
    lines = [line for line in text_lines(path) if not line.lstrip().startswith("#")]
    start = next((k for k, line in enumerate(lines) if re.match(r"names\s*:", line)), None)
    if start is None:
        return None
    rest = lines[start].split(":", 1)[1].strip()
    block = []
    for line in lines[start + 1 :]:
        if not line.startswith((" ", "\t", "-", "]", "}")):
            break
        block.append(line.strip())
    if rest.startswith(("[", "{")):
        joined = " ".join([rest, *block])
        joined = joined[: joined.rfind("]" if rest[0] == "[" else "}") + 1]
        names = _numbered(joined[1:]) if rest[0] == "{" else _listed(_ITEM.findall(joined))
    elif block and all(line.startswith("-") for line in block):
        names = _listed([line[1:] for line in block])
    else:
        names = _numbered(",".join(block))
    if not names or "" in names.values():
        raise InputError("has names of classes that can't be read", path=path, remedy="list them one a line")
    return names


def yaml_root(path: Path) -> Path:
    """Folder that a YOLO data file describes: its ``path`` if that is there, else the file's own.

    A relative ``path`` counts from the file, or from the folder above it.
    """
    said = next((m[1] for line in text_lines(path) if (m := re.match(r"path\s*:\s*(\S.*)", line))), "")
    named = Path(_bare(said)).expanduser()
    for folder in (path.parent / named, path.parent.parent / named):  # an absolute path stays as it is
        if said and folder.is_dir():
            return folder
    return path.parent


def _numbered(text: str) -> dict[int, str]:
    return {int(k): _bare(v) for k, v in _PAIR.findall(text)}


def _listed(items: list[str]) -> dict[int, str]:
    return {k: _bare(v) for k, v in enumerate(items)}


def _bare(text: str) -> str:
    """Take off quotation marks, or a comment behind an unquoted name."""
    text = text.strip()
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        try:
            return str(json.loads(text))
        except ValueError:
            return text[1:-1]
    if text.startswith("'") and text.endswith("'") and len(text) > 1:
        return text[1:-1].replace("''", "'")
    return re.split(r"\s#", text)[0].strip()
