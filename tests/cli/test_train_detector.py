from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dubio.cli.main import main

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("timm")
pytest.importorskip("torchmetrics")


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Ten pictures with a square each, two of them without, and COCO annotations."""
    images, annotations = [], []
    (tmp_path / "images").mkdir()
    for number in range(10):
        rng = np.random.default_rng(number)
        picture = rng.integers(90, 110, (64, 64, 3)).astype(np.uint8)
        images.append({"id": number, "file_name": f"p{number}.png", "width": 64, "height": 64})
        if number % 5 != 4:
            x, y = (int(v) for v in rng.integers(0, 40, 2))
            picture[y : y + 24, x : x + 24] = 250
            box = {"bbox": [x, y, 24, 24], "area": 576, "iscrowd": 0}
            annotations.append({"id": number, "image_id": number, "category_id": 7, **box})
        Image.fromarray(picture).save(tmp_path / f"images/p{number}.png")
    categories = [{"id": 7, "name": "square"}]
    data = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "boxes.json").write_text(json.dumps(data))
    return tmp_path


def run(folder: Path, *args: object, epochs: int | None = 1) -> tuple[int, str, str]:
    data = ("--boxes", folder / "boxes.json", "--images", folder / "images", "--preset", "tiny")
    small = ("--backbone", "lcnet_035", "--image-size", 64, 64, "--batch-size", 2, "--scale", 1, 1)
    lasting = () if epochs is None else ("--epochs", epochs)
    words = ["train", "detector", *data, *small, "--accelerator", "cpu", *lasting, *args]
    result = CliRunner().invoke(main, [str(w) for w in words])
    return result.exit_code, result.stdout, result.stderr


def test_trains_and_the_result_predicts(pictures):
    out = pictures / "run"
    pytest.importorskip("onnxscript")
    status, text, said = run(pictures, "--export-onnx", "--samples", 2, "--out", out, "--json")
    assert status == 0, said
    assert "2 of them without a box" in said or "1 of them without a box" in said
    assert "epoch 1: train loss" in said
    assert "Warning" not in said
    found = json.loads(text)
    assert 0 <= found["ap"] <= found["ap50"] <= 1
    assert found["report"] == str(out / "training.html")
    assert "epoch 1 of 1" in (out / "training.html").read_text()
    assert json.loads((out / "run.json").read_text())["status"] == "done"
    assert found["onnx"]["samples"] == 2
    words = [
        "predict",
        "--detector",
        out / "detector.onnx",
        "--images",
        pictures / "images",
        "--device",
        "cpu",
        "--score",
        0,
    ]
    words += ["--out", pictures / "predicted", "--json"]
    result = CliRunner().invoke(main, [str(w) for w in words])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["images"] == 10
    assert "x 2 samples" in result.stderr


def test_folds_write_held_out_detections(pictures):
    out = pictures / "run"
    status, text, said = run(pictures, "--folds", 2, "--samples", 2, "--out", out)
    assert status == 0, said
    assert "held-out detections written" in text
    assert (out / "boxes.parquet").is_file()
    assert "training.html" in text
    assert "fold 2" in (out / "training.html").read_text()
    assert (out / "detections.json").is_file()
    assert len(json.loads((out / "folds.json").read_text())) == 10


def test_bad_input_is_one_sentence_and_status_2(pictures):
    for args, word in (
        (("--backbone", "unheard"), "unheard"),
        (("--image-size", 60, 64), "multiples of 32"),
        (("--folds", 99), "dealt to 99 folds"),
        (("--layout", "scribbles"), "scribbles"),
        (("--encoder-weights", "missing.safetensors"), "doesn't exist"),
    ):
        status, _, said = run(pictures, *args, "--out", pictures / "bad")
        assert status == 2
        assert said.strip().splitlines()[-1].startswith("dubio: ")
        assert word in said


def test_few_images_get_enough_steps_and_a_said_number_is_obeyed(pictures, monkeypatch):
    from dubio.models.det.train.options import LEAST_STEPS

    monkeypatch.setitem(LEAST_STEPS, "tiny", 70)
    status, _, said = run(pictures, "--out", pictures / "few", "--json", epochs=None)
    assert status == 0, said
    # nine images in batches of two are four steps, the rest of one left out
    assert "training: 18 epochs, not tiny's 12: so few images take more to reach 70 steps" in said
    assert "epoch 18: " in said
    assert "epoch 19: " not in said
    status, _, said = run(pictures, "--out", pictures / "asked")
    assert "training: 1 epochs as asked" in said
    status, _, said = run(pictures, "--out", pictures / "steps", "--max-steps", 2, epochs=None)
    assert "training: 2 steps or 12 epochs, whichever ends first" in said


@pytest.mark.parametrize("images", [75, 76, 246, 273, 5000])
def test_as_many_epochs_as_give_the_steps(images):
    from dubio.models.det.train.options import LEAST_STEPS, RECIPES, enough_epochs

    for preset, recipe in RECIPES.items():
        epochs = enough_epochs(preset, images, recipe["batch_size"])
        steps = max(1, (images - (images % recipe["batch_size"] == 1)) / recipe["batch_size"])
        assert epochs >= recipe["epochs"]
        assert epochs * -(-steps // 1) >= LEAST_STEPS.get(preset, 0)
    assert enough_epochs("tiny", 273, 4) == 12


def test_defect_ap_without_a_labelled_box_was_zero(pictures):
    """It is undefined: the last weights stay, nothing stops early, and it is said once."""
    labels = json.loads((pictures / "boxes.json").read_text())
    kept = pictures / "split"
    for part, wanted in (("train", False), ("val", True)):
        (kept / "images" / part).mkdir(parents=True)
        (kept / "labels" / part).mkdir(parents=True)
        for image in labels["images"]:
            if (image["id"] % 5 == 4) == wanted:
                name = image["file_name"]
                (kept / "images" / part / name).write_bytes((pictures / "images" / name).read_bytes())
                text = "" if wanted else "0 0.5 0.5 0.3 0.3\n"
                (kept / "labels" / part / name).with_suffix(".txt").write_text(text)
    (kept / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [square]\n")
    words = [
        "--boxes",
        kept / "data.yaml",
        "--preset",
        "tiny",
        "--backbone",
        "lcnet_035",
        "--image-size",
        64,
        64,
    ]
    words += [
        "--batch-size",
        2,
        "--accelerator",
        "cpu",
        "--epochs",
        3,
        "--patience",
        1,
        "--out",
        kept / "run",
    ]
    result = CliRunner().invoke(main, [str(w) for w in ("train", "detector", *words, "--json")])
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("no box is labelled in the validation images") == 1
    assert "val ap" not in result.stderr
    found = json.loads(result.stdout)
    metrics = json.loads((kept / "run/metrics.json").read_text())
    assert found["ap"] is None
    assert metrics["ap"] is metrics["ap50"] is None
    assert metrics["best_epoch"] == 3
    assert "AP is undefined" in metrics["reason"]
