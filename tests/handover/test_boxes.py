"""Findings on boxes: out to tools, verdicts back, labels put right."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import dubio
from dubio.cli.main import main
from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, DetPrediction
from dubio.core.errors import InputError
from dubio.core.labelspace import LabelClass, LabelSpace
from dubio.data.boxes.parquet import write_parquet
from dubio.errors.findings import Finding
from dubio.handover.audit_run import open_run
from dubio.jobs.handover import export_run
from dubio.jobs.verdicts import import_verdicts

SPACE = LabelSpace("two", (LabelClass(1, "cat", (200, 60, 40)), LabelClass(2, "dog", (40, 90, 200))))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on eight pictures with one error of each kind in the first."""
    root = tmp_path_factory.mktemp("boxes")
    (root / "images").mkdir()
    rng = np.random.default_rng(0)
    labels, seen, samples = {}, {}, []
    for k in range(8):
        name = f"p{k}"
        pixels = rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{name}.png")
        boxes = np.array([[8.5, 8, 38, 40], [60, 10, 90, 44], [100, 60, 140, 100], [20, 70, 50, 110.25]])
        classes = np.array([0, 1, 0, 1])
        seen[name] = DetPrediction(
            boxes + rng.normal(0, 0.4, boxes.shape), np.full(4, 0.9), classes, 2,
            class_scores=np.eye(2)[classes] * 0.9, kind="sigmoid", image_id=name,
        )  # fmt: skip
        if k == 0:
            # missing: the last; wrong class: the second; spurious, location and duplicate
            boxes = np.array(
                [[8.5, 8, 38, 40], [60, 10, 90, 44], [108, 66, 150, 108], [60, 80, 80, 100], [9, 8, 38, 39]]
            )
            classes = np.array([0, 0, 0, 1, 0])
        labels[name] = BoxLabels(boxes, classes)
        samples.append(BoxSample(name, root / "images" / f"{name}.png", 160, 120, file_name=f"{name}.png"))
    dataset = BoxDataset("pets", SPACE, tuple(samples), labels)
    dubio.write_boxes(dataset, root / "labels.json", "coco")
    write_parquet(seen, SPACE, root / "seen.parquet")
    found = run("audit", "--boxes", root / "labels.json", "--images", root / "images",
                "--detections", root / "seen.parquet", "--out", root / "run", "--json")  # fmt: skip
    assert found.exit_code == 0, found.output
    return root / "run"


def _first(audited: Path) -> dict[str, Finding]:
    """The best finding of each kind in the picture with the errors."""
    found: dict[str, Finding] = {}
    for f in open_run(audited).findings:
        if f.image_id == "p0":
            found.setdefault(f.kind, f)
    return found


def _accept(audited: Path, tmp_path: Path, findings: list[Finding]) -> None:
    rows = [
        {
            "finding": f.finding, "image_id": f.image_id, "x0": f.x0, "y0": f.y0, "x1": f.x1, "y1": f.y1,
            "kind": f.kind, "verdict": "accepted", "time": "2026-01-01T00:00:00Z",
        }
        for f in findings
    ]  # fmt: skip
    path = tmp_path / "verdicts.json"
    path.write_text(json.dumps({"format": 1, "run": "x", "verdicts": rows}))
    import_verdicts(audited, [path])


def test_every_planted_error_is_found(audited: Path) -> None:
    first = _first(audited)
    assert set(first) == {"missing", "spurious", "wrong_class", "location", "duplicate"}
    assert first["missing"].proposed == "dog"
    assert (first["wrong_class"].label, first["wrong_class"].proposed) == (1, "dog")
    assert first["spurious"].label == 3
    assert first["location"].label == 2
    assert first["duplicate"].label in (0, 4)
    assert all(f.picture and (audited / f.picture).is_file() for f in first.values())
    assert (audited / "report.html").is_file()


