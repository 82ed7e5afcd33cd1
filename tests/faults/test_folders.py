"""Names and folders: mismatched, doubled, odd, empty, missing, linked in circles; places not to write to."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from . import makers
from .conftest import assert_plain, audit_options, examine, last_sentence, quarantine, run_cli

PARTS = {"labels": ".png", "images": ".png", "scores": ".npy"}


def audited(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["summary"]["images"]


def rename(folder, change, which=range(6)):
    for number, path in enumerate(sorted(folder.iterdir())):
        if number in which:
            path.rename(path.with_name(change(path.stem) + path.suffix))


ODD_NAMES = (
    "Straße ñ 東京", "a b  c", "a.b.c.d", "[red]x[bold", "a'b\"<script>c", "a%20b#c?d", "a\\b", "a\nb",
    "\x1b[31mred", "x" * 250, "ü" * 124, "-rf", os.fsdecode(b"caf\xe9"),
)  # fmt: skip


@pytest.fixture(scope="module")
def odd(sound, tmp_path_factory):
    """A data set of odd names, one of which is truncated, and its audit."""
    root = tmp_path_factory.mktemp("odd")
    data = root / "data"
    shutil.copytree(sound, data)
    for number, name in enumerate(ODD_NAMES):
        for part, suffix in PARTS.items():
            try:
                shutil.copy(sound / part / f"im_{number % 6:03d}.a{suffix}", data / part / (name + suffix))
            except OSError:
                pytest.skip("this file system can't store the names")
        makers.truncate(data / "labels" / f"{name}.png") if name.startswith("[red]") else None
    return data, root / "out", run_cli(*audit_options(data, root / "out", "--json"))


def test_odd_names_are_audited(odd):
    _, out, result = odd
    assert audited(result) == 6 + len(ODD_NAMES) - 1
    assert list(quarantine(out)) == ["[red]x[bold"]


def test_odd_names_do_no_harm_on_the_screen_and_in_files(odd):
    data, out, result = odd
    assert "[red]x[bold" in result.stderr, "markup is shown, not obeyed"
    assert "\x1b[31m" not in result.stderr
    assert "\x1b[31m" not in result.stdout
    assert "<script>c" not in (out / "report.html").read_text(encoding="utf-8")
    shown = run_cli(*audit_options(data, out))
    assert shown.exit_code == 0
    names = set(pq.read_table(out / "findings.parquet")["image_id"].to_pylist())
    assert all(name.isprintable() for name in names)


@pytest.mark.parametrize(
    ("part", "change", "words"),
    [
        ("labels", lambda s: "x" + s, "no image matches a label by name"),
        ("labels", str.upper, "upper and lower case"),
        ("scores", lambda s: "x" + s, "no file matches an image by name"),
        ("scores", str.upper, "upper and lower case"),
    ],
    ids=["other labels", "case of labels", "other scores", "case of scores"],
)
def test_names_that_never_match(data, tmp_path, part, change, words):
    rename(data / part, change)
    sentence = last_sentence(run_cli(*audit_options(data, tmp_path / "out")))
    assert words in sentence
    assert_plain(sentence)


def test_names_that_match_in_part_are_counted(data, tmp_path):
    rename(data / "scores", lambda s: "x" + s, range(2))
    found, said = examine(data, tmp_path / "out")
    assert len(found.works) == 4
    assert found.skipped == 2
    assert any("4 of 6 images have a prediction" in text for text in said)


def test_a_shared_ending_is_no_fault(data, tmp_path):
    rename(data / "labels", lambda s: s + "_gtFine_labelIds")
    assert len(examine(data, tmp_path / "out")[0].works) == 6


def test_two_files_of_one_name_are_said(data, tmp_path):
    with Image.open(data / "labels/im_003.a.png") as image:
        image.save(data / "labels/im_003.a.tif")
    found, said = examine(data, tmp_path / "out")
    assert len(found.works) == 6
    assert any("(first 'im_003.a', of which im_003.a.png is used)" in text for text in said)


@pytest.mark.parametrize("part", list(PARTS))
@pytest.mark.parametrize("fault", ["empty", "missing", "a file", "wrong files"])
def test_no_such_folder(data, tmp_path, part, fault):
    shutil.rmtree(data / part)
    if fault in ("empty", "wrong files"):
        (data / part).mkdir()
    if fault == "wrong files":
        (data / part / "notes.txt").write_text("nothing of the kind")
    if fault == "a file":
        (data / part).write_text("x")
    sentence = last_sentence(run_cli(*audit_options(data, tmp_path / "out")))
    assert str(data / part) in sentence
    assert_plain(sentence)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("part", list(PARTS))
@pytest.mark.parametrize("fault", [makers.dangling_link, makers.link_to_itself])
def test_broken_links_are_left_out_alone(data, tmp_path, part, fault):
    fault(data / part / f"im_003.a{PARTS[part]}")
    found, _ = examine(data, tmp_path / "out")
    assert len(found.works) == 5, "one link that leads nowhere doesn't hide the other files"
    assert "link to nothing" in found.quarantine["im_003.a"]


def test_a_folder_named_like_a_file_is_said(data, tmp_path):
    makers.folder(data / "labels/im_003.a.png")
    found, said = examine(data, tmp_path / "out")
    assert len(found.works) == 5
    assert any("1 folders have names like files (first 'im_003.a.png')" in text for text in said)


def test_links_in_circles_end(data, tmp_path):
    for name in ("again", "and_again", "ever_again"):
        (data / "labels" / name).symlink_to(data / "labels")
        (data / "scores" / name).symlink_to("..")
    assert len(examine(data, tmp_path / "out")[0].works) == 6


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_missing_permissions(data, tmp_path):
    path = data / "labels/im_003.a.png"
    path.chmod(0)
    out = tmp_path / "out"
    assert audited(run_cli(*audit_options(data, out, "--json"))) == 5
    assert "permission" in quarantine(out)["im_003.a"]
    path.chmod(0o644)
    assert audited(run_cli(*audit_options(data, out, "--json"))) == 6, "mended"
    (data / "labels").chmod(0)
    try:
        sentence = last_sentence(run_cli(*audit_options(data, tmp_path / "two")))
    finally:
        (data / "labels").chmod(0o755)
    assert "permission" in sentence


def snapshot(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("place", ["labels", "scores", "images", ".", "labels/run", "labels/deep/run"])
def test_nothing_is_written_among_the_users_files(data, place):
    before = snapshot(data)
    sentence = last_sentence(run_cli(*audit_options(data, data / place)))
    assert_plain(sentence)
    assert snapshot(data) == before
    assert {p for p in data.rglob("*") if p.is_dir()} == {data / part for part in PARTS}


def test_what_a_command_wrote_is_no_input(data):
    """A run folder below the images is passed over, so that the same command means the same again."""
    out = data / "images/run"
    assert audited(run_cli(*audit_options(data, out, "--json"))) == 6
    found, said = examine(data, out)
    assert len(found.works) == 6
    assert "6 images with labels" in said


@pytest.mark.parametrize("place", ["toy.toml", "toy.toml/run"])
def test_a_file_is_no_place_for_a_run(data, place):
    sentence = last_sentence(run_cli(*audit_options(data, data / place)))
    assert "toy.toml" in sentence
    assert_plain(sentence)
    assert (data / "toy.toml").is_file()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"comm', "damaged run.json"),
        ("", "damaged run.json"),
        ("[" * 100_000, "damaged run.json"),
        ("[]", "not dubio's"),
        ('{"command": null}', "not dubio's"),
        ('{"command": "predict"}', "is a run of 'dubio predict'"),
    ],
    ids=["truncated", "empty", "deep", "list", "null", "other command"],
)
def test_a_run_folder_with_another_record(data, tmp_path, text, words):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/run.json").write_text(text)
    sentence = last_sentence(run_cli(*audit_options(data, tmp_path / "out")))
    assert words in sentence
    assert_plain(sentence)
    assert (tmp_path / "out/run.json").read_text() == text


@pytest.mark.parametrize(
    "content", [b"name = ", b"\xff\xfe\x00", b"", b"[[classes]]\nid = 1\n", b"classes = 3"]
)
def test_a_damaged_label_space(data, tmp_path, content):
    (data / "toy.toml").write_bytes(content)
    sentence = last_sentence(run_cli(*audit_options(data, tmp_path / "out")))
    assert "toy.toml" in sentence
    assert_plain(sentence)


def test_key_that_no_file_has(data, tmp_path):
    for path in list((data / "scores").iterdir()):
        np.savez(path.with_suffix(".npz"), scores=np.load(path))
        path.unlink()
    sentence = last_sentence(run_cli(*audit_options(data, tmp_path / "out", "--scores-key", "mine")))
    assert "no array 'mine'; it has scores" in sentence
