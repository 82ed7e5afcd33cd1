from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubio.core.errors import InputError
from dubio.models.card import ModelCard, combine
from dubio.models.cardfile import builtin_cards, read_card, sidecar


def test_later_layers_win_and_are_named():
    card, origin = combine(
        [("file", {"scale": "0-255", "output": "logits"}), ("option", {"output": "probabilities"})]
    )
    assert card.output == "probabilities"
    assert origin["output"] == "option"
    assert origin["scale"] == "file"


def test_plain_scale_means_plain_pixels():
    card, _ = combine([("file", {"scale": "imagenet"}), ("option", {"scale": "0-255"})])
    assert card.mean == (0, 0, 0)
    assert card.std == (1, 1, 1)
    card, _ = combine([("option", {"scale": "0-1", "mean": [0.5], "std": 0.25})])
    assert card.mean == (0.5, 0.5, 0.5)
    assert card.std == (0.25, 0.25, 0.25)


@pytest.mark.parametrize(
    "fields",
    [
        {"colour": 1},
        {"scale": "0-100"},
        {"channels": "grb"},
        {"std": [0, 1, 1]},
        {"mean": [1, 2]},
        {"size": [0, 5]},
        {"size": "large"},
        {"overlap": 1.0},
        {"size_multiple": 16, "size_offset": 16},
    ],
)
def test_impossible_fields_are_refused(fields):
    with pytest.raises(InputError):
        ModelCard.from_dict(fields)


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 64), st.integers(0, 63))
def test_input_sizes_follow_the_rule(height, width, multiple, offset):
    offset %= multiple
    card = ModelCard(size_multiple=multiple, size_offset=offset)
    for length, found in zip((height, width), card.input_size(height, width), strict=True):
        assert (found - offset) % multiple == 0
        assert found > 0
        assert abs(found - length) <= max(multiple / 2, multiple + offset - length)


def test_short_edge_keeps_the_aspect():
    assert ModelCard(short_edge=100).input_size(200, 400) == (100, 200)


def test_cards_survive_json(space):
    card = ModelCard(
        space, "bgr", "0-255", (1, 2, 3), (4, 5, 6), size=(32, 64), window=(32, 64), output="logits"
    )
    assert ModelCard.from_dict(json.loads(json.dumps(card.to_dict()))) == card


def test_every_named_card_is_whole():
    for name, text in builtin_cards().items():
        card, _ = combine([read_card(name)])
        assert card.pixels()
        assert text


def test_unknown_card_lists_the_known_ones():
    with pytest.raises(InputError, match="deeplab-edgetpu"):
        read_card("no-such-card")


def test_sidecar_counts_only_with_card_fields(tmp_path):
    model = tmp_path / "net.onnx"
    model.write_bytes(b"")
    (tmp_path / "net.json").write_text('{"epochs": 3}')
    assert sidecar(model) is None
    (tmp_path / "net.json").write_text('{"scale": "0-255"}')
    assert sidecar(model) == ("sidecar net.json", {"scale": "0-255"})
    (tmp_path / "net.toml").write_text("not toml")
    with pytest.raises(InputError, match=r"net\.toml"):
        sidecar(model)
