"""Verdicts read back from every tool, as their users would send them."""

from __future__ import annotations

import csv
import json
import zipfile
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq
import pytest

from dubio import InputError, read_mask
from dubio.errors.verdicts import Area, read_verdicts, reapply, write_verdicts
from dubio.handover.brush import to_brush
from dubio.handover.merge import merge
from dubio.handover.returned import ImageNames, detect
from dubio.handover.rle import to_cvat
from dubio.jobs.handover import export_run
from dubio.jobs.verdicts import import_verdicts

from ..toy import SPACE
from .conftest import judge, verdict_on

TOOLS = ("coco", "cvat", "label-studio", "fiftyone", "csv")


def table_verdicts(toy):
    table = pq.read_table(toy.run / "findings.parquet")
    return dict(zip(*(table.column(n).to_pylist() for n in ("finding", "verdict")), strict=True))


def annotate(tasks, user=7, keep=lambda number: True, choices=None):
    """Submit every task as a reviewer who keeps some regions and sets some choices."""
    for task in tasks:
        result = []
        for one in task["predictions"][0]["result"] if task["predictions"] else []:
            number = int(one["id"][1:].split(".")[0])
            if one["type"] == "choices" or not keep(number):
                continue
            result.append(one)
            if number in (choices or {}):
                value = {**one["value"], "choices": [choices[number]]}
                result.append({**one, "from_name": "verdict", "type": "choices", "value": value})
        task["annotations"] = [{"completed_by": user, "created_at": "2026-01-31T12:00:00Z", "result": result}]
    return tasks


@pytest.mark.parametrize("shapes", ["mask", "polygon"])
@pytest.mark.parametrize("tool", ["coco", "cvat", "csv", "fiftyone"])
def test_verdicts_make_the_round_trip(toy, tmp_path, tool, shapes):
    from dubio.handover.items import Choice

    judge(toy, accepted=(1, 4), rejected=(2,))
    done = export_run(toy.run, tool, tmp_path / "o", Choice("all"), shapes=shapes)
    (toy.run / "verdicts.json").unlink()
    result = import_verdicts(toy.run, [tmp_path / "o" / done.files[0]])
    assert result.tools[0][1] == tool
    assert (result.judged, result.edited, result.drawn, result.unknown) == (3, [], 0, [])
    assert result.after["accepted"] == 2
    verdicts = table_verdicts(toy)
    assert {n for n, v in verdicts.items() if v} == {1, 2, 4}
    assert verdicts[2] == "rejected"
    assert '"verdict":"rejected"' in (toy.run / "report.html").read_text()


def test_label_studio_kept_is_accepted_and_deleted_rejected(toy, tmp_path):
    export_run(toy.run, "label-studio", tmp_path)
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    file = tmp_path / "back.json"
    file.write_text(json.dumps(annotate(tasks, keep=lambda n: n != 3, choices={5: "rejected"})))
    result = import_verdicts(toy.run, [file])
    assert (result.edited, result.unknown) == ([], [])
    verdicts = table_verdicts(toy)
    assert {n for n, v in verdicts.items() if v == "rejected"} == {3, 5}
    assert all(v == "accepted" for n, v in verdicts.items() if n not in (3, 5))
    assert {v.reviewer for v in read_verdicts(toy.run / "verdicts.json")} == {"7"}


def test_an_edited_brush_and_a_drawn_one_reach_the_masks(toy, tmp_path):
    export_run(toy.run, "label-studio", tmp_path)
    tasks = annotate(json.loads((tmp_path / "tasks.json").read_text()), keep=lambda n: n == 1)
    first = toy.open().findings[0]
    edited = first.mask()
    edited[first.y0] = False
    drawn = np.zeros_like(edited)
    drawn[-12:-8, :4] = True
    assert not (drawn & edited).any()
    result = next(t for t in tasks if t["data"]["image_id"] == first.image_id)["annotations"][0]["result"]
    result[0]["value"]["rle"] = to_brush(edited)
    result[0]["value"]["brushlabels"] = ["wall"]
    new = {"format": "rle", "rle": to_brush(drawn), "brushlabels": ["box"]}
    result.append({**result[0], "id": "xYz", "meta": {}, "value": new})
    (tmp_path / "back.json").write_text(json.dumps(tasks))
    done = import_verdicts(toy.run, [tmp_path / "back.json"])
    assert (done.edited, done.drawn) == ([1], 1)
    judged = read_verdicts(toy.run / "verdicts.json")
    assert (judged[0].label, judged[0].area) == ("wall", Area.of(edited))
    assert (judged[-1].finding, judged[-1].label, judged[-1].area) == (0, "box", Area.of(drawn))
    export_run(toy.run, "masks", tmp_path / "o")
    fixed = read_mask(tmp_path / f"o/masks/{first.image_id}.png", SPACE)
    before = read_mask(toy.root / f"labels/{first.image_id}.png", SPACE)
    assert (fixed[edited & (before < 3)] == 2).all()
    assert (fixed[drawn & (before < 3)] == 1).all()
    assert np.array_equal(fixed[~edited & ~drawn], before[~edited & ~drawn])


