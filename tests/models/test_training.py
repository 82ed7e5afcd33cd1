from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from dubio.core.errors import InputError
from dubio.core.run import Run
from dubio.models.inference import predict_scores
from dubio.models.load import load_model
from dubio.models.train.options import TrainOptions

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("segmentation_models_pytorch")

TINY = TrainOptions(
    architecture="FPN",
    encoder="tu-lcnet_035",
    crop=(32, 32),
    batch_size=4,
    epochs=3,
    lr=5e-3,
    scale=(1.0, 1.0),
    jitter=0.0,
    accelerator="cpu",
    val_fraction=0.25,
)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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


def test_training_learns_stops_and_goes_on(block_data, tmp_path):
    from dubio.models.train.fit import train_segmenter

    data = block_data(8, ((64, 64), (64, 96)))
    val = replace(data, samples=data.samples[:2])
    whole = train_segmenter(data, val, TINY, tmp_path / "whole")
    rows = list(csv.DictReader((tmp_path / "whole/curves.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    best = max(float(row["val_miou"]) for row in rows)
    assert whole.metrics["mean_iou"] == pytest.approx(best, abs=1e-5)
    assert json.loads((tmp_path / "whole/metrics.json").read_text()) == whole.metrics

    with pytest.raises(KeyboardInterrupt):
        train_segmenter(data, val, TINY, tmp_path / "cut", reporter=Stopper(3))
    assert load_model(tmp_path / "cut/last", device="cpu").space == data.space
    rest = train_segmenter(data, val, TINY, tmp_path / "cut")
    # Two steps per epoch: taken up after the first epoch, it ends as if never stopped.
    assert rest.metrics == whole.metrics
    for name, value in weights(tmp_path / "whole").items():
        torch.testing.assert_close(weights(tmp_path / "cut")[name], value)

    model = load_model(tmp_path / "whole", device="cpu")
    assert (model.n_channels, model.kind, model.space) == (3, "logits", data.space)


def test_checkpoints_hold_plain_data_only(block_data, tmp_path):
    from dubio.models.train.fit import train_segmenter

    data = block_data(4, ((32, 32),))
    options = replace(TINY, epochs=1, class_weights="balanced", schedule="onecycle", patience=1)
    train_segmenter(data, data, options, tmp_path / "run", work=tmp_path / "work")
    found = torch.load(tmp_path / "work/last.ckpt", weights_only=True)
    assert "state_dict" in found


def test_wrong_requests_are_sentences(block_data, tmp_path):
    from dubio.models.train.fit import train_segmenter

    data = block_data(2)
    empty = replace(data, samples=())
    for options, val, word in (
        (replace(TINY, crop=(40, 40)), data, "multiples of 32"),
        (replace(TINY, encoder="no-encoder"), data, "no-encoder"),
        (replace(TINY, class_weights=(1.0,)), data, "1 class weights for 3"),
        (replace(TINY, accelerator="abacus"), data, "hardware"),
        (TINY, empty, "no labelled images"),
    ):
        with pytest.raises(InputError, match=word):
            train_segmenter(data, val, options, tmp_path / "run")


def test_folds_score_each_image_once_by_a_network_that_never_saw_it(block_data, tmp_path, monkeypatch):
    from dubio.models.train import folds

    data = block_data(7, ((64, 64), (40, 72)))
    bare = (replace(data.samples[0], label=None), *data.samples[1:])
    data = replace(data, samples=bare)
    options = replace(TINY, epochs=1)
    seen: list[set[str]] = []
    honest = folds.train_segmenter

    def spy(train, val, *args, **kwargs):
        seen.append({s.image_id for part in (train, val) for s in part})
        return honest(train, val, *args, **kwargs)

    monkeypatch.setattr(folds, "train_segmenter", spy)
    done = folds.cross_fit(data, options, 2, Run(tmp_path / "run", "train", {}), device="cpu")
    assert (done.images, done.bad) == (7, {})
    dealt = json.loads((tmp_path / "run/folds.json").read_text())
    assert set(dealt) == {s.image_id for s in data}
    for fold, names in enumerate(seen):
        assert names.isdisjoint(name for name, number in dealt.items() if number == fold)
        assert "p0" not in names
    for sample, size in zip(data, [(64, 64), (40, 72)] * 4, strict=False):
        path = tmp_path / f"run/scores/{sample.image_id}.npy"
        scores = np.load(path, allow_pickle=False)
        assert (scores.shape, scores.dtype) == ((3, *size), np.float16)
    first = (tmp_path / "run/scores/p3.npy").stat().st_mtime_ns
    again = folds.cross_fit(data, options, 2, Run(tmp_path / "run", "train", {}), device="cpu")
    assert len(seen) == 2
    assert (tmp_path / "run/scores/p3.npy").stat().st_mtime_ns == first
    assert again.tally.to_dict() == done.tally.to_dict()


@pytest.mark.parametrize("half", [False, True])
def test_onnx_export_keeps_scores_and_card(tmp_path, space, half):
    pytest.importorskip("onnxscript")
    from dubio.models.card import ModelCard
    from dubio.models.export import export_onnx

    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(32, 3, 1)
    ).eval()
    card = ModelCard(space, size_multiple=8, output="logits")
    done = export_onnx(network, tmp_path / "net.onnx", card, half_weights=half)
    assert done.dynamic
    model = load_model(tmp_path / "net.onnx", device="cpu", threads=1)
    assert model.card.space == space
    assert model.card.size_multiple == 8
    image = np.random.default_rng(0).integers(0, 256, (56, 72, 3), dtype=np.uint8)
    pixels = ((image / 255 - card.mean) / card.std).astype(np.float32).transpose(2, 0, 1)[None]
    with torch.inference_mode():
        wanted = network(torch.from_numpy(pixels))[0].numpy()
    (scores,) = predict_scores(model, [image])
    np.testing.assert_allclose(scores, wanted, atol=2e-2 if half else 1e-3)


def test_export_that_fails_leaves_the_old_file(tmp_path):
    pytest.importorskip("onnxscript")
    from dubio.models.card import ModelCard
    from dubio.models.export import export_onnx

    class Refuses(torch.nn.Module):
        def forward(self, image):
            raise ValueError("not today")

    (tmp_path / "net.onnx").write_bytes(b"mine")
    with pytest.raises(InputError, match="can't be exported"):
        export_onnx(Refuses(), tmp_path / "net.onnx", ModelCard())
    assert (tmp_path / "net.onnx").read_bytes() == b"mine"
