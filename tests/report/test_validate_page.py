"""Pages on detections as files: everything inside, nothing undefined, safe names."""

from __future__ import annotations

import json
import re

import pytest
from tests.jobs.validate_world import tiny

from dubio.jobs.validate import ValidateOptions, validate
from dubio.report.box_pictures import LONGEST, save_picture
from dubio.report.calibrate_boxes_page import write_box_calibration_page

np = pytest.importorskip("numpy")


def payload(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def test_page_holds_its_data(tmp_path):
    data, found = tiny()
    options = ValidateOptions(min_score=0.0, cross_fit=False, replicates=20)
    result = validate(data, found, tmp_path / "run", options)
    text = result.report.read_text(encoding="utf-8")
    assert "http://" not in text.replace("http://www.w3.org", "")
    page = payload(result.report)
    assert page["headline"] == result.summary["headline"]
    assert [i["id"] for i in page["wall"]["images"]] == ["a", "b"]
    box = page["wall"]["images"][0]["boxes"][0]
    assert (box["state"], box["given_box"], box["sigma"]) == ("found", [10, 10, 30, 30], [1, 2, 3, 4])
    assert page["wall"]["images"][0]["src"] is None
    assert page["palette"][1]["name"] == "hen"
    assert page["wall"]["quantiles"]["sigma_rel"][0] < page["wall"]["quantiles"]["sigma_rel"][-1]


def test_names_can_hold_anything(tmp_path):
    evil = "</script><img src=x onerror=alert(1)>"
    summary = {"images": 1, "detections": 2, "sentences": [evil], "calibration": [evil]}
    path = write_box_calibration_page(tmp_path, summary, evil)
    assert "<img src=x" not in path.read_text(encoding="utf-8")
    assert payload(path)["title"] == evil


def test_calibration_page_without_parts(tmp_path):
    left = {"left_out": "no detection meets a labelled box", "chosen": "none"}
    summary = {"images": 1, "detections": 2, "corners": left, "confidence": left, "sentences": []}
    path = write_box_calibration_page(tmp_path, summary, "farm")
    assert payload(path)["headline"] == "Nothing could be judged."


def test_corners_are_the_headline(tmp_path):
    said = ["Confidence (logistic): fine.", "Corners (adaptive): better.", "Class probabilities: fine."]
    path = write_box_calibration_page(tmp_path, {"sentences": said, "images": 1, "detections": 1}, "farm")
    page = payload(path)
    assert page["headline"] == said[1]
    assert sorted(page["sentences"]) == sorted(said)


def test_pictures_become_small(tmp_path):
    size = save_picture(tmp_path / "deep/a.jpg", np.zeros((500, 2 * LONGEST, 3), np.uint8))
    assert size == (LONGEST, 250)
    assert save_picture(tmp_path / "b.jpg", np.zeros((5, 7, 3), np.uint8)) == (7, 5)
