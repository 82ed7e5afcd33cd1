"""Path templates with named parts, matched against a folder tree that is listed only once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dubio.data.stored import IMAGE_SUFFIXES, MASK_SUFFIXES

_PART = re.compile(r"\{(\w+)\}")


class Tree:
    """A folder whose subfolders are listed at most once, when they are first needed.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._listed: dict[str, tuple[list[str], list[str]]] = {}

    def entries(self, folder: str) -> tuple[list[str], list[str]]:
        """Names of the subfolders and of the files in a folder below the root, sorted."""
        if folder not in self._listed:
            folders: list[str] = []
            files: list[str] = []
            try:
                with os.scandir(self.root / folder) as found:
                    for entry in found:
                        if not entry.name.startswith("."):
                            (folders if entry.is_dir() else files).append(entry.name)
            except OSError:
                pass  # absent, or no folder: there is nothing in it
            self._listed[folder] = (sorted(folders), sorted(files))
        return self._listed[folder]

    def walk(self, folder: str = "") -> Iterator[str]:
        """Relative paths of all files below a folder; hidden ones are left out."""
        folders, files = self.entries(folder)
        for name in files:
            yield f"{folder}/{name}" if folder else name
        for name in folders:
            yield from self.walk(f"{folder}/{name}" if folder else name)


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
