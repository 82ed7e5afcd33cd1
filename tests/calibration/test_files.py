"""Calibrators on disk."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from dubio.calibration.classwise import ClasswiseTemperature
from dubio.calibration.clustered import ClusteredTemperature
from dubio.calibration.dirichlet import DirichletCalibration
from dubio.calibration.files import load_calibrator
from dubio.calibration.isotonic import IsotonicCalibration
from dubio.calibration.risk import RiskControl
from dubio.calibration.temperature import Identity, TemperatureScaling
from dubio.calibration.vector import VectorScaling
from dubio.core.errors import InputError

from .helpers import sample_of

MADE = [
    Identity(),
    TemperatureScaling(),
    TemperatureScaling("ece", step=0.1),
    VectorScaling(),
    ClasswiseTemperature(min_pixels=50),
    ClusteredTemperature(2, "gmm", "soft", per_class=True, min_images=1, min_pixels=50),
    ClusteredTemperature(1),
    IsotonicCalibration(),
    IsotonicCalibration(top_label=True),
    DirichletCalibration(),
]


@pytest.mark.parametrize("made", MADE, ids=str)
def test_round_trip_bit_for_bit(made, tmp_path):
    features = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    sample = sample_of(1500, features=features)
    found = made.fit(sample)
    path = tmp_path / "kept"
    found.save(path)
    again = load_calibrator(path)
    assert type(again) is type(found)
    assert again.get_params() == found.get_params()
    assert again.describe() == found.describe()
    assert again.needs == found.needs
    np.testing.assert_array_equal(again.apply(sample).logits, found.apply(sample).logits)
    again.save(tmp_path / "second")
    assert (tmp_path / "second").read_bytes() == path.read_bytes()
    again.fit(sample)


@pytest.mark.parametrize("made", [TemperatureScaling(), IsotonicCalibration()], ids=str)
def test_damaged_files_are_refused(made, tmp_path):
    path = tmp_path / "kept"
    made.fit(sample_of(300)).save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for cut in rng.integers(0, len(whole) - 2, 30):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match="kept"):
            load_calibrator(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[1]",
        b"PK\x03\x04",
        b"\xff" * 50,
        b'{"format": "dubio-calibrator"}',
        pickle.dumps([1, 2]),
    ],
)
def test_foreign_files_are_refused(content, tmp_path):
    path = tmp_path / "foreign"
    path.write_bytes(content)
    with pytest.raises(InputError):
        load_calibrator(path)


def test_missing_folders_and_unfitted():
    with pytest.raises(InputError, match="doesn't exist"):
        load_calibrator("/no/such/file")
    with pytest.raises(InputError):
        load_calibrator("/")
    with pytest.raises(InputError, match="isn't fitted"):
        TemperatureScaling().save("/no/such/file")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"version": 2}, "version 2"),
        ({"kind": "Oracle"}, "no calibrator"),
        ({"state": {"temperature": -1.0}}, "damaged"),
        ({"state": {"temperature": "hot"}}, "damaged"),
        ({"state": {}}, "damaged"),
        ({"params": {"magic": 1}}, "damaged"),
    ],
)
def test_changed_headers_are_refused(change, match, tmp_path):
    path = tmp_path / "kept.json"
    TemperatureScaling().fit(sample_of(300)).save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=match):
        load_calibrator(path)


def test_changed_arrays_are_refused(tmp_path):
    path = tmp_path / "kept.json"
    ClasswiseTemperature(min_pixels=50).fit(sample_of(600)).save(path)
    kept = json.loads(path.read_text())
    for values in ([1.0, -1.0], [[1.0]], [], ["a"], None):
        kept["arrays"]["temperatures"]["values"] = values
        path.write_text(json.dumps(kept))
        with pytest.raises(InputError):
            load_calibrator(path)


def test_a_risk_control_is_no_calibrator(tmp_path):
    control = RiskControl()
    control.update(np.full((2, 2, 2), 0.5, np.float32), np.zeros((2, 2), np.uint8))
    control.save(tmp_path / "risk")
    with pytest.raises(InputError, match="no calibrator"):
        load_calibrator(tmp_path / "risk")
    TemperatureScaling().fit(sample_of(100)).save(tmp_path / "t")
    with pytest.raises(InputError, match="no risk control"):
        RiskControl.load(tmp_path / "t")


def test_defect_nothing_is_pickled(tmp_path):
    """Spec 1.1 and 2.2: the published results are pickles, which newer libraries refuse to load."""
    for made in MADE:
        path = tmp_path / "kept"
        made.fit(sample_of(300, images=2)).save(path)
        start = path.read_bytes()[:2]
        assert start in (b"{\n", b"PK")
