"""``dubio audit --boxes`` from end to end, as a user calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from PIL import Image

import dubio
from dubio.core.boxes import DetPrediction
from dubio.core.labelspace import LabelClass, LabelSpace
from dubio.data.boxes.parquet import write_parquet
from dubio.data.boxes.write_results import write_coco_results
from dubio.errors.findings import BOX_KINDS, Finding, from_table

from .pets import QUICK, SPACE, N, Pets, call, write_pets


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Pets:
    return write_pets(tmp_path_factory.mktemp("pets"))


def options(pets: Pets, out: Path, *more: object) -> tuple[object, ...]:
    return (
        "audit", "--boxes", pets.root / "coco" / "coco.json", "--detections", pets.root / "seen.parquet",
        "--out", out, *QUICK, *more,
    )  # fmt: skip


def findings_of(out: Path) -> list[Finding]:
    return from_table(pq.read_table(out / "findings.parquet"))


@pytest.fixture(scope="module")
def run(pets: Pets, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("runs") / "run"
    result = call(*options(pets, out, "--images", pets.root / "photos", "--json"))
    assert result.exit_code == 0, result.output
    return out, result


def test_the_planted_errors_stand_first(run: tuple[Path, Result]) -> None:
    first = {(f.image_id, f.kind) for f in findings_of(run[0])[:8]}
    assert first >= {
        ("p00", "missing"), ("p01", "wrong_class"), ("p02", "location"), ("p03", "spurious"),
        ("p04", "duplicate"),
    }  # fmt: skip


def test_leaves_tables_pictures_and_a_page(run: tuple[Path, Result]) -> None:
    out = run[0]
    for finding in findings_of(out):
        assert finding.picture is not None
        with Image.open(out / finding.picture) as picture:
            assert picture.width > 3 * 400
    names = {p.name for p in out.iterdir()}
    assert names >= {
        "findings.parquet", "images.parquet", "regions.parquet", "evidence.parquet", "summary.json",
        "labels.json", "dataset.json", "report.html", "run.json",
    }  # fmt: skip
    assert "quarantine.json" not in names
    record = json.loads((out / "run.json").read_text())
    assert (record["command"], record["status"]) == ("audit --boxes", "done")
    images = pq.read_table(out / "images.parquet").to_pylist()
    assert len(images) == N
    assert (out / images[0]["picture"]).is_file()


def test_json_is_one_object_on_standard_output(run: tuple[Path, Result]) -> None:
    data = json.loads(run[1].stdout)
    assert data["findings"] == len(findings_of(run[0]))
    assert data["summary"]["images"] == N
    assert set(data["summary"]["kinds"]) == set(BOX_KINDS)


def test_says_what_it_detected_and_ends_with_tables(pets: Pets, tmp_path: Path) -> None:
    result = call(*options(pets, tmp_path / "run"))
    assert result.exit_code == 0, result.output
    for words in (
        "24 images",
        "3 classes (cat, dog, hen)",
        "labelled boxes",
        "Expected errors per class",
        "report.html",
    ):
        assert words in result.output


@pytest.mark.parametrize(
    ("layout", "named", "pictures"),
    [("coco", False, False), ("voc", True, False), ("yolo", True, True), ("yolo", False, True)],
)  # YOLO's coordinates are relative: only the picture says its size
def test_formats_of_labels(pets: Pets, tmp_path: Path, layout: str, named: bool, pictures: bool) -> None:
    boxes = pets.root / layout / ("coco.json" if layout == "coco" else layout)
    more = [
        *(("--layout", layout) if named else ()),
        *(("--images", pets.root / "photos") if pictures else ()),
    ]
    seen = dubio.open_boxes(boxes, layout, pets.root / "photos")
    write_parquet(
        {s.image_id: pets.seen[Path(s.image_id).stem] for s in seen}, seen.space, tmp_path / "seen.parquet"
    )
    result = call(
        "audit", "--boxes", boxes, "--detections", tmp_path / "seen.parquet", "--out", tmp_path / "run",
        *QUICK, *more,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    first = {(Path(f.image_id).stem, f.kind) for f in findings_of(tmp_path / "run")[:12]}
    assert {("p00", "missing"), ("p04", "duplicate")} <= first


def test_detections_as_coco_results(pets: Pets, tmp_path: Path) -> None:
    write_coco_results(dubio.open_boxes(pets.root / "coco" / "coco.json"), pets.seen, tmp_path / "found.json")
    result = call(*options(pets, tmp_path / "run", "--detections", tmp_path / "found.json"))
    assert result.exit_code == 0, result.output
    assert findings_of(tmp_path / "run")


def test_without_pictures_the_strips_have_two_tiles(pets: Pets, tmp_path: Path) -> None:
    result = call(*options(pets, tmp_path / "run", "--max-findings", "3"))
    assert result.exit_code == 0, result.output
    for finding in findings_of(tmp_path / "run"):
        assert finding.picture is not None
        with Image.open(tmp_path / "run" / finding.picture) as picture:
            assert 2 * 400 < picture.width < 3 * 400


def test_a_broken_picture_leaves_its_finding_in_the_list(pets: Pets, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for k, path in enumerate(sorted((pets.root / "photos").iterdir())):
        (tmp_path / "photos" / path.name).write_bytes(path.read_bytes() if k else b"no picture")
    more = ("--images", tmp_path / "photos", "--kinds", "missing")
    result = call(*options(pets, tmp_path / "run", *more))
    assert result.exit_code == 0, result.output
    assert "no picture of p00" in result.output
    assert list(json.loads((tmp_path / "run" / "quarantine.json").read_text())) == ["p00"]
    assert "p00" in {f.image_id for f in findings_of(tmp_path / "run")}
    strict = call(*options(pets, tmp_path / "strict", *more, "--strict"))
    assert strict.exit_code == 2
    assert "p00.png" in strict.output


def test_kinds_and_classes_narrow_the_list(pets: Pets, tmp_path: Path) -> None:
    result = call(*options(pets, tmp_path / "run", "--kinds", "missing,spurious", "--classes", "dog,hen"))
    assert result.exit_code == 0, result.output
    found = findings_of(tmp_path / "run")
    assert found
    assert {f.kind for f in found} <= {"missing", "spurious"}
    assert all({f.given, f.proposed} & {"dog", "hen"} for f in found)


def test_length_and_least_probability(pets: Pets, tmp_path: Path) -> None:
    short = call(*options(pets, tmp_path / "short", "--max-findings", "4"))
    assert short.exit_code == 0, short.output
    assert len(findings_of(tmp_path / "short")) == 4
    sure = call(*options(pets, tmp_path / "sure", "--min-probability", "0.3", "--max-findings", "50"))
    assert sure.exit_code == 0, sure.output
    assert all(f.probability >= 0.3 for f in findings_of(tmp_path / "sure"))


def test_fail_over(pets: Pets, tmp_path: Path) -> None:
    # with this share of errors taken for granted, some are surely above one half
    more = ("--error-rate", "0.1", "--fail-over")
    assert call(*options(pets, tmp_path / "run", *more, "0")).exit_code == 1
    assert call(*options(pets, tmp_path / "run", *more, "5000")).exit_code == 0


def test_a_second_run_in_the_folder_keeps_verdicts(pets: Pets, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert call(*options(pets, out)).exit_code == 0
    judge(out, tmp_path, lambda f: "accepted" if f.finding == 1 else "rejected")
    again = call(*options(pets, out, "--max-findings", "30"))
    assert again.exit_code == 0, again.output
    kept = findings_of(out)
    assert len(kept) == 30
    assert kept[0].verdict == "accepted"
    assert sorted(p.name for p in (out / "pictures").glob("0*.jpg")) == [f"{n:05d}.jpg" for n in range(1, 31)]


def test_reviewed_places_are_not_listed_again(pets: Pets, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert call(*options(pets, out)).exit_code == 0
    before = findings_of(out)
    judge(out, tmp_path, lambda f: "accepted" if f.finding <= 3 else "rejected")
    later = call(*options(pets, tmp_path / "later", "--reviewed", out, "--json"))
    assert later.exit_code == 0, later.output
    summary = json.loads(later.stdout)["summary"]
    assert summary["found_fine"] >= 5
    fine = {(f.image_id, f.label) for f in before[3:10] if f.label >= 0}
    assert not fine & {(f.image_id, f.label) for f in findings_of(tmp_path / "later")}


def judge(out: Path, tmp_path: Path, verdict: Callable[[Finding], str]) -> None:
    """Verdicts on the first ten findings, as the page saves them, are read into the run."""
    rows = [
        {
            "finding": f.finding, "image_id": f.image_id, "x0": f.x0, "y0": f.y0, "x1": f.x1, "y1": f.y1,
            "kind": f.kind, "verdict": verdict(f), "time": "2026-01-31T12:00:00Z",
        }
        for f in findings_of(out)[:10]
    ]  # fmt: skip
    path = tmp_path / "verdicts.json"
    path.write_text(json.dumps({"format": 1, "run": "x", "verdicts": rows}))
    result = call("import", out, path)
    assert result.exit_code == 0, result.output


def test_images_without_detections_are_said(pets: Pets, tmp_path: Path) -> None:
    some = {k: v for k, v in pets.seen.items() if k not in ("p05", "p06")}
    write_parquet(some, SPACE, tmp_path / "some.parquet")
    result = call(*options(pets, tmp_path / "run", "--detections", tmp_path / "some.parquet", "--json"))
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["summary"]["images"] == N
    assert "nothing is detected in 2 of the images with labelled boxes (first 'p05')" in result.stderr


def test_few_images_are_ranked_with_a_reason(pets: Pets, tmp_path: Path) -> None:
    few = replace(pets.dataset, samples=pets.dataset.samples[:3])
    few = replace(few, labels={s.image_id: pets.dataset.labels[s.image_id] for s in few})
    dubio.write_boxes(few, tmp_path / "few.json", "coco")
    write_parquet({s.image_id: pets.seen[s.image_id] for s in few}, SPACE, tmp_path / "few.parquet")
    result = call(
        "audit", "--boxes", tmp_path / "few.json", "--detections", tmp_path / "few.parquet", "--out",
        tmp_path / "run", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["findings"] > 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "places ranked" in page


def among_labels(pets: Pets, tmp: Path) -> dict[str, Any]:
    labels = pets.root / "voc" / "voc"
    return {"--boxes": labels, "--images": pets.root / "photos", "--out": labels / "run"}


BAD: list[tuple[str, Callable[[Pets, Path], dict[str, Any]], str]] = [
    ("no detections", lambda pets, tmp: {"--detections": None}, "give --detections"),
    ("no such labels", lambda pets, tmp: {"--boxes": tmp / "none.json"}, "none.json"),
    ("no such detections", lambda pets, tmp: {"--detections": tmp / "none.parquet"}, "none.parquet"),
    ("unknown kind", lambda pets, tmp: {"--kinds": "outline"}, "unknown kind 'outline'; choose from missing"),
    ("unknown class", lambda pets, tmp: {"--classes": "cow"}, "cow"),
    ("masks' option", lambda pets, tmp: {"--min-size": "9"}, "--min-size has no use with --boxes"),
    ("masks", lambda pets, tmp: {"--labels": tmp}, "--labels has no use with --boxes"),
    ("among the labels", among_labels, "lies in the folder of labels"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_input_is_said_in_a_sentence(
    pets: Pets, tmp_path: Path, change: Callable[[Pets, Path], dict[str, Any]], words: str
) -> None:
    given: dict[str, Any] = {
        "--boxes": pets.root / "coco" / "coco.json", "--detections": pets.root / "seen.parquet",
        "--out": tmp_path / "run", **change(pets, tmp_path),
    }  # fmt: skip
    result = call("audit", *[v for pair in given.items() if pair[1] is not None for v in pair])
    assert result.exit_code == 2, result.output
    assert words in result.output
    assert "Traceback" not in result.output
    assert not Path(given["--out"]).exists()


def test_detections_of_other_classes_are_refused(pets: Pets, tmp_path: Path) -> None:
    other = LabelSpace("farm", (LabelClass(1, "cow", (1, 2, 3)), LabelClass(2, "pig", (4, 5, 6))))
    seen = {
        k: DetPrediction(p.boxes[:1], p.scores[:1], np.zeros(1, np.int64), 2, image_id=k)
        for k, p in pets.seen.items()
        if len(p)
    }
    write_parquet(seen, other, tmp_path / "farm.parquet")
    result = call(*options(pets, tmp_path / "run", "--detections", tmp_path / "farm.parquet"))
    assert result.exit_code == 2
    assert "farm.parquet" in result.output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", ["--boxes", "--detections"])
def test_box_options_need_boxes(pets: Pets, tmp_path: Path, option: str) -> None:
    if option == "--boxes":
        result = call("audit", "--detections", pets.root / "seen.parquet", "--out", tmp_path / "run")
        assert "goes with --boxes" in result.output
    else:
        result = call("audit", "--boxes", pets.root / "coco" / "coco.json", "--out", tmp_path / "run")
        assert "give --detections" in result.output
    assert result.exit_code == 2


def test_labels_are_only_read(pets: Pets, tmp_path: Path) -> None:
    path = pets.root / "coco" / "coco.json"
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert call(*options(pets, tmp_path / "run", "--max-findings", "2")).exit_code == 0
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_meta_classification_finds_missing_objects(pets: Pets, tmp_path: Path) -> None:
    result = call(*options(pets, tmp_path / "run", "--method", "meta"))
    assert result.exit_code == 0, result.output
    kinds = {row["kind"] for row in pq.read_table(tmp_path / "run" / "findings.parquet").to_pylist()}
    assert kinds <= {"missing"}


def test_defect_a_stopped_audit_of_boxes_does_not_say_that_it_goes_on(
    pets: Pets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dubio.jobs.audit_boxes as job

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "audit_boxes", stopped)
    result = call(*options(pets, tmp_path / "run"))
    assert result.exit_code == 130
    assert "nothing of this audit is kept" in result.output
    assert "left off" not in result.output
