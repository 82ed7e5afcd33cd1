"""Detectors that learn on the source: honest halves, and unknown things that they find."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dubio import FileCandidate, InputError, NetworkCandidate, load_model
from dubio.core.seeds import derive_seed
from dubio.data.domains import corrupted, read_item
from dubio.jobs.detectors import Detectors
from dubio.jobs.examine import Variant, predictions_of
from dubio.reliability.ood import image_ood

from .helpers import NAMES, domain, write_domain, write_network, write_space


@pytest.fixture
def world(tmp_path):
    for name, more in (("day", {"n": 12}), ("farm", {"n": 4, "first": 60, "unknown": 3})):
        write_domain(tmp_path / name, **more)
    write_space(tmp_path / "day/colours.json")
    write_space(tmp_path / "farm/colours.json", (*NAMES, "cow"))
    return tmp_path


def network(world):
    pytest.importorskip("onnx")
    path = write_network(world / "net.onnx")
    model = load_model(path, space=world / "day/colours.json", input_scale="0-1", device="cpu")
    return NetworkCandidate("net", model)


def scores_of(detectors, candidate, place, sample):
    item = read_item(place, sample, with_image=True)
    _, _, own = next(iter(predictions_of(candidate.source(place), item, [Variant("net")])))
    return detectors.for_domain(place)(item, own), item


def test_halves_are_disjoint_and_of_equal_size(world):
    detectors = Detectors(network(world), domain(world / "day"))
    halves = detectors._members
    assert set(halves) == {f"p{n:03d}" for n in range(12)}
    assert sorted(halves.values()) == [0] * 6 + [1] * 6


def test_an_image_never_teaches_the_detector_that_scores_it(world):
    """Strange logits of one image change the scores of the other half only."""
    place = domain(world / "day")
    candidate = FileCandidate("files", {"day": world / "day/scores"})
    before = Detectors(candidate, place)
    changed = place.dataset.samples[3]
    path = world / f"day/scores/{changed.image_id}.npy"
    sample_before = {
        s.image_id: scores_of(before, candidate, place, s)[0]["standardized_max_logit"] for s in place.dataset
    }
    original = np.load(path)
    np.save(path, original * 5)
    after = Detectors(candidate, place)
    np.save(path, original)
    moved = {
        s.image_id: not np.array_equal(
            scores_of(after, candidate, place, s)[0]["standardized_max_logit"], sample_before[s.image_id]
        )
        for s in place.dataset
    }
    halves = before._members
    assert moved == {name: half != halves[changed.image_id] for name, half in halves.items()}


@pytest.mark.parametrize("features", [False, True])
def test_a_planted_unknown_class_is_told_apart(world, features):
    candidate = network(world)
    detectors = Detectors(candidate, domain(world / "day"), features=features)
    names = ("standardized_max_logit", "mahalanobis", "knn") if features else ("standardized_max_logit",)
    assert detectors.names == names
    farm = domain(world / "farm", "farm", unknown=(3,))
    inside, outside = {n: [] for n in names}, {n: [] for n in names}
    for sample in farm.dataset:
        found, item = scores_of(detectors, candidate, farm, sample)
        assert set(found) == set(names)
        for name, values in found.items():
            assert values.shape == item.label.shape
            outside[name].append(values[item.unknown])
            inside[name].append(values[(item.label < 4) & ~item.unknown])
    for name in names:
        ood = image_ood(np.concatenate(inside[name]), np.concatenate(outside[name]))
        # the directions of dull colours, which kNN looks at, are nothing new
        assert ood["auroc"] > (0.5 if name == "knn" else 0.9), name


def test_other_domains_are_scored_by_what_both_halves_taught(world):
    candidate = network(world)
    day = domain(world / "day")
    detectors = Detectors(candidate, day)
    sample = day.dataset.samples[0]
    elsewhere = replace(day, name="elsewhere")
    one = scores_of(detectors, candidate, day, sample)[0]["standardized_max_logit"]
    other = scores_of(detectors, candidate, elsewhere, sample)[0]["standardized_max_logit"]
    assert not np.array_equal(one, other)
    np.testing.assert_allclose(one, other, atol=0.2)


def test_corrupted_images_of_the_source_keep_to_their_half(world):
    from dubio import parse_corruptions

    candidate = network(world)
    day = domain(world / "day")
    detectors = Detectors(candidate, day)
    dim = corrupted(day, parse_corruptions("brightness:1"))[0]
    assert dim.of == "day"
    sample = day.dataset.samples[0]
    item = read_item(dim, sample, with_image=True)
    _, _, own = next(iter(predictions_of(candidate.source(dim), item, [Variant("net")])))
    by_half = detectors.for_domain(dim)(item, own)["standardized_max_logit"]
    by_both = detectors.for_domain(replace(dim, of=None, name="x"))(item, own)["standardized_max_logit"]
    assert not np.array_equal(by_half, by_both)


def test_order_of_images_does_not_matter(world):
    candidate = FileCandidate("files", {"day": world / "day/scores"})
    day = domain(world / "day")
    turned = replace(day, dataset=replace(day.dataset, samples=day.dataset.samples[::-1]))
    one, other = (Detectors(candidate, d, workers=w) for d, w in ((day, 1), (turned, 3)))
    for sample in day.dataset:
        a, b = (scores_of(d, candidate, day, sample)[0]["standardized_max_logit"] for d in (one, other))
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_ten_images_are_enough_whatever_their_names(world):
    """Names all drawn into one half used to be an error."""
    day = domain(world / "day")
    names = [f"x{n}" for n in range(200) if derive_seed(0, f"x{n}", "half") % 2 == 0][:10]
    samples = tuple(replace(s, image_id=n) for s, n in zip(day.dataset, names, strict=False))
    same = replace(day, dataset=replace(day.dataset, samples=samples))
    assert Detectors(network(world), same).names


def test_files_have_no_features_and_one_image_no_halves(world):
    day = domain(world / "day")
    with pytest.raises(InputError, match="scores in files have no features"):
        Detectors(FileCandidate("files", {"day": world / "day/scores"}), day, features=True)
    one = replace(day, dataset=replace(day.dataset, samples=day.dataset.samples[:1]))
    with pytest.raises(InputError, match="too few images to learn what is known"):
        Detectors(network(world), one)
