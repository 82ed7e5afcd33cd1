"""What the tests of random damage share."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from dubio.core.errors import InputError, printable
from dubio.data.masks import read_mask
from dubio.data.scores import ScoreFormat

from ..toy import SPACE

FMT = ScoreFormat(None, "chw", "logits", "float32", 3)
COMMON = settings(
    derandomize=True,
    deadline=None,
    max_examples=30,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
VERDICTS = {
    "format": 1,
    "run": "0123456789abcdef",
    "verdicts": [
        {"finding": 3, "image_id": "a", "x0": 4, "y0": 5, "x1": 60, "y1": 70, "kind": "missing",
         "verdict": "accepted", "time": "2026-01-31T12:00:00.000Z"}
    ],
}  # fmt: skip


def survive(reader, path, content):
    """A result, or an error in words that hold on one line."""
    path.write_bytes(content)
    try:
        reader(path)
    except InputError as error:
        text = str(error)
        assert text == printable(text)
        assert path.name in text
        return str(error)
    return ""


def a_mask(path):
    found = read_mask(path, SPACE, unknown="void")
    assert found.ndim == 2
    assert found.max(initial=0) <= SPACE.void_index
