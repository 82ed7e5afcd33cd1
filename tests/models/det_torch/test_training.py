from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from dubio.core.boxes import BoxDataset, BoxLabels
from dubio.core.errors import InputError
from dubio.core.run import Run
from dubio.data.boxes import open_detections

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("timm")
pytest.importorskip("torchmetrics")
from dubio.models.det.torch.load import load_torch_detector  # noqa: E402
from dubio.models.det.train.options import deal, split_off  # noqa: E402


class Stopper:
    """A user who presses Ctrl-C in the middle of an epoch."""

    def __init__(self, at):
        self.at = at

    def step(self, done, total):
        if done == self.at:
            raise KeyboardInterrupt

    def epoch(self, row):
        pass


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def test_training_stops_and_goes_on_as_if_it_had_not(shapes, options, tmp_path):
    from dubio.models.det.train.fit import train_detector

    data = shapes(8)
    val = replace(data, samples=data.samples[:3])
    whole = train_detector(data, val, options(), tmp_path / "whole")
    rows = list(csv.DictReader((tmp_path / "whole/curves.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert {"train_loss", "val_loss", "val_ap", "val_ap50", "lr"} <= rows[0].keys()
    assert json.loads((tmp_path / "whole/metrics.json").read_text()) == whole.metrics
    with pytest.raises(KeyboardInterrupt):
        train_detector(data, val, options(), tmp_path / "cut", reporter=Stopper(3))
    assert load_torch_detector(tmp_path / "cut/last", device="cpu").space == data.space
    rest = train_detector(data, val, options(), tmp_path / "cut")
    # Two steps per epoch: taken up after the first epoch, it ends as if never stopped.
    assert rest.metrics == whole.metrics
    curves = [(tmp_path / name / "curves.csv").read_text() for name in ("whole", "cut")]
    assert curves[0] == curves[1]
    for name, value in weights(tmp_path / "whole").items():
        torch.testing.assert_close(weights(tmp_path / "cut")[name], value)
    found = torch.load(tmp_path / "whole/last.ckpt", weights_only=True)
    assert "state_dict" in found


@pytest.mark.parametrize("family", ["retinanet", "fcos"])
def test_it_learns_what_it_is_shown(shapes, options, small, tmp_path, family):
    from dubio.models.det.train.fit import train_detector

    data = shapes(4)
    many = options(
        architecture=small(family=family, dropout=0.05, strides=(8, 16), extra=1),
        epochs=40,
        batch_size=2,
        lr=1e-2,
        ema=0.8,
        patience=39,
    )
    done = train_detector(data, data, many, tmp_path / "run")
    # a network that has learned nothing stays below 0.1
    assert done.metrics["ap50"] > 0.4
    model = load_torch_detector(tmp_path / "run", device="cpu")
    from dubio.data.images import read_image

    (empty,) = model.detect([read_image(data.samples[3].image)], ["p3"])
    (full,) = model.detect([read_image(data.samples[0].image)], ["p0"])
    assert full.scores.max() > 2 * empty.scores.max(initial=0.0)
    assert full.box_aleatoric is not None


def test_other_options_train_too(shapes, options, small, tmp_path):
    from dubio.models.det.train.fit import train_detector

    data = shapes(5)
    crowd = BoxLabels(np.array([[0, 0, 40, 40.0]]), np.array([0]), crowd=np.array([True]))
    data = replace(data, labels={**data.labels, "p0": crowd})
    plain = options(
        architecture=small(variance=False), loss="l1", epochs=1, ema=0.0, flip=False, fit_anchors=False
    )
    train_detector(data, data, plain, tmp_path / "plain")
    model = load_torch_detector(tmp_path / "plain", device="cpu")
    (found,) = model.candidates([np.zeros((64, 96, 3), np.uint8)], ["x"])
    assert found.box_aleatoric is None
    other = options(
        architecture=small(logit_variance=True, dropout_where="whole"), loss="energy", epochs=1, max_steps=1
    )
    train_detector(data, data, other, tmp_path / "other", work=tmp_path / "work")
    assert (tmp_path / "work/last.ckpt").is_file()


def test_wrong_requests_are_sentences(shapes, options, small, tmp_path):
    from dubio.models.det.train.fit import train_detector

    data = shapes(3)
    empty = BoxDataset("none", data.space, (), {})
    for asked, val, word in (
        (options(), empty, "no images"),
        (options(architecture=small(classes=5)), data, "5 classes"),
        (options(accelerator="abacus"), data, "hardware"),
        (options(backbone_weights="missing.pth"), data, "doesn't exist"),
    ):
        with pytest.raises(InputError, match=word):
            train_detector(data, val, asked, tmp_path / "run")
    for wrong in (
        {"size": (60, 96)},
        {"loss": "hinge"},
        {"epochs": 0},
        {"ema": 1.0},
        {"lr": 0.0},
        {"scale": (2.0, 1.0)},
        {"val_fraction": 0.0},
        {"warmup": 1.0},
        {"batch_size": 0},
        {"std": (0.0, 1.0, 1.0)},
        {"variance_warmup": 2.0},
        {"architecture": small(variance=False)},
    ):
        with pytest.raises(InputError):
            options(**wrong)
    with pytest.raises(InputError, match="training needs 2"):
        split_off(replace(data, samples=data.samples[:1]), 0.5, 0)


def test_recipe_leaves_the_hardware_out(options):
    assert options(devices="2", workers=3).recipe() == options().recipe()
    assert options(loss="laplace").recipe() != options().recipe()


def test_folds_search_each_image_once_by_a_network_that_never_saw_it(shapes, options, tmp_path, monkeypatch):
    from dubio.models.det.train import folds

    data = shapes(7)
    seen: list[set[str]] = []
    honest = folds.train_detector

    def spy(train, val, *args, **kwargs):
        seen.append({s.image_id for part in (train, val) for s in part})
        return honest(train, val, *args, **kwargs)

    monkeypatch.setattr(folds, "train_detector", spy)
    (data.samples[2].image).write_bytes(b"no picture any more")
    good = replace(data, samples=tuple(s for s in data.samples if s.image_id != "p2"))
    dealt = deal(good.samples, 2, 0)

    def fit(dataset):
        return folds.cross_fit_detectors(
            dataset, options(epochs=1), 2, Run(tmp_path / "run", "train", {}), samples=2, device="cpu"
        )

    done = fit(good)
    assert json.loads((tmp_path / "run/folds.json").read_text()) == dealt
    for fold, names in enumerate(seen):
        assert names.isdisjoint(name for name, number in dealt.items() if number == fold)
    found = open_detections(done.dataset, tmp_path / "run")
    assert sum(len(p) for p in found.predictions.values()) == done.detections
    first = (tmp_path / "run/boxes.parquet").read_bytes()
    again = fit(good)
    assert len(seen) == 2
    assert (again.detections, again.bad) == (done.detections, {})
    assert (tmp_path / "run/boxes.parquet").read_bytes() == first


def test_bad_pictures_are_listed_among_held_out_ones(shapes, options, tmp_path, monkeypatch):
    from dubio.models.det.train import folds

    data = shapes(4)
    run = Run(tmp_path / "run", "train", {})
    honest = folds._search

    def search(samples, model, outputs):
        for sample in samples:
            if sample.image_id == "p1":
                sample.image.write_bytes(b"no picture any more")
        return honest(samples, model, outputs)

    monkeypatch.setattr(folds, "_search", search)
    dealt = deal(data.samples, 2, 0)
    # its fold is searched last, so that no training needs the picture
    if dealt["p1"] == 0:
        names = {s.image_id: BoxLabels() for s in data}
        monkeypatch.setattr(folds, "deal", lambda *_a, **_k: {n: 1 - dealt[n] for n in names})
    done = folds.cross_fit_detectors(data, options(epochs=1), 2, run, samples=1, device="cpu")
    assert set(done.bad) == {"p1"}
    assert json.loads((tmp_path / "run/quarantine.json").read_text())[0]["image_id"] == "p1"
    assert len(done.dataset) == 3
