"""Reliability and calibration of tiny images, and of any number of classes."""

from __future__ import annotations

import numpy as np
import pytest

from dubio import NetworkCandidate, load_calibrator, load_model, parse_corruptions
from dubio.data.domains import corrupted
from dubio.jobs.reliability import ReliabilityOptions, reliability

from ..jobs.helpers import cells, domain, run_cli, save, write_domain, write_network, write_space

FEW = ("--replicates", "5", "--worst", "1")


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (17, 31)])
def test_tiny_images_under_every_corruption(tmp_path, size):
    write_space(tmp_path / "colours.json")
    one = domain(write_domain(tmp_path / "day", 2, size=size), space="../colours.json")
    places = [one, *corrupted(one, parse_corruptions("all:5"))]
    pytest.importorskip("onnx")
    write_network(tmp_path / "net.onnx")
    space = tmp_path / "colours.json"
    model = load_model(tmp_path / "net.onnx", space=space, input_scale="0-1", device="cpu")
    few = ReliabilityOptions(replicates=0, worst=0)
    found = reliability(places, [NetworkCandidate("net", model)], tmp_path / "run", few)
    assert not found.quarantine
    assert len(cells(found.summary)) == 20


@pytest.mark.parametrize("count", [1, 2, 150])
def test_any_number_of_classes(tmp_path, count):
    write_space(tmp_path / "classes.json", [f"c{n}" for n in range(count)])
    rng = np.random.default_rng(count)
    root = tmp_path / "data"
    (root / "scores").mkdir(parents=True)
    for n in range(4):
        logits = rng.normal(0, 2, (count, 12, 16)).astype(np.float32)
        label = (logits + rng.gumbel(size=logits.shape)).argmax(0).astype(np.uint8)
        label[0] = 255
        save(root / f"labels/p{n}.png", label)
        np.save(root / f"scores/p{n}.npy", 3 * logits)
    methods = (
        "temperature",
        "vector",
        "classwise",
        "clustered",
        "adaptive",
        "isotonic",
        "top-label",
        "dirichlet",
    )
    named = [word for method in methods for word in ("--method", method)]
    result = run_cli(
        "calibrate", "--data", f"d={root}?labels=labels&label-space={tmp_path / 'classes.json'}",
        "--scores", f"d={root / 'scores'}", *named, *FEW, "--out", tmp_path / "run",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    for path in (tmp_path / "run/calibrators").iterdir():
        assert load_calibrator(path).describe()
