"""Folders of corrected labels, of every format, are read by dubio as they were meant."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import dubio
from dubio.cli.main import main
from dubio.data.boxes.parquet import write_parquet
from dubio.handover.audit_run import open_run
from dubio.handover.items import Choice
from dubio.jobs.audit_boxes import BoxAuditOptions, audit_boxes
from dubio.jobs.handover import export_run

FORMATS = ("coco", "voc", "yolo", "kitti", "bdd100k", "cvat", "label-studio", "csv")


def put(path: Path, data: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))
    return path


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the command on a folder with a COCO file and pictures; a box is missing."""
    root = tmp_path_factory.mktemp("whole")
    rng = np.random.default_rng(1)
    images, notes = [], []
    for k in range(6):
        (root / "photos/train").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (160, 120)).save(root / f"photos/train/p{k}.png")
        images.append({"id": 40 - k, "file_name": f"train/p{k}.png", "width": 160, "height": 120})
        for corner in ((8, 8), (60, 10), (100, 60), (20, 70)):
            size = rng.integers(30, 40, 2).tolist()
            n, outline = len(notes), [[1, 2, 3, 4, 5, 6]]
            box = {"bbox": [*corner, *size], "segmentation": outline, "area": 3.5}
            notes.append({"id": n + 1, "image_id": 40 - k, "category_id": 1 + n % 2, **box})
    data = {"info": {"x": 1}, "images": images, "annotations": notes,
            "categories": [{"id": 1, "name": "Car"}, {"id": 2, "name": "Van"}]}  # fmt: skip
    whole = dubio.open_boxes(put(root / "whole.json", data))
    seen = {
        name: dubio.DetPrediction(v.boxes, np.full(len(v), 0.9), v.classes, 2)
        for name, v in whole.labels.items()
    }
    write_parquet(seen, whole.space, root / "seen.parquet")
    del notes[0]
    put(root / "labels/instances.json", data)
    audit_boxes(
        dubio.open_boxes(root / "labels", images=root / "photos"),
        seen,
        root / "run",
        BoxAuditOptions(learn=False),
    )
    return root


def export(root: Path, out: Path, layout: str, *more: object) -> str:
    words = ["export", root / "run", "--to", "labels", "--which", "all", "--top", 1]
    words += ["--format", layout, "--out", out, *more]
    found = CliRunner().invoke(main, [str(w) for w in words])
    assert found.exit_code == 0, found.output
    return found.output


@pytest.mark.parametrize("layout", FORMATS)
def test_defect_folders_of_an_export_can_be_read(audited: Path, tmp_path: Path, layout: str) -> None:
    export(audited, tmp_path / "out", layout)
    export(audited, tmp_path / "out", layout)  # once more into the same folder
    (tmp_path / "out/notes.json").write_text("{}")
    back = dubio.open_boxes(tmp_path / "out", images=audited / "photos", strict=True)
    whole = dubio.open_boxes(audited / "whole.json")
    assert back.name == layout
    assert back.space.names == whole.space.names or layout == "kitti"
    assert [s.image_id for s in back] == [s.image_id for s in whole]
    for name, want in whole.labels.items():
        order, theirs = np.lexsort(want.boxes.T), np.lexsort(back.labels[name].boxes.T)
        np.testing.assert_allclose(back.labels[name].boxes[theirs], want.boxes[order], atol=1e-6)
        named = [back.space.names[c] for c in back.labels[name].classes[theirs]]
        assert named == [whole.space.names[c] for c in want.classes[order]]
    assert any("notes.json" in note for note in back.notes)


def test_defect_yolo_is_written_where_readers_look(audited: Path, tmp_path: Path) -> None:
    export(audited, tmp_path, "yolo")
    assert (tmp_path / "labels/train/p0.txt").is_file()
    assert (tmp_path / "data.yaml").is_file()
    (tmp_path / "labels/mine.txt").write_text("")
    export(audited, tmp_path, "yolo")
    record = json.loads((tmp_path / "dubio-export.json").read_text())
    assert len(record["files"]) == 7
    assert (tmp_path / "labels/mine.txt").is_file()


def test_labels_that_were_moved_can_be_named(audited: Path, tmp_path: Path) -> None:
    root = shutil.copytree(audited, tmp_path / "copy")
    for kept in (root / "labels", root / "labels/instances.json"):
        run = open_run(root / "run", labels=kept)
        export_run(run, "labels", tmp_path / f"out-{kept.name}", Choice("all", top=1))
        new = json.loads((tmp_path / f"out-{kept.name}/labels.json").read_text())
        assert new["info"] == {"x": 1}
        assert all(r.get("segmentation") for r in new["annotations"][:-1])
