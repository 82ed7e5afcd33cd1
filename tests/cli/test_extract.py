"""``dubio extract``."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dubio import read_samples

from ..jobs.helpers import (
    VOID,
    answer,
    complaint,
    data,
    draw,
    logits,
    write_domain,
    write_network,
    write_space,
)


@pytest.fixture
def world(tmp_path):
    pytest.importorskip("onnx")
    write_space(tmp_path / "colours.json")
    write_domain(tmp_path / "day", 3)
    for sure, name in ((1.0, "fair"), (3.0, "loud")):
        write_network(tmp_path / f"{name}.onnx", sure)
    return tmp_path


def arguments(world, *names, pixels="100"):
    more = f"?space={world / 'colours.json'}&input-scale=0-1"
    networks = [word for n in names for word in ("--model", f"{n}={world / n}.onnx{more}")]
    return (
        "extract", "--data", data("day", world / "day", world / "colours.json"), *networks,
        "--pixels", pixels, "--device", "cpu", "--out", world / "run",
    )  # fmt: skip


def test_files_hold_logits_labels_places_and_image(world):
    found = answer(*arguments(world, "loud"))
    assert found["samples"] == [{"model": "loud", "domain": "day", "images": 3}]
    paths = sorted((world / "run/logits/loud/day").rglob("*.npz"))
    assert len(paths) == 3
    with np.load(paths[1], allow_pickle=False) as file:
        assert file["logits"].dtype == np.float16
        assert str(file["image_id"]) == "p001"
        assert file["size"].tolist() == [24, 32]
        assert len(file["places"]) == len(file["labels"]) == len(file["logits"]) == 100
        image, label = draw(1)
        assert (label.reshape(-1)[file["places"]] != VOID).all(), "void is never sampled"
        np.testing.assert_array_equal(label.reshape(-1)[file["places"]], file["labels"])
        wanted = logits(image, 3.0).reshape(3, -1).T[file["places"]]
        np.testing.assert_allclose(file["logits"], wanted, rtol=1e-3, atol=1e-3)


def test_two_models_are_sampled_at_the_same_pixels(world):
    answer(*arguments(world, "fair", "loud"))
    one, other = (read_samples(world / "run/logits" / name / "day") for name in ("fair", "loud"))
    np.testing.assert_array_equal(one.places, other.places)
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_allclose(3 * one.logits, other.logits, rtol=5e-3, atol=5e-3)
    images = [one.places[one.image == n].tolist() for n in range(3)]
    assert images[0] != images[1], "each image has its own draw"


def test_all_pixels_and_other_seeds(world):
    answer(*arguments(world, "loud", pixels="-1"))
    assert len(read_samples(world / "run/logits/loud/day")) == 3 * 22 * 32
    answer(*arguments(world, "loud"))
    first = read_samples(world / "run/logits/loud/day")
    answer(*arguments(world, "loud"), "--seed", "1")
    second = read_samples(world / "run/logits/loud/day")
    assert len(first) == len(second) == 300
    assert first.places.tolist() != second.places.tolist()


def test_features_of_the_network(world):
    answer(*arguments(world, "loud"), "--features")
    found = read_samples(world / "run/logits/loud/day")
    assert found.features is not None
    assert len(found.features) == 3
    assert np.isfinite(found.features).all()


def test_scores_in_files_can_be_sampled(world):
    answer(
        "extract", "--data", data("day", world / "day", world / "colours.json"),
        "--scores", world / "day/scores", "--pixels", "50", "--out", world / "run",
    )  # fmt: skip
    assert len(read_samples(world / "run/logits/scores/day")) == 150


def test_bad_input_is_one_sentence(world):
    assert "day" in complaint(*arguments(world, "loud")[:-4], "--by", "weather", "--out", world / "run")
    for path in (world / "day/images").iterdir():
        path.write_bytes(b"no picture")
    assert "no image could be used; the first fault" in complaint(*arguments(world, "loud"))
    assert len(json.loads((world / "run/quarantine.json").read_text())) == 3
