"""What people do between the commands of a page: judge findings on the report, in CVAT, in Label Studio …"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet as pq

from dubio.errors.findings import from_table

# Of three findings a careful reviewer accepts two; a hasty one accepts every second.
CAREFUL, HASTY = ("accepted", "rejected", "accepted"), ("accepted", "rejected")


def _page(run: str, file: str, words: tuple[str, ...] = CAREFUL) -> None:
    """Judge the first findings on the report's page, and save the verdicts."""
    findings = from_table(pq.read_table(Path(run) / "findings.parquet"))[:9]
    rows = [
        {
            **{k: getattr(f, k) for k in ("finding", "image_id", "x0", "y0", "x1", "y1", "kind")},
            "verdict": words[n % len(words)],
            "time": "2026-01-31T12:00:00.000Z",
        }
        for n, f in enumerate(findings)
    ]
    assert rows, f"{run} lists nothing to judge"
    Path(file).write_text(json.dumps({"format": 1, "run": "0" * 16, "verdicts": rows}))


def _hasty(run: str, file: str) -> None:
    _page(run, file, HASTY)


def _cvat(folder: str, file: str) -> None:
    """Set the verdicts in CVAT, and export the task as a ZIP archive."""
    tree = ElementTree.parse(Path(folder) / "annotations.xml")
    chosen = [a for a in tree.iter("attribute") if a.get("name") == "verdict"]
    assert chosen, f"{folder} holds nothing to judge"
    for n, attribute in enumerate(chosen):
        attribute.text = CAREFUL[n % 3]
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("annotations.xml", ElementTree.tostring(tree.getroot()))


def _label_studio(folder: str, file: str) -> None:
    """Submit every task with its regions but the last one, and export the project as JSON."""
    tasks = json.loads((Path(folder) / "tasks.json").read_text())
    for task in tasks:
        result = task["predictions"][0]["result"]
        task["annotations"] = [
            {"completed_by": {"email": "bob"}, "created_at": "2026-02-01T12:00:00Z", "result": result[:-1]}
        ]
    Path(file).write_text(json.dumps(tasks))


def _fiftyone(folder: str, file: str) -> None:
    """Tag detections, and export the data set in its own type."""
    data = json.loads((Path(folder) / "samples.json").read_text())
    found = [one for sample in data["samples"] for one in sample["findings"]["detections"]]
    for n, one in enumerate(found):
        one["tags"] = [CAREFUL[n % 3]]
    Path(file).mkdir()
    (Path(file) / "samples.json").write_text(json.dumps(data))


def _table(folder: str, file: str) -> None:
    """Fill the column of verdicts in a spreadsheet."""
    lines = (Path(folder) / "findings.csv").read_text().splitlines()
    column = lines[0].split(",").index("verdict")
    assert lines[1].split(",")[column] == ""
    first = lines[1].split(",")
    first[column] = "accepted"
    Path(file).write_text("\n".join([lines[0], ",".join(first), *lines[2:]]) + "\n")


def _damage(file: str) -> None:
    """A disk or a copy breaks a file off."""
    path = Path(file)
    path.write_bytes(path.read_bytes()[:60])


PEOPLE: dict[str, Callable[..., None]] = {
    "page": _page, "hasty": _hasty, "cvat": _cvat, "label-studio": _label_studio, "fiftyone": _fiftyone,
    "table": _table, "damage": _damage,
}  # fmt: skip


def act(text: str) -> None:
    name, *arguments = text.split()
    PEOPLE[name](*arguments)
