"""The published comparison from the command line, on miniatures of the published trees."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ..jobs.helpers import add_unknown, answer, cells, complaint, draw, save, write_network

# road, sky, car, and void, as stored
CITY_IDS, IDD_IDS = (7, 23, 26, 0), (0, 25, 9, 255)
CHANNELS = (0, 10, 13)
FEW = ("--replicates", "0", "--worst", "0", "--device", "cpu", "--not-learned")


def write(seed, image_path, label_path, ids, unknown=None):
    image, label = draw(seed)
    stored = np.array([*ids[:3], *[ids[3]] * 253], np.uint8)[label]
    if unknown is not None:
        add_unknown(image, stored, unknown)
    save(image_path, image)
    save(label_path, stored)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    pytest.importorskip("onnx")
    root = tmp_path_factory.mktemp("published")
    write_network(root / "net19.onnx", 3.0, CHANNELS, 19)
    seed = 0
    for split, city, frames in (("train", "aachen", 1), ("val", "frankfurt", 3), ("val", "munster", 2)):
        for n in range(frames):
            stem, seed = f"{split}/{city}/{city}_000000_{n:06d}", seed + 1
            write(
                seed, root / f"city/leftImg8bit/{stem}_leftImg8bit.png",
                root / f"city/gtFine/{stem}_gtFine_labelIds.png", CITY_IDS,
            )  # fmt: skip
    for condition in ("fog", "night", "rain", "snow"):
        for split in ("train", "train_ref", "val"):
            stem, seed = f"{condition}/{split}/GOPR0401/GOPR0401_frame_000001", seed + 1
            if split != "train_ref":
                write(
                    seed, root / f"acdc/rgb_anon/{stem}_rgb_anon.png",
                    root / f"acdc/gt/{stem}_gt_labelIds.png", CITY_IDS,
                )  # fmt: skip
    for split, scene in (("train", "265"), ("train", "431"), ("train", "1"), ("val", "119")):
        stem, seed = f"{split}/{scene}/359146", seed + 1
        write(
            seed, root / f"idd/leftImg8bit/{stem}_leftImg8bit.png",
            root / f"idd/gtFine/{stem}_gtFine_labellevel3Ids.png", IDD_IDS, unknown=8,
        )  # fmt: skip
    return root


def network(world):
    return ("--model", f"net={world / 'net19.onnx'}?space=cityscapes&input-scale=0-1")


def test_the_published_test_scenes_of_three_data_sets(world, tmp_path):
    found = answer(
        "reliability", "--data", f"city={world / 'city'}?role=test",
        "--data", f"IDD={world / 'idd'}?role=test",
        "--data", f"fog={world / 'acdc'}?role=test&condition=fog",
        "--data", f"dark={world / 'acdc'}?role=test&condition=night,snow", *network(world), *FEW,
        "--out", tmp_path / "run",
    )  # fmt: skip
    table = cells(found)
    assert [table["net", d]["images"] for d in ("city", "IDD", "fog", "dark")] == [3, 2, 1, 2]
    # unknown ids are void for all but their detection
    idd = table["net", "IDD"]
    assert idd["pixels"] == 2 * (22 * 32 - 64)
    assert idd["ood_pixels"]["max_logit"]["auroc"] > 0.95
    assert table["net", "city"]["ood_pixels"] is None
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert "not counted: terrain, train" in next(d["line"] for d in summary["domains"] if d["name"] == "IDD")
    assert any("published test split: 3 of 6 images" in note for note in summary["notes"])
    assert any("not there of the published list" in note for note in summary["notes"])


def test_classes_that_are_not_counted_can_be_named(world, tmp_path):
    def miou(more):
        found = answer(
            "reliability", "--data", f"city={world / 'city'}?role=test{more}", *network(world), *FEW,
            "--out", tmp_path / f"run{len(more)}",
        )  # fmt: skip
        return found["cells"][0]["metrics"]["mean_iou"]

    all_of_them, without_cars = miou(""), miou("&leave-out=car")
    assert all_of_them != without_cars


def test_conditions_as_domains(world, tmp_path):
    found = answer(
        "reliability", "--data", f"ACDC={world / 'acdc'}?role=test", "--by", "condition",
        *network(world), *FEW, "--out", tmp_path / "run",
    )  # fmt: skip
    domains = [f"ACDC {c}" for c in ("fog", "night", "rain", "snow")]
    assert [d for _, d in cells(found)][:4] == domains
    assert all(cells(found)["net", d]["images"] == 1 for d in domains)
    together = cells(found)["net", "all together"]
    assert together["images"] == 4
    assert together["pixels"] == sum(cells(found)["net", d]["pixels"] for d in domains)


def test_fitted_on_the_calibration_scenes_and_judged_on_the_test_scenes(world, tmp_path):
    found = answer(
        "calibrate", "--data", f"cal={world / 'city'}?role=calibration",
        "--data", f"test={world / 'city'}?role=test",
        "--data", f"fog={world / 'acdc'}?role=test&condition=fog", "--fit", "cal",
        "--method", "temperature", "--pixels", "400", *network(world), *FEW[:6], "--out", tmp_path / "run",
    )  # fmt: skip
    table = cells(found)
    for domain in ("test", "fog"):
        assert table["temperature", domain]["metrics"]["ece"] < table["net", domain]["metrics"]["ece"] / 2
    assert ("net", "cal") not in table


def test_roles_and_scenes_that_are_not_there(world, tmp_path):
    for data, words in (
        (f"city={world / 'city'}?role=training", "there is no role 'training'"),
        (
            f"fog={world / 'acdc'}?condition=mist",
            "has the condition 'mist'; there are fog, night, rain, snow",
        ),
        (f"city={world / 'city'}?role=test&split=train", "in the published test split"),
    ):
        said = complaint("reliability", "--data", data, *network(world), *FEW, "--out", tmp_path / "run")
        assert words in said
