"""Label spaces, run folders, safe files, seeds, and the engine."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubio import Encoding, InputError, LabelClass, LabelSpace, Sample, SegPrediction
from dubio.core.files import digest, fingerprint, writing
from dubio.core.records import Dataset
from dubio.core.run import Run
from dubio.engine.map import map_ordered


def space(**more):
    classes = tuple(LabelClass(i * 3, f"c{i}", (i, 2 * i, 3 * i)) for i in range(4))
    return LabelSpace("s", classes, **more)


@given(st.lists(st.sampled_from([0, 3, 6, 9, 255, 200]), min_size=1, max_size=30))
def test_encode_and_decode_are_inverse(values):
    s = space(void=(255, 200))
    stored = np.array(values, np.uint8)[None]
    indices = s.encode(stored)
    assert indices.dtype == np.uint8
    np.testing.assert_array_equal(s.decode(indices), np.where(stored == 200, 255, stored))


def test_any_void_value_several_and_negative():
    s = space(void=(-1, 77))
    assert s.encode(np.array([[-1, 77, 9]], np.int16)).tolist() == [[4, 4, 3]]


def test_unknown_values_are_named_or_void():
    with pytest.raises(InputError, match=r"\[7, 8\] are neither classes nor void"):
        space().encode(np.array([[7, 8, 0]]))
    assert space().encode(np.array([[7, 0]]), unknown="void").tolist() == [[4, 0]]


def test_encodings_map_and_have_a_rest():
    s = space(encodings={"two": Encoding("two", {1: 3, 2: None}, rest=6)})
    assert s.encode(np.array([[1, 2, 99]]), "two").tolist() == [[1, 4, 2]]
    with pytest.raises(InputError, match="no encoding 'three'"):
        s.encode(np.array([[1]]), "three")


def test_many_classes_need_wide_maps():
    big = LabelSpace("big", tuple(LabelClass(i, str(i), (0, 0, 0)) for i in range(300)), void=(999,))
    assert big.encode(np.array([[299, 999]])).tolist() == [[299, 300]]
    assert big.dtype == np.uint16


def test_plain_data_round_trip():
    s = space(encodings={"two": Encoding("two", {1: 3, 2: None}, rest="void")})
    assert LabelSpace.from_dict(json.loads(json.dumps(s.to_dict()))) == s


@pytest.mark.parametrize(
    "data",
    [
        {"name": "x", "classes": []},
        {"classes": [{"id": 0, "name": "a"}]},
        {"name": "x", "classes": [{"id": 0, "name": "a"}, {"id": 0, "name": "b"}]},
        {"name": "x", "classes": [{"id": 0, "name": "a"}, {"id": 1, "name": "a"}]},
        {"name": "x", "classes": [{"id": 255, "name": "a"}]},
        {"name": "x", "classes": [{"id": "one", "name": "a"}]},
    ],
)
def test_bad_label_spaces_are_refused(data):
    with pytest.raises(InputError):
        LabelSpace.from_dict(data)


def test_class_lookup_by_name_or_id():
    assert space().index_of("C2") == 2
    assert space().index_of("9") == 3
    with pytest.raises(InputError, match="no class 'tree'"):
        space().index_of("tree")


def test_predictions_check_their_shape():
    with pytest.raises(InputError, match="2 channels for 3 classes"):
        SegPrediction(3, scores=np.zeros((2, 4, 4), np.float32), kind="logits")
    with pytest.raises(InputError, match="need a kind"):
        SegPrediction(2, scores=np.zeros((2, 4, 4), np.float32))
    with pytest.raises(InputError, match="either scores or a label map"):
        SegPrediction(2)
    with pytest.raises(InputError, match="floats"):
        SegPrediction(2, scores=np.zeros((2, 4, 4), np.uint8), kind="logits")


def test_image_ids_are_unique():
    with pytest.raises(InputError, match="twice"):
        Dataset("d", space(), (Sample("a"), Sample("a")))


def test_a_failed_write_leaves_the_old_file(tmp_path):
    target = tmp_path / "deep" / "x.txt"
    with writing(target) as part:
        part.write_text("old")
    with pytest.raises(RuntimeError), writing(target) as part:  # noqa: PT012 - it is the block that fails
        part.write_text("half")
        raise RuntimeError("stopped")
    assert target.read_text() == "old"
    assert [p.name for p in target.parent.iterdir()] == ["x.txt"]


def test_unwritable_places_get_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written"), writing(tmp_path / "file" / "x") as part:
        part.write_text("")


def test_fingerprint_sees_changes(tmp_path):
    path = tmp_path / "a"
    path.write_text("1")
    before = fingerprint([path])
    assert before == fingerprint([path])
    path.write_text("22")
    assert fingerprint([path]) != before
    assert fingerprint([tmp_path / "gone", None])
    assert digest([1]) != digest(["1"])


def test_run_folders_keep_and_drop_parts(tmp_path):
    first = Run(tmp_path / "r", "audit", {"a": 1})
    old, kept = first.part("x", 1), first.part("y", 1)
    first.finish()
    second = Run(tmp_path / "r", "audit", {"a": 2})
    assert second.part("y", 1) == kept
    new = second.part("x", 2)
    second.finish(found=np.int64(3))
    assert (old.exists(), kept.exists(), new.exists()) == (False, True, True)
    record = json.loads((tmp_path / "r/run.json").read_text())
    assert (record["status"], record["found"], record["options"]) == ("done", 3, {"a": 2})
    with pytest.raises(InputError, match="is a run of 'dubio audit'"):
        Run(tmp_path / "r", "predict", {})


def _slow_square(x):
    time.sleep(0.002 * (x % 3))
    return x * x


@pytest.mark.parametrize("backend", ["serial", "threads"])
def test_results_come_in_order(backend):
    found = list(map_ordered(_slow_square, range(20), workers=2, backend=backend))
    assert found == [x * x for x in range(20)]


def test_processes_give_the_same():
    # a function that other processes can import
    assert list(map_ordered(digest, range(6), workers=2, backend="processes")) == [
        digest(i) for i in range(6)
    ]


def test_ray_gives_the_same():
    pytest.importorskip("ray")
    import ray

    try:
        assert list(map_ordered(_slow_square, range(8), workers=1, backend="ray")) == [
            x * x for x in range(8)
        ]
    finally:
        ray.shutdown()


def test_only_a_few_items_are_in_flight():
    started = []

    def items():
        for i in range(100):
            started.append(i)
            yield i

    results = map_ordered(lambda x: x, items(), workers=2)
    next(results)
    assert len(started) <= 8


def test_bad_engines_are_refused():
    with pytest.raises(InputError, match="unknown backend"):
        map_ordered(abs, [1], backend="magic")
    with pytest.raises(InputError, match="can't do anything"):
        map_ordered(abs, [1], workers=0)


def test_import_is_light():
    """No heavy library is loaded by ``import dubio`` or by ``dubio --help``."""
    code = (
        "import sys, dubio\n"
        "from dubio.cli.main import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "heavy = {'torch','numba','pyarrow','sklearn','scipy','onnxruntime','PIL','rich','numpy'}\n"
        "print('LOADED', sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "LOADED []" in out
    assert "audit" in out
