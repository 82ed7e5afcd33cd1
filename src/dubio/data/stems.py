"""Matching files of two folders by their stems."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from dubio.core.errors import printable
from dubio.data.tree import Tree

# Folders of Cityscapes and its like hold several files per image; these are the label masks among them.
_LABEL_ENDS = (
    "_gtFine_labelIds",
    "_gtFine_labelTrainIds",
    "_gtCoarse_labelIds",
    "_gt_labelIds",
    "_gt_labelTrainIds",
    "_gtFine_labellevel3Ids",
    "_labelIds",
    "_labelTrainIds",
)


def files_by_stem(folder: Path, suffixes: Sequence[str]) -> tuple[dict[str, Path], list[str]]:
    """List files below a folder by their relative path without suffix.

    Args:
        folder: searched with all its subfolders.
        suffixes: accepted suffixes in lower case; if a stem has several files, the first suffix wins.

    Returns:
        The files by key (what can't be printed is escaped), and sentences on what the user
        should know: stems with several files, folders that look like files or can't be opened.
    """
    rank = {suffix: number for number, suffix in enumerate(suffixes)}
    found: dict[str, Path] = {}
    twice: set[str] = set()
    tree = Tree(folder)
    for relative in tree.walk():
        stem, suffix = os.path.splitext(relative)
        if suffix.lower() not in rank:
            continue
        path, key = folder / relative, printable(stem)
        if key in found:
            twice.add(key)
            if rank[suffix.lower()] > rank[found[key].suffix.lower()]:
                continue
        found[key] = path
    return found, _remarks(tree, rank, sorted(twice), found)


def _remarks(tree: Tree, suffixes: Collection[str], twice: list[str], found: dict[str, Path]) -> list[str]:
    said = []
    if twice:
        said.append(
            f"{tree.root}: {len(twice)} names have several files (first '{twice[0]}', of which "
            f"{found[twice[0]].name} is used)"
        )
    odd = [name for name in tree.folders() if os.path.splitext(name)[1].lower() in suffixes]
    if odd:
        said.append(f"{tree.root}: {len(odd)} folders have names like files (first '{odd[0]}')")
    if tree.unread:
        said.append(
            f"{tree.root}: {len(tree.unread)} folders can't be opened and are left out (first "
            f"'{tree.unread[0]}'); check the permissions"
        )
    return said


def common_ends(stems: Collection[str]) -> list[str]:
    """Endings shared by all stems that start at ``_``, ``-`` or ``.``; the empty one first.

    >>> common_ends(["a_left", "b_left"])
    ['', '_left']
    """
    last = _shared_end([os.path.basename(s) for s in stems])
    cuts = [last[k:] for k in range(len(last) - 1, -1, -1) if last[k] in "_-."]
    return ["", *cuts]


def _shared_end(names: list[str]) -> str:
    # What the first and the last of sorted names share, all share.
    turned = [name[::-1] for name in names] or [""]
    first, last = min(turned), max(turned)
    same = next((k for k, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:same][::-1]


def pair_stems(left: Collection[str], right: Collection[str]) -> tuple[dict[str, str], dict[str, str], str]:
    """Find the keys by which two sets of stems meet best.

    Tries the stems as they are; then without the ending that a whole side shares (``_leftImg8bit`` here,
    ``_labels`` there); then the same with the last path parts alone. The first way that matches
    most wins.

    Returns:
        For each side a dictionary from key to stem, and a sentence on what was left off (may be empty).
    """
    best = (0, {s: s for s in left}, {s: s for s in right}, "")
    # Some unmatched files are normal: nearly all is enough not to try further ways.
    goal = 0.9 * min(len(left), len(right))
    lefts, rights = _ways(left), _ways(right)
    ways = [(a, b) for a in lefts for b in rights]
    for (ends_a, base_a), (ends_b, base_b) in sorted(ways, key=lambda w: (w[0][1] + w[1][1], _length(w))):
        keys_a, keys_b = _keys(left, ends_a, base_a), _keys(right, ends_b, base_b)
        if keys_a is None or keys_b is None:
            continue
        count = len(keys_a.keys() & keys_b.keys())
        if count > best[0]:
            best = (count, keys_a, keys_b, _said(ends_a, ends_b, base_a or base_b))
        if best[0] >= max(goal, 1):
            break
    return best[1], best[2], best[3]


def _length(way: tuple[tuple[str, bool], tuple[str, bool]]) -> int:
    return len(way[0][0]) + len(way[1][0])


def _ways(stems: Collection[str]) -> list[tuple[str, bool]]:
    ends = common_ends(stems)
    if len(ends) == 1:
        ends += [end for end in _LABEL_ENDS if any(stem.endswith(end) for stem in stems)]
    nested = any("/" in stem for stem in stems)
    return [(end, False) for end in ends] + ([(end, True) for end in ends] if nested else [])


def _keys(stems: Iterable[str], end: str, base: bool) -> dict[str, str] | None:
    """Map shortened stems to stems; ``None`` if shortening makes two of them equal."""
    keys: dict[str, str] = {}
    for stem in stems:
        if not stem.endswith(end):
            continue
        key = stem[: len(stem) - len(end)]
        key = key.rpartition("/")[2] if base else key
        if not key or key in keys:
            return None
        keys[key] = stem
    return keys


def _said(end_a: str, end_b: str, base: bool) -> str:
    left_off = " and ".join(f"'{end}'" for end in (end_a, end_b) if end)
    parts = [f"names are matched without {left_off}"] if left_off else []
    return "; ".join(parts + (["folders are ignored in matching"] if base else []))
