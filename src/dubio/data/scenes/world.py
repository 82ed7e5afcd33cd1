"""What stands and moves in a street: draws the things of a scene, each with its place and seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dubio.data.scenes.bodies import BODIES, Model
from dubio.data.scenes.buildings import Building
from dubio.data.scenes.canvas import Canvas
from dubio.data.scenes.cyclists import Bicycle
from dubio.data.scenes.furniture import (
    SIGN_SHAPES,
    Bollard,
    SignShape,
    State,
    StreetLamp,
    TrafficLight,
    TrafficSign,
)
from dubio.data.scenes.light import Conditions
from dubio.data.scenes.people import Person, View
from dubio.data.scenes.plants import Hedge, Kind, Plant
from dubio.data.scenes.street import FAR, Street
from dubio.data.scenes.vehicles import Vehicle


class Thing(Protocol):
    """Something that is drawn: it knows its distance, its look and its shadow."""

    @property
    def far(self) -> float:
        """Distance by which things are drawn, far ones first."""
        ...

    def draw(self, canvas: Canvas) -> None:
        """Draw it."""
        ...

    def shadow(self, reach: tuple[float, float]) -> list[list[tuple[float, float]]]:
        """Return outlines on the ground as (x, z); ``reach`` is the shadow of one metre of height."""
        ...


@dataclass(frozen=True)
class Planner:
    """Fills a street.

    Args:
        street: its plan.
        light: weather and time of day.
        rng: draws everything.
        own: ``x`` of the camera, so that nothing stands on it.
    """

    street: Street
    light: Conditions
    rng: np.random.Generator
    own: float

    def fill(self) -> list[Thing]:
        """Return all things, in the order in which they are drawn."""
        things: list[Thing] = []
        for side in (0, 1):
            things += self._buildings(side)
            things += self._greens(side)
            things += self._furniture(side)
            things += self._parked(side)
            things += self._walkers(side)
        things += self._traffic()
        things += self._crossing()
        things += self._cyclists()
        return sorted(things, key=lambda t: -t.far)

    def _seed(self) -> int:
        return int(self.rng.integers(1 << 62))

    def _every(self, start: float, low: float, high: float, end: float = FAR) -> Iterator[float]:
        """Yield distances with random gaps, none of them in the side street."""
        z = start
        while z < end:
            if not self.street.crossed(z, 1.5):
                yield z
            z += self.rng.uniform(low, high)

    def _buildings(self, side: int) -> Iterator[Thing]:
        street, rng, sign = self.street, self.rng, (-1.0, 1.0)[side]
        park = street.style == "boulevard" and rng.random() < 0.6
        z = rng.uniform(-12.0, 0.0)
        while z < FAR:
            suburb = street.style == "suburb"
            end = z + (rng.uniform(9, 14) if suburb else rng.uniform(9, 24))
            floors = int(rng.integers(1, 3)) if suburb else int(rng.integers(2, 7))
            if street.cross and z < street.cross[1] + 3 and end > street.cross[0] - 3:
                if street.cross[0] - 3 - z > 6:
                    end = street.cross[0] - 3
                else:
                    z = street.cross[1] + 3
                    continue
            if not park and rng.random() < 0.97:
                pitched = suburb or rng.random() < 0.15
                line = street.line(side) + (rng.uniform(0, 2) if suburb else 0.0)
                yield Building(sign, line, z, end, floors, pitched, self._seed(), 9.0 if suburb else 14.0)
            z = end + (
                rng.uniform(2.5, 9.0) if suburb else (rng.uniform(3, 8) if rng.random() < 0.12 else 0.0)
            )

    def _greens(self, side: int) -> Iterator[Thing]:
        street, rng, sign = self.street, self.rng, (-1.0, 1.0)[side]
        autumn = rng.random() < 0.22
        kinds: tuple[Kind, ...] = ("round", "tall", "bare") if autumn else ("round", "tall", "fir")
        kind = kinds[int(rng.choice(3, p=[0.7, 0.18, 0.12]))]
        if street.verge[side] and rng.random() < 0.85:
            x = sign * (street.kerb(side) + 0.5 * street.verge[side])
            for z in self._every(rng.uniform(5, 14), 7.0, 13.0, 130.0):
                yield Plant(
                    kind if kind != "fir" else "round", x, z, rng.uniform(5.5, 9.5), self._seed(), autumn
                )
        if street.style == "city":
            if rng.random() < 0.35:
                x = sign * (street.kerb(side) + 0.9)
                for z in self._every(rng.uniform(8, 20), 12.0, 22.0, 110.0):
                    yield Plant("round", x, z, rng.uniform(4.5, 7.5), self._seed(), autumn)
            return
        edge = street.walk_to(side)
        if street.garden[side] and rng.random() < 0.7:
            high = rng.uniform(0.7, 1.5)
            for z in self._every(2.0, 5.0, 8.0, 110.0):
                if rng.random() < 0.75:
                    yield Hedge(sign * (edge + 0.15), z, z + 4.6, high, self._seed())
        for z in self._every(rng.uniform(4, 10), 4.0, 11.0, 140.0):
            pick: tuple[Kind, ...] = ("round", "bush", "fir", "tall", "bush")
            chosen = pick[int(rng.integers(len(pick)))]
            x = edge + rng.uniform(1.2, 4.0) if street.garden[side] else edge + rng.uniform(1.5, 14.0)
            tall = rng.uniform(0.9, 1.7) if chosen == "bush" else rng.uniform(5, 11)
            yield Plant(chosen, sign * x, z, tall, self._seed(), autumn)

    def _furniture(self, side: int) -> Iterator[Thing]:
        street, rng, sign = self.street, self.rng, (-1.0, 1.0)[side]
        x = sign * (street.kerb(side) + 0.45)
        tall, arm = rng.uniform(6.0, 9.0), -sign * rng.uniform(1.2, 2.4) if rng.random() < 0.65 else 0.0
        tall = tall if arm else rng.uniform(3.6, 4.8)
        if rng.random() < 0.85:
            for z in self._every(rng.uniform(6, 22), 19.0, 27.0, 120.0):
                yield StreetLamp(x, z, self._seed(), tall, arm)
        for z in self._every(rng.uniform(6, 24), 12.0, 36.0, 90.0):
            shape: SignShape = SIGN_SHAPES[int(rng.integers(len(SIGN_SHAPES) - 1))] if side else "back"
            if not side and rng.random() < 0.35:
                shape = "parking"
            big = shape == "guide"
            size = rng.uniform(0.5, 0.7) if big else rng.uniform(0.33, 0.46)
            yield TrafficSign(
                x + sign * 0.3, z, self._seed(), shape, size, 3.1 if big else rng.uniform(2.1, 2.6)
            )
        if street.style == "city" and rng.random() < 0.35:
            for z in self._every(rng.uniform(5, 9), 1.8, 2.2, rng.uniform(16, 40)):
                yield Bollard(sign * (street.kerb(side) + 0.4), z, self._seed())
        if street.cross and rng.random() < 0.75:
            states: tuple[State, ...] = ("red", "amber", "green")
            state = states[int(rng.choice(3, p=[0.45, 0.1, 0.45]))]
            reach = -sign * rng.uniform(2.2, 3.6) if rng.random() < 0.35 and side else 0.0
            yield TrafficLight(x, street.cross[0] - 4.8, self._seed(), state, reach)
            if rng.random() < 0.5:
                yield TrafficLight(x, street.cross[1] + 1.0, self._seed(), state)

    def _model(self, heavy: float) -> Model:
        rng = self.rng
        if rng.random() < heavy:
            return "bus" if rng.random() < 0.5 else "truck"
        cars: tuple[Model, ...] = ("sedan", "hatchback", "suv", "van")
        return cars[int(rng.choice(4, p=[0.33, 0.33, 0.22, 0.12]))]

    def _parked(self, side: int) -> Iterator[Thing]:
        street, rng, sign = self.street, self.rng, (-1.0, 1.0)[side]
        if not street.parking[side]:
            return
        full = rng.uniform(0.3, 0.95)
        x = sign * (street.half + 1.1)
        for z in self._every(rng.uniform(5.5, 9.0), 5.3, 6.6, 95.0):
            if rng.random() < full and not street.crossed(z, 6.0):
                forward = sign if rng.random() < 0.92 else -sign
                yield Vehicle(self._model(0.02), x, z, (0.0, forward), self._seed(), parked=True)

    def _traffic(self) -> Iterator[Thing]:
        street, rng = self.street, self.rng
        lanes = max(1, round(street.half / street.lane))
        jam = rng.uniform(0.0, 1.0)
        for lane in range(-lanes, lanes):
            x, ahead = (lane + 0.5) * street.lane, lane >= 0
            ours = abs(x - self.own) < 1.8
            z = rng.uniform(9.0, 34.0) if ours else rng.uniform(7.0, 26.0)
            while z < 120.0:
                model = self._model(0.15)
                half = BODIES[model].length / 2
                z += max(0.0, half - 2.3)
                if not street.crossed(z, half + 1.0):
                    drift = rng.uniform(-0.25, 0.25)
                    brakes = ahead and rng.random() < 0.35
                    heading = (0.0, 1.0 if ahead else -1.0)
                    yield Vehicle(model, x + drift, z, heading, self._seed(), brakes)
                z += half + rng.uniform(5.0, 14.0) + (1.0 - jam) * rng.uniform(4.0, 40.0)

    def _crossing(self) -> Iterator[Thing]:
        street, rng = self.street, self.rng
        if street.cross is None:
            return
        z0, z1 = street.cross
        for z, way in ((z0 + 0.28 * (z1 - z0), 1.0), (z0 + 0.72 * (z1 - z0), -1.0)):
            x = rng.uniform(-26.0, -8.0)
            while x < 24.0:
                if rng.random() < 0.42:
                    model = self._model(0.22)
                    yield Vehicle(model, x, z, (way, 0.0), self._seed())
                    x += BODIES[model].length / 2
                x += rng.uniform(7.0, 13.0)
        for z in (z0 - 2.7, z1 + 2.5):
            if rng.random() < 0.65:
                for _ in range(int(rng.integers(1, 5))):
                    x = rng.uniform(-street.kerb(0) - 1.0, street.kerb(1) + 1.0)
                    yield self._person(x, z + rng.uniform(-1.0, 1.0), "side")

    def _person(self, x: float, z: float, view: View | None = None) -> Person:
        rng = self.rng
        if view is None:
            views: tuple[View, ...] = ("side", "front", "back")
            view = views[int(rng.choice(3, p=[0.3, 0.35, 0.35]))]
        height = rng.uniform(1.1, 1.4) if rng.random() < 0.08 else rng.uniform(1.55, 1.9)
        gait = rng.uniform(0.35, 1.0) * (1.0 if rng.random() < 0.5 else -1.0) if rng.random() < 0.85 else 0.05
        # Drawn in any weather, so that the same seed fills the same street under every sky.
        umbrella = rng.random() < 0.5 and self.light.rain > 0
        return Person(x, z, height, view, 1.0 if rng.random() < 0.5 else -1.0, gait, self._seed(), umbrella)

    def _walkers(self, side: int) -> Iterator[Thing]:
        street, rng, sign = self.street, self.rng, (-1.0, 1.0)[side]
        busy = {"city": 11, "suburb": 4, "boulevard": 8}[street.style]
        for _ in range(int(rng.integers(0, busy + 1))):
            z = 6.0 + 52.0 * rng.uniform(0.0, 1.0) * rng.uniform(0.2, 1.0)
            x = rng.uniform(street.walk_from(side) + 0.6, street.walk_to(side) - 0.4)
            yield self._person(sign * x, z)
            if rng.random() < 0.3:
                yield self._person(sign * min(x + 0.62, street.walk_to(side) - 0.1), z + 0.15)

    def _cyclists(self) -> Iterator[Thing]:
        street, rng = self.street, self.rng
        for side, sign in ((0, -1.0), (1, 1.0)):
            if rng.random() < 0.42:
                for _ in range(int(rng.integers(1, 3))):
                    z = rng.uniform(8.0, 32.0)
                    x = sign * (street.half - rng.uniform(0.45, 0.8))
                    if abs(x - self.own) > 1.0:
                        yield Bicycle(x, z, "back" if side else "front", 1.0, True, self._seed())
            if rng.random() < 0.4:
                start = rng.uniform(6.0, 22.0)
                for number in range(int(rng.integers(1, 4))):
                    x = sign * (street.walk_from(side) + rng.uniform(0.9, 1.3))
                    yield Bicycle(x, start + 1.3 * number, "side", sign, False, self._seed())
        if street.cross and rng.random() < 0.4:
            x, z = rng.uniform(-street.half, street.half), street.cross[0] - 0.6
            yield Bicycle(x, z, "side", 1.0 if rng.random() < 0.5 else -1.0, True, self._seed())
