"""What the commands ask of checkpoints: other decodings, ensembles, several looks at a picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from dubio.cli.main import main
from dubio.core.boxes import DetPrediction
from dubio.core.errors import InputError
from dubio.data.boxes import open_detections, write_boxes
from dubio.data.boxes.table import space_of
from dubio.models.det.source import DetectionSource
from dubio.uncertainty.boxes.suppress import Suppression

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
from dubio.models.det.load import load_detector  # noqa: E402
from dubio.models.det.torch.checkpoint import save_detector  # noqa: E402
from dubio.models.det.torch.select import MOST  # noqa: E402

ALL = Suppression(score=0.0, limit=None)
IMAGE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)


@pytest.fixture
def crossed(network, card, tmp_path):
    """The folder of a training with folds: two networks."""
    for k in range(2):
        save_detector(tmp_path / f"crossed/folds/{k}", network(seed=k), card())
    return tmp_path / "crossed"


@pytest.fixture
def yard(shapes, tmp_path):
    """Options that name labelled pictures."""
    data = shapes(4)
    write_boxes(data, tmp_path / "labels.json", "coco")
    return data, ["--boxes", tmp_path / "labels.json", "--images", tmp_path / "pictures"]


def dubio(*args):
    result = CliRunner().invoke(main, [*map(str, args)])
    return result.exit_code, result.stdout, result.stderr


def first(path, **options) -> DetPrediction:
    options = {"suppression": ALL, "device": "cpu", "samples": 2, **options}
    return load_detector(path, **options).detect([IMAGE], ["a"])[0]


def test_defect_checkpoints_are_decoded_as_asked(network, card, tmp_path):
    save_detector(tmp_path / "net", network(), card())
    ways = ("exact", "l-norm", "sample", "falsedec")
    found = {}
    for how in ways:
        model = load_detector(tmp_path / "net", decode=how, suppression=ALL, device="cpu", samples=2)
        # boxes at the border may be cut to nothing by one way and not by another: medians are compared
        found[how] = np.median(model.candidates([IMAGE], ["a"])[0].box_aleatoric)
    assert found["l-norm"] == pytest.approx(found["exact"], rel=1e-9)
    assert found["sample"] != pytest.approx(found["exact"], rel=1e-9)
    assert found["falsedec"] != pytest.approx(found["exact"], rel=0.05)
    model = load_detector(tmp_path / "net", decode="falsedec", device="cpu")
    assert "decoded by 'falsedec'" in " ".join(model.describe())
    assert model.key() != load_detector(tmp_path / "net", device="cpu").key()
    with pytest.raises(InputError, match="leave out card and label space"):
        load_detector(tmp_path / "net", "yolox")


def test_networks_without_variances_are_told_at_once(network, card, tmp_path):
    save_detector(tmp_path / "net", network(variance=False), card(variance=False))
    assert first(tmp_path / "net", decode="n-flow").box_aleatoric is None
    with pytest.raises(InputError, match="needs predicted variances"):
        load_detector(tmp_path / "net", decode="sample", device="cpu")


def test_defect_decodings_take_a_checkpoint(network, card, yard, tmp_path):
    save_detector(tmp_path / "net", network(), card())
    more = ["--iou", 0.01, "--min-score", 0, "--draws", 20, "--device", "cpu", "--out", tmp_path / "run"]
    status, text, said = dubio("decodings", "--detector", tmp_path / "net", *yard[1], *more, "--json")
    assert status == 0, said
    rows = {r["method"]: r for r in json.loads(text)["decodings"]}
    assert list(rows) == ["exact", "l-norm", "n-flow", "sample", "falsedec"]
    assert rows["l-norm"]["rmse_px"] == pytest.approx(rows["exact"]["rmse_px"])
    assert rows["falsedec"]["sigma_px"] != pytest.approx(rows["exact"]["sigma_px"])


def test_what_a_checkpoint_says_before_decoding(network, card, tmp_path):
    """All candidates, whatever their scores, and as many samples as masks."""
    save_detector(tmp_path / "net", network(), card())
    model = load_detector(tmp_path / "net", samples=3, device="cpu")
    head = model.raw(IMAGE)
    everything = network().architecture.reference((64, 96))
    assert head.means.shape == (3, len(everything), 4)
    np.testing.assert_allclose(head.reference, everything)


def test_folds_are_an_ensemble(crossed, network, card):
    both = load_detector(crossed, device="cpu")
    assert "2 networks" in " ".join(both.describe())
    named = [crossed / "folds/0", crossed / "folds/1"]
    np.testing.assert_array_equal(first(crossed).boxes, first(named).boxes)
    alone = first(named[0], samples=1)
    joined = first(named, samples=1)
    assert alone.box_epistemic is None or not alone.box_epistemic.any()
    assert (joined.box_epistemic > 0).any()
    (crossed / "folds/1/model.json").unlink()
    with pytest.raises(InputError, match="no trained network yet"):
        load_detector(crossed)


def test_views_see_mapped_classes(crossed):
    """Mapped before suppression in each look: as many looks as without a map."""
    options = {"suppression": Suppression(score=0.01), "device": "cpu", "samples": 1}
    model = load_detector(crossed, flip=True, scales=(0.5,), **options)
    assert len(model.how.views) == 4
    # the same classes in the other order: nothing but the numbers may change
    turned = DetectionSource(model, space_of("turned", ["light", "dark"]))
    assert turned.class_map.pairs == (1, 0)
    (want,), (got,) = model.detect([IMAGE], ["a"]), turned.predict([IMAGE], ["a"])
    assert len(want) > 3
    np.testing.assert_allclose(got.boxes, want.boxes)
    np.testing.assert_array_equal(got.classes, 1 - want.classes)
    np.testing.assert_allclose(got.box_epistemic, want.box_epistemic)
    plain = load_detector(crossed, **options).detect([IMAGE], ["a"])[0]
    assert len(plain) != len(want) or not np.allclose(plain.boxes, want.boxes)


def test_commands_take_ensembles_and_views(crossed, yard, tmp_path):
    data, boxes = yard
    one, other = crossed / "folds/0", crossed / "folds/1"
    views = ["--tta", "flip", "--tta-scale", 0.5, "--samples", 2, "--device", "cpu"]
    for out, named in (("a", ["--detector", crossed]), ("b", ["--detector", one, "--detector", other])):
        status, _, said = dubio("predict", *named, *boxes, *views, "--out", tmp_path / out)
        assert status == 0, said
        assert "2 networks, 4 views" in " ".join(said.split())
    a, b = (open_detections(data, tmp_path / out).predictions["p0"] for out in "ab")
    np.testing.assert_array_equal(a.boxes, b.boxes)
    status, text, said = dubio(
        "validate",
        "--detector",
        crossed,
        *boxes,
        *views,
        "--replicates",
        0,
        "--out",
        tmp_path / "v",
        "--json",
    )
    assert status == 0, said
    assert json.loads(text)["average_precision"]["ap"] is not None


def test_what_takes_checkpoints_is_told(crossed, tmp_path, yard):
    out = ["--out", tmp_path / "run"]
    (tmp_path / "net.onnx").write_bytes(b"no network")
    for more, words in (
        (["--tta", "flip", "--model", "x.onnx"], "--tta goes with --detector"),
        (["--detector", crossed, "--tta-scale", "9"], "9.0 is not in the range"),
        (["--detector", crossed, "--detector", tmp_path / "none"], "doesn't exist"),
    ):
        status, _, said = dubio("predict", *more, "--images", tmp_path / "pictures", *out)
        assert status == 2
        assert words in " ".join(said.split())
    assert not (tmp_path / "run").exists()


def test_defect_keen_networks_keep_their_last_objects(network, card, tmp_path):
    """A bound of 1000 candidates left less than half of the cells of a blood smear after suppression."""
    save_detector(tmp_path / "net", network(), card(size=(256, 320)))
    model = load_detector(tmp_path / "net", suppression=ALL, device="cpu", samples=1)
    (found,) = model.candidates([IMAGE], ["a"])
    assert len(found) > 1000
    assert len(found) <= MOST


def test_files_of_onnx_run_as_they_are(shared: Path):
    file = shared / "data/models/nanodet_m_320_coco80.onnx"
    with pytest.raises(InputError, match="several times"):
        load_detector(file, "nanodet", flip=True)
    with pytest.raises(InputError, match="ensemble"):
        load_detector([file, file], "nanodet")
    with pytest.raises(InputError, match="no detector is given"):
        load_detector([])
