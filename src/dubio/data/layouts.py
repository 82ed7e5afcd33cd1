"""Data sets in the folder layouts in which they are published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from dubio.core.errors import InputError
from dubio.core.files import plain_reason
from dubio.core.labelspace import LabelSpace
from dubio.core.records import Dataset, Sample
from dubio.data.folders import match_files, open_folders, settle_space
from dubio.data.masks import detect_encoding
from dubio.data.samples import Layout, collect
from dubio.data.spaces import builtin_spaces, load_space, read_table, space_from_table
from dubio.data.tree import Tree

__all__ = ["FOLDERS", "builtin_layouts", "match_files", "open_dataset", "open_folders"]
FOLDERS = "folders"
_IMAGE_FOLDERS = ("net_input", "images", "imgs", "image", "img", "rgb", "JPEGImages")
_LABEL_FOLDERS = ("gt_masks", "labels", "masks", "annotations", "label", "mask", "gt")


@dataclass(frozen=True)
class _Known:
    """A layout, the set it belongs to, and the set's table."""

    layout: Layout
    set_name: str
    table: Mapping[str, Any] = field(repr=False)


def open_dataset(
    root: str | Path,
    *,
    layout: str | Path | None = None,
    split: str | None = None,
    space: LabelSpace | str | Path | None = None,
    encoding: str | None = None,
    ids: Iterable[str] | str | Path | None = None,
) -> Dataset:
    """Open a data set in a known folder layout.

    Args:
        root: the folder that the layout starts from.
        layout: name of a data set or of one of its layouts, a TOML file with own layouts, or
            ``"folders"``: ``net_input``, ``gt_masks`` and their like. ``None``: found out from the tree
            and from a few masks.
        split: only this one; ``None``: all.
        space: label space, by name, file or record; ``None``: the layout's.
        encoding: encoding of the masks; ``None``: the layout's, else detected.
        ids: only these image ids; or a text file with one per line.

    Returns:
        The data set; its ``notes`` say what was found. Images without labels are kept.

    Raises:
        InputError: no such folder, no layout that fits, no such split, or nothing left.

    Sources: each layout is documented in its TOML file, with the data set's paper.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError("is no folder" if root.exists() else "doesn't exist", path=root)
    tree = Tree(root)
    wanted = load_space(space) if isinstance(space, str | Path) else space
    if str(layout) == FOLDERS:
        found = _open_plain(tree, wanted, encoding)
    else:
        known = _detect(tree) if layout is None else _named(tree, layout)
        if known is None:
            found = _open_plain(tree, wanted, encoding)
        else:
            found = _open(tree, known, wanted, encoding, split)
    return _select(found, split, _id_list(ids))


def builtin_layouts() -> list[str]:
    """Names of the layouts that come with dubio.

    >>> {"cityscapes", "voc", "folders"} <= set(builtin_layouts())
    True
    """
    names = {known.layout.name for name in builtin_spaces() for known in _layouts_of(name)}
    return sorted(names | {FOLDERS})


def _layouts_of(name_or_path: str | Path) -> list[_Known]:
    table = read_table(name_or_path)
    try:
        layouts = [Layout.from_table(item) for item in table.get("layouts", [])]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"has a malformed layout ({error!r})", path=name_or_path) from error
    return [_Known(item, str(name_or_path), table) for item in layouts]


def _detect(tree: Tree) -> _Known | None:
    """Find the layout whose masks exist and make sense in its label space; the most literal wins."""
    fitting: list[_Known] = []
    for name in builtin_spaces():
        for known in _layouts_of(name):
            probe = known.layout.probe(tree)
            if probe is not None and _masks_fit(known, probe):
                fitting.append(known)
    return max(fitting, key=lambda known: known.layout.literal, default=None)


def _masks_fit(known: _Known, masks: list[Path]) -> bool:
    """Whether masks of a candidate can be read: folder names alone, such as 'images', prove nothing."""
    try:
        detect_encoding(masks, space_from_table(known.table, known.set_name), sample_limit=3)
    except InputError:
        return False
    return True


def _named(tree: Tree, name: str | Path) -> _Known:
    text = str(name)
    if text in builtin_spaces() or Path(text).suffix.lower() in (".toml", ".json"):
        candidates = _layouts_of(text)
    else:
        everything = [known for item in builtin_spaces() for known in _layouts_of(item)]
        candidates = [known for known in everything if known.layout.name == text]
    if not candidates:
        raise InputError(f"there is no layout '{text}'", remedy=f"known: {', '.join(builtin_layouts())}")
    for known in candidates:
        if known.layout.probe(tree) is not None:
            return known
    for known in candidates:
        templates = (known.layout.image, *(template for template, _ in known.layout.labels))
        if any(next(iter(template.find(tree)), None) is not None for template in templates):
            return known
    places = "; ".join(f"{k.layout.image.text} with {k.layout.labels[0][0].text}" for k in candidates[:3])
    raise InputError(f"holds no files in the layout '{text}'", path=tree.root, remedy=f"expected: {places}")


def _open(
    tree: Tree, known: _Known, wanted: LabelSpace | None, encoding: str | None, split: str | None
) -> Dataset:
    samples, own_encoding, notes = collect(tree, known.layout, encoding, split)
    notes.insert(0, f"layout '{known.layout.name}' of {tree.root}")
    space = wanted or space_from_table(known.table, known.set_name)
    if wanted is None and known.layout.note:
        notes.append(known.layout.note)
    masks = [s.label for s in samples if s.label is not None]
    own = own_encoding if wanted is None or own_encoding in (*wanted.encodings, "rgb") else None
    space, chosen = settle_space(masks, space, encoding or own, notes)
    return Dataset(known.layout.name, space, tuple(samples), chosen, tree.root, tuple(notes))


def _open_plain(tree: Tree, wanted: LabelSpace | None, encoding: str | None) -> Dataset:
    folders = tree.entries("")[0]
    labels = next((name for name in _LABEL_FOLDERS if name in folders), None)
    images = next((name for name in _IMAGE_FOLDERS if name in folders), None)
    if labels is None and images is None:
        raise InputError(
            "is in no known layout",
            path=tree.root,
            remedy="name the layout, or give the folders of images and labels",
        )
    found = open_folders(
        labels=tree.root / labels if labels else None,
        images=tree.root / images if images else None,
        space=wanted,
        encoding=encoding,
    )
    said = f"no published layout: {' and '.join(repr(n) for n in (images, labels) if n)} of {tree.root}"
    return replace(found, name=FOLDERS, root=tree.root, notes=(said, *found.notes))


def _id_list(ids: Iterable[str] | str | Path | None) -> set[str] | None:
    if ids is None:
        return None
    if isinstance(ids, str | Path):
        try:
            return {line.strip() for line in Path(ids).read_text(encoding="utf-8").splitlines()} - {""}
        except (OSError, ValueError) as error:
            raise InputError(
                f"isn't a readable list of image ids ({plain_reason(error)})", path=ids
            ) from error
    return set(ids)


def _select(found: Dataset, split: str | None, ids: set[str] | None) -> Dataset:
    samples: Iterable[Sample] = found.samples
    notes = list(found.notes)
    if split is not None:
        splits = sorted({s.split for s in found if s.split is not None})
        if split not in splits:
            raise InputError(
                f"has no split '{split}'",
                path=found.root,
                remedy=f"it has {', '.join(splits)}" if splits else "this layout has no splits",
            )
        samples = [s for s in samples if s.split == split]
        notes.append(f"{len(samples)} of {len(found)} images are of the split '{split}'")
    if ids is not None:
        samples = [s for s in samples if s.image_id in ids]
        lost = sorted(ids - {s.image_id for s in samples})
        if lost:
            notes.append(f"{len(lost)} of the listed ids are not there (first '{next(islice(lost, 1))}')")
    kept = tuple(samples)
    if not kept:
        raise InputError("no image is left", path=found.root, remedy="check the split and the list of ids")
    return replace(found, samples=kept, notes=tuple(notes))
