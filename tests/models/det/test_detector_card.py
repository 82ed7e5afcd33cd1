"""Detector cards: plain data in and out, and what is refused."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from dubio.core.errors import InputError
from dubio.models.det.card import (
    DetectorCard,
    builtin_detector_cards,
    read_detector_card,
    read_space,
)
from dubio.models.det.fit import prepare
from dubio.models.det.specs import InputSpec, OutputSpec


def data(**changes):
    return {
        "format": 1,
        "task": "detection",
        "space": "coco80",
        "input": {"size": [64, 96], "pad": 114, "channels": "bgr", "mean": [1, 2, 3], "std": 2},
        "outputs": {
            "coder": "delta",
            "logits": "logits",
            "boxes": "deltas",
            "log_variance": "log_variance",
            "reference": "reference",
            "samples": True,
            "score_kind": "sigmoid",
            "activated": False,
            "background": None,
            "weights": [1, 1, 1, 1],
            "clamp": 4.135,
        },
        **changes,
    }


@pytest.mark.parametrize("name", ["yolox", "nanodet", "fastestdet"])
def test_cards_that_come_along_are_whole(name):
    card = read_detector_card(name)
    assert len(card.space) == 80
    assert (card.space.names[0], card.space.names[79]) == ("person", "toothbrush")
    assert card.space.ids == tuple(range(80))
    assert DetectorCard.from_dict(json.loads(json.dumps(card.to_dict()))) == card
    assert name in builtin_detector_cards()


def test_a_card_survives_json(tmp_path):
    card = DetectorCard.from_dict(data())
    assert (card.input.size, card.input.std, card.outputs.weights) == ((64, 96), (2, 2, 2), (1, 1, 1, 1))
    assert card.outputs.names == ("deltas", "logits", "log_variance", "reference")
    path = tmp_path / "card.json"
    path.write_text(json.dumps(card.to_dict()))
    assert read_detector_card(path) == card


def outputs(**changes):
    return {**data()["outputs"], **changes}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "format 2"),
        ({"task": "segmentation"}, "segmentation"),
        ({"colour": 1}, "unknown field 'colour'"),
        ({"space": 7}, "space can't be 7"),
        ({"space": "unheard"}, "unheard"),
        ({"input": {"sizes": [1, 2]}}, "unknown field 'sizes'"),
        ({"input": {"size": [0, 2]}}, "size can't be"),
        ({"input": {"size": [5]}}, "'size' can't be"),
        ({"input": {"fit": "squeeze"}}, "fit can't be"),
        ({"input": {"pad": 300}}, "pad can't be"),
        ({"input": {"std": [1, 0, 1]}}, "std can't be"),
        ({"input": []}, "no table"),
        ({"outputs": {"coder": "corners"}}, "lacks the field 'boxes'"),
        ({"outputs": outputs(coder="magic")}, "coder can't be 'magic'"),
        ({"outputs": outputs(reference=None)}, "needs the output 'reference'"),
        ({"outputs": outputs(samples="yes")}, "'samples' can't be 'yes'"),
        ({"outputs": outputs(background="last")}, "only a softmax"),
        ({"outputs": outputs(boxes=[])}, "names no output"),
        ({"outputs": outputs(logits=7)}, "'logits' can't be 7"),
        ({"outputs": outputs(score={"objectness": 1})}, "'score' can't be"),
        ({"outputs": {"coder": "yolox", "boxes": "o"}}, "needs 'strides'"),
        ({"outputs": {"coder": "yolox", "boxes": "o", "strides": [8], "logits": "l"}}, "in 'boxes'"),
        ({"outputs": {"coder": "distribution", "boxes": "o", "strides": [8]}}, "needs 'logits'"),
        ({"outputs": {"coder": "corners", "boxes": "o", "log_variance": "v"}}, "no log variance"),
        ({"outputs": {"coder": "corners", "boxes": "o", "samples": True}}, "no samples"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(changes, words):
    with pytest.raises(InputError, match=words) as caught:
        DetectorCard.from_dict(data(**changes), path="net.onnx")
    assert str(caught.value).count("\n") == 0


def test_files_that_are_no_cards(tmp_path):
    for text, words in (("{", "line 1"), ("[]", "no detector card"), ("{}", "lacks 'outputs'")):
        path = tmp_path / "card.json"
        path.write_text(text)
        with pytest.raises(InputError, match=words) as caught:
            read_detector_card(path)
        assert "card.json" in str(caught.value)
    for name in ("unheard", tmp_path / "none.json"):
        with pytest.raises(InputError, match=r"unheard|none\.json"):
            read_detector_card(name)


def test_spaces_by_name_and_data():
    assert read_space("COCO80") == read_space("coco80")
    assert len(read_space("voc")) == 21


@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
@pytest.mark.parametrize("align", ["top-left", "center"])
@pytest.mark.parametrize("size", [(17, 90), (240, 31), (64, 64), (3, 3), (1, 1)])
def test_boxes_come_back_to_where_they_were(fit, align, size):
    """A white rectangle is found again, in images smaller and larger than the input."""
    image = np.zeros((*size, 3), np.uint8)
    goal = (64, 96)
    spec = InputSpec(fit=fit, align=align, pad=(50, 60, 70), scale="0-255")
    prepared, placed = prepare(image, spec, goal)
    inside = (prepared == 0).all(0)
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    corners = np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]], float)
    np.testing.assert_allclose(placed.boxes_back(corners), [[0, 0, size[1], size[0]]], atol=1e-9)
    assert inside.sum() == (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
    np.testing.assert_array_equal(np.unique(prepared[0][~inside]), [50] if not inside.all() else [])
    variances = placed.variances_back(np.array([[4.0, 9.0, 4.0, 9.0]]))
    np.testing.assert_allclose(variances[0, :2], [4 / placed.scale[0] ** 2, 9 / placed.scale[1] ** 2])


def test_pixels_are_normalised_as_the_card_says():
    image = np.full((2, 2, 3), [10, 20, 30], np.uint8)
    spec = InputSpec(channels="bgr", scale="0-255", mean=(1, 2, 3), std=(2, 4, 8))
    prepared, _ = prepare(image, spec, (2, 2))
    np.testing.assert_allclose(prepared[:, 0, 0], [(30 - 1) / 2, (20 - 2) / 4, (10 - 3) / 8], rtol=1e-6)
    unit, _ = prepare(image, InputSpec(), (2, 2))
    np.testing.assert_allclose(unit[:, 1, 1], np.array([10, 20, 30]) / 255, rtol=1e-6)


def test_an_output_may_be_named_alone():
    assert OutputSpec.from_dict({"coder": "corners", "boxes": "o"}).boxes == ("o",)


@pytest.mark.parametrize("spec", [InputSpec, OutputSpec])
def test_every_field_of_a_card_is_in_the_reference(spec):
    """Cards are written by hand, from the page of reference that shows these docstrings."""
    said = (spec.__doc__ or "").split("Raises:")[0]
    assert [f.name for f in fields(spec) if f"        {f.name}: " not in said] == []
    page = Path(__file__).parents[3] / "docs/reference/boxes.md"
    assert f"::: dubio.models.det.specs.{spec.__name__}\n" in page.read_text(encoding="utf-8")
