"""Weather and time of day: sun, sky, haze and what they do to a colour.

Only sums, products, quotients and square roots are used here and in the geometry: they give the
same bits on every machine, which the functions of a mathematical library don't promise.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Literal, get_args

import numpy as np

Color = tuple[float, float, float]
Weather = Literal["clear", "overcast", "fog", "rain", "dusk", "night"]
WEATHERS: tuple[Weather, ...] = get_args(Weather)
# Most scenes are by day and dry, as in recorded data; the hard conditions stay frequent enough to learn.
_WEIGHTS = (0.36, 0.2, 0.1, 0.14, 0.11, 0.09)


def mix(one: Color, other: Color, share: float) -> Color:
    """Blend two colours; ``share`` is the part of the second."""
    keep = 1.0 - share
    return (
        one[0] * keep + other[0] * share,
        one[1] * keep + other[1] * share,
        one[2] * keep + other[2] * share,
    )


def scale(color: Color, factor: float) -> Color:
    """Brighten or darken a colour."""
    return (color[0] * factor, color[1] * factor, color[2] * factor)


def vary(rng: np.random.Generator, color: Color, amount: float) -> Color:
    """Shift a colour at random: mostly its brightness, a little its tint (``amount`` of 255)."""
    bright = rng.uniform(-amount, amount)
    red, green, blue = (max(0.0, c + bright + rng.uniform(-0.3, 0.3) * amount) for c in color)
    return (red, green, blue)


@dataclass(frozen=True)
class Conditions:
    """Light and weather of one scene.

    Args:
        weather: one of :data:`WEATHERS`.
        sky_top: colour of the sky overhead, 0 … 255 per channel, as all colours here.
        sky_low: colour of the sky at the horizon.
        sun: colour of direct light, factors per channel.
        ambient: colour of the light from everywhere.
        direction: unit vector towards the sun (right, up, forward).
        haze: colour that distance fades into.
        reach: distance in metres at which half of the contrast is gone.
        clouds: share of the sky that is covered, 0 … 1.
        shadow: how much of the direct light cast shadows take away, 0 … 1.
        wet: how wet the road is, 0 … 1.
        rain: density of rain streaks, 0 … 1.
        lamps: street lamps, headlights and windows are lit.
        dark: 0 by day, 1 at night.
    """

    weather: Weather
    sky_top: Color
    sky_low: Color
    sun: Color
    ambient: Color
    direction: tuple[float, float, float]
    haze: Color
    reach: float
    clouds: float
    shadow: float
    wet: float = 0.0
    rain: float = 0.0
    lamps: bool = False
    dark: float = 0.0

    def facing(self, right: float, up: float, forward: float) -> float:
        """Return the cosine between a surface normal and the sun, 0 where the surface turns away."""
        x, y, z = self.direction
        return max(0.0, right * x + up * y + forward * z)

    def lit(self, color: Color, facing: float) -> Color:
        """Return the colour of a surface under this light."""
        ambient, sun = self.ambient, self.sun
        return (
            color[0] * (ambient[0] + sun[0] * facing),
            color[1] * (ambient[1] + sun[1] * facing),
            color[2] * (ambient[2] + sun[2] * facing),
        )

    def fade(self, z: float) -> float:
        """Share of haze at a distance in metres, 0 … 0.94."""
        ratio = z / self.reach
        return min(0.94, ratio * ratio / (1.0 + ratio * ratio))


def draw_weather(rng: np.random.Generator) -> Weather:
    """Choose a weather, common ones more often."""
    return WEATHERS[int(rng.choice(len(WEATHERS), p=_WEIGHTS))]


def make_conditions(weather: Weather, rng: np.random.Generator) -> Conditions:
    """Draw the light of a scene with the given weather."""
    side = 1.0 if rng.random() < 0.5 else -1.0
    high = rng.uniform(0.45, 1.0) if weather != "dusk" else rng.uniform(0.18, 0.3)
    if weather == "clear":
        high = rng.uniform(0.7, 1.5)
    direction = _unit(side * rng.uniform(0.25, 0.9), high, rng.uniform(-0.9, 0.7))
    warm = rng.uniform(0.0, 1.0)
    if weather == "clear":
        sky = mix((92, 148, 212), (122, 174, 226), warm), mix((188, 216, 238), (222, 226, 224), warm)
        sun, ambient = mix((0.74, 0.72, 0.66), (0.84, 0.72, 0.54), warm), (0.48, 0.52, 0.6)
        return Conditions(
            weather,
            *sky,
            sun,
            ambient,
            direction,
            mix(sky[1], (255, 255, 255), 0.1),
            rng.uniform(230, 420),
            rng.uniform(0.05, 0.5),
            rng.uniform(0.85, 1.0),
        )
    if weather == "overcast":
        sky = mix((150, 160, 172), (178, 182, 186), warm), (206, 210, 212)
        return Conditions(
            weather,
            *sky,
            (0.14, 0.14, 0.13),
            mix((0.66, 0.69, 0.72), (0.76, 0.76, 0.75), warm),
            direction,
            sky[1],
            rng.uniform(180, 300),
            rng.uniform(0.75, 1.0),
            0.5,
            wet=rng.uniform(0.2, 0.5) if rng.random() < 0.2 else 0.0,
        )
    return _hard_conditions(weather, rng, direction, warm)


def _hard_conditions(
    weather: Weather, rng: np.random.Generator, direction: tuple[float, float, float], warm: float
) -> Conditions:
    if weather == "fog":
        gray = mix((186, 192, 196), (206, 204, 198), warm)
        reach = rng.uniform(26, 60)
        light: Color = (0.7, 0.71, 0.72)
        return Conditions(
            weather, gray, gray, (0.06, 0.06, 0.06), light, direction, gray, reach, 0.3, 0.2, lamps=warm < 0.4
        )
    if weather == "rain":
        sky = mix((104, 114, 128), (132, 140, 148), warm), mix((160, 168, 176), (186, 190, 192), warm)
        light = mix((0.48, 0.52, 0.57), (0.62, 0.64, 0.66), warm)
        return Conditions(
            weather,
            *sky,
            (0.05, 0.05, 0.05),
            light,
            direction,
            sky[1],
            rng.uniform(80, 150),
            0.95,
            0.2,
            wet=rng.uniform(0.6, 1.0),
            rain=rng.uniform(0.4, 1.0),
            lamps=warm < 0.5,
        )
    if weather == "dusk":
        sky = mix((52, 66, 122), (92, 98, 150), warm), mix((252, 158, 96), (244, 190, 150), warm)
        return Conditions(
            weather,
            *sky,
            (0.62, 0.36, 0.2),
            mix((0.36, 0.34, 0.44), (0.46, 0.42, 0.46), warm),
            direction,
            mix(sky[1], sky[0], 0.35),
            rng.uniform(170, 300),
            rng.uniform(0.2, 0.7),
            0.75,
            lamps=True,
            dark=0.4,
        )
    sky = mix((14, 20, 44), (24, 30, 60), warm), mix((52, 54, 78), (88, 72, 70), warm)
    return Conditions(
        weather,
        *sky,
        (0.02, 0.02, 0.03),
        mix((0.3, 0.32, 0.42), (0.38, 0.36, 0.4), warm),
        direction,
        sky[1],
        rng.uniform(140, 220),
        rng.uniform(0.0, 0.5),
        0.0,
        wet=rng.uniform(0.4, 0.9) if rng.random() < 0.45 else 0.0,
        lamps=True,
        dark=1.0,
    )


def _unit(x: float, y: float, z: float) -> tuple[float, float, float]:
    length = sqrt(x * x + y * y + z * z)
    return x / length, y / length, z / length