def test_cvat_edits_copies_and_deletions(toy, tmp_path):
    export_run(toy.run, "cvat", tmp_path / "o")
    tree = ElementTree.parse(tmp_path / "o/annotations.xml")
    run = toy.open()
    by_number = {f.finding: f for f in run.findings}
    shapes = {int(s.find("attribute[@name='finding']").text): (i, s) for i in tree.iter("image") for s in i}
    parent, shape = shapes[1]
    smaller = by_number[1].mask()
    smaller[by_number[1].y0] = False
    for key, value in to_cvat(smaller).items():
        shape.set(key, str(value))
    shape.find("attribute[@name='verdict']").text = "accepted"
    parent, shape = shapes[2]
    parent.remove(shape)
    shapes[3][1].set("label", "wall" if by_number[3].proposed != "wall" else "box")  # without a verdict
    drawn = ElementTree.SubElement(shapes[4][0], "box", label="box", xtl="0", ytl="60", xbr="5", ybr="64.2")
    ElementTree.SubElement(drawn, "attribute", name="verdict").text = "open"
    xml = ElementTree.tostring(tree.getroot())
    with zipfile.ZipFile(tmp_path / "job.zip", "w") as archive:
        archive.writestr("annotations.xml", xml)
    result = import_verdicts(toy.run, [tmp_path / "job.zip"], deleted="rejected", reviewer="ada")
    assert (result.edited, result.undecided, result.drawn) == ([1], [3], 1)
    judged = {v.finding: v for v in read_verdicts(toy.run / "verdicts.json")}
    assert judged.keys() == {0, 1, 2}
    assert judged[1].area == Area.of(smaller)
    assert judged[1].reviewer == judged[2].reviewer == "ada"
    assert judged[2].verdict == "rejected"
    assert judged[0].box == (0, 60, 5, 64)


def test_deletions_need_a_record_of_what_was_sent(toy, tmp_path):
    export_run(toy.run, "cvat", tmp_path / "o")
    (toy.run / "exports.json").unlink()
    with pytest.raises(InputError, match="no export of these findings to cvat"):
        import_verdicts(toy.run, [tmp_path / "o/annotations.xml"], deleted="rejected")


def test_regions_without_a_number_match_by_overlap(toy, tmp_path):
    export_run(toy.run, "coco", tmp_path)
    data = json.loads((tmp_path / "annotations.json").read_text())
    for one in data["annotations"]:
        one["attributes"] = {"verdict": "accepted"} if one["id"] == 2 else {}
    (tmp_path / "b.json").write_text(json.dumps(data))
    result = import_verdicts(toy.run, [tmp_path / "b.json"])
    assert (result.judged, result.drawn) == (1, 0)
    assert table_verdicts(toy)[2] == "accepted"


def test_numbers_of_another_ranking_are_seen_through(toy, tmp_path):
    findings = toy.open().findings
    first, other = next(
        (a.finding, b.finding)
        for a, b in combinations(findings, 2)
        if a.image_id == b.image_id and not (a.mask() & b.mask()).any()
    )
    judge(toy, accepted=(first,))
    export_run(toy.run, "coco", tmp_path)
    (toy.run / "verdicts.json").unlink()
    data = json.loads((tmp_path / "annotations.json").read_text())
    for one in data["annotations"]:
        swap = {first: other, other: first}
        one["attributes"]["finding"] = swap.get(one["attributes"]["finding"], one["attributes"]["finding"])
    (tmp_path / "b.json").write_text(json.dumps(data))
    result = import_verdicts(toy.run, [tmp_path / "b.json"])
    assert (result.judged, result.edited, result.drawn) == (1, [], 0)
    assert table_verdicts(toy)[first] == "accepted"
    assert table_verdicts(toy)[other] is None


@pytest.mark.parametrize(("word", "verdict"), [("Yes", "accepted"), ("0", "rejected"), ("", None)])
def test_csv_takes_a_spreadsheet_users_words(toy, tmp_path, word, verdict):
    export_run(toy.run, "csv", tmp_path)
    with (tmp_path / "findings.csv").open() as file:
        rows = list(csv.DictReader(file))
    with (tmp_path / "mine.csv").open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.DictWriter(file, ["finding", "image_id", "verdict"], delimiter=";", extrasaction="ignore")
        table.writeheader()
        table.writerows([{**rows[0], "verdict": word}, {**rows[1], "verdict": "no"}])
    import_verdicts(toy.run, [tmp_path / "mine.csv"])
    assert table_verdicts(toy)[1] == verdict
    assert table_verdicts(toy)[2] == "rejected"