@pytest.mark.parametrize("layout", ["coco", "voc", "yolo", "csv"])
def test_accepted_findings_put_the_labels_right(audited: Path, tmp_path: Path, layout: str) -> None:
    first = _first(audited)
    _accept(audited, tmp_path, list(first.values()))
    found = run("export", audited, "--to", "labels", "--format", layout, "--out", tmp_path / "out", "--json")
    assert found.exit_code == 0, found.output
    data = json.loads(found.output[found.output.index("{") :])
    assert (data["added"], data["removed"], data["renamed"], data["moved"]) == (1, 2, 1, 1)
    name = {"coco": "labels.json", "csv": "labels.csv"}.get(layout, "labels")
    images = audited.parent / "images"
    back = dubio.open_boxes(tmp_path / "out" / name, layout, images)
    key = next(s.image_id for s in back if s.image_id.endswith("p0"))
    labels = back.labels[key]
    order = np.lexsort(labels.boxes.T[:2])
    names = [back.space.names[c] for c in labels.classes[order]]
    # as the model sees it, which is what is true here to within a pixel
    truth = np.array([[8.5, 8, 38, 40], [60, 10, 90, 44], [20, 70, 50, 110.25], [100, 60, 140, 100]])
    mine = truth[np.lexsort(truth.T[:2])]
    np.testing.assert_allclose(labels.boxes[order], mine, atol=2)
    assert names == [{8.5: "cat", 60: "dog", 100: "cat", 20: "dog"}[x] for x in mine[:, 0]]
    # the labels that were audited are as they were
    assert len(open_run(audited).boxes.labels["p0"]) == 5


@pytest.mark.parametrize("tool", ["cvat", "label-studio", "coco", "csv", "fiftyone"])
def test_verdicts_come_back_from_tools(audited: Path, tmp_path: Path, tool: str) -> None:
    first = list(_first(audited).values())[:2]
    _accept(audited, tmp_path, first)
    out = tmp_path / "out"
    export_run(audited, tool, out, shapes="mask")
    (audited / "verdicts.json").unlink()
    file = {"cvat": "annotations.xml", "label-studio": "tasks.json", "coco": "annotations.json",
            "csv": "findings.csv", "fiftyone": "samples.json"}[tool]  # fmt: skip
    path = out / file
    if tool == "label-studio":
        # what the tool exports: predictions become annotations
        tasks = json.loads(path.read_text())
        for task in tasks:
            kept = {r["id"] for r in task["predictions"][0]["result"] if r["type"] == "choices"}
            result = [r for r in task["predictions"][0]["result"] if r["id"] in kept]
            task["annotations"] = [{"result": result, "was_cancelled": not result}]
        path.write_text(json.dumps(tasks))
    if tool == "cvat":
        text = path.read_text()
        assert "<box " in text
        assert "<mask" not in text
    found = import_verdicts(audited, [path], tool=tool)
    judged = {f.finding: f.verdict for f in open_run(audited).findings if f.verdict == "accepted"}
    assert set(judged) >= {f.finding for f in first}
    assert not found.edited


def test_the_wrong_export_is_refused(audited: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be exported to 'masks'"):
        export_run(audited, "masks", tmp_path / "o")
    found = run(
        "export", audited, "--to", "labels", "--format", "bmp", "--which", "all", "--out", tmp_path / "o"
    )
    assert found.exit_code == 2
    assert "can't be written as 'bmp'" in found.output


def test_coco_boxes_are_exact(audited: Path, tmp_path: Path) -> None:
    export_run(audited, "coco", tmp_path / "o")
    data = json.loads((tmp_path / "o" / "annotations.json").read_text())
    by_number = {a["id"]: a for a in data["annotations"]}
    for f in open_run(audited).findings:
        if f.finding in by_number:
            x0, y0, x1, y1 = f.proposed_box or f.given_box
            np.testing.assert_allclose(by_number[f.finding]["bbox"], [x0, y0, x1 - x0, y1 - y0], atol=1e-3)
            assert by_number[f.finding]["segmentation"] == []


def test_a_second_audit_learns_from_verdicts(audited: Path, tmp_path: Path) -> None:
    mine = shutil.copytree(audited, tmp_path / "first", ignore=shutil.ignore_patterns("verdicts.json"))
    accepted = _first(mine)["missing"]
    _accept(mine, tmp_path, [accepted])
    root = audited.parent
    found = run("audit", "--boxes", root / "labels.json", "--images", root / "images",
                "--detections", root / "seen.parquet", "--reviewed", mine,
                "--out", tmp_path / "second", "--json")  # fmt: skip
    assert found.exit_code == 0, found.output
    second = open_run(tmp_path / "second")
    (again,) = (f for f in second.findings if f.image_id == "p0" and f.proposed_box == accepted.proposed_box)
    assert (again.kind, again.proposed) == ("missing", accepted.proposed)
