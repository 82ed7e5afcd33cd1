from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio import InputError
from dubio.data.scenes import SCENE_SPACE, WEATHERS, Scene, render_scene
from dubio.data.spaces import load_space

SMALL = (144, 256)
POLE = SCENE_SPACE.index_of("pole")
SKY = SCENE_SPACE.index_of("sky")
CAR = SCENE_SPACE.index_of("car")
COUNTABLE = {"traffic light", "traffic sign", "person", "car", "truck", "bus", "bicycle"}


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [render_scene(seed, size=SMALL) for seed in range(30)]


def test_the_label_space_is_built_in():
    assert load_space("scenes") == SCENE_SPACE
    assert 12 <= len(SCENE_SPACE) <= 16
    assert SCENE_SPACE.void == (255,)


def test_labels_hold_class_indices_only(scenes):
    for scene in scenes:
        assert scene.image.shape == (*SMALL, 3)
        assert scene.image.dtype == np.uint8
        assert scene.label.shape == scene.instances.shape == SMALL
        assert scene.label.dtype == np.uint8
        assert scene.instances.dtype == np.uint16
        assert scene.label.max() < len(SCENE_SPACE)


def test_all_classes_and_several_weathers_occur(scenes):
    seen = set().union(*(np.unique(s.label).tolist() for s in scenes))
    assert seen == set(range(len(SCENE_SPACE)))
    assert len({s.weather for s in scenes}) >= 4


def test_most_scenes_look_like_streets(scenes):
    share = np.mean(
        [np.bincount(s.label.ravel(), minlength=len(SCENE_SPACE)) / s.label.size for s in scenes], 0
    )
    by_name = dict(zip(SCENE_SPACE.names, share, strict=True))
    assert 0.2 < by_name["road"] < 0.6
    assert 0.05 < by_name["sky"] < 0.4
    assert 0.02 < by_name["car"] < 0.3
    assert 0.002 < by_name["person"] < 0.1


def test_the_sky_is_above_the_road(scenes):
    for scene in scenes:
        rows = np.arange(SMALL[0])[:, None] * np.ones(SMALL)
        road, sky = scene.label == SCENE_SPACE.index_of("road"), scene.label == SKY
        if sky.any():
            assert rows[sky].mean() < rows[road].mean()
            assert not sky[-10:].any()


def test_thin_poles_exist_and_are_never_lost(scenes):
    widths = []
    for scene in scenes:
        for row in scene.label == POLE:
            edges = np.flatnonzero(np.diff(np.concatenate([[0], row.view(np.int8), [0]])))
            widths += (edges[1::2] - edges[::2]).tolist()
    assert widths
    assert np.mean(np.array(widths) <= 2) > 0.5


def test_objects_describe_the_instance_map(scenes):
    for scene in scenes:
        assert [o.instance for o in scene.objects] == list(range(1, len(scene.objects) + 1))
        assert scene.instances.max() == len(scene.objects)
        for item in scene.objects:
            rows, columns = np.nonzero(scene.instances == item.instance)
            assert item.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert np.unique(scene.label[rows, columns]).tolist() == [item.klass]
            assert SCENE_SPACE.names[item.klass] == item.name
            assert item.name in COUNTABLE
            assert 0.0 <= item.occlusion < 1.0
            assert item.distance > 0.0


def test_countable_classes_lie_in_instances_and_no_others(scenes):
    countable = [SCENE_SPACE.index_of(name) for name in COUNTABLE]
    for scene in scenes:
        assert np.array_equal(np.isin(scene.label, countable), scene.instances > 0)


def test_some_objects_are_hidden_in_part_and_some_not_at_all(scenes):
    hidden = [o.occlusion for s in scenes for o in s.objects]
    assert min(hidden) == 0.0
    assert max(hidden) > 0.5


