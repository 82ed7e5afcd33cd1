"""Make the network of ``dubio demo``: render scenes, train, export, score on held-out scenes.

    python scripts/make_demo_model.py --work demo-model

Three splits are rendered, which share no scene: one to train on, one by which the training command
chooses its best epoch, and one that is scored at the end and plays no part in the training. Writes
``model.onnx`` and ``model_score.json`` into ``src/dubio/demo``; times there are CPU seconds. A
stopped run is taken up when ``--work`` is kept.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "src" / "dubio" / "demo"
# Weights of the classes in the loss: about half the root of how much rarer than building a class is,
# more for people. Classes of few pixels are learnt late or not at all in so short a training.
WEIGHTS = {
    "pole": 3.0,
    "traffic light": 6.0,
    "traffic sign": 3.0,
    "terrain": 1.5,
    "person": 4.0,
    "truck": 2.0,
    "bus": 2.0,
    "bicycle": 5.0,
}
MOST_BYTES = 5_000_000  # what the wheel may carry for the demo
_PACKAGES = (
    "dubio",
    "numpy",
    "pillow",
    "torch",
    "segmentation-models-pytorch",
    "timm",
    "onnx",
    "onnxruntime",
)


@click.command()
@click.option("--train", "n_train", default=800, show_default=True, help="Scenes to train on.")
@click.option("--val", "n_val", default=40, show_default=True, help="Scenes that choose the best epoch.")
@click.option("--held-out", "n_test", default=100, show_default=True, help="Scenes for the final score.")
@click.option("--seed", default=1, show_default=True, help="Seed of scenes and training.")
@click.option("--epochs", default=26, show_default=True, help="Passes over the training scenes.")
@click.option("--architecture", default="Linknet", show_default=True, help="Full resolution at little cost.")
@click.option("--encoder", default="tu-test_resnet", show_default=True, help="Half a million weights.")
@click.option("--threads", default=1, show_default=True, help="Threads of training and of the timing.")
@click.option("--work", type=click.Path(path_type=Path), help="Folder to keep; default: a temporary one.")
@click.option("--out", type=click.Path(path_type=Path), default=TARGET, help="Where the model goes.")
def main(work: Path | None, threads: int, **options: Any) -> None:
    """Render, train, export and score the demo's network."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    import torch

    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as temporary:
        _make(work or Path(temporary), threads, **options)


def _make(work: Path, threads: int, **options: Any) -> None:
    from dubio.core.files import write_json, writing

    counts = {"train": options["n_train"], "val": options["n_val"], "test": options["n_test"]}
    samples = _render(work / "scenes", counts, options["seed"])
    command = _command(work, options)
    seconds = _train(command)
    model = work / "run" / "model.onnx"
    size = model.stat().st_size
    if size > MOST_BYTES:
        sys.exit(f"{model} has {size} bytes, more than {MOST_BYTES}: choose a smaller encoder")
    score: dict[str, Any] = {
        "model": {"architecture": options["architecture"], "encoder": options["encoder"], "bytes": size},
        "held_out": _score(model, samples["test"], threads),
        "scenes": {"seed": options["seed"], "size": [288, 512], **counts},
        "training": {"seconds": round(seconds), "threads": threads},
        # Folders of this run are left out: they mean nothing elsewhere.
        "command": "dubio " + " ".join(v.replace(str(work), "WORK") for v in command),
        "versions": {name: metadata.version(name) for name in _PACKAGES},
    }
    with writing(options["out"] / "model.onnx") as part:
        shutil.copyfile(model, part)
    write_json(options["out"] / "model_score.json", score)
    held = score["held_out"]
    click.echo(f"pixel accuracy {held['pixel_accuracy']}, mean IoU {held['mean_iou']}, {size / 1e6:.2f} MB")


def _render(root: Path, counts: dict[str, int], seed: int) -> dict[str, Any]:
    """Render the splits that aren't there yet, so that a stopped run finds its files as they were."""
    from dubio.core.files import read_json, write_json
    from dubio.data.layouts import open_dataset
    from dubio.data.scenes import write_scenes

    plan = {"seed": seed, **counts}
    done = root / "plan.json"
    if not done.is_file() or read_json(done) != plan:
        for split, n in counts.items():
            write_scenes(root, n, seed=seed, split=split)
        write_json(done, plan)
    return {split: open_dataset(root, layout="scenes", split=split) for split in counts}


def _command(work: Path, options: dict[str, Any]) -> list[str]:
    from dubio.data.scenes import SCENE_SPACE

    fixed = {
        "data": work / "scenes",
        "layout": "scenes",
        "split-train": "train",
        "split-val": "val",
        "crop": (192, 352),  # two thirds of a scene: enough context, and more steps per minute
        "batch-size": 4,
        "lr": 0.003,
        "dice": 1.0,
        "class-weights": ",".join(str(WEIGHTS.get(name, 1.0)) for name in SCENE_SPACE.names),
        "scale": (1, 1),  # resampling would wear away poles of one pixel
        "jitter": 0.1,
        "precision": "bf16-mixed",
        "accelerator": "cpu",
        "out": work / "run",
    }
    given = {name: options[name] for name in ("architecture", "encoder", "epochs", "seed")}
    words = ["train", "segmenter", "--export-onnx", "--onnx-half-weights"]
    for name, value in {**fixed, **given}.items():
        words += [f"--{name}", *(str(v) for v in (value if isinstance(value, tuple) else (value,)))]
    return words


def _train(command: list[str]) -> float:
    """Call the training command in this process; returns its CPU seconds."""
    from dubio.cli.main import main as dubio

    start = time.process_time()
    dubio(command, standalone_mode=False)
    return time.process_time() - start


def _score(model: Path, dataset: Any, threads: int) -> dict[str, Any]:
    """Score the ONNX file as a user would run it, and time it."""
    from dubio.data.images import read_image
    from dubio.data.masks import read_mask
    from dubio.models.load import load_model
    from dubio.models.source import ModelSource
    from dubio.models.tally import Tally

    space = dataset.space
    source = ModelSource(load_model(model, device="cpu", threads=threads), space)
    tally, times = Tally.empty(len(space)), []
    for sample in dataset:
        image, label = read_image(sample.image), read_mask(sample.label, space)
        start = time.process_time()
        scores = source.predict([sample.image_id], [image])[0].scores
        times.append(time.process_time() - start)
        assert scores is not None
        predicted = scores.argmax(0).astype(space.dtype)
        tally.add(Tally.of(predicted, label, len(space)))
    return {
        "pixel_accuracy": round(tally.accuracy, 4),
        "mean_iou": round(tally.mean_iou, 4),
        "iou": {name: round(float(v), 4) for name, v in zip(space.names, tally.iou, strict=True)},
        "images": len(dataset),
        "seconds_per_image": round(sorted(times)[len(times) // 2], 3),
    }


if __name__ == "__main__":
    main()
