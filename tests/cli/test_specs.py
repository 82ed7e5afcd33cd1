"""Arguments that name a thing, a place and how to read it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubio import InputError
from dubio.cli.specs import parse_spec

WORDS = st.text("abcXYZ019-_ .", min_size=1, max_size=8).filter(str.strip)


@pytest.mark.parametrize(
    ("text", "name", "place", "options", "title"),
    [
        ("CamVid", None, "CamVid", {}, "CamVid"),
        ("data/CamVid", None, "data/CamVid", {}, "CamVid"),
        ("fog=data/ACDC?condition=fog", "fog", "data/ACDC", {"condition": "fog"}, "fog"),
        ("nets/a=b.onnx", None, "nets/a=b.onnx", {}, "a=b"),
        ("a=b=c", "a", "b=c", {}, "a"),
        ("x=y?leave_out=train,bus&split=val", "x", "y", {"leave-out": "train,bus", "split": "val"}, "x"),
        ("net.onnx?input-size=481x641", None, "net.onnx", {"input-size": "481x641"}, "net"),
        ("d?class-map=a=b.toml", None, "d", {"class-map": "a=b.toml"}, "d"),
    ],
)
def test_parts(text, name, place, options, title):
    spec = parse_spec(text)
    assert (spec.name, spec.place, dict(spec.options), spec.title) == (name, Path(place), options, title)


@pytest.mark.parametrize("text", ["", "=", "name=", "?split=val", "x?split", "x?=val", "x?split="])
def test_what_names_nothing_is_refused(text):
    with pytest.raises(InputError):
        parse_spec(text)


def test_sizes_numbers_and_names():
    spec = parse_spec("net?input-size=481x641&mean=0.5,0.4,0.3&unknown= car ,bus,")
    assert spec.size("input-size") == (481, 641)
    assert spec.numbers("mean") == (0.5, 0.4, 0.3)
    assert spec.names("unknown") == ("car", "bus")
    assert spec.size("window") is None
    assert spec.names("split") == ()
    for text in ("net?window=481", "net?window=4.5x3", "net?window=0x3", "net?window=axb"):
        with pytest.raises(InputError, match="window"):
            parse_spec(text).size("window")


def test_strange_options_are_named_with_the_known_ones():
    with pytest.raises(InputError, match=r"a model has no option 'colour'.*known: card, space"):
        parse_spec("net?colour=red").only({"space", "card"}, "a model")


@given(name=WORDS, place=WORDS, key=WORDS, value=WORDS)
def test_what_is_put_together_is_taken_apart(name, place, key, value):
    spec = parse_spec(f"{name}={place}?{key}={value}")
    assert spec.name == name.strip()
    assert spec.place == Path(place)
    assert dict(spec.options) == {key.strip().replace("_", "-"): value.strip()}
