from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio.data.scenes import SCENE_SPACE
from dubio.data.scenes.bodies import BODIES
from dubio.data.scenes.canvas import SAMPLES, Board, Camera, Canvas, depths
from dubio.data.scenes.light import WEATHERS, make_conditions
from dubio.data.scenes.people import Person
from dubio.data.scenes.vehicles import Vehicle, convex_hull

CLEAR = make_conditions("clear", np.random.default_rng(0))
CAR, PERSON, SKY = (SCENE_SPACE.index_of(n) for n in ("car", "person", "sky"))
corner = st.tuples(st.integers(-60, 240), st.integers(-60, 180))


def camera(height: int = 40, width: int = 60, focal: float = 50.0) -> Camera:
    n = SAMPLES
    middle = (width * n / 2, height * n / 2)
    return Camera(width * n, height * n, focal * n, *middle, eye=1.6, shift=0.0, bend=0.0)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(SCENE_SPACE) - 1), st.lists(corner, min_size=3, max_size=6)),
        min_size=1,
        max_size=8,
    )
)
def test_image_and_label_have_one_geometry(shapes):
    """Painted in the colours of the classes, every pixel of one pure colour carries that class."""
    canvas = Canvas(camera(), CLEAR)
    palette = SCENE_SPACE.palette
    canvas.polygon(
        [(0, 0), (180, 0), (180, 120), (0, 120)], canvas.paint(tuple(palette[SKY].tolist()), SKY, 0.001)
    )
    for klass, outline in shapes:
        canvas.polygon(outline, canvas.paint(tuple(palette[klass].tolist()), klass, 0.001))
    look, _ = canvas.layers()
    label, _ = canvas.marks()
    assert look.shape[:2] == label.shape == (40, 60)
    drawn = {SKY} | {klass for klass, _ in shapes}
    for klass in drawn:
        pure = (look[..., :3] == palette[klass]).all(-1)
        others = [k for k in drawn if k != klass]
        # A mixed pixel could hit a colour by chance only if some other class takes part in it.
        assert (label[pure] == klass).mean() > 0.99 if pure.any() and others else (label[pure] == klass).all()
    inside = np.ones_like(label, bool)
    for axis in (0, 1):
        for shift in (-1, 1):
            inside &= np.roll(label, shift, axis) == label
    inside[[0, -1]] = inside[:, [0, -1]] = False
    share = (look[..., :3] == palette[label]).all(-1)[inside].mean() if inside.any() else 1.0
    assert share > 0.9


def test_a_pole_far_away_stays_a_pixel_wide_without_gaps():
    for x in np.linspace(-3, 3, 23).tolist():
        canvas = Canvas(camera(), CLEAR)
        board = Board(canvas, x, 30.0)
        board.pole(0.0, 6.0, 0.05, canvas.paint((9, 9, 9), 3, 30.0))
        rows = np.flatnonzero((canvas.marks()[0] == 3).any(1))
        widths = (canvas.marks()[0] == 3).sum(1)[rows]
        assert (widths == 1).all()
        assert (np.diff(rows) == 1).all()
        assert len(rows) >= 9


def test_the_area_of_an_object_is_counted_before_something_hides_it():
    canvas = Canvas(camera(), CLEAR)
    with canvas.object(CAR, 10.0):
        canvas.polygon([(30, 30), (89, 30), (89, 59), (30, 59)], canvas.paint((200, 0, 0), CAR, 10.0))
    canvas.polygon([(30, 30), (59, 30), (59, 59), (30, 59)], canvas.paint((0, 0, 200), SKY, 5.0))
    label, instances = canvas.marks()
    assert canvas.objects[0].area == 20 * 10
    assert (instances == 1).sum() == (label == CAR).sum() == 10 * 10


@pytest.mark.parametrize("model", list(BODIES))
@pytest.mark.parametrize("heading", [(0.0, 1.0), (0.0, -1.0), (1.0, 0.0), (-1.0, 0.0)])
def test_vehicles_shrink_with_distance_as_a_pinhole_camera_demands(model, heading):
    heights = []
    for z in (16.0, 32.0, 64.0):
        canvas = Canvas(camera(200, 300, 600.0), CLEAR)
        Vehicle(model, 2.0, z, heading, 1).draw(canvas)
        instances = canvas.marks()[1]
        rows = np.flatnonzero((instances == 1).any(1))
        heights.append(rows[-1] - rows[0] + 1)
    length = BODIES[model].length if heading[0] == 0 else 2 * BODIES[model].half
    for near, far, z in ((heights[0], heights[1], 16.0), (heights[1], heights[2], 32.0)):
        # What is seen of it is its near end.
        expected = (2 * z - length / 2) / (z - length / 2)
        assert near / far == pytest.approx(expected, rel=0.2)


def test_a_mirror_shows_things_upside_down_below_their_feet():
    down = Camera(300, 200, 150.0, 150.0, 60.0, 1.6, 0.0, 0.0, mirror=True)
    canvas = Canvas(down, CLEAR, 1)
    Person(0.0, 10.0, 1.8, "front", 1.0, 0.5, 3).draw(canvas)
    rows = np.flatnonzero((canvas.marks()[0] == PERSON).any(1))
    feet = 60.0 + 150.0 / 10.0 * 1.6
    assert rows[0] == pytest.approx(feet, abs=3)
    assert rows[-1] > feet + 0.8 * 15 * 1.8


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=3, max_size=12, unique=True))
def test_the_hull_holds_every_point(points):
    hull = convex_hull(points)
    assert set(hull) <= set(points)
    for a, b in zip(hull, hull[1:] + hull[:1], strict=True):
        for p in points:
            assert (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) >= 0


def test_depths_rise_from_end_to_end():
    steps = depths(1.0, 100.0)
    assert steps[0] == 1.0
    assert steps[-1] == 100.0
    assert steps == sorted(steps)


@pytest.mark.parametrize("weather", WEATHERS)
def test_haze_grows_with_distance(weather):
    light = make_conditions(weather, np.random.default_rng(1))
    shares = [light.fade(z) for z in (1.0, 10.0, 50.0, 200.0, 2000.0)]
    assert shares == sorted(shares)
    assert 0.0 <= shares[0] < 0.05
    assert shares[-1] <= 0.94
