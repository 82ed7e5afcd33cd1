"""``dubio export`` as a user calls it."""

from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner

from dubio.cli.main import main

from ..toy import write_toy


def call(*args):
    return CliRunner().invoke(main, [str(a) for a in args])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("cli")
    write_toy(root / "data", 8)
    result = call(
        "audit", "--labels", root / "data/labels", "--images", root / "data/images", "--scores",
        root / "data/scores", "--label-space", root / "data/toy.toml", "--out", root / "run", "--folds", "2",
        "--copies", "2", "--max-findings", "20",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return root / "run"


@pytest.mark.parametrize(
    ("to", "file"),
    [
        ("coco", "annotations.json"), ("cvat", "labels.json"), ("label-studio", "label_config.xml"),
        ("fiftyone", "metadata.json"), ("csv", "findings.csv"), ("masks", "changes.csv"),
    ],
)  # fmt: skip
def test_every_format_from_the_command_line(run, tmp_path, to, file):
    result = call(
        "export", run, "--to", to, "--out", tmp_path / "o", "--which", "all", "--top", "5", "--json"
    )
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["findings"] == 5
    assert file in said["files"]
    assert all((tmp_path / "o" / name).exists() for name in said["files"])


def test_moved_data_are_found_by_option(run, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(run.parent / "data", moved)
    shutil.copytree(run, tmp_path / "run")
    manifest = json.loads((tmp_path / "run/dataset.json").read_text())
    text = json.dumps(manifest).replace(str(run.parent / "data"), "/gone/data")
    (tmp_path / "run/dataset.json").write_text(text)
    args = ("export", tmp_path / "run", "--to", "masks", "--which", "all", "--out", tmp_path / "o")
    lost = call(*args)
    assert lost.exit_code == 2
    assert "the labels are not there any more" in lost.output
    found = call(*args, "--labels", moved / "labels")
    assert found.exit_code == 0, found.output
    assert list((tmp_path / "o/masks").glob("*.png"))
    again = call(*args[:-1], tmp_path / "p", "--data", moved)
    assert again.exit_code == 0, again.output
    assert list((tmp_path / "p/masks").rglob("*.png"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("--which", "accepted"), "no finding is accepted"),
        (("--kinds", "odd"), "unknown kind 'odd'"),
        (("--classes", "tree"), "no class 'tree'"),
        (("--data", "nowhere"), "nowhere"),
    ],
)
def test_bad_options_get_one_sentence(run, tmp_path, change, words):
    result = call("export", run, "--to", "csv", "--out", tmp_path / "o", *change)
    assert result.exit_code == 2
    assert words in result.output
    assert result.output.strip().splitlines()[-1].startswith("dubio: ")


def test_what_is_no_audit_is_refused(run, tmp_path):
    for folder, words in ((tmp_path, "is no run of 'dubio audit'"), (tmp_path / "none", "doesn't exist")):
        result = call("export", folder, "--to", "csv", "--out", tmp_path / "o")
        assert result.exit_code == 2
        assert words in result.output
    shutil.copytree(run, tmp_path / "old")
    (tmp_path / "old/dataset.json").unlink()
    result = call("export", tmp_path / "old", "--to", "csv", "--out", tmp_path / "o")
    assert result.exit_code == 2
    assert "run the same audit again" in result.output
