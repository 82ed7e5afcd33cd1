"""What Label Studio would silently not show of a list of tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as Tree

from dubio.core.errors import InputError
from dubio.data.safe_xml import parse_xml
from dubio.handover.brush import from_brush

# type of a result -> tags of the configuration that it can come from
_TAGS = {
    "brushlabels": "brushlabels",
    "polygonlabels": "polygonlabels",
    "rectanglelabels": "rectanglelabels",
    "ellipselabels": "ellipselabels",
    "keypointlabels": "keypointlabels",
    "choices": "choices",
}
_BOX = ("x", "y", "width", "height")


@dataclass
class _Config:
    """Control tags by name: (tag, names of the objects, labels or choices); objects: name -> variable."""

    controls: dict[str, tuple[str, set[str], set[str]]]
    objects: dict[str, str]


def validate(tasks: Sequence[Any], config: str) -> list[str]:
    """Say what Label Studio would silently not show, or show in the wrong place.

    Checked are, of tasks to import: that the image's variable is there; that ``from_name``, ``to_name`` and
    ``type`` of each result fit the configuration, its labels are listed there, its original size is given,
    percentages lie between 0 and 100, brush masks have the image's size, and ids are not used for two shapes.

    Args:
        tasks: list of tasks with ``predictions`` or ``annotations``.
        config: the labeling configuration (XML).

    Returns:
        One sentence per fault; empty if all would be shown.

    Raises:
        InputError: the configuration is no XML, or the tasks are no list.
    """
    if not isinstance(tasks, Sequence) or isinstance(tasks, str | bytes):
        raise InputError("tasks are no list", remedy="give the list that the JSON file holds")
    known = _read_config(config)
    return [
        f"task {number}: {fault}"
        for number, task in enumerate(tasks, start=1)
        for fault in _task_faults(task, known)
    ]


def _read_config(config: str) -> _Config:
    root = parse_xml(config.encode("utf-8", "replace"), "the labeling configuration")
    controls: dict[str, tuple[str, set[str], set[str]]] = {}
    objects: dict[str, str] = {}
    for element in root.iter():
        name = element.get("name")
        if name is None:
            continue
        target = element.get("toName")
        if target is None:
            objects[name] = (element.get("value") or "").lstrip("$")
        else:
            controls[name] = (element.tag.lower(), set(target.split(",")), _values(element))
    return _Config(controls, objects)


def _values(element: Tree.Element) -> set[str]:
    children = [e for e in element.iter() if e.tag in ("Label", "Choice")]
    return {value for e in children for value in (e.get("value"), e.get("alias")) if value}


def _task_faults(task: Any, config: _Config) -> Iterator[str]:
    if not isinstance(task, dict):
        yield "is no object"
        return
    data = task.get("data", task)
    for name, variable in config.objects.items():
        if isinstance(data, dict) and variable and not data.get(variable):
            yield f"has no '{variable}' in its data, which the tag '{name}' shows"
    for group in ("predictions", "annotations"):
        listed = task.get(group, [])
        if not isinstance(listed, list):
            yield f"{group} is no list"
            continue
        for entry in listed:
            results = entry.get("result") if isinstance(entry, dict) else None
            if not isinstance(results, list):
                yield f"one of the {group} has no list 'result'"
                continue
            if group == "predictions":
                yield from _score_faults("the prediction", entry.get("score"))
            yield from _doubled(results)
            for result in results:
                yield from _result_faults(result, config)


def _doubled(results: list[Any]) -> Iterator[str]:
    """Ids that two shapes share: only one of them would be shown."""
    seen: set[tuple[Any, Any]] = set()
    for result in results:
        if isinstance(result, dict) and result.get("type") != "choices" and result.get("id") is not None:
            key = (result["id"], result.get("from_name"))
            if key in seen:
                yield f"the id '{result['id']}' stands for two regions"
            seen.add(key)


def _score_faults(what: str, score: Any) -> Iterator[str]:
    if score is not None and (isinstance(score, bool) or not isinstance(score, int | float)):
        yield f"{what} has the score {score!r}, which is no number"


def _result_faults(result: Any, config: _Config) -> Iterator[str]:
    if not isinstance(result, dict):
        yield "a result is no object"
        return
    what = f"region '{result.get('id', '?')}'"
    source, target, kind = result.get("from_name"), result.get("to_name"), result.get("type")
    control = config.controls.get(str(source))
    if control is None:
        yield f"{what}: from_name '{source}' is no tag of the configuration"
        return
    tag, targets, labels = control
    if target not in targets or target not in config.objects:
        yield f"{what}: to_name '{target}' is not what the tag '{source}' labels"
    if _TAGS.get(str(kind)) != tag:
        yield f"{what}: type '{kind}' doesn't fit the tag '{source}' ({tag})"
        return
    value = result.get("value")
    if not isinstance(value, dict):
        yield f"{what} has no value"
        return
    given = value.get(str(kind))
    if not isinstance(given, list) or not given:
        yield f"{what} has no list '{kind}' in its value"
    else:
        for label in given:
            if label not in labels:
                yield f"{what}: '{label}' is not listed in the tag '{source}'"
    yield from _score_faults(what, result.get("score"))
    if kind != "choices":
        yield from _place_faults(what, str(kind), result, value)


def _place_faults(what: str, kind: str, result: dict[str, Any], value: dict[str, Any]) -> Iterator[str]:
    size = (result.get("original_height"), result.get("original_width"))
    height, width = (v if isinstance(v, int) and not isinstance(v, bool) and v > 0 else 0 for v in size)
    if not height or not width:
        yield f"{what} lacks original_width and original_height"
    elif kind == "brushlabels":
        if value.get("format") != "rle" or not isinstance(value.get("rle"), list):
            yield f"{what} has no brush mask: format 'rle' and a list 'rle'"
            return
        try:
            from_brush(value["rle"], (height, width))
        except InputError as error:
            yield f"{what}: {error}"
    if kind == "polygonlabels":
        yield from _percent_faults(what, value.get("points"), 3)
    elif kind == "rectanglelabels":
        yield from _percent_faults(what, [[value.get(name) for name in _BOX]], 1)


def _percent_faults(what: str, points: Any, least: int) -> Iterator[str]:
    if not isinstance(points, list) or len(points) < least:
        yield f"{what} has fewer than {least} points"
        return
    given = [v for point in points for v in (point if isinstance(point, list) else [None])]
    numbers = [v for v in given if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < len(given):
        yield f"{what} has coordinates that are no numbers"
    elif not all(0 <= v <= 100 for v in numbers):
        yield f"{what} has coordinates outside 0 … 100: they are percent of the image, not pixels"
