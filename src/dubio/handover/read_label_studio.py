"""Verdicts from Label Studio: its JSON export."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.errors.opinions import Decision
from dubio.handover.brush import from_brush
from dubio.handover.label_studio import VERDICT
from dubio.handover.polygons import fill
from dubio.handover.returned import Answer, Returned, decision_of, json_of, number_of

_SHAPES = ("brushlabels", "polygonlabels", "rectanglelabels")
_ID = re.compile(r"f(\d+)(\.\d+)?")
_NOTE = re.compile(r"finding (\d+),")
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError, IndexError)


def read_label_studio(path: Path) -> Answer:
    """Read the export "JSON" (not "JSON-MIN").

    Each submitted annotation of a task is one reviewer's. A region takes its choice; without one, a kept
    region counts as accepted, and a finding of the task whose region was deleted as rejected. A region that
    stands for no finding was drawn and counts as accepted.

    Raises:
        InputError: no such file, or a result is malformed.
    """
    tasks = json_of(path)
    if not isinstance(tasks, list) or not all(isinstance(t, dict) for t in tasks):
        raise InputError("is no list of tasks", path=path, remedy="export the project as JSON")
    if tasks and not any("data" in t for t in tasks):
        raise InputError("holds tasks without data", path=path, remedy="export as JSON, not as JSON-MIN")
    answer = Answer()
    for number, task in enumerate(tasks, start=1):
        try:
            _read_task(task, number, answer, path)
        except InputError:
            raise
        except _MALFORMED as error:
            raise InputError(f"task {number} is malformed ({error!r})", path=path) from error
    return answer


def _read_task(task: dict[str, Any], number: int, answer: Answer, path: Path) -> None:
    data = task.get("data") or {}
    image = str(data.get("image_id") or _plain_name(str(data.get("image", ""))))
    answer.images.append(image)
    for annotation in task.get("annotations") or []:
        if annotation.get("was_cancelled"):
            continue
        who, when = (
            _reviewer(annotation),
            str(annotation.get("updated_at") or annotation.get("created_at") or ""),
        )
        results = annotation.get("result") or []
        choices = {r["id"]: r["value"]["choices"] for r in results if _is_choice(r)}
        met: set[int] = set()
        for result in results:
            if result.get("type") not in _SHAPES:
                continue
            where = f"task {number}, region '{result.get('id')}'"
            chosen = choices.get(result.get("id")) or ["accepted"]
            decision = decision_of(chosen[0], where, path)
            mask = _mask(result, where, path)
            finding = _finding(result)
            met |= set() if finding is None else {finding}
            if mask is not None:
                label = (result["value"].get(result["type"]) or [None])[0]
                answer.rows.append(Returned(image, finding, decision, label, mask, None, who, when, where))
        gone: Decision = "rejected"
        for listed in data.get("findings") or []:
            finding = number_of(listed)
            if finding is not None and finding not in met:
                where = f"task {number}, finding {finding}"
                answer.rows.append(Returned(image, finding, gone, reviewer=who, time=when, row=where))


def _is_choice(result: dict[str, Any]) -> bool:
    return result.get("type") == "choices" and result.get("from_name") == VERDICT and "id" in result


def _plain_name(url: str) -> str:
    """Path of an image in a task's address."""
    return unquote(url.split("?d=", 1)[-1].split("://", 1)[-1].split("?", 1)[0])


def _reviewer(annotation: dict[str, Any]) -> str:
    who = annotation.get("completed_by")
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    return "" if who is None else str(who)


def _finding(result: dict[str, Any]) -> int | None:
    """Number of the finding that a region stands for: by its id, else by its note."""
    known = _ID.fullmatch(str(result.get("id", "")))
    notes = (result.get("meta") or {}).get("text") or []
    for text in [notes] if isinstance(notes, str) else notes:
        known = known or _NOTE.match(str(text))
    return None if known is None else number_of(known[1])


def _mask(result: dict[str, Any], where: str, path: Path) -> npt.NDArray[np.bool_] | None:
    height, width = result.get("original_height"), result.get("original_width")
    if not isinstance(height, int) or not isinstance(width, int) or min(height, width) < 1:
        raise InputError(f"{where} lacks original_width and original_height", path=path)
    shape, value = (height, width), result["value"]
    try:
        if result["type"] == "brushlabels":
            mask = from_brush(value["rle"], shape)
        elif result["type"] == "polygonlabels":
            mask = fill([np.array(value["points"], float) * [width / 100, height / 100]], shape)
        else:
            x, y = value["x"] * width / 100, value["y"] * height / 100
            w, h = value["width"] * width / 100, value["height"] * height / 100
            mask = fill([np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]])], shape)
    except (*_MALFORMED, MemoryError) as error:
        raise InputError(f"{where} is malformed ({error})", path=path) from error
    return mask if mask.any() else None
