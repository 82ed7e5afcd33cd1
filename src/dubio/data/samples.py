"""Collecting the samples of a layout: images, labels, splits and domain tags."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from dubio.core.errors import InputError, printable
from dubio.core.files import plain_reason
from dubio.core.records import Sample
from dubio.data.tree import Template, Tree

Key = tuple[str, ...]
Found = dict[Key, tuple[str, Mapping[str, str]]]


@dataclass(frozen=True)
class Layout:
    """Where a data set keeps its files.

    Args:
        name: name of the layout.
        image: template of the images.
        labels: templates of the label masks with their encodings; the first that is there is used.
        image_id: how an image id is made of the named parts.
        domain: the named parts that are domain tags.
        lists: template of text files with the stems of a split, if splits are no folders.
        splits: names of the splits, in the order in which lists are tried.
        stems: pattern that stems must match for the layout to be detected.
        note: a sentence for the user.
    """

    name: str
    image: Template
    labels: tuple[tuple[Template, str | None], ...]
    image_id: str
    domain: tuple[str, ...]
    lists: str | None
    splits: tuple[str, ...]
    stems: str
    note: str

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Layout:
        """Build a layout from an entry of ``[[layouts]]`` in a set's TOML file.

        Raises:
            KeyError: a part is missing.
        """
        splits = tuple(str(s) for s in table.get("splits", ()))
        labels = tuple((Template(i["path"], splits), i.get("encoding")) for i in table["labels"])
        return cls(
            name=str(table["name"]),
            image=Template(str(table["image"]), splits),
            labels=labels,
            image_id=str(table.get("id", "{stem}")),
            domain=tuple(table.get("domain", ())),
            lists=table.get("lists"),
            splits=splits,
            stems=str(table.get("stems", "")),
            note=str(table.get("note", "")),
        )

    @property
    def literal(self) -> int:
        """How much of the templates is fixed text: the more, the surer is a match."""
        return min(len(re.sub(r"\{\w+\}", "", t.text)) for t, _ in self.labels)

    def probe(self, tree: Tree, count: int = 3) -> list[Path] | None:
        """Return a few masks of the layout; ``None`` if there are none, or no images beside them."""
        if next(iter(self.image.find(tree)), None) is None:
            return None
        for template, _ in self.labels:
            found = list(islice(template.find(tree), count))
            if found and all(re.search(self.stems, parts.get("stem", "")) for _, parts in found):
                return [tree.root / path for path, _ in found]
        return None


def collect(
    tree: Tree, layout: Layout, encoding: str | None, split: str | None = None
) -> tuple[list[Sample], str | None, list[str]]:
    """Collect the samples of a layout.

    Args:
        tree: the folder.
        layout: the layout.
        encoding: prefer the masks of this encoding if the layout knows several kinds.
        split: if splits are lists of stems, only this one (lists such as trainval overlap others).

    Returns:
        The samples sorted by image id, the encoding of the masks if the layout says, and notes.

    Raises:
        InputError: no images and no labels, or a list of a split can't be read.
    """
    images = _find(tree, layout.image, layout)
    labels: Found = {}
    own: str | None = None
    for template, said in sorted(layout.labels, key=lambda item: item[1] != encoding):
        labels = _find(tree, template, layout)
        if labels:
            own = said
            break
    notes: list[str] = []
    if not images and not labels:
        raise InputError(f"holds no files in the layout '{layout.name}'", path=tree.root)
    splits = _splits(tree, layout, split)
    everything = {**labels, **images}
    if splits:
        loose = labels if split is None else {}  # a label that no list names still counts
        everything = {k: v for k, v in everything.items() if v[1].get("stem") in splits or k in loose}
    names = _names(everything, layout, notes)
    samples = [
        Sample(
            names[key],
            image=tree.root / images[key][0] if key in images else None,
            label=tree.root / labels[key][0] if key in labels else None,
            split=parts.get("split") or splits.get(parts.get("stem", "")),
            domain={name: parts[name] for name in layout.domain if name in parts},
        )
        for key, (_, parts) in everything.items()
    ]
    both = sum(1 for s in samples if s.image is not None and s.label is not None)
    bare = sum(1 for s in samples if s.label is None)
    blind = sum(1 for s in samples if s.image is None)
    text = f"{both} images with labels"
    text += f", {bare} images without a label" if bare else ""
    text += f", {blind} labels without an image" if blind else ""
    notes.insert(0, text)
    return sorted(samples, key=lambda s: s.image_id), own, notes


def _find(tree: Tree, template: Template, layout: Layout) -> Found:
    """Files of a template by the parts that images and labels share."""
    shared = [n for n in layout.image.names if all(n in t.names for t, _ in layout.labels)]
    found: Found = {}
    for path, parts in template.find(tree):
        found.setdefault(tuple(parts[name] for name in shared), (path, parts))
    return found


def _names(found: Found, layout: Layout, notes: list[str]) -> dict[Key, str]:
    names = {key: printable(layout.image_id.format(**parts)) for key, (_, parts) in found.items()}
    counts = Counter(names.values())
    if len(counts) == len(names):
        return names
    twice = next(name for name, count in counts.items() if count > 1)
    notes.append(f"'{twice}' and other names occur more than once: image ids carry their folders")
    return {key: printable("/".join(key)) for key in names}


def _splits(tree: Tree, layout: Layout, only: str | None) -> dict[str, str]:
    """Split of every stem, from the lists of the splits; a stem belongs to the first that has it."""
    if layout.lists is None:
        return {}
    places = {s: tree.root / layout.lists.format(split=s) for s in _specific_first(layout.splits)}
    there = {s: path for s, path in places.items() if path.is_file()}
    if only is not None and only not in there:
        known = f"it has {', '.join(sorted(there))}" if there else f"expected: {layout.lists}"
        raise InputError(f"has no split '{only}'", path=tree.root, remedy=known)
    splits: dict[str, str] = {}
    for split, path in there.items():
        if only not in (None, split):
            continue
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise InputError(
                f"isn't a readable list of a split ({plain_reason(error)})", path=path
            ) from error
        for line in lines:
            if line.strip():
                splits.setdefault(Path(line.split()[0]).stem, split)
    return splits


def _specific_first(splits: Sequence[str]) -> list[str]:
    """Put 'trainval' and its like, which contain other splits, last."""
    return sorted(splits, key=lambda s: any(other != s and other in s for other in splits))
