from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from dubio.core.errors import InputError
from dubio.core.labelspace import LabelSpace
from dubio.core.records import Sample
from dubio.core.run import Run
from dubio.jobs.predict import PredictJob
from dubio.models.load import load_model
from dubio.models.maps import read_maps
from dubio.models.source import ModelSource


@pytest.fixture
def source(onnx_file, space):
    model = load_model(onnx_file(), space=space, input_scale="0-1", device="cpu", threads=1)
    return ModelSource(model, space)


def go(source, dataset, folder, *, stop_after=None, **options):
    job = PredictJob(source, dataset, Run(folder, "predict", {}), workers=2, **options)
    for count, _ in enumerate(job.work(), start=1):
        if count == stop_after:
            return None
    return job.finish()


def test_writes_table_maps_and_scores(source, block_data, tmp_path):
    data = block_data(3, ((40, 56), (33, 20)))
    done = go(source, data, tmp_path / "run", keep_scores=True)
    assert (done.images, done.resumed, done.bad) == (3, 0, ())
    assert done.tally.accuracy == 1.0
    assert done.tally.mean_iou == 1.0
    table = pq.read_table(tmp_path / "run/regions.parquet")
    assert table.num_rows == done.regions
    assert set(table.column("image_id").to_pylist()) == {"p0", "p1", "p2"}
    for sample, size in zip(data, ((40, 56), (33, 20), (40, 56)), strict=True):
        scores = np.load(tmp_path / f"run/scores/{sample.image_id}.npy", allow_pickle=False)
        assert (scores.shape, scores.dtype) == ((3, *size), np.float16)
        maps = read_maps(tmp_path / f"run/maps/{sample.image_id}.png")
        np.testing.assert_array_equal(maps.pred, scores.argmax(axis=0))
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["status"] == "done"
    assert record["images"] == 3


def test_a_stopped_run_goes_on_to_the_same_table(source, block_data, tmp_path):
    data = block_data(6)
    whole = go(source, data, tmp_path / "whole")
    go(source, data, tmp_path / "cut", stop_after=2)
    assert not (tmp_path / "cut/regions.parquet").exists()
    rest = go(source, data, tmp_path / "cut", batch_size=2)
    assert rest.resumed >= 2
    assert rest.regions == whole.regions
    tables = [pq.read_table(tmp_path / name / "regions.parquet") for name in ("whole", "cut")]
    assert tables[0].equals(tables[1])


def test_changed_files_and_models_are_predicted_anew(source, block_data, onnx_file, space, tmp_path):
    data = block_data(3)
    go(source, data, tmp_path / "run")
    assert go(source, data, tmp_path / "run").resumed == 3
    # Scores are asked for that the first runs didn't keep.
    assert go(source, data, tmp_path / "run", keep_scores=True).resumed == 0
    data.samples[1].image.write_bytes(data.samples[2].image.read_bytes())
    assert go(source, data, tmp_path / "run", keep_scores=True).resumed == 2
    other = load_model(
        onnx_file(name="other.onnx", weights=-np.eye(3, dtype=np.float32)),
        space=space,
        input_scale="0-1",
        device="cpu",
    )
    done = go(ModelSource(other, space), data, tmp_path / "run")
    assert done.resumed == 0
    assert done.tally.accuracy < 0.5
    # Scores of the other model would be mistaken for this one's.
    assert not (tmp_path / "run/scores").exists()


def test_bad_images_are_listed_and_the_rest_goes_on(source, block_data, tmp_path):
    data = block_data(4)
    data.samples[1].image.write_bytes(b"no picture")
    done = go(source, data, tmp_path / "run", batch_size=4)
    assert (done.images, [o.sample.image_id for o in done.bad]) == (3, ["p1"])
    (listed,) = json.loads((tmp_path / "run/quarantine.json").read_text())
    assert listed["image_id"] == "p1"
    assert "p1.png" in listed["fault"]
    with pytest.raises(InputError, match=r"p1\.png"):
        go(source, data, tmp_path / "strict", strict=True)
    only_bad = replace(data, samples=data.samples[1:2])
    with pytest.raises(InputError, match="no image could be predicted"):
        go(source, only_bad, tmp_path / "bad")


def test_one_bad_size_does_not_spoil_its_batch(source, block_data, tmp_path, monkeypatch):
    data = block_data(3)
    honest = source.model.runtime.forward

    def forward(batch, card, *, amp):
        if len(batch) > 1 or np.isclose(batch.sum(), forward.bad):
            raise InputError("out of memory")
        return honest(batch, card, amp=amp)

    from dubio.data.images import read_image
    from dubio.models.pixels import prepare

    forward.bad = prepare([read_image(data.samples[1].image)], source.model.card).sum()
    monkeypatch.setattr(source.model.runtime, "forward", forward)
    done = go(source, data, tmp_path / "run", batch_size=3)
    assert [o.sample.image_id for o in done.bad] == ["p1"]


def test_images_without_labels(source, block_data, tmp_path):
    data = block_data(2)
    bare = replace(data, samples=tuple(replace(s, label=None) for s in data))
    done = go(source, bare, tmp_path / "run")
    assert done.tally is None
    assert done.images == 2
    none = replace(data, samples=(Sample("x"),))
    with pytest.raises(InputError, match="no images"):
        go(source, none, tmp_path / "none")


def test_ids_with_folders_stay_inside(source, block_data, tmp_path):
    data = block_data(2)
    nested = replace(data, samples=tuple(replace(s, image_id=f"city/{s.image_id}") for s in data))
    go(source, nested, tmp_path / "run", keep_scores=True)
    assert (tmp_path / "run/scores/city/p0.npy").is_file()
    outside = replace(data, samples=(replace(data.samples[0], image_id="../p0"),))
    with pytest.raises(InputError, match="out of the run folder"):
        go(source, outside, tmp_path / "other")


def test_class_map_sums_probabilities(onnx_file, space, block_data):
    model = load_model(onnx_file(), space=space, input_scale="0-1", device="cpu", threads=1)
    target = LabelSpace.from_dict(
        {"name": "two", "classes": [{"id": 0, "name": "warm"}, {"id": 1, "name": "blue"}]}
    )
    from dubio.data.classmap import ClassMap

    source = ModelSource(model, target, class_map=ClassMap(space, target, (0, -1, 1)))
    sample = block_data(1).samples[0]
    mapped = source.read(sample, None)
    plain = ModelSource(model, space).read(sample, None)
    assert (mapped.kind, mapped.n_classes, mapped.scores.shape[0]) == ("probabilities", 2, 3)
    soft = np.exp(plain.scores) / np.exp(plain.scores).sum(axis=0)
    np.testing.assert_allclose(mapped.scores, soft[[0, 2, 1]], atol=1e-5)
    assert source.key() != ModelSource(model, space).key()


def test_spaces_that_do_not_fit_are_refused(onnx_file, space):
    unnamed = load_model(onnx_file(), input_scale="0-1", device="cpu", threads=1)
    assert ModelSource(unnamed).space.names == ("class 0", "class 1", "class 2")
    assert any("assumed" in line for line in ModelSource(unnamed, space).describe())
    many = LabelSpace.from_dict({"name": "n", "classes": [{"id": n, "name": str(n)} for n in range(9)]})
    with pytest.raises(InputError, match="--model-space"):
        ModelSource(unnamed, many)
    with pytest.raises(InputError, match="--model-space"):
        ModelSource(unnamed, space, class_map="cityscapes-camvid")
