from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from dubio import InputError, Sample
from dubio.data.classmap import load_class_map
from dubio.data.layouts import open_dataset, open_folders
from dubio.data.masks import read_mask, write_mask
from dubio.data.predictions import open_predictions
from dubio.data.scores import resize_scores
from dubio.data.spaces import load_space

CAMVID, CITY = load_space("camvid"), load_space("cityscapes")
RNG = np.random.default_rng(3)
NAMES = ["a", "b", "c"]


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "labels").mkdir()
    for name in NAMES:
        write_mask(tmp_path / "labels" / f"{name}.png", RNG.integers(0, 12, (8, 12), dtype=np.uint8), CAMVID)
    return open_folders(labels=tmp_path / "labels", space=CAMVID)


def save_scores(folder, channels, names=("a", "b"), size=(8, 12), dtype=np.float16):
    folder.mkdir()
    arrays = {}
    for name in names:
        arrays[name] = RNG.normal(0, 4, (channels, *size)).astype(dtype)
        np.save(folder / f"{name}.npy", arrays[name])
    return arrays


def test_scores_pass_untouched(tmp_path, dataset):
    arrays = save_scores(tmp_path / "s", 11)
    source = open_predictions(dataset, scores=tmp_path / "s")
    assert len(source) == 2
    for size in (None, (8, 12)):
        found = source.read(dataset.samples[0], size)
        base = found.scores
        while base is not None and not isinstance(base, np.memmap):
            base = base.base
        assert base is not None
        assert np.array_equal(found.scores, arrays["a"])
        assert (found.kind, found.n_classes, found.image_id) == ("logits", 11, "a")
    assert source.read(dataset.samples[2], None) is None
    text = " ".join(source.describe())
    for part in ("2 of 3 images", "1 are left out", "logits", "float16", "CHW", "8 x 12"):
        assert part in text


def test_resizing(tmp_path, dataset):
    arrays = save_scores(tmp_path / "s", 12, size=(4, 6))
    source = open_predictions(dataset, scores=tmp_path / "s")
    found = source.read(dataset.samples[1], (8, 12))
    np.testing.assert_array_equal(found.scores, resize_scores(arrays["b"], (8, 12), "logits"))
    assert found.n_classes == 11
    with pytest.raises(InputError, match=r"b\.npy.*proportions"):
        source.read(dataset.samples[1], (12, 8))


def test_class_map(tmp_path, dataset):
    arrays = save_scores(tmp_path / "s", 19)
    with pytest.raises(InputError, match="class map"):
        open_predictions(dataset, scores=tmp_path / "s")
    expected = load_class_map("cityscapes-camvid", CITY, CAMVID)
    ways = (
        {"class_map": "cityscapes-camvid"},
        {"class_map": expected},
        {"model_space": CITY},
        {"class_map": "cityscapes-camvid", "model_space": CITY},
    )
    for options in ways:
        source = open_predictions(dataset, scores=tmp_path / "s", **options)
        found = source.read(dataset.samples[0], (8, 12))
        assert found.kind == "probabilities"
        np.testing.assert_array_equal(found.scores, expected.apply(arrays["a"], "logits"))
        assert "19 of 19 classes" in " ".join(source.describe())
    (tmp_path / "own.toml").write_text('[map]\nroad = "Road"\n')
    with pytest.raises(InputError, match="label space"):
        open_predictions(dataset, scores=tmp_path / "s", class_map=tmp_path / "own.toml")
    partial = open_predictions(
        dataset, scores=tmp_path / "s", class_map=tmp_path / "own.toml", model_space=CITY
    )
    assert partial.read(dataset.samples[0], None).scores.shape == (12, 8, 12)


def test_label_maps(tmp_path, dataset):
    (tmp_path / "p").mkdir()
    indices = RNG.integers(0, 19, (8, 12), dtype=np.uint8)
    write_mask(tmp_path / "p" / "a.png", indices, CITY, "labelIds")
    write_mask(tmp_path / "p" / "b.png", np.full((4, 6), 13, np.uint8), CITY, "labelIds")
    source = open_predictions(dataset, predictions=tmp_path / "p", model_space=CITY)
    found = source.read(dataset.samples[0], (8, 12))
    expected = load_class_map("cityscapes-camvid", CITY, CAMVID).apply_label_map(indices)
    assert found.scores is None
    np.testing.assert_array_equal(found.label_map, expected)
    assert (source.read(dataset.samples[1], (8, 12)).label_map == 8).all()
    assert "labelIds" in " ".join(source.describe())


def test_key_follows_files_and_options(tmp_path, dataset):
    arrays = save_scores(tmp_path / "s", 11)
    first = open_predictions(dataset, scores=tmp_path / "s")
    assert first.key() == open_predictions(dataset, scores=tmp_path / "s").key()
    json.dumps(first.key())
    squares = save_scores(tmp_path / "q", 11, size=(8, 11))
    assert squares["a"].shape == (11, 8, 11)
    keys = [open_predictions(dataset, scores=tmp_path / "q", layout=lay).key() for lay in ("chw", "hwc")]
    assert keys[0] != keys[1]
    np.save(tmp_path / "s" / "c.npy", arrays["a"])
    assert first.key() != open_predictions(dataset, scores=tmp_path / "s").key()


def test_a_bad_file_concerns_only_its_sample(tmp_path, dataset):
    save_scores(tmp_path / "s", 11, names=NAMES)
    (tmp_path / "s" / "b.npy").write_bytes(b"nothing")
    source = open_predictions(dataset, scores=tmp_path / "s")
    with pytest.raises(InputError, match=r"b\.npy"):
        source.read(dataset.samples[1], None)
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda k: source.read(dataset.samples[0 if k % 2 else 2], None), range(20)))
    assert all(found is not None and found.shape == (8, 12) for found in read)


def test_refusals(tmp_path, dataset):
    with pytest.raises(InputError, match="neither"):
        open_predictions(dataset)
    save_scores(tmp_path / "s", 11, names=["z"])
    with pytest.raises(InputError, match=r"'z'.*'a'"):
        open_predictions(dataset, scores=tmp_path / "s")
    other = load_class_map("cityscapes-comma10k", CITY, load_space("comma10k"))
    save_scores(tmp_path / "t", 19)
    with pytest.raises(InputError, match="comma10k"):
        open_predictions(dataset, scores=tmp_path / "t", class_map=other)


def test_unknown_sample_has_no_prediction(tmp_path, dataset):
    save_scores(tmp_path / "s", 11)
    assert open_predictions(dataset, scores=tmp_path / "s").read(Sample("elsewhere"), None) is None


def test_real_network_on_camvid(shared):
    dataset = open_dataset(shared / "data/camvid", split="val")
    source = open_predictions(dataset, scores=shared / "data/camvid/scores_espnet/val")
    assert len(source) == 34
    confusion = np.zeros((12, 12), int)
    for sample in dataset:
        found = source.read(sample, (360, 480))
        if found is None:
            continue
        label = read_mask(sample.label, dataset.space, dataset.encoding).astype(int)
        confusion += np.bincount((label * 12 + found.scores.argmax(0)).ravel(), minlength=144).reshape(12, 12)
    valid = confusion[:11]
    hits = np.diag(valid[:, :11])
    iou = hits / (valid.sum(1) + valid[:, :11].sum(0) - hits)
    # Stated for the whole of val (0.695 and 0.927); here is every third image.
    assert abs(iou.mean() - 0.695) < 0.01
    assert abs(hits.sum() / valid.sum() - 0.927) < 0.005
    picture = Image.open(dataset.samples[0].image)
    assert picture.size == (480, 360)