def test_reviewers_who_disagree_are_listed_and_resolved_on_request(toy, tmp_path):
    run = toy.open()
    f = run.findings
    for name, words, time in (
        ("ada", ("accepted", "accepted", "rejected"), "2026-01-01T00:00:00Z"),
        ("bob", ("accepted", "rejected", "rejected"), "2026-01-02T00:00:00Z"),
    ):
        verdicts = [verdict_on(x, w, time=time) for x, w in zip(f, words, strict=False)]
        write_verdicts(tmp_path / f"{name}.json", verdicts, f)
    import_verdicts(toy.run, [tmp_path / "ada.json"], reviewer="ada")
    result = import_verdicts(toy.run, [tmp_path / "bob.json"], reviewer="bob")
    assert [v.finding for v in result.conflicts] == [2]
    assert table_verdicts(toy)[2] is None
    pair = result.agreement[0]
    assert (pair.first, pair.second, pair.judged) == ("ada", "bob", 3)
    assert pair.same == pytest.approx(2 / 3)
    assert pair.kappa == pytest.approx((2 / 3 - 4 / 9) / (1 - 4 / 9))
    both = read_verdicts(toy.run / "verdicts.json")[1]
    assert both.verdict is None
    assert [(o.reviewer, o.verdict) for o in both.opinions] == [("ada", "accepted"), ("bob", "rejected")]
    import_verdicts(toy.run, [tmp_path / "bob.json"], reviewer="bob", prefer="newest")
    assert table_verdicts(toy)[2] == "rejected"
    import_verdicts(toy.run, [tmp_path / "bob.json"], reviewer="bob", prefer="first")
    assert table_verdicts(toy)[2] == "accepted"


def test_a_reviewer_may_change_his_mind(toy):
    f = toy.open().findings
    once = merge([], [verdict_on(f[0], reviewer="ada")])
    twice = merge(once.verdicts, [verdict_on(f[0], "rejected", reviewer="ada")])
    assert (twice.verdicts[0].verdict, twice.conflicts, twice.changed) == ("rejected", [], 1)


def test_verdicts_survive_a_new_ranking(toy, tmp_path):
    from dataclasses import replace

    findings = toy.open().findings
    verdicts = [verdict_on(findings[0]), verdict_on(findings[3], "rejected")]
    turned = [replace(f, finding=n) for n, f in enumerate(reversed(findings), start=1)]
    kept = {(f.image_id, f.x0, f.y0): f.verdict for f in reapply(turned, verdicts) if f.verdict}
    assert kept == {
        (f.image_id, f.x0, f.y0): v for f, v in ((findings[0], "accepted"), (findings[3], "rejected"))
    }
    assert reapply(findings[:1], verdicts[1:]) == findings[:1]


def test_another_runs_file_is_refused_in_one_sentence(toy, tmp_path):
    from dataclasses import replace

    f = toy.open().findings
    write_verdicts(tmp_path / "v.json", [replace(verdict_on(f[0]), image_id="elsewhere")], f)
    with pytest.raises(InputError, match="fits nothing of this run"):
        import_verdicts(toy.run, [tmp_path / "v.json"])


def test_images_are_found_by_any_of_their_names(toy):
    names = ImageNames(toy.open().dataset)
    for name in ("im_003.a", "im_003.a.png", "images/im_003.a.png", "C:\\pics\\im_003.a.png"):
        assert names.find(name) == "im_003.a"
    assert names.find("im_003.b.png") is None


def test_of_two_tags_the_new_one_counts(toy, tmp_path):
    judge(toy, accepted=(1,))
    export_run(toy.run, "fiftyone", tmp_path)
    data = json.loads((tmp_path / "samples.json").read_text())
    for sample in data["samples"]:
        for one in sample["findings"]["detections"]:
            one["tags"] += {1: ["rejected"], 2: ["accepted"]}.get(one["finding"], [])
    (tmp_path / "samples.json").write_text(json.dumps(data))
    assert import_verdicts(toy.run, [tmp_path]).changed == 1
    assert [table_verdicts(toy)[n] for n in (1, 2, 3)] == ["rejected", "accepted", None]


def test_detection_goes_by_what_is_inside(toy, tmp_path):
    for tool in TOOLS:
        done = export_run(toy.run, tool, tmp_path / tool)
        assert detect(tmp_path / tool / done.files[0]) == tool
    assert detect(tmp_path / "fiftyone") == "fiftyone"