def test_near_cars_are_larger_than_far_ones(scenes):
    near, far = [], []
    for scene in scenes:
        for item in scene.objects:
            if item.klass == CAR and item.occlusion < 0.02 and item.box[0] > 0 and item.box[2] < SMALL[1]:
                (near if item.distance < 25 else far).append(item.box[3] - item.box[1])
    assert len(near) > 5
    assert len(far) > 5
    assert np.percentile(near, 10) > np.median(far)


def test_a_seed_gives_the_same_scene_again():
    first, second = render_scene(3, size=SMALL), render_scene(3, size=SMALL)
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.label, second.label)
    assert np.array_equal(first.instances, second.instances)
    assert first.objects == second.objects
    other = render_scene(4, size=SMALL)
    assert np.mean(first.label != other.label) > 0.05


def test_a_fresh_process_gives_the_same_scene():
    code = (
        "import hashlib, sys; from dubio.data.scenes import render_scene;"
        "s = render_scene(5, size=(96, 160));"
        "print(hashlib.sha256(s.image.tobytes() + s.label.tobytes()).hexdigest());"
        "print([m for m in ('torch', 'scipy', 'sklearn', 'numba', 'pyarrow') if m in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    scene = render_scene(5, size=(96, 160))
    expected = hashlib.sha256(scene.image.tobytes() + scene.label.tobytes()).hexdigest()
    assert output.splitlines() == [expected, "[]"]


def test_the_global_generator_is_neither_used_nor_changed():
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    first = render_scene(6, size=SMALL)
    assert np.array_equal(np.random.get_state()[1], before)
    np.random.seed(2)
    assert np.array_equal(render_scene(6, size=SMALL).image, first.image)


def test_weather_changes_the_picture_and_not_the_street():
    by_weather = {w: render_scene(9, size=SMALL, weather=w) for w in WEATHERS}
    clear = by_weather["clear"]
    for weather, scene in by_weather.items():
        assert scene.weather == weather
        if weather != "rain":
            assert np.array_equal(scene.label, clear.label)
            assert replace(scene, image=clear.image, weather=clear.weather).objects == clear.objects
        else:
            differs = scene.label != clear.label
            assert (scene.label[differs] == SCENE_SPACE.index_of("person")).all()
    means = {w: float(s.image.mean()) for w, s in by_weather.items()}
    assert means["night"] < 0.6 * means["clear"]
    # Fog takes the contrast, most of all far away.
    band = slice(SMALL[0] // 3, SMALL[0] // 2)
    assert by_weather["fog"].image[band].std() < by_weather["clear"].image[band].std()


def test_outlines_of_the_label_are_edges_of_the_picture(scenes):
    for scene in [s for s in scenes if s.weather in ("clear", "overcast")][:8]:
        gray = scene.image.astype(float).mean(2)
        step = np.abs(np.diff(gray, axis=1))
        outline = np.diff(scene.label.astype(int), axis=1) != 0
        beside = np.zeros_like(outline)
        beside[:, 6:] |= outline[:, :-6]
        assert step[outline].mean() > 1.5 * step[beside & ~outline].mean()


@settings(max_examples=12, deadline=None)
@given(st.integers(32, 130), st.integers(32, 170), st.integers(0, 50), st.sampled_from(WEATHERS))
def test_any_size_works(height, width, seed, weather):
    scene = render_scene(seed, size=(height, width), weather=weather)
    assert scene.image.shape == (height, width, 3)
    assert scene.label.shape == scene.instances.shape == (height, width)
    assert scene.label.max() < len(SCENE_SPACE)
    assert scene.image.std() > 3


@pytest.mark.parametrize("size", [(31, 64), (64, 31), (0, 0), (5000, 64)])
def test_impossible_sizes_are_refused(size):
    with pytest.raises(InputError, match="can't be"):
        render_scene(0, size=size)


def test_an_unknown_weather_is_refused():
    with pytest.raises(InputError, match="unknown weather 'hail'; known: clear"):
        render_scene(0, weather="hail")
