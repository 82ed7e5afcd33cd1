from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dubio.cli.main import main

pytest.importorskip("torch")
pytest.importorskip("lightning")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Six pictures of stripes, with labels."""
    for number in range(6):
        label = np.repeat((np.arange(4) + number) % 2, 16)[None].repeat(64, axis=0).astype(np.uint8)
        for part, array in (("images", np.stack([label * 200] * 3, axis=-1)), ("labels", label)):
            (tmp_path / part).mkdir(exist_ok=True)
            Image.fromarray(array.astype(np.uint8)).save(tmp_path / part / f"p{number}.png")
    classes = [{"id": n, "name": c} for n, c in enumerate(("dark", "light"))]
    (tmp_path / "space.json").write_text(json.dumps({"name": "stripes", "classes": classes}))
    return tmp_path


def run(folder: Path, *args: object) -> tuple[int, str, str]:
    data = (
        "--images",
        folder / "images",
        "--labels",
        folder / "labels",
        "--label-space",
        folder / "space.json",
    )
    small = ("--architecture", "FPN", "--encoder", "tu-lcnet_035", "--crop", 32, 32, "--batch-size", 2)
    words = ["train", "segmenter", *data, *small, "--accelerator", "cpu", "--epochs", 1, *args]
    result = CliRunner().invoke(main, [str(w) for w in words])
    return result.exit_code, result.stdout, result.stderr


def test_trains_and_the_result_predicts(pictures):
    out = pictures / "run"
    status, text, said = run(pictures, "--out", out, "--json")
    assert status == 0, said
    assert "epoch 1: train loss" in said
    assert 0 <= json.loads(text)["mean_iou"] <= 1
    assert json.loads((out / "run.json").read_text())["status"] == "done"
    words = ["predict", "--model", out, "--images", pictures / "images", "--device", "cpu"]
    result = CliRunner().invoke(main, [str(w) for w in (*words, "--out", pictures / "predicted", "--json")])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["images"] == 6
    assert "'stripes' (model.json)" in result.stderr


def test_folds_write_held_out_scores(pictures):
    out = pictures / "run"
    status, text, said = run(pictures, "--folds", 2, "--out", out)
    assert status == 0, said
    assert "held-out scores" in text
    assert len(list((out / "scores").glob("*.npy"))) == 6


def test_bad_input_is_one_sentence_and_status_2(pictures):
    for args, word in (
        (("--encoder", "unheard"), "unheard"),
        (("--crop", 33, 33), "multiples of 32"),
        (("--class-weights", "a,b"), "class weights"),
        (("--folds", 9), "dealt to 9 folds"),
    ):
        status, _, said = run(pictures, *args, "--out", pictures / "bad")
        assert status == 2
        assert said.strip().splitlines()[-1].startswith("dubio: ")
        assert word in said
