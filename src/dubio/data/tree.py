"""Path templates with named parts, matched against a folder tree that is listed only once."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dubio.data.stored import IMAGE_SUFFIXES, MASK_SUFFIXES

_RUN = "run.json"
_PART = re.compile(r"\{(\w+)\}")


class Tree:
    """A folder whose subfolders are listed at most once, when they are first needed.

    Left out are hidden files, run folders of dubio (what a command wrote is no input), and links that lead
    back to a folder above.

    Args:
        root: the folder.

    Attributes:
        unread: subfolders that can't be listed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unread: list[str] = []
        self._listed: dict[str, tuple[list[str], list[str]]] = {}

    def entries(self, folder: str) -> tuple[list[str], list[str]]:
        """Names of the subfolders and of the files in a folder below the root, sorted."""
        if folder not in self._listed:
            self._listed[folder] = self._list(folder)
        return self._listed[folder]

    def _list(self, folder: str) -> tuple[list[str], list[str]]:
        folders: list[str] = []
        files: list[str] = []
        try:
            with os.scandir(self.root / folder) as found:
                for entry in found:
                    if not entry.name.startswith("."):
                        (folders if _is_folder(entry) else files).append(entry.name)
        except (FileNotFoundError, NotADirectoryError):
            pass  # absent: there is nothing in it
        except OSError:
            self.unread.append(folder)
        if folder and _RUN in files and _is_run(self.root / folder / _RUN):
            return [], []
        return sorted(folders), sorted(files)

    def folders(self) -> list[str]:
        """Relative paths of the subfolders that have been listed."""
        return sorted(name for name in self._listed if name)

    def walk(self, folder: str = "") -> Iterator[str]:
        """Relative paths of all files below a folder."""
        yield from self._walk(folder, frozenset())

    def _walk(self, folder: str, above: frozenset[str]) -> Iterator[str]:
        place = os.path.realpath(self.root / folder)
        if place in above:
            return
        folders, files = self.entries(folder)
        for name in files:
            yield f"{folder}/{name}" if folder else name
        for name in folders:
            yield from self._walk(f"{folder}/{name}" if folder else name, above | {place})


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link to itself; named as a file when it is read


def _is_run(record: Path) -> bool:
    try:
        data = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(data, dict) and {"command", "versions", "format"} <= data.keys()


class Template:
    """A relative path with named parts, such as ``"imgs/{split}/{stem}_left.*"``.

    A part stands for one or more characters without a slash, ``{split}`` only for one of the splits; a
    part that occurs twice must be equal both times. The ending ``.*`` is any suffix of an image or mask.

    Args:
        text: the template.
        splits: what ``{split}`` may be.
    """

    def __init__(self, text: str, splits: Sequence[str] = ()) -> None:
        self.text = text
        self.names = tuple(dict.fromkeys(_PART.findall(text)))
        self._splits = tuple(splits)
        levels = text.split("/")
        self._levels = [self._compile("/".join(levels[: k + 1])) for k in range(len(levels))]

    def _compile(self, text: str) -> re.Pattern[str]:
        any_suffix = text.endswith(".*")
        pattern, last, seen = "", 0, set()
        text = text.removesuffix(".*")
        for found in _PART.finditer(text):
            name = found.group(1)
            pattern += re.escape(text[last : found.start()])
            inner = "|".join(map(re.escape, self._splits)) if name == "split" and self._splits else "[^/]+"
            pattern += f"(?P={name})" if name in seen else f"(?P<{name}>{inner})"
            seen.add(name)
            last = found.end()
        pattern += re.escape(text[last:])
        if any_suffix:
            kinds = sorted({s[1:] for s in (*IMAGE_SUFFIXES, *MASK_SUFFIXES)})
            pattern += rf"\.(?i:{'|'.join(kinds)})"
        return re.compile(pattern)

    def find(self, tree: Tree) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Yield the relative path and the parts of every file that fits, in the order of the paths.

        Only folders that can lead to a file that fits are listed; whole path parts are compared.
        """
        yield from self._descend(tree, "", 0)

    def _descend(self, tree: Tree, folder: str, level: int) -> Iterator[tuple[str, Mapping[str, str]]]:
        folders, files = tree.entries(folder)
        last = level == len(self._levels) - 1
        for name in files if last else folders:
            path = f"{folder}/{name}" if folder else name
            match = self._levels[level].fullmatch(path)
            if match and last:
                yield path, match.groupdict()
            elif match:
                yield from self._descend(tree, path, level + 1)
