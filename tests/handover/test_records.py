"""The manifest, and the file of verdicts in its second format."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from dubio import Dataset, InputError, Sample
from dubio.data.manifest import open_manifest, read_manifest, write_manifest
from dubio.errors.verdicts import Area, Opinion, place_on, read_verdicts, write_verdicts
from dubio.handover.audit_run import open_run

from ..toy import SPACE
from .conftest import verdict_on


def dataset(root: Path, labels: Path | None = None) -> Dataset:
    labels = labels or root / "labels"
    samples = (
        Sample("a", root / "images/x/a.jpg", labels / "x/a.png", "val", {"scene": "x"}),
        Sample("b", root / "images/y/b.jpg", labels / "y/b.png"),
        Sample("c", None, None),
    )
    return Dataset("mine", SPACE, samples, "rgb", root, ("a note",))


def test_a_manifest_comes_back_whole(tmp_path):
    before = dataset(tmp_path)
    write_manifest(tmp_path / "dataset.json", before, shards={"a": Path("parts/p/0.npz")}, unjudged=(2,))
    found = open_manifest(tmp_path / "dataset.json")
    assert found.dataset == before
    assert found.shards == {"a": "parts/p/0.npz"}
    assert found.unjudged == (2,)
    write_manifest(tmp_path / "dataset.json", before, ["b"])
    assert [s.image_id for s in read_manifest(tmp_path / "dataset.json")] == ["b"]


def test_moved_folders_are_swapped(tmp_path):
    old, apart = tmp_path / "old", tmp_path / "apart"
    write_manifest(tmp_path / "d.json", dataset(old))
    for name in ("new", "pics", "gt"):
        (tmp_path / name).mkdir()
    found = read_manifest(tmp_path / "d.json", data=tmp_path / "new")
    assert found.samples[0].image == tmp_path / "new/images/x/a.jpg"
    assert found.samples[0].label == tmp_path / "new/labels/x/a.png"
    assert found.root == tmp_path / "new"
    found = read_manifest(tmp_path / "d.json", images=tmp_path / "pics", labels=tmp_path / "gt")
    assert found.samples[1].image == tmp_path / "pics/y/b.jpg"
    assert found.samples[1].label == tmp_path / "gt/y/b.png"
    assert found.samples[2] == Sample("c")
    write_manifest(tmp_path / "d.json", dataset(old, labels=apart))
    found = read_manifest(tmp_path / "d.json", data=tmp_path / "new")
    assert found.samples[0].label == tmp_path / "new/apart/x/a.png"


@pytest.mark.parametrize("text", ["[]", '{"format": 9}', '{"format": 1, "samples": 3}', '{"format": 1'])
def test_bad_manifests_get_a_sentence(tmp_path, text):
    (tmp_path / "d.json").write_text(text)
    with pytest.raises(InputError, match=r"d\.json"):
        read_manifest(tmp_path / "d.json")
    with pytest.raises(InputError, match="doesn't exist"):
        read_manifest(tmp_path / "none.json")


def test_predicted_classes_are_those_of_the_audit(toy):
    run = toy.open()
    for f in run.findings[:5]:
        values = run.predicted(f.image_id)[f.mask()]
        assert values.size == f.size
        if f.kind == "missing":
            assert np.bincount(values).argmax() == f.proposed_index
    with pytest.raises(InputError, match="was not examined"):
        run.predicted("nobody")


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_areas_hold_any_mask(mask):
    assert np.array_equal(Area.of(mask).mask(), mask)


def test_the_second_format_is_written_only_where_needed(toy, tmp_path):
    findings = toy.open().findings
    plain = [verdict_on(findings[1]), verdict_on(findings[0], "rejected", time="2026-01-31T12:00:00Z")]
    write_verdicts(tmp_path / "v.json", plain, findings)
    assert json.loads((tmp_path / "v.json").read_text())["format"] == 1
    assert read_verdicts(tmp_path / "v.json") == plain[::-1]
    said = (Opinion("accepted", "ada", label="wall"), Opinion("rejected", "bob", area=Area(2, 2, (1, 2))))
    rich = [
        replace(plain[0], verdict=None, opinions=said),
        replace(plain[1], finding=0, label="box", area=Area(72, 96, (5, 3, 20, 4)), reviewer="ada"),
    ]
    write_verdicts(tmp_path / "v.json", rich, findings)
    assert json.loads((tmp_path / "v.json").read_text())["format"] == 2
    assert read_verdicts(tmp_path / "v.json") == rich


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"verdict": None}, "is None"),
        ({"reviewer": 3}, "no text"),
        ({"region": {"size": [2, 2]}}, "malformed region"),
        ({"region": {"size": [2, 2], "runs": [1, 9]}}, "outside its image"),
        ({"region": {"size": [2, 2], "runs": [2, 1, 0, 1]}}, "out of order"),
        ({"region": {"size": [2, 2], "runs": [1]}}, "malformed region"),
        ({"opinions": [3]}, "no list of objects"),
    ],
)
def test_faults_of_the_second_format_are_named(toy, tmp_path, values, words):
    findings = toy.open().findings
    write_verdicts(tmp_path / "v.json", [verdict_on(findings[0])], findings)
    data = json.loads((tmp_path / "v.json").read_text())
    data["format"] = 2
    data["verdicts"][0].update(values)
    (tmp_path / "v.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match=words):
        read_verdicts(tmp_path / "v.json")


def test_verdicts_find_their_place_in_a_new_list(toy):
    findings = toy.open().findings
    moved = [replace(f, finding=f.finding + 1) for f in findings[1:]]
    placed = place_on(moved, [verdict_on(findings[0]), verdict_on(findings[2])])
    assert [v.finding for v in placed] == [0, 4]
    assert [v.finding for v in place_on(findings, placed)] == [1, 3]


def test_a_saved_file_of_verdicts_shows_in_the_opened_run(toy):
    run = toy.open()
    write_verdicts(toy.run / "verdicts.json", [verdict_on(run.findings[2], "rejected")], run.findings)
    assert [f.finding for f in open_run(toy.run).findings if f.verdict] == [3]
