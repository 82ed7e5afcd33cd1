"""Decodings side by side on a detector whose corners are known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dubio.core.errors import InputError
from dubio.data.boxes import open_boxes
from dubio.jobs.decodings import FIGURES, DecodingOptions, compare_detector_decodings
from dubio.models.det.load import load_detector

from .validate_world import CELL, squares, squares_detector


@pytest.fixture
def yard(tmp_path):
    return squares(tmp_path / "yard")


def compared(yard, path, options=None):
    data = open_boxes(yard / "labels.json", None, yard / "images")
    return compare_detector_decodings(load_detector(path), data, yard.parent / "run", options)


def test_known_figures(yard, tmp_path):
    """Deltas of 0 with a variance of e^-4: the mean side grows by exp(v / 2), labels end a pixel higher."""
    path = squares_detector(tmp_path / "net.onnx", -4.0)
    result = compared(yard, path, DecodingOptions(samples=4000))
    rows = {r["method"]: r for r in result.table.to_pylist()}
    assert (result.images, rows["exact"]["boxes"]) == (12, 18)
    grown = CELL * (np.exp(np.exp(-4) / 2) - 1) / 2
    off = np.array([grown, grown, -grown, -1 - grown])
    exact = rows["exact"]
    # a square in the picture's corner is cut at its border
    assert exact["rmse_px"] == pytest.approx(np.sqrt((off**2).mean()), rel=0.02)
    v = np.exp(-4)
    sigma = CELL * np.sqrt(v + (np.exp(v) - 1) * np.exp(v) / 4)
    assert exact["sigma_px"] == pytest.approx(sigma)
    for name in FIGURES[:-1]:
        for method in ("l-norm", "n-flow"):
            assert rows[method][name] == pytest.approx(exact[name])
        assert rows["sample"][name] == pytest.approx(exact[name], rel=0.05, abs=0.05)
    assert rows["falsedec"]["rmse_px"] < exact["rmse_px"]  # decodes the means alone: no growth
    assert rows["falsedec"]["sigma_px"] != pytest.approx(sigma, rel=0.2)
    assert all(r["ms_per_image"] > 0 for r in rows.values())
    saved = json.loads((result.path / "summary.json").read_text())
    assert [r["method"] for r in saved["table"]] == list(rows)


def test_chosen_methods(yard, tmp_path):
    path = squares_detector(tmp_path / "net.onnx")
    result = compared(yard, path, DecodingOptions(methods=("exact", "falsedec")))
    assert result.table.column("method").to_pylist() == ["exact", "falsedec"]
    with pytest.raises(InputError, match="no decoding 'mine'"):
        DecodingOptions(methods=("mine",))


def test_detectors_with_nothing_to_decode(yard, tmp_path):
    path = squares_detector(tmp_path / "net.onnx", coder="corners")
    with pytest.raises(InputError, match="predicts no variances"):
        compared(yard, path)
    assert not (tmp_path / "run").exists()


def test_distributions_have_one_decoding(yard, tmp_path, shared):
    file = shared / "data/models/nanodet_m_320_coco80.onnx"
    data = open_boxes(yard / "labels.json", None, yard / "images")
    with pytest.raises(InputError, match="one decoding only"):
        compare_detector_decodings(load_detector(file, "nanodet"), data, tmp_path / "run")


def test_damaged_pictures_are_left_out(yard, tmp_path):
    path = squares_detector(tmp_path / "net.onnx")
    (yard / "images/p03.png").write_bytes(b"no picture")
    said = []
    data = open_boxes(yard / "labels.json", None, yard / "images")
    result = compare_detector_decodings(load_detector(path), data, tmp_path / "run", say=said.append)
    assert result.images == 11
    assert "p03.png" in said[0]


def test_nothing_that_meets_a_label(yard, tmp_path):
    path = squares_detector(tmp_path / "net.onnx")
    with pytest.raises(InputError, match="meets a labelled box"):
        compared(yard, path, DecodingOptions(min_score=0.999))


def test_distances(yard, tmp_path):
    """Half a cell to each side, with a deviation of e^-2 cells."""
    path = squares_detector(tmp_path / "net.onnx", -4.0, "distance")
    rows = {r["method"]: r for r in compared(yard, path, DecodingOptions(samples=2000)).table.to_pylist()}
    assert rows["exact"]["rmse_px"] == pytest.approx(0.5)
    assert rows["exact"]["sigma_px"] == pytest.approx(CELL * np.exp(-2))
    assert rows["sample"]["sigma_px"] == pytest.approx(CELL * np.exp(-2), rel=0.05)
