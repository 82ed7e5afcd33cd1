"""A COCO file that was audited comes back as it was, but for what is corrected."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dubio
from dubio.core.records import Dataset, Sample
from dubio.data.boxes.coco_patch import open_coco
from dubio.data.manifest import Manifest
from dubio.errors.findings import Finding
from dubio.handover.audit_run import AuditRun
from dubio.handover.boxes import corrected, write_corrected
from dubio.handover.items import Item

SIZE = (64, 48)


def coco(**changes: Any) -> dict[str, Any]:
    """Three images; in the first four boxes with all that other tools keep."""
    outline = {"segmentation": [[1, 1, 9, 1, 5, 9.10]], "keypoints": [1, 2, 2], "attributes": {"colour": "ü"}}
    boxes = [
        (10, 3, [1, 2, 10, 20.125]),
        (12, 7, [20, 5, 10, 10]),
        (5, 3, [40, 20, 12, 9]),
        (11, 7, [3, 30, 9, 9]),
    ]
    return {
        "info": {"year": 2020, "contributor": "zoë"},
        "licenses": [{"id": 1, "url": "http://l"}],
        "images": [
            {"id": 900 + k, "file_name": f"{n}.jpg", "width": 64, "height": 48, "license": 1, "coco_url": "http://x"}
            for k, n in enumerate("cab")
        ],
        "annotations": [
            {"id": i, "image_id": 900, "category_id": c, "bbox": b, "area": 11.5, "iscrowd": 0, **outline}
            for i, c, b in boxes
        ]
        + [{"id": 7, "image_id": 902, "category_id": 3, "bbox": [0, 0, 5, 5], "score": None, "ignore": 0}],
        "categories": [
            {"id": 7, "name": "dog", "supercategory": "pet"},
            {"id": 3, "name": "cat", "keypoints": ["k"]},
        ],
        "extra": {"anything": [1, 2.50]},
        **changes,
    }  # fmt: skip


def put(path: Path, data: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))
    return path


def run_on(labels: Path, name: str = "coco", *, space: Any = None) -> AuditRun:
    """What an audit keeps of these labels."""
    found = dubio.open_boxes(labels, space=space)
    folder = labels.parent / "run"
    dubio.write_boxes(found, folder / "labels.json", "coco")
    kept = dubio.open_boxes(folder / "labels.json", "coco")
    plain = Dataset(found.name, found.space, tuple(Sample(s.image_id) for s in found), root=found.root)
    return AuditRun(folder, [], [], Manifest(plain), kept, labels)


def finding(kind: str, label: int, *, cls: int = 0, box: Any = None, image: str = "c") -> Item:
    runs = np.array([], np.int32)
    found = Finding(
        1, image, kind, "", "", 0, cls, 0.9, math.nan, 0, 0, 5, 5, 25, runs, SIZE[1], SIZE[0], 0.1, 0.9, "",
        proposed_box=box, label=label,
    )  # fmt: skip
    return Item(found)


ALL = (
    finding("location", 0, box=(2.0, 3.0, 12.5, 20.0)),
    finding("wrong_class", 1, cls=1),
    finding("spurious", 2),
    finding("missing", -1, cls=1, box=(30.0, 30.0, 40.0, 44.0)),
    finding("missing", -1, cls=0, box=(1.0, 1.0, 4.0, 5.0), image="a"),
)


def test_defect_a_coco_file_keeps_all_that_is_not_corrected(tmp_path: Path) -> None:
    data = coco()
    run = run_on(put(tmp_path / "a.json", data))
    done = write_corrected(run, ALL, tmp_path / "out", "coco")
    assert (done.added, done.removed, done.renamed, done.moved) == (2, 1, 1, 1)
    new = json.loads((tmp_path / "out/labels.json").read_text())
    assert list(new) == list(data)
    assert {k: v for k, v in new.items() if k != "annotations"} == {
        k: v for k, v in data.items() if k != "annotations"
    }
    old = data["annotations"]
    moved = {k: v for k, v in old[0].items() if k != "segmentation"} | {
        "bbox": [2, 3, 10.5, 17],
        "area": 178.5,
    }
    assert new["annotations"] == [
        moved,
        {**old[1], "category_id": 3},
        old[3],
        old[4],
        {"id": 13, "image_id": 901, "category_id": 7, "bbox": [1, 1, 3, 4], "area": 12, "iscrowd": 0},
        {"id": 14, "image_id": 900, "category_id": 3, "bbox": [30, 30, 10, 14], "area": 140, "iscrowd": 0},
    ]  # fmt: skip
    said = " ".join(done.notes)
    assert "1 moved boxes lose their outline" in said
    assert "2 added boxes have no outline" in said
    # what is audited again is what was corrected
    again = dubio.open_boxes(tmp_path / "out/labels.json").labels["c"]
    want, _ = corrected(run, ALL)
    np.testing.assert_allclose(again.boxes, want.labels["c"].boxes, atol=1e-9)
    np.testing.assert_array_equal(again.classes, want.labels["c"].classes)


def test_nothing_to_correct_gives_the_same_file(tmp_path: Path) -> None:
    data = coco()
    done = write_corrected(run_on(put(tmp_path / "a.json", data)), (), tmp_path / "out", "coco")
    assert json.loads((tmp_path / "out/labels.json").read_text()) == data
    assert done.notes == ()


def test_records_that_dubio_cannot_read_stay(tmp_path: Path) -> None:
    data = coco()
    bad = [
        {"id": 50, "image_id": 900, "category_id": 3, "bbox": [1, 2, -3, 4]},
        {"id": [1], "image_id": 900, "category_id": 3, "bbox": [1, 2, 3, 4]},
        {"id": 51, "image_id": 900, "category_id": 99, "bbox": [1, 2, 3, 4]},
        {"id": "60", "image_id": 777, "category_id": 3, "bbox": [1, 2, 3, 4]},
        None,
    ]
    data["annotations"] = bad[:2] + data["annotations"] + bad[2:]
    run = run_on(put(tmp_path / "a.json", data))
    write_corrected(run, ALL, tmp_path / "out", "coco")
    new = json.loads((tmp_path / "out/labels.json").read_text())["annotations"]
    assert new[:2] == bad[:2]
    assert [r for r in bad[2:] if r not in new] == []
    assert new[3]["category_id"] == 3
    assert [r["id"] for r in new[-2:]] == [61, 62]


@pytest.mark.parametrize(
    "names",
    [["a", "b", "c", "d", "e"], [1, 1, 1, 1, 1], [None, None, None, None, None], ["x", 2, "7", None, "ß"]],
)
def test_names_of_boxes_stay_whatever_they_are(tmp_path: Path, names: list[Any]) -> None:
    data = coco()
    for record, name in zip(data["annotations"], names, strict=True):
        record["id"] = name
    run = run_on(put(tmp_path / "a.json", data))
    write_corrected(run, ALL[2:4], tmp_path / "out", "coco")
    new = json.loads((tmp_path / "out/labels.json").read_text())["annotations"]
    assert new[:-1] == [r for k, r in enumerate(data["annotations"]) if k != 2]
    assert new[-1]["id"] == 1 + max([int(n) for n in names if str(n).isdecimal()], default=0)


def test_coda_is_patched_and_boxes_of_other_classes_stay(tmp_path: Path) -> None:
    data = coco(categories=[{"id": 7, "name": "dog"}, {"id": 3, "name": "traffic_light"}])
    for record in data["annotations"]:
        record["corner_case"] = True
    from dubio.data.boxes.table import space_of

    space = space_of("two", ["traffic light", "tram"])
    run = run_on(put(tmp_path / "a.json", data), space=space)
    assert run.dataset.name == "coda"
    done = write_corrected(
        run, [finding("spurious", 0), finding("wrong_class", 1, cls=1)], tmp_path / "out", "coco"
    )
    new = json.loads((tmp_path / "out/labels.json").read_text())
    old = data["annotations"]
    # read were the two of class 3
    assert new["annotations"] == [old[1], {**old[2], "category_id": 8}, old[3], old[4]]
    assert new["categories"][2:] == [{"id": 8, "name": "tram"}]
    assert "no category for tram" in " ".join(done.notes)


@pytest.mark.parametrize("change", ["gone", "damaged", "moved box", "less images"])
def test_without_the_audited_file_the_loss_is_told(tmp_path: Path, change: str) -> None:
    data = coco()
    path = put(tmp_path / "a.json", data)
    run = run_on(path)
    now = copy.deepcopy(data)
    now["annotations"][0]["bbox"][0] += 1
    if change == "gone":
        path.unlink()
    else:
        path.write_text(
            {"damaged": "{", "moved box": json.dumps(now)}.get(change, json.dumps(coco(images=[])))
        )
    done = write_corrected(run, ALL, tmp_path / "out", "coco")
    said = " ".join(done.notes)
    assert "keypoints" in said
    assert str(path) in said
    new = json.loads((tmp_path / "out/labels.json").read_text())
    # names and numbers stay all the same
    assert {r["id"] for r in new["annotations"]} == {10, 12, 11, 7, 13, 14}
    assert "2 boxes without one of their own" in said
    assert {r["id"]: r["file_name"] for r in new["images"]} == {900: "c.jpg", 901: "a.jpg", 902: "b.jpg"}
    assert "area" in new["annotations"][0]


def test_more_images_since_the_audit_do_no_harm(tmp_path: Path) -> None:
    data = coco()
    path = put(tmp_path / "a.json", data)
    run = run_on(path)
    data["images"].append({"id": 5, "file_name": "new.jpg"})
    data["annotations"].append({"id": 99, "image_id": 5, "category_id": 3, "bbox": [1, 1, 1, 1]})
    put(path, data)
    done = write_corrected(run, ALL[2:3], tmp_path / "out", "coco")
    new = json.loads((tmp_path / "out/labels.json").read_text())
    assert done.notes == ()
    assert new["annotations"] == [r for k, r in enumerate(data["annotations"]) if k != 2]


def test_the_places_of_records_are_traced(tmp_path: Path) -> None:
    path = put(tmp_path / "a.json", coco())
    found = open_coco(path, dubio.open_boxes(path).space).dataset
    assert {k: v.ids.tolist() for k, v in found.labels.items()} == {
        "a": [],
        "b": ["4"],
        "c": ["0", "1", "2", "3"],
    }
