"""Pixels of classes that a model does not know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dubio import NetworkCandidate, ReliabilityOptions, load_model, measure_reliability

from .helpers import NAMES, domain, write_domain, write_network, write_space

FEW = ReliabilityOptions(replicates=10, worst=0, learned=False)
pytest.importorskip("onnx")


def test_unknown_classes_are_found_and_judged_for_nothing_else(tmp_path):
    root = write_domain(tmp_path / "street", 8, unknown=3)
    write_space(root / "colours.json", (*NAMES, "cow"))
    write_space(tmp_path / "known.json")
    place = domain(root, "day", unknown=(3,))
    model = NetworkCandidate(
        "net",
        load_model(write_network(tmp_path / "n.onnx"), space=tmp_path / "known.json", input_scale="0-1"),
    )
    cell = measure_reliability([place], [model], tmp_path / "run", FEW).cell("net", "day")
    assert cell["pixels"] == 8 * (22 * 32 - 64)
    # dull colours: near-uniform probabilities, low logits
    assert cell["ood_pixels"]["max_logit"]["auroc"] > 0.95
    assert cell["ood_pixels"]["entropy"]["auroc"] > 0.6
    assert cell["classes"][3]["iou"] is None


@pytest.mark.parametrize("uncovered", ["unknown", "wrong"])
def test_classes_that_no_channel_stands_for(tmp_path, uncovered):
    root = write_domain(tmp_path / "street", 4, unknown=3)
    write_space(root / "colours.json", (*NAMES, "cow"))
    write_space(tmp_path / "known.json")
    model = NetworkCandidate(
        "net",
        load_model(write_network(tmp_path / "n.onnx"), space=tmp_path / "known.json", input_scale="0-1"),
    )
    options = replace(FEW, uncovered=uncovered)
    cell = measure_reliability([domain(root, "day")], [model], tmp_path / "run", options).cell("net", "day")
    if uncovered == "unknown":
        assert cell["pixels"] == 4 * (22 * 32 - 64)
        assert cell["ood_pixels"]["max_logit"]["auroc"] > 0.95
    else:
        assert cell["pixels"] == 4 * 22 * 32
        assert cell["ood_pixels"] is None
        assert cell["classes"][3]["iou"] == 0
    assert cell["metrics"]["nll"] is None or np.isfinite(cell["metrics"]["nll"])


def test_pictures_show_unknown_objects_as_what_they_were_judged(tmp_path, monkeypatch):
    root = write_domain(tmp_path / "street", 4, unknown=3)
    write_space(root / "colours.json", (*NAMES, "cow"))
    write_space(tmp_path / "known.json")
    network = load_model(write_network(tmp_path / "n.onnx"), space=tmp_path / "known.json", input_scale="0-1")
    drawn = []

    def draw(path, image, label, *rest, **more):
        drawn.append(label)
        return ["label"]

    monkeypatch.setattr("dubio.jobs.worst.draw_examined", draw)
    options = replace(FEW, worst=2)
    measure_reliability([domain(root, "day")], [NetworkCandidate("net", network)], tmp_path / "run", options)
    assert len(drawn) == 2
    # the cow is void in the picture of errors, not an error that nobody could have avoided
    assert all((label[8:16, 8:16] == 4).all() for label in drawn)
