"""The ground: carriageway with its markings, kerbs, pavements, verges and lawns."""

from __future__ import annotations

from math import ceil

import numpy as np

from dubio.data.scenes.canvas import Canvas
from dubio.data.scenes.light import Color, mix, vary
from dubio.data.scenes.space import PAVEMENT, ROAD, TERRAIN
from dubio.data.scenes.street import FAR, Street

NEAR = 0.7
_GRASS: tuple[Color, ...] = ((104, 138, 62), (122, 146, 70), (88, 124, 58), (142, 144, 84))
_STONE: tuple[Color, ...] = ((168, 164, 156), (186, 176, 162), (150, 150, 152), (178, 160, 148))


def draw_ground(canvas: Canvas, street: Street, rng: np.random.Generator) -> None:
    """Draw everything flat, from the horizon to the camera."""
    asphalt = vary(rng, (124, 125, 129), 20)
    stone = vary(rng, _STONE[int(rng.integers(len(_STONE)))], 14)
    grass = vary(rng, _GRASS[int(rng.integers(len(_GRASS)))], 10)
    up = canvas.light.facing(0.0, 1.0, 0.0)

    def part(color: Color, klass: int) -> int:
        return canvas.paint(color, klass, 1.0, up, ground=1.0)

    road, lawn = part(asphalt, ROAD), part(grass, TERRAIN)
    plaza = part(stone, PAVEMENT)
    outer = plaza if street.style == "city" else lawn
    camera = canvas.camera
    canvas.polygon(
        [
            (0, camera.horizon),
            (camera.width, camera.horizon),
            (camera.width, camera.height),
            (0, camera.height),
        ],
        outer,
    )
    kerb, gutter = (
        part(mix(stone, (214, 212, 206), 0.6), PAVEMENT),
        part(mix(asphalt, (40, 40, 42), 0.4), ROAD),
    )
    for side, sign in ((0, -1.0), (1, 1.0)):
        edge = street.kerb(side)
        canvas.strip(sign * street.walk_from(side), sign * street.walk_to(side), NEAR, FAR, plaza)
        if street.verge[side]:
            canvas.strip(sign * edge, sign * street.walk_from(side), NEAR, FAR, lawn)
    if street.cross:
        _side_street(canvas, street, road, plaza, kerb)
    canvas.strip(-street.kerb(0), street.kerb(1), NEAR, FAR, road)
    for side, sign in ((0, -1.0), (1, 1.0)):
        edge = street.kerb(side)
        for start, end in _outside(street, NEAR, FAR):
            canvas.strip(sign * (edge - 0.16), sign * edge, start, end, gutter)
            canvas.strip(sign * edge, sign * (edge + 0.2), start, end, kerb)
    _patches(canvas, street, rng, part(mix(asphalt, (34, 34, 38), 0.3), ROAD))
    _markings(canvas, street, rng, part(vary(rng, (222, 222, 214), 12), ROAD))
    _drains(canvas, street, rng, part((52, 52, 54), ROAD))


def _outside(street: Street, start: float, end: float) -> list[tuple[float, float]]:
    if street.cross is None:
        return [(start, end)]
    return [(start, street.cross[0]), (street.cross[1], end)]


def _side_street(canvas: Canvas, street: Street, road: int, plaza: int, kerb: int) -> None:
    assert street.cross is not None
    z0, z1 = street.cross
    for side, sign in ((0, -1.0), (1, 1.0)):
        edge = sign * street.kerb(side)
        canvas.solid(
            [(edge, 0, z0 - 2.5), (sign * 90, 0, z0 - 2.5), (sign * 90, 0, z1 + 2.5), (edge, 0, z1 + 2.5)],
            plaza,
        )
        canvas.solid([(edge, 0, z0), (sign * 90, 0, z0), (sign * 90, 0, z1), (edge, 0, z1)], road)
        canvas.solid(
            [(edge, 0, z1), (sign * 90, 0, z1), (sign * 90, 0, z1 + 0.25), (edge, 0, z1 + 0.25)], kerb
        )


def _markings(canvas: Canvas, street: Street, rng: np.random.Generator, paint: int) -> None:
    offset, solid = rng.uniform(0.0, 9.0), rng.random() < 0.25
    lanes = ceil(street.half / street.lane - 0.01)
    for start, end in _outside(street, NEAR, FAR):
        for lane in range(-lanes + 1, lanes):
            x = lane * street.lane
            if lane == 0 and (solid or lanes > 1):
                for shift in (-0.16, 0.16) if lanes > 1 else (0.0,):
                    canvas.strip(x + shift - 0.07, x + shift + 0.07, start, end, paint)
            else:
                _dashes(canvas, x, (start, end), offset, paint)
        for side, sign in ((0, -1.0), (1, 1.0)):
            if street.parking[side]:
                canvas.strip(sign * (street.half - 0.06), sign * (street.half + 0.06), start, end, paint)
    if street.cross:
        _zebra(canvas, street, rng, paint)


def _dashes(canvas: Canvas, x: float, span: tuple[float, float], offset: float, paint: int) -> None:
    z = offset - 9.0
    while z < min(span[1], 110.0):
        low, high = max(z, span[0]), min(z + 3.4, span[1])
        if low < high:
            canvas.strip(x - 0.07, x + 0.07, low, high, paint)
        z += 9.0


def _zebra(canvas: Canvas, street: Street, rng: np.random.Generator, paint: int) -> None:
    assert street.cross is not None
    near, far = street.cross[0] - 4.2, street.cross[1] + 1.0
    left, right = -street.kerb(0), street.kerb(1)
    style = rng.random()
    for z in (near, far):
        if style < 0.8:
            x = left + 0.4
            while x + 0.5 < right:
                canvas.strip(x, x + 0.5, z, z + 3.0, paint)
                x += 1.0
        else:
            canvas.strip(left, right, z, z + 0.15, paint)
            canvas.strip(left, right, z + 2.85, z + 3.0, paint)
    canvas.strip(0.1, street.half, near - 1.6, near - 1.1, paint)
    canvas.strip(-street.half, -0.1, far + 4.2, far + 4.7, paint)
    if street.half > 4.5:
        _arrow(canvas, street.lane * 1.5, near - 7.5, paint)
        _arrow(canvas, street.lane * 0.5, near - 7.5, paint)


def _arrow(canvas: Canvas, x: float, z: float, paint: int) -> None:
    if z < NEAR + 0.5:
        return
    canvas.strip(x - 0.09, x + 0.09, z, z + 2.2, paint)
    canvas.solid([(x - 0.38, 0, z + 2.1), (x + 0.38, 0, z + 2.1), (x, 0, z + 4.0)], paint)


def _patches(canvas: Canvas, street: Street, rng: np.random.Generator, dark: int) -> None:
    for _ in range(int(rng.integers(0, 5))):
        x, z = rng.uniform(-street.half, street.half), rng.uniform(3.5, 40.0)
        wide, long = rng.uniform(0.3, 2.0), rng.uniform(1.0, 9.0)
        canvas.strip(max(x - wide / 2, -street.half), min(x + wide / 2, street.half), z, z + long, dark)


def _drains(canvas: Canvas, street: Street, rng: np.random.Generator, dark: int) -> None:
    for _ in range(int(rng.integers(1, 4))):
        z, x = rng.uniform(4.0, 26.0), rng.uniform(-street.half + 0.6, street.half - 0.6)
        u, v = canvas.camera.project(x, 0.0, z)
        per_metre = canvas.camera.focal / z
        canvas.ellipse(u, v, 0.33 * per_metre, 0.33 * per_metre * canvas.camera.eye / z, dark)
